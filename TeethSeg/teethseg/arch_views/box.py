"""The part of a scan around the arches, along the axes of their frame: the source of panorama and sections.

It is made once for a scan. As every view of an arch stands upright on its line, a view is then a product of one sparse matrix
(the places along and across the line) with each level of the box, which keeps up with a curve that is dragged.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.sparse import csr_array

from ..padding import patient_greys
from ..resampling import labels_on_grid, scan_on_grid
from ..volume import Volume
from .arches import Arches
from .frame import Frame

FINEST_MM, COARSEST_MM = 0.2, 0.3
AROUND_MM = 25.0  # to all sides of the lines: half a slab, half a section and room to drag


@dataclass(frozen=True)
class ArchBox:
    """Voxels along the axes of a frame.

    Attributes
    ----------
    array : ndarray of float32 or uint8, shape (levels, rows, columns)
        Level by level upwards, rows backwards, columns to the patient's left.
    frame : Frame
    start : ndarray, shape (3,)
        Millimetres in the frame (left, backwards, upwards) of the first voxel.
    step : float
        Edge of a voxel in mm.
    """

    array: np.ndarray
    frame: Frame
    start: np.ndarray
    step: float

    @cached_property
    def heights(self) -> np.ndarray:
        """Of the levels in mm, ascending."""
        return self.start[2] + self.step * np.arange(len(self.array))

    @cached_property
    def numbers(self) -> np.ndarray:
        """The labels that there are, 0 among them, ascending."""
        return np.flatnonzero(sum(np.bincount(self.flat(level), minlength=256) for level in range(len(self.array))))

    def levels(self, low: float, high: float) -> np.ndarray:
        """The levels between two heights, from the top down."""
        return np.flatnonzero((self.heights >= low) & (self.heights <= high))[::-1]

    def _indices(self, points: np.ndarray) -> np.ndarray:
        """Columns and rows (..., 2), as fractions, of points in the plane in mm; those outside at the rim."""
        most = np.array(self.array.shape[:0:-1]) - 1
        return np.clip((points - self.start[:2]) / self.step, 0, most)

    def sampler(self, points: np.ndarray) -> csr_array:
        """Sparse matrix (points, pixels) that interpolates a flat level linearly at points (..., 2) of the plane."""
        columns = self.array.shape[2]
        at = self._indices(points).astype(np.float32).reshape(-1, 2)
        first = np.minimum(at.astype(np.int32), np.array(self.array.shape[:0:-1], np.int32) - 2)
        x, y = (at - first).T
        corner = first[:, 1] * np.int32(columns) + first[:, 0]
        indices = (corner[:, None] + np.array([0, 1, columns, columns + 1], np.int32)).ravel()
        weights = np.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], axis=1).ravel()
        ends = np.arange(0, len(indices) + 1, 4, dtype=np.int32)
        return csr_array((weights, indices, ends), shape=(len(at), self.array.shape[1] * columns))

    def nearest(self, points: np.ndarray) -> np.ndarray:
        """Index in a flat level of the voxel nearest to points (..., 2) in the plane."""
        at = np.rint(self._indices(points)).astype(np.int32)
        return at[..., 1] * np.int32(self.array.shape[2]) + at[..., 0]

    def values(self, points: np.ndarray) -> np.ndarray:
        """Linearly interpolated values (N,) at points (N, 3) in the patient, LPS mm; outside of the box those at its rim."""
        at = (self.frame.from_lps(points) - self.start)[:, ::-1].T / self.step
        return map_coordinates(self.array, at, order=1, mode="nearest", output=np.float32)

    def thinned(self, every: int = 2) -> ArchBox:
        """Of every few voxels one, for views that are drawn while a curve is dragged."""
        array = np.ascontiguousarray(self.array[::every, ::every, ::every])
        return ArchBox(array, self.frame, self.start, self.step * every)

    def flat(self, level: int) -> np.ndarray:
        """A level as one row of pixels."""
        return self.array[level].reshape(-1)


def scan_box(scan: Volume, arches: Arches, step: float | None = None) -> ArchBox:
    """The part of a scan around the arches.

    Parameters
    ----------
    scan : Volume
        Any intensities, spacing and direction.
    arches : Arches
    step : float, optional
        Edge of a voxel in mm; unless given, about that of the scan.
    """
    grid, start, step = _grid(scan, arches, step)
    greys = patient_greys(scan.array, scan.padding)
    return ArchBox(scan_on_grid(scan, grid, greys.darkest, greys), arches.frame, start, step)


def label_box(labels: Volume, like: ArchBox) -> ArchBox:
    """Labels (uint8) on the voxels of another box."""
    return ArchBox(
        labels_on_grid(labels, _volume(like.array.shape, like.frame, like.start, like.step)).array,
        like.frame,
        like.start,
        like.step,
    )


def _grid(scan: Volume, arches: Arches, step: float | None) -> tuple[Volume, np.ndarray, float]:
    step = step or float(np.clip(min(scan.spacing), FINEST_MM, COARSEST_MM))
    handles = np.concatenate([arches.upper.curve.handles, arches.lower.curve.handles])
    low, high = handles.min(axis=0) - AROUND_MM, handles.max(axis=0) + AROUND_MM
    bottom, top = arches.heights["both"]
    start, end = np.array([*low, bottom]), np.array([*high, top])
    count = np.ceil((end - start) / step).astype(int) + 1
    return _volume(tuple(count[::-1]), arches.frame, start, step), start, step


def _volume(shape, frame: Frame, start: np.ndarray, step: float) -> Volume:
    return Volume(np.broadcast_to(np.uint8(0), shape), (step,) * 3, tuple(frame.to_lps(start)), frame.axes)
