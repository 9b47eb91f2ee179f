"""Writes the terminology that 3D Slicer's segment tables offer, from the vocabulary of the library.

python scripts/terminology.py    writes TeethSeg/Resources/Terminology/SegmentationCategoryTypeModifier-TeethSeg.term.json
"""

from __future__ import annotations

import json
from pathlib import Path

from teethseg.anatomy import DECIDUOUS, TEETH
from teethseg.io.seg_nrrd import TERMINOLOGY_CONTEXT, segment_table
from teethseg.mrml.segments import segment_id
from teethseg.mrml.terminology import FILE_NAME

TARGET = Path(__file__).resolve().parents[1] / "TeethSeg" / "Resources" / "Terminology" / FILE_NAME


def document() -> dict:
    """All teeth as types of the category Anatomical Structure, after 'tooth' of which the place is not known."""
    (any_tooth,) = segment_table([11], "binary")
    return {
        "SegmentationCategoryTypeContextName": TERMINOLOGY_CONTEXT,
        "@schema": "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/schemas/segment-context-schema.json#",
        "SegmentationCodes": {
            "Category": [
                {
                    "CodeMeaning": "Anatomical Structure",
                    "CodingSchemeDesignator": "SCT",
                    "CodeValue": "123037004",
                    "showAnatomy": False,
                    "Type": [
                        _type("38199008", "Tooth", "teeth", any_tooth.colour),
                        *(
                            _type(one.code, one.meaning, segment_id(fdi), one.colour)
                            | {"cid": "4019" if fdi in DECIDUOUS else "4018"}
                            for fdi, one in TEETH.items()
                        ),
                    ],
                }
            ]
        },
    }


def _type(code: str, meaning: str, label: str, colour: tuple[float, float, float]) -> dict:
    return {
        "CodeMeaning": meaning,
        "CodingSchemeDesignator": "SCT",
        "CodeValue": code,
        "3dSlicerLabel": label,
        "recommendedDisplayRGBValue": [round(255 * part) for part in colour],
    }


def text() -> str:
    return json.dumps(document(), indent=2) + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text(), encoding="utf-8")
    print(TARGET)
