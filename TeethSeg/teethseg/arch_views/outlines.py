"""Outlines of teeth in panoramas and sections, and where their numbers go."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.measure import find_contours

from ..boxes import bounding_box
from .arches import Arches
from .box import ArchBox
from .panorama import PanoramaGeometry
from .sections import SectionPlane

Outlines = dict[int, list[np.ndarray]]

STEP_MM = 0.8  # of depth
SMOOTH = 0.8  # pixels; rounds off the corners of voxels, which are no property of the tooth


def panorama_outlines(labels: ArchBox, geometry: PanoramaGeometry) -> Outlines:
    """Silhouettes of the teeth within the slab of a panorama.

    Parameters
    ----------
    labels : ArchBox
        Labels on the voxels of the box that the panorama was taken from (`box.label_box`).
    geometry : PanoramaGeometry

    Returns
    -------
    dict of int to list of ndarray (N, 2)
        Lines as (column, row) by label.
    """
    jaws, slab = geometry.options.jaws, geometry.options.slab_mm
    curve, course = geometry.surface.curve, geometry.surface.course(geometry.places, geometry.heights[:, None])
    behind = np.arange(course.min() - slab / 2, course.max() + slab / 2 + STEP_MM, STEP_MM)
    fan = labels.nearest(
        curve.at(geometry.places)[:, None] + behind[:, None] * curve.backwards(geometry.places)[:, None]
    )
    first = np.rint((course - slab / 2 - behind[0]) / STEP_MM).astype(int)
    window = np.arange(max(1, round(slab / STEP_MM)))
    columns = np.arange(geometry.columns)[:, None]
    numbers = labels.numbers
    index = np.zeros(256, np.uint8)
    index[numbers] = np.arange(len(numbers))
    found = np.zeros((len(numbers), *geometry.shape), bool)
    for row, level in enumerate(labels.levels(*geometry.arches.heights[jaws])):
        slab_pixels = fan[columns, first[row][:, None] + window]
        found[index[labels.flat(level)[slab_pixels]], row, columns] = True
    return {
        int(number): lines for number, mask in zip(numbers, found, strict=True) if number and (lines := _contours(mask))
    }


def section_outlines(labels: ArchBox, plane: SectionPlane, arches: Arches, jaws: str) -> Outlines:
    """Outlines of the teeth that a section cuts, as `panorama_outlines`."""
    columns = np.arange(plane.shape[1])
    points = arches.frame.from_lps(plane.lps(columns, np.zeros(len(columns))))[:, :2]
    pixels = labels.nearest(points)
    values = np.stack([labels.flat(level)[pixels] for level in labels.levels(*arches.heights[jaws])])
    return {int(number): lines for number in np.unique(values) if number and (lines := _contours(values == number))}


def label_place(lines: list[np.ndarray]) -> tuple[float, float]:
    """Where the number of a tooth goes (column, row): in the middle of its largest outline."""
    largest = max(lines, key=len)
    return tuple(((largest.min(axis=0) + largest.max(axis=0)) / 2).tolist())


def _contours(mask: np.ndarray) -> list[np.ndarray]:
    """Lines (column, row) around the set pixels of a mask (rows, columns)."""
    box = bounding_box(mask[None])
    if box is None:
        return []
    _, rows, columns = box
    lines = find_contours(gaussian_filter(np.pad(mask[rows, columns].astype(np.float32), 3), SMOOTH), 0.5)
    return [line[:, ::-1] + (columns.start - 3, rows.start - 3) for line in lines]
