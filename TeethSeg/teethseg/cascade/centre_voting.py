"""Votes of voxels for the centre of their tooth: they join pieces of one tooth and split objects that are several.

If cores are separate already, splitting by votes cuts roots off (docs/training.md). So votes split only objects that are too
large to be one tooth.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from .predictions import FineMaps

_BIN = 0.5  # mm, for counting votes
_BLUR = 1.0  # mm, standard deviation of the smoothing of votes
_APART = 4.0  # mm: votes for two centres farther apart than this are two teeth ...
_SHARE = 0.3  # ... if the further one is at least this part as dense in votes as the densest ...
_VALLEY = 0.7  # ... and the votes between the two thin out below this part of its own density
_GAIN = 0.7  # votes lie this much closer together than the voxels that cast them, or say nothing


def join_by_votes(labels: np.ndarray, maps: FineMaps, distance: float) -> np.ndarray:
    """Give labels whose median votes lie closer than `distance` (mm) the same number.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Numbered from 1 without gaps; 0 elsewhere.
    maps : FineMaps
        Of the same shape.
    distance : float

    Returns
    -------
    ndarray of int32, shape (Z, Y, X)
        Numbered from 1 without gaps.
    """
    _, owner, centre = _votes(labels, maps)
    count = int(labels.max())
    # A label without any half-resolution voxel has no vote: far away from everybody.
    mode = np.full((count, 3), 1e6) * np.arange(1, count + 1)[:, None]
    for label in np.unique(owner):
        mode[label - 1] = np.median(centre[owner == label], axis=0)
    near = np.linalg.norm(mode[:, None] - mode[None], axis=-1) < distance
    _, group = connected_components(coo_array(near), directed=False)
    return np.concatenate([[0], group + 1]).astype(np.int32)[labels]


def part_by_votes(labels: np.ndarray, chosen: Sequence[int], maps: FineMaps) -> np.ndarray:
    """Part the chosen labels whose votes have several clear modes; each voxel goes with the mode nearest to its vote.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        0 elsewhere.
    chosen : sequence of int
        Labels to look at.
    maps : FineMaps
        Of the same shape.

    Returns
    -------
    ndarray of int32, shape (Z, Y, X)
        New parts have new numbers.
    """
    labels = labels.astype(np.int32)
    index, owner, centre = _votes(np.where(np.isin(labels, chosen), labels, 0), maps)
    following = int(labels.max()) + 1
    for label in np.unique(owner):
        of = owner == label
        modes = _modes(centre[of])
        if len(modes) < 2:
            continue
        astray, part = cKDTree(modes).query(centre[of])
        if _spread(index[of] * 2 * maps.spacing, part) * _GAIN < np.sqrt(np.mean(astray**2)):
            continue
        # Full-resolution voxels follow the nearest half-resolution voxel.
        voxels = np.argwhere(labels == label)
        nearest = cKDTree(2 * index[of] + 0.5).query(voxels)[1]
        labels[tuple(voxels.T)] = np.append(label, np.arange(following, following + len(modes) - 1))[part[nearest]]
        following += len(modes) - 1
    return labels


def _votes(labels: np.ndarray, maps: FineMaps) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labelled half-resolution voxels: index (N, 3), label (N,) and voted centre (N, 3) in mm from voxel 0."""
    half = labels[::2, ::2, ::2]
    index = np.argwhere(half)
    centre = (2 * index + 0.5) * maps.spacing + maps.offset[(slice(None), *index.T)].T
    return index, half[tuple(index.T)], centre


def _spread(points: np.ndarray, group: np.ndarray) -> float:
    """Root mean square distance of points (N, 3) from the mean of their group (N,)."""
    means = np.stack([np.bincount(group, weights=column) for column in points.T], axis=1)
    means /= np.maximum(np.bincount(group), 1)[:, None]
    return float(np.sqrt(np.mean(np.sum((points - means[group]) ** 2, axis=1))))


def _modes(votes: np.ndarray) -> np.ndarray:
    """Places (M, 3) in mm where votes (N, 3) heap up; M <= 1 unless there are clearly several heaps."""
    low = votes.min(axis=0)
    if (np.ptp(votes, axis=0) < _APART / 2).all():
        return votes.mean(axis=0, keepdims=True)
    bins = np.floor((votes - low) / _BIN).astype(int)
    density = np.zeros(bins.max(axis=0) + 1, np.float32)
    np.add.at(density, tuple(bins.T), 1.0)
    density = ndimage.gaussian_filter(density, _BLUR / _BIN, mode="constant")
    peaks = np.argwhere((density == ndimage.maximum_filter(density, 3)) & (density > 0))
    peaks = peaks[np.argsort(-density[tuple(peaks.T)])]
    modes: list[np.ndarray] = []
    for peak in peaks:
        height = density[tuple(peak)]
        if height < _SHARE * density.max():
            break
        if all(_apart(density, peak, mode) for mode in modes):
            modes.append(peak)
    return low + (np.array(modes) + 0.5) * _BIN


def _apart(density: np.ndarray, peak: np.ndarray, mode: np.ndarray) -> bool:
    """Whether a peak lies far from a mode, with a valley between them."""
    if np.linalg.norm((peak - mode) * _BIN) < _APART:
        return False
    path = peak + np.linspace(0, 1, 20)[:, None] * (mode - peak)
    valley = density[tuple(np.round(path).astype(int).T)].min()
    return bool(valley < _VALLEY * density[tuple(peak)])
