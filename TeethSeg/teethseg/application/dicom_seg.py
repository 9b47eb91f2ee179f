"""DICOM SEG by Slicer's own writer, where there is one: in the core from 5.12, before with QuantitativeReporting."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from .. import __version__
from ..errors import InputError, TeethSegError
from .i18n import _

_PLUGIN = "DICOMSegmentationPlugin"


def available() -> bool:
    """Whether this Slicer can write DICOM SEG."""
    return importlib.util.find_spec(_PLUGIN) is not None


def write_dicom_seg(folder: Path, name: str, teeth, volume, corrected: Iterable[int]) -> Path:
    """Write a segmentation as one DICOM SEG file that refers to the images of its scan.

    Parameters
    ----------
    folder : Path
    name : str
        Of the file and of the series.
    teeth : vtkMRMLSegmentationNode
    volume : vtkMRMLScalarVolumeNode
        The scan, loaded from Slicer's DICOM database.
    corrected : iterable of int
        Teeth that a user has changed; the others are marked as found by the algorithm alone.

    Raises
    ------
    InputError
        If the scan was not loaded from the DICOM database.
    TeethSegError
        If Slicer's writer fails.
    """
    if not volume.GetAttribute("DICOM.instanceUIDs"):
        raise InputError(
            _("DICOM SEG needs the images of the scan: load the scan through Slicer's DICOM module, and try again.")
        )
    from DICOMSegmentationPlugin import DICOMSegmentationExporter

    from ..mrml.segments import teeth_of

    changed = set(corrected)
    for identity, fdi in teeth_of(teeth.GetSegmentation()).items():
        segment = teeth.GetSegmentation().GetSegment(identity)
        segment.SetTag("DICOM.SegmentAlgorithmType", "SEMIAUTOMATIC" if fdi in changed else "AUTOMATIC")
        segment.SetTag("DICOM.SegmentAlgorithmName", f"TeethSeg {__version__}")
    exporter = DICOMSegmentationExporter(teeth)
    try:
        exporter.export(str(folder), f"{name}.dcm", {"SeriesDescription": name}, skipEmpty=True)
    except (ValueError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise TeethSegError(_("Slicer could not write DICOM SEG ({reason}).").format(reason=reason)) from error
    finally:
        exporter.cleanup()
    return folder / f"{name}.dcm"
