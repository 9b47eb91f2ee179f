"""A contact sheet of several scans, for example to compare simulated scans with real ones.

Every scan is a row: axial slices through the upper and the lower teeth, a coronal slice through the molars, a sagittal slice
through the midline. Grey values are normalised as for the networks, so soft and hard tissue look the same in all scans.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
from PIL import Image

from ..anatomy import TEETH
from ..cascade.normalisation import first_levels, normalise
from ..padding import PatientGreys, patient_greys
from ..volume import Volume
from .canvas import BLACK, GREY, few_colours, save_png, write
from .slices import GAP, draw_outlines, grey_image, tooth_outlines
from .views import View, axial_view, coronal_view, label_extents, mean_greys, sagittal_view

ROOM_MM = 12.0  # shown around the teeth
DARKEST, BRIGHTEST = -1.5, 2.2  # in units from soft (0) to hard tissue (1)
COLUMNS = 4


def sample_sheet(
    scans: Iterable[tuple[str, Volume, Volume | None]],
    path: str | os.PathLike,
    *,
    width: int = 1200,
    outlines: bool = False,
) -> None:
    """Write a PNG with one row for every scan.

    Parameters
    ----------
    scans : iterable of (str, Volume, Volume or None)
        Title, grey values, FDI numbers; without numbers the middle of the scan is shown. Consumed one at a time.
    path : path
        The PNG file.
    width : int
        Of the picture, in pixels.
    outlines : bool
        Whether labels are outlined and numbered.

    Raises
    ------
    TeethSegError
        If the file cannot be written.
    """
    size = (width - (COLUMNS - 1) * GAP) // COLUMNS
    rows = [_row(title, scan, labels, size, outlines) for title, scan, labels in scans]
    sheet = Image.new("RGB", (width, len(rows) * (size + GAP) - GAP), BLACK)
    for number, tiles in enumerate(rows):
        for column, tile in enumerate(tiles):
            sheet.paste(tile, (column * (size + GAP), number * (size + GAP)))
    save_png(few_colours(sheet), path)


def _row(title: str, scan: Volume, labels: Volume | None, size: int, outlines: bool) -> list[Image.Image]:
    greys = patient_greys(scan.array, scan.padding)
    levels = first_levels(scan.array[greys.covers(scan.array)] if greys.padding else scan.array)
    drawn = labels if outlines else None
    tiles = [_tile(scan, view, greys, levels, size, drawn) for view in _views(scan, labels)]
    write(tiles[0], (8, 6), title, size=14, colour=GREY, halo=BLACK, anchor="lt")
    return tiles


def _views(scan: Volume, labels: Volume | None) -> list[View]:
    """Two axial views, a coronal view and a sagittal view."""
    low, high = scan.extent
    teeth = [] if labels is None else [tooth for tooth in label_extents(labels) if tooth.value in TEETH]
    middle = (low + high) / 2
    upper = lower = molars = middle
    if teeth:
        corners = np.concatenate([tooth.corners for tooth in teeth])
        low, high = np.maximum(low, corners.min(axis=0) - ROOM_MM), np.minimum(high, corners.max(axis=0) + ROOM_MM)
        middle = np.mean([tooth.centre for tooth in teeth], axis=0)
        upper, lower = (
            np.mean([t.centre for t in teeth if TEETH[t.value].jaw == jaw] or [middle], axis=0)
            for jaw in ("upper", "lower")
        )
        hindmost = max((t.centre for t in teeth), key=lambda centre: centre[1])
        molars = next((t.centre for t in teeth if TEETH[t.value].position == 6), hindmost)
    return [
        axial_view(low, high, upper[2]),
        axial_view(low, high, lower[2]),
        coronal_view(low, high, molars[1]),
        sagittal_view(low, high, middle[0]),
    ]


def _tile(
    scan: Volume, view: View, greys: PatientGreys, levels: tuple[float, float], size: int, labels: Volume | None
) -> Image.Image:
    """A view in the middle of a black square."""
    grey = normalise(mean_greys(scan, view, greys), *levels)
    scale = size / max(grey.shape)
    image = grey_image(
        grey, (DARKEST, BRIGHTEST), (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    )
    if labels is not None:
        draw_outlines(image, tooth_outlines(labels, view), scale)
    tile = Image.new("RGB", (size, size), BLACK)
    tile.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
    return tile
