"""Likelihood of the step from one tooth to the next, given two places of an arch."""

from __future__ import annotations

import numpy as np

from ..anatomy import Jaw
from .arch_template import PLACES, deciduous_excess, gap_fractions, place_centres, position_of
from .numbering_parameters import NumberingParameters
from .place_evidence import Slots

_CLOSING = (0.0, 1 / 3, 2 / 3, 1.0)  # closed shares of a gap


def step_likelihood(
    steps: np.ndarray, turn: float, size: float, jaw: Jaw, slots: Slots, given: NumberingParameters
) -> np.ndarray:
    """Likelihood, relative to the best, of every step from a tooth in slot p to a tooth in slot q of a later place.

    Lengths of steps weigh more than their directions, because narrow and wide arches have teeth of the same widths.
    Where the places between two teeth are empty, the gap may have closed, in part or wholly.

    Parameters
    ----------
    steps : ndarray, shape (K, 2)
        Lateral and posterior mm from one tooth to another.
    turn : float
        Rotation of the head about the vertical in radians.
    size : float
        Of the arch, relative to the mean.
    jaw : str
    slots : Slots
        S slots of the row.
    given : NumberingParameters

    Returns
    -------
    ndarray of float32, shape (K, S, S)
        By step, p and q; 0 where q's place is not behind p's.
    """
    centres, place = place_centres(jaw), slots.place
    p, q = np.nonzero(place[:, None] < place)
    passed = place[q] - place[p] - 1
    way = centres[place[q]] - centres[place[p]]
    length = np.linalg.norm(way, axis=1)
    cos, sin = np.cos(turn), np.sin(turn)
    ahead = (way / length[:, None]) @ np.array([[cos, sin], [-sin, cos]])
    along = (steps @ ahead.T).astype(np.float32)
    across = (steps @ np.stack([-ahead[:, 1], ahead[:, 0]])).astype(np.float32)
    wider = np.where(slots.deciduous, deciduous_excess(jaw)[place], 0.0)
    length = (length + (wider[p] + wider[q]) / 2) * size
    along_sd = np.sqrt(given.along_sd**2 + given.along_sd_per_place**2 * passed + (given.along_sd_per_mm * length) ** 2)
    across_sd = np.sqrt(given.across_sd**2 + (given.across_angle * length) ** 2)
    shares = closing_shares(passed, np.asarray(position_of(np.minimum(place[p] + 1, PLACES - 1))), given)
    closed = gap_fractions(jaw)[place[p], place[q]]
    empty = passed > 0
    total = np.zeros_like(along)
    for part, share in zip(_CLOSING, shares, strict=True):
        chosen = empty if part else slice(None)
        weight = np.where(empty, share, 1.0)[chosen].astype(np.float32)
        left = (length * (1 - part * (1 - closed)))[chosen]
        astray = (along[:, chosen] - left.astype(np.float32)) / along_sd[chosen].astype(np.float32)
        total[:, chosen] += weight * np.exp(-0.5 * astray**2)
    total *= np.exp(-0.5 * (across / across_sd.astype(np.float32)) ** 2)
    total *= (given.along_sd / along_sd * given.across_sd / across_sd).astype(np.float32)
    table = np.zeros((len(steps), len(place), len(place)), np.float32)
    table[:, p, q] = (total + np.float32(given.step_outlier)) ** np.float32(given.step_weight)
    return table


def closing_shares(passed: np.ndarray, lost: np.ndarray, given: NumberingParameters) -> tuple[np.ndarray, ...]:
    """Share of gaps that have closed by each of `_CLOSING`, (K,) each.

    Parameters
    ----------
    passed : ndarray of int, shape (K,)
        Empty places of the gap.
    lost : ndarray of int, shape (K,)
        Position of the first of them.
    """
    several, molar = passed > 1, lost >= 6
    whole = np.where(several, given.closed_several, np.where(molar, given.closed_molar, given.closed))
    part = np.where(several, given.part_closed_several, np.where(molar, given.part_closed_molar, given.part_closed))
    return 1 - whole - part, part / 2, part / 2, whole
