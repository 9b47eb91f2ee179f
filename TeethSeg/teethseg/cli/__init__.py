"""The command line `teethseg`. Nothing of weight is imported before a command needs it."""

from __future__ import annotations

import signal
import sys

INTERRUPTED = 130  # what shells report for a program ended by Ctrl-C


def main() -> None:
    """Entry point of the command `teethseg`."""

    def end(number: int, _frame) -> None:
        raise SystemExit(128 + number)  # an exception, so that half-written files are removed

    signal.signal(signal.SIGTERM, end)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # not every console has Palmer's signs
    try:
        from .app import run

        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)
