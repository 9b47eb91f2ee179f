"""Commands in processes of their own that need not import the libraries again: a process that has them forks for each.

For tests of commands at work, not of their start: an import of the training packages takes longer than such a test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil

# Reads a command a line, as [arguments, file for standard error]; answers with its process id, and with its status at its end.
_SERVER = """
import importlib, json, os, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
for line in sys.stdin:
    arguments, errors = json.loads(line)
    pid = os.fork()
    if not pid:
        os.setsid()
        for number, path in enumerate((os.devnull, os.devnull, errors)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), number)
        if sys.platform != 'linux':  # forked processes may not use all libraries there
            os.execv(sys.executable, [sys.executable, '-c', 'from teethseg.cli import main; main()', *arguments])
        sys.argv[1:] = arguments
        from teethseg.cli import main
        sys.exit(main())  # or a command that returns would go on as the server
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class WarmCommands:
    """Starts commands of `teethseg`, each in its own session, one at a time.

    Parameters
    ----------
    modules : str
        Names of the modules to import before.
    """

    def __init__(self, *modules: str):
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
        )

    def start(self, arguments: list, errors: Path) -> psutil.Process:
        """Start a command that appends its standard error to a file."""
        print(json.dumps([list(map(str, arguments)), str(errors)]), file=self._server.stdin, flush=True)
        return psutil.Process(int(self._server.stdout.readline()))

    def status(self, process: psutil.Process, seconds: float) -> int:
        """The exit status of the command, once it has ended."""
        process.wait(seconds)
        return int(self._server.stdout.readline())

    def close(self) -> None:
        """End the process that forks."""
        self._server.stdin.close()
        self._server.wait(30)
        self._server.stdout.close()
