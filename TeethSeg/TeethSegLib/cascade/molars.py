"""Pieces of one molar, put together.

The roots of a molar stand apart, at times as far as two teeth, and then each votes for a centre of its own. But no molar is
half as large as its kind: pieces that touch widely, are called one molar and together are no larger than one, beside the
other teeth of this patient, are one.
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
LARGEST = 1.45  # of a molar's usual volume, beside the patient's other teeth
LEAST_TEETH = 6  # so many must be there to tell how large they are


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
    place = np.array([-1, *(int(np.argmax(one.position_log_probs)) for one in evidence)])
    upper = np.array([False, *(one.upper_probability > 0.5 for one in evidence)])
    whole = np.array([False, *(not one.touches_border for one in evidence)])
    molar = whole & (place >= 5)
    usual = np.array([1.0, *(one.usual_mm3 for one in evidence)])
    if np.count_nonzero(whole) < LEAST_TEETH:
        return labels
    size = min(float(np.percentile(volume[whole] / usual[whole], 70)), 2.0)  # of this patient's teeth; pieces are small
    for first, second, faces in _touching(labels, len(evidence)):
        a, b = owner[first], owner[second]
        if faces * spacing**2 < min(LEAST_CONTACT, BROAD_CONTACT * min(volume[a], volume[b]) ** (2 / 3)):
            continue
        alike = molar[first] and molar[second] and place[first] == place[second] and upper[first] == upper[second]
        if a == b or not alike:
            continue
        if volume[a] + volume[b] <= LARGEST * size * usual[first]:
            volume[a] += volume[b]
            owner[owner == b] = a
    return np.unique(owner, return_inverse=True)[1].astype(labels.dtype)[labels]


def _touching(labels: np.ndarray, count: int) -> list[tuple[int, int, int]]:
    """Pairs of labels and how many faces of voxels they share, those that share most first."""
    faces = np.zeros((count + 1, count + 1), np.int64)
    for axis in range(3):
        before, after = (np.moveaxis(labels, axis, 0)[side] for side in (slice(None, -1), slice(1, None)))
        between = (before != after) & (before > 0) & (after > 0)
        np.add.at(faces, (before[between], after[between]), 1)
    faces = np.triu(faces + faces.T)
    pairs = [(int(a), int(b), int(faces[a, b])) for a, b in np.argwhere(faces)]
    return sorted(pairs, key=lambda pair: -pair[2])
