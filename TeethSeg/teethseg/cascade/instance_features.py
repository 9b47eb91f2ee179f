"""Features of one instance, from the maps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arch_template import VOLUMES
from .predictions import FineMaps

CLIPPED_LOG = np.log(0.01)  # a few voxels that are wrong and sure must not outvote a tooth


@dataclass(frozen=True)
class InstanceEvidence:
    """Features of one instance, from the maps.

    Attributes
    ----------
    label : int
        Its value in `Instances.labels`.
    volume_mm3 : float
        NaN if unknown.
    centroid_lps : ndarray, shape (3,)
        Mean of its voxels in mm, (x, y, z).
    position_log_probs : ndarray, shape (8,)
        Log-probabilities of the positions 1-8; a robust mean over the instance.
    upper_probability : float
        Mean probability of belonging to the upper jaw.
    tooth_probability : float
        Mean probability of being tooth.
    touches_border : bool
        Whether the image ends at the instance.
    metal_share : float
        Share of its voxels that are as bright as metal.
    deciduous_probability : float or None
        Mean probability of being a deciduous tooth; None if the weights have no head for it.
    germ_probability : float or None
        Mean probability of having not erupted (a germ in its follicle); None if the weights have no head for it.
    covariance : ndarray, shape (3, 3), or None
        Of its voxels' places, mm², LPS axes; None if unknown.
    """

    label: int
    volume_mm3: float
    centroid_lps: np.ndarray
    position_log_probs: np.ndarray
    upper_probability: float
    tooth_probability: float = 1.0
    touches_border: bool = False
    metal_share: float = 0.0
    deciduous_probability: float | None = None
    germ_probability: float | None = None
    covariance: np.ndarray | None = None

    @property
    def position(self) -> int:
        """The position, 1 to 8, that it looks most like."""
        return int(np.argmax(self.position_log_probs)) + 1

    @property
    def is_upper(self) -> bool:
        """Whether it looks like an upper tooth."""
        return self.upper_probability > 0.5

    @property
    def usual_mm3(self) -> float:
        """Volume that teeth of the position and jaw that it looks most like usually have."""
        return VOLUMES["upper" if self.is_upper else "lower"][self.position - 1]


def gather_evidence(labels: np.ndarray, maps: FineMaps, cut: np.ndarray) -> tuple[InstanceEvidence, ...]:
    """Evidence of every label, in label order.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Instances, numbered from 1 without gaps; 0 elsewhere.
    maps : FineMaps
        On the same grid.
    cut : ndarray of bool, shape (Z, Y, X)
        Where the image ends.
    """
    count = int(labels.max())
    index = np.argwhere(labels)
    owner = labels[tuple(index.T)]

    def means(values: np.ndarray, owner: np.ndarray) -> np.ndarray:
        total = np.bincount(owner, weights=values, minlength=count + 1)
        return (total / np.maximum(np.bincount(owner, minlength=count + 1), 1))[1:]

    voxels = np.bincount(owner, minlength=count + 1)[1:]
    centroid = maps.to_lps(np.stack([means(index[:, axis], owner) for axis in range(3)], axis=1))
    tooth = means(maps.tooth[tuple(index.T)], owner)
    metal = np.zeros(count) if maps.metal is None else means(maps.metal[tuple(index.T)], owner)
    at_edge = np.bincount(labels[cut], minlength=count + 1)[1:] > 0

    away = maps.to_lps(index) - centroid[owner - 1]
    spread = np.stack([means(away[:, a] * away[:, b], owner) for a in range(3) for b in range(3)], axis=1)

    parent = tuple((index // 2).T)
    upper = means(maps.upper[parent], owner)
    deciduous, germ = (
        [None] * count if values is None else means(values[parent], owner).tolist()
        for values in (maps.deciduous, maps.unerupted)
    )
    logs = np.stack([means(np.maximum(maps.position[(k, *parent)], CLIPPED_LOG), owner) for k in range(8)], axis=1)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    return tuple(
        InstanceEvidence(
            i + 1,
            float(voxels[i] * maps.voxel_volume),
            centroid[i],
            logs[i],
            float(upper[i]),
            float(tooth[i]),
            bool(at_edge[i]),
            float(metal[i]),
            deciduous[i],
            germ[i],
            spread[i].reshape(3, 3),
        )
        for i in range(count)
    )
