"""The report of a run: teeth, warnings, times and weights, as a dictionary for JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import NOTICE, __version__
from .anatomy import TEETH
from .cascade.dentition import Dentition, FoundTooth
from .cascade.findings import Finding, find
from .errors import InputError


def report_of(
    dentition: Dentition,
    seconds: Mapping[str, float],
    peak_memory_mb: float,
    device: str,
    weights_name: str,
    sha256: str,
    surfaces: Mapping | None = None,
) -> dict:
    """Everything about a segmentation except its voxels.

    Parameters
    ----------
    dentition : Dentition
    seconds : mapping of str to float
        Wall-clock time of each step.
    peak_memory_mb : float
        See `peak_memory_mb`.
    device : str
        Where the networks ran.
    weights_name, sha256 : str
        Name and SHA-256 of the weights.
    surfaces : mapping, optional
        Checks of the written surfaces, see `surfaces.export.ExportResult.report`.

    Returns
    -------
    dict
        Ready for JSON. Volumes in mm³, centres in mm (LPS), confidences 0 to 1.
    """
    return {
        "teeth": [tooth_entry(found) for found in sorted(dentition.teeth, key=lambda found: found.fdi)],
        "findings": [finding_entry(finding) for finding in find(dentition.teeth)],
        "warnings": list(dentition.warnings),
        "seconds": {step: round(float(time), 3) for step, time in seconds.items()},
        "peak_memory_mb": round(float(peak_memory_mb), 1),
        "device": device,
        "weights": {"name": weights_name, "sha256": sha256},
        "version": __version__,
        "notice": NOTICE,
        **({} if surfaces is None else {"surfaces": dict(surfaces)}),
    }


def finding_entry(finding: Finding) -> dict:
    """A finding about the dentition as a whole; the renumbering of an answer maps old numbers to new ones."""
    answers = [
        {
            "text": answer.text,
            "renumbering": {str(old): new for old, new in answer.renumbering.items()},
            "missing": list(answer.missing),
        }
        for answer in finding.answers
    ]
    return {"kind": finding.kind, "teeth": list(finding.teeth), "text": finding.text, "answers": answers}


def tooth_entry(found: FoundTooth) -> dict:
    """The row of one tooth."""
    tooth = found.tooth
    return {
        "fdi": tooth.fdi,
        "universal": tooth.universal,
        "palmer": tooth.palmer,
        "position": tooth.position,
        "jaw": tooth.jaw,
        "confidence": round(float(found.confidence), 4),
        "second_fdi": found.second_fdi,
        "volume_mm3": round(float(found.volume_mm3), 2),
        "centroid_lps_mm": [round(float(part), 2) for part in found.centroid_lps_mm],
        "touches_border": bool(found.touches_border),
        "flags": list(found.flags),
    }


def check_report(content: Any) -> dict:
    """Check that content read from a file is a report, and return it.

    Raises
    ------
    InputError
        If it is not.
    """

    def is_number(value: object) -> bool:  # bounded, so that arithmetic cannot overflow
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12

    rows = content.get("teeth", []) if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(
        isinstance(row, dict)
        and isinstance(row.get("fdi"), int)
        and row["fdi"] in TEETH
        and (row.get("confidence") is None or is_number(row["confidence"]))
        and isinstance(row.get("flags", []), list)
        and all(isinstance(flag, str) for flag in row.get("flags", []))
        for row in rows
    ):
        raise InputError("This is no report of TeethSeg: give a file written by --report.")
    return content


def peak_memory_mb() -> float:
    """Peak memory of this process so far, in MB (2**20 bytes)."""
    status = Path("/proc/self/status")
    # Linux: its getrusage counts a large parent process too. Not every container has this line.
    status_text = status.read_text(encoding="ascii", errors="replace") if status.exists() else ""
    if found := re.search(r"VmHWM:\s*(\d+) kB", status_text):
        return int(found[1]) / 1024
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS: bytes
