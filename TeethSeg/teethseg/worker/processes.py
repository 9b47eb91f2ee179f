"""Other processes: started so that they find this library, show no window, and can be ended with all that they started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

PATIENCE = 2.0  # seconds that an ended process is given to vanish


def library_environment() -> dict[str, str]:
    """The environment of the process, in which another Python finds this very teethseg."""
    library = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (library, path))),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def hidden_window() -> dict:
    """Arguments for `subprocess` without which Windows shows a console."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {}


def start_family(command: list[str], output: int, errors) -> subprocess.Popen:
    """Start a process that `end_family` can end with all its children; it reads nothing.

    Parameters
    ----------
    command : list of str
    output, errors : file or int
        As for `subprocess.Popen`.
    """
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=library_environment(), **apart
    )


def end_family(process: subprocess.Popen) -> None:
    """End a process of `start_family` and all its children, also those that it left behind when it ended by itself.

    PythonSlicer, for one, is a launcher, and the real Python its child.
    """
    if sys.platform == "win32":
        if process.poll() is None:
            subprocess.run(
                ["taskkill", "/F", "/T", "/PID", str(process.pid)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
                **hidden_window(),
            )
    else:
        # macOS says EPERM of a group of zombies.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    if sys.platform != "win32":
        _await_group(process.pid)


def _await_group(number: int) -> None:
    """Wait until no process of a group is left; a moment only, as zombies may stay for long."""
    end = time.monotonic() + 0.5
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < end:
            os.killpg(number, 0)
            time.sleep(0.01)
