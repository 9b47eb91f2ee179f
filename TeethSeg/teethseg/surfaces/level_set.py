"""Surfaces with sub-voxel accuracy: a level set of the tooth probability and the owner map.

Two regions compete with a tooth: the background, where the probability of tooth is below one half, and the neighbours, whose
shares come from the blurred owner map. Both are converted to distances in voxels, as if the transition were a blurred edge, and
the smaller distance counts. So neighbours share one border.

The volume needs a correction that depends on the kind of uncertainty. If the network is uncertain about the border, the level
one half is exact, and the sum of the probabilities is too large where the tooth is convex. If it is uncertain about the place
of the whole tooth, the sum is exact, and the level one half is too small: 0.2 mm take 1 % of a lower incisor. A map does not
show which case holds, so the volume of a body is the mean of both, with at most half of this error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import erfinv

from ..boxes import Box, bounding_box, triple, widened
from ..resampling import region_indices
from ..volume import Volume
from .mesh import Body, caps, contour, solid_body
from .triangles import arrays, from_arrays

if TYPE_CHECKING:
    from ..cascade.predictions import ToothMaps

_MARGIN = 4  # voxels around the box of a tooth
_BLUR = 1.0  # voxels; sigma of the blur of the owner map
_SHARPEST = 0.98  # larger differences of shares give no distance
_DOUBT = 3  # voxels; probabilities farther from the surface do not count
_FAR = np.float32(1e3)  # voxels
_LEAST = 0.03  # voxels; smallest distance of the surface from voxel centres, so that triangles do not collapse


def level_set_body(maps: ToothMaps, fdi: int, scan: Volume | None = None, found: Box | None = None) -> Body:
    """One tooth, bounded by a single closed manifold shell that faces outwards.

    Parameters
    ----------
    maps : ToothMaps
    fdi : int
        Owner of the tooth in the maps.
    scan : Volume, optional
        Any image on the grid of the scan: the tooth is cut flat at its border.
    found : tuple of slice, optional
        The box of the voxels of the owner, if known.

    Raises
    ------
    ValueError
        If no voxel has that owner.
    """
    found = found or bounding_box(maps.owner == fdi)
    if found is None:
        raise ValueError(f"no voxel belongs to tooth {fdi}")
    box = widened(found, _MARGIN, (1, 1, 1), maps.owner.shape)
    tooth, owner = maps.tooth[box], maps.owner[box]
    room = _room_beside(tooth, owner, fdi)
    start = np.array(maps.origin) + maps.spacing * np.array([side.start for side in box[::-1]])
    if scan is not None:
        room = np.minimum(room, _room_in(scan, start, maps.spacing, room.shape))
    level = np.minimum(_depth_of(np.linspace(-1, 1, 256, dtype=np.float32))[tooth], room)
    if not (level > 0).any():  # single voxels that the blurred shares of neighbours cover
        level = np.where(owner == fdi, np.float32(_LEAST), np.minimum(level, -_LEAST))
    level = _one_body(level)
    vertices, faces = arrays(contour(level))
    vertices, faces = start + maps.spacing * vertices, faces[:, ::-1]  # `contour` orients faces inwards
    half = float(np.clip(0.5 + level, 0, 1).sum(dtype=float))
    volume = (half + _expected_voxels(tooth, room, level)) / 2 * maps.spacing**3
    return Body(from_arrays(vertices, faces), volume, maps.spacing, () if scan is None else caps(vertices, scan))


def _expected_voxels(tooth: np.ndarray, room: np.ndarray, level: np.ndarray) -> float:
    """Sum of the probabilities near the surface of a body, and number of voxels deeper within it."""
    own = np.pad(tooth / np.float32(255) * np.clip(0.5 + room, 0, 1), 1)
    inside = level > 0
    unsure = _grown(inside) & _grown(~inside)
    return float(np.where(unsure, own, inside).sum(dtype=float))


def _grown(mask: np.ndarray) -> np.ndarray:
    """Dilation by `_DOUBT` voxels along each axis (a cube; quicker than `ndimage.binary_dilation`)."""
    for axis in range(3):
        before = np.moveaxis(mask, axis, 0)
        after = before.copy()
        for step in range(1, _DOUBT + 1):
            after[step:] |= before[:-step]
            after[:-step] |= before[step:]
        mask = np.moveaxis(after, 0, axis)
    return mask


def _room_beside(tooth: np.ndarray, owner: np.ndarray, fdi: int) -> np.ndarray:
    """Approximate distance in voxels to the border with other teeth, negative beyond; float32 (Z, Y, X)."""
    # Tooth voxels without an owner (a supernumerary tooth) are not part of this tooth.
    others = (owner != fdi) & ((owner != 0) | (tooth > 127))
    own_share = gaussian_filter((owner == fdi).astype(np.float32), _BLUR, truncate=3.0, mode="nearest")
    if not others.any():
        return np.where(own_share > 1e-4, _FAR, -_FAR)
    share = gaussian_filter(others.astype(np.float32), _BLUR, truncate=3.0, mode="nearest")
    both = own_share + share
    lead = np.where(both > 1e-4, (own_share - share) / np.maximum(both, 1e-4), -1)
    return _depth_of(lead)


def _depth_of(lead: np.ndarray) -> np.ndarray:
    """Distance in voxels from a straight edge blurred by `_BLUR`, from the difference of the inner and the outer share."""
    unit = np.float32(np.sqrt(2) * _BLUR)
    depth = np.where(lead < 0, -1, 1) * (unit * erfinv(np.float32(_SHARPEST)))
    near = np.abs(lead) < _SHARPEST  # elsewhere it is constant, and `erfinv` is slow
    depth[near] = unit * erfinv(lead[near])
    return depth.astype(np.float32)


def _room_in(scan: Volume, start: np.ndarray, spacing: float, shape: tuple[int, ...]) -> np.ndarray:
    """Distance, in voxels of a region grid, to the border of a scan, negative beyond; float32 (Z, Y, X)."""
    room = np.full(shape, _FAR)
    indices = region_indices(scan, triple(start), spacing, shape)
    for index, count, side in zip(indices, scan.array.shape, scan.spacing_zyx, strict=True):
        room = np.minimum(room, side / spacing * np.minimum(index + 0.5, count - 0.5 - index))
    return room.astype(np.float32)


def _one_body(level: np.ndarray) -> np.ndarray:
    """The level with only the largest body, its cavities filled, padded by one voxel of background."""
    level = np.pad(level, 1, mode="edge")
    # A tooth that continues beyond the box ends at the faces of its last voxels.
    for axis in range(3):
        ends = np.moveaxis(level, axis, 0)
        for end, next_to_it in ((0, 1), (-1, -2)):
            ends[end] = -np.maximum(np.abs(ends[next_to_it]), _LEAST)
    body = solid_body(level[1:-1, 1:-1, 1:-1] > 0)
    return np.where(body, np.maximum(level, _LEAST), np.minimum(level, -_LEAST))
