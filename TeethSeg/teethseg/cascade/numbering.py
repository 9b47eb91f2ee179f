"""From instances to FDI numbers: one ordered assignment per arch, with a probability for every number.

The networks predict the probability of each of the 8 positions and of each jaw for every tooth. The order of the
teeth and the steps between them give the rest of the evidence: along an arch the 16 places follow one another, each at
most once. The distance and direction from place to place are known (`arch_template`), and so are the teeth that are
usually missing (`missing_teeth`). A last molar that lies deep is most likely an impacted third one. Left and right come
from the patient's x axis alone.

The pose of the head (rotation about the vertical, lateral place of the midline, size) is not known. So the assignment
is computed for a grid of poses, which both arches share up to a small difference. Numbers and confidences are means
over the poses, weighted by the likelihood of the teeth in each. For one pose the probabilities are exact
(`arch_assignment`).

If the networks have heads for deciduous teeth and germs, `mixed_dentition` separates these first. Deciduous teeth form
rows of their own, because a tooth and its successor share a place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import logsumexp

from ..anatomy import Jaw
from ..volume import Volume
from .arch_assignment import ArchSolver, best_slots
from .arch_poses import ArchRow, Poses, Readings, all_readings, by_angle
from .dental_age import teeth_at
from .instance_features import InstanceEvidence
from .jaw_assignment import split_jaws
from .missing_teeth import MissingPrior, arch_priors, mouth_prior, prior_at_age
from .mixed_dentition import MixedDentition, find_kinds
from .number_choice import Claim, NumberedTooth, distinct_numbers
from .numbering_parameters import FITTED, NumberingParameters
from .place_evidence import (
    Slots,
    UsualVolume,
    depth_log_likelihood,
    looks_log_likelihood,
    own_log_likelihood,
    seen_position,
    usual_volume,
    volume_excess,
)

__all__ = ["MidlinePrior", "NumberedTooth", "dentition_evidence", "midline_of_field", "number_teeth"]

_FIRST_DECIDUOUS = 50  # FDI numbers above are those of deciduous teeth

_TURNS = np.radians(np.arange(-32, 33, 16.0))
_SIZES = np.array([0.9, 1.0, 1.1])
_MIDLINE_STEP = 4.0  # mm
_FINER = (np.radians(8.0), 2.0, 0.05)  # steps of turn, midline and size between poses in the second look
_WORTH_KEEPING = 1e-3  # summed weight of all poses that are left out
_MOST_REFINED, _MOST_POSES = 16, 256  # poses of an arch that are refined, and that are kept
_WORTH_EVERY_PRIOR = 10.0  # log-likelihood below the best, at the mean of the priors, beyond which poses are left out
_WORTH_PULLING = 7.0  # log-probability below the best, at the mean pull, beyond which readings get no other pulls
_WORTH_READING = 16.0  # log-likelihood below the best beyond which readings are left out
_LEAST_WEIGHT = 1e-4  # of a reading, relative to the best


@dataclass(frozen=True)
class MidlinePrior:
    """Prior of the midline of the arches.

    Attributes
    ----------
    x : float
        Expected LPS x in mm.
    sd : float
        Standard deviation in mm.
    """

    x: float
    sd: float = 7.0


def midline_of_field(scan: Volume) -> MidlinePrior | None:
    """Prior of the midline from a scan's field of view.

    Heads are centred where the field holds both halves of the jaws. A smaller field gives no prior (None), also where it is
    tilted and so reaches farther in LPS.
    """
    whole_arch = 90.0  # mm
    own = scan.oriented()
    if own.spacing[0] * (own.size[0] - 1) < whole_arch:
        return None
    low, high = scan.extent
    return MidlinePrior(float(low[0] + high[0]) / 2, 10.0)


def number_teeth(
    evidence: Sequence[InstanceEvidence], midline: MidlinePrior | None = None, given: NumberingParameters = FITTED
) -> list[NumberedTooth]:
    """Give every instance its FDI number.

    Parameters
    ----------
    evidence : sequence of InstanceEvidence
        Centroids must be in LPS: the side of a tooth comes from nothing else.
    midline : MidlinePrior, optional
        Prior of the midline from a source other than the teeth, e.g. the middle of a whole head. Without it (a small
        field of view), the midline is inferred from the teeth. The side of a lone tooth is then uncertain, and its
        confidence is low.
    given : NumberingParameters
        Weight of each kind of evidence.

    Returns
    -------
    list of NumberedTooth
        In the order of `evidence`.
    """
    if not evidence:
        return []
    mouth = _Mouth.of(evidence, midline, given)
    look = _first_look(mouth)
    claims: dict[int, Claim] = {}
    for row, (probabilities, order) in zip(mouth.rows, _marginals(mouth, _second_look(mouth, look)), strict=True):
        slots = np.full(len(row), -1)
        slots[order] = best_slots(probabilities[order])
        for tooth, slot, chances, point in zip(row.members, slots, probabilities, row.points, strict=True):
            fdi = row.slots.fdi[slot] if slot >= 0 else 0
            numbers = dict(zip(row.slots.fdi, chances.tolist(), strict=True))
            if mouth.kinds is not None:
                numbers = _with_other_kind(numbers, float(mouth.kinds.deciduous[tooth]))
            claims[int(tooth)] = Claim(row.jaw, fdi, numbers, point)
    unerupted = np.zeros(len(evidence)) if mouth.kinds is None else mouth.kinds.unerupted
    return distinct_numbers(evidence, [claims[i] for i in range(len(evidence))], mouth.upper, unerupted > 0.5)


def _with_other_kind(chances: dict[int, float], deciduous: float) -> dict[int, float]:
    """Probabilities of a row's numbers, shared with the numbers of the other kind by the probability `deciduous`."""
    found: dict[int, float] = {}
    for fdi, chance in chances.items():
        permanent = fdi if fdi < _FIRST_DECIDUOUS else fdi - 40
        if permanent % 10 > 5:
            found[fdi] = chance
        else:
            found[permanent], found[permanent + 40] = (1 - deciduous) * chance, deciduous * chance
    return found


def dentition_evidence(
    evidence: Sequence[InstanceEvidence], midline: MidlinePrior | None = None, given: NumberingParameters = FITTED
) -> float:
    """Log-likelihood of all teeth together, by order, steps, positions and volumes, over few poses.

    Its absolute value has little meaning. It serves to compare two orientations of a scan (`orientation`).

    Parameters
    ----------
    evidence, midline, given
        As for `number_teeth`.

    Returns
    -------
    float
        In nats; 0 without teeth.
    """
    if not evidence:
        return 0.0
    return _first_look(_Mouth.of(evidence, midline, given), _TURNS[::2], _SIZES[1:2]).log_evidence


@dataclass(frozen=True)
class _Mouth:
    """The rows of a mouth.

    `upper` (N,): probability that each tooth is an upper one. `midline`: its prior in the frame of the rows. `kinds`:
    None if the networks were trained on permanent teeth alone.
    """

    solvers: tuple[ArchSolver, ...]
    upper: np.ndarray
    midline: MidlinePrior | None
    given: NumberingParameters
    kinds: MixedDentition | None = None

    @property
    def rows(self) -> list[ArchRow]:
        return [solver.row for solver in self.solvers]

    @classmethod
    def of(
        cls, evidence: Sequence[InstanceEvidence], midline: MidlinePrior | None, given: NumberingParameters
    ) -> _Mouth:
        centroids = np.array([tooth.centroid_lps for tooth in evidence], dtype=float)
        jaws = split_jaws(centroids, np.array([tooth.upper_probability for tooth in evidence]))
        mean = centroids.mean(axis=0)
        axes = np.column_stack([_plane_axes(jaws.normal), jaws.normal])
        points = (centroids - mean) @ axes
        is_upper = jaws.upper > 0.5
        looks = looks_log_likelihood(evidence, given)
        has_kind_heads = any(tooth.deciduous_probability is not None for tooth in evidence)
        kinds = find_kinds(evidence, is_upper, points, looks) if has_kind_heads else None
        deciduous = np.zeros(len(evidence), bool) if kinds is None else kinds.deciduous > 0.5
        excess = volume_excess(evidence, is_upper, looks, deciduous)
        solvers = []
        jaw_names: tuple[Jaw, ...] = ("upper", "lower")
        for jaw, kind in product(jaw_names, (False, True)):
            members = np.flatnonzero((is_upper == (jaw == "upper")) & (deciduous == kind))
            if not len(members):
                continue
            teeth = [evidence[m] for m in members.tolist()]
            slots = Slots.of(jaw, with_deciduous=True).of_kind(kind)
            seen, vague = seen_position(teeth, given)
            weight = given.looks_weight + (1 - given.looks_weight) * vague / (vague + given.looks_spread)
            depth: np.ndarray | float = 0.0
            if kinds is None or (kinds.adult and not kind):
                volume, priors = usual_volume(jaw, slots, excess, given), arch_priors(jaw, given)
                depth = depth_log_likelihood(points[members, 2] * (1 if jaw == "upper" else -1), slots, given)
            else:
                volume, priors = _at_age(jaw, slots, kinds, given)
            own = own_log_likelihood(teeth, slots, weight[:, None] * looks[members], volume, given) + depth
            row = ArchRow(jaw, members, points[members, :2], slots, own, seen, vague, priors)
            solvers.append(ArchSolver(row, given))
        expected = None if midline is None else MidlinePrior(midline.x - mean[0], midline.sd)
        return cls(tuple(solvers), jaws.upper, expected, given, kinds)

    def log_prior(self, poses: Poses) -> np.ndarray:
        """Log-prior of the head's pose (G,); not normalised."""
        log = -0.5 * (poses.turn / self.given.turn_sd) ** 2 - 0.5 * ((poses.size - 1) / self.given.size_sd) ** 2
        if self.midline is not None:
            log = log - 0.5 * ((poses.midline - self.midline.x) / self.midline.sd) ** 2
        return log


def _at_age(
    jaw: Jaw, slots: Slots, kinds: MixedDentition, given: NumberingParameters
) -> tuple[UsualVolume, tuple[MissingPrior, ...]]:
    """Usual volumes and the prior of missing teeth, for the teeth of one kind at the mouth's dental age."""
    teeth = teeth_at(jaw, kinds.age)
    mine = np.isin(Slots.of(jaw, with_deciduous=True).fdi, slots.fdi)
    volume = UsualVolume(teeth.log_volume[mine] + kinds.larger, teeth.log_volume_sd[mine])
    return volume, (prior_at_age(slots, teeth.present[mine], given),)


def _plane_axes(normal: np.ndarray) -> np.ndarray:
    """Orthonormal axes (3, 2), lateral (nearest to the patient's left) and posterior, of the plane."""
    lateral = np.array([1.0, 0, 0]) - normal[0] * normal
    lateral /= np.linalg.norm(lateral)
    return np.stack([lateral, np.cross(normal, lateral)], axis=1)


@dataclass(frozen=True)
class _Look:
    """Evidence of the first look, and the `poses` of each row that are kept for a second one."""

    log_evidence: float
    poses: list[Poses]


def _first_look(mouth: _Mouth, turns: np.ndarray = _TURNS, sizes: np.ndarray = _SIZES) -> _Look:
    """Evaluate a coarse grid of poses, with the teeth in the order of their angle and the mean of the priors."""
    reach = 36.0 + max(np.abs(row.points[:, 0]).max() for row in mouth.rows)
    most = int(np.ceil(reach / _MIDLINE_STEP))
    midlines = _MIDLINE_STEP * np.arange(-most, most + 1)
    if mouth.midline is not None:
        near = np.abs(midlines - mouth.midline.x) < 3 * mouth.midline.sd + _MIDLINE_STEP
        midlines = midlines[near] if near.any() else np.array([mouth.midline.x])
    poses = Poses.grid(turns, midlines, sizes)
    logs = [s.glance(by_angle(s.row, poses, mouth.given)) for s in mouth.solvers]
    near = poses.nearness(poses, mouth.given, (_MIDLINE_STEP / 2, 0.05))
    near /= near.sum(axis=1, keepdims=True)

    def around(log: np.ndarray) -> np.ndarray:
        """Log of the mean over the poses that an arch may have if the head has each of these."""
        return np.log(np.maximum(near @ np.exp(log - log.max()), 1e-300)) + log.max()

    smooth = [around(log) for log in logs]
    total = mouth.log_prior(poses) + sum(smooth)
    here = [log + around(total - own) for log, own in zip(logs, smooth, strict=True)]
    return _Look(float(logsumexp(total)), [poses[_best(log)] for log in here])


def _best(log: np.ndarray) -> np.ndarray:
    """Indices of the poses that are worth keeping."""
    best = np.argsort(-log)
    share = np.exp(log[best] - log[best[0]])
    return best[: min(int(np.searchsorted(np.cumsum(share), (1 - _WORTH_KEEPING) * share.sum())) + 1, _MOST_POSES)]


def _second_look(mouth: _Mouth, look: _Look) -> list[Readings]:
    """Readings of each row, with finer poses and all priors of missing teeth.

    Neighbours are exchanged where their order is not clear.
    """
    readings = []
    for solver, poses in zip(mouth.solvers, look.poses, strict=True):
        if len(poses) <= _MOST_REFINED:
            fine = poses.finer(*_FINER)
            log = solver.glance(by_angle(solver.row, fine, mouth.given))
            poses = fine[_best(log + mouth.log_prior(fine))[:_MOST_REFINED]]
        these = all_readings(solver.row, poses, mouth.given)
        alike, which = these.different
        log = solver.glance(alike)
        readings.append(these[(log > log.max() - _WORTH_EVERY_PRIOR)[which]])
    return readings


def _marginals(mouth: _Mouth, readings: list[Readings]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Probability (N, S) of each slot for each tooth of a row, and the likeliest order of the teeth (N,)."""
    logs = [solver.evidence(these) for solver, these in zip(mouth.solvers, readings, strict=True)]
    for k, (solver, weight) in enumerate(zip(mouth.solvers, _weights(mouth, readings, logs), strict=True)):
        these = readings[k][weight > np.exp(-_WORTH_PULLING) * weight.max()].with_pulls(mouth.given)
        log = solver.evidence(these)
        keep = log > log.max() - _WORTH_READING
        readings[k], logs[k] = these[keep], log[keep]
    weights = _weights(mouth, readings, logs)
    return [_mean(*row) for row in zip(mouth.solvers, readings, weights, strict=True)]


def _mean(solver: ArchSolver, readings: Readings, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Marginals over readings with these weights, and the likeliest order."""
    keep = weight > _LEAST_WEIGHT * weight.max()
    return solver.marginals(readings[keep], weight[keep] / weight[keep].sum()), readings.order[weight.argmax()]


def _weights(mouth: _Mouth, readings: list[Readings], logs: list[np.ndarray]) -> list[np.ndarray]:
    """Weight of every reading of each row, given those of the others: the arches share one head and one history."""
    heads = Poses.union([these.poses for these in readings])
    prior = np.exp(mouth.log_prior(heads))[:, None]
    rows, near, summed = mouth.rows, [], []
    for row, these, log in zip(rows, readings, logs, strict=True):
        near.append(heads.nearness(these.poses, mouth.given, (_FINER[1] / 2, _FINER[2] / 2)))
        by_prior = (these.prior[:, None] == np.arange(len(row.priors))) * np.exp(log - log.max())[:, None]
        summed.append(near[-1] @ by_prior)  # (heads, priors)
    history = np.exp(mouth_prior(mouth.given))
    weights = []
    for k, (row, these, log) in enumerate(zip(rows, readings, logs, strict=True)):
        others = prior
        erupted = len(row.priors) > 1
        shares = history.sum(axis=1 if row.jaw == "upper" else 0) if erupted else np.ones(1)
        for other, sums in enumerate(summed):
            if other == k:
                continue
            if erupted and sums.shape[1] > 1:
                shares = np.ones(sums.shape[1])
                sums = sums @ (history.T if row.jaw == "upper" else history)
            elif not erupted or sums.shape[1] == 1:
                sums = sums.sum(axis=1, keepdims=True)
            others = others * sums
        weight = np.exp(log - log.max())
        full = weight * (near[k].T @ (others * shares))[np.arange(len(log)), these.prior]
        weights.append(full if full.max() > 0 else weight)
    return weights
