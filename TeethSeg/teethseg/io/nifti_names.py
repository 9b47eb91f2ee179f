"""Reads names of label values from the extended header of a NIfTI file (TotalSegmentator, Connectome Workbench).

References
----------
NIfTI-1 and NIfTI-2: header extensions (`nifti1.h`, section "extended header"). The label table is the one of Caret's and
GIFTI's XML: `<Label Key="23"><![CDATA[upper_left_canine_fdi23]]></Label>`.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from html import unescape
from pathlib import Path
from typing import BinaryIO, cast

_HEADERS = {348: 352, 540: 544}  # size of the header of NIfTI-1 and NIfTI-2 in bytes, and start of its extensions
_LARGEST = 1 << 20  # bytes of extensions that are read
_LABEL = re.compile(
    rb"<Label\b[^>]*?\bKey=[\"'](\d+)[\"'][^>]*>\s*(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))\s*</Label>", re.DOTALL
)


def label_names(path: str | Path) -> dict[int, str]:
    """Names by label value; empty if the file holds none, or they cannot be read."""
    path = Path(path)
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb") as file:
            table = _extensions(cast(BinaryIO, file))
    except (OSError, EOFError, zlib.error, struct.error):
        return {}
    # Regular expressions instead of an XML parser, which would expand entities of untrusted files.
    found = {int(key): plain or unescape(text.decode("utf-8", "replace")) for key, plain, text in _texts(table)}
    return {value: name for value, name in found.items() if value and name}


def _texts(table: bytes):
    for match in _LABEL.finditer(table):
        yield match[1], (match[2] or b"").decode("utf-8", "replace").strip(), (match[3] or b"").strip()


def _extensions(file: BinaryIO) -> bytes:
    first = file.read(4)
    order = "<" if struct.unpack("<i", first)[0] in _HEADERS else ">"
    begin = _HEADERS.get(struct.unpack(order + "i", first)[0])
    if begin is None:
        return b""
    rest = file.read(begin - 4)
    if rest[-4] == 0:
        return b""  # the header has no extensions
    place, kind = (104, "f") if begin == 352 else (164, "q")
    voxels = int(struct.unpack_from(order + kind, rest, place)[0])
    return file.read(max(0, min(voxels - begin, _LARGEST)))
