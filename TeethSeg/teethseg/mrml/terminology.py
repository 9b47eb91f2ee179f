"""TeethSeg's terminology: the tooth codes of DICOM for Slicer's segment tables and exports."""

from __future__ import annotations

from pathlib import Path

import slicer

from ..errors import TeethSegError
from ..io.seg_nrrd import TERMINOLOGY_CONTEXT
from ..resources import resource

FILE_NAME = "SegmentationCategoryTypeModifier-TeethSeg.term.json"


def file() -> Path:
    """The JSON file of TeethSeg's own terminology."""
    return resource("Terminology", FILE_NAME)


def load(logic: slicer.vtkSlicerTerminologiesModuleLogic) -> None:
    """Make Slicer know the teeth, so that its terminology selector offers them.

    Parameters
    ----------
    logic : vtkSlicerTerminologiesModuleLogic
        Slicer: `slicer.modules.terminologies.logic()`.

    Raises
    ------
    TeethSegError
        If the file is missing or damaged.
    """
    if not logic.IsTerminologyContextLoaded(TERMINOLOGY_CONTEXT) and (
        logic.LoadTerminologyFromFile(str(file())) != TERMINOLOGY_CONTEXT
    ):
        raise TeethSegError(f"{FILE_NAME} is missing or damaged: install TeethSeg again.")
