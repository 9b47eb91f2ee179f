"""Lists the files of a folder, and recognises DICOM files by their first bytes, without loading a library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import BinaryIO, Literal

from ..source_files import open_regular

_PREAMBLE = 128
_MAGIC = b"DICM"
_LITTLE_ENDIAN_GROUPS = (b"\x02\x00", b"\x08\x00")
_BIG_ENDIAN_GROUPS = (b"\x00\x02", b"\x00\x08")
_CLUTTER = (".DS_Store", "Thumbs.db", "desktop.ini")


def is_dicom(path: str | Path) -> bool:
    """Whether a regular file begins as DICOM does: with the preamble, or directly with header elements."""
    try:
        with open_regular(path) as file:
            return begins_as_dicom(file)
    except OSError:
        return False


def begins_as_dicom(file: BinaryIO) -> bool:
    """Whether a file begins as DICOM does, with or without preamble."""
    start = file.read(_PREAMBLE + len(_MAGIC))
    return start[_PREAMBLE:] == _MAGIC or _is_element(start)


def _is_element(start: bytes) -> bool:
    """Whether bytes begin with an element of group 0002 or 0008, with a value representation or a plausible length."""
    if len(start) < 16 or start[:2] not in _LITTLE_ENDIAN_GROUPS + _BIG_ENDIAN_GROUPS:
        return False
    order: Literal["little", "big"] = "little" if start[:2] in _LITTLE_ENDIAN_GROUPS else "big"
    element = int.from_bytes(start[2:4], order)
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return element < 0x3000 and (explicit or (order == "little" and int.from_bytes(start[4:8], order) < 1024))


def is_clutter(name: str) -> bool:
    """Whether a name or path is a by-product of file managers (`._` files hold macOS's resource forks)."""
    path = PurePath(name)
    return "__MACOSX" in path.parts or path.name in _CLUTTER or path.name.startswith("._")


def files_in(path: Path, deep: bool = True) -> Iterator[Path]:
    """Regular files in a folder and, if `deep`, its sub-folders; without by-products of file managers."""
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not is_clutter(name)) if deep else []
        yield from (path for name in sorted(names) if not is_clutter(name) and (path := Path(folder, name)).is_file())
