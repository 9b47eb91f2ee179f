"""Likelihood of each place from a tooth's own evidence: the networks' positions, volume, deciduous or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from ..anatomy import Jaw, arch
from .arch_template import DECIDUOUS_VOLUMES, PLACES, VOLUMES, position_of
from .instance_features import InstanceEvidence
from .numbering_parameters import NumberingParameters

_DECIDUOUS_SD = 0.35  # of the log volume of a deciduous tooth or a germ: roots resorb, and have yet to grow


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


def seen_position(evidence: Sequence[InstanceEvidence], given: NumberingParameters) -> tuple[np.ndarray, np.ndarray]:
    """Position that the networks speak of, in parts of a place, and how vaguely (a variance beyond the usual); both (N,).

    Between the likeliest position and its likelier neighbour, as far as their log-probabilities differ.
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
    """Log-likelihood (N, 8) of the positions: the networks', but they may be wrong, most often by one."""
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
    jaw: Jaw,
    slots: Slots,
    looks: np.ndarray,
    excess: float,
    given: NumberingParameters,
) -> np.ndarray:
    """Log-likelihood (N, S) of every slot for teeth of a jaw.

    Parameters
    ----------
    looks : ndarray, shape (N, 8)
        See `looks_log_likelihood`.
    excess : float
        Of this mouth's log volumes, see `volume_excess`.
    """
    position = position_of(slots.place) - 1
    total = looks[:, position]
    permanent = np.array(VOLUMES[jaw])[position]
    usual = np.where(slots.deciduous, np.array((*DECIDUOUS_VOLUMES[jaw], 1, 1, 1))[position], permanent)
    for row, tooth in zip(total, evidence, strict=True):
        germ = tooth.germ_probability or 0.0
        if np.isfinite(tooth.volume_mm3) and not tooth.touches_border and germ < 0.5:
            sd = np.where(slots.deciduous, _DECIDUOUS_SD, given.volume_sd)
            astray = (np.log(max(tooth.volume_mm3, 1.0) / usual) - excess) / sd
            row += np.log(np.exp(-0.5 * astray**2) * given.volume_sd / sd + given.volume_outlier)
        if slots.deciduous.any():
            sure = np.clip(tooth.deciduous_probability or 0.0, given.deciduous_clip, 1 - given.deciduous_clip)
            row += np.log(np.where(slots.deciduous, sure, 1 - sure))
    return total


def volume_excess(evidence: Sequence[InstanceEvidence], is_upper: np.ndarray, looks: np.ndarray) -> float:
    """Log of the ratio of this mouth's tooth volumes to the usual ones.

    Large people, and networks that draw thick or thin, change all log volumes alike.
    """
    volume = np.array([np.nan if tooth.touches_border else tooth.volume_mm3 for tooth in evidence])
    usual = np.log(np.where(is_upper[:, None], VOLUMES["upper"], VOLUMES["lower"]))
    weight = np.exp(looks - looks.max(axis=1, keepdims=True))
    expected = (weight * usual).sum(axis=1) / weight.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.log(volume) - expected
    milk = np.array([(tooth.deciduous_probability or 0) + (tooth.germ_probability or 0) > 0.5 for tooth in evidence])
    known = excess[np.isfinite(excess) & ~milk]
    return float(np.median(known) * len(known) / (len(known) + 4)) if len(known) else 0.0


def seen_likelihood(
    seen: np.ndarray, vague: np.ndarray, slots: Slots, given: NumberingParameters
) -> tuple[np.ndarray, np.ndarray]:
    """Log-likelihood of the slots by the positions that the networks speak of, which err for neighbours together.

    Errors are Gaussian, correlated from tooth to tooth along a side; what is farther off than an outlier counts as one.

    Parameters
    ----------
    seen, vague : ndarray, shape (N,)
        See `seen_position`.

    Returns
    -------
    own : ndarray, shape (N, S)
        Of each tooth's slot.
    together : ndarray, shape (N, N, S, S)
        Of two neighbours' slots beside `own` of both.
    """
    position = position_of(slots.place)
    third = position == 8
    error = seen[:, None] - position - third * given.third_seen  # (N, S)
    sd = np.sqrt(given.seen_sd**2 + third * given.third_sd**2 + vague[:, None])
    most = np.sqrt(-2 * np.log(given.seen_outlier))
    error = np.clip(error / sd, -most, most)
    own = np.log(given.seen_sd / sd) - 0.5 * error**2

    a, b = error[:, None, :, None], error[None, :, None, :]
    sd_a, sd_b = sd[:, None, :, None], sd[None, :, None, :]
    part = given.seen_together * given.seen_sd**2 / (sd_a * sd_b)
    together = _beside(a, b, part)
    # Behind a gap that has closed, teeth look a little like those in whose place they stand: nearer to the midline.
    right = slots.place < PLACES // 2
    gap = np.abs(position - position[:, None]) > 1
    behind = np.where(position[:, None] < position, 1, 0) * gap  # the second tooth is the one behind it
    before = np.where(position[:, None] > position, 1, 0) * gap
    shift = given.gap_seen
    drawn = _beside(a - before * shift / sd_a, b - behind * shift / sd_b, part)
    drawn += 0.5 * (a**2 - (a - before * shift / sd_a) ** 2 + b**2 - (b - behind * shift / sd_b) ** 2)
    closed = given.gap_closed
    together = np.where(gap, np.logaddexp(np.log(1 - closed) + together, np.log(closed) + drawn), together)
    together = np.where(right[:, None] == right, np.maximum(together, np.log(given.seen_outlier)), 0.0)
    return own, together


def _beside(a: np.ndarray, b: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Log of the density of two standard normal variables with correlation `part`, beside that without any."""
    return -0.5 * np.log(1 - part**2) - 0.5 * (part**2 * (a**2 + b**2) - 2 * part * a * b) / (1 - part**2)
