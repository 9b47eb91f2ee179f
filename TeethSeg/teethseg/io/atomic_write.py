"""Atomic writing: files and folders are written whole or not at all.

A file is first written as a draft with a random name beside its target; renaming the draft is one atomic step. A killed
process leaves its draft behind. The next process that writes into the same folder removes it.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import shutil
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from ..errors import TeethSegError, UsageError, is_lack_of_memory

# Characters of a file's name before its ending: as up to four bytes each they stay below 255, which file systems allow.
LONGEST_STEM = 60
# Part of a draft's name, because processes of other computers that share the folder are unknown here.
HOST = f"{zlib.crc32(platform.node().encode()):08x}"
_REPLACED, _PLACED = "replaced", "placed.txt"  # in a draft folder: the old files; the names of the new ones
_CLOCK_TOLERANCE = 60.0  # seconds; a process may seem to be younger than its own files
_DRAFT = re.compile(rf"\.teethseg-{HOST}-(\d{{1,9}})-[0-9a-f]{{12}}(\..*)?")


def check_folder(path: str | Path) -> None:
    """Refuse a path that no file can be written to, before any work is done.

    Raises
    ------
    UsageError
        If its folder does not exist, or the path is a folder, a device or no valid name.
    TeethSegError
        If the user has no permission to write to the folder.
    """
    path = Path(path)
    try:
        if not path.parent.is_dir():
            raise UsageError(
                f"The folder {path.parent} does not exist: create it or choose another place for {path.name}."
            )
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} is no place for a file ({reason}): choose another one.") from error
    if stat.S_ISDIR(mode):
        raise UsageError(f"{path} is a folder: name a file.")
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} is a device or pipe and no file: name a file.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise TeethSegError(f"The folder {path.parent} may not be written to: choose another place for {path.name}.")


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A draft beside `path` to write to; it replaces `path` only if the block ends without an error.

    The draft exists: empty, readable by this user alone, and with the suffix of `path`, because some writers choose the format
    by the suffix. It gets the permissions of the file that it replaces, or the default ones.

    Raises
    ------
    UsageError
        If the folder does not exist.
    TeethSegError
        If the file cannot be written (no permission, disk full).
    """
    path = Path(path)
    check_folder(path)
    remove_left_drafts(path.parent)
    draft = path.with_name(_draft_name("".join(path.suffixes[-2:])[-20:] if path.suffix.isascii() else ""))
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield draft
        _put_on_disk(draft)
        draft.chmod(_mode_for(path))
        draft.replace(path)
    except OSError as error:
        if is_lack_of_memory(error):
            raise
        reason = error.strerror or str(error)
        raise TeethSegError(
            f"{_place(path)} cannot be written ({reason}): choose another place or free some space."
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


@contextmanager
def draft_folder(parent: str | Path) -> Iterator[Path]:
    """A new folder below `parent`, readable by this user alone, which is removed at the end of the block.

    Files that are then in `replaced(draft)` return to `parent` if their names are free there, even after a kill.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    parent = Path(parent)
    remove_left_drafts(parent)
    draft = parent / _draft_name("")
    draft.mkdir(mode=0o700)
    try:
        yield draft
    finally:
        _remove_folder(draft)


def replaced(draft: Path) -> Path:
    """The folder in a draft for files to be replaced; created on first use."""
    folder = draft / _REPLACED
    folder.mkdir(exist_ok=True)
    return folder


def replace_folder(new: Path, folder: Path, draft: Path) -> None:
    """Move a folder out of a draft to its place, where it may replace an old one; it gets the default permissions.

    Raises
    ------
    OSError
        If that fails; the old folder returns when the draft is removed.
    """
    new.chmod(0o777 & ~_umask())
    if folder.exists():
        old = replaced(draft) / folder.name
        folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        new.rename(folder)


def replace_files(new: Path, folder: Path, old_names: Sequence[str], draft: Path, last: str) -> None:
    """Replace files by those of a folder in a draft: all of them or, even after a kill, none.

    Parameters
    ----------
    new, folder : Path
        The folder in the draft, and the target.
    old_names : sequence of str
        Files in `folder` that are removed.
    draft : Path
        From `draft_folder(folder)`.
    last : str
        The file that describes the others: the new one is moved last, and the old one is removed first.

    Raises
    ------
    OSError
        If a file cannot be moved; the old state returns when the draft is removed.
    """
    names = sorted((entry.name for entry in new.iterdir()), key=last.__eq__)
    (draft / _PLACED).write_text("\n".join(f"{new.name}/{name}" for name in names), encoding="utf-8")
    old = replaced(draft)
    for name in sorted(old_names, key=last.__ne__):
        (folder / name).rename(old / name)
    for name in names:
        (new / name).rename(folder / name)
    old.rename(draft / "obsolete")  # from here on the old files do not return


def remove_left_drafts(folder: Path) -> None:
    """Remove the drafts in a folder whose processes were killed."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _DRAFT.fullmatch(entry.name)
            if match and is_left(int(match[1]), entry.stat(follow_symlinks=False).st_mtime):
                if entry.is_dir(follow_symlinks=False):
                    _remove_folder(Path(entry.path))
                else:
                    with suppress(OSError):
                        Path(entry.path).unlink()


def is_left(process: int, changed: float) -> bool:
    """Whether the process that made a file has ended; its number may belong to another process by now.

    Parameters
    ----------
    process : int
        Process number.
    changed : float
        Time of the file's last change, epoch seconds.
    """
    import psutil  # Slicer brings it only with the first run

    try:
        return psutil.Process(process).create_time() > changed + _CLOCK_TOLERANCE
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def _remove_folder(draft: Path) -> None:
    with suppress(OSError):
        olds = list((draft / _REPLACED).iterdir())
        if (draft / _PLACED).exists():
            for name in (draft / _PLACED).read_text(encoding="utf-8").split("\n"):
                if not (draft / name).exists():
                    (draft.parent / Path(name).name).unlink(missing_ok=True)
            (draft / _PLACED).unlink()
        for old in olds:
            if not (place := draft.parent / old.name).exists():
                old.rename(place)
    shutil.rmtree(draft, ignore_errors=True)


def _draft_name(ending: str) -> str:
    return f".teethseg-{HOST}-{os.getpid()}-{secrets.token_hex(6)}{ending}"


def _place(path: Path) -> str:
    """A path for messages; of a file in a draft folder, which users never see, its name and the folder of the draft."""
    for parent in path.parents:
        if _DRAFT.fullmatch(parent.name):
            return f"{path.name} in {parent.parent}"
    return str(path)


def _put_on_disk(file: Path) -> None:
    """Flush a file to disk: some file systems report only now that they are full."""
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
        if not os.fstat(descriptor).st_size:
            raise OSError("nothing was written")
    finally:
        os.close(descriptor)


def _mode_for(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode) & 0o777
    except OSError:
        return 0o666 & ~_umask()


@lru_cache(maxsize=1)
def _umask() -> int:
    mask = os.umask(0o077)  # the mask can only be read by setting it
    os.umask(mask)
    return mask
