"""DICOM SEG: by highdicom, which Slicer has from 5.12 on; before, by QuantitativeReporting's writer where that is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

import slicer

from .. import __version__
from ..errors import InputError, TeethSegError
from .i18n import _

_PLUGIN, _LIBRARY = "DICOMSegmentationPlugin", "highdicom"


def has_library() -> bool:
    """Whether DICOM SEG can be written without Slicer's own writer."""
    return importlib.util.find_spec(_LIBRARY) is not None


def has_plugin() -> bool:
    """Whether Slicer has a writer."""
    return importlib.util.find_spec(_PLUGIN) is not None


def files_of(volume_node) -> tuple[str, ...]:
    """The files of the DICOM images that a scan was loaded from, if it came from Slicer's DICOM database."""
    database = getattr(slicer, "dicomDatabase", None)
    uids = (volume_node.GetAttribute("DICOM.instanceUIDs") or "").split()
    files = (database.fileForInstance(uid) for uid in uids) if database is not None else ()
    return tuple(file for file in files if file)


def write_by_slicer(folder: Path, name: str, teeth, volume, corrected: Iterable[int]) -> Path:
    """Write a segmentation as one DICOM SEG file that refers to the images of its scan, by Slicer's own writer.

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
