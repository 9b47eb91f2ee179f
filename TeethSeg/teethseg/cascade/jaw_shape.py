"""Upper or lower jaw by the cross-section of teeth, which stays the same when a head is upside down.

Upper molars are broader across the arch than along it (three roots, one of them on the palatal side). Lower molars are
longer along the arch (two roots, one behind the other). Upper incisors are wide, lower ones are deep. A network that
was trained on upright heads alone distinguishes the jaws by the vertical direction, and a small field of view holds no
other cue. The cross-sections do not depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from ..anatomy import Jaw
from .instance_features import InstanceEvidence

# Log of the ratio of a tooth's extent along the arch to that across it, positions 1-8: rounded means of the simulated
# mouths, whose teeth are the "Permanent Dentition" models of the University of Dundee. The mean crown widths and depths
# of Nelson & Ash (Wheeler's Dental Anatomy) have the same signs, and smaller differences because they omit the roots.
PROPORTIONS: dict[Jaw, tuple[float, ...]] = {
    "upper": (0.20, 0.10, -0.05, -0.40, -0.32, -0.20, -0.25, -0.25),
    "lower": (-0.22, -0.27, -0.13, -0.13, -0.22, 0.11, 0.08, 0.12),
}
_SD = 0.12  # of one tooth; half of it is that of simulated teeth, the rest allows for wrong outlines
_OUTLIER = 0.05  # least density relative to the best: rotated, ground or merged teeth
_SD_CUT = 0.25  # of a tooth that the image cuts
_NEIGHBOUR = 16.0  # mm, largest distance of a neighbour that gives the direction of the arch
_UPRIGHT = 0.7  # cosine of an axis with the vertical, above which it counts as the tooth's long axis


def proportions(evidence: Sequence[InstanceEvidence]) -> np.ndarray:
    """Log of the ratio of each tooth's extent along its arch to that across it.

    The two nearest neighbours in its jaw give the direction of the arch at a tooth. Germs are left out, because their
    shape differs.

    Returns
    -------
    ndarray, shape (N,)
        NaN where the ratio is not known.
    """
    found = np.full(len(evidence), np.nan)
    for at, tooth in enumerate(evidence):
        if tooth.covariance is None or (tooth.germ_probability or 0.0) > 0.5:
            continue
        row = [other.centroid_lps for other in evidence if other is not tooth and other.is_upper == tooth.is_upper]
        along = _along(tooth.centroid_lps, row)
        if along is not None:
            found[at] = _proportion(tooth.covariance, along)
    return found


def jaws_log_likelihood(evidence: Sequence[InstanceEvidence]) -> float:
    """Log-likelihood in nats of the teeth's cross-sections, given their predicted jaws and positions."""
    total = 0.0
    for tooth, found in zip(evidence, proportions(evidence), strict=True):
        if not np.isfinite(found):
            continue
        chances = []
        shares: dict[Jaw, float] = {"upper": tooth.upper_probability, "lower": 1 - tooth.upper_probability}
        for jaw, share in shares.items():
            astray = (found - np.array(PROPORTIONS[jaw])) / (_SD_CUT if tooth.touches_border else _SD)
            density = np.log(np.exp(-0.5 * astray**2) + _OUTLIER)
            chances.append(np.log(max(share, 1e-3)) + logsumexp(density + tooth.position_log_probs))
        total += float(logsumexp(chances))
    return total


def _along(place: np.ndarray, row: Sequence[np.ndarray]) -> np.ndarray | None:
    """Horizontal unit vector (3,) along the arch at a tooth; None without a neighbour."""
    steps = sorted(((other - place) * [1, 1, 0] for other in row), key=np.linalg.norm)[:2]
    steps = [step / np.linalg.norm(step) for step in steps if 0 < np.linalg.norm(step) < _NEIGHBOUR]
    if not steps:
        return None
    _, axes = np.linalg.eigh(sum(np.outer(step, step) for step in steps))
    return axes[:, 2]


def _proportion(covariance: np.ndarray, along: np.ndarray) -> float:
    """Log ratio of the extents along and across the arch, both perpendicular to the tooth's long axis.

    The vertical replaces the long axis where the longest axis of the voxels is far from it.
    NaN for an object of one voxel or one row of voxels, which has no extent.
    """
    longest = np.linalg.eigh(covariance)[1][:, 2]
    axis = longest if abs(longest[2]) > _UPRIGHT else np.array([0.0, 0.0, 1.0])
    along = along - (along @ axis) * axis
    along /= np.linalg.norm(along)
    across = np.cross(axis, along)
    length, width = along @ covariance @ along, across @ covariance @ across
    return float(0.5 * np.log(length / width)) if min(length, width) > 0 else np.nan
