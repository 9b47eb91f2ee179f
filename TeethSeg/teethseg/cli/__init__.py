"""The command line `teethseg`. Heavy packages are imported only by the commands that need them."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from ..errors import OutOfMemoryError, is_lack_of_memory
from .limited_memory import address_space, is_tight, watch

INTERRUPTED = 130  # exit status that shells report for a program ended by Ctrl-C
MEMORY_RAN_OUT = "Memory ran out: close other programs or crop the scan to the jaws."


def main() -> None:
    """Entry point of the command `teethseg`."""

    def end(number: int, _frame) -> None:
        raise SystemExit(128 + number)  # an exception, so that half-written files are removed

    for name in ("SIGTERM", "SIGHUP", "SIGQUIT"):  # SIGHUP: the terminal was closed; under nohup it is ignored
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
    _prepare_streams()
    if (limit := address_space()) is not None:
        watch(limit)
    try:
        from .app import run

        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = INTERRUPTED
    except Exception as error:  # with very little memory, even the imports fail
        if not (is_lack_of_memory(error) or is_tight(limit)):
            raise
        status = OutOfMemoryError.exit_code
        with suppress(OSError, ValueError):
            print("teethseg:", MEMORY_RAN_OUT, file=sys.stderr)
    sys.exit(_flushed(status))


def _prepare_streams() -> None:
    # The caller may have closed them. A file opened later must not get their numbers, because libraries write to these.
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        else:
            stream.reconfigure(errors="replace")  # not every console can show Palmer symbols


def _flushed(status: int) -> int:
    """The exit status after all output is flushed; 1 if it could not be written (a closed pipe, as of `| head -1`, is fine)."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            stream.flush()
            continue
        except BrokenPipeError:
            pass
        except (OSError, ValueError):
            if name == "stdout" and not status:
                status = 1
                with suppress(OSError, ValueError):
                    print("teethseg: Standard output cannot be written to: is its disk full?", file=sys.stderr)
        with suppress(OSError, ValueError):  # otherwise Python reports the closed stream at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return status
