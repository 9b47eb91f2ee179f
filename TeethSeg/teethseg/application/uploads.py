"""Uploads: files that the browser sends, received in pieces, with a limit, and unpacked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import InputError
from ..io.atomic_write import LONGEST_STEM
from .source import PACKED

LARGEST_FILE = 2 << 30  # bytes as sent


def safe_name(name: str) -> str:
    """The name of an uploaded file without any folder and not too long, if it is of a kind that can be opened.

    Raises
    ------
    InputError
    """
    from ..io.files import SCAN_SUFFIXES

    name = PureWindowsPath(PurePosixPath(name).name).name.lstrip(".")
    endings = [one for one in (*SCAN_SUFFIXES, *PACKED) if name.lower().endswith(one)]
    if not endings or not name.isprintable():
        shown = name[:60] if name.isprintable() and name else "This file"
        raise InputError(
            f"{shown} is of no known kind: choose a .nrrd, .nii, .nii.gz, .mha or .gipl file, or a .zip of a DICOM series."
        )
    if name.lower().endswith((".nhdr", ".mhd")):
        raise InputError(f"{name} is only the header of a scan: choose a .nrrd or .mha file, which hold both.")
    stem = len(name) - max(map(len, endings))
    return name[: min(stem, LONGEST_STEM)] + name[stem:]


def unpack_scan(path: Path) -> Path:
    """The file or folder to open of a scan that has arrived: a zip is unpacked beside it, and removed."""
    from ..io.zip_archive import unpack

    if path.suffix.lower() != ".zip":
        return path
    folder = unpack(path, path.parent / "scan")
    path.unlink()
    return folder


async def receive(pieces: AsyncIterator[bytes], path: Path, announced: int | None, limit: int = LARGEST_FILE) -> None:
    """Write the pieces that arrive to `path`; a file that is refused is removed.

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
