"""The command line `teethseg`. Nothing of weight is imported before a command needs it."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

_LEAST_ADDRESS_SPACE = 700 << 20  # bytes; measured: with 500 MB imports fail, with 250 MB they hang
INTERRUPTED = 130  # what shells report for a program ended by Ctrl-C


def main() -> None:
    """Entry point of the command `teethseg`."""

    def end(number: int, _frame) -> None:
        raise SystemExit(128 + number)  # an exception, so that half-written files are removed

    for name in ("SIGTERM", "SIGHUP", "SIGQUIT"):  # SIGHUP: the terminal was closed; under nohup it is ignored
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
    _prepare_streams()
    if _too_little_memory():
        sys.exit(_no_memory())
    try:
        from .app import run

        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = INTERRUPTED
    except MemoryError:  # so little memory that not even the imports succeed
        status = _no_memory()
    except ImportError as error:
        if not _is_lack_of_memory(error):
            raise
        status = _no_memory()
    sys.exit(_flushed(status))


def _prepare_streams() -> None:
    # Whoever started this may have closed them. A file opened now must not get their numbers, which libraries write to.
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        else:
            stream.reconfigure(errors="replace")  # not every console has Palmer's signs


def _flushed(status: int) -> int:
    """The exit status once all is said; 1 if asked-for output did not arrive (`| head -1` has all that it wants)."""
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
        with suppress(OSError, ValueError):  # or Python would complain at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return status


def _too_little_memory() -> bool:
    """Whether a limit (ulimit -v) is so low that numerical libraries would wait for memory for ever as they are loaded."""
    try:
        import resource
    except ImportError:
        return False
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return limit != resource.RLIM_INFINITY and limit < _LEAST_ADDRESS_SPACE


def _is_lack_of_memory(error: BaseException) -> bool:
    words = str(error)
    return any(word in words for word in ("Cannot allocate memory", "failed to map segment", "cannot allocate"))


def _no_memory() -> int:
    with suppress(OSError, ValueError, MemoryError):
        sys.stderr.write("teethseg: Memory ran out: close other programs or crop the scan to the jaws.\n")
    return 4
