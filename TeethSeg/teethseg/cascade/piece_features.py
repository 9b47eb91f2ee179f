"""Features of pieces of teeth, of pairs of pieces and of merged objects: inputs of the fitted decisions."""

from __future__ import annotations

import numpy as np

from .arch_template import VOLUMES
from .region_graph import Contacts, Pieces

_USUAL = np.log(np.array([VOLUMES["lower"], VOLUMES["upper"]]))
_LARGER = 0.6  # quantile of the pieces' largeness, weighted by volume: largeness of this patient's teeth


def largeness(pieces: Pieces, voxel_mm3: float) -> tuple[np.ndarray, float]:
    """Largeness of each piece, and of this patient's teeth.

    Parameters
    ----------
    pieces : Pieces
    voxel_mm3 : float
        Volume of a voxel in mm³.

    Returns
    -------
    log : ndarray, shape (N,)
        Log of the ratio of its volume to that of a usual tooth of its position and jaw.
    patient : float
        Largeness of this patient's teeth: a quantile over the pieces that the image does not cut.
    """
    usual = (pieces.positions * (pieces.jaws @ _USUAL)).sum(axis=1)
    log = np.log(np.maximum(pieces.voxels, 1) * voxel_mm3) - usual
    whole = pieces.border == 0
    return log, float(np.clip(_quantile(log[whole], pieces.voxels[whole], _LARGER), -0.7, 0.7))


MERGE_FEATURES = (
    "core there",  # mean core probability of the contact's voxels
    "votes apart",  # mm between the predicted centres of both pieces
    "position differs",  # distance of the two position distributions (Bhattacharyya)
    "jaw differs",  # the same for the jaws, reduced if the smaller piece is too small for a reliable jaw
    "too large",  # log volume of both together beyond a usual tooth of this patient, if it is larger
    "too small",  # log volume of the smaller one below a usual tooth of this patient
)
_TELLS_JAW = 100.0  # mm³, volume from which on the jaw of a piece is reliable


def merge_features(pieces: Pieces, contacts: Contacts, spacing: float) -> np.ndarray:
    """Features of each contact, for the decision whether it lies within one tooth.

    Parameters
    ----------
    pieces : Pieces
    contacts : Contacts
    spacing : float
        Of the cubic voxels in mm.

    Returns
    -------
    ndarray, shape (E, F)
        In the order of `MERGE_FEATURES`.
    """
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
    """Bhattacharyya distance (E,) of the distributions (N, K) at the indices a and b (E,)."""
    return -np.log(np.maximum(np.sqrt(chance[a] * chance[b]).sum(axis=1), 1e-3))


OBJECT_FEATURES = (
    "volume",  # log ratio to a usual tooth of its position, its jaw and this patient
    "tooth",  # log odds of the mean tooth probability
    "seen coarsely",  # mean tooth probability of stage 1 ...
    "others seen",  # ... and its median over all objects (stage 1 finds little in a small field of view)
    "metal",  # excess over 0.6 of the share of voxels as bright as metal: crowns and fillings fill less of a tooth
    "cut",  # whether the image cuts it
)
NO_TOOTH, TOOTH, METAL = range(3)


def object_features(objects: Pieces, spacing: float) -> np.ndarray:
    """Features of each object, for the decision between tooth, metal and neither.

    Parameters
    ----------
    objects : Pieces
    spacing : float
        Of the cubic voxels in mm.

    Returns
    -------
    ndarray, shape (N, F)
        In the order of `OBJECT_FEATURES`.
    """
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
    """Weighted quantile; 0 if there are no weights."""
    order = np.argsort(values)
    upto = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(upto, share * upto[-1])]) if weight.any() else 0.0
