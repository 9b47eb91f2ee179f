"""Likelihood of each place from a tooth's own evidence: predicted positions and volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from ..anatomy import Jaw, arch
from .arch_template import PLACES, VOLUMES, position_of
from .instance_features import InstanceEvidence
from .numbering_parameters import NumberingParameters

_MOST_PULLED = 1.5  # places
_DEEP, _MOST_IMPACTED = 2.0, 2  # standard deviations, and teeth of a jaw that are deeper in an adult


@dataclass(frozen=True)
class Slots:
    """The numbers that a tooth of an arch can have, from the patient's right to the left.

    A deciduous tooth shares its place with the permanent one that follows it.

    Attributes
    ----------
    fdi : tuple of int
    place : ndarray of int, shape (S,)
    deciduous : ndarray of bool, shape (S,)
    """

    fdi: tuple[int, ...]
    place: np.ndarray
    deciduous: np.ndarray

    @classmethod
    def of(cls, jaw: Jaw, with_deciduous: bool) -> Slots:
        """The slots of one jaw, with or without its deciduous teeth."""
        fdi: list[int] = []
        for number in arch(jaw):
            fdi += [number + 40] if with_deciduous and number % 10 <= 5 else []
            fdi.append(number)
        deciduous = np.array(fdi) > 50
        place = np.array([arch(jaw).index(n - 40 if n > 50 else n) for n in fdi])
        return cls(tuple(fdi), place, deciduous)

    def of_kind(self, deciduous: bool) -> Slots:
        """The slots of deciduous teeth alone, or of permanent ones."""
        kept = np.flatnonzero(self.deciduous == deciduous)
        return Slots(tuple(self.fdi[slot] for slot in kept), self.place[kept], self.deciduous[kept])


@dataclass(frozen=True)
class UsualVolume:
    """Mean log of the usual volume in mm³ of each slot's tooth in a mouth, and its standard deviation; both (S,)."""

    log_mean: np.ndarray
    log_sd: np.ndarray


def seen_position(evidence: Sequence[InstanceEvidence], given: NumberingParameters) -> tuple[np.ndarray, np.ndarray]:
    """Predicted position as a fraction of places, and the excess of its variance over the usual one.

    The position lies between the likeliest one and its likelier neighbour, by the difference of their
    log-probabilities.

    Returns
    -------
    seen : ndarray, shape (N,)
        In places; 1 is a central incisor.
    vague : ndarray, shape (N,)
        Excess variance in places², 0 or more.
    """
    logs = _log_probs(evidence)
    best = logs.argmax(axis=1)
    wide = np.pad(logs, ((0, 0), (1, 1)), constant_values=-np.inf)
    below, above = (np.take_along_axis(wide, best[:, None] + side, axis=1)[:, 0] for side in (0, 2))
    lower = np.where(below > above, best - 1, best)  # index of the lower one of the two
    pair = np.take_along_axis(logs, np.stack([lower, lower + 1], axis=1), axis=1)
    seen = lower + 1.5 + (pair[:, 1] - pair[:, 0]) / (2 * given.looks_slope)
    chance = np.exp(logs)
    mean = chance @ np.arange(1, 9)
    spread = chance @ np.arange(1, 9) ** 2 - mean**2
    return seen, np.maximum(spread - given.looks_spread, 0)


def looks_log_likelihood(evidence: Sequence[InstanceEvidence], given: NumberingParameters) -> np.ndarray:
    """Log-likelihood (N, 8) of the positions: the networks' probabilities, with errors, most often by one."""
    chance = np.exp(_log_probs(evidence))
    beside = np.zeros_like(chance)
    beside[:, 1:] += chance[:, :-1] / 2
    beside[:, :-1] += chance[:, 1:] / 2
    right = 1 - given.looks_near - given.looks_far
    return np.log(right * chance + given.looks_near * beside + given.looks_far / 8)


def _log_probs(evidence: Sequence[InstanceEvidence]) -> np.ndarray:
    return log_softmax(np.array([tooth.position_log_probs for tooth in evidence], dtype=float).reshape(-1, 8), axis=1)


def own_log_likelihood(
    evidence: Sequence[InstanceEvidence],
    slots: Slots,
    looks: np.ndarray,
    usual: UsualVolume,
    given: NumberingParameters,
) -> np.ndarray:
    """Log-likelihood (N, S) of every slot for teeth of one row.

    Parameters
    ----------
    evidence : sequence of InstanceEvidence
    slots : Slots
    looks : ndarray, shape (N, 8)
        See `looks_log_likelihood`.
    usual : UsualVolume
        Of the same slots.
    given : NumberingParameters
    """
    total = looks[:, position_of(slots.place) - 1]
    for row, tooth in zip(total, evidence, strict=True):
        if np.isfinite(tooth.volume_mm3) and not tooth.touches_border:
            astray = (np.log(max(tooth.volume_mm3, 1.0)) - usual.log_mean) / usual.log_sd
            row += np.log(np.exp(-0.5 * astray**2) * given.volume_sd / usual.log_sd + given.volume_outlier)
    return total


def depth_log_likelihood(height: np.ndarray, slots: Slots, given: NumberingParameters) -> np.ndarray | float:
    """Log-likelihood (N, S) of every slot by the depth of an adult's teeth: third molars are often impacted.

    With more than two deep teeth in the jaw, others have yet to erupt, and depth tells nothing (0).

    Parameters
    ----------
    height : ndarray, shape (N,)
        Of the centres of one jaw's teeth, in mm from the occlusal plane towards the roots; its origin is of no effect.
    slots : Slots
    given : NumberingParameters
    """
    deep = np.maximum(height - np.median(height), 0) / given.depth_sd
    if (deep > _DEEP).sum() > _MOST_IMPACTED:
        return 0.0
    usual = np.exp(-0.5 * deep**2)[:, None]
    third = position_of(slots.place) == 8
    return np.log(np.where(third, (1 - given.impacted) * usual + given.impacted / 2, usual + given.depth_outlier))


def usual_volume(jaw: Jaw, slots: Slots, excess: float, given: NumberingParameters) -> UsualVolume:
    """Usual volume of an adult's permanent teeth; `excess` as in `volume_excess`."""
    volume = np.array(VOLUMES[jaw])[position_of(slots.place) - 1]
    return UsualVolume(np.log(volume) + excess, np.full(len(volume), given.volume_sd))


def volume_excess(
    evidence: Sequence[InstanceEvidence], is_upper: np.ndarray, looks: np.ndarray, deciduous: np.ndarray
) -> float:
    """Log of the ratio of this mouth's volumes to the usual ones, over its permanent teeth.

    The size of the patient changes all log volumes alike, and so does a network that draws thick or thin outlines.
    """
    volume = np.array([np.nan if tooth.touches_border else tooth.volume_mm3 for tooth in evidence])
    usual = np.log(np.where(is_upper[:, None], VOLUMES["upper"], VOLUMES["lower"]))
    weight = np.exp(looks - looks.max(axis=1, keepdims=True))
    expected = (weight * usual).sum(axis=1) / weight.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.log(volume) - expected
    known = excess[np.isfinite(excess) & ~deciduous]
    return float(np.median(known) * len(known) / (len(known) + 4)) if len(known) else 0.0


@dataclass(frozen=True)
class SeenErrors:
    """Errors of the predicted positions, for B readings of a row.

    Errors are Gaussian and correlated between neighbours on one side. Larger errors than an outlier's are clipped to
    it.

    Attributes
    ----------
    error : ndarray of float32, shape (B, N, S)
        For the teeth in their order and every slot, in standard deviations.
    share : ndarray of float32, shape (B, N, S)
        Standard deviation of a clearly predicted tooth, relative to that of this tooth.
    """

    error: np.ndarray
    share: np.ndarray
    given: NumberingParameters

    @classmethod
    def of(
        cls,
        seen: np.ndarray,
        vague: np.ndarray,
        along: np.ndarray,
        pull: np.ndarray,
        slots: Slots,
        given: NumberingParameters,
    ) -> SeenErrors:
        """Errors of readings.

        Parameters
        ----------
        seen, vague : ndarray, shape (B, N)
            See `seen_position`; the teeth in their order.
        along : ndarray, shape (B, N)
            Fractional place (0-15) at which each of them stands.
        pull : ndarray, shape (B,)
            Share of a tooth's displacement, as behind a closed gap, by which its predicted position moves.
        slots : Slots
        given : NumberingParameters
        """
        position = np.asarray(position_of(slots.place), np.float32)
        third = position == 8
        upper = np.isin(np.array(slots.fdi) // 10, (1, 2))
        third_seen = third * np.where(upper, given.third_seen_upper, given.third_seen_lower)
        third_sd = third * np.where(upper, given.third_sd_upper, given.third_sd_lower)
        left = slots.place >= PLACES // 2
        stands = np.clip(np.where(left, along[..., None] - 7, 8 - along[..., None]), 1, 8)
        moved = np.clip(stands - position, -_MOST_PULLED, _MOST_PULLED)
        error = seen[..., None] - position - third_seen - pull[:, None, None] * moved
        share = given.seen_sd / np.sqrt(given.seen_sd**2 + third_sd**2 + vague[..., None])
        most = np.sqrt(-2 * np.log(given.seen_outlier))
        error = np.clip(error * share / given.seen_sd, -most, most)
        return cls(error.astype(np.float32), share.astype(np.float32), given)

    @property
    def own(self) -> np.ndarray:
        """Log-likelihood (B, N, S) of each tooth's slot."""
        return np.log(self.share) - 0.5 * self.error**2

    def together(self, i: int, j: int) -> np.ndarray:
        """Likelihood ratio (B, S, S) of two neighbours' slots to the product of both; 1 across the midline."""
        count, slots = len(self.error), self.error.shape[2]
        found = np.ones((count, slots, slots), np.float32)
        for side in (slice(slots // 2), slice(slots // 2, slots)):  # right, left
            a, b = self.error[:, i, side, None], self.error[:, j, None, side]
            part = np.float32(self.given.seen_together) * self.share[:, i, side, None] * self.share[:, j, None, side]
            rest = 1 - part * part
            log = part * (2 * a * b - part * (a * a + b * b)) / (2 * rest)
            found[:, side, side] = np.maximum(np.exp(log) / np.sqrt(rest), np.float32(self.given.seen_outlier))
        return found
