"""Writes the terminology that 3D Slicer's segment tables offer, from the table of structures.

python scripts/terminology.py    writes TeethSeg/Resources/Terminology/SegmentationCategoryTypeModifier-TeethSeg.term.json
"""

from __future__ import annotations

import json
from pathlib import Path

from teethseg.io.seg_nrrd import TERMINOLOGY_CONTEXT
from teethseg.mrml.terminology import FILE_NAME
from teethseg.structures import ANATOMICAL_STRUCTURE, PHYSICAL_OBJECT, STRUCTURES, Code, Structure

TARGET = Path(__file__).resolve().parents[1] / "TeethSeg" / "Resources" / "Terminology" / FILE_NAME


def document() -> dict:
    """All structures as types of their category; structures with one code, and left and right, form one type."""
    return {
        "SegmentationCategoryTypeContextName": TERMINOLOGY_CONTEXT,
        "@schema": "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/schemas/segment-context-schema.json#",
        "SegmentationCodes": {
            "Category": [
                _code(category) | {"showAnatomy": category == PHYSICAL_OBJECT, "Type": _types(category)}
                for category in (ANATOMICAL_STRUCTURE, PHYSICAL_OBJECT)
            ]
        },
    }


def _types(category: Code) -> list[dict]:
    by_code: dict[Code, list[Structure]] = {}
    for one in STRUCTURES.values():
        if one.category == category:
            by_code.setdefault(one.code, []).append(one)
    return [_type(found) for found in by_code.values()]


def _type(found: list[Structure]) -> dict:
    """One type for all structures with its code; the general one names it."""
    general = next((one for one in found if one.side is None and (one.is_tooth or one.fdi is None)), found[0])
    entry = _look(general.code, general)
    if general.context_group:
        entry["cid"] = general.context_group
    sides = [_look(one.modifier, one) for one in found if one.modifier]
    return entry | ({"Modifier": sides} if sides else {})


def _look(code: Code, one: Structure) -> dict:
    return _code(code) | {
        "3dSlicerLabel": one.key,
        "recommendedDisplayRGBValue": [round(255 * part) for part in one.colour],
    }


def _code(code: Code) -> dict:
    return {"CodeMeaning": code.meaning, "CodingSchemeDesignator": code.scheme, "CodeValue": code.value}


def text() -> str:
    return json.dumps(document(), indent=2) + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text(), encoding="utf-8")
    print(TARGET)
