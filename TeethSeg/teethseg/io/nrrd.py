"""Reads and writes NRRD files: header, voxels and geometry.

References
----------
Teem, Definition of NRRD File Format: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import nrrd
import numpy as np

from ..errors import InputError
from ..volume import Volume
from .atomic_write import written_whole
from .scan_checks import check_dimensions
from .source_files import DamagedFile, data_names, open_regular, reading, referenced_file
from .units import millimetres
from .voxel_data import Encoding, read_voxels

# Signs that turn the axes of a space into left, posterior, superior. Other spaces are taken as LPS, with a warning.
_TO_LPS = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
}
_SPATIAL_KINDS = ("domain", "space", "none", "???", "")
_TYPES = {
    "int8": "signed char",
    "uint8": "unsigned char",
    "int16": "short",
    "uint16": "unsigned short",
    "int32": "int",
    "uint32": "unsigned int",
    "int64": "long long int",
    "uint64": "unsigned long long int",
    "float32": "float",
    "float64": "double",
}
_NAMES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split("|")}
_ENCODINGS: dict[str, Encoding] = {
    **dict.fromkeys(("raw",), "raw"),
    **dict.fromkeys(("gzip", "gz"), "gzip"),
    **dict.fromkeys(("bzip2", "bz2"), "bzip2"),
    **dict.fromkeys(("text", "txt", "ascii", "ASCII"), "text"),
}
_ORDERS: dict[str, Literal["<", ">"]] = {"little": "<", "big": ">"}
_CHUNK = 1 << 22
# Far above the size of real headers, which may hold names and colours of hundreds of segments.
_LONGEST_LINE = 1 << 20  # bytes
_MOST_LINES = 100_000
_MOST_AXES = 16  # Teem's limit


def read_nrrd(path: str | Path, layers: bool = False) -> tuple[Volume, dict]:
    """Read voxels, geometry and header fields of a NRRD file (.nrrd, or .nhdr with its data file).

    Parameters
    ----------
    path : path of the file
    layers : bool
        Whether several values per voxel are accepted (the layers of a segmentation).

    Returns
    -------
    Volume
        In LPS, whatever the file's space. The shape of its array is (K, J, I), or (K, J, I, n) with n layers.
    dict
        The fields of the header as pynrrd parses them.

    Raises
    ------
    InputError
        If the file is damaged, cut off, no NRRD file or no 3D image, or gives no voxel size.
    """
    path = Path(path)
    with reading(path), open_regular(path) as file:
        header = _read_header(file, path.name)
        array = _read_voxels(header, file, path)
        return _place(array, header, path.name, layers), header


def _read_header(file: BinaryIO, name: str) -> dict:
    if file.read(4) != b"NRRD":
        raise InputError(f"{name} is not a NRRD file, whatever its name says: export the scan again.")
    file.seek(0)
    lines = list(_header_lines(file))
    # pynrrd truncates fractions to whole numbers.
    sizes = next((line.partition(":")[2].split() for line in lines if line.startswith("sizes:")), [])
    if not all(re.fullmatch(r"\d{1,18}", size) for size in sizes):
        raise DamagedFile("its sizes are no whole numbers")
    try:
        header = nrrd.read_header(lines)
    except nrrd.NRRDError as error:
        raise DamagedFile(" ".join(str(error).split())) from error
    for field in ("dimension", "type", "encoding", "sizes"):
        if field not in header:
            raise DamagedFile(f"its header has no '{field}'")
    if not 1 <= header["dimension"] == len(sizes) <= _MOST_AXES:
        raise DamagedFile(f"its header has {len(sizes)} sizes for {header['dimension']} dimensions")
    header["sizes"] = [int(size) for size in sizes]
    return header


def _header_lines(file: BinaryIO) -> Iterator[str]:
    # pynrrd decodes a file as ASCII; Slicer writes names in UTF-8.
    for _ in range(_MOST_LINES):
        line = file.readline(_LONGEST_LINE)
        if len(line) == _LONGEST_LINE:
            raise DamagedFile("its header does not end")
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        yield text
        if not text or re.match(r"data ?file:\s*LIST", text):
            return
    raise DamagedFile("its header does not end")


def _read_voxels(header: dict, file: BinaryIO, path: Path) -> np.ndarray:
    """The voxels in C order (last axis fastest), in this machine's byte order."""
    encoding = _ENCODINGS.get(header["encoding"])
    if encoding is None:
        raise DamagedFile(f"its encoding '{header['encoding'][:40]}' is unknown")
    dtype = _datatype(header, encoding)
    line_skip = header.get("line skip", header.get("lineskip", 0))
    byte_skip = header.get("byte skip", header.get("byteskip", 0))
    if not 0 <= line_skip <= _MOST_LINES or byte_skip < -1:
        raise DamagedFile("its voxels begin nowhere")
    if byte_skip == -1 and encoding == "gzip":
        raise DamagedFile("compressed voxels cannot have a byte skip of -1")
    entry = header.get("data file", header.get("datafile"))
    names = [] if entry is None else data_names(entry, file, header["sizes"][-1])
    sources: list[BinaryIO | Path] = [referenced_file(path, name) for name in names] or [file]

    def begin(source: BinaryIO) -> None:
        for _ in range(line_skip):
            while not (piece := source.readline(_LONGEST_LINE)).endswith(b"\n"):
                if not piece:
                    raise EOFError

    return read_voxels(header["sizes"][::-1], dtype, sources, encoding, begin, byte_skip)


def _datatype(header: dict, encoding: Encoding) -> np.dtype:
    if header["type"] not in _KINDS:
        raise DamagedFile(f"its type of voxels '{header['type'][:40]}' is no grey value")
    dtype = np.dtype(_KINDS[header["type"]])
    if dtype.itemsize == 1 or encoding == "text":
        return dtype
    if header.get("endian") not in _ORDERS:
        raise DamagedFile("its header does not tell the order of bytes (endian)")
    return dtype.newbyteorder(_ORDERS[header["endian"]])


def _scales(header: dict, spatial: Sequence[int], in_space: bool) -> np.ndarray:
    """The unit of each axis in mm: that of the space, or of the image where the file names no space."""
    units = list(header.get("space units" if in_space else "units", ()))
    if in_space:
        units = units[:3]
    elif len(units) == header["dimension"]:
        units = [units[axis] for axis in spatial]
    return np.array([millimetres(str(unit)) for unit in units]) if len(units) == 3 else np.ones(3)


def _place(array: np.ndarray, header: dict, name: str, layers: bool) -> Volume:
    """Find the spatial axes, and their geometry in LPS."""
    axes = range(array.ndim)  # fastest first, as in the header; numpy's order is the reverse
    sizes = array.shape[::-1]
    kinds = [str(kind).lower() for kind in header.get("kinds", [""] * array.ndim)]
    directions = header.get("space directions")
    origin = np.asarray(header.get("space origin", np.zeros(3)), float)
    if directions is not None and np.shape(directions)[1] == 4:  # a space with time, or an image of ITK with four axes
        times = np.flatnonzero(np.asarray(directions)[:, 3] > 0)
        kinds = ["time" if axis in times else kind for axis, kind in enumerate(kinds)]
        directions, origin = np.asarray(directions)[:, :3], origin[:3]
    spatial = [
        axis
        for axis in axes
        if kinds[axis] in _SPATIAL_KINDS and (directions is None or np.isfinite(directions[axis]).all())
    ]
    others = [axis for axis in axes if axis not in spatial and sizes[axis] > 1]
    films = [axis for axis in others if kinds[axis] in ("time", "list")]
    if layers:
        check_dimensions(len(spatial))
    else:
        check_dimensions(len(spatial) + len(films), math.prod(sizes[axis] for axis in others))
    order = [axis for axis in reversed(axes) if axis in spatial] + others
    array = array.transpose([array.ndim - 1 - axis for axis in order + [a for a in axes if a not in order]])
    array = array.reshape([sizes[axis] for axis in order])

    warnings = []
    if directions is not None:
        vectors = np.array([directions[axis] for axis in spatial], float)
    else:
        spacings = np.asarray(header.get("spacings", [np.nan] * array.ndim), float)[spatial]
        if not np.isfinite(spacings).all():
            raise InputError(
                f"{name} does not say how large its voxels are: add 'spacings' in mm to the header, or export it again."
            )
        vectors = np.diag(spacings)
    # With time a space is named 'right-anterior-superior-time' or 'RAST'.
    space = str(header.get("space", "")).lower().removesuffix("-time").removesuffix("t")
    if space not in _TO_LPS or directions is None:
        warnings.append(
            f"{name} does not say how it lies in the patient: left-posterior-superior axes were assumed; "
            "check that left and right are not swapped."
        )
    flips = np.array(_TO_LPS.get(space, (1, 1, 1)), float)
    scales = _scales(header, spatial, directions is not None)
    vectors = vectors * flips * scales
    origin = origin * flips * scales
    spacing = np.linalg.norm(vectors, axis=1)
    direction = np.divide(vectors.T, spacing, out=np.eye(3), where=spacing > 0)
    return Volume(array, tuple(spacing), tuple(origin), direction, tuple(warnings))


def write_nrrd(path: str | Path, volume: Volume, fields: Mapping[str, str] | None = None, level: int = 1) -> None:
    """Write a volume in the space left-posterior-superior, gzip-compressed; equal volumes give equal bytes.

    pynrrd is not used: it writes the time of day, and only fields in ASCII (Palmer notation is not ASCII).

    Parameters
    ----------
    path : path of the .nrrd file
    volume : Volume
        Array of integers, or of floats of 32 or 64 bits.
    fields : mapping of str to str, optional
        Key/value pairs to add to the header.
    level : int
        Compression, 1 (fast; enough for scans) to 9.
    """
    array = np.ascontiguousarray(volume.array.astype(volume.array.dtype.newbyteorder("<"), copy=False))
    lines = [
        "NRRD0004",
        f"type: {_TYPES[array.dtype.name]}",
        "dimension: 3",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(n) for n in array.shape[::-1]),
        "space directions: " + " ".join(_vector(column) for column in volume.affine[:3, :3].T),
        "kinds: domain domain domain",
        "endian: little",
        "encoding: gzip",
        f"space origin: {_vector(volume.origin)}",
        *(f"{key}:={value}" for key, value in (fields or {}).items()),
    ]
    stream = zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    voxels = array.reshape(-1).view(np.uint8).data
    with written_whole(path) as temporary, temporary.open("wb") as file:
        file.write("\n".join(lines).encode() + b"\n\n")
        for start in range(0, len(voxels), _CHUNK):
            file.write(stream.compress(voxels[start : start + _CHUNK]))
        file.write(stream.flush())


def _vector(values: Iterable[float]) -> str:
    return "(" + ",".join(repr(float(value) + 0.0) for value in values) + ")"
