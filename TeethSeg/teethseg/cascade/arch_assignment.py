"""Sums over all ways to give the teeth of an arch, in their order, strictly increasing slots.

Teeth may stay without a place, and places without a tooth. All sums are computed for the B readings of a row at once
(`arch_poses.Readings`). For each reading they are exact, by a forward-backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .arch_poses import ArchRow, Readings
from .arch_steps import step_likelihood
from .arch_template import place_centres
from .missing_teeth import MissingPrior
from .numbering_parameters import NumberingParameters
from .place_evidence import SeenErrors

_MOST_EXTRAS_RUNNING = 2


class ArchSolver:
    """Evidence and marginals of readings of a row."""

    def __init__(self, row: ArchRow, given: NumberingParameters):
        self.row, self.given = row, given
        self._ways: dict[tuple[float, float], tuple[np.ndarray, np.ndarray]] = {}

    def evidence(self, readings: Readings) -> np.ndarray:
        """Log of the sum (B,), including the readings' own priors."""
        return _forward(self._likelihoods(readings, self.row.priors))[0] + readings.log_prior

    def glance(self, readings: Readings) -> np.ndarray:
        """Log of the sum (B,) with the mean of the row's priors, and without two adjacent extra teeth."""
        return _forward(self._likelihoods(readings, MissingPrior.mean(self.row.priors), 1))[0] + readings.log_prior

    def marginals(self, readings: Readings, weight: np.ndarray) -> np.ndarray:
        """Probability (N, S) of each slot for each tooth of the row: mean over the readings with these weights (B,)."""
        by_stop = _marginals(self._likelihoods(readings, self.row.priors))
        total = np.zeros_like(self.row.own)
        np.add.at(total, readings.order, weight[:, None, None] * by_stop)
        return total

    def _likelihoods(
        self, readings: Readings, priors: tuple[MissingPrior, ...], extras_running: int = _MOST_EXTRAS_RUNNING
    ) -> _Likelihoods:
        row, given, place = self.row, self.given, self.row.slots.place
        alike, which = readings.different  # all but the priors is computed once for readings that differ in these alone
        views, view = alike.poses.views
        pairs = _pairs(len(row), extras_running)
        wanted = np.zeros((len(row), len(row)), bool)
        for i, j in pairs:
            wanted[alike.where[:, i], alike.where[:, j]] = True
        ways = np.stack([self._ways_seen(*seen, wanted) for seen in views])
        step_prior = np.exp(np.stack([prior.step for prior in priors]))[:, place[:, None], place].astype(np.float32)
        order, where, prior = alike.order, alike.where, readings.prior
        poses, pose = alike.poses.different
        along = np.take_along_axis(row.along(poses)[pose], order, axis=1)  # place of each tooth by its own centre
        seen = SeenErrors.of(row.seen[order], row.vague[order], along, alike.pull, row.slots, given)

        def step(i: int, j: int) -> np.ndarray:
            found = ways[view, where[:, i], where[:, j]]
            if j == i + 1:
                found *= seen.together(i, j)
            return found[which] * step_prior[prior]

        lateral = np.take_along_axis(row.turned(poses)[pose, :, 0], where, axis=1)
        astray = lateral[..., None] - alike.poses.size[:, None, None] * place_centres(row.jaw)[place, 0]
        own = np.exp(row.own[order] + seen.own - 0.5 * given.lateral_weight * (astray / given.lateral_sd) ** 2)[which]
        start, end = (
            np.exp(np.stack([getattr(p, name) for p in priors]))[prior][:, place] for name in ("start", "end")
        )
        return _Likelihoods(own, start, end, step, given.extra, pairs)

    def _ways_seen(self, turn: float, size: float, wanted: np.ndarray) -> np.ndarray:
        """Likelihood (N, N, S, S) of wanted steps between two teeth in a view; cached, as many poses share a view."""
        row, place = self.row, self.row.slots.place
        if (turn, size) not in self._ways:
            shape = (len(row), len(row), len(place), len(place))
            self._ways[turn, size] = np.zeros(shape, np.float32), np.zeros(shape[:2], bool)
        table, known = self._ways[turn, size]
        new = wanted & ~known
        if new.any():
            steps = (row.points - row.points[:, None])[new]
            found = step_likelihood(steps, turn, size, row.jaw, row.slots, self.given)
            table[new] = found
            known |= new
        return table


@dataclass(frozen=True)
class _Likelihoods:
    """Likelihoods of B readings.

    Attributes
    ----------
    own : ndarray, shape (B, N, S)
        Of the slots for the teeth in their order.
    start, end : ndarray, shape (B, S)
        Of the slot of the first tooth, and of the last one.
    step : callable
        (i, j) to (B, S, S): from the slot of tooth i to that of tooth j.
    extra : float
        Of a tooth without a place.
    pairs : list of (int, int)
        Teeth that may follow one another; teeth between them have no place.
    """

    own: np.ndarray
    start: np.ndarray
    end: np.ndarray
    step: Callable[[int, int], np.ndarray]
    extra: float
    pairs: list[tuple[int, int]]


def _forward(given: _Likelihoods) -> tuple[np.ndarray, np.ndarray]:
    """Log of the sum over all ways (B,), and the sums (B, N, S) of the forward pass.

    A sum (j, q) runs over the ways in which tooth j is the last so far with a place, slot q.
    """
    own, extra, count = given.own, given.extra, given.own.shape[1]
    ways = own * given.start[:, None] * (extra ** np.arange(count))[:, None]
    for i, j in given.pairs:
        ways[:, j] += own[:, j] * np.matmul(ways[:, i, None], given.step(i, j))[:, 0] * extra ** (j - i - 1)
    to_end = extra ** np.arange(count - 1, -1, -1.0)
    return np.log(np.einsum("bns,n,bs->b", ways, to_end, given.end) + extra**count), ways


def _marginals(given: _Likelihoods) -> np.ndarray:
    """Probability (B, N, S) of each slot for each tooth in its order; the remainder to 1 is the probability of none."""
    log_sum, ways = _forward(given)
    own, extra, count = given.own, given.extra, given.own.shape[1]
    rest = given.end[:, None] * (extra ** np.arange(count - 1, -1, -1.0))[:, None]
    for i, j in reversed(given.pairs):
        following = own[:, j] * rest[:, j]
        rest[:, i] += np.matmul(given.step(i, j), following[..., None])[..., 0] * extra ** (j - i - 1)
    return ways * rest / np.exp(log_sum)[:, None, None]


def _pairs(count: int, extras: int) -> list[tuple[int, int]]:
    """Pairs of teeth with at most `extras` teeth between them, which have no place."""
    return [(i, j) for j in range(count) for i in range(max(0, j - 1 - extras), j)]


def best_slots(probabilities: np.ndarray) -> np.ndarray:
    """The strictly increasing assignment with the highest expected number of correct teeth.

    Parameters
    ----------
    probabilities : ndarray, shape (N, S)
        Of every slot for the teeth in their order.

    Returns
    -------
    ndarray of int, shape (N,)
        Slots; -1 where "none" is likelier than all slots together.
    """
    count, slots = probabilities.shape
    none = 1 - probabilities.sum(axis=1)
    none[none <= 0.5] = 0.0
    score = np.zeros((count + 1, slots + 1))  # the best for the first k teeth on the slots below p
    take = np.zeros((count, slots), bool)
    for k in range(count):
        score[k + 1, 0] = score[k, 0] + none[k]
        for p in range(slots):
            left_out = max(score[k, p + 1] + none[k], score[k + 1, p])
            taken = score[k, p] + probabilities[k, p]
            take[k, p] = taken > left_out
            score[k + 1, p + 1] = max(taken, left_out)
    chosen = np.full(count, -1)
    k, p = count, slots
    while k and p:
        if take[k - 1, p - 1]:
            chosen[k - 1] = p - 1
            k, p = k - 1, p - 1
        elif score[k, p] == score[k, p - 1]:
            p -= 1
        else:
            k -= 1
    return chosen
