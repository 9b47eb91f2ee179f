"""Assignment of large fillings to their teeth.

A network that was trained to leave out brackets and bands leaves out large fillings too: they are as bright, and reach
the tooth's surface. But brackets lie mostly outside the convex hull of a tooth, and fillings within it.
"""

from __future__ import annotations

from dataclasses import replace

import cc3d
import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from ..boxes import label_boxes
from .predictions import FineMaps

# Least share of a piece of metal within a tooth's hull. Measured shares: 0.60 and more for fillings in a real scan and
# six simulated ones, 0.34 at most for brackets, 0.53 for a band with metal beside it.
MOST = 0.56
LEAST = 5.0  # mm³; smaller bright specks are noise


def with_fillings(maps: FineMaps, owner: np.ndarray) -> tuple[FineMaps, np.ndarray]:
    """Add the fillings that stage 2 left out to the maps and teeth.

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
        Number of the tooth of each voxel, fillings included.
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
    """Whether each point (N, 3), in voxels, lies within the convex hull of a mask; shape (N,)."""
    outline = mask & ~ndimage.binary_erosion(mask)
    try:
        planes = ConvexHull(np.argwhere(outline)).equations
    except QhullError:  # a flat mask has no hull
        return np.zeros(len(points), bool)
    return (points @ planes[:, :3].T + planes[:, 3]).max(axis=1) <= 0
