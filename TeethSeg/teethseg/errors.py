"""Errors with a name, a cause, a way out and the exit status of the command line.

Whatever a user can mend is raised as one of these; its text is one line: the cause first, then the way out.
"""

from __future__ import annotations

# How the system, numpy, torch, oneDNN, OpenMP, OpenBLAS, ITK and VTK tell that memory ran out; in small letters.
_NO_MEMORY = (
    "cannot allocate",
    "can't allocate",
    "unable to allocate",
    "failed to allocate",
    "failed to map segment",
    "bad_alloc",
    "out of memory",
    "not enough memory",
    "insufficient memory",
    "memoryerror",
    "can't start new thread",
    "thread creation failed",
    "pthread_create failed",
    "could not create a memory object",
)


class TeethSegError(Exception):
    """Anything that TeethSeg can name. `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(TeethSegError):
    """The command was asked for something that does not fit together."""

    exit_code = 2


class InputError(TeethSegError):
    """A file is unreadable, or is no scan that teeth can be found in."""

    exit_code = 3


class SeveralSeries(InputError):
    """A DICOM folder holds several series, any of which could be the scan.

    Attributes
    ----------
    choices : dict of str to str
        What each series is, in words, by its UID.
    """

    def __init__(self, text: str, choices: dict[str, str]):
        super().__init__(text)
        self.choices = choices


class UnclearNumberingError(InputError):
    """Labels of another program do not tell which teeth they are.

    Attributes
    ----------
    schemes : tuple of str
        The numberings (`io.label_schemes`) by which they would all be told; empty if there is none.
    """

    def __init__(self, text: str, schemes: tuple[str, ...]):
        super().__init__(text)
        self.schemes = schemes


class OutOfMemoryError(TeethSegError):
    """No way of running the cascade fits into the memory of this computer."""

    exit_code = 4


class WeightsError(TeethSegError):
    """Network weights are missing, damaged or of another architecture."""

    exit_code = 5


def tells_no_memory(text: str) -> bool:
    """Whether a library's own words say that memory ran out."""
    text = text.lower()
    return any(words in text for words in _NO_MEMORY)


def is_lack_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what led to it, is that memory ran out."""
    while error is not None:
        if isinstance(error, MemoryError | OutOfMemoryError):
            return True
        if not isinstance(error, TeethSegError) and tells_no_memory(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False
