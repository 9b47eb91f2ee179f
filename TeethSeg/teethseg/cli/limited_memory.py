"""Commands under a memory limit (`ulimit -v`, as clusters set it).

Without enough memory, numerical libraries raise an error, end the process, or crash it: at import, when they start threads, or
later. So a child process does the work, and this one watches it: the user gets one line and status 4 in each case.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from ..errors import OutOfMemoryError, tells_no_memory
from ..parent_process import end_with_parent

_LEAST = 700 << 20  # bytes of address space; measured: with 500 MB imports fail, with 250 MB they hang
_AMPLE = 3 << 30  # bytes of address space that are enough for all imports
_PASSED_ON = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)


def address_space() -> int | None:
    """Bytes of address space that this process may have; None if there is no limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def is_tight(limit: int | None) -> bool:
    """Whether a failed import may have failed for lack of memory."""
    return limit is not None and limit < _AMPLE


def watch(limit: int) -> None:
    """Continue in a child process, in which this call returns; the parent waits for its end, and ends with its status.

    Parameters
    ----------
    limit : int
        Bytes of address space.
    """
    if limit < _LEAST:
        sys.exit(_no_memory())
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each thread takes 32 MB or more, on 64 cores all of the memory
    if not hasattr(os, "memfd_create"):  # only Linux enforces such a limit
        return
    noise = os.memfd_create("teethseg")  # messages of C libraries that end the process
    watched = {signal.SIGCHLD, *_PASSED_ON}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    child = os.fork()
    if not child:
        end_with_parent()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _keep_quiet(noise)
        return
    while True:
        received = signal.sigwaitinfo(watched)
        if received.si_signo != signal.SIGCHLD:
            if received.si_code <= 0:  # from a process; a terminal's signal reaches the child by itself
                os.kill(child, received.si_signo)
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            os._exit(_exit_status(status, noise))


def _exit_status(status: int, noise: int) -> int:
    """The exit status for the status of the child process; prints its messages, or that memory ran out."""
    os.lseek(noise, 0, os.SEEK_SET)
    with os.fdopen(noise, "rb") as file:
        messages = file.read()
    code = os.waitstatus_to_exitcode(status)
    if code < 0 and -code not in _PASSED_ON:
        crashed = True
    else:
        crashed = code not in (0, 2, 3, 4, 5) and tells_no_memory(messages.decode("utf-8", "replace"))
    if crashed:
        _remove_drafts()
        return _no_memory()
    with suppress(OSError):
        os.write(2, messages)
    return code if code >= 0 else 128 - code


def _keep_quiet(noise: int) -> None:
    """Keep standard error for Python, and redirect that of C libraries to a file for `_exit_status`."""
    own = os.dup(2)
    os.dup2(noise, 2)
    sys.stderr = os.fdopen(own, "w", encoding=sys.stderr.encoding, errors="replace", buffering=1)


def _remove_drafts() -> None:
    """Remove the drafts of a crashed command beside its outputs."""
    with suppress(Exception):  # this may run out of memory too
        from ..io.atomic_write import remove_left_drafts

        for argument in sys.argv[1:]:
            place = Path(argument)
            for folder in (place, place.parent):
                remove_left_drafts(folder)


def _no_memory() -> int:
    with suppress(OSError, ValueError, MemoryError):
        os.write(2, b"teethseg: Memory ran out: close other programs or crop the scan to the jaws.\n")
    return OutOfMemoryError.exit_code
