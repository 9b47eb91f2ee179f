"""Random evidence for numbering: tooth centres, volumes and class probabilities like those of the networks.

Only for judging `cascade.numbering` and for fitting its parameters. The errors of the networks were measured on the
objects of four real scans (91 teeth, `teethseg-8`). The predicted position, as a fraction of places, has an error of
0.29 (standard deviation), and the errors of neighbours are correlated (0.8). The predicted position of third molars
lies between the second and the third. Behind closed gaps it moves slightly towards the place where the tooth stands.
For nine of the 91 teeth the likeliest position was a neighbouring one, for none another. The logarithm of volumes has a
standard deviation of 0.15 in a mouth. In six simulated children (220 teeth, `teethseg-9-mixed`) positions of deciduous
teeth and germs have an error of 0.26. The heads for both hardly distinguish them: a deciduous tooth's log-odds are 0.4
above a permanent one's, a germ's 0.3 above an erupted one's, each within 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..anatomy import Jaw
from ..cascade.instance_features import InstanceEvidence
from .mouths import Mouth, Standing, mixed_mouth, random_mouth

# Volumes in mm³: rounded geometric means of the teeth of five real scans, as segmented.
MEAN_VOLUMES: dict[Jaw, tuple[float, ...]] = {
    "upper": (530, 390, 580, 525, 505, 1010, 965, 630),
    "lower": (250, 305, 500, 440, 450, 1020, 1020, 700),
}
_VOLUME_SDS = (0.12, 0.10, 0.12)  # of log volume: between patients, between positions in a patient, between teeth
# Of deciduous teeth, in mm³: scaled from permanent ones by crown width x breadth x length (Nelson & Ash).
DECIDUOUS_VOLUMES: dict[Jaw, tuple[float, ...]] = {
    "upper": (210, 140, 270, 310, 480),
    "lower": (110, 120, 190, 330, 520),
}

_ERROR, _TOGETHER = 0.27, 0.8  # standard deviation of the predicted position in places, correlation of neighbours
_THIRD_MOLAR: dict[Jaw, tuple[float, float]] = {"upper": (-0.65, 0.25), "lower": (-0.3, 0.15)}
_ASTRAY = 0.01  # share of teeth with a random predicted position: metal, fragments


@dataclass(frozen=True)
class SimulatedEvidence:
    """Evidence of one simulated mouth.

    Attributes
    ----------
    kind : str
        Kind of the mouth.
    evidence : tuple of InstanceEvidence
        In random order.
    fdi : tuple of int
        True FDI number of each tooth; 0 for a supernumerary one.
    midline_x : float
        True midline of the arches, LPS x in mm.
    midline_known : bool
        Whether the scan holds both sides, so that its middle is evidence of the midline.
    """

    kind: str
    evidence: tuple[InstanceEvidence, ...]
    fdi: tuple[int, ...]
    midline_x: float
    midline_known: bool = True


def simulate_evidence(
    rng: np.random.Generator, kind: str | None = None, tilt: float = 6.0, turn: float = 5.0
) -> SimulatedEvidence:
    """Draw one patient of a kind of `mouths.SHARES`, or "mixed dentition" with the evidence of all heads.

    Parameters
    ----------
    rng : numpy.random.Generator
    kind : str, optional
        Drawn by the shares unless given.
    tilt, turn : float
        Standard deviations in degrees of the head's rotation about the horizontal axes and about the vertical.

    Returns
    -------
    SimulatedEvidence
    """
    if kind == "mixed dentition":
        return evidence_of(rng, mixed_mouth(rng), tilt, turn, heads=True)
    return evidence_of(rng, random_mouth(rng, kind), tilt, turn)


def evidence_of(
    rng: np.random.Generator, mouth: Mouth, tilt: float = 6.0, turn: float = 5.0, heads: bool = False
) -> SimulatedEvidence:
    """Simulated evidence for a mouth, as `simulate_evidence`; `heads` adds those for deciduous teeth and germs."""
    rotation = _rotation(rng.normal(0, [tilt, tilt, turn]))
    origin = rng.normal(0, 50, 3)
    seen = _seen_positions(rng, mouth)
    slope = rng.normal(2.7, 0.3)
    larger = rng.normal(0, _VOLUME_SDS[0]) + rng.normal(0, _VOLUME_SDS[1], (2, 9))
    order = rng.permutation(len(mouth.teeth))
    learned = heads and rng.random() < 0.5
    evidence = []
    for label, which in enumerate(order, 1):
        tooth = mouth.teeth[which]
        one = InstanceEvidence(
            label=label,
            volume_mm3=_volume(rng, tooth, larger[int(tooth.centre[2] > 0), tooth.fdi % 10]),
            centroid_lps=rotation @ tooth.centre + origin,
            position_log_probs=_log_probs(rng, seen[which], slope * (0.55 if rng.random() < 0.05 else 1.0)),
            upper_probability=_upper_vote(rng, tooth),
            tooth_probability=float(rng.uniform(0.95, 0.985)),
            touches_border=tooth.cut,
        )
        if heads:
            one = replace(
                one,
                deciduous_probability=_head_says(rng, tooth.fdi > 50, learned, 0.1),
                germ_probability=_head_says(rng, tooth.unerupted, learned, 0.2),
            )
        evidence.append(one)
    front = rotation @ np.array([0.0, 15.0, 0.0]) + origin
    numbers = tuple(mouth.teeth[which].fdi for which in order)
    return SimulatedEvidence(mouth.kind, tuple(evidence), numbers, float(front[0]), mouth.midline_known)


def _seen_positions(rng: np.random.Generator, mouth: Mouth) -> list[float]:
    """Predicted position of each tooth, as a fraction of places."""
    seen = []
    pull = {True: rng.uniform(0, 0.5), False: rng.uniform(0, 0.5)}  # towards the place of a tooth; True: upper jaw
    error, before = 0.0, None
    for tooth in mouth.teeth:
        upper, left = bool(tooth.centre[2] > 0), bool(tooth.centre[0] > 0)
        if before != (upper, left):
            error, before = rng.normal(0, _ERROR), (upper, left)
        else:
            error = _TOGETHER * error + rng.normal(0, _ERROR * np.sqrt(1 - _TOGETHER**2))
        position = tooth.looks + error + pull[upper] * np.clip(tooth.place - tooth.looks, -1.5, 1.5)
        if tooth.fdi % 10 == 8:
            position += rng.normal(*_THIRD_MOLAR["upper" if upper else "lower"])
        if tooth.fdi > 50 or tooth.unerupted:
            position += rng.normal(0, 0.25)
        seen.append(float(rng.uniform(0.5, 8.5)) if rng.random() < _ASTRAY else position)
    return seen


def _log_probs(rng: np.random.Generator, seen: float, slope: float) -> np.ndarray:
    """Mean log-probabilities (8,) over a tooth: they fall by `slope` a place, and by half of it beyond two places."""
    away = np.abs(np.arange(1, 9) - np.clip(seen, 0.8, 8.2))
    logits = -slope * (np.minimum(away, 2) + np.maximum(away - 2, 0) / 2) + rng.normal(0, 0.2, 8)
    return logits - np.log(np.exp(logits).sum())


def _volume(rng: np.random.Generator, tooth: Standing, larger: float) -> float:
    jaw: Jaw = "upper" if tooth.centre[2] > 0 else "lower"
    if tooth.fdi == 0:
        return float(rng.uniform(100, 400))
    usual = (DECIDUOUS_VOLUMES if tooth.fdi > 50 else MEAN_VOLUMES)[jaw][tooth.fdi % 10 - 1]
    found = rng.uniform(0.35, 0.8) if rng.random() < 0.05 else 1.0
    if tooth.fdi > 50:
        found *= rng.uniform(0.6, 1.0)  # roots resorb
    elif tooth.unerupted and tooth.fdi % 10 < 8:
        found *= rng.uniform(0.3, 0.9)  # roots have yet to grow
    if tooth.cut:
        found *= rng.uniform(0.3, 1.0)
    return float(usual * np.exp(larger + rng.normal(0, _VOLUME_SDS[2])) * found)


def _upper_vote(rng: np.random.Generator, tooth: Standing) -> float:
    """Probability of the upper jaw: nearly always right and close to 0 or 1, but vague at the border of the scan."""
    wrong = rng.uniform(0.05, 0.6) if tooth.cut or rng.random() < 0.02 else rng.uniform(0, 0.03)
    if rng.random() < 0.01:
        wrong = 1 - wrong
    return float(1 - wrong if tooth.centre[2] > 0 else wrong)


def _head_says(rng: np.random.Generator, true: bool, learned: bool, share: float) -> float:
    """Probability from a head with about 98 of 100 teeth right, or from one that has learned little but their share."""
    side = 1 if true else -1
    odds = rng.normal(3.0 * side, 1.4) if learned else np.log(share / (1 - share)) + rng.normal(0.2 * side, 0.2)
    return float(1 / (1 + np.exp(-odds)))


def _rotation(degrees: np.ndarray) -> np.ndarray:
    """Rotation matrix (3, 3) about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        a, b = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix
