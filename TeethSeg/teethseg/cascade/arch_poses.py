"""Poses of a head, the teeth of an arch in these poses, and the readings of an arch over which numbering sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, product

import numpy as np

from ..anatomy import Jaw
from .arch_template import PLACES, place_centres
from .missing_teeth import MissingPrior
from .numbering_parameters import NumberingParameters
from .place_evidence import Slots

_CENTRE_DEPTH = 28.0  # mm behind the front: about this centre, the places of a full arch are ordered by angle
_AMBIGUOUS = 5.0  # mm between neighbours along the arch, below which their order is ambiguous
_MOST_AMBIGUOUS = 3
_INVERTED = -0.5  # least difference of the predicted positions, in places, of a transposed pair; usual: -1
_PULLS = (1 / 6, 1 / 2, 5 / 6)  # shares of the largest pull
_MOST_TRANSPOSED = 2


@dataclass(frozen=True)
class Poses:
    """Poses of an arch; all arrays have shape (G,).

    Attributes
    ----------
    turn : ndarray
        Rotation about the vertical in radians.
    midline : ndarray
        Lateral place in mm, from the mean of the teeth.
    size : ndarray
        Relative to the mean arch.
    """

    turn: np.ndarray
    midline: np.ndarray
    size: np.ndarray

    @classmethod
    def grid(cls, turns: np.ndarray, midlines: np.ndarray, sizes: np.ndarray) -> Poses:
        """All combinations, in this order."""
        return cls(*(a.ravel() for a in np.meshgrid(turns, midlines, sizes, indexing="ij")))

    @classmethod
    def union(cls, several: Sequence[Poses]) -> Poses:
        """Every pose once."""
        return cls(*np.unique(np.concatenate([poses.table for poses in several]), axis=0).T)

    @property
    def table(self) -> np.ndarray:
        """(G, 3)."""
        return np.stack([self.turn, self.midline, self.size], axis=1)

    def __getitem__(self, chosen: np.ndarray) -> Poses:
        return Poses(self.turn[chosen], self.midline[chosen], self.size[chosen])

    def __len__(self) -> int:
        return len(self.turn)

    @cached_property
    def different(self) -> tuple[Poses, np.ndarray]:
        """The distinct poses, and the index of each pose among them."""
        table, which = np.unique(self.table, axis=0, return_inverse=True)
        return Poses(*table.T), which.ravel()

    @cached_property
    def views(self) -> tuple[list[tuple[float, float]], np.ndarray]:
        """The distinct pairs of turn and size, and the index of each pose among them."""
        both, which = np.unique(self.table[:, [0, 2]], axis=0, return_inverse=True)
        return [tuple(view) for view in both.tolist()], which.ravel()

    def finer(self, turn: float, midline: float, size: float) -> Poses:
        """Each pose and its neighbours at these distances."""
        around = np.array(list(product((-1, 0, 1), repeat=3))) * [turn, midline, size]
        return Poses(*np.unique(np.round((self.table[:, None] + around).reshape(-1, 3), 9), axis=0).T)

    def nearness(self, other: Poses, given: NumberingParameters, least: tuple[float, float]) -> np.ndarray:
        """Likelihood of each pose of `other` for an arch if the head has each of these, (G, other's G); not normalised.

        `least` are the smallest standard deviations of midline and size that the grids resolve.
        """
        apart = (self.midline[:, None] - other.midline) / max(given.midline_apart, least[0])
        larger = (self.size[:, None] - other.size) / max(given.size_apart, least[1])
        return np.exp(-0.5 * (apart**2 + larger**2)) * np.isclose(self.turn[:, None], other.turn)


@dataclass(frozen=True)
class ArchRow:
    """The teeth of one jaw, deciduous or permanent ones, erupted or not.

    Attributes
    ----------
    jaw : str
    members : ndarray of int, shape (N,)
        Indices of the teeth in the mouth.
    points : ndarray, shape (N, 2)
        Lateral and posterior mm in the occlusal plane, from the mean of all teeth.
    slots : Slots
    own : ndarray, shape (N, S)
        Log-likelihood of every slot by the tooth's own evidence.
    seen, vague : ndarray, shape (N,)
        Predicted position as a fraction of places, and its excess variance; see `place_evidence.seen_position`.
    priors : tuple of MissingPrior
    """

    jaw: Jaw
    members: np.ndarray
    points: np.ndarray
    slots: Slots
    own: np.ndarray
    seen: np.ndarray
    vague: np.ndarray
    priors: tuple[MissingPrior, ...]

    def __len__(self) -> int:
        return len(self.points)

    def turned(self, poses: Poses) -> np.ndarray:
        """The points (G, N, 2) after the head is rotated straight; lateral 0 is the midline."""
        cos, sin = np.cos(poses.turn)[:, None], np.sin(poses.turn)[:, None]
        lateral = cos * self.points[:, 0] + sin * self.points[:, 1] - poses.midline[:, None]
        return np.stack([lateral, cos * self.points[:, 1] - sin * self.points[:, 0]], axis=-1)

    def placed(self, poses: Poses) -> np.ndarray:
        """The points (G, N, 2) in arch coordinates: lateral, posterior mm of an arch of mean size."""
        points = self.turned(poses) / poses.size[:, None, None]
        depth = np.interp(self.seen, np.arange(1, 9), place_centres(self.jaw)[PLACES // 2 :, 1])
        points[..., 1] -= np.median(points[..., 1] - depth, axis=1, keepdims=True)
        return points

    def angles(self, poses: Poses) -> tuple[np.ndarray, np.ndarray]:
        """Angle (G, N) of each tooth about the arch's centre, from the patient's right to left, and radius in mm."""
        points = self.placed(poses)
        ahead = _CENTRE_DEPTH - points[..., 1]
        return np.arctan2(points[..., 0], ahead), poses.size[:, None] * np.hypot(points[..., 0], ahead)

    def along(self, poses: Poses) -> np.ndarray:
        """Fractional place (0-15) at which each tooth stands, (G, N)."""
        points, centres = self.placed(poses)[..., None, :], place_centres(self.jaw)
        ways = np.diff(centres, axis=0)
        part = np.clip(((points - centres[:-1]) * ways).sum(axis=-1) / (ways**2).sum(axis=1), 0, 1)  # (G, N, 15)
        away = np.linalg.norm(points - centres[:-1] - part[..., None] * ways, axis=-1)
        nearest = away.argmin(axis=-1)[..., None]
        return (nearest + np.take_along_axis(part, nearest, axis=-1))[..., 0]


@dataclass(frozen=True)
class Readings:
    """B hypotheses of a row: pose, order of the teeth, prior of missing ones, and pull of moved teeth.

    Attributes
    ----------
    poses : Poses
    order : ndarray of int, shape (B, N)
        The tooth at each stop along the arch, from the patient's right to the left.
    where : ndarray of int, shape (B, N)
        The tooth whose centre is that stop; differs from `order` where two teeth are transposed.
    prior : ndarray of int, shape (B,)
        Index of the row's prior.
    pull : ndarray, shape (B,)
        Share of a tooth's displacement by which its predicted position moves.
    log_prior : ndarray, shape (B,)
        Of the order.
    standing : ndarray of int, shape (B,)
        The same for readings that differ in nothing but their prior.
    """

    poses: Poses
    order: np.ndarray
    where: np.ndarray
    prior: np.ndarray
    pull: np.ndarray
    log_prior: np.ndarray
    standing: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Readings:
        parts = (self.order, self.where, self.prior, self.pull, self.log_prior, self.standing)
        return Readings(self.poses[chosen], *(part[chosen] for part in parts))

    def with_pulls(self, given: NumberingParameters) -> Readings:
        """Each of these readings with each pull."""
        count = len(self.prior)
        each = self[np.repeat(np.arange(count), len(_PULLS))]
        which = np.tile(np.arange(len(_PULLS)), count)
        return replace(each, pull=given.pull * np.take(_PULLS, which), standing=len(_PULLS) * each.standing + which)

    @property
    def different(self) -> tuple[Readings, np.ndarray]:
        """One reading of each standing, and the index of each reading among them."""
        _, first, which = np.unique(self.standing, return_index=True, return_inverse=True)
        return self[first], which.ravel()


def by_angle(row: ArchRow, poses: Poses, given: NumberingParameters) -> Readings:
    """One reading for each pose, with the row's first prior."""
    order = np.argsort(row.angles(poses)[0], axis=1)
    count = len(poses)
    pull = np.full(count, given.pull / 2)
    return Readings(poses, order, order, np.zeros(count, int), pull, np.zeros(count), np.arange(count))


def all_readings(row: ArchRow, poses: Poses, given: NumberingParameters) -> Readings:
    """Readings with all priors, with ambiguous neighbours exchanged, and with a canine and its neighbour transposed."""
    angle, radius = row.angles(poses)
    order = np.argsort(angle, axis=1)
    angle, radius = (np.take_along_axis(a, order, axis=1) for a in (angle, radius))
    apart = np.mean(np.diff(angle, axis=1) * (radius[:, 1:] + radius[:, :-1]) / 2, axis=0)
    close = [int(i) for i in np.argsort(apart) if apart[i] < _AMBIGUOUS][:_MOST_AMBIGUOUS]
    orders = [(order, order, 0.0)]
    for choice in product((False, True), repeat=len(close)):
        pairs = sorted(i for i, chosen in zip(close, choice, strict=True) if chosen)
        if pairs and not any(b - a == 1 for a, b in pairwise(pairs)):
            orders.append((_exchanged(order, pairs), _exchanged(order, pairs), 0.0))
    orders += [(_exchanged(order, [i]), order, np.log(given.transposed)) for i in _transposed(row.seen[order[0]])]
    kind, prior, pose = (a.ravel() for a in np.indices((len(orders), len(row.priors), len(poses))))
    teeth, where, log_prior = zip(*orders, strict=True)
    return Readings(
        poses[pose],
        np.array(teeth)[kind, pose],
        np.array(where)[kind, pose],
        prior,
        np.full(len(pose), given.pull / 2),
        np.array(log_prior)[kind],
        kind * len(poses) + pose,
    )


def _exchanged(order: np.ndarray, pairs: Sequence[int]) -> np.ndarray:
    order = order.copy()
    for i in pairs:
        order[:, [i, i + 1]] = order[:, [i + 1, i]]
    return order


def _transposed(seen: np.ndarray) -> list[int]:
    """Stops along the arch where the predicted positions of a canine and its neighbour are exchanged."""
    front = int(np.argmin(seen))
    found = []
    for i in range(len(seen) - 1):
        inner, outer = (seen[i + 1], seen[i]) if i + 1 <= front else (seen[i], seen[i + 1])
        if inner - outer > _INVERTED and 1.4 < outer < 4.2 and 2.0 < inner < 4.8:
            found.append(i)
    return found[:_MOST_TRANSPOSED]
