"""Pieces of one molar put together."""

from __future__ import annotations

import numpy as np
import pytest

from teethseg.cascade.fragment_merging import lost_roots, whole_molars
from teethseg.cascade.instance_features import InstanceEvidence

SPACING = 0.5
FACES = round(60.0 / SPACING**2)  # of voxels, in the smallest contact that counts


def _pieces(contact: int, *evidence: dict, size: float = 1.0):
    """Neighbouring slabs in a row, each sharing `contact` faces with the next and six incisors; and their evidence."""
    labels = np.zeros((3, contact, 4 * len(evidence) + 18), np.uint16)
    made = []
    incisors = [{"position": 1, "volume": 580.0 * size}] * 6
    for number, about in enumerate((*evidence, *incisors), 1):
        start = 4 * number - 4 if number <= len(evidence) else 4 * len(evidence) + 3 * (number - len(evidence)) - 2
        labels[1, :, start : start + (4 if number <= len(evidence) else 2)] = number
        logs = np.full(8, -6.0)
        logs[about.get("position", 6) - 1] = -0.02
        made.append(
            InstanceEvidence(
                number,
                about.get("volume", 500.0),
                np.zeros(3),
                logs,
                about.get("upper", 1.0),
                touches_border=about.get("cut", False),
            )
        )
    return labels, made


def test_two_halves_of_a_molar_become_one():
    labels, evidence = _pieces(FACES, {"volume": 676.0}, {"volume": 423.0})
    found = whole_molars(labels, evidence, SPACING)
    assert np.array_equal(found == 1, (labels == 1) | (labels == 2))
    assert found.max() == 7  # and six incisors


def test_three_pieces_become_one_and_the_tooth_behind_stays_another():
    labels, evidence = _pieces(
        FACES, {"volume": 500.0}, {"volume": 450.0}, {"volume": 160.0}, {"position": 7, "volume": 800.0}
    )
    assert np.array_equal(np.unique(whole_molars(labels, evidence, SPACING)[labels == 3]), [1])
    assert np.array_equal(np.unique(whole_molars(labels, evidence, SPACING)[labels == 4]), [2])


@pytest.mark.parametrize(
    "other",
    [
        {"position": 7},
        {"volume": 1100.0},  # two whole teeth
        {"upper": 0.1},
        {"cut": True},
    ],
    ids=["another position", "too large", "the other jaw", "cut by the image's edge"],
)
def test_what_may_be_two_teeth_stays_two(other):
    labels, evidence = _pieces(FACES, {"volume": 600.0}, other)
    assert np.array_equal(whole_molars(labels, evidence, SPACING), labels)


def test_small_teeth_side_by_side_stay_two():
    labels, evidence = _pieces(FACES, {"position": 1, "volume": 150.0}, {"position": 1, "volume": 150.0})
    assert np.array_equal(whole_molars(labels, evidence, SPACING), labels)


def test_pieces_that_hardly_touch_stay_two():
    labels, evidence = _pieces(round(52 / SPACING**2), {}, {})  # of 500 mm³ each
    assert np.array_equal(whole_molars(labels, evidence, SPACING), labels)


@pytest.mark.parametrize(("contact", "joined"), [(20, True), (12, False)])
def test_a_root_that_came_off_belongs_to_its_molar(contact, joined):
    labels, evidence = _pieces(round(contact / SPACING**2), {"volume": 766.0}, {"volume": 88.0})
    found = whole_molars(labels, evidence, SPACING)
    assert (len(np.unique(found[np.isin(labels, (1, 2))])) == 1) == joined


def test_the_molars_of_large_teeth_are_large():
    both = {"volume": 1290.0}, {"volume": 630.0}
    for size, teeth in ((1.0, 2), (2.0, 1)):
        labels, evidence = _pieces(FACES, *both, size=size)
        assert len(np.unique(whole_molars(labels, evidence, SPACING)[np.isin(labels, (1, 2))])) == teeth


def test_two_small_molars_of_small_teeth_stay_two():
    both = {"volume": 600.0}, {"volume": 580.0}
    labels, evidence = _pieces(FACES, *both)
    assert whole_molars(labels, evidence, SPACING).max() == 7
    labels, evidence = _pieces(FACES, *both, size=0.7)
    assert np.array_equal(whole_molars(labels, evidence, SPACING), labels)


def test_few_teeth_do_not_tell_how_large_teeth_are():
    labels, evidence = _pieces(FACES, {"volume": 300.0}, {"volume": 300.0})
    labels[labels > 2] = 0
    assert np.array_equal(whole_molars(labels, evidence[:2], SPACING), labels)


ROOT, MOLAR, INCISORS = {"position": 7, "volume": 195.0}, {"position": 6, "volume": 660.0}, [11] * 6


@pytest.mark.parametrize("numbers", [[0, 16], [16, 0]], ids=["before", "behind"])
def test_a_root_without_a_place_goes_to_the_molar_it_touches(numbers):
    pieces = [ROOT, MOLAR] if numbers[0] == 0 else [MOLAR, ROOT]
    labels, evidence = _pieces(FACES // 2, *pieces)
    root = numbers.index(0) + 1
    assert lost_roots(labels, evidence, numbers + INCISORS, SPACING) == {root: 3 - root}


@pytest.mark.parametrize(
    ("root", "numbers"),
    [
        (ROOT, [17, 16]),
        (ROOT, [0, 15]),
        (ROOT | {"volume": 500.0}, [0, 16]),
        (ROOT | {"cut": True}, [0, 16]),
        (ROOT | {"upper": 0.1}, [0, 16]),
        (ROOT, [0, 0]),
    ],
    ids=["has a place", "beside a premolar", "as large as a tooth", "cut by the image's edge", "other jaw", "no molar"],
)
def test_what_may_be_no_root_is_left_where_it_is(root, numbers):
    labels, evidence = _pieces(FACES // 2, root, MOLAR)
    assert not lost_roots(labels, evidence, numbers + INCISORS, SPACING)


def test_a_piece_that_hardly_touches_the_molar_is_no_root_of_it():
    labels, evidence = _pieces(FACES // 4, ROOT, MOLAR)
    assert not lost_roots(labels, evidence, [0, 16, *INCISORS], SPACING)


def test_a_piece_beside_a_whole_molar_is_no_root_of_it():
    labels, evidence = _pieces(FACES // 2, ROOT | {"volume": 400.0}, MOLAR | {"volume": 1400.0})
    assert not lost_roots(labels, evidence, [0, 16, *INCISORS], SPACING)
