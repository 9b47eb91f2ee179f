"""Prior probability of the missing teeth of an arch.

Teeth are not missing independently of one another. Third molars are often all present or all missing. Orthodontists
extract one premolar of every quadrant. A patient who has lost one tooth has often lost more, and patients lose whole
runs of teeth. The scan may end within an arch. So an arch has several priors, with a joint prior for both arches of a
mouth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import logsumexp

from .arch_template import PLACES, position_of
from .numbering_parameters import NumberingParameters
from .place_evidence import Slots

_NOWHERE = 0.999  # rate of being empty of places without a slot
_BOTH_OR_NONE = 0.03  # prior of both or none of the premolars of one side missing, where one is extracted on each side
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
def arch_priors(given: NumberingParameters) -> tuple[MissingPrior, ...]:
    """The priors of one arch.

    Three states (no losses, some losses, a premolar extracted on either side), each with third molars present or
    missing. The last prior is that of an arch with few teeth left, or with few in the scan.
    """
    thirds = (1 - given.third_missing, given.third_missing)
    kept, losing = (tuple(given.missing * rate for rate in rates) for rates in (given.rates, given.losing_rates))
    return (
        *(
            _prior((*rates, third), extracted, given)
            for rates, extracted in ((kept, False), (losing, False), (kept, True))
            for third in thirds
        ),
        MissingPrior.of_rates(np.full(PLACES, given.few_missing)),
    )


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
    """Log-probability (7, 7) of each pair of `arch_priors`, upper and lower."""
    kept, losing, extracted = range(3)
    states = np.zeros((3, 3))
    rest = 1 - given.extracted
    states[kept, kept] = rest * (1 - given.losing)
    states[losing, losing] = rest * given.losing * (1 - given.losing_mixed)
    states[kept, losing] = states[losing, kept] = rest * given.losing * given.losing_mixed / 2
    for (upper, lower), share in _EXTRACTED.items():
        states[extracted if upper else kept, extracted if lower else kept] += share * given.extracted
    thirds = np.array([[1 - given.third_mixed, given.third_mixed], [given.third_mixed, 1 - given.third_mixed]]) / 2
    few = given.few
    table = np.zeros((7, 7))
    table[:6, :6] = (1 - few) ** 2 * np.kron(states, thirds)
    table[6, :6] = table[:6, 6] = few * (1 - few) * table[:6, :6].sum(axis=0) / table[:6, :6].sum()
    table[6, 6] = few**2
    return np.log(np.maximum(table, 1e-12))


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
