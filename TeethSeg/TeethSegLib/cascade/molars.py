"""Pieces of one molar, put together.

The roots of a molar stand apart, at times as far as two teeth, and then each votes for a centre of its own. But no molar is
half as large as its kind: pieces that touch widely, are called one molar and together are no larger than one, beside the
other teeth of this patient, are one. So is a molar with a piece beside it that fits no place of the arch. What is larger
than one tooth of this patient, of any position, is several.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .evidence import InstanceEvidence

# Chosen on six simulated scans and a real one: true neighbours shared 54 mm² at most, pieces of one molar 60 and more.
LEAST_CONTACT = 60.0  # mm²
# Or so much of the smaller one's volume to the power of 2/3 (a cube's side is 1): 1.06 and more for roots that came off
# their molar, on a CT too; whole neighbours 0.62 at most. (A piece between two molars may touch the wrong one more.)
BROAD_CONTACT = 0.85
LARGEST = 1.45  # of a tooth's usual volume, beside the patient's other teeth
LEAST_TEETH = 6  # so many must be there to tell how large they are
ROOT = 0.5  # of a molar's usual volume: what is larger is no root that came off
# What fits no place is lost if it is no root, so less contact will do: 0.71 and 1.14 for a filled root of a real scan.
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
    volume = _volumes(evidence)
    place = np.array([-1, *(int(np.argmax(one.position_log_probs)) for one in evidence)])
    upper = np.array([False, *(one.upper_probability > 0.5 for one in evidence)])
    molar = _whole(evidence) & (place >= 5)
    largest = _largest(evidence)
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
    upper = {one.label: one.upper_probability > 0.5 for one in evidence}
    here = {one.label: index for index, one in enumerate(evidence, 1)}
    whole, volume, largest = _whole(evidence), _volumes(evidence), _largest(evidence)
    found: dict[int, int] = {}
    for first, second, contact in _touching(labels, int(labels.max()), spacing):
        for root, molar in ((first, second), (second, first)):
            if number.get(root) != 0 or number.get(molar, 0) % 10 < 6 or root in found or upper[root] != upper[molar]:
                continue
            a, b = here[root], here[molar]
            small = volume[a] < ROOT * evidence[b - 1].usual_mm3 and volume[a] + volume[b] <= largest[b]
            if small and whole[a] and whole[b] and contact >= ROOT_CONTACT * volume[a] ** (2 / 3):
                found[root] = molar
                volume[b] += volume[a]
    return found


def too_large(evidence: Sequence[InstanceEvidence]) -> list[int]:
    """Labels of what is larger than a tooth of its position and of this patient is."""
    return [one.label for one, most in zip(evidence, _largest(evidence)[1:], strict=True) if 0 < most < one.volume_mm3]


def _volumes(evidence: Sequence[InstanceEvidence]) -> np.ndarray:
    """Volume in mm³ of each, from 1."""
    return np.array([0.0, *(one.volume_mm3 for one in evidence)])


def _whole(evidence: Sequence[InstanceEvidence]) -> np.ndarray:
    """Whether the image holds all of each, from 1."""
    return np.array([False, *(not one.touches_border for one in evidence)])


def _largest(evidence: Sequence[InstanceEvidence]) -> np.ndarray:
    """Volume in mm³ that each could have as a tooth of this patient, from 1; 0 if too few are there to tell."""
    whole, volume = _whole(evidence), _volumes(evidence)
    if np.count_nonzero(whole) < LEAST_TEETH:
        return np.zeros_like(volume)
    usual = np.array([1.0, *(one.usual_mm3 for one in evidence)])
    size = min(float(np.percentile(volume[whole] / usual[whole], 70)), 2.0)  # of most teeth; pieces are small
    return LARGEST * size * usual


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
