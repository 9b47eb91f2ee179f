"""Surfaces finer than voxels: the level set of a tooth's own probability less the best other.

Two things compete with a tooth: what is no tooth, where its probability falls below one half, and its neighbours, whose
shares of each place come from the blurred map of who owns which voxel. Both are turned into distances in voxels, as if the
transition were that of a blurred edge, and the nearer one counts. So the surface is where neither has the upper hand, and
neighbours share one border.

The half value alone would make teeth too small or not, as the network's doubt is of one kind or another. If it shifts the
border to and fro, half is exact, and the sum of the probabilities is too large wherever the tooth is convex. If it shifts
the tooth as a whole, as a blur does, the sum is exact, and half is too small by as much: 0.2 mm of doubt take 1 % of a lower
incisor. A map does not tell which it is, so a body's volume is the mean of both, at most half of that off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import erfinv

from ..boxes import bounding_box, widened
from ..resampling import region_indices
from ..volume import Volume
from .mesh import Body, caps, contour, solid_body
from .triangles import arrays, from_arrays

if TYPE_CHECKING:
    from ..cascade.predictions import ToothMaps

_MARGIN = 4  # voxels around a tooth
_BLUR = 1.0  # voxels: of the borders between teeth
_SHARPEST = 0.98  # shares beyond tell no distance any more
_DOUBT = 3  # voxels from the surface, beyond which no probability counts
_FAR = np.float32(1e3)  # voxels
_LEAST = 0.03  # voxels; a surface never passes nearer to a voxel's centre, which keeps triangles from collapsing


def level_set_body(
    maps: ToothMaps, fdi: int, scan: Volume | None = None, found: tuple[slice, slice, slice] | None = None
) -> Body:
    """One tooth, bounded by a single closed manifold shell that faces outwards.

    Parameters
    ----------
    maps : ToothMaps
    fdi : int
        Which owner's.
    scan : Volume, optional
        Any image on the scan's grid: where its voxels end the tooth is cut flat.
    found : tuple of slice, optional
        The box of the owner's voxels, if known.

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
    if not (level > 0).any():  # single voxels among neighbours, whose blurred shares cover them
        level = np.where(owner == fdi, np.float32(_LEAST), np.minimum(level, -_LEAST))
    level = _one_body(level)
    vertices, faces = arrays(contour(level))
    vertices, faces = start + maps.spacing * vertices, faces[:, ::-1]  # contoured from outside
    half = float(np.clip(0.5 + level, 0, 1).sum(dtype=float))
    volume = (half + _expected_voxels(tooth, room, level)) / 2 * maps.spacing**3
    return Body(from_arrays(vertices, faces), volume, maps.spacing, () if scan is None else caps(vertices, scan))


def _expected_voxels(tooth: np.ndarray, room: np.ndarray, level: np.ndarray) -> float:
    """Sum of the probabilities around the surface of a body, and of all voxels deeper within it."""
    own = np.pad(tooth / np.float32(255) * np.clip(0.5 + room, 0, 1), 1)
    inside = level > 0
    unsure = _grown(inside) & _grown(~inside)
    return float(np.where(unsure, own, inside).sum(dtype=float))


def _grown(mask: np.ndarray) -> np.ndarray:
    """With all voxels that are at most `_DOUBT` away along each axis."""
    for axis in range(3):
        before = np.moveaxis(mask, axis, 0)
        after = before.copy()
        for step in range(1, _DOUBT + 1):
            after[step:] |= before[:-step]
            after[:-step] |= before[step:]
        mask = np.moveaxis(after, 0, axis)
    return mask


def _room_beside(tooth: np.ndarray, owner: np.ndarray, fdi: int) -> np.ndarray:
    """Distance in voxels to the border with other teeth, about, negative beyond; float32 (Z, Y, X)."""
    # Voxels of a tooth without a number (an extra tooth) are no part of this one.
    others = (owner != fdi) & ((owner != 0) | (tooth > 127))
    own_share = gaussian_filter((owner == fdi).astype(np.float32), _BLUR, truncate=3.0, mode="nearest")
    if not others.any():
        return np.where(own_share > 1e-4, _FAR, -_FAR)
    share = gaussian_filter(others.astype(np.float32), _BLUR, truncate=3.0, mode="nearest")
    both = own_share + share
    lead = np.where(both > 1e-4, (own_share - share) / np.maximum(both, 1e-4), -1)
    return _depth_of(lead)


def _depth_of(lead: np.ndarray) -> np.ndarray:
    """Distance in voxels from a straight edge blurred by `_BLUR`, from the share of its inner side less the outer's."""
    unit = np.float32(np.sqrt(2) * _BLUR)
    depth = np.where(lead < 0, -1, 1) * (unit * erfinv(np.float32(_SHARPEST)))
    near = np.abs(lead) < _SHARPEST  # elsewhere it is the same, and the function takes long
    depth[near] = unit * erfinv(lead[near])
    return depth.astype(np.float32)


def _room_in(scan: Volume, start: np.ndarray, spacing: float, shape: tuple[int, ...]) -> np.ndarray:
    """Distance in voxels of a region grid to the outer faces of a scan's voxels, negative beyond; float32 (Z, Y, X)."""
    room = np.full(shape, _FAR)
    indices = region_indices(scan, tuple(start), spacing, shape)
    for index, count, side in zip(indices, scan.array.shape, scan.spacing_zyx, strict=True):
        room = np.minimum(room, side / spacing * np.minimum(index + 0.5, count - 0.5 - index))
    return room.astype(np.float32)


def _one_body(level: np.ndarray) -> np.ndarray:
    """The level with all but the largest body taken out and its cavities filled, one voxel of outside around it."""
    level = np.pad(level, 1, mode="edge")
    # A tooth that goes on beyond the box ends at the faces of its last voxels.
    for axis in range(3):
        ends = np.moveaxis(level, axis, 0)
        for end, next_to_it in ((0, 1), (-1, -2)):
            ends[end] = -np.maximum(np.abs(ends[next_to_it]), _LEAST)
    body = solid_body(level[1:-1, 1:-1, 1:-1] > 0)
    return np.where(body, np.maximum(level, _LEAST), np.minimum(level, -_LEAST))
