"""Temporary folders for patient data, readable by this user alone. Folders of killed processes are removed by the next one.

The name of a folder holds its computer, its process number and a random part.
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
    """Create a folder that only this user can read; the caller removes it.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    remove_left_folders()
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{HOST}-{os.getpid()}-"))


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """As `new_temporary_folder`; removed with its content at the end of the block."""
    folder = new_temporary_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def own_temporary_files() -> Iterator[None]:
    """Redirect the temporary files of all libraries to a folder of this process, which is removed at the end of the block."""
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
                    status = entry.stat(follow_symlinks=False)
                    # The folder is shared: other users' files stay.
                    is_own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
                    if is_own and stat.S_ISDIR(status.st_mode) and is_left(int(match[1]), status.st_mtime):
                        shutil.rmtree(entry.path, ignore_errors=True)
