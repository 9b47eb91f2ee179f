"""The panorama: the arches unrolled from the patient's right to the left, seen from the front, as on a radiograph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from .arches import Arches, ArchSurface, Jaws
from .box import ArchBox

Projection = Literal["mean", "maximum"]

THINNEST_MM, THICKEST_MM = 1.0, 25.0
DEPTH_STEP_MM = 0.5
RAY_STEP_MM = 0.2
OVERHANG_MM = 10.0  # past the middle of the last tooth


@dataclass(frozen=True)
class PanoramaOptions:
    """Options of the panorama.

    Attributes
    ----------
    jaws : {'upper', 'lower', 'both'}
    slab_mm : float
        Thickness across the arch, 1 to 25 mm.
    projection : {'mean', 'maximum'}
        The visible part of it.
    """

    jaws: Jaws = "both"
    slab_mm: float = 10.0
    projection: Projection = "mean"

    def __post_init__(self):
        object.__setattr__(self, "slab_mm", float(np.clip(self.slab_mm, THINNEST_MM, THICKEST_MM)))


@dataclass(frozen=True)
class PanoramaGeometry:
    """Where the pixels of a panorama lie in the patient; rows and columns may be fractions.

    Attributes
    ----------
    arches : Arches
    options : PanoramaOptions
    first_mm : float
        Place along the line of the first column.
    columns : int
    heights : ndarray, shape (rows,)
        Of the rows in mm above the occlusal plane, descending.
    step : float
        From row to row and from column to column, in mm.
    """

    arches: Arches
    options: PanoramaOptions
    first_mm: float
    columns: int
    heights: np.ndarray
    step: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.heights), self.columns

    @property
    def places(self) -> np.ndarray:
        """Of the columns in mm along the line."""
        return self.first_mm + self.step * np.arange(self.columns)

    @cached_property
    def surface(self) -> ArchSurface:
        """The curved surface in the middle of the slab."""
        return self.arches.surface(self.options.jaws)

    def lps(self, column: np.ndarray, row: np.ndarray, depth: np.ndarray | float = 0.0) -> np.ndarray:
        """Points (N, 3) in the patient, LPS mm, under pixels (N,), `depth` mm behind the middle of the slab."""
        column, row, depth = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(one, float)) for one in (column, row, depth))
        )
        height = self.heights[0] - self.step * row
        plane = self.surface.points(self.first_mm + self.step * column, height, depth)
        return self.arches.frame.to_lps(np.concatenate([plane, height[:, None]], axis=1))

    def pixel(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Column, row and depth in mm (each (N,)) of points (N, 3) in the patient, LPS mm."""
        places = self.arches.frame.from_lps(np.atleast_2d(points))
        along, depth = self.surface.locate(places[:, :2], places[:, 2])
        return (along - self.first_mm) / self.step, (self.heights[0] - places[:, 2]) / self.step, depth


@dataclass(frozen=True)
class Panorama:
    """A panorama.

    Attributes
    ----------
    grey : ndarray of float32, shape (rows, columns)
        Grey values of the scan.
    geometry : PanoramaGeometry
        Where its pixels lie.
    box : ArchBox
        Its source.
    """

    grey: np.ndarray
    geometry: PanoramaGeometry
    box: ArchBox

    def lps(self, column: float, row: float) -> np.ndarray:
        """The point (3,) in the patient that a pixel shows: the middle of the slab; with the maximum, the brightest thing."""
        if self.geometry.options.projection == "mean":
            return self.geometry.lps(np.array([column]), np.array([row]))[0]
        half = self.geometry.options.slab_mm / 2
        depths = np.arange(-half, half + RAY_STEP_MM / 2, RAY_STEP_MM)
        points = self.geometry.lps(np.full(len(depths), column), np.full(len(depths), row), depths)
        depth = depths[0] + RAY_STEP_MM * _middle_of_peak(self.box.values(points))
        return self.geometry.lps(np.array([column]), np.array([row]), depth)[0]


def panorama_geometry(box: ArchBox, arches: Arches, options: PanoramaOptions) -> PanoramaGeometry:
    """Where the pixels of a panorama lie: as many as the box has levels, square in millimetres along the line."""
    first, last = arches.curve(options.jaws).ends
    first, last = first - OVERHANG_MM, last + OVERHANG_MM
    heights = box.heights[box.levels(*arches.heights[options.jaws])]
    return PanoramaGeometry(arches, options, first, int((last - first) / box.step) + 1, heights, box.step)


def panorama(box: ArchBox, arches: Arches, options: PanoramaOptions | None = None) -> Panorama:
    """Unroll the arches.

    Parameters
    ----------
    box : ArchBox
        From `box.scan_box`, for these arches or for their shape before they were dragged.
    arches : Arches
    options : PanoramaOptions, optional
    """
    options = options or PanoramaOptions()
    geometry = panorama_geometry(box, arches, options)
    curve, half = geometry.surface.curve, options.slab_mm / 2
    # Where the slab's middle is, behind the curve.
    course = geometry.surface.course(geometry.places, geometry.heights[:, None])
    behind = np.arange(course.min() - half - DEPTH_STEP_MM, course.max() + half + 2 * DEPTH_STEP_MM, DEPTH_STEP_MM)
    points = curve.at(geometry.places)[:, None] + behind[:, None] * curve.backwards(geometry.places)[:, None]
    sampler = box.sampler(points)
    grey = np.empty(geometry.shape, np.float32)
    length = options.slab_mm / DEPTH_STEP_MM
    project = _mean if options.projection == "mean" else _maximum
    for row, level in enumerate(box.levels(*arches.heights[options.jaws])):
        values = (sampler @ box.flat(level)).reshape(points.shape[:2])
        first = (course[row] - half - behind[0]) / DEPTH_STEP_MM  # sample, as a fraction, at which the slab begins
        grey[row] = project(values, first, length)
    return Panorama(grey, geometry, box)


def _mean(values: np.ndarray, first: np.ndarray, length: float) -> np.ndarray:
    """Mean (columns,) of values (columns, depths) over `length` samples from `first` (columns,) on, both fractions."""
    total = np.zeros((len(values), values.shape[1]), np.float32)
    np.cumsum((values[:, 1:] + values[:, :-1]) / 2, axis=1, out=total[:, 1:])
    return (_between(total, first + length) - _between(total, first)) / np.float32(length)


def _maximum(values: np.ndarray, first: np.ndarray, length: float) -> np.ndarray:
    """Maximum (columns,) of values (columns, depths) within `length` samples from `first` (columns,) on, both fractions."""
    last = first + length
    window = np.ceil(first).astype(int)[:, None] + np.arange(int(length) + 1)
    inside = values[np.arange(len(values))[:, None], window]
    inside[window > last[:, None]] = -np.inf
    return np.maximum(inside.max(axis=1), np.maximum(_between(values, first), _between(values, last)))


def _between(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Values (columns,) of values (columns, depths) at samples (columns,) that are fractions."""
    each, whole = np.arange(len(values)), place.astype(int)
    part = (place - whole).astype(np.float32)
    return (1 - part) * values[each, whole] + part * values[each, whole + 1]


def _middle_of_peak(values: np.ndarray) -> float:
    """The sample, as a fraction, in the middle of the values (N,) that are about as bright as the brightest one.

    A bead or a filling is bright all through: the first of its brightest samples would lie on its surface.
    """
    best = int(values.argmax())
    half = (values[best] + values.mean()) / 2
    below = np.flatnonzero(values < half)
    before, after = below[below < best], below[below > best]
    start, end = 0.0, len(values) - 1.0
    if len(before):
        n = before[-1]
        start = n + (half - values[n]) / (values[n + 1] - values[n])
    if len(after):
        n = after[0]
        end = n - (half - values[n]) / (values[n - 1] - values[n])
    return float((start + end) / 2)
