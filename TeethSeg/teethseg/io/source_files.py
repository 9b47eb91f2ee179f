"""Opens input files safely: regular files only, data files in the header's folder only, and one line for each failure."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError, OutOfMemoryError, TeethSegError, is_lack_of_memory

# Opening a FIFO would block until another process writes; a device may block too, or never end.
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC"))


MOST_FILES = 20_000  # with the voxels of one scan
_LONGEST_NAME = 4096  # bytes


class DamagedFile(ValueError):
    """A defect inside a file, in a few words for the user; `reading` adds the name and the remedy."""


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file for reading, without ever blocking.

    Raises
    ------
    OSError
        If it cannot be opened, or is a folder, a pipe or a device.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", os.fspath(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def size_of(file: BinaryIO) -> int:
    """Bytes of an open regular file."""
    return os.fstat(file.fileno()).st_size


def referenced_file(header: Path, name: str) -> Path:
    """The data file that a header names.

    Headers are untrusted, so the file must lie below the header's folder after links are resolved.

    Raises
    ------
    InputError
        If the name leads elsewhere, or to nothing.
    """
    folder = header.parent.resolve()
    path = folder / name.replace("\\", "/")
    if not name or not path.resolve().is_relative_to(folder):
        raise InputError(
            f"{header.name} names a data file outside of its own folder: put both into one folder, and let the header "
            "give the name alone."
        )
    if not path.exists():
        raise InputError(f"{header.name} needs {path.name}, which is missing: put it beside it.")
    return path


def data_names(entry: str, file: BinaryIO, slices: int) -> list[str]:
    """The names of data files that an entry of a NRRD or MetaImage header stands for.

    Parameters
    ----------
    entry : str
        A name, a pattern with first, last and step ('slice%03d.raw 1 90 1'), or LIST for names that follow in the header.
    file : open file
        The header, positioned after the line of the entry.
    slices : int
        Largest number of names.

    Raises
    ------
    DamagedFile, EOFError
        If there are none, or too many.
    """
    if entry.split()[:1] == ["LIST"]:
        names: list[str] = []
        while len(names) < min(slices, MOST_FILES) and (line := file.readline(_LONGEST_NAME)):
            names += [line.decode("utf-8", "surrogateescape").strip()] if line.strip() else []
        if not names:
            raise EOFError
        return names
    pattern = re.fullmatch(r"([^%]*)%(0?\d{0,2})d([^%]*?)\s+(\d{1,9})\s+(\d{1,9})(?:\s+(\d{1,9}))?(\s+\d)?", entry)
    if not pattern:
        return [entry]
    before, width, after, first, last, step = pattern.groups()[:6]
    numbers = range(int(first), int(last) + 1, max(int(step or 1), 1))
    if not 0 < len(numbers) <= min(slices, MOST_FILES):
        raise DamagedFile(f"it names {len(numbers)} files for {slices} slices")
    return [f"{before}{number:{width}d}{after}" for number in numbers]


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn every error of the block into one line about the file at `path`.

    Raises
    ------
    InputError
        If the file is cut off, damaged or unreadable; also for unexpected errors of a reader.
    OutOfMemoryError
        If memory runs out.
    """
    name = Path(path).name or str(path)
    try:
        yield
    except TeethSegError:
        raise
    except EOFError as error:
        raise InputError(f"{name} is cut off: copy or export it again.") from error
    except Exception as error:
        raise _named(error, name) from error


def _named(error: Exception, name: str) -> TeethSegError:
    """The error of a file's reader, in one line."""
    if is_lack_of_memory(error):
        return OutOfMemoryError(f"{name} does not fit into memory: crop the scan to the jaws.")
    if isinstance(error, OSError):
        return InputError(
            f"{name} cannot be read ({error.strerror or type(error).__name__}): check the path and its permissions, or "
            "copy the file again."
        )
    if isinstance(error, DamagedFile):
        return InputError(f"{name} is damaged ({error}): copy or export it again.")
    # An unexpected error; --debug shows its traceback.
    return InputError(f"{name} is damaged, or its header is: copy or export it again.")
