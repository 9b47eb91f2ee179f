"""Scores of many scans by what makes a tooth easy or hard: its type, metal near it, the field of view, the doubt stated.

A stratum counts reference teeth; a tooth stands in several.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from ..anatomy import tooth
from ..boxes import label_boxes
from ..cascade.dentition import UNCERTAIN_NUMBER
from ..volume import Volume
from .metrics import Evaluation, ToothScore

NEAR_METAL = 5.0  # mm
SMALL_FIELD = 60.0  # mm; the shortest edge of a scan of one jaw or a part of it
_TYPES = ("incisors", "incisors", "canines", "premolars", "premolars", "molars", "molars", "third molars")
ORDER = (
    "all",
    *dict.fromkeys(_TYPES),
    "deciduous",
    "not erupted",
    "metal within 5 mm",
    "no metal near",
    "cut by the border",
    "whole",
    "small field of view",
    "large field of view",
    "number called sure",
    "number called unsure",
)


@dataclass
class Stratum:
    """Teeth of one kind over many scans.

    Attributes
    ----------
    teeth, found, right : int
        Reference teeth; those found (IoU 0.5); those found with the right number.
    dice : list of float
        Of those found whose outline is judged.
    """

    teeth: int = 0
    found: int = 0
    right: int = 0
    dice: list[float] = field(default_factory=list)

    def add(self, score: ToothScore) -> None:
        """Count one tooth."""
        self.teeth += 1
        self.found += score.predicted_fdi is not None
        self.right += bool(score.number_right)
        if score.dice is not None:
            self.dice.append(score.dice)


def add_case(
    strata: dict[str, Stratum],
    scores: Evaluation,
    reference: Volume,
    metal: np.ndarray | None = None,
    report: Mapping | None = None,
    unerupted: Collection[int] = (),
) -> None:
    """Count a scan's teeth in.

    Parameters
    ----------
    strata : dict
        By name, see `ORDER`; changed.
    scores : Evaluation
    reference : Volume
        The label map that it was judged by.
    metal : ndarray of bool, optional
        Where metal is, on the grid of `reference`; without it nothing is said about metal.
    report : mapping, optional
        What `teethseg segment --report` wrote; without it nothing is said about doubt. Teeth that were not found are
        neither sure nor unsure.
    unerupted : collection of int
        Numbers of the reference teeth that are known not to have erupted.
    """
    facts = dict(_facts(reference, metal))
    sure = {tooth["fdi"]: UNCERTAIN_NUMBER not in tooth.get("flags", ()) for tooth in (report or {}).get("teeth", ())}
    for score in scores.teeth:
        one = tooth(score.fdi)
        names = ["all", "deciduous" if one.deciduous else _TYPES[one.position - 1], *facts[score.fdi]]
        if score.fdi in unerupted:
            names.append("not erupted")
        if score.predicted_fdi in sure:
            names.append("number called " + ("sure" if sure[score.predicted_fdi] else "unsure"))
        for name in names:
            strata.setdefault(name, Stratum()).add(score)


def _facts(reference: Volume, metal: np.ndarray | None) -> Iterator[tuple[int, list[str]]]:
    """The strata of each reference tooth, by number."""
    array, spacing = reference.array, np.array(reference.spacing_zyx)
    near = None
    if metal is not None:
        near = np.zeros_like(metal)
        if metal.any():
            near = ndimage.distance_transform_edt(~metal, sampling=spacing) < NEAR_METAL
    field_of_view = "small" if np.min(spacing * array.shape) < SMALL_FIELD else "large"
    for number, box in label_boxes(array).items():
        names = [f"{field_of_view} field of view"]
        cut = any(edge.start == 0 or edge.stop == size for edge, size in zip(box, array.shape, strict=True))
        names.append("cut by the border" if cut else "whole")
        if near is not None:
            close = bool((near[box] & (array[box] == number)).any())
            names.append("metal within 5 mm" if close else "no metal near")
        yield number, names
