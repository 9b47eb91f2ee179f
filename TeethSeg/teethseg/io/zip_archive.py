"""Unpacks zip files with a scan safely: archives are untrusted."""

from __future__ import annotations

import errno
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path, PurePosixPath

from ..errors import InputError
from .dicom.sniff import files_in, is_clutter
from .temporary_folders import temporary_folder

LARGEST_UNPACKED = 4 << 30  # bytes from one zip and the zips in it
MOST_FILES = 20_000  # files in one zip and the zips in it
_DEEPEST = 3  # levels of zips in zips
_PIECE = 1 << 20
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)}


def unpack(archive: Path, folder: Path, limit: int = LARGEST_UNPACKED, most_files: int = MOST_FILES) -> Path:
    """Unpack a zip, and the zips in it, into a new folder, without by-products of file managers; returns the folder.

    Archives with paths outside the folder, links or encrypted files, and archives beyond the limits (decompression bombs), are
    refused; all files that were unpacked so far are then removed.

    Raises
    ------
    InputError
    """
    folder.mkdir()
    try:
        _Unpacking(limit, most_files).unpack(archive, folder, 1)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, InputError) or not isinstance(error, Exception):
            raise
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise InputError(f"{archive.name} cannot be unpacked ({error.strerror}): free some space.") from error
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise InputError(
                f"{archive.name} has names of files or folders that are too long for this disk (often more than 255 bytes): "
                "give them shorter names, and pack it again."
            ) from error
        # Decompressors raise many kinds of error; those of bzip2 and LZMA are system errors without a number.
        raise InputError(f"{archive.name} is damaged, or no zip file whatever its name says: pack it again.") from error
    return folder


def only_zip(folder: Path) -> Path | None:
    """The zip of a folder that holds nothing else, as some portals deliver scans; None for other folders."""
    files = list(islice(files_in(folder), 2))
    return files[0] if len(files) == 1 and files[0].suffix.lower() == ".zip" else None


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """A folder with the zip's name and content, which is removed at the end of the block; raises as `unpack`."""
    with temporary_folder() as folder:
        yield unpack(archive, folder / archive.stem)


class _Unpacking:
    """Remaining limits while a zip is unpacked."""

    def __init__(self, limit: int, most_files: int):
        self._bytes, self._files = limit, most_files

    def unpack(self, archive: Path, folder: Path, depth: int) -> None:
        with zipfile.ZipFile(archive) as opened:
            files = [entry for entry in opened.infolist() if not entry.is_dir() and not is_clutter(entry.filename)]
            self._check(archive.name, files)
            for entry in files:
                self._extract(opened, entry, folder, archive.name)
        for inner in [path for path in folder.rglob("*") if path.suffix.lower() == ".zip" and path.is_file()]:
            if depth == _DEEPEST:
                raise _too_large(archive.name)
            place = inner.with_name(f"{inner.name} unpacked")
            place.mkdir()
            self.unpack(inner, place, depth + 1)
            inner.unlink()

    def _check(self, archive: str, files: list[zipfile.ZipInfo]) -> None:
        if not files:
            raise InputError(f"{archive} holds no files: pack the DICOM series again.")
        self._files -= len(files)
        if self._files < 0 or sum(entry.file_size for entry in files) > self._bytes:
            raise _too_large(archive)
        for entry in files:
            path = _path_in(entry)
            has_drive = path.parts[:1] != () and path.parts[0][1:2] == ":"
            if path.is_absolute() or ".." in path.parts or has_drive or stat.S_ISLNK(entry.external_attr >> 16):
                raise InputError(
                    f"{archive} names files outside of itself, which no DICOM export does: it is not opened."
                )
            if entry.flag_bits & 1:
                raise InputError(f"{archive} is encrypted: pack it again without a password.")

    def _extract(self, opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, archive: str) -> None:
        """Unpack one file, and count its bytes, because the sizes declared in a zip are not reliable."""
        # A colon, as in a folder named after the time of day, would name a stream of a file on Windows.
        target = folder / str(_path_in(entry)).replace(":", "_")
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(entry) as source, target.open("wb") as file:
            while piece := source.read(_PIECE):
                self._bytes -= len(piece)
                if self._bytes < 0:
                    raise _too_large(archive)
                file.write(piece)


def _path_in(entry: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(entry.filename.replace("\\", "/"))


def _too_large(archive: str) -> InputError:
    return InputError(f"{archive} unpacks to more than a scan can be: it is not opened. Pack one DICOM series only.")
