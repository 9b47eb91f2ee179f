"""Which teeth of an arch are missing: what is likely, before anything was seen.

Teeth are not missing independently of one another: third molars are often all there or all missing, orthodontists
extract one premolar of every quadrant, patients lose whole runs, and the scan may end. So there are several priors of an
arch, and a mouth's two arches draw theirs together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import logsumexp

from .arch_template import PLACES, position_of
from .numbering_parameters import NumberingParameters

# Rates of being missing, positions 1-7: the order of size in surveys of adults, third molars apart.
_RATES = (0.02, 0.03, 0.01, 0.05, 0.05, 0.10, 0.06)
_BOTH_OR_NONE = 0.03  # of the premolars of one side, where one of each is extracted
_EXTRACTED = {(True, True): 0.7, (True, False): 0.2, (False, True): 0.1}  # from the upper, the lower arch


@dataclass(frozen=True)
class MissingPrior:
    """Log-probabilities of an arch's missing teeth.

    Attributes
    ----------
    start, end : ndarray, shape (16,)
        That the first (last) tooth stands in this place.
    step : ndarray, shape (16, 16)
        That the tooth after the one in place p stands in place q > p; minus infinity for others.
    """

    start: np.ndarray
    step: np.ndarray
    end: np.ndarray

    @classmethod
    def none(cls) -> MissingPrior:
        """Any tooth may be there, as of germs."""
        rising = np.triu(np.ones((PLACES, PLACES), bool), k=1)
        return cls(np.zeros(PLACES), np.where(rising, 0.0, -np.inf), np.zeros(PLACES))

    @classmethod
    def mean(cls, several: Sequence[MissingPrior]) -> tuple[MissingPrior]:
        """One prior in place of several, alone in a tuple."""
        parts = ([getattr(prior, name) for prior in several] for name in ("start", "step", "end"))
        return (cls(*(logsumexp(part, axis=0) - np.log(len(several)) for part in parts)),)


@cache
def arch_priors(given: NumberingParameters) -> tuple[MissingPrior, ...]:
    """The priors of one arch.

    Third molars present or missing, and the same with a premolar extracted on either side; last, an arch with few teeth,
    or of which the scan shows few.
    """
    thirds = (1 - given.third_missing, given.third_missing)
    return (*(_prior(third, extracted, given) for extracted in (False, True) for third in thirds), _few(given))


@cache
def mouth_prior(given: NumberingParameters) -> np.ndarray:
    """Log-probability (5, 5) of each pair of `arch_priors`, upper and lower."""
    shares = {pair: share * given.extracted for pair, share in _EXTRACTED.items()} | {
        (False, False): 1 - given.extracted
    }
    table = np.zeros((5, 5))
    for (upper, lower), share in shares.items():
        for third in range(2):
            table[2 * upper + third, 2 * lower + third] = share * (1 - given.third_mixed) / 2
            table[2 * upper + third, 2 * lower + 1 - third] = share * given.third_mixed / 2
    few = given.few
    table *= (1 - few) ** 2
    table[4, :4] = table[:4, 4] = few * (1 - few) * table[:4, :4].sum(axis=0) / table.sum()
    table[4, 4] = few**2
    return np.log(table)


def _few(given: NumberingParameters) -> MissingPrior:
    """Every place is as often empty as `few_missing` says."""
    places = np.arange(PLACES)
    empty, present = np.log(given.few_missing), np.log(1 - given.few_missing)
    step = np.where(places > places[:, None], (places - places[:, None] - 1) * empty + present, -np.inf)
    return MissingPrior(places * empty + present, step, (PLACES - 1 - places) * empty)


def _prior(third: float, extracted: bool, given: NumberingParameters) -> MissingPrior:
    rates = np.array([*(given.missing * np.array(_RATES)), third])[position_of(np.arange(PLACES)) - 1]
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
