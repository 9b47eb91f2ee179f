"""Stored small outputs of the networks reveal when the splitting into teeth or the numbering gets worse.

`scripts/goldens.py` made the files with `teethseg-8` from simulated cases outside the training data: maps of
two partial views (seeds 920000 and 920003), numbers of four sets (900000, 905000, 920000 and crowded fronts, 970000),
and of six children (960000, by the networks for mixed dentitions).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

import goldens
from teethseg.cascade.instances import find_instances

FOLDER = Path(__file__).parent / "goldens"
SLACK = 0.01  # of an IoU: rounding

# IoU of every true tooth with its predicted object. (Since pieces are flooded in the order of the core's probability,
# the touching crowns of 26, 36 and 37 have 0.01, 0.02 and 0.01 less, and 27 and 28 have 0.01 more.)
OVERLAPS = {
    "p920-case-920000": {15: 0.825, 16: 0.966, 17: 0.858, 45: 0.644, 46: 0.942, 47: 0.957},
    "p920-case-920003": {26: 0.735, 27: 0.769, 28: 0.929, 36: 0.777, 37: 0.817, 38: 0.915},
}
TEETH, RIGHT, SURE = 308, 302, 237  # sure from 0.996 on; with 0.99, as before, 251
CHILDRENS_TEETH = 220
# Log-odds by position of `teethseg-9-mixed` for permanent teeth of children: mean of 69, erupted ones.
VAGUE_DECIDUOUS = (-3.28, -2.23, -2.3, -1.79, -2.33, -3.0, -4.2, -3.6)
VAGUE_GERM = (-2.19, -1.95, -1.43, -1.05, -1.08, -1.62, -0.72, -0.4)


@pytest.mark.parametrize("name", OVERLAPS)
def test_maps_are_parted_into_the_same_teeth(name):
    maps, truth = goldens.unpacked(FOLDER / f"{name}.npz")
    found = goldens.overlaps(find_instances(maps).labels, truth)
    best = dict(found.values())
    assert sorted(fdi for fdi, _ in found.values()) == sorted(OVERLAPS[name]), "a tooth is lost, parted or made up"
    worse = {fdi: (best[fdi], iou) for fdi, iou in OVERLAPS[name].items() if best[fdi] < iou - SLACK}
    assert not worse


def test_numbers_of_real_outputs_of_the_networks():
    mouths = json.loads((FOLDER / "numbers.json").read_text(encoding="utf-8"))
    count, right, sure, wrong = goldens.numbers_right(mouths)
    assert count == TEETH
    assert right >= RIGHT
    assert sure >= SURE
    assert wrong == 0


def test_numbers_of_children():
    """Network heads hardly separate deciduous from permanent teeth: depth, size and the age of the dentition do."""
    mouths = json.loads((FOLDER / "children.json").read_text(encoding="utf-8"))
    count, right, sure, wrong = goldens.numbers_right(mouths)
    assert count == CHILDRENS_TEETH
    assert right >= CHILDRENS_TEETH - 2
    assert sure >= 0.8 * count
    assert wrong <= 3  # objects that are half a tooth and match no reference tooth


@pytest.mark.slow
def test_heads_that_have_learned_little_leave_adults_as_sure():
    """A dentition without any deciduous tooth makes each one unlikely, whatever their network heads predict."""
    rng = np.random.default_rng(0)
    mouths = json.loads((FOLDER / "numbers.json").read_text(encoding="utf-8"))
    for one in (tooth for mouth in mouths for tooth in mouth["teeth"]):
        looks = int(np.argmax(one["position"]))
        one["deciduous"] = float(expit(VAGUE_DECIDUOUS[looks] + rng.normal(0, 0.2)))
        one["germ"] = float(expit(VAGUE_GERM[looks] + rng.normal(0, 0.15)))
    _, right, sure, wrong = goldens.numbers_right(mouths)
    assert right >= RIGHT
    assert sure >= SURE - 3
    assert wrong == 0
