"""Starts processes that find this library and show no window, and ends them with all their children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

EXIT_TIMEOUT = 2.0  # seconds to wait for the end of a killed process


def library_environment() -> dict[str, str]:
    """Environment variables with which another Python imports this copy of teethseg."""
    library = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (library, path))),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def hidden_window() -> dict:
    """Arguments for `subprocess` that suppress the console window on Windows."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {}


def start_process_group(command: list[str], output: int | IO[Any], errors: int | IO[Any]) -> subprocess.Popen:
    """Start a process that `end_process_group` can end with all its children; its standard input is empty.

    Parameters
    ----------
    command : list of str
    output, errors : file or int
        As for `subprocess.Popen`.
    """
    group: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=library_environment(), **group
    )


def end_process_group(process: subprocess.Popen) -> None:
    """End a process of `start_process_group` and all its children, also those that outlived it.

    PythonSlicer, for example, is a launcher, and the real Python its child.
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
        # macOS reports EPERM for a group of zombies.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(EXIT_TIMEOUT)
    if sys.platform != "win32":
        _await_group(process.pid)


def _await_group(number: int) -> None:
    """Wait until no process of a group is left, for half a second at most, because zombies may stay for long."""
    end = time.monotonic() + 0.5
    with suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < end:
            os.killpg(number, 0)
            time.sleep(0.01)
