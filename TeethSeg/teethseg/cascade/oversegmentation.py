"""From the maps of the fine network to pieces, so small that each belongs to one tooth at most.

Seeds are the parts of the core map that come apart at any probability, and what of the tooth map has no core; they flood the
tooth map. Every voxel also votes for the centre of its tooth, and a piece whose votes heap up in several places comes apart
there. `instances` decides which pieces are one tooth.
"""

from __future__ import annotations

import cc3d
import edt
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.segmentation import watershed

from ..boxes import label_boxes
from .predictions import FineMaps

# Core probabilities at which bridged cores come apart.
_LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999)
_LEAST_SEED = 10.0  # mm³
_LEAST_PIECE = 10.0  # mm³, of a part of the tooth map without a core; what is smaller is speckle
_BIN, _BLUR = 0.5, 1.0  # mm, for counting votes
_HEAP = 0.3  # of the densest heap of votes, from which on a heap counts
_APART = 2.5  # mm between two heaps


def oversegment(maps: FineMaps, mask: np.ndarray) -> np.ndarray:
    """Part a mask into pieces.

    Parameters
    ----------
    maps : FineMaps
    mask : ndarray of bool, shape (Z, Y, X)
        Tooth.

    Returns
    -------
    ndarray of uint32, shape (Z, Y, X)
        Pieces, numbered from 1 without gaps, each 6-connected; 0 elsewhere.
    """
    seeds = _cores(maps, mask)
    whole = cc3d.connected_components(mask, connectivity=6)
    lonely = np.bincount(whole.ravel()) * maps.voxel_volume >= _LEAST_PIECE
    lonely[np.unique(whole[seeds > 0])] = False
    lonely[0] = False
    number = np.where(lonely, seeds.max() + np.cumsum(lonely), 0).astype(np.int32)
    seeds = np.where(seeds > 0, seeds, number[whole])
    if not seeds.any():
        return np.zeros(mask.shape, np.uint32)
    pieces = watershed(edt.edt(seeds == 0, parallel=0), seeds, mask=mask)
    return cc3d.connected_components(_parted_by_votes(pieces, maps).astype(np.uint32), connectivity=6)


def _cores(maps: FineMaps, mask: np.ndarray) -> np.ndarray:
    """Parts of the core map that come apart from one another at some level; int32, from 1."""
    least = _LEAST_SEED / maps.voxel_volume
    cores = cc3d.connected_components((maps.core > _LEVELS[0]) & mask, connectivity=6)
    cores = _numbered(cores, np.bincount(cores.ravel()) >= least)
    inside = np.flatnonzero(cores)  # few of the voxels
    owner, sureness = cores.ravel()[inside], maps.core.ravel()[inside]
    sure = np.zeros(cores.shape, bool)
    for level in _LEVELS[1:]:
        sure.ravel()[inside] = (sureness > level) & (owner > 0)
        parts = cc3d.connected_components(sure, connectivity=6).ravel()[inside]
        parts = _numbered(parts, np.bincount(parts, minlength=1) >= least)
        if not parts.any():
            break
        parent = np.zeros(int(parts.max()) + 1, np.int32)
        parent[parts] = owner  # a part lies in one core
        broken = np.bincount(parent[1:], minlength=int(owner.max()) + 1) > 1
        split = np.concatenate([[False], broken[parent[1:]]])
        number = np.where(split, owner.max() + np.cumsum(split), 0).astype(np.int32)
        owner = np.where(broken[owner], number[parts], owner)
    cores.ravel()[inside] = owner
    return _numbered(cores, np.bincount(cores.ravel()) > 0)


def _numbered(labels: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """The labels for which `keep` (indexed by label) is true, numbered from 1; int32."""
    keep = keep.copy()
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32)[labels]


def _parted_by_votes(pieces: np.ndarray, maps: FineMaps) -> np.ndarray:
    """Each voxel goes with the heap of votes that its own is nearest to."""
    half = pieces[::2, ::2, ::2]
    index = np.argwhere(half)
    owner = half[tuple(index.T)]
    vote = (2 * index + 0.5) * maps.spacing + maps.offset[(slice(None), *index.T)].T
    pieces, following = pieces.copy(), int(pieces.max()) + 1
    for label, box in label_boxes(pieces).items():
        of = owner == label
        heaps = _heaps(vote[of]) if of.any() else ()
        if len(heaps) < 2:
            continue
        part = cKDTree(heaps).query(vote[of])[1]
        voxels = np.argwhere(pieces[box] == label)
        start = np.array([side.start for side in box])
        # Full-resolution voxels follow the nearest half-resolution voxel.
        nearest = cKDTree(2 * index[of] + 0.5 - start).query(voxels)[1]
        names = np.append(label, np.arange(following, following + len(heaps) - 1))
        pieces[box][tuple(voxels.T)] = names[part[nearest]]
        following += len(heaps) - 1
    return pieces


def _heaps(votes: np.ndarray) -> np.ndarray:
    """Places (M, 3) in mm where votes (N, 3) heap up, the densest first."""
    low = votes.min(axis=0)
    if (np.ptp(votes, axis=0) < _APART).all():
        return votes.mean(axis=0, keepdims=True)
    bins = np.floor((votes - low) / _BIN).astype(int)
    density = np.zeros(bins.max(axis=0) + 1, np.float32)
    np.add.at(density, tuple(bins.T), 1.0)
    density = ndimage.gaussian_filter(density, _BLUR / _BIN, mode="constant")
    peaks = np.argwhere((density == ndimage.maximum_filter(density, 3)) & (density > _HEAP * density.max()))
    peaks = peaks[np.argsort(-density[tuple(peaks.T)])]
    chosen: list[np.ndarray] = []
    for peak in peaks:
        if all(np.linalg.norm((peak - other) * _BIN) >= _APART for other in chosen):
            chosen.append(peak)
    return low + (np.array(chosen) + 0.5) * _BIN
