"""Large fillings, given to their teeth.

A network that has learned to leave out brackets and bands leaves out large fillings too: they are as bright, and reach the
tooth's surface. But brackets stand on a tooth, and fillings lie within its convex hull.
"""

from __future__ import annotations

from dataclasses import replace

import cc3d
import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from ..boxes import label_boxes
from .predictions import FineMaps

# Share of a piece of metal that lies within a tooth's hull: 0.60 and more of fillings in a real scan and six simulated ones,
# 0.34 at most of brackets, 0.53 of a band with metal beside it.
MOST = 0.56
LEAST = 5.0  # mm³; smaller bright specks are noise


def with_fillings(maps: FineMaps, owner: np.ndarray) -> tuple[FineMaps, np.ndarray]:
    """Maps and teeth with the fillings that stage 2 left out.

    Parameters
    ----------
    maps : FineMaps
        With `metal`; without it, nothing is changed.
    owner : ndarray of int, shape (Z, Y, X)
        Number of the tooth that a voxel belongs to; 0 for none.

    Returns
    -------
    maps : FineMaps
        `tooth` is 1 in these fillings.
    owner : ndarray of int, shape (Z, Y, X)
    """
    if maps.metal is None:
        return maps, owner
    pieces = cc3d.connected_components(maps.metal & (owner == 0), connectivity=6)
    size = np.bincount(pieces.ravel())
    pieces[size[pieces] * maps.voxel_volume < LEAST] = 0
    filled = owner.copy()
    for number, box in label_boxes(owner).items():
        if not pieces[box].any():
            continue
        bright = np.argwhere(pieces[box])
        bright = bright[_within_hull(bright, owner[box] == number)]
        piece = pieces[box][tuple(bright.T)]
        share = np.bincount(piece, minlength=len(size)) / size
        filled[box][tuple(bright[share[piece] >= MOST].T)] = number
    return replace(maps, tooth=np.where(filled == owner, maps.tooth, np.float32(1))), filled


def _within_hull(points: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Which points (N, 3), in voxels, lie within the convex hull of a mask."""
    outline = mask & ~ndimage.binary_erosion(mask)
    try:
        planes = ConvexHull(np.argwhere(outline)).equations
    except QhullError:  # flat
        return np.zeros(len(points), bool)
    return (points @ planes[:, :3].T + planes[:, 3]).max(axis=1) <= 0
