"""The study of a DICOM file, read from a few elements of its header."""

from __future__ import annotations

from pathlib import Path

import pydicom

from .quiet import library_noise_silenced
from .values import text


def study_of(path: Path) -> str | None:
    """The Study Instance UID of an image; empty if it has none, None if the file is no image (a DICOMDIR, a report)."""
    tags = ["StudyInstanceUID", "Rows", "Columns"]
    try:
        with library_noise_silenced():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags, force=True)
    except Exception:  # pydicom raises many kinds of error on damaged files; `read_dicom` names the file later
        return ""
    return text(header, "StudyInstanceUID") if "Rows" in header else None
