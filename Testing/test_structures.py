"""The table of structures: values that cannot collide, and codes that the DICOM standard has."""

from __future__ import annotations

import pytest
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts

from teethseg.anatomy import TEETH, tooth
from teethseg.structures import STRUCTURES, structure, structure_by_key

# Meanings and context groups by code: pydicom's tables of DICOM PS3.16 have some codes under several names.
DICOM: dict[str, tuple[set[str], set[int]]] = {}
for _words in concepts["SCT"].values():
    for _code, (_meaning, _groups) in _words.items():
        meanings, groups = DICOM.setdefault(_code, (set(), set()))
        meanings.add(_meaning)
        groups.update(_groups)


def test_every_value_is_a_byte_and_every_key_its_own():
    assert all(0 < value < 256 and one.value == value for value, one in STRUCTURES.items())
    assert len({one.key for one in STRUCTURES.values()}) == len(STRUCTURES)
    assert all(structure_by_key(one.key) is one for one in STRUCTURES.values())
    others = {value for value, one in STRUCTURES.items() if not one.is_tooth}
    # Neither FDI numbers (to 85) nor positions, Universal numbers or the classes of other programs, which end at 77.
    assert min(others) > 90 and 255 in others


def test_teeth_are_those_of_the_vocabulary():
    for fdi in TEETH:
        one = structure(fdi)
        assert (one.key, one.fdi, one.name, one.colour) == (f"tooth_{fdi}", fdi, tooth(fdi).name, tooth(fdi).colour)
        assert one.code == ("SCT", tooth(fdi).code, tooth(fdi).meaning)
        assert one.context_group == ("4019" if fdi > 50 else "4018")
    pulp = structure(136)
    assert (pulp.fdi, pulp.kind, pulp.region) == (36, "pulp", structure(36).code)


@pytest.mark.parametrize("value", [value for value, one in STRUCTURES.items() if one.code.scheme == "SCT"])
def test_snomed_codes_are_those_of_dicom(value):
    meanings, groups = DICOM[structure(value).code.value]
    assert structure(value).code.meaning in meanings and groups


@pytest.mark.parametrize("key", ["mandibular_canal_left", "maxillary_sinus_right", "implant"])
def test_sides_and_categories_are_those_of_dicom(key):
    one = structure_by_key(key)
    sides = {one for word in cid_concepts[244]["SCT"] for one in concepts["SCT"][word]}
    assert one.modifier is None or (one.modifier.value in sides and one.modifier.meaning.lower() == one.side)
    categories = {one for word in cid_concepts[7150]["SCT"] for one in concepts["SCT"][word]}
    assert one.category.value in categories | {"123037004"}  # the anatomical structure of Slicer and earlier DICOM


def test_what_has_no_standard_code_says_so():
    assert {one.code.scheme for one in STRUCTURES.values()} == {"SCT", "MSH", "99TEETHSEG"}
    assert {one.kind for one in STRUCTURES.values() if one.code.scheme == "99TEETHSEG"} == {
        "canal",
        "supernumerary",
        "unknown",
    }
