"""A sheet of one scan: a panoramic view and axial slices through the teeth, with outlines and FDI numbers.

All views are resampled along the axes of the patient, whatever the axes of the scan, and shown as in radiology: the right of
the patient is on the left of the picture.
"""

from __future__ import annotations

import os

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.measure import find_contours

from ..boxes import label_boxes
from ..padding import patient_greys
from ..volume import Volume
from .canvas import (
    BLACK,
    GREY,
    WHITE,
    Lines,
    Window,
    few_colours,
    grey_levels,
    grey_window,
    save_png,
    tooth_colour,
    write,
)
from .panorama import panoramic_view
from .views import LabelExtent, View, axial_view, label_extents, mean_greys, sample_labels

COLUMNS, ROWS = 3, 3
GAP = 4  # pixels between the views
MARGIN_MM = 7.0  # around the teeth
NOT_IMAGED = (26, 36, 60)  # padding and pixels beyond the scan: dark blue, unlike any grey value


def slice_sheet(
    scan: Volume, labels: Volume | None, reference: Volume | None, path: str | os.PathLike, *, width: int = 1280
) -> None:
    """Write a PNG of axial slices through the teeth and, if there are enough teeth, a panoramic view.

    Parameters
    ----------
    scan : Volume
        Any intensities, spacing and direction.
    labels : Volume or None
        FDI numbers on any grid, drawn as solid lines in the colours of the teeth.
    reference : Volume or None
        Reference for `labels`, drawn as thin dashed white lines.
    path : path
        The PNG file.
    width : int
        Of the picture, in pixels.

    Raises
    ------
    TeethSegError
        If the file cannot be written.
    """
    label_maps = [volume for volume in (labels, reference) if volume is not None]
    teeth = [tooth for label_map in label_maps for tooth in label_extents(label_map)]
    low, high = _field(teeth, scan)
    axial = [axial_view(low, high, z) for z in _heights(teeth, low[2], high[2])]
    of_patient = patient_greys(scan.array, scan.padding)
    greys = [mean_greys(scan, view, of_patient) for view in axial]
    window = grey_window(np.stack(greys), 99.7)
    tile_width = (width - (COLUMNS - 1) * GAP) / COLUMNS
    tiles = [_drawn(view, grey, window, labels, reference, tile_width) for view, grey in zip(axial, greys, strict=True)]
    rows = [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]

    view = panoramic_view(teeth, label_maps, low[2], high[2])
    if view is not None:
        grey = mean_greys(scan, view, of_patient)
        rows.insert(0, [_drawn(view, grey, grey_window(grey, 99.8), labels, reference, width)])
    save_png(few_colours(_stacked(rows, width)), path)


def _field(teeth: list[LabelExtent], scan: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest LPS corner in mm of the shown part: the teeth with a margin, or else the whole scan."""
    if not teeth:
        return scan.extent
    corners = np.concatenate([tooth.corners for tooth in teeth])
    return corners.min(axis=0) - MARGIN_MM, corners.max(axis=0) + MARGIN_MM


def _heights(teeth: list[LabelExtent], low_z: float, high_z: float) -> np.ndarray:
    """Heights (z) of the slices in mm, from the top down; percentiles, so that a displaced tooth does not spread them."""
    if teeth:
        low_z = np.percentile([tooth.corners[:, 2].min() for tooth in teeth], 20)
        high_z = np.percentile([tooth.corners[:, 2].max() for tooth in teeth], 80)
    return np.linspace(high_z, low_z, COLUMNS * ROWS + 2)[1:-1]


def _drawn(
    view: View,
    grey: np.ndarray,
    window: Window,
    labels: Volume | None,
    reference: Volume | None,
    width: float,
) -> Image.Image:
    """A view as an image of that width: grey values, outlines, numbers and sides of the patient."""
    scale = width / grey.shape[1]
    size = (round(width), round(grey.shape[0] * scale))
    image = grey_image(grey, window, size)
    found = {} if labels is None else tooth_outlines(labels, view)
    expected = {} if reference is None else tooth_outlines(reference, view)
    draw_outlines(image, found, scale, expected, size=11 if view.title else 13)
    write(image, (8, 6), "R", size=18, colour=WHITE, halo=BLACK, anchor="lt")
    write(image, (size[0] - 8, 6), "L", size=18, colour=WHITE, halo=BLACK, anchor="rt")
    write(image, (8, size[1] - 8), view.title, size=13, colour=GREY, halo=BLACK, anchor="lb")
    return image


def draw_outlines(
    image: Image.Image,
    found: dict[int, list[np.ndarray]],
    scale: float,
    expected: dict[int, list[np.ndarray]] | None = None,
    *,
    size: int = 11,
) -> None:
    """Draw the outlines of `tooth_outlines` with numbers; expected outlines are dashed white lines."""
    expected = expected or {}
    lines = Lines(image.size)
    for value, outlines in found.items():
        for outline in outlines:
            lines.line(outline * scale, tooth_colour(value), width=1.6)
    for outlines in expected.values():
        for outline in outlines:
            lines.line(outline * scale, WHITE, width=1.2, dash=4)
    lines.lay_on(image)
    for value, outlines in (found or expected).items():
        largest = max(outlines, key=len)
        place = (largest.min(axis=0) + largest.max(axis=0)) / 2 * scale
        write(image, tuple(place), str(value), size=size, colour=tooth_colour(value), halo=BLACK)


def grey_image(grey: np.ndarray, window: Window, size: tuple[int, int]) -> Image.Image:
    """A view as an RGB image of `size` (width, height), with `NOT_IMAGED` in place of NaN."""
    image = Image.fromarray(grey_levels(grey, window)).resize(size, Image.Resampling.BICUBIC).convert("RGB")
    nothing = np.isnan(grey)
    if nothing.any():
        image.paste(NOT_IMAGED, mask=Image.fromarray(nothing).convert("L").resize(size, Image.Resampling.NEAREST))
    return image


def tooth_outlines(labels: Volume, view: View) -> dict[int, list[np.ndarray]]:
    """Outlines (N, 2) as (column, row) of every label in a view."""
    values = sample_labels(labels, view.points)
    found = {}
    for value, box in label_boxes(values).items():
        mask = values[:, box[1], box[2]] == value
        mask = np.pad((mask.max(axis=0) if view.silhouettes else mask.mean(axis=0)).astype(float), 4)
        # Smoothing removes the corners of voxels.
        contours = find_contours(gaussian_filter(mask, 1), 0.5)
        found[value] = [contour[:, ::-1] + [box[2].start - 4, box[1].start - 4] for contour in contours]
    return {value: contours for value, contours in found.items() if contours}


def _stacked(rows: list[list[Image.Image]], width: int) -> Image.Image:
    sheet = Image.new("RGB", (width, sum(row[0].height + GAP for row in rows) - GAP), BLACK)
    top = 0
    for row in rows:
        for column, image in enumerate(row):
            sheet.paste(image, (round(column * (width + GAP) / len(row)), top))
        top += row[0].height + GAP
    return sheet
