"""Merging of the pieces of one molar.

The roots of a molar can stand as far apart as two teeth; then each root votes for a centre of its own. But no molar is half as
large as its kind. Pieces are one molar if they touch widely, have the same position, and together are no larger than one molar
of this patient. A piece that fits no place of the arch also belongs to the molar beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .instance_features import InstanceEvidence
from .volume_prior import largest_volumes

# Chosen on six simulated scans and a real one: true neighbours shared 54 mm² at most, pieces of one molar 60 and more.
LEAST_CONTACT = 60.0  # mm²
# Or so much of the smaller one's volume to the power of 2/3 (a cube's side is 1): 1.06 and more for roots that came off
# their molar, on a CT too; whole neighbours 0.62 at most. (A piece between two molars may touch the wrong one more.)
BROAD_CONTACT = 0.85
ROOT = 0.5  # of a molar's usual volume: a larger piece is no detached root
# A piece without a place is lost unless it is a root, so less contact will do: 0.71 and 1.14 for a filled root of a real scan.
ROOT_CONTACT = 0.6


def whole_molars(labels: np.ndarray, evidence: Sequence[InstanceEvidence], spacing: float) -> np.ndarray:
    """Give pieces of one molar the same label.

    Teeth that the image cuts are left as they are: half of one is as large as a piece.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Instances, numbered as in `evidence`; 0 elsewhere.
    evidence : sequence of InstanceEvidence
        In the order of the labels, from 1.
    spacing : float
        Of the cubic voxels in mm.

    Returns
    -------
    ndarray of int, shape (Z, Y, X)
        Numbered from 1 without gaps.
    """
    owner = np.arange(len(evidence) + 1)
    volume = np.array([0.0, *(one.volume_mm3 for one in evidence)])
    place = np.array([-1, *(one.position - 1 for one in evidence)])
    upper = np.array([False, *(one.is_upper for one in evidence)])
    molar = np.array([False, *(not one.touches_border and one.position >= 6 for one in evidence)])
    largest = np.array([0.0, *largest_volumes(evidence)])
    for first, second, contact in _touching(labels, len(evidence), spacing):
        a, b = owner[first], owner[second]
        alike = molar[first] and molar[second] and place[first] == place[second] and upper[first] == upper[second]
        if a != b and alike and _widely(contact, volume[a], volume[b]) and volume[a] + volume[b] <= largest[first]:
            volume[a] += volume[b]
            owner[owner == b] = a
    return np.unique(owner, return_inverse=True)[1].astype(labels.dtype)[labels]


def lost_roots(
    labels: np.ndarray, evidence: Sequence[InstanceEvidence], fdi: Sequence[int], spacing: float
) -> dict[int, int]:
    """Roots that lie beside their molar as an instance of their own, for which no place was left.

    Parameters
    ----------
    labels : ndarray of int, shape (Z, Y, X)
        Instances; 0 elsewhere.
    evidence : sequence of InstanceEvidence
        Of those that count.
    fdi : sequence of int
        Their numbers, in the same order; 0 for none.
    spacing : float
        Of the cubic voxels in mm.

    Returns
    -------
    dict of int to int
        The molar's label for each such root's.
    """
    if 0 not in fdi:
        return {}
    number = {one.label: given for one, given in zip(evidence, fdi, strict=True)}
    known = {one.label: one for one in evidence}
    volume = {one.label: one.volume_mm3 for one in evidence}
    largest = dict(zip(volume, largest_volumes(evidence), strict=True))
    found: dict[int, int] = {}
    for first, second, contact in _touching(labels, int(labels.max()), spacing):
        for root, molar in ((first, second), (second, first)):
            if number.get(root) != 0 or number.get(molar, 0) % 10 < 6 or root in found:
                continue
            a, b = known[root], known[molar]
            whole = not a.touches_border and not b.touches_border
            small = volume[root] < ROOT * b.usual_mm3 and volume[root] + volume[molar] <= largest[molar]
            if a.is_upper == b.is_upper and whole and small and contact >= ROOT_CONTACT * volume[root] ** (2 / 3):
                found[root] = molar
                volume[molar] += volume[root]
    return found


def _widely(contact: float, first: float, second: float) -> bool:
    """Whether volumes touch as pieces of one tooth do: contact in mm², volumes in mm³."""
    return contact >= min(LEAST_CONTACT, BROAD_CONTACT * min(first, second) ** (2 / 3))


def _touching(labels: np.ndarray, count: int, spacing: float) -> list[tuple[int, int, float]]:
    """Pairs of labels and their contact in mm², those that share most first."""
    faces = np.zeros((count + 1, count + 1), np.int64)
    for axis in range(3):
        before, after = (np.moveaxis(labels, axis, 0)[side] for side in (slice(None, -1), slice(1, None)))
        between = (before != after) & (before > 0) & (after > 0)
        np.add.at(faces, (before[between], after[between]), 1)
    faces = np.triu(faces + faces.T)
    pairs = [(int(a), int(b), float(faces[a, b] * spacing**2)) for a, b in np.argwhere(faces)]
    return sorted(pairs, key=lambda pair: -pair[2])
