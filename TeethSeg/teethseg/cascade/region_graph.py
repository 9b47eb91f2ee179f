"""Pieces of teeth as a graph: the nodes are the pieces of `oversegmentation`, the edges their contacts.

Both hold sums over voxels, so a merge adds the sums of two pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from scipy.special import softmax

from .predictions import FineMaps

_CLIPPED_LOG = np.log(0.01)  # clips log-probabilities: a few confident wrong voxels must not outweigh a tooth


@dataclass
class Pieces:
    """Sums over the voxels of N pieces."""

    voxels: np.ndarray  # (N,): number of voxels
    votes: np.ndarray  # (N,): number of half-resolution voxels, over which the half-resolution maps are summed
    place: np.ndarray  # (N, 3): sum of the voxels' indices (z, y, x) ...
    spread: np.ndarray  # (N, 3, 3): ... and sum of their products
    vote: np.ndarray  # (N, 3): sum of the predicted centres, mm from voxel 0
    position: np.ndarray  # (N, 8): sum of the log-probabilities of the positions 1 to 8
    upper: np.ndarray  # (N,): sum of the probabilities of the upper jaw,
    deciduous: np.ndarray  # of a deciduous tooth (0 without such a map),
    unerupted: np.ndarray  # of a tooth that has not erupted (0 without such a map),
    tooth: np.ndarray  # of a tooth,
    coarse: np.ndarray  # and of a tooth by stage 1 (half-resolution)
    metal: np.ndarray  # (N,): number of voxels as bright as metal ...
    border: np.ndarray  # (N,): ... and at the border of the image

    def __len__(self) -> int:
        return len(self.voxels)

    def __getitem__(self, chosen: np.ndarray) -> Pieces:
        return Pieces(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def __add__(self, other: Pieces) -> Pieces:
        return Pieces(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def merge(self, into: int, other: int) -> None:
        """Add the sums of piece `other` to `into`, and set those of `other` to 0."""
        for field in fields(self):
            values = getattr(self, field.name)
            values[into] += values[other]
            values[other] = 0

    @property
    def positions(self) -> np.ndarray:
        """Probabilities of the positions 1 to 8, (N, 8)."""
        return softmax(self.position / np.maximum(self.votes, 1)[:, None], axis=1)

    @property
    def jaws(self) -> np.ndarray:
        """Probabilities of the lower and of the upper jaw, (N, 2)."""
        upper = np.clip(np.where(self.votes > 0, self.upper / np.maximum(self.votes, 1), 0.5), 0, 1)
        return np.stack([1 - upper, upper], axis=1)


@dataclass
class Contacts:
    """Pairs of pieces that touch."""

    pairs: np.ndarray  # (E, 2): their indices, the smaller one first
    faces: np.ndarray  # (E,): number of voxel faces that they share
    core: np.ndarray  # (E,): sum of the core probability over these faces, each the mean of its two voxels

    def __len__(self) -> int:
        return len(self.pairs)

    def merge(self, into: int, other: int) -> Contacts:
        """Contacts after piece `other` was merged into `into`."""
        pairs = np.sort(np.where(self.pairs == other, into, self.pairs), axis=1)
        keep = pairs[:, 0] != pairs[:, 1]
        pairs, where = np.unique(pairs[keep], axis=0, return_inverse=True)
        return Contacts(pairs, *(np.bincount(where.ravel(), of[keep], len(pairs)) for of in (self.faces, self.core)))


def measure_pieces(labels: np.ndarray, maps: FineMaps, cut: np.ndarray, coarse: np.ndarray | None = None) -> Pieces:
    """Sums of the maps over pieces.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Pieces, numbered from 1 without gaps; 0 elsewhere.
    maps : FineMaps
        On the same grid.
    cut : ndarray of bool, shape (Z, Y, X)
        Voxels at the edge of the image.
    coarse : ndarray, shape (Z/2, Y/2, X/2), optional
        Tooth probability of stage 1.

    Returns
    -------
    Pieces
        In the order of the labels.
    """
    count = int(labels.max())
    index, total = _totals(labels, count)
    small, votes = _totals(labels[::2, ::2, ::2], count)
    there, seen = (..., *index), (..., *small)

    def of(values: np.ndarray | None) -> np.ndarray:
        return np.zeros(count) if values is None else votes(values[seen])

    return Pieces(
        voxels=total(np.ones(len(index[0]))),
        votes=votes(np.ones(len(small[0]))),
        place=total(index),
        spread=total(index[:, None] * index),
        vote=votes((2 * small + 0.5) * maps.spacing + maps.offset[seen]),
        position=votes(np.maximum(maps.position[seen], _CLIPPED_LOG)),
        upper=of(maps.upper),
        deciduous=of(maps.deciduous),
        unerupted=of(maps.unerupted),
        tooth=total(maps.tooth[there]),
        coarse=of(coarse),
        metal=np.zeros(count) if maps.metal is None else total(maps.metal[there]),
        border=total(cut[there]),
    )


def _totals(labels: np.ndarray, count: int) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Indices (3, V) of all labelled voxels, and a function that sums values (..., V) over each label, (N, ...)."""
    index = np.array(np.nonzero(labels))
    owner = labels[tuple(index)].astype(np.int64) - 1

    def total(values: np.ndarray) -> np.ndarray:
        if values.ndim > 1:
            return np.stack([total(row) for row in values], axis=1)
        return np.bincount(owner, values, count)

    return index, total


def find_contacts(labels: np.ndarray, core: np.ndarray) -> Contacts:
    """Find the pieces that share voxel faces.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Pieces, numbered from 1 without gaps; 0 elsewhere.
    core : ndarray, shape (Z, Y, X)
        Core probability.

    Returns
    -------
    Contacts
    """
    count = int(labels.max()) + 1
    codes, cores = [], []
    for axis in range(3):
        before, after = (np.moveaxis(labels, axis, 0)[side] for side in (slice(None, -1), slice(1, None)))
        between = (before != after) & (before > 0) & (after > 0)
        pair = np.sort(np.stack([before[between], after[between]]).astype(np.int64), axis=0)
        codes.append(pair[0] * count + pair[1])
        moved = np.moveaxis(core, axis, 0)
        cores.append((moved[:-1][between] + moved[1:][between]) / 2)
    code, where = np.unique(np.concatenate(codes), return_inverse=True)
    pairs = np.stack([code // count, code % count], axis=1) - 1
    faces, sums = (np.bincount(where.ravel(), of, len(code)) for of in (None, np.concatenate(cores)))
    return Contacts(pairs, faces.astype(float), sums)
