"""Which study a DICOM file is of, read from as little of it as will do."""

from __future__ import annotations

from pathlib import Path

import pydicom

from .quiet import library_noise_silenced
from .values import text


def study_of(path: Path) -> str | None:
    """The Study Instance UID of an image; empty if it has none, None for what is no image (a DICOMDIR, a report)."""
    tags = ["StudyInstanceUID", "Rows", "Columns"]
    try:
        with library_noise_silenced():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags, force=True)
    except Exception:  # pydicom raises whatever a damaged file makes it stumble over; the reader names the file later
        return ""
    return text(header, "StudyInstanceUID") if "Rows" in header else None
