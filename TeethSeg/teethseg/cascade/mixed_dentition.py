"""Kind (deciduous or permanent) and eruption of the teeth of a mouth, and its dental age.

One dental age governs the eruption of all teeth of a mouth. So for every age, an optimal assignment gives each tooth a
number by its depth below the occlusal plane, its volume, its place, and the predicted probabilities. Each number is
given once, so of two teeth at one place one is deciduous, and the other one lies below it. The likelihoods of the best
assignments give the probability of each age. The loss of likelihood with a tooth of the other kind gives the
probability of its kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import expit, logit, softmax

from ..anatomy import Jaw
from ..eruption import GUM
from .arch_template import place_centres, position_of
from .dental_age import ADULT, ADULTS, AGES, TeethAtAge, teeth_at
from .instance_features import InstanceEvidence
from .place_evidence import Slots

_PLACE_SD = 3.5  # mm in the occlusal plane, of a tooth or germ about its place
_SIZE_SD = 0.1  # of an arch's size relative to the mean, and of its rotation in radians
_OPENING, _OPENING_SD = 2.0, 4.0  # mm between the occlusal planes of both jaws
_SLOPE_SD = 0.1  # of the occlusal plane, relative to the plane through the tooth centres
_LARGER_SD = 0.2  # of the logarithm of a patient's volumes
_VOLUME_SD = 0.3  # of the logarithm of one tooth's volume in a patient
_FAR = 3.5  # standard deviations at which errors are capped
_BENT = 1.5  # standard deviations beyond which the weight of a tooth on the pose falls (Huber)
_NO_NUMBER = -12.0  # log-likelihood of a tooth without a number
_DECIDUOUS_SHARE, _GERM_SHARE = 0.1, 0.2  # of the training teeth: a head at this probability gives no evidence
_SUREST = 0.99  # cap of the probability from a head
_ROUNDS = 3
_LEAST_WEIGHT = 0.01  # of an age, relative to the sum over all
_FIRST_MOLAR = 6  # from this position on, no tooth has a deciduous one before it
_EDGE_SD = 1.5  # mm, of the depth of an edge
_UNSEATED = -1e6
_JAWS: tuple[Jaw, Jaw] = ("upper", "lower")


@dataclass(frozen=True)
class MixedDentition:
    """Kinds of the teeth of a mouth.

    Attributes
    ----------
    age : float
        Dental age in years; `dental_age.ADULT` if no child's age fits better.
    deciduous, unerupted : ndarray, shape (N,)
        Probability that each tooth is a deciduous one, and that it has not erupted.
    larger : float
        Log of the patient's volumes relative to the usual ones.
    """

    age: float
    deciduous: np.ndarray
    unerupted: np.ndarray
    larger: float

    @property
    def adult(self) -> bool:
        """Whether all teeth but third molars have erupted."""
        return self.age >= ADULT


def find_kinds(
    evidence: Sequence[InstanceEvidence], is_upper: np.ndarray, points: np.ndarray, looks: np.ndarray
) -> MixedDentition:
    """Find the kind of every tooth, from the evidence of networks with heads for deciduous teeth and germs.

    Parameters
    ----------
    evidence : sequence of InstanceEvidence
    is_upper : ndarray of bool, shape (N,)
    points : ndarray, shape (N, 3)
        Lateral, posterior and superior mm, the occlusal plane level.
    looks : ndarray, shape (N, 8)
        Log-likelihood of the positions.

    Returns
    -------
    MixedDentition
    """
    jaws = tuple(
        _JawTeeth.of(jaw, np.flatnonzero(is_upper == (jaw == "upper")), evidence, points, looks) for jaw in _JAWS
    )
    jaws = tuple(jaw for jaw in jaws if len(jaw.members))
    first = _Pose.first(jaws)
    fits = [_Fit.at(jaws, age, first) for age in AGES]
    weights = softmax([fit.log_likelihood for fit in fits])
    best = fits[int(weights.argmax())]
    deciduous, unerupted = np.zeros((2, len(evidence)))
    for weight, fit in zip(weights, fits, strict=True):
        if weight > _LEAST_WEIGHT:
            for jaw, chance in zip(jaws, fit.deciduous(), strict=True):
                deciduous[jaw.members] += weight / weights[weights > _LEAST_WEIGHT].sum() * chance
    for jaw, chance in zip(jaws, best.unerupted(), strict=True):
        unerupted[jaw.members] = (1 - deciduous[jaw.members]) * chance
    return MixedDentition(best.age, deciduous, unerupted, best.pose.larger)


@dataclass(frozen=True)
class _JawTeeth:
    """Evidence of the n teeth of one jaw.

    `points` (n, 3); `looks` (n, S) by slot; `log_volume` (n,), NaN where it is not known. `deciduous` and `germ` (n,):
    predicted probabilities at a prior of one half.
    """

    jaw: Jaw
    slots: Slots
    members: np.ndarray
    points: np.ndarray
    looks: np.ndarray
    log_volume: np.ndarray
    deciduous: np.ndarray
    germ: np.ndarray

    @classmethod
    def of(cls, jaw: Jaw, members: np.ndarray, evidence, points: np.ndarray, looks: np.ndarray) -> _JawTeeth:
        teeth = [evidence[member] for member in members]
        slots = Slots.of(jaw, with_deciduous=True)
        volume = np.array([np.nan if one.touches_border else max(one.volume_mm3, 1.0) for one in teeth])
        probabilities = [(one.deciduous_probability, one.germ_probability) for one in teeth]
        return cls(
            jaw,
            slots,
            members,
            points[members],
            looks[members][:, position_of(slots.place) - 1],
            np.log(volume),
            _at_even_prior([deciduous for deciduous, _ in probabilities], _DECIDUOUS_SHARE),
            _at_even_prior([germ for _, germ in probabilities], _GERM_SHARE),
        )

    @property
    def up(self) -> float:
        """Sign of the direction from the occlusal plane to the roots along the superior axis."""
        return 1.0 if self.jaw == "upper" else -1.0

    @cached_property
    def template(self) -> np.ndarray:
        """Usual places (S,) in the occlusal plane in mm, lateral + 1j posterior."""
        return place_centres(self.jaw)[self.slots.place] @ np.array([1, 1j])

    @cached_property
    def places(self) -> np.ndarray:
        """Places (n,) of the teeth, in the frame of the template."""
        return self.points[:, :2] @ np.array([1, 1j])


def _at_even_prior(probabilities: Sequence[float | None], share: float) -> np.ndarray:
    """Probabilities at a prior of one half, from those of a head that was trained on the share `share` of such teeth."""
    probability = np.clip([share if one is None else one for one in probabilities], 1e-6, 1 - 1e-6)
    return np.clip(expit(logit(probability) - logit(share)), 1 - _SUREST, _SUREST)


@dataclass(frozen=True)
class _Pose:
    """Expected places of the teeth of a mouth.

    Attributes
    ----------
    seats : dict of Jaw to (complex, complex)
        By jaw, the placement of its template in the occlusal plane: shift in mm, and rotation times size.
    bite : ndarray, shape (4,)
        Height of the middle of the bite and its opening in mm, lateral and posterior slope of the occlusal plane.
    larger : float
        As in `MixedDentition`.
    """

    seats: dict[Jaw, tuple[complex, complex]]
    bite: np.ndarray
    larger: float = 0.0

    @classmethod
    def first(cls, jaws: Sequence[_JawTeeth]) -> _Pose:
        """The first pose, from the predicted position and the side of each tooth."""
        seats, edges = {}, []
        for jaw in jaws:
            lateral = jaw.points[:, 0]
            left = lateral > (lateral.min() + lateral.max()) / 2 if len(lateral) > 1 else lateral > 0
            permanent = Slots.of(jaw.jaw, with_deciduous=False)
            # A position has one place on the right and one on the left.
            positions = position_of(jaw.slots.place)[jaw.looks.argmax(axis=1)]
            place = np.where(left, len(permanent.fdi) // 2 - 1 + positions, len(permanent.fdi) // 2 - positions)
            template = place_centres(jaw.jaw)[place] @ np.array([1, 1j])
            seats[jaw.jaw] = _seat(jaw.places, template, np.ones(len(place)))
            edges.append(jaw.up * (np.quantile(jaw.up * jaw.points[:, 2], 0.2) - 5.0))
        return cls(seats, np.array([np.mean(edges), 0.0, 0.0, 0.0]))

    def depth(self, jaw: _JawTeeth) -> np.ndarray:
        """Depth (n,) in mm of the tooth centres from the jaw's occlusal plane."""
        above = jaw.points[:, 2] - self.bite[0] - jaw.points[:, :2] @ self.bite[2:]
        return jaw.up * above - self.bite[1] / 2

    def astray(self, jaw: _JawTeeth) -> np.ndarray:
        """Distance (n, S) of the teeth from every place, in standard deviations."""
        shift, turn = self.seats[jaw.jaw]
        return np.abs(jaw.places[:, None] - (turn * jaw.template + shift)) / _PLACE_SD

    def log_prior(self) -> float:
        """Log-prior of opening and size."""
        return -0.5 * float(((self.bite[1] - _OPENING) / _OPENING_SD) ** 2 + (self.larger / _LARGER_SD) ** 2)


@dataclass(frozen=True)
class _Fit:
    """The best assignment at one age.

    `scores`, by jaw: log-likelihood (n, S) of every slot for every tooth. `chosen`, by jaw: slot of each tooth (n,), -1
    for none.
    """

    jaws: tuple[_JawTeeth, ...]
    age: float
    pose: _Pose
    scores: list[np.ndarray]
    chosen: list[np.ndarray]

    @classmethod
    def at(cls, jaws: tuple[_JawTeeth, ...], age: float, pose: _Pose) -> _Fit:
        """Alternate between the assignment at a pose and the pose that fits it."""
        for last in range(_ROUNDS - 1, -1, -1):
            scores = [_scores(jaw, teeth_at(jaw.jaw, age), pose) for jaw in jaws]
            fit = cls(jaws, age, pose, scores, [_assigned(score) for score in scores])
            pose = fit.refined() if last else pose
        return fit

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of all evidence, including that of the absent teeth."""
        absent = sum(float(np.log1p(-teeth_at(jaw.jaw, self.age).present).sum()) for jaw in self.jaws)
        share = ADULTS if self.age >= ADULT else (1 - ADULTS) / (len(AGES) - 1)
        return sum(map(_total, self.scores, self.chosen)) + absent + self.pose.log_prior() + float(np.log(share))

    def deciduous(self) -> list[np.ndarray]:
        """Probability of being deciduous, by jaw: from the best assignments with the tooth of either kind."""
        found = []
        for jaw, score, chosen in zip(self.jaws, self.scores, self.chosen, strict=True):
            chance = np.zeros(len(chosen))
            best = _total(score, chosen)
            for k, slot in enumerate(chosen):
                if slot >= 0 and position_of(jaw.slots.place[slot]) >= _FIRST_MOLAR:
                    continue
                mine = bool(slot >= 0 and jaw.slots.deciduous[slot])
                other = score.copy()
                other[k, jaw.slots.deciduous == mine] = _UNSEATED
                odds = best - _total(other, _assigned(other))
                chance[k] = expit(odds if mine else -odds)
            found.append(chance)
        return found

    def unerupted(self) -> list[np.ndarray]:
        """Probability, by jaw, that each tooth's edge lies below the gums if the tooth is a permanent one."""
        found = []
        for jaw, score in zip(self.jaws, self.scores, strict=True):
            permanent = np.where(jaw.slots.deciduous, -np.inf, score).argmax(axis=1)
            teeth = teeth_at(jaw.jaw, self.age)
            edge = teeth.edge(self.pose.depth(jaw)[:, None])[np.arange(len(score)), permanent]
            found.append(expit((edge - GUM) / _EDGE_SD + logit(jaw.germ)))
        return found

    def refined(self) -> _Pose:
        """The pose that fits this assignment."""
        seats, rows, larger = dict(self.pose.seats), [], []
        for jaw, chosen in zip(self.jaws, self.chosen, strict=True):
            who = np.flatnonzero(chosen >= 0)
            if not len(who):
                continue
            slots, teeth = chosen[who], teeth_at(jaw.jaw, self.age)
            astray = self.pose.astray(jaw)[who, slots]
            seats[jaw.jaw] = _seat(jaw.places[who], jaw.template[slots], 1 / np.maximum(astray, 1))
            off = np.abs(self.pose.depth(jaw)[who] - teeth.depth[slots]) / teeth.depth_sd[slots]
            weight = 1 / (teeth.depth_sd[slots] ** 2 * np.maximum(off / _BENT, 1))
            ones = np.ones(len(who))
            height = jaw.points[who, 2] - jaw.up * teeth.depth[slots]
            rows.append(np.column_stack([ones, ones * jaw.up / 2, jaw.points[who, :2], height, weight]))
            larger.append(jaw.log_volume[who] - teeth.log_volume[slots])
        if not rows:
            return self.pose
        table, excess = np.concatenate(rows), np.concatenate(larger)
        excess = excess[np.isfinite(excess)]
        shrunk = len(excess) / (len(excess) + (_VOLUME_SD / _LARGER_SD) ** 2)
        bite = _bite(table[:, :4], table[:, 4], table[:, 5])
        return _Pose(seats, bite, float(np.median(excess)) * shrunk if len(excess) else 0.0)


def _scores(jaw: _JawTeeth, teeth: TeethAtAge, pose: _Pose) -> np.ndarray:
    """Log-likelihood (n, S) of each slot for each tooth of a jaw, relative to the slot being empty."""
    size = (jaw.log_volume[:, None] - pose.larger - teeth.log_volume) / teeth.log_volume_sd
    germ, deciduous = jaw.germ[:, None], jaw.deciduous[:, None]
    return (
        jaw.looks
        + _log_density(pose.astray(jaw))
        + _log_density((pose.depth(jaw)[:, None] - teeth.depth) / teeth.depth_sd)
        - np.log(teeth.depth_sd)
        + np.where(np.isfinite(size), _log_density(size) - np.log(teeth.log_volume_sd), 0.0)
        + np.log(np.where(jaw.slots.deciduous, deciduous, 1 - deciduous))
        + np.log(teeth.erupted * (1 - germ) + (1 - teeth.erupted) * germ)
        + logit(teeth.present)
    )


def _log_density(astray: np.ndarray) -> np.ndarray:
    return -0.5 * np.minimum(np.abs(astray), _FAR) ** 2


def _assigned(score: np.ndarray) -> np.ndarray:
    """The slots (n,) with the highest total log-likelihood; -1: none."""
    count, slots = score.shape
    wide = np.full((count, slots + count), _UNSEATED)
    wide[:, :slots] = score
    np.fill_diagonal(wide[:, slots:], _NO_NUMBER)
    _, columns = linear_sum_assignment(wide, maximize=True)
    return np.where(columns < slots, columns, -1)


def _total(score: np.ndarray, chosen: np.ndarray) -> float:
    """Log-likelihood of an assignment."""
    return float(np.where(chosen < 0, _NO_NUMBER, score[np.arange(len(chosen)), chosen]).sum())


def _seat(places: np.ndarray, template: np.ndarray, weight: np.ndarray) -> tuple[complex, complex]:
    """Shift, and rotation times size (prior mean 1), that map the template to the places."""
    centre, middle = np.average(places, weights=weight), np.average(template, weights=weight)
    away = template - middle
    expected = (_PLACE_SD / _SIZE_SD) ** 2
    turn = (weight @ (away.conj() * (places - centre)) + expected) / (weight @ np.abs(away) ** 2 + expected)
    return complex(centre - turn * middle), complex(turn)


def _bite(design: np.ndarray, height: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`_Pose.bite` by weighted least squares, from the rows (n, 4) of the design matrix."""
    expected = np.array([0.0, _OPENING, 0.0, 0.0])
    precision = np.diag([1e-6, _OPENING_SD**-2, _SLOPE_SD**-2, _SLOPE_SD**-2])
    weighed = design.T * weight
    return np.linalg.solve(weighed @ design + precision, weighed @ height + precision @ expected)
