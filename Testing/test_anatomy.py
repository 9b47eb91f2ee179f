"""The names and codes of teeth, checked against the tables of the DICOM standard and well-known teeth."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts

from teethseg.anatomy import DECIDUOUS, PERMANENT, TEETH, arch, fdi_number, tooth


def dicom_meanings(cid: int) -> dict[str, str]:
    """Code to meaning, for a context group of DICOM PS3.16."""
    keywords = set(cid_concepts[cid]["SCT"])
    return {code: entry[0] for word in keywords for code, entry in concepts["SCT"][word].items() if cid in entry[1]}


@pytest.mark.parametrize(("cid", "numbers"), [(4018, PERMANENT), (4019, DECIDUOUS)])
def test_codes_and_meanings_are_dicoms(cid, numbers):
    assert {tooth(fdi).code: tooth(fdi).meaning for fdi in numbers} == dicom_meanings(cid)


@pytest.mark.parametrize("fdi", TEETH)
def test_the_meaning_is_that_of_the_tooth(fdi):
    one = tooth(fdi)
    words = one.meaning.lower()
    assert ("maxillary" if one.jaw == "upper" else "mandibular") in words
    assert one.side in words.split()
    assert ("deciduous" in words) == one.deciduous
    kind = one.name.removeprefix("deciduous ").split(" ", 2)[2]
    if fdi == 32:  # DICOM writes 'Mandibular left lateral tooth', without the word incisor
        kind = "lateral"
    assert f" {kind} " in words


def test_there_are_32_permanent_and_20_deciduous_teeth():
    assert (len(PERMANENT), len(DECIDUOUS), len(TEETH)) == (32, 20, 52)
    for wrong in (0, 10, 19, 49, 56, 66, 90):
        with pytest.raises(KeyError):
            tooth(wrong)


@pytest.mark.parametrize(
    ("fdi", "universal", "palmer", "name"),
    [
        (18, "1", "8⏌", "upper right third molar"),
        (11, "8", "1⏌", "upper right central incisor"),
        (21, "9", "⎿1", "upper left central incisor"),
        (28, "16", "⎿8", "upper left third molar"),
        (38, "17", "⎾8", "lower left third molar"),
        (33, "22", "⎾3", "lower left canine"),
        (31, "24", "⎾1", "lower left central incisor"),
        (41, "25", "1⏋", "lower right central incisor"),
        (46, "30", "6⏋", "lower right first molar"),
        (48, "32", "8⏋", "lower right third molar"),
        (55, "A", "E⏌", "deciduous upper right second molar"),
        (51, "E", "A⏌", "deciduous upper right central incisor"),
        (61, "F", "⎿A", "deciduous upper left central incisor"),
        (75, "K", "⎾E", "deciduous lower left second molar"),
        (83, "R", "C⏋", "deciduous lower right canine"),
        (85, "T", "E⏋", "deciduous lower right second molar"),
    ],
)
def test_known_notations(fdi, universal, palmer, name):
    one = tooth(fdi)
    assert (one.universal, one.palmer, one.name) == (universal, palmer, name)
    assert [one.notation(system) for system in ("fdi", "universal", "palmer")] == [str(fdi), universal, palmer]


@pytest.mark.parametrize("system", ["fdi", "universal", "palmer"])
def test_no_two_teeth_share_a_notation(system):
    assert len({one.notation(system) for one in TEETH.values()}) == 52


def test_universal_numbers_go_round_the_mouth():
    around = arch("upper") + arch("lower")[::-1]
    assert [tooth(fdi).universal for fdi in around] == [str(n) for n in range(1, 33)]


def test_arches_run_from_the_patients_right_to_the_left():
    assert arch("upper") == (18, 17, 16, 15, 14, 13, 12, 11, 21, 22, 23, 24, 25, 26, 27, 28)
    assert arch("lower") == (48, 47, 46, 45, 44, 43, 42, 41, 31, 32, 33, 34, 35, 36, 37, 38)


@pytest.mark.parametrize("fdi", PERMANENT)
def test_number_from_jaw_side_and_position(fdi):
    one = tooth(fdi)
    assert fdi_number(one.jaw, one.side, one.position) == fdi


def neighbours() -> list[tuple[int, int]]:
    """Pairs that touch in a mouth: neighbours along the arch, antagonists, and the same tooth of the other side."""
    deciduous = {"upper": (55, 54, 53, 52, 51, 61, 62, 63, 64, 65), "lower": (85, 84, 83, 82, 81, 71, 72, 73, 74, 75)}
    pairs = []
    for upper, lower in ((arch("upper"), arch("lower")), (deciduous["upper"], deciduous["lower"])):
        pairs += [*pairwise(upper), *pairwise(lower), *zip(upper, lower, strict=True)]
        pairs += [*zip(upper, upper[::-1], strict=True), *zip(lower, lower[::-1], strict=True)]
    return [(a, b) for a, b in pairs if a != b]


@pytest.mark.parametrize(("a", "b"), neighbours())
def test_neighbours_have_colours_apart(a, b):
    colours = np.array([tooth(a).colour, tooth(b).colour])
    assert colours.min() >= 0 and colours.max() <= 1
    # Users can distinguish a difference of 0.15 (of 1) in one colour channel in a slice view.
    assert np.abs(colours[0] - colours[1]).max() > 0.15
