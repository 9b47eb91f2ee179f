"""Reads GIPL files (.gipl, .gipl.gz): the Guy's Image Processing Lab format, as ITK defines it."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..volume import Volume
from .scan_checks import check_dimensions
from .source_files import DamagedFile, open_regular, reading, size_of
from .voxel_data import Encoding, decoded, empty_array, fill, native, read_most

_HEADER = np.dtype(
    [
        ("sizes", ">u2", 4),
        ("type", ">u2"),
        ("spacing", ">f4", 4),
        ("line", "S80"),
        ("matrix", ">f4", 20),
        ("flags", "u1", 2),
        ("range", ">f8", 2),
        ("origin", ">f8", 4),
        ("calibration", ">f4", 4),
        ("magic", ">u4"),
    ]
)
_MAGIC = (719555000, 4026526128)
_TYPES = {7: "i1", 8: "u1", 15: "i2", 16: "u2", 31: "u4", 32: "i4", 64: "f4", 65: "f8"}


def read_gipl(path: str | Path) -> Volume:
    """Read a GIPL file.

    Returns
    -------
    Volume
        On the axes of LPS, because the format stores no orientation; a warning says so.

    Raises
    ------
    InputError
        If the file is damaged, cut off, no GIPL file or no 3D image.
    OutOfMemoryError
        If it does not fit into memory.
    """
    path = Path(path)
    name = path.name
    with reading(path), open_regular(path) as file:
        encoding: Encoding = "gzip" if name.lower().endswith(".gz") else "raw"
        suffix = ".gipl.gz" if encoding == "gzip" else ".gipl"
        no_gipl = InputError(f"{name} is damaged, or not a {suffix} file whatever its name says: export it again.")
        stream = decoded(file, encoding)
        try:
            content = read_most(stream, _HEADER.itemsize)
        except zlib.error as error:
            raise no_gipl from error
        if len(content) < _HEADER.itemsize:
            raise EOFError
        header = np.frombuffer(content, _HEADER)[0]
        if int(header["magic"]) not in _MAGIC:
            raise no_gipl
        sizes = [int(size) for size in header["sizes"]]
        check_dimensions(2 if sizes[2] < 2 else 4 if sizes[3] > 1 else 3)
        if int(header["type"]) not in _TYPES:
            raise DamagedFile(f"its voxels are of the type {int(header['type'])}, which is no grey value")
        spacing, origin = header["spacing"][:3].astype(float), header["origin"][:3].astype(float)
        if not (np.isfinite(spacing).all() and (spacing > 0).all() and np.isfinite(origin).all()):
            raise DamagedFile("the size or place of its voxels is no number above 0")
        dtype = np.dtype(_TYPES[int(header["type"])]).newbyteorder(">")
        array = empty_array(sizes[2::-1], dtype, size_of(file), encoding)
        fill(array, stream)
    warning = (
        f"{name} does not say how it lies in the patient: the usual axes of its format were assumed; "
        "check that left and right are not swapped."
    )
    return Volume(native(array), tuple(spacing), tuple(origin), warnings=(warning,))
