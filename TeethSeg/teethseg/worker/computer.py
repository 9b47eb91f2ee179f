"""Checks whether this computer can segment a scan; a failed check names a remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..cascade.memory import needed_memory
from ..volume import Volume
from .failure_messages import cause_and_remedy, failure_of_exit, missing_package
from .probe import Facts
from .processes import hidden_window, library_environment
from .protocol import ProtocolError, from_json

LONGEST = 180.0  # seconds; timeout of the probe, because the first import of torch after an installation is slow
MAPS_ROOM = 300e6  # bytes that a run writes in addition to scan and label map
_GB = 1e9


@dataclass(frozen=True)
class Check:
    """Result of one check: its name, whether it passed, the finding, and a remedy if it failed."""

    name: str
    ok: bool
    text: str
    remedy: str = ""


def check_computer(
    volume: Volume | None = None, weights: Path | None = None, python: str | Path = sys.executable
) -> list[Check]:
    """Check whether this computer can run the cascade. Takes some seconds: torch is imported in a process of its own.

    Parameters
    ----------
    volume : Volume, optional
        The scan to segment.
    weights : Path, optional
        The `.safetensors` file; without it the weights that ship with TeethSeg.
    python : path
        The interpreter that runs the worker; `PythonSlicer` inside 3D Slicer.
    """
    facts = _facts(weights, python)
    if isinstance(facts, Check):
        return [facts, disk_check(volume)]
    return [
        packages_check(facts),
        torch_check(facts),
        graphics_check(facts),
        memory_check(facts, volume),
        weights_check(facts),
        disk_check(volume),
    ]


def _facts(weights: Path | None, python: str | Path) -> Facts | Check:
    arguments = [str(Path(weights).absolute())] if weights is not None else []
    try:
        run = subprocess.run(
            [str(python), "-m", "teethseg.worker.probe", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=LONGEST,
            env=library_environment(),
            check=False,
            **hidden_window(),
        )
    except OSError as error:
        return Check("Python", False, f"{python} cannot be started ({error.strerror or error}).", "Install it again.")
    except subprocess.TimeoutExpired:
        return Check(
            "Python", False, f"It did not answer within {LONGEST:.0f} s.", "Restart the computer and try again."
        )
    try:
        # The last line; libraries may print other lines before it.
        return from_json(run.stdout.strip().rpartition("\n")[2], Facts)
    except ProtocolError:
        failure = failure_of_exit(run.returncode, run.stderr, "")
        return Check("Python", False, *cause_and_remedy(failure.text))


def packages_check(facts: Facts) -> Check:
    """Can all packages be imported?"""
    if facts.broken:
        _, remedy = cause_and_remedy(missing_package(facts.broken[0]))
        return Check("Python packages", False, f"Missing or not loadable: {', '.join(facts.broken)}.", remedy)
    return Check("Python packages", True, f"All are there (Python {facts.python}).")


def torch_check(facts: Facts) -> Check:
    """Is PyTorch there, in a version that fits?"""
    if facts.torch is None:
        return Check(
            "PyTorch",
            False,
            f"It cannot be loaded ({facts.torch_error}).",
            "In 3D Slicer install it with the PyTorch extension, elsewhere with: pip install torch.",
        )
    return Check("PyTorch", True, f"Version {facts.torch}.")


def graphics_check(facts: Facts) -> Check:
    """Can the graphics card be used?"""
    name = "Graphics card"
    if facts.gpu_error:
        return Check(
            name,
            False,
            f"There is one, but it is not used ({facts.gpu_error}); the processor is, which takes longer.",
            "Update the graphics driver, then install PyTorch again for this card (PyTorch extension: backend automatic).",
        )
    if facts.gpu:
        free = f", {facts.gpu_free / _GB:.1f} GB free" if facts.gpu_free is not None else ""
        return Check(name, True, f"{facts.gpu}{free}.")
    return Check(name, True, "None that PyTorch can use; the processor does the work, which takes longer.")


def memory_check(facts: Facts, volume: Volume | None) -> Check:
    """Is there enough memory for this scan?"""
    name = "Memory"
    if facts.memory_free is None:
        return Check(name, False, "Not known without the package psutil.", "Install the missing packages first.")
    needed = needed_memory(volume.array.nbytes if volume else 0, volume.array.size if volume else 0)
    subject = "This scan" if volume else "A run"
    text = f"{facts.memory_free / _GB:.1f} GB free. {subject} needs about {needed / _GB:.1f} GB."
    if facts.memory_free < needed:
        return Check(name, False, text, "Close other programs, or crop the scan to the jaws.")
    return Check(name, True, text)


def weights_check(facts: Facts) -> Check:
    """Are the network's weights complete?"""
    name = "Network weights"
    if facts.weights:
        return Check(name, True, f"{facts.weights}: complete and undamaged (SHA-256).")
    return Check(name, False, *cause_and_remedy(facts.weights_error))


def disk_check(volume: Volume | None) -> Check:
    """Is there room for temporary files?"""
    name = "Disk space"
    remedy = "Set the variable TMPDIR (Windows: TEMP) to a folder that you may write to."
    try:
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check(name, False, f"There is no temporary folder ({error.strerror}).", remedy)
    if not os.access(folder, os.W_OK):
        return Check(name, False, f"The temporary folder {folder} may not be written to.", remedy)
    needed = MAPS_ROOM + (volume.array.nbytes + volume.array.size if volume else 0)
    text = f"{free / _GB:.1f} GB free in {folder}, about {needed / _GB:.1f} GB needed."
    return Check(name, free >= needed, text, "" if free >= needed else f"Free some space in {folder}.")
