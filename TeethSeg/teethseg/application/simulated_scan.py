"""A scan to try TeethSeg with, made on this computer by a process of its own, always the same one; its teeth are known."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .. import __version__
from ..errors import TeethSegError
from ..io.atomic_write import draft_folder, replace_folder
from .i18n import _

SIMULATED_SEED = 7


def simulated_case(cache: Path, python: str, wait: Callable[[], bool], seed: int = SIMULATED_SEED) -> Path | None:
    """Folder of the simulated case (`image.nrrd`, `labels.seg.nrrd`), made in another process unless it is there.

    Parameters
    ----------
    cache : Path
        Where to keep it; cases of other versions of TeethSeg have other names.
    python : str
        The Python that has TeethSeg's packages.
    wait : callable
        Called about twenty times a second while it is made; False cancels.

    Returns
    -------
    Path or None
        None if cancelled; nothing is left behind then.

    Raises
    ------
    TeethSegError
        If it cannot be made.
    """
    case = Path(cache) / f"TeethSeg-{__version__}-simulated-{seed}"
    if case.is_dir():
        return case
    case.parent.mkdir(parents=True, exist_ok=True)
    with draft_folder(case.parent) as draft:
        if not _run(python, draft / "case", seed, draft / "messages.txt", wait):
            return None
        replace_folder(draft / "case", case, draft)
    return case


def _run(python: str, out: Path, seed: int, messages: Path, wait: Callable[[], bool]) -> bool:
    """Simulate; False if cancelled."""
    from ..worker.processes import end_process_group, start_process_group

    command = [python, "-m", "teethseg.simulation", str(out), str(seed)]
    with messages.open("wb") as file:
        process = start_process_group(command, subprocess.DEVNULL, file)
        try:
            while process.poll() is None:
                if not wait():
                    return False
                time.sleep(0.05)
        finally:
            end_process_group(process)
    if process.returncode:
        lines = messages.read_text(encoding="utf-8", errors="replace").split("\n")
        reason = next((line.strip() for line in reversed(lines) if line.strip()), str(process.returncode))
        raise TeethSegError(
            _("The scan could not be simulated ({reason}): look under 'My computer' whether it is ready.").format(
                reason=reason
            )
        )
    return True
