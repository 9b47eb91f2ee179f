"""Files that the browser sends: received in pieces, with a limit, and unpacked without trust."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import InputError
from ..io.files import SCAN_SUFFIXES

LARGEST_FILE = 2 << 30  # bytes as sent
LARGEST_UNPACKED = 4 << 30  # bytes out of one zip
MOST_FILES = 20_000  # in one zip
SUFFIXES = (*SCAN_SUFFIXES, ".dcm", ".dicom", ".ima", ".zip")
_PIECE = 1 << 20


def safe_name(name: str) -> str:
    """The name of an uploaded file without any folder, if it is of a kind that can be opened.

    Raises
    ------
    InputError
    """
    name = PureWindowsPath(PurePosixPath(name).name).name.lstrip(".")
    if not name.lower().endswith(SUFFIXES) or not name.isprintable() or len(name) > 200:
        shown = name[:60] if name.isprintable() and name else "This file"
        raise InputError(
            f"{shown} is of no known kind: choose a .nrrd, .nii, .nii.gz, .mha or .gipl file, or a .zip of a DICOM series."
        )
    if name.lower().endswith((".nhdr", ".mhd")):
        raise InputError(f"{name} is only the header of a scan: choose a .nrrd or .mha file, which hold both.")
    return name


async def receive(pieces: AsyncIterator[bytes], path: Path, announced: int | None, limit: int = LARGEST_FILE) -> None:
    """Write what arrives to `path`; nothing is left of what is refused.

    Parameters
    ----------
    pieces : async iterator of bytes
    path : Path
    announced : int or None
        Bytes that the sender says it will send.
    limit : int
        Most bytes that are taken.

    Raises
    ------
    InputError
        If it is too large, cut off, or the disk is full.
    """
    too_large = InputError(
        f"{path.name} is larger than {limit / 2**30:.1f} GB: crop the scan to the jaws, or give its path instead."
    )
    if announced is not None and announced > limit:
        raise too_large
    received = 0
    try:
        with path.open("wb") as file:
            async for piece in pieces:
                received += len(piece)
                if received > limit:
                    raise too_large
                file.write(piece)
        if announced is not None and received < announced:
            raise InputError(f"{path.name} arrived only in part: send it again.")
        if not received:
            raise InputError(f"{path.name} is empty (0 bytes): choose another file.")
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(
            f"{path.name} cannot be kept ({error.strerror}): free some space and send it again."
        ) from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def unpack(archive: Path, folder: Path, limit: int = LARGEST_UNPACKED, most_files: int = MOST_FILES) -> Path:
    """Unpack a zip into a new folder and return the scan in it: the only scan file, or else the folder (DICOM).

    Names that lead out of the folder, links, encrypted files, and archives that grow beyond the limits ("bombs") are
    refused; then nothing is left of what was unpacked.

    Raises
    ------
    InputError
    """
    folder.mkdir()
    try:
        with zipfile.ZipFile(archive) as opened:
            files = [entry for entry in opened.infolist() if not entry.is_dir() and not _is_clutter(entry.filename)]
            _check_entries(archive.name, files, limit, most_files)
            left = limit
            for entry in files:
                left -= _extract(opened, entry, folder, left, archive.name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise InputError(f"{archive.name} is damaged, or no zip file whatever its name says: pack it again.") from error
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise InputError(f"{archive.name} cannot be unpacked ({error.strerror}): free some space.") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    scans = [path for path in folder.rglob("*") if path.name.lower().endswith(SCAN_SUFFIXES)]
    return scans[0] if len(scans) == 1 else folder


def _is_clutter(name: str) -> bool:
    path = PurePosixPath(name)
    return "__MACOSX" in path.parts or path.name in (".DS_Store", "Thumbs.db")


def _check_entries(archive: str, files: list[zipfile.ZipInfo], limit: int, most_files: int) -> None:
    if not files:
        raise InputError(f"{archive} holds no files: pack the DICOM series again.")
    if len(files) > most_files or sum(entry.file_size for entry in files) > limit:
        raise _too_large(archive)
    for entry in files:
        name = entry.filename.replace("\\", "/")
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or ":" in name or stat.S_ISLNK(entry.external_attr >> 16):
            raise InputError(f"{archive} names files outside of itself, which no DICOM export does: it is not opened.")
        if entry.flag_bits & 1:
            raise InputError(f"{archive} is encrypted: pack it again without a password.")


def _extract(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, left: int, archive: str) -> int:
    """Bytes written. The sizes in a zip are only what its maker says, so they are counted."""
    target = folder / PurePosixPath(entry.filename.replace("\\", "/"))
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(entry) as source, target.open("wb") as file:
        while piece := source.read(_PIECE):
            written += len(piece)
            if written > left:
                raise _too_large(archive)
            file.write(piece)
    return written


def _too_large(archive: str) -> InputError:
    return InputError(f"{archive} unpacks to more than a scan can be: it is not opened. Pack one DICOM series only.")
