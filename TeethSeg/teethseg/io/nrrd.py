"""NRRD files: header and voxels in and out, with their place in the patient.

References
----------
Teem, Definition of NRRD File Format: https://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import nrrd
import numpy as np

from ..errors import InputError
from ..volume import Volume
from .atomic_write import written_whole
from .scan_checks import check_dimensions

# What turns a space's axes into left, posterior, superior. The others are taken as they are, with a warning.
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
    "float32": "float",
    "float64": "double",
}
_DEFLATE_LIMIT = 1032  # no deflate stream holds more bytes for one of its own
_DETOURS = {"line skip", "lineskip", "byte skip", "byteskip", "data file", "datafile"}
_CHUNK = 1 << 22


def read_nrrd(path: str | Path, layers: bool = False) -> tuple[Volume, dict]:
    """Voxels, place and header fields of a NRRD file (.nrrd, or .nhdr with its data file).

    Parameters
    ----------
    path : path of the file
    layers : bool
        Whether several values a voxel are welcome (the layers of a segmentation).

    Returns
    -------
    Volume
        In LPS whatever the file's space was. The shape of its array is (K, J, I), or (K, J, I, n) with n layers.
    dict
        The fields of the header as pynrrd parses them.

    Raises
    ------
    InputError
        If the file is damaged, cut off or no NRRD file, is no 3D image, or does not say how large a voxel is.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            if not file.peek(4).startswith(b"NRRD"):
                raise InputError(f"{path.name} is not a NRRD file, whatever its name says: export the scan again.")
            header = nrrd.read_header(_header_lines(file))
            array = _read_voxels(header, file, path)
        return _place(array, header, path.name, layers), header
    except FileNotFoundError as error:
        raise InputError(
            f"{path.name} needs {Path(error.filename).name}, which is missing: put it beside it."
        ) from error
    except MemoryError as error:
        raise InputError(f"{path.name} does not fit into memory: crop the scan to the jaws.") from error
    except EOFError as error:
        raise InputError(f"{path.name} is cut off: copy or export it again.") from error
    except nrrd.NRRDError as error:
        raise InputError(
            f"{path.name} is damaged ({' '.join(str(error).split())}): copy or export it again."
        ) from error
    except (zlib.error, OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise InputError(f"{path.name} is damaged, or its header is: copy or export it again.") from error


def _header_lines(file: BinaryIO) -> Iterator[str]:
    # pynrrd decodes a file as ASCII; Slicer writes names in UTF-8.
    for line in file:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        yield text
        if not text:
            return


def _read_voxels(header: dict, file: BinaryIO, path: Path) -> np.ndarray:
    """Voxels in C order (last axis fastest), in this machine's byte order."""
    if header["encoding"] in ("gzip", "gz") and not _DETOURS & header.keys():
        # pynrrd grows its buffer piece by piece and copies it: this takes half the time and memory.
        array = _inflate(file.read(), tuple(int(n) for n in header["sizes"][::-1]), _datatype(header))
    else:
        array = nrrd.read_data(header, file, str(path), index_order="C")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _datatype(header: dict) -> np.dtype:
    one_voxel = {**header, "dimension": 1, "sizes": np.ones(1, int), "encoding": "raw"}
    return nrrd.read_data(one_voxel, io.BytesIO(bytes(8))).dtype


def _inflate(compressed: bytes, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Gzip stream to array; the checksum at its end is tested too."""
    size = math.prod(shape) * dtype.itemsize
    if size > _DEFLATE_LIMIT * len(compressed):
        raise EOFError
    array = np.empty(shape, dtype)
    target, source = memoryview(array.reshape(-1).view(np.uint8)), memoryview(compressed)
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    filled = 0
    for start in range(0, len(source), _CHUNK):
        piece = stream.decompress(source[start : start + _CHUNK])
        if filled + len(piece) > size:
            raise nrrd.NRRDError("it holds more voxels than its header says")
        target[filled : filled + len(piece)] = piece
        filled += len(piece)
    if filled < size or not stream.eof:
        raise EOFError
    return array


def _place(array: np.ndarray, header: dict, name: str, layers: bool) -> Volume:
    """Find the axes that are space, and where they lie in LPS."""
    axes = range(array.ndim)  # fastest first, as in the header; numpy's are the other way round
    sizes = array.shape[::-1]
    kinds = [str(kind).lower() for kind in header.get("kinds", [""] * array.ndim)]
    directions = header.get("space directions")
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
    space = str(header.get("space", "")).lower()
    if space not in _TO_LPS or directions is None:
        warnings.append(
            f"{name} does not say how it lies in the patient: left-posterior-superior axes were assumed; "
            "check that left and right are not swapped."
        )
    flips = np.array(_TO_LPS.get(space, (1, 1, 1)), float)
    vectors = vectors * flips
    origin = np.asarray(header.get("space origin", np.zeros(3)), float) * flips
    spacing = np.linalg.norm(vectors, axis=1)
    direction = np.divide(vectors.T, spacing, out=np.eye(3), where=spacing > 0)
    return Volume(array, tuple(spacing), tuple(origin), direction, tuple(warnings))


def write_nrrd(path: str | Path, volume: Volume, fields: Mapping[str, str] | None = None, level: int = 1) -> None:
    """Write a volume in the space left-posterior-superior, gzip-compressed; the same volume gives the same bytes.

    Written here and not by pynrrd, whose files hold the time of day and whose fields must be ASCII (Palmer's are not).

    Parameters
    ----------
    path : path of the .nrrd file
    volume : Volume
        Array of an integer type up to 32 bits, or of floats of 32 or 64 bits.
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
    voxels = memoryview(array.reshape(-1).view(np.uint8))
    with written_whole(path) as temporary, temporary.open("wb") as file:
        file.write("\n".join(lines).encode() + b"\n\n")
        for start in range(0, len(voxels), _CHUNK):
            file.write(stream.compress(voxels[start : start + _CHUNK]))
        file.write(stream.flush())


def _vector(values: Iterable[float]) -> str:
    return "(" + ",".join(repr(float(value) + 0.0) for value in values) + ")"
