"""Features of single instances, from the maps of the fine network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from .predictions import FineMaps
from .region_graph import Pieces, measure_pieces


@dataclass(frozen=True)
class InstanceEvidence:
    """Features of one instance, from the maps of the fine network.

    Attributes
    ----------
    label : int
        Its value in `Instances.labels`.
    volume_mm3 : float
        Volume; NaN if unknown.
    centroid_lps : ndarray, shape (3,)
        Mean of its voxels in mm, (x, y, z).
    position_log_probs : ndarray, shape (8,)
        Log-probabilities of the positions 1-8; a robust mean over the instance.
    upper_probability : float
        Mean probability of belonging to the upper jaw.
    tooth_probability : float
        Mean tooth probability.
    touches_border : bool
        Whether the image ends at the instance.
    deciduous_probability : float or None
        Mean probability of being a deciduous tooth; None if the weights have no head for it.
    germ_probability : float or None
        Mean probability of having not erupted (a germ in its follicle); None if the weights have no head for it.
    covariance : ndarray, shape (3, 3), or None
        Covariance of its voxels' places in mm², LPS axes; None if unknown.
    """

    label: int
    volume_mm3: float
    centroid_lps: np.ndarray
    position_log_probs: np.ndarray
    upper_probability: float
    tooth_probability: float = 1.0
    touches_border: bool = False
    deciduous_probability: float | None = None
    germ_probability: float | None = None
    covariance: np.ndarray | None = None

    @property
    def position(self) -> int:
        """The likeliest position, 1 to 8."""
        return int(np.argmax(self.position_log_probs)) + 1

    @property
    def is_upper(self) -> bool:
        """Whether the upper jaw is likelier than the lower one."""
        return self.upper_probability > 0.5


def gather_evidence(labels: np.ndarray, maps: FineMaps, cut: np.ndarray) -> tuple[InstanceEvidence, ...]:
    """Evidence of the instances of a label map, as `evidence_of`; parameters as for `measure_pieces`."""
    return evidence_of(measure_pieces(labels, maps, cut), maps)


def evidence_of(objects: Pieces, maps: FineMaps) -> tuple[InstanceEvidence, ...]:
    """Evidence of N objects, which get the labels 1 to N.

    Parameters
    ----------
    objects : Pieces
        Sums over the voxels of each object.
    maps : FineMaps
        The maps that were summed.

    Returns
    -------
    tuple of InstanceEvidence
        In the order of the objects.
    """
    voxels, votes = np.maximum(objects.voxels, 1), np.maximum(objects.votes, 1)
    middle = objects.place / voxels[:, None]
    spread = objects.spread / voxels[:, None, None] - middle[:, :, None] * middle[:, None, :]
    unknown = [None] * len(objects)
    columns = (
        (objects.voxels * maps.voxel_volume).tolist(),
        maps.to_lps(middle),
        log_softmax(objects.position / votes[:, None], axis=1),
        objects.jaws[:, 1].tolist(),
        (objects.tooth / voxels).tolist(),
        (objects.border > 0).tolist(),
        unknown if maps.deciduous is None else (objects.deciduous / votes).tolist(),
        unknown if maps.unerupted is None else (objects.unerupted / votes).tolist(),
        spread[:, ::-1, ::-1] * maps.spacing**2,
    )
    return tuple(InstanceEvidence(label, *row) for label, row in enumerate(zip(*columns, strict=True), 1))
