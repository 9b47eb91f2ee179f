"""Features of pieces of teeth, of pairs of them and of the objects that they make: inputs of the fitted decisions."""

from __future__ import annotations

import numpy as np

from .arch_template import VOLUMES
from .region_graph import Contacts, Pieces

_USUAL = np.log(np.array([VOLUMES["lower"], VOLUMES["upper"]]))
_LARGER = 0.6  # quantile of the pieces' volumes, by volume, that tells how large this patient's teeth are


def largeness(pieces: Pieces, voxel_mm3: float) -> tuple[np.ndarray, float]:
    """Largeness of each piece, and of this patient's teeth.

    Returns
    -------
    log : ndarray, shape (N,)
        Logarithm of its volume beside a usual tooth of its position and jaw.
    patient : float
        The same of this patient's teeth: a quantile of those that the image does not cut.
    """
    usual = (pieces.positions * (pieces.jaws @ _USUAL)).sum(axis=1)
    log = np.log(np.maximum(pieces.voxels, 1) * voxel_mm3) - usual
    whole = pieces.border == 0
    return log, float(np.clip(_quantile(log[whole], pieces.voxels[whole], _LARGER), -0.7, 0.7))


MERGE_FEATURES = (
    "core there",  # mean probability of the contact's voxels
    "votes apart",  # mm between the centres that both vote for
    "position differs",  # distance of the two position distributions (Bhattacharyya)
    "jaw differs",  # the same of the jaws, as far as the smaller piece is large enough to tell
    "too large",  # log volume of both together beyond a usual tooth of this patient, if it is larger
    "too small",  # log volume of the smaller one below a usual tooth of this patient
)
_TELLS_JAW = 100.0  # mm³


def merge_features(pieces: Pieces, contacts: Contacts, spacing: float) -> np.ndarray:
    """What speaks for and against each contact being within one tooth, (E, F) in the order of `MERGE_FEATURES`."""
    a, b = contacts.pairs.T
    voxel = spacing**3
    small = np.minimum(pieces.voxels[a], pieces.voxels[b]) * voxel
    vote = pieces.vote / np.maximum(pieces.votes, 1)[:, None]
    log, patient = largeness(pieces, voxel)
    columns = (
        contacts.core / contacts.faces,
        np.minimum(np.linalg.norm(vote[a] - vote[b], axis=1), 15.0),
        _distance(pieces.positions, a, b),
        _distance(pieces.jaws, a, b) * np.minimum(small / _TELLS_JAW, 1),
        np.maximum(largeness(pieces[a] + pieces[b], voxel)[0] - patient, 0),
        np.clip(patient - np.minimum(log[a], log[b]), 0, 3),
    )
    return np.stack(columns, axis=1)


def _distance(chance: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Bhattacharyya distance of distributions (N, K), between those at the indices (E,)."""
    return -np.log(np.maximum(np.sqrt(chance[a] * chance[b]).sum(axis=1), 1e-3))


OBJECT_FEATURES = (
    "volume",  # log, beside a usual tooth of its position, its jaw and this patient
    "tooth",  # mean probability of tooth, log odds
    "seen coarsely",  # mean probability of tooth by stage 1 ...
    "others seen",  # ... and that of most of what is there (in a small field of view stage 1 sees little)
    "metal",  # share of voxels as bright as metal beyond 0.6: crowns and fillings make up less of a tooth
    "cut",  # whether the image cuts it
)
NO_TOOTH, TOOTH, METAL = range(3)


def object_features(objects: Pieces, spacing: float) -> np.ndarray:
    """What tells teeth from other objects, (N, F) in the order of `OBJECT_FEATURES`."""
    log, patient = largeness(objects, spacing**3)
    tooth = np.clip(objects.tooth / objects.voxels, 0.5, 0.999)
    coarse = objects.coarse / np.maximum(objects.votes, 1)
    columns = (
        np.clip(log - patient, -3.5, 1.5),
        np.log(tooth / (1 - tooth)),
        coarse,
        np.full(len(objects), _quantile(coarse, objects.voxels, 0.5)),
        np.maximum(objects.metal / objects.voxels - 0.6, 0),
        (objects.border > 0).astype(float),
    )
    return np.stack(columns, axis=1)


def _quantile(values: np.ndarray, weight: np.ndarray, share: float) -> float:
    """Weighted quantile; 0 of nothing."""
    order = np.argsort(values)
    upto = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(upto, share * upto[-1])]) if weight.any() else 0.0
