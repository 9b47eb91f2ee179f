"""Reads MetaImage files (.mha, and .mhd with its data files), and writes .mha.

References
----------
ITK, MetaIO documentation: https://itk.org/Wiki/MetaIO/Documentation
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..boxes import triple
from ..errors import InputError
from ..volume import Volume
from .atomic_write import written_whole
from .scan_checks import check_dimensions
from .source_files import DamagedFile, data_names, open_regular, reading, referenced_file
from .units import millimetres
from .voxel_data import Encoding, read_voxels, skip_bytes

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_LONGEST_LINE = 4096  # bytes
_MOST_LINES = 1000
_MOST_AXES = 10
_PIECE = 1 << 22


def read_metaimage(path: str | Path) -> Volume:
    """Read a MetaImage.

    Returns
    -------
    Volume
        With the type of the file.

    Raises
    ------
    InputError
        If the file is damaged, cut off, no MetaImage or no 3D image, or gives no voxel size.
    OutOfMemoryError
        If it does not fit into memory.
    """
    path = Path(path)
    with reading(path), open_regular(path) as file:
        fields = _read_fields(file, path.name)
        shape, dtype = _shape_and_type(fields)
        spacing, origin, direction = _place(fields, path.name)
        array = _read_voxels(fields, shape, dtype, file, path)
        return Volume(array, spacing, origin, direction, _warnings(fields, path.name))


def _read_fields(file: BinaryIO, name: str) -> dict[str, str]:
    """The header's fields up to ElementDataFile, which voxels or file names follow."""
    fields: dict[str, str] = {}
    for _ in range(_MOST_LINES):
        line = file.readline(_LONGEST_LINE)
        key, equals, value = line.decode("utf-8", "surrogateescape").partition("=")
        if not line.endswith(b"\n") or not equals or not re.fullmatch(r"\s*\w+\s*", key):
            if not fields:
                suffix = Path(name).suffix.lower()
                raise InputError(f"{name} is damaged, or not a {suffix} file whatever its name says: export it again.")
            if not line:
                raise EOFError
            raise DamagedFile("its header has a line that is none")
        fields[key.strip()] = value.strip()
        if key.strip() == "ElementDataFile":
            return fields
    raise DamagedFile("its header does not end")


def _numbers(fields: dict[str, str], keys: Iterable[str], count: int) -> np.ndarray | None:
    """The finite numbers under the first of `keys` that the header has; None if it has none of them."""
    text = next((fields[key] for key in keys if key in fields), None)
    if text is None:
        return None
    numbers = np.array(text.split(), float)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise DamagedFile(f"its header gives '{text[:40]}' where {count} numbers belong")
    return numbers


def _whole(fields: dict[str, str], key: str, default: int) -> int:
    text = fields.get(key, str(default))
    if not re.fullmatch(r"-?\d{1,18}", text):
        raise DamagedFile(f"its {key} is no whole number")
    return int(text)


def _flag(fields: dict[str, str], *keys: str) -> bool:
    text = next((fields[key] for key in keys if key in fields), "False").lower()
    if text not in ("true", "false", "t", "f", "1", "0", "yes", "no"):
        raise DamagedFile(f"its {keys[0]} is neither True nor False")
    return text in ("true", "t", "1", "yes")


def _shape_and_type(fields: dict[str, str]) -> tuple[tuple[int, ...], np.dtype]:
    axes = _whole(fields, "NDims", 0)
    if not 1 <= axes <= _MOST_AXES:
        raise DamagedFile(f"its header tells of {axes} dimensions")
    if not re.fullmatch(r"\d{1,9}(\s+\d{1,9})*", fields.get("DimSize", "")):
        raise DamagedFile("its DimSize are no whole numbers")
    sizes = [int(text) for text in fields["DimSize"].split()]
    if len(sizes) != axes:
        raise DamagedFile(f"its DimSize has {len(sizes)} numbers for {axes} dimensions")
    later = [size for size in sizes[3:] if size != 1]  # a series of one volume is a volume
    check_dimensions(min(axes, 3) + len(later), _whole(fields, "ElementNumberOfChannels", 1))
    kind = fields.get("ElementType", "").removesuffix("_ARRAY")
    if kind not in _TYPES:
        raise DamagedFile("its voxels are of a type that is no grey value")
    big = _flag(fields, "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    return tuple(reversed(sizes[:3])), np.dtype((">" if big else "<") + _TYPES[kind])


def _place(
    fields: dict[str, str], name: str
) -> tuple[tuple[float, float, float], tuple[float, float, float], np.ndarray]:
    """Spacing and origin in mm, and direction, of the first three axes."""
    axes = _whole(fields, "NDims", 3)
    spacing = _numbers(fields, ("ElementSpacing", "ElementSize"), axes)
    if spacing is None:
        raise InputError(
            f"{name} does not say how large its voxels are: add 'ElementSpacing' in mm to the header, or export it "
            "again."
        )
    if not (spacing[:3] > 0).all():
        raise DamagedFile("the size of its voxels is not above 0")
    origin = _numbers(fields, ("Offset", "Position", "Origin"), axes)
    # One row for each axis of the image.
    rows = _numbers(fields, ("TransformMatrix", "Rotation", "Orientation"), axes * axes)
    direction = np.eye(3) if rows is None else rows.reshape(axes, axes)[:3, :3].T
    if not np.allclose(np.linalg.norm(direction, axis=0), 1, atol=1e-2):
        raise DamagedFile("its axes have no length of 1")
    unit = millimetres(fields.get("DistanceUnits", ""))
    return triple(unit * spacing[:3]), triple(np.zeros(3) if origin is None else unit * origin[:3]), direction


def _warnings(fields: dict[str, str], name: str) -> tuple[str, ...]:
    if any(key in fields for key in ("TransformMatrix", "Rotation", "Orientation")):
        return ()
    return (
        (
            f"{name} does not say how it lies in the patient: left-posterior-superior axes were assumed; "
            "check that left and right are not swapped."
        ),
    )


def _read_voxels(
    fields: dict[str, str], shape: tuple[int, ...], dtype: np.dtype, file: BinaryIO, path: Path
) -> np.ndarray:
    text = "BinaryData" in fields and not _flag(fields, "BinaryData")
    compressed = _flag(fields, "CompressedData")
    if text and compressed:
        raise DamagedFile("its voxels are text and compressed too")
    encoding: Encoding = "text" if text else "zlib" if compressed else "raw"
    skip = _whole(fields, "HeaderSize", 0)
    if skip < -1:
        raise DamagedFile("its HeaderSize is below 0")
    entry = fields["ElementDataFile"]
    names = [] if entry.upper() == "LOCAL" else data_names(entry, file, shape[0])
    sources: list[BinaryIO | Path] = [referenced_file(path, name) for name in names] or [file]
    if skip == -1:
        return read_voxels(shape, dtype, sources, encoding, skip=-1)
    return read_voxels(shape, dtype, sources, encoding, lambda source: skip_bytes(source, skip))


def write_metaimage(path: str | Path, volume: Volume, level: int = 1) -> None:
    """Write a volume as compressed .mha; the same volume gives the same bytes.

    Parameters
    ----------
    path : path ending in .mha
    volume : Volume
        Array of integers or floats.
    level : int
        Compression, 1 (fast) to 9.

    Raises
    ------
    TeethSegError
        If it cannot be written.
    """
    array = np.ascontiguousarray(volume.array.astype(volume.array.dtype.newbyteorder("<"), copy=False))
    array = array.view(np.uint8) if array.dtype == bool else array
    kinds = {np.dtype("<" + text): kind for kind, text in reversed(_TYPES.items())}
    voxels = array.reshape(-1).view(np.uint8).data
    with written_whole(path) as draft, draft.open("wb") as file:
        head = [
            "ObjectType = Image",
            "NDims = 3",
            "BinaryData = True",
            "BinaryDataByteOrderMSB = False",
            "CompressedData = True",
        ]
        tail = [
            f"TransformMatrix = {_text(volume.direction.T.ravel())}",
            f"Offset = {_text(volume.origin)}",
            f"ElementSpacing = {_text(volume.spacing)}",
            f"DimSize = {' '.join(str(n) for n in array.shape[::-1])}",
            f"ElementType = {kinds[array.dtype]}",
            "ElementDataFile = LOCAL",
        ]

        def write_header(size: int) -> None:
            file.seek(0)
            lines = [*head, f"CompressedDataSize = {size:016d}", *tail]
            file.write(("\n".join(lines) + "\n").encode())

        write_header(0)
        start = file.tell()
        stream = zlib.compressobj(level)
        for begin in range(0, len(voxels), _PIECE):
            file.write(stream.compress(voxels[begin : begin + _PIECE]))
        file.write(stream.flush())
        write_header(file.tell() - start)


def _text(values: Iterable[float]) -> str:
    return " ".join(repr(float(value) + 0.0) for value in values)
