"""The vocabulary: every permanent and deciduous tooth with its three notations, DICOM code and colour.

A tooth is named by its FDI number (ISO 3950): tens digit = quadrant as seen from the patient (1 upper right, 2 upper
left, 3 lower left, 4 lower right; 5-8 the same for deciduous teeth), units digit = position counted from the midline.

References
----------
ISO 3950:2016, Designation system for teeth. DICOM PS3.16 CID 4018 (permanent) and CID 4019 (deciduous), whose codes
and meanings stand below as written there.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Jaw = Literal["upper", "lower"]
Side = Literal["right", "left"]
Notation = Literal["fdi", "universal", "palmer"]

POSITION_NAMES = (
    "central incisor",
    "lateral incisor",
    "canine",
    "first premolar",
    "second premolar",
    "first molar",
    "second molar",
    "third molar",
)
DECIDUOUS_POSITION_NAMES = ("central incisor", "lateral incisor", "canine", "first molar", "second molar")

_QUADRANTS: dict[int, tuple[Jaw, Side]] = {
    1: ("upper", "right"),
    2: ("upper", "left"),
    3: ("lower", "left"),
    4: ("lower", "right"),
}
_PALMER_CORNERS = {1: "⏌", 2: "⎿", 3: "⎾", 4: "⏋"}

# SNOMED CT code and meaning, by FDI number: DICOM CID 4018 and CID 4019.
_DICOM = {
    11: ("422653006", "Permanent maxillary right central incisor tooth"),
    12: ("424877001", "Permanent maxillary right lateral incisor tooth"),
    13: ("860767006", "Permanent maxillary right canine tooth"),
    14: ("57826002", "Permanent maxillary right first premolar tooth"),
    15: ("36492000", "Permanent maxillary right second premolar tooth"),
    16: ("865995000", "Permanent maxillary right first molar tooth"),
    17: ("863902006", "Permanent maxillary right second molar tooth"),
    18: ("68085002", "Permanent maxillary right third molar tooth"),
    21: ("424399000", "Permanent maxillary left central incisor tooth"),
    22: ("423185002", "Permanent maxillary left lateral incisor tooth"),
    23: ("860780009", "Permanent maxillary left canine tooth"),
    24: ("61897005", "Permanent maxillary left first premolar tooth"),
    25: ("23226009", "Permanent maxillary left second premolar tooth"),
    26: ("865988009", "Permanent maxillary left first molar tooth"),
    27: ("863901004", "Permanent maxillary left second molar tooth"),
    28: ("87704003", "Permanent maxillary left third molar tooth"),
    31: ("425106001", "Mandibular left central incisor tooth"),
    32: ("423331005", "Mandibular left lateral tooth"),
    33: ("860782001", "Mandibular left canine tooth"),
    34: ("2400006", "Mandibular left first premolar tooth"),
    35: ("24573005", "Mandibular left second premolar tooth"),
    36: ("866006002", "Mandibular left first molar tooth"),
    37: ("863898000", "Mandibular left second molar tooth"),
    38: ("74344005", "Mandibular left third molar tooth"),
    41: ("424575004", "Mandibular right central incisor tooth"),
    42: ("423937004", "Mandibular right lateral incisor tooth"),
    43: ("860785004", "Mandibular right canine tooth"),
    44: ("80140008", "Mandibular right first premolar tooth"),
    45: ("8873007", "Mandibular right second premolar tooth"),
    46: ("866005003", "Mandibular right first molar tooth"),
    47: ("863899008", "Mandibular right second molar tooth"),
    48: ("38994002", "Mandibular right third molar tooth"),
    51: ("88824007", "Deciduous maxillary right central incisor tooth"),
    52: ("65624003", "Deciduous maxillary right lateral incisor tooth"),
    53: ("30618001", "Deciduous maxillary right canine tooth"),
    54: ("17505006", "Deciduous maxillary right first molar tooth"),
    55: ("27855007", "Deciduous maxillary right second molar tooth"),
    61: ("51678005", "Deciduous maxillary left central incisor tooth"),
    62: ("43622005", "Deciduous maxillary left lateral incisor tooth"),
    63: ("73937000", "Deciduous maxillary left canine tooth"),
    64: ("45234009", "Deciduous maxillary left first molar tooth"),
    65: ("51943008", "Deciduous maxillary left second molar tooth"),
    71: ("89552004", "Deciduous mandibular left central incisor tooth"),
    72: ("14770005", "Deciduous mandibular left lateral incisor tooth"),
    73: ("43281008", "Deciduous mandibular left canine tooth"),
    74: ("38896004", "Deciduous mandibular left first molar tooth"),
    75: ("49330006", "Deciduous mandibular left second molar tooth"),
    81: ("67834006", "Deciduous mandibular right central incisor tooth"),
    82: ("22445006", "Deciduous mandibular right lateral incisor tooth"),
    83: ("6062009", "Deciduous mandibular right canine tooth"),
    84: ("58646007", "Deciduous mandibular right first molar tooth"),
    85: ("61868007", "Deciduous mandibular right second molar tooth"),
}


@dataclass(frozen=True)
class Tooth:
    """One tooth of the human dentition, named by its FDI number; look it up with `tooth(fdi)`."""

    fdi: int

    @property
    def deciduous(self) -> bool:
        """Whether it is a tooth of the first dentition."""
        return self.fdi >= 50

    @property
    def quadrant(self) -> int:
        """1 upper right, 2 upper left, 3 lower left, 4 lower right (the patient's sides), for deciduous teeth too."""
        return self.fdi // 10 - (4 if self.deciduous else 0)

    @property
    def position(self) -> int:
        """1 (central incisor) to 8 (third molar), counted from the midline; deciduous teeth end at 5."""
        return self.fdi % 10

    @property
    def jaw(self) -> Jaw:
        """The jaw that holds it."""
        return _QUADRANTS[self.quadrant][0]

    @property
    def side(self) -> Side:
        """The patient's side."""
        return _QUADRANTS[self.quadrant][1]

    @property
    def universal(self) -> str:
        """Universal (ADA) notation: 1-32 from upper right third molar to lower right third molar; A-T deciduous."""
        last = 5 if self.deciduous else 8
        from_right = {1: last - self.position, 2: last + self.position - 1}
        from_left = {3: 3 * last - self.position, 4: 3 * last + self.position - 1}
        index = (from_right | from_left)[self.quadrant]
        return chr(ord("A") + index) if self.deciduous else str(index + 1)

    @property
    def palmer(self) -> str:
        """Palmer notation: position within a corner that points to the midline, e.g. 6⏌ is FDI 16, ⎾6 is FDI 36."""
        mark = chr(ord("A") + self.position - 1) if self.deciduous else str(self.position)
        corner = _PALMER_CORNERS[self.quadrant]
        return mark + corner if self.side == "right" else corner + mark

    @property
    def name(self) -> str:
        """In words, e.g. 'upper right first molar'."""
        names = DECIDUOUS_POSITION_NAMES if self.deciduous else POSITION_NAMES
        prefix = "deciduous " if self.deciduous else ""
        return f"{prefix}{self.jaw} {self.side} {names[self.position - 1]}"

    @property
    def code(self) -> str:
        """SNOMED CT code, DICOM CID 4018 (permanent) or CID 4019 (deciduous)."""
        return _DICOM[self.fdi][0]

    @property
    def meaning(self) -> str:
        """Meaning of `code`, as DICOM writes it."""
        return _DICOM[self.fdi][1]

    @cached_property
    def colour(self) -> tuple[float, float, float]:
        """Red, green, blue in 0..1. Neighbours along the arch, antagonists and the other side all differ."""
        # Golden-ratio steps keep neighbouring positions far apart in hue; the quadrant shifts hue and brightness.
        hue = (0.618034 * self.position + 0.155 * self.quadrant) % 1.0
        saturation = (0.55 if self.jaw == "upper" else 0.75) - (0.2 if self.deciduous else 0.0)
        value = 0.95 if self.side == "right" else 0.8
        return colorsys.hsv_to_rgb(hue, saturation, value)

    def notation(self, system: Notation) -> str:
        """The tooth in one of the three systems, as text."""
        return {"fdi": str(self.fdi), "universal": self.universal, "palmer": self.palmer}[system]


TEETH: dict[int, Tooth] = {fdi: Tooth(fdi) for fdi in _DICOM}
PERMANENT: tuple[int, ...] = tuple(fdi for fdi in TEETH if fdi < 50)
DECIDUOUS: tuple[int, ...] = tuple(fdi for fdi in TEETH if fdi >= 50)
# ISO 3950 has no number for an extra tooth. In label maps one of quadrant q (1-4) is 90 + q.
SUPERNUMERARY: tuple[int, ...] = (91, 92, 93, 94)


def tooth(fdi: int) -> Tooth:
    """The tooth with that FDI number.

    Raises
    ------
    KeyError
        If there is no such tooth.
    """
    return TEETH[int(fdi)]


def fdi_number(jaw: Jaw, side: Side, position: int) -> int:
    """FDI number of a permanent tooth from jaw, side (the patient's) and position 1-8."""
    quadrant = next(q for q, place in _QUADRANTS.items() if place == (jaw, side))
    return 10 * quadrant + position


def arch(jaw: Jaw) -> tuple[int, ...]:
    """The 16 permanent teeth of a jaw in arch order, from the patient's right third molar to the left one."""
    right, left = (1, 2) if jaw == "upper" else (4, 3)
    return tuple(10 * right + p for p in range(8, 0, -1)) + tuple(10 * left + p for p in range(1, 9))
