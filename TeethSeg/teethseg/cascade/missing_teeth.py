"""Prior probability of the missing teeth of an arch.

Teeth are not missing independently of one another. Third molars are often all present or all missing. Orthodontists
extract one premolar of every quadrant, a lower incisor, or second molars whose places the third ones take. Where an
upper lateral incisor never formed, the other one is often missing too, and so it is with first molars lost early. A
patient who has lost one tooth has often lost more, and patients lose whole runs of teeth. The scan may end within an
arch. So an arch has several priors, with a joint prior for both arches of a mouth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import logsumexp

from ..anatomy import Jaw
from .arch_template import PLACES, position_of
from .numbering_parameters import NumberingParameters
from .place_evidence import Slots

_NOWHERE = 0.999  # rate of being empty of places without a slot
_BOTH_OR_NONE = 0.03  # prior of both or none of the premolars of one side missing, where one is extracted on each side
# Patterns of the teeth that are missing: hardly any, some, or most of one kind.
_PATTERNS = ("kept", "losing", "premolars", "incisors", "first molars", "second molars")
_EXTRACTED = {(True, True): 0.7, (True, False): 0.2, (False, True): 0.1}  # shares; key: (upper, lower) arch


@dataclass(frozen=True)
class MissingPrior:
    """Log-probabilities of an arch's missing teeth.

    Attributes
    ----------
    start, end : ndarray, shape (16,)
        Log-probability that the first (last) tooth stands in this place.
    step : ndarray, shape (16, 16)
        Log-probability that the tooth after that in place p stands in place q > p; minus infinity for others.
    """

    start: np.ndarray
    step: np.ndarray
    end: np.ndarray

    @classmethod
    def of_rates(cls, rates: np.ndarray) -> MissingPrior:
        """Prior in which each place (16,) is empty with its own rate, independently of the others."""
        empty = np.concatenate([[0], np.cumsum(np.log(rates))])  # of all places below
        present, places = np.log(1 - rates), np.arange(PLACES)
        step = np.where(places > places[:, None], empty[:-1] - empty[1:, None] + present, -np.inf)
        return cls(empty[:-1] + present, step, empty[-1] - empty[1:])

    @classmethod
    def mean(cls, several: Sequence[MissingPrior]) -> tuple[MissingPrior]:
        """The mean of several priors, as a tuple of one."""
        parts = ([getattr(prior, name) for prior in several] for name in ("start", "step", "end"))
        return (cls(*(logsumexp(part, axis=0) - np.log(len(several)) for part in parts)),)


@cache
def arch_priors(jaw: Jaw, given: NumberingParameters) -> tuple[MissingPrior, ...]:
    """The priors of one arch: those of each pattern, with third molars present and missing.

    The last prior is that of an arch with few teeth left, or with few in the scan.
    """
    thirds = (1 - given.third_missing, given.third_missing)
    return (
        *(
            _prior((*_rates(jaw, pattern, given), third), pattern == "premolars", given)
            for pattern in _PATTERNS
            for third in thirds
        ),
        MissingPrior.of_rates(np.full(PLACES, given.few_missing)),
    )


def _rates(jaw: Jaw, pattern: str, given: NumberingParameters) -> tuple[float, ...]:
    """Rates of being missing, positions 1-7, in an arch with a pattern."""
    if pattern == "losing":
        return tuple(given.missing * rate for rate in given.losing_rates)
    rates = [given.missing * rate for rate in given.rates]
    if pattern == "incisors" and jaw == "upper":
        rates[1] = given.lateral_rate
    elif pattern == "incisors":
        rates[0] = rates[1] = given.incisor_rate
    elif pattern == "first molars":
        rates[5] = given.first_molar_rate
    elif pattern == "second molars":
        rates[6] = given.second_molar_rate
    return tuple(rates)


def prior_at_age(slots: Slots, present: np.ndarray, given: NumberingParameters) -> MissingPrior:
    """Prior of the missing teeth of one kind in a child, or of an adult's retained deciduous teeth.

    Parameters
    ----------
    slots : Slots
        Of one kind.
    present : ndarray, shape (S,)
        Share of mouths in which the tooth of each slot is present, see `dental_age.TeethAtAge`.
    given : NumberingParameters
    """
    rates = np.full(PLACES, _NOWHERE)
    rates[slots.place] = 1 - present
    if slots.deciduous.any():
        return MissingPrior.of_rates(rates)
    return _prior(tuple(rates[PLACES // 2 :].tolist()), False, given)


@cache
def mouth_prior(given: NumberingParameters) -> np.ndarray:
    """Log-probability (P, P) of each pair of `arch_priors`, upper and lower."""
    kept, losing, premolars, incisors, first, second = range(len(_PATTERNS))
    patterns = np.zeros((len(_PATTERNS),) * 2)
    patterns[incisors, kept], patterns[kept, incisors] = given.laterals, given.incisor
    patterns[first, first], patterns[second, second] = given.first_molars, given.second_molars
    for (upper, lower), share in _EXTRACTED.items():
        patterns[premolars if upper else kept, premolars if lower else kept] += share * given.extracted
    rest = 1 - patterns.sum()
    patterns[kept, kept] = rest * (1 - given.losing)
    patterns[losing, losing] = rest * given.losing * (1 - given.losing_mixed)
    patterns[kept, losing] = patterns[losing, kept] = rest * given.losing * given.losing_mixed / 2
    thirds = np.array([[1 - given.third_mixed, given.third_mixed], [given.third_mixed, 1 - given.third_mixed]]) / 2
    table = np.kron(patterns, thirds)
    few = given.few
    parts = [[(1 - few) ** 2 * table, few * (1 - few) * table.sum(axis=1, keepdims=True)]]
    parts += [[few * (1 - few) * table.sum(axis=0, keepdims=True), np.full((1, 1), few**2)]]
    return np.log(np.maximum(np.block(parts), 1e-12))


def _prior(by_position: tuple[float, ...], extracted: bool, given: NumberingParameters) -> MissingPrior:
    rates = np.array(by_position)[position_of(np.arange(PLACES)) - 1]
    premolar = np.isin(position_of(np.arange(PLACES)), (4, 5))
    empty, present = np.log(rates), np.log(1 - rates)
    present[premolar & extracted] = 0.0

    def passed(first: int, stop: int, run: float, on: float) -> float:
        places = np.arange(first, stop)
        if not len(places):
            return 0.0
        each = empty[first:stop].copy()
        for side in (places < PLACES // 2, places >= PLACES // 2) if extracted else ():
            lost = side & premolar[first:stop]
            if lost.sum() == 2:
                each[lost] = np.log(_BOTH_OR_NONE) / 2
            elif lost.any():
                is_first = position_of(int(places[lost][0])) == 4
                each[lost] = np.log(given.first_premolar if is_first else 1 - given.first_premolar)
        return float(np.logaddexp(each.sum(), np.log(run) + (len(places) - 1) * np.log(on)))

    step = np.full((PLACES, PLACES), -np.inf)
    for p in range(PLACES):
        for q in range(p + 1, PLACES):
            step[p, q] = passed(p + 1, q, given.run, given.run_on) + present[q]
        if extracted and p + 1 < PLACES and premolar[p] and premolar[p + 1]:
            step[p, p + 1] = np.log(_BOTH_OR_NONE)
    start = np.array([passed(0, p, given.end, given.end_on) + present[p] for p in range(PLACES)])
    end = np.array([passed(p + 1, PLACES, given.end, given.end_on) for p in range(PLACES)])
    return MissingPrior(start, step, end)
