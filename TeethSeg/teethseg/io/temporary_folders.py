"""Temporary folders for patient data, readable by this user alone. The next process removes those of killed processes.

The name of a folder holds its computer and process, and a random part.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .atomic_write import HOST, is_left

_PREFIX = "teethseg-"
_OURS = re.compile(rf"{_PREFIX}{HOST}-(\d{{1,9}})-\w+")


def new_temporary_folder() -> Path:
    """A folder that only this user can read, for this process to remove.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    remove_left_folders()
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{HOST}-{os.getpid()}-"))


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """As `new_temporary_folder`, removed with all that is in it when the block ends."""
    folder = new_temporary_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_temporary_files() -> Iterator[None]:
    """Let every library in the block make its temporary files in a folder of this process, removed at the end."""
    before = tempfile.tempdir
    with temporary_folder() as folder:
        tempfile.tempdir = str(folder)
        try:
            yield
        finally:
            tempfile.tempdir = before


def remove_left_folders() -> None:
    """Remove the temporary folders of this user whose processes were killed."""
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if match := _OURS.fullmatch(entry.name):
                with suppress(OSError):
                    about = entry.stat(follow_symlinks=False)  # the place is everybody's: of others nothing is touched
                    mine = not hasattr(os, "getuid") or about.st_uid == os.getuid()
                    if mine and stat.S_ISDIR(about.st_mode) and is_left(int(match[1]), about.st_mtime):
                        shutil.rmtree(entry.path, ignore_errors=True)
