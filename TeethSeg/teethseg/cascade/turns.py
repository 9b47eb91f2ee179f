"""Turns of a scan about the origin of LPS: the same voxels in a patient who lies otherwise, and maps turned back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ..boxes import bounding_box, triple, widened
from ..resampling import crop, scan_on_grid
from ..volume import Volume
from .predictions import MARGIN, ToothMaps
from .region import Region


def turned(volume: Volume, matrix: ArrayLike) -> Volume:
    """The same voxels in other places.

    Parameters
    ----------
    volume : Volume
    matrix : array_like, shape (3, 3)
        From the volume's LPS to that of the result: a rotation, or one with a reflection.
    """
    matrix = np.asarray(matrix, float)
    return replace(volume, direction=matrix @ volume.direction, origin=triple(matrix @ np.array(volume.origin)))


def turn_between(before: Volume, after: Volume) -> np.ndarray:
    """The matrix, (3, 3), with which `turned` makes `after` of `before`."""
    return after.direction @ np.linalg.inv(before.direction)


def turned_maps(maps: ToothMaps, matrix: ArrayLike) -> ToothMaps:
    """The maps of a turned patient, on the axes of LPS; the matrix is that of `turned`.

    After turns by right angles they have the same voxels in another order; after others they are interpolated.
    """
    matrix = np.asarray(matrix, float)
    tooth, owner = (Volume(array, (maps.spacing,) * 3, maps.origin) for array in (maps.tooth, maps.owner))
    if np.allclose(matrix, np.rint(matrix), atol=1e-6):
        tooth, owner = turned(tooth, matrix).oriented(), turned(owner, matrix).oriented()
    else:
        region = Region.between(*turned(owner, matrix).extent, maps.spacing)
        grid = region.volume(np.zeros(region.shape, np.uint8))
        seen = turned(grid, np.linalg.inv(matrix))  # the same grid in the patient of the maps
        owner = grid.with_array(maps.labels(seen))
        tooth = grid.with_array(np.rint(scan_on_grid(tooth, seen, 0.0)).astype(np.uint8))
        if found := bounding_box(owner.array):
            box = widened(found, MARGIN, (1, 1, 1), owner.array.shape)
            tooth, owner = crop(tooth, box), crop(owner, box)
    arrays = np.ascontiguousarray(tooth.array), np.ascontiguousarray(owner.array)
    return ToothMaps(*arrays, owner.origin, maps.spacing)
