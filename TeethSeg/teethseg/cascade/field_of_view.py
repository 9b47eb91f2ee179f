"""The field of view: the voxels of a scan that hold data. Most devices reconstruct a cylinder and store a box around it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..padding import PatientGreys
from ..resampling import region_indices
from ..volume import Volume
from .region import Region

_SLAB = 32  # planes that are compared at a time
_LEAST_PADDING = 0.03  # share of a slice; the corners outside a cylinder are 0.21 of its box


class PatientMask:
    """Mask of the patient's voxels, computed for the indexed part only, because a mask of the whole scan would be large."""

    def __init__(self, array: np.ndarray, greys: PatientGreys):
        self._array, self._greys = array, greys

    def __getitem__(self, part) -> np.ndarray:
        return self._greys.covers(self._array[part])


def columns_with_data(array: np.ndarray) -> tuple[int, np.ndarray] | None:
    """The cross-section of a cylinder that a scan's data fill.

    The padding has one value in all four long edges of the box and in whole columns parallel to them. Scans with clipped air
    have such columns too, but not beside the teeth.

    Parameters
    ----------
    array : ndarray, shape (Z, Y, X)
        The scan.

    Returns
    -------
    axis : int
        Array axis of the cylinder.
    data : ndarray of bool
        Whether each column along it holds data: the array's shape without that axis. None in place of both without padding.
    """
    cylinder = None
    share = _LEAST_PADDING
    for axis in range(3):
        columns = np.moveaxis(array, axis, 0)
        value = columns[0, 0, 0]
        edges = columns[:, [0, 0, -1, -1], [0, -1, 0, -1]]
        if np.any(edges != value):
            continue
        padding = (columns[:: max(1, len(columns) // 16)] == value).all(axis=0)
        for start in range(0, len(columns), _SLAB):  # comparing the whole scan at once would take half its memory
            padding[padding] = (columns[start : start + _SLAB, padding] == value).all(axis=0)
        if share < padding.mean() < 1:  # across a cylinder's axis there are empty columns too, but fewer
            cylinder, share = (axis, ~padding), padding.mean()
    return cylinder


def has_data(volume: Volume, greys: PatientGreys | None = None) -> np.ndarray | PatientMask | None:
    """Mask of the voxels of a scan that hold data, as an object that gives a bool array for a box; None if all do."""
    cylinder = columns_with_data(volume.array)
    if cylinder is None:
        return PatientMask(volume.array, greys) if greys is not None and greys.padding else None
    axis, data = cylinder
    return np.broadcast_to(np.expand_dims(data, axis), volume.array.shape)


def region_has_data(volume: Volume, region: Region, data: np.ndarray | PatientMask | None = None) -> np.ndarray:
    """Whether each voxel of a region lies where the scan holds data, bool (Z, Y, X); `data` is `has_data` of the scan."""
    inside = np.ones(region.shape, bool)
    nearest = []
    for index, count in zip(_indices(volume, region), volume.array.shape, strict=True):
        inside &= (index >= -0.5) & (index <= count - 0.5)
        if data is not None:
            nearest.append(_rounded(index, count))
    return inside if data is None else inside & data[tuple(nearest)]


def region_has_patient(volume: Volume, region: Region, greys: PatientGreys) -> np.ndarray:
    """Whether each voxel of a region lies in the scan and not in its padding, bool (Z, Y, X)."""
    sizes = zip(_indices(volume, region), volume.array.shape, strict=True)
    nearest = tuple(_rounded(index, count) for index, count in sizes)
    return region_has_data(volume, region) & greys.covers(volume.array[nearest])


def _indices(volume: Volume, region: Region) -> Iterator[np.ndarray]:
    """Fractional indices of a region's voxels along each axis of the scan's array; float32, broadcasting to (Z, Y, X)."""
    for index in region_indices(volume, region.origin, region.spacing, region.shape):
        yield index.astype(np.float32)


def _rounded(index: np.ndarray, count: int) -> np.ndarray:
    return np.clip(np.rint(index), 0, count - 1).astype(np.int32)
