"""Choice of the weights for a scan: those for permanent teeth, or those for mixed dentitions. Needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..errors import WeightsError
from ..volume import Volume
from .model_card import shipped

DentitionChoice = Literal["auto", "permanent", "mixed"]

# Years. The last deciduous molars are shed at 11 or 12 on average (Hurme 1949), by 14 in nearly all children.
CHILD = 14.0
SECOND_RUN = "look for deciduous teeth"  # the step that begins it
NOT_INSTALLED = (
    "No networks for mixed dentitions are installed: install TeethSeg again, name a file of weights, or take the networks "
    "for permanent teeth."
)
_TAKEN = (
    "By the patient's age in the file (below 14) the networks for mixed dentitions were used: if all teeth are permanent, "
    "segment again with those for permanent teeth."
)
LOOKED_MIXED = (
    "There seem to be deciduous teeth, so the networks for mixed dentitions were used: if all teeth are permanent, segment "
    "again with those for permanent teeth."
)
NOT_LOOKED_MIXED = (
    "There seem to be deciduous teeth, and the networks for mixed dentitions could not look, so some numbers may be wrong. "
    "{reason}"
)
_NOT_THERE = (
    "By the patient's age in the file (below 14) this may be a mixed dentition, and no networks for that are installed: "
    "deciduous teeth may be missed or have wrong numbers."
)


@dataclass(frozen=True)
class NetworkChoice:
    """Weights for a scan, as `load_weights` takes them.

    Attributes
    ----------
    scan : Volume
        With a warning if the patient's age decided.
    file : Path or None
        None for the weights for permanent teeth that ship with TeethSeg.
    if_mixed : Path or None
        Weights for mixed dentitions, to use instead if the result looks like one, or like an adult's with retained deciduous
        teeth.
    """

    scan: Volume
    file: Path | None = None
    if_mixed: Path | None = None


def choose_weights(scan: Volume, dentition: DentitionChoice = "auto", weights: Path | None = None) -> NetworkChoice:
    """Choose the weights for a scan.

    Parameters
    ----------
    scan : Volume
        Its `patient_age` decides where the choice is automatic; if it is not known, or that of an adult, the result does.
    dentition : {'auto', 'permanent', 'mixed'}
    weights : Path, optional
        A file that the user has named; it overrides the other arguments.

    Raises
    ------
    WeightsError
        If weights for mixed dentitions are requested, but not installed.
    """
    if weights is not None or dentition == "permanent":
        return NetworkChoice(scan, weights)
    mixed = shipped("mixed")
    if dentition == "mixed":
        if mixed is None:
            raise WeightsError(NOT_INSTALLED)
        return NetworkChoice(scan, mixed)
    if scan.patient_age is None or scan.patient_age >= CHILD:  # adults may have retained deciduous teeth
        return NetworkChoice(scan, if_mixed=mixed)
    return NetworkChoice(replace(scan, warnings=(*scan.warnings, _NOT_THERE if mixed is None else _TAKEN)), mixed)
