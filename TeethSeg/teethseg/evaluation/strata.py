"""Scores of many scans by stratum: tooth type, metal nearby, field of view, stated uncertainty.

A stratum counts reference teeth; a tooth belongs to several strata.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from ..anatomy import tooth
from ..boxes import label_boxes, meets_edge
from ..cascade.dentition import UNCERTAIN_NUMBER
from ..volume import Volume
from .metrics import Evaluation, ToothScore

NEAR_METAL = 5.0  # mm
HALF = 0.5  # share of a tooth's volume
SMALL_FIELD = 60.0  # mm; scans with a shorter edge show one jaw or a part of it
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
    "half or more inside",
    "less than half inside",
    "small field of view",
    "large field of view",
    "number called sure",
    "number called unsure",
)


@dataclass
class Stratum:
    """Teeth of one stratum over many scans.

    Attributes
    ----------
    teeth, found, right : int
        Counts of reference teeth, of found teeth (IoU 0.5), and of found teeth with the right number.
    dice : list of float
        Of the found teeth whose outline is scored.
    """

    teeth: int = 0
    found: int = 0
    right: int = 0
    dice: list[float] = field(default_factory=list)

    def add(self, score: ToothScore) -> None:
        """Add one tooth."""
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
    share_inside: Mapping[int, float] | None = None,
) -> None:
    """Add the teeth of a scan to the strata.

    Parameters
    ----------
    strata : dict
        By name, see `ORDER`; changed in place.
    scores : Evaluation
    reference : Volume
        The reference label map.
    metal : ndarray of bool, optional
        Mask of metal on the grid of `reference`; without it the strata of metal are left out.
    report : mapping, optional
        Report of `teethseg segment --report`; without it the strata of uncertainty are left out. Teeth that were not found
        are in neither of them.
    unerupted : collection of int
        Numbers of the unerupted reference teeth.
    share_inside : mapping, optional
        Share of a tooth's volume that lies inside the field of view, by number; teeth without one are in neither of these
        strata.
    """
    facts = dict(_facts(reference, metal))
    sure = {tooth["fdi"]: UNCERTAIN_NUMBER not in tooth.get("flags", ()) for tooth in (report or {}).get("teeth", ())}
    for score in scores.teeth:
        one = tooth(score.fdi)
        names = ["all", "deciduous" if one.deciduous else _TYPES[one.position - 1], *facts[score.fdi]]
        if score.fdi in unerupted:
            names.append("not erupted")
        if share_inside and score.fdi in share_inside:
            names.append("half or more inside" if share_inside[score.fdi] >= HALF else "less than half inside")
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
        names.append("cut by the border" if meets_edge(box, array.shape) else "whole")
        if near is not None:
            close = bool((near[box] & (array[box] == number)).any())
            names.append("metal within 5 mm" if close else "no metal near")
        yield number, names
