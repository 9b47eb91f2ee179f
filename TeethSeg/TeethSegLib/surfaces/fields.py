"""Surfaces finer than voxels: the level set of a tooth's own probability less the best other.

Two things compete with a tooth: what is no tooth, where its probability falls below one half, and its neighbours, whose
shares of each place come from the blurred map of who owns which voxel. Both are turned into distances in voxels, as if the
transition were that of a blurred edge, and the nearer one counts. So the surface is where neither has the upper hand, and
neighbours share one border.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import find_objects, gaussian_filter
from scipy.special import erfinv

from ..volume import Volume
from .mesh import Body, contour, solid_body
from .triangles import arrays, from_arrays

if TYPE_CHECKING:
    from ..cascade.maps import ToothMaps

_MARGIN = 4  # voxels around a tooth
_BLUR = 1.0  # voxels: of the borders between teeth
_SHARPEST = 0.98  # shares beyond tell no distance any more
_LEAST = 0.03  # voxels; a surface never passes nearer to a voxel's centre, which keeps triangles from collapsing


def field_body(maps: ToothMaps, fdi: int, scan: Volume | None = None) -> Body:
    """One tooth, bounded by a single closed manifold shell that faces outwards.

    Parameters
    ----------
    maps : ToothMaps
    fdi : int
        Which owner's.
    scan : Volume, optional
        Any image on the scan's grid: where its voxels end the tooth is cut flat.

    Raises
    ------
    ValueError
        If no voxel has that owner.
    """
    found = find_objects((maps.owner == fdi).view(np.uint8))
    if not found:
        raise ValueError(f"no voxel belongs to tooth {fdi}")
    box = tuple(slice(max(side.start - _MARGIN, 0), side.stop + _MARGIN) for side in found[0])
    level = tooth_level(maps.tooth[box], maps.owner[box], fdi)
    start = np.array(maps.origin) + maps.spacing * np.array([side.start for side in box[::-1]])
    if scan is not None:
        level = np.minimum(level, _room(scan, start, maps.spacing, level.shape))
    if not (level > 0).any():  # single voxels among neighbours, whose blurred shares cover them
        level = np.where(maps.owner[box] == fdi, np.float32(_LEAST), np.minimum(level, -_LEAST))
    level = _one_body(level)
    vertices, faces = arrays(contour(level))
    vertices, faces = start + maps.spacing * vertices, faces[:, ::-1]  # contoured from outside
    volume = float(np.clip(0.5 + level, 0, 1).sum(dtype=float)) * maps.spacing**3
    return Body(from_arrays(vertices, faces), volume, maps.spacing)


def tooth_level(tooth: np.ndarray, owner: np.ndarray, fdi: int) -> np.ndarray:
    """How many voxels deep each voxel lies in a tooth, about, negative outside; float32 (Z, Y, X).

    Parameters
    ----------
    tooth : ndarray of uint8, shape (Z, Y, X)
        Probability of tooth, 255 for 1.
    owner : ndarray of uint8, shape (Z, Y, X)
        FDI numbers.
    """
    depth = _depth_of(np.linspace(-1, 1, 256, dtype=np.float32))[tooth]
    # What is tooth and nobody's (an extra tooth that has no number) is no part of this one.
    others = (owner != fdi) & ((owner != 0) | (tooth > 127))
    own_share = gaussian_filter((owner == fdi).astype(np.float32), _BLUR, truncate=3.0, mode="nearest")
    if not others.any():
        return np.where(own_share > 1e-4, depth, np.minimum(depth, -_LEAST))
    share = gaussian_filter(others.astype(np.float32), _BLUR, truncate=3.0, mode="nearest")
    both = own_share + share
    lead = np.where(both > 1e-4, (own_share - share) / np.maximum(both, 1e-4), -1)
    return np.minimum(depth, _depth_of(lead))


def _depth_of(lead: np.ndarray) -> np.ndarray:
    """Distance in voxels from a straight edge blurred by `_BLUR`, from the share of its inner side less the outer's."""
    return (np.sqrt(2) * _BLUR * erfinv(np.clip(lead, -_SHARPEST, _SHARPEST))).astype(np.float32)


def _room(scan: Volume, start: np.ndarray, spacing: float, shape: tuple[int, ...]) -> np.ndarray:
    """Distance in voxels of a region grid to the outer faces of a scan's voxels, negative beyond; float32 (Z, Y, X)."""
    inverse = np.linalg.inv(scan.affine)
    z, y, x = (first + spacing * np.arange(count) for first, count in zip(start[::-1], shape, strict=True))
    room = np.full(shape, 1e3, np.float32)
    for axis, count in enumerate(scan.array.shape[::-1]):
        row = inverse[axis]
        index = row[2] * z[:, None, None] + row[1] * y[:, None] + row[0] * x + row[3]
        unit = scan.spacing[axis] / spacing
        room = np.minimum(room, unit * np.minimum(index + 0.5, count - 0.5 - index))
    return room.astype(np.float32)


def _one_body(level: np.ndarray) -> np.ndarray:
    """The level with all but the largest body taken out and its cavities filled, one voxel of outside around it."""
    level = np.pad(level, 1, mode="edge")
    # What goes on beyond the box ends at the faces of its last voxels.
    for axis in range(3):
        ends = np.moveaxis(level, axis, 0)
        for end, next_to_it in ((0, 1), (-1, -2)):
            ends[end] = -np.maximum(np.abs(ends[next_to_it]), _LEAST)
    body = solid_body(level[1:-1, 1:-1, 1:-1] > 0)
    return np.where(body, np.maximum(level, _LEAST), np.minimum(level, -_LEAST))
