"""Errors that a user can fix. Each class has an exit status for the command line.

The text of an error is one line: the cause, then the remedy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .io.label_schemes import LabelScheme

# Messages of the system, numpy, torch, oneDNN, OpenMP, OpenBLAS, ITK and VTK about lack of memory, in lower case.
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
    """Base class of all errors that TeethSeg can explain. `exit_code` is the exit status of the command line."""

    exit_code = 1


class UsageError(TeethSegError):
    """Options or arguments contradict each other, or a path cannot be written to."""

    exit_code = 2


class ToothError(UsageError):
    """A tooth, or its number, does not allow what was asked. The text has FDI numbers; `text` has those of another notation.

    Parameters
    ----------
    template : str
        The text, with a name in braces for each number.
    numbers : int
        FDI numbers by these names.
    """

    def __init__(self, template: str, **numbers: int):
        super().__init__(template.format(**numbers))
        self._template, self._numbers = template, numbers

    def text(self, number: Callable[[int], str]) -> str:
        """The text, with the numbers as `number` writes them."""
        return self._template.format(**{name: number(fdi) for name, fdi in self._numbers.items()})


class InputError(TeethSegError):
    """A file is unreadable, or is no scan of teeth."""

    exit_code = 3


class SeveralSeries(InputError):
    """A DICOM folder holds several series, any of which could be the scan.

    Attributes
    ----------
    choices : dict of str to str
        Description of each series, by its UID.
    """

    def __init__(self, text: str, choices: dict[str, str]):
        super().__init__(text)
        self.choices = choices


class UnclearNumberingError(InputError):
    """The labels of another program do not identify their teeth.

    Attributes
    ----------
    schemes : tuple of LabelScheme
        The numberings that fit every label; empty if none does.
    """

    def __init__(self, text: str, schemes: tuple[LabelScheme, ...]):
        super().__init__(text)
        self.schemes = schemes


class OutOfMemoryError(TeethSegError):
    """No configuration of the cascade fits into the memory of this computer."""

    exit_code = 4


class WeightsError(TeethSegError):
    """Network weights are missing, damaged or of another architecture."""

    exit_code = 5


def tells_no_memory(text: str) -> bool:
    """Whether the message of a library reports a lack of memory."""
    text = text.lower()
    return any(words in text for words in _NO_MEMORY)


def is_lack_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one of its causes, is a lack of memory."""
    while error is not None:
        if isinstance(error, MemoryError | OutOfMemoryError):
            return True
        if not isinstance(error, TeethSegError) and tells_no_memory(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False
