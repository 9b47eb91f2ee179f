"""The table of structures that a label can stand for: teeth, jaws, canals, sinuses, pulps, implants, restorations.

Label readers, names, colours, DICOM codes and Slicer's terminology all use this table. A new structure is one entry of
`_OTHERS`.

Label values fit into a byte. A tooth has its FDI number (11-48, 51-85). A supernumerary tooth of quadrant q has 90 + q. The
pulp of a tooth has the tooth's number plus 100 (as in ToothFairy3). Other structures have 201-230. 255 marks voxels that were
not annotated.

References
----------
Teeth: see `anatomy`. The other SNOMED CT codes are those of DICOM PS3.16, CID 4 (anatomic region), CID 7151 (segmented
property types) and CID 7482 (dental arches), the sides of CID 244, and the categories of CID 7150; for anatomy as 3D Slicer
and dcmqi write it (CID 7150 has changed to 91723000 since). DICOM has no code for the mandibular canal and the
dental pulp: these have their MeSH descriptors. What has neither has a code of TeethSeg's own (designators that begin with
99 are private by PS3.16, section 8.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from .anatomy import DECIDUOUS, SUPERNUMERARY, TEETH, Side

Kind = Literal[
    "tooth", "teeth", "pulp", "bone", "canal", "sinus", "airway", "implant", "restoration", "supernumerary", "unknown"
]
Colour = tuple[float, float, float]

PULP_OFFSET = 100  # from a tooth's label value to its pulp's
UNKNOWN_VALUE = 255


class Code(NamedTuple):
    """A DICOM coded entry."""

    scheme: str
    value: str
    meaning: str


ANATOMICAL_STRUCTURE = Code("SCT", "123037004", "Anatomical Structure")
PHYSICAL_OBJECT = Code("SCT", "260787004", "Physical object")
SIDES: dict[Side, Code] = {"left": Code("SCT", "7771000", "Left"), "right": Code("SCT", "24028007", "Right")}
_DENTAL_PROSTHESIS = Code("SCT", "27606000", "Dental Prosthesis")
_DENTAL_PULP = Code("MSH", "D003782", "Dental Pulp")
_TOOTH_COLOUR = (1.0, 250 / 255, 220 / 255)  # Slicer's own colour for teeth


@dataclass(frozen=True)
class Structure:
    """One structure.

    Attributes
    ----------
    key : str
        Permanent id, e.g. 'tooth_16', 'mandibular_canal_left', 'pulp_16'.
    value : int
        Label value, 1-255; no two structures share one.
    name : str
        Displayed name, e.g. 'upper right first molar'.
    kind : str
        Kind of structure. Only a 'tooth' has a number of its own; 'teeth' are several teeth under one label.
    code : Code
        DICOM segmented property type.
    colour : (float, float, float)
        Red, green, blue in 0..1.
    side : {'left', 'right'} or None
        The patient's side of a paired structure whose code does not include it.
    fdi : int or None
        The tooth that it is ('tooth') or belongs to ('pulp').
    phrases : tuple of str
        Other names in use, in lower case, without the side.
    """

    key: str
    value: int
    name: str
    kind: Kind
    code: Code
    colour: Colour
    side: Side | None = None
    fdi: int | None = None
    phrases: tuple[str, ...] = ()

    @property
    def is_tooth(self) -> bool:
        """Whether it is one whole tooth with a number."""
        return self.kind == "tooth"

    @property
    def category(self) -> Code:
        """DICOM segmented property category."""
        return PHYSICAL_OBJECT if self.kind in ("implant", "restoration") else ANATOMICAL_STRUCTURE

    @property
    def modifier(self) -> Code | None:
        """DICOM segmented property type modifier: the side."""
        return SIDES.get(self.side) if self.side else None

    @property
    def region(self) -> Code | None:
        """DICOM anatomic region: the tooth that a pulp lies in."""
        if self.kind != "pulp" or self.fdi is None:
            return None
        one = TEETH[self.fdi]
        return Code("SCT", one.code, one.meaning)

    @property
    def context_group(self) -> str | None:
        """The DICOM context group of a tooth's code."""
        if self.kind != "tooth":
            return None
        return "4019" if self.fdi in DECIDUOUS else "4018"


def _own(value: str, meaning: str) -> Code:
    return Code("99TEETHSEG", value, meaning)


def _paired(
    key: str, values: tuple[int, int, int], name: str, kind: Kind, code: Code, colour: Colour, *phrases: str
) -> tuple[Structure, ...]:
    """The left structure, the right one, and one without a side."""
    sides: tuple[Side, Side] = ("left", "right")
    sided = (
        Structure(f"{key}_{side}", value, f"{side} {name}", kind, code, colour, side, None, phrases)
        for side, value in zip(sides, values, strict=False)
    )
    return (*sided, Structure(key, values[2], name, kind, code, colour, None, None, phrases))


# Values 201-210 are 200 more than ToothFairy's, 213-215 110 more.
_OTHERS: tuple[Structure, ...] = (
    Structure(
        "mandible", 201, "mandible", "bone", Code("SCT", "91609006", "Mandible"), (0.83, 0.63, 0.90),
        phrases=("mandible", "lower jawbone", "lower jaw bone", "lower jaw", "mandibular bone"),
    ),
    Structure(
        "maxilla", 202, "maxilla", "bone", Code("SCT", "70925003", "Maxilla"), (0.89, 0.87, 0.56),
        phrases=("maxilla", "upper jawbone", "upper jaw bone", "upper jaw", "maxillary bone"),
    ),
    *_paired(
        "mandibular_canal", (203, 204, 212), "mandibular canal", "canal",
        Code("MSH", "D000088263", "Mandibular Canal"), (0.85, 0.40, 0.31),
        "mandibular canal", "inferior alveolar canal", "inferior alveolar nerve canal", "inferior alveolar nerve",
        "mandibular nerve canal", "nerve canal", "iac", "ian",
    ),
    *_paired(
        "maxillary_sinus", (205, 206, 216), "maxillary sinus", "sinus",
        Code("SCT", "15924003", "Maxillary sinus"), (0.45, 0.68, 0.87), "maxillary sinus",
    ),
    Structure(
        "pharynx", 207, "pharynx", "airway", Code("SCT", "54066008", "Pharynx"), (0.55, 0.80, 0.75),
        phrases=("pharynx", "airway", "pharyngeal airway"),
    ),
    Structure(
        "bridge", 208, "bridge", "restoration", _DENTAL_PROSTHESIS, (0.70, 0.72, 0.78),
        phrases=("bridge", "dental bridge"),
    ),
    Structure(
        "crown", 209, "crown", "restoration", _DENTAL_PROSTHESIS, (0.80, 0.80, 0.86),
        phrases=("crown", "dental crown"),
    ),
    Structure(
        "implant", 210, "implant", "implant", Code("SCT", "40388003", "Implant"), (0.60, 0.62, 0.66),
        phrases=("implant", "dental implant"),
    ),
    Structure(
        "skull", 211, "skull", "bone", Code("SCT", "89546000", "Skull"), (0.93, 0.90, 0.75),
        phrases=("skull", "upper skull", "cranium", "maxilla upper skull", "upper skull maxilla"),
    ),
    *_paired(
        "incisive_canal", (213, 214, 217), "mandibular incisive canal", "canal",
        _own("incisive_canal", "Mandibular incisive canal"), (0.90, 0.55, 0.35),
        "mandibular incisive canal", "incisive canal",
    ),
    Structure(
        "lingual_canal", 215, "lingual canal", "canal", _own("lingual_canal", "Lingual canal"), (0.95, 0.65, 0.45),
        phrases=("lingual canal",),
    ),
    Structure(
        "upper_teeth", 221, "upper teeth", "teeth", Code("SCT", "39481002", "Maxillary dental arch"), (0.86, 0.58, 0.40),
        phrases=("upper teeth", "maxillary teeth", "upper dentition"),
    ),
    Structure(
        "lower_teeth", 222, "lower teeth", "teeth", Code("SCT", "88176008", "Mandibular dental arch"),
        (0.92, 0.87, 0.71), phrases=("lower teeth", "mandibular teeth", "lower dentition"),
    ),
    Structure(
        "teeth", 223, "teeth", "teeth", Code("SCT", "38199008", "Tooth"), _TOOTH_COLOUR,
        phrases=("teeth", "dentition", "dental arch"),
    ),
    Structure(
        "pulp", 224, "dental pulp", "pulp", _DENTAL_PULP, (0.90, 0.35, 0.40), phrases=("pulp", "dental pulp"),
    ),
    Structure(
        "unknown", UNKNOWN_VALUE, "not judged", "unknown", _own("not_judged", "Not judged"), (0.5, 0.5, 0.5),
        phrases=("unknown", "not judged", "ignore"),
    ),
)  # fmt: skip


def _teeth() -> tuple[Structure, ...]:
    return tuple(
        Structure(f"tooth_{fdi}", fdi, one.name, "tooth", Code("SCT", one.code, one.meaning), one.colour, fdi=fdi)
        for fdi, one in TEETH.items()
    )


def _extra_teeth() -> tuple[Structure, ...]:
    code = _own("supernumerary_tooth", "Supernumerary tooth")
    return tuple(
        Structure(f"supernumerary_{quadrant}", value, f"supernumerary tooth, {where}", "supernumerary", code, colour)
        for quadrant, (value, where, colour) in enumerate(
            zip(
                SUPERNUMERARY,
                ("upper right", "upper left", "lower left", "lower right"),
                ((0.95, 0.45, 0.75), (0.80, 0.35, 0.60), (0.65, 0.35, 0.75), (0.85, 0.50, 0.90)),
                strict=True,
            ),
            start=1,
        )
    )


def _pulps() -> tuple[Structure, ...]:
    return tuple(
        Structure(f"pulp_{fdi}", PULP_OFFSET + fdi, f"pulp of {one.name}", "pulp", _DENTAL_PULP, (0.90, 0.35, 0.40), fdi=fdi)
        for fdi, one in TEETH.items()
    )  # fmt: skip


STRUCTURES: dict[int, Structure] = {one.value: one for one in (*_teeth(), *_extra_teeth(), *_pulps(), *_OTHERS)}
_BY_KEY = {one.key: one for one in STRUCTURES.values()}


def structure(value: int) -> Structure:
    """The structure with that label value; a tooth's is its FDI number.

    Raises
    ------
    KeyError
        If there is none.
    """
    return STRUCTURES[int(value)]


def structure_by_key(key: str) -> Structure | None:
    """The structure with that permanent id; None if there is none."""
    return _BY_KEY.get(key)
