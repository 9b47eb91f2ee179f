"""Messages for failed runs: from an error inside the worker, or from the exit status of a worker that sent no message."""

from __future__ import annotations

import errno
import re
import signal
import traceback

from ..errors import InputError, OutOfMemoryError, TeethSegError, WeightsError, is_lack_of_memory, tells_no_memory
from .protocol import EXIT_CODES, Failure, FailureCode

_DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_MEMORY = "Memory ran out: close other programs, or crop the scan to the jaws."
_CRASH = (
    "The worker crashed inside a library ({how}), most likely PyTorch or the graphics driver: "
    "choose the device CPU, or install PyTorch again."
)
_KILLED = (
    "The worker was ended from outside ({how}), most likely because memory ran out: "
    "close other programs, or crop the scan to the jaws."
)
# Status of a process that Windows ended, as NTSTATUS.
_WINDOWS = {
    0xC0000017: _KILLED,  # STATUS_NO_MEMORY
    0xC000012D: _KILLED,  # STATUS_COMMITMENT_LIMIT
    0xC0000005: _CRASH,  # STATUS_ACCESS_VIOLATION
    0xC000001D: _CRASH,  # STATUS_ILLEGAL_INSTRUCTION
    0xC0000135: _CRASH,  # STATUS_DLL_NOT_FOUND
    0xC0000139: _CRASH,  # STATUS_ENTRYPOINT_NOT_FOUND
    0xC0000409: _CRASH,  # STATUS_STACK_BUFFER_OVERRUN, which abort() ends with
}
# Distributions whose names are not those of their modules.
_DISTRIBUTIONS = {"cc3d": "connected-components-3d", "nrrd": "pynrrd", "skimage": "scikit-image", "torch": "PyTorch"}


def is_disk_full(error: OSError) -> bool:
    """Whether an error means that the disk is full, on any system."""
    # numpy's error has no number, only a text: "4096 requested and 0 written".
    is_numpys = error.errno is None and "written" in str(error)
    return is_numpys or error.errno in _DISK_FULL or getattr(error, "winerror", None) == 112


def disk_full(folder: str) -> str:
    """The message for a full disk."""
    return f"The disk of the temporary folder ({folder}) is full: free some space, then run it again."


def failure_of(error: BaseException, folder: str) -> Failure:
    """The failure message for an error of a run.

    Parameters
    ----------
    error : exception
    folder : str
        The folder that the worker writes to.
    """
    code: FailureCode = "other"
    text = (
        f"An error that TeethSeg does not know ({type(error).__name__}: {error}): "
        "run it again, and report it with its details if it comes back."
    )
    if is_lack_of_memory(error):  # first, because it can make an import fail
        code, text = "out-of-memory", str(error) if isinstance(error, OutOfMemoryError) else _MEMORY
    elif isinstance(error, ImportError):
        code, text = "missing-package", missing_package(error.name or str(error))
    elif isinstance(error, OSError) and is_disk_full(error):
        code, text = "disk-full", disk_full(folder)
    elif isinstance(error, TeethSegError):
        code = "weights" if isinstance(error, WeightsError) else "input" if isinstance(error, InputError) else "other"
        text = str(error)
    return Failure(code, " ".join(text.split()), "".join(traceback.format_exception(error)))


def missing_package(module: str) -> str:
    """The message for a module that cannot be imported."""
    package = module.partition(".")[0]
    name = _DISTRIBUTIONS.get(package, package)
    installer = "3D Slicer's PyTorch extension" if package == "torch" else "TeethSeg's panel"
    return (
        f"The package {name} is missing or cannot be loaded: install it with {installer}, or with pip install teethseg."
    )


def cause_and_remedy(text: str) -> tuple[str, str]:
    """Split the line of an error into two sentences, the cause and the remedy."""
    cause, _, remedy = text.partition(": ")
    return f"{cause.rstrip('.')}.", f"{remedy[:1].upper()}{remedy[1:]}"


def failure_of_exit(status: int, errors: str, folder: str) -> Failure:
    """The likely cause of a worker's end without a message.

    Parameters
    ----------
    status : int
        Exit status of the process, or minus the signal that ended it.
    errors : str
        Its standard error.
    folder : str
        The folder that it wrote to.
    """
    module = re.search(r"ModuleNotFoundError: No module named '?([\w.]+)|: No module named '?([\w.]+)", errors)
    if module:
        return Failure("missing-package", missing_package(module[1] or module[2]), errors)
    if status == EXIT_CODES["disk-full"]:
        return Failure("disk-full", disk_full(folder), errors)
    if tells_no_memory(errors):
        return Failure("out-of-memory", _MEMORY, errors)
    return Failure("died", _exit_message(status), errors)


def _exit_message(status: int) -> str:
    windows = status & 0xFFFFFFFF
    if windows in _WINDOWS:
        return _WINDOWS[windows].format(how=f"status {windows:#x}")
    # A launcher or shell in between returns 128 + signal.
    number = -status if status < 0 else status - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return (
            f"The worker ended before its work was done (exit status {status}): run it again, and look at its details."
        )
    if name in ("SIGKILL", "SIGTERM", "SIGXCPU"):
        return _KILLED.format(how=name)
    if name in ("SIGXFSZ", "SIGBUS"):
        return (
            f"The worker was ended by {name}, most likely because the disk is full: free some space and run it again."
        )
    if name in ("SIGHUP", "SIGINT", "SIGQUIT"):
        return f"The worker was ended from outside ({name}): run it again."
    return _CRASH.format(how=name)
