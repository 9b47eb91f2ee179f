"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import TeethSegError, UsageError


def check_folder(path: str | Path) -> None:
    """Refuse a path whose folder does not exist, or that is a folder itself.

    Raises
    ------
    UsageError
        If so.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise UsageError(f"The folder {path.parent} does not exist: create it or choose another place for {path.name}.")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file.")


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes the place of `path` only if the block ends well.

    The temporary name ends like `path`, for writers that go by the ending.

    Raises
    ------
    UsageError
        If the folder does not exist.
    TeethSegError
        If the file cannot be written (no permission, disk full).
    """
    path = Path(path)
    check_folder(path)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise TeethSegError(f"{path} cannot be written ({reason}): choose another place or free some space.") from error
    finally:
        temporary.unlink(missing_ok=True)
