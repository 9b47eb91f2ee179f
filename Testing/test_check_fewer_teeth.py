"""Teeth taken out of a scan (`scripts/check_fewer_teeth.py`)."""

from __future__ import annotations

import numpy as np

from check_fewer_teeth import patterns, without
from teethseg.volume import Volume


def test_a_tooth_and_its_bracket_are_taken_out_and_the_others_stay():
    labels = np.zeros((20, 40, 40), np.uint8)
    labels[5:15, 10:18, 10:18], labels[5:15, 22:30, 10:18] = 14, 15
    scan = np.random.default_rng(0).normal(100, 5, labels.shape)
    scan[labels > 0] += 1500
    scan[8:10, 12:14, 18:21] = 3000  # a bracket on 14
    volume = Volume(scan.astype(np.int16), (0.5, 0.5, 0.5), (0, 0, 0), np.eye(3))
    part, hole = without(volume, labels, {14})
    assert hole[labels == 14].all() and not hole[labels == 15].any() and hole[8:10, 12:14, 18:21].all()
    assert abs(part.array[labels == 14].mean() - 100) < 20 and part.array[hole].max() < 500
    assert 1 < part.array[labels == 14].std() < 20  # with noise
    assert np.array_equal(part.array[labels == 15], volume.array[labels == 15])


def test_patterns_take_out_what_they_say():
    teeth = [quadrant * 10 + position for quadrant in (1, 2, 3, 4) for position in range(1, 8)]
    gone = dict(patterns(teeth))
    assert gone["none"] == set() and gone["first premolars"] == {14, 24, 34, 44}
    assert gone["upper laterals"] == {12, 22} and gone["upper jaw but molars"] == {
        n for n in teeth if n < 26 and n % 10 < 6
    }
    assert gone["right side"] == {n for n in teeth if n // 10 in (1, 4)}
