"""Random evidence for numbering: tooth centres and class probabilities as a network might give them.

Only for judging `cascade.numbering`. So that it is not judged by its own assumptions, the teeth stand where ToothSeg
found them on the average of 480 scans (rounded mean centroid offsets, JBHI 2026, doi 10.1109/JBHI.2025.3650444), not
where `cascade.arches` expects them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..anatomy import Jaw, arch
from ..cascade.instance_features import InstanceEvidence

# Lateral and posterior mm from the midline's front, positions 1-8.
MEAN_CENTRES: dict[Jaw, np.ndarray] = {
    "upper": np.array(
        [[4.2, 0], [10.7, 2.8], [15.5, 7.8], [18.1, 14.2], [20.4, 20.5], [22.1, 28.3], [24.8, 37.0], [24.6, 44.5]]
    ),
    "lower": np.array(
        [[2.4, 0], [6.9, 1.2], [12.0, 4.2], [16.4, 9.1], [19.3, 15.5], [22.8, 24.0], [26.0, 34.3], [30.3, 43.7]]
    ),
}
# Volumes in mm³ of the CC BY models "Permanent Dentition" (University of Dundee).
MEAN_VOLUMES: dict[Jaw, tuple[float, ...]] = {
    "upper": (648, 413, 554, 695, 515, 1145, 661, 515),
    "lower": (350, 326, 516, 591, 576, 1150, 912, 691),
}
_SCATTER = np.array([0.7, 0.8, 1.0, 1.0, 1.1, 1.2, 1.5, 2.2])  # mm, per axis, positions 1-8


@dataclass(frozen=True)
class ArchSettings:
    """What makes numbering hard."""

    missing: float = 0.1  # share of missing teeth (third molars: half of them, and never less than this)
    class_errors: float = 0.1  # share of teeth that look like another position, mostly a neighbouring one
    jaw_errors: float = 0.01
    extras: float = 0.0  # supernumerary or falsely found teeth in or beside each arch, on average; FDI number 0
    small_field: bool = False  # 5 to 9 neighbouring places only, and no idea where the midline is
    volumes: bool = True  # volumes are known, a tenth of them much too small; otherwise they are NaN
    turn: float = 5.0  # degrees, standard deviation, about the vertical
    tilt: float = 6.0  # degrees, standard deviation, about the other two axes
    jaws: tuple[Jaw, ...] = ("upper", "lower")


@dataclass(frozen=True)
class SimulatedEvidence:
    """`evidence` in random order, the true FDI number of each (0: an extra one), the arches' true midline x (LPS)."""

    evidence: tuple[InstanceEvidence, ...]
    fdi: tuple[int, ...]
    midline_x: float


def simulate_evidence(rng: np.random.Generator, settings: ArchSettings | None = None) -> SimulatedEvidence:
    """Draw one patient."""
    settings = settings or ArchSettings()
    size = rng.normal(1, 0.05, 2) * rng.normal(1, 0.04)
    bite = rng.uniform(16, 24)
    teeth: list[tuple[int, np.ndarray]] = []
    for jaw in settings.jaws:
        shift = np.array([rng.normal(0, 1.0), rng.normal(0, 3.0)])
        places = _present(rng, settings)
        centres = _closed_up(rng, jaw, places) * size + shift
        for place, centre in zip(places, centres, strict=True):
            position = arch(jaw)[place] % 10
            height = (bite / 2 + rng.normal(0, 1.0)) * (1 if jaw == "upper" else -1)
            if position == 8 and rng.random() < 0.3:  # impacted
                height *= rng.uniform(1.2, 1.8)
            teeth.append((arch(jaw)[place], np.append(centre, height)))
        for _ in range(rng.poisson(settings.extras) if len(places) else 0):
            beside = centres[rng.integers(len(centres))] + rng.normal(0, 4, 2)
            height = (bite / 2 + rng.normal(0, 3.0)) * (1 if jaw == "upper" else -1)
            teeth.append((0, np.append(beside, height)))
    rotation = _rotation(rng.normal(0, [settings.tilt, settings.tilt, settings.turn]))
    origin = rng.normal(0, 50, 3)
    rng.shuffle(teeth)
    thickness = rng.normal(1, 0.12)
    evidence = tuple(
        InstanceEvidence(
            label=i + 1,
            volume_mm3=_volume(rng, fdi, thickness) if settings.volumes else float("nan"),
            centroid_lps=rotation @ point + origin,
            position_log_probs=_log_probs(rng, fdi % 10 or int(rng.integers(1, 9)), settings.class_errors),
            upper_probability=_upper_vote(rng, bool(point[2] > 0), settings.jaw_errors),
        )
        for i, (fdi, point) in enumerate(teeth)
    )
    front = rotation @ np.array([0.0, 15.0, 0.0]) + origin
    return SimulatedEvidence(evidence, tuple(fdi for fdi, _ in teeth), float(front[0]))


def _present(rng: np.random.Generator, settings: ArchSettings) -> np.ndarray:
    """Places 0-15 that have a tooth."""
    chance = np.full(16, settings.missing)
    chance[[0, 15]] = max(0.5, settings.missing)
    present = rng.random(16) >= chance
    if settings.small_field:
        length = rng.integers(5, 10)
        start = rng.integers(0, 17 - length)
        present[:start] = present[start + length :] = False
    return np.flatnonzero(present)


def _closed_up(rng: np.random.Generator, jaw: Jaw, places: np.ndarray) -> np.ndarray:
    """Centres (N, 2), lateral and posterior, of teeth that have drifted into some of the gaps towards the midline."""
    half = MEAN_CENTRES[jaw]
    centres = np.concatenate([half[::-1] * [-1, 1], half])
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(centres, axis=0), axis=1))])
    middle = (along[7] + along[8]) / 2
    drift = np.zeros(16)
    for side in (range(8, 16), range(7, -1, -1)):
        moved = 0.0
        for place in side:
            if place not in places and 9 <= max(place, 15 - place) <= 14 and rng.random() < 0.4:
                width = abs(along[place] - along[place - 1 if place > 7 else place + 1])
                moved += width * rng.uniform(0.3, 1.0)
            drift[place] = moved
    now = middle + np.sign(along - middle) * (np.abs(along - middle) - drift)
    moved_centres = np.stack([np.interp(now, along, column) for column in centres.T], axis=1)
    scatter = np.concatenate([_SCATTER[::-1], _SCATTER])[:, None]
    return (moved_centres + rng.normal(0, 1, (16, 2)) * scatter)[places]


def _rotation(degrees: np.ndarray) -> np.ndarray:
    """About x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        a, b = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def _log_probs(rng: np.random.Generator, position: int, error: float) -> np.ndarray:
    """As the mean of a network's log-probabilities over a tooth; wrong in a share `error`, and no less sure then."""
    seen = position
    if rng.random() < error:
        near = [p for p in (position - 1, position + 1) if 1 <= p <= 8]
        far = [p for p in range(1, 9) if p != position]
        seen = int(rng.choice(near if rng.random() < 0.7 else far))
    distance = np.abs(np.arange(1, 9) - seen)
    logits = -rng.uniform(0.8, 2.0) * distance + rng.normal(0, 0.4, 8) + rng.uniform(0.5, 2.0) * (distance == 0)
    return logits - np.log(np.exp(logits).sum())


def _volume(rng: np.random.Generator, fdi: int, factor: float) -> float:
    if fdi == 0:
        return float(rng.uniform(60, 500))
    found = rng.uniform(0.3, 0.8) if rng.random() < 0.1 else 1.0
    return float(MEAN_VOLUMES["upper" if fdi < 30 else "lower"][fdi % 10 - 1] * factor * rng.lognormal(0, 0.2) * found)


def _upper_vote(rng: np.random.Generator, upper: bool, error: float) -> float:
    sure = rng.uniform(0.7, 0.99)
    return float(sure if upper != (rng.random() < error) else 1 - sure)
