"""Oversegmentation of the fine network's maps: pieces so small that each belongs to one tooth at most.

Seeds are the parts of the core map that separate at any threshold, and the parts of the tooth map without a core. A
watershed from these seeds fills the tooth map. The offset of every voxel also votes for the centre of its tooth, and a
piece is split where its votes form several clusters. `instances` decides which pieces are one tooth.
"""

from __future__ import annotations

import cc3d
import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

from ..boxes import label_boxes
from .predictions import FineMaps

_LEVELS = (0.5, 0.8, 0.95, 0.99, 0.999, 0.9999)  # thresholds of the core probability, at which bridged cores separate
_LEAST = 10.0  # mm³, volume of a seed; smaller parts are noise
_BIN, _BLUR = 0.5, 0.7  # mm, bin width and standard deviation of the smoothing of the votes' density
_HEAP = 0.2  # least density of a cluster of votes, relative to the densest one
_APART = 2.5  # mm, least distance of two clusters


def oversegment(maps: FineMaps, mask: np.ndarray) -> np.ndarray:
    """Divide a mask of teeth into pieces.

    Parameters
    ----------
    maps : FineMaps
    mask : ndarray of bool, shape (Z, Y, X)

    Returns
    -------
    ndarray of uint32, shape (Z, Y, X)
        Pieces, numbered from 1 without gaps, each of them 6-connected; 0 elsewhere.
    """
    pieces = watershed(-maps.core, _seeds(maps, mask), mask=mask)
    return cc3d.connected_components(_parted_by_votes(pieces, maps).astype(np.uint32), connectivity=6)


def _seeds(maps: FineMaps, mask: np.ndarray) -> np.ndarray:
    """Parts of the mask, int32; the parts of the core replace a part in which the core separates at some level."""
    voxels = np.flatnonzero(mask)  # a small share of the array, so that each level is fast
    core = maps.core.ravel()[voxels]
    labels = np.zeros(mask.shape, np.int32)

    def parts(chosen: np.ndarray) -> np.ndarray:
        labels.ravel()[voxels] = chosen
        part = cc3d.connected_components(labels, connectivity=6).ravel()[voxels]
        large = np.bincount(part) * maps.voxel_volume >= _LEAST
        return np.where(large[part] & chosen, part, 0)

    seed = parts(np.ones(len(core), bool))
    for level in _LEVELS:
        part = parts(core > level)
        within = np.zeros(part.max(initial=0) + 1, int)
        within[part] = seed  # a part lies in one seed
        parted = np.bincount(within[1:], minlength=seed.max(initial=0) + 1) > 1
        parted[0] = False
        seed = np.where(parted[seed], np.where(part > 0, part + len(parted), 0), seed)
    labels.ravel()[voxels] = seed
    return labels


def _parted_by_votes(pieces: np.ndarray, maps: FineMaps) -> np.ndarray:
    """Divide pieces by votes: each voxel joins the cluster nearest to its own vote."""
    pieces, last = pieces.copy(), int(pieces.max())
    for label, box in label_boxes(pieces).items():
        voxels = np.argwhere(pieces[box] == label) + [side.start for side in box]
        parents = voxels // 2
        all_components = (slice(None), *parents.T)
        votes = (2 * parents + 0.5) * maps.spacing + maps.offset[all_components].T
        seen = (voxels % 2 == 0).all(axis=1)  # others have their parent's vote, maybe of another piece
        if not seen.any():
            continue
        heaps = _heaps(votes[seen])
        part = cdist(votes, heaps).argmin(axis=1)
        pieces[tuple(voxels.T)] = np.where(part > 0, last + part, label)
        last += len(heaps) - 1
    return pieces


def _heaps(votes: np.ndarray) -> np.ndarray:
    """Centres (M, 3) in mm of the clusters of votes (N, 3)."""
    low = votes.min(axis=0) - _BIN  # an empty bin on each side: where all bins are equal, there is no peak
    bins = ((votes - low) / _BIN).astype(int)
    shape = tuple(bins.max(axis=0) + 2)
    density = np.bincount(np.ravel_multi_index(bins.T, shape), minlength=np.prod(shape)).reshape(shape)
    density = gaussian_filter(density.astype(np.float32), _BLUR / _BIN, mode="constant")
    apart = round(_APART / _BIN)
    peaks = peak_local_max(density, min_distance=apart, threshold_rel=_HEAP, exclude_border=False, p_norm=2)
    return low + (peaks + 0.5) * _BIN
