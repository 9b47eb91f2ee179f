"""Pieces of teeth as a graph: the nodes are the pieces of `oversegmentation`, the edges their contacts.

Both hold sums over voxels, so that those of merged pieces are added up.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from .instance_features import CLIPPED_LOG
from .predictions import FineMaps


@dataclass
class Pieces:
    """Sums over the voxels of N pieces.

    Attributes
    ----------
    voxels, votes : ndarray, shape (N,)
        Numbers of full-resolution and of half-resolution voxels.
    vote : ndarray, shape (N, 3)
        Of the centres that half-resolution voxels vote for, mm from voxel 0.
    position : ndarray, shape (N, 8)
        Of log-probabilities of the positions 1 to 8.
    upper, tooth, coarse : ndarray, shape (N,)
        Of probabilities: upper jaw, tooth, tooth by stage 1.
    metal, border : ndarray, shape (N,)
        Numbers of voxels as bright as metal, and at the border of the image.
    """

    voxels: np.ndarray
    votes: np.ndarray
    vote: np.ndarray
    position: np.ndarray
    upper: np.ndarray
    tooth: np.ndarray
    coarse: np.ndarray
    metal: np.ndarray
    border: np.ndarray

    def __len__(self) -> int:
        return len(self.voxels)

    def __getitem__(self, chosen: np.ndarray) -> Pieces:
        return Pieces(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def __add__(self, other: Pieces) -> Pieces:
        return Pieces(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def merge(self, into: int, other: int) -> None:
        """Add one piece to another, and leave nothing of it."""
        for field in fields(self):
            values = getattr(self, field.name)
            values[into] += values[other]
            values[other] = 0


@dataclass
class Contacts:
    """Pairs of pieces that touch.

    Attributes
    ----------
    pairs : ndarray of int, shape (E, 2)
        Their indices, the smaller one first.
    faces : ndarray, shape (E,)
        Number of voxel faces that they share.
    core : ndarray, shape (E,)
        Sum of the core's probability over these, the mean of both sides of a face.
    """

    pairs: np.ndarray
    faces: np.ndarray
    core: np.ndarray

    def __len__(self) -> int:
        return len(self.pairs)

    def merge(self, into: int, other: int) -> Contacts:
        """Contacts after one piece was added to another."""
        pairs = np.sort(np.where(self.pairs == other, into, self.pairs), axis=1)
        keep = pairs[:, 0] != pairs[:, 1]
        pairs, where = np.unique(pairs[keep], axis=0, return_inverse=True)
        sums = (np.bincount(where.ravel(), weights=of[keep], minlength=len(pairs)) for of in (self.faces, self.core))
        return Contacts(pairs, *sums)


def measure_pieces(labels: np.ndarray, maps: FineMaps, cut: np.ndarray, coarse: np.ndarray) -> Pieces:
    """Sums of the maps over pieces.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Pieces, numbered from 1 without gaps; 0 elsewhere.
    maps : FineMaps
        On the same grid.
    cut : ndarray of bool, shape (Z, Y, X)
        Where the image ends.
    coarse : ndarray, shape (Z/2, Y/2, X/2)
        Probability of tooth by stage 1.
    """
    count = int(labels.max())
    there = np.nonzero(labels)
    owner = labels[there].astype(np.int64) - 1
    half = labels[::2, ::2, ::2]
    small = np.argwhere(half)
    seen = tuple(small.T)
    voter = half[seen].astype(np.int64) - 1

    def total(values: np.ndarray | None, owner: np.ndarray) -> np.ndarray:
        return np.bincount(owner, weights=values, minlength=count).astype(float)

    vote = (2 * small + 0.5) * maps.spacing + maps.offset[(slice(None), *seen)].T
    position = np.maximum(maps.position[(slice(None), *seen)], CLIPPED_LOG)
    return Pieces(
        voxels=total(None, owner),
        votes=total(None, voter),
        vote=np.stack([total(column, voter) for column in vote.T], axis=1),
        position=np.stack([total(row, voter) for row in position], axis=1),
        upper=total(maps.upper[seen], voter),
        tooth=total(maps.tooth[there], owner),
        coarse=total(coarse[seen], voter),
        metal=np.zeros(count) if maps.metal is None else total(maps.metal[there], owner),
        border=total(cut[there], owner),
    )


def find_contacts(labels: np.ndarray, core: np.ndarray) -> Contacts:
    """Pieces (numbered from 1 without gaps) that share faces of voxels, and the `core` map there; both (Z, Y, X)."""
    count = int(labels.max()) + 1
    codes, cores = [], []
    for axis in range(3):
        before, after = (np.moveaxis(labels, axis, 0)[side] for side in (slice(None, -1), slice(1, None)))
        between = (before != after) & (before > 0) & (after > 0)
        pair = np.stack([before[between], after[between]]).astype(np.int64)
        codes.append(pair.min(axis=0) * count + pair.max(axis=0))
        moved = np.moveaxis(core, axis, 0)
        cores.append((moved[:-1][between] + moved[1:][between]) / 2)
    code, where, faces = np.unique(np.concatenate(codes), return_inverse=True, return_counts=True)
    sums = np.bincount(where.ravel(), weights=np.concatenate(cores), minlength=len(code))
    return Contacts(np.stack([code // count, code % count], axis=1) - 1, faces.astype(float), sums)
