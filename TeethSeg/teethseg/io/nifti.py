"""Reads and writes NIfTI files (.nii, .nii.gz; NIfTI-1 and NIfTI-2).

The reader is our own, because it checks the header before it allocates memory, and detects damaged files.

References
----------
NIfTI-1: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h. NIfTI-2: https://nifti.nimh.nih.gov/pub/dist/doc/nifti2.h
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from ..errors import InputError, UsageError
from ..volume import Volume
from .atomic_write import written_whole
from .scan_checks import check_dimensions
from .source_files import DamagedFile, open_regular, reading, size_of
from .voxel_data import Encoding, decoded, empty_array, fill, native, read_most, skip_bytes

_Order = Literal["<", ">"]  # of bytes

NIFTI1 = np.dtype(
    [
        ("sizeof_hdr", "<i4"),
        ("unused", "V36"),
        ("dim", "<i2", 8),
        ("intent_p", "<f4", 3),
        ("intent_code", "<i2"),
        ("datatype", "<i2"),
        ("bitpix", "<i2"),
        ("slice_start", "<i2"),
        ("pixdim", "<f4", 8),
        ("vox_offset", "<f4"),
        ("scl_slope", "<f4"),
        ("scl_inter", "<f4"),
        ("slice_end", "<i2"),
        ("slice_code", "u1"),
        ("xyzt_units", "u1"),
        ("cal_slice_global", "V24"),
        ("descrip", "S80"),
        ("aux_file", "S24"),
        ("qform_code", "<i2"),
        ("sform_code", "<i2"),
        ("quatern", "<f4", 3),
        ("qoffset", "<f4", 3),
        ("srow", "<f4", (3, 4)),
        ("intent_name", "S16"),
        ("magic", "S4"),
    ]
)
NIFTI2 = np.dtype(
    [
        ("sizeof_hdr", "<i4"),
        ("magic", "S8"),
        ("datatype", "<i2"),
        ("bitpix", "<i2"),
        ("dim", "<i8", 8),
        ("intent_p", "<f8", 3),
        ("pixdim", "<f8", 8),
        ("vox_offset", "<i8"),
        ("scl_slope", "<f8"),
        ("scl_inter", "<f8"),
        ("cal_slice", "V48"),
        ("descrip", "S80"),
        ("aux_file", "S24"),
        ("qform_code", "<i4"),
        ("sform_code", "<i4"),
        ("quatern", "<f8", 3),
        ("qoffset", "<f8", 3),
        ("srow", "<f8", (3, 4)),
        ("slice_code", "<i4"),
        ("xyzt_units", "<i4"),
        ("intent_code", "<i4"),
        ("intent_name", "S16"),
        ("rest", "V16"),
    ]
)
_TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_COLOURS = {128: 3, 2304: 4, 32: 2, 1792: 2}  # RGB, RGBA, complex: values a voxel
_MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # by spatial unit; unknown, metre, millimetre, micrometre
_TO_LPS = np.diag([-1.0, -1.0, 1.0])  # NIfTI's axes point right, anterior, superior
_SCANNER = 1  # sform_code of scanner coordinates, which are those of the patient
_PIECE = 1 << 22


@dataclass(frozen=True)
class _Grid:
    """Geometry of the voxels; the columns of `vectors` are the steps along i, j, k in mm, LPS."""

    vectors: np.ndarray
    origin: np.ndarray
    warnings: tuple[str, ...] = ()


def read_nifti(path: str | Path) -> Volume:
    """Read a NIfTI file.

    Returns
    -------
    Volume
        Rescaled by `scl_slope` and `scl_inter`; of the file's own type where these change no value.

    Raises
    ------
    InputError
        If the file is damaged, cut off, no NIfTI file or no 3D image, or its header contradicts itself.
    OutOfMemoryError
        If it does not fit into memory.
    """
    path = Path(path)
    name = path.name
    with reading(path), open_regular(path) as file:
        encoding: Encoding = "gzip" if name.lower().endswith(".gz") else "raw"
        stream = decoded(file, encoding)
        try:
            header, order = _read_header(stream, name)
        except zlib.error as error:
            raise _no_nifti(name) from error
        shape, dtype = _shape_and_type(header, order)
        grid = _grid(header, name)
        scaling, warnings = _scaling(header, name)
        array = empty_array(shape, dtype, size_of(file), encoding)
        fill(array, stream)
        array = native(array)
    if scaling is not None:
        array = _rescaled(array, *scaling)
    spacing = np.linalg.norm(grid.vectors, axis=0)
    return Volume(array, tuple(spacing), tuple(grid.origin), grid.vectors / spacing, grid.warnings + warnings)


def _no_nifti(name: str) -> InputError:
    suffix = ".nii.gz" if name.lower().endswith(".gz") else ".nii"
    return InputError(f"{name} is damaged, or not a {suffix} file whatever its name says: export it again.")


def _read_header(stream: BinaryIO, name: str) -> tuple[np.void, _Order]:
    """The header and the byte order of the file ('<' or '>'); the stream is then positioned at the voxels."""
    start = read_most(stream, 4)
    sizes: dict[int, _Order] = {int.from_bytes(start, "little"): "<", int.from_bytes(start, "big"): ">"}
    layout = next((layout for layout in (NIFTI1, NIFTI2) if layout.itemsize in sizes), None)
    if layout is None:
        raise EOFError if len(start) < 4 else _no_nifti(name)
    order = sizes[layout.itemsize]
    content = start + read_most(stream, layout.itemsize - 4)
    if len(content) < layout.itemsize:
        raise EOFError
    header = np.frombuffer(content, layout.newbyteorder(order))[0]
    magic = bytes(header["magic"])[:3]
    if magic in (b"ni1", b"ni2"):
        raise InputError(f"{name} is the header of a pair (.hdr, .img) without its voxels: export it as one .nii file.")
    if magic not in (b"n+1", b"n+2"):
        raise _no_nifti(name)
    offset = float(header["vox_offset"])
    if not (offset.is_integer() and layout.itemsize + 4 <= offset < 1 << 40):
        raise DamagedFile("its voxels begin nowhere")
    skip_bytes(stream, int(offset) - layout.itemsize)
    return header, order


def _shape_and_type(header: np.void, order: _Order) -> tuple[tuple[int, ...], np.dtype]:
    axes = int(header["dim"][0])
    if not 1 <= axes <= 7:
        raise DamagedFile(f"its header tells of {axes} dimensions")
    sizes = [int(size) for size in header["dim"][1 : axes + 1]]
    if min(sizes) < 1:
        raise DamagedFile("its header gives no size")
    code = int(header["datatype"])
    # The fourth axis is time, the fifth holds several values per voxel; later ones have no defined meaning.
    time, values = sizes[3:4], sizes[4:]
    flat = axes < 3 or (axes > 3 and sizes[2] == 1)
    check_dimensions(2 if flat else 3 + (math.prod(time) > 1), max(math.prod(values), _COLOURS.get(code, 1)))
    if code not in _TYPES:
        raise DamagedFile(f"its voxels are of the type {code}, which is no grey value")
    dtype = np.dtype(_TYPES[code]).newbyteorder(order)
    if int(header["bitpix"]) != 8 * dtype.itemsize:
        raise DamagedFile(
            f"its header gives a voxel {int(header['bitpix'])} bits, but its type has {8 * dtype.itemsize}"
        )
    return tuple(sizes[2::-1]), dtype


def _grid(header: np.void, name: str) -> _Grid:
    """Geometry from the sform or the qform, with the same choice between them as in 3D Slicer."""
    units = int(header["xyzt_units"]) & 7
    if units not in _MILLIMETRES:
        raise DamagedFile(f"its unit of length ({units}) is unknown")
    scale = _MILLIMETRES[units]
    steps = np.asarray(header["pixdim"][1:4], float)
    sform, qform = _sform(header), _qform(header, steps)
    if sform is not None and (qform is None or int(header["sform_code"]) == _SCANNER):
        vectors, origin = sform
    elif qform is not None:
        vectors, origin = qform
    else:
        # Without both, ITK and 3D Slicer assume these axes too.
        vectors, origin = np.diag(steps * (-1, -1, 1)), np.zeros(3)
    if not (np.isfinite(vectors).all() and np.isfinite(origin).all()):
        raise DamagedFile("its place in space is not a number")
    lengths = np.linalg.norm(vectors, axis=0)
    if not (lengths > 0).all() or (sform is None and not (steps > 0).all()):
        raise DamagedFile("the size of its voxels is not above 0")
    warnings = _place_warnings(sform, qform, vectors, steps, name)
    return _Grid(_TO_LPS @ vectors * scale, _TO_LPS @ origin * scale, warnings)


def _sform(header: np.void) -> tuple[np.ndarray, np.ndarray] | None:
    """Steps along the axes as columns, and origin, in RAS and the file's unit; None without an sform."""
    rows = np.asarray(header["srow"], float)
    return (rows[:, :3], rows[:, 3]) if int(header["sform_code"]) > 0 else None


def _qform(header: np.void, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """As `_sform`, from the qform; None also for an invalid qform beside an sform."""
    if int(header["qform_code"]) <= 0:
        return None
    needed = int(header["sform_code"]) <= 0
    if not needed and not (np.isfinite(steps).all() and (steps > 0).all()):
        return None
    handedness = -1.0 if header["pixdim"][0] < 0 else 1.0
    try:
        vectors = _rotation(np.asarray(header["quatern"], float)) * steps * (1, 1, handedness)
    except DamagedFile:
        if needed:
            raise
        return None
    return vectors, np.asarray(header["qoffset"], float)


def _place_warnings(
    sform: tuple[np.ndarray, np.ndarray] | None,
    qform: tuple[np.ndarray, np.ndarray] | None,
    chosen: np.ndarray,
    steps: np.ndarray,
    name: str,
) -> tuple[str, ...]:
    if sform is None and qform is None:
        return (
            (
                f"{name} does not say how it lies in the patient: the usual axes of its format were assumed; "
                "check that left and right are not swapped."
            ),
        )
    warnings = []
    if sform is not None and qform is not None:
        ways = [_orientation(vectors) for vectors, _ in (qform, sform)]
        if ways[0] != ways[1]:
            sides = {(axis, letter) for way in ways for axis, letter in enumerate(way) if letter in "LR"}
            taken = "sform" if chosen is sform[0] else "qform"
            warnings.append(
                f"{name} says two things about how it lies in the patient, {ways[0]} (qform) and {ways[1]} (sform): the "
                f"{taken} was taken, as in 3D Slicer; check {'left and right' if len(sides) > 1 else 'how it lies'}."
            )
    lengths = np.linalg.norm(chosen, axis=0)
    if not np.allclose(lengths, steps, rtol=0.01, atol=0):
        warnings.append(
            f"{name} gives two voxel sizes, {_text(lengths)} mm (sform) and {_text(steps)} mm (pixdim): the first was "
            "taken; check that lengths are right."
        )
    return tuple(warnings)


def _orientation(vectors: np.ndarray) -> str:
    direction = _TO_LPS @ vectors / np.maximum(np.linalg.norm(vectors, axis=0), 1e-12)
    return Volume(np.zeros((1, 1, 1)), direction=direction).orientation


def _text(lengths: np.ndarray) -> str:
    return " x ".join(f"{length:.4g}" for length in lengths)


def _rotation(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrix of a unit quaternion, of which NIfTI stores the imaginary parts."""
    rest = 1.0 - float(quaternion @ quaternion)
    if not rest > -1e-4:
        raise DamagedFile("its quaternion is no rotation")
    a = math.sqrt(rest) if rest > 1e-7 else 0.0  # the square root would turn a rounding error into an angle
    b, c, d = quaternion / (1.0 if a else np.linalg.norm(quaternion))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )


def _scaling(header: np.void, name: str) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """Slope and intercept (None if values stay as they are), and warnings."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or (slope, intercept) == (1, 0):  # a slope of 0 means no scaling
        return None, ()
    if math.isnan(slope):
        return None, (f"{name} scales its grey values by an invalid number (NaN): they were taken as stored.",)
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise DamagedFile(f"its grey values are scaled by {slope:g} and {intercept:g}")
    return (slope, intercept), ()


def _rescaled(array: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Rescale plane by plane, to avoid a temporary copy of the whole array."""
    exact = array.dtype.itemsize < 4 or array.dtype == np.float32
    scaled = np.empty(array.shape, np.float32 if exact else np.float64)
    for target, plane in zip(scaled, array, strict=True):
        np.multiply(plane, slope, out=target, casting="unsafe")
        target += intercept
    return scaled


def write_nifti(path: str | Path, volume: Volume, level: int = 1) -> None:
    """Write a volume as NIfTI-1, with its geometry as sform and qform; equal volumes give equal bytes.

    Parameters
    ----------
    path : path ending in .nii or .nii.gz
    volume : Volume
        Array of integers or floats.
    level : int
        Compression of .nii.gz, 1 (fast) to 9.

    Raises
    ------
    UsageError
        If the image is too large for the format.
    TeethSegError
        If it cannot be written.
    """
    path = Path(path)
    array = np.ascontiguousarray(volume.array.astype(volume.array.dtype.newbyteorder("<"), copy=False))
    array = array.view(np.uint8) if array.dtype == bool else array
    voxels = array.reshape(-1).view(np.uint8).data
    header = _header_of(volume, array).tobytes() + bytes(4)
    with written_whole(path) as draft, draft.open("wb") as file:
        if not path.name.lower().endswith(".gz"):
            file.write(header)
            file.write(voxels)
            return
        stream = zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        file.write(stream.compress(header))
        for start in range(0, len(voxels), _PIECE):
            file.write(stream.compress(voxels[start : start + _PIECE]))
        file.write(stream.flush())


def _header_of(volume: Volume, array: np.ndarray) -> np.ndarray:
    codes = {np.dtype(text): code for code, text in _TYPES.items()}
    if max(array.shape) >= 1 << 15:
        raise UsageError("The image is too large for NIfTI: write .nrrd.")
    header = np.zeros((), NIFTI1)
    header["sizeof_hdr"], header["magic"], header["vox_offset"] = 348, b"n+1", 352
    header["dim"] = (3, *array.shape[::-1], 1, 1, 1, 1)
    header["datatype"], header["bitpix"] = codes[array.dtype.newbyteorder("=")], 8 * array.dtype.itemsize
    header["scl_slope"] = 1
    header["xyzt_units"] = 2
    header["qform_code"] = header["sform_code"] = 1
    direction = _TO_LPS @ volume.direction
    origin = _TO_LPS @ np.array(volume.origin)
    handedness = -1.0 if np.linalg.det(direction) < 0 else 1.0
    header["pixdim"] = (handedness, *volume.spacing, 1, 1, 1, 1)
    header["quatern"] = _quaternion(direction * (1, 1, handedness))
    header["qoffset"] = origin
    header["srow"] = np.column_stack([direction * np.array(volume.spacing), origin])
    return header


def _quaternion(rotation: np.ndarray) -> np.ndarray:
    """Imaginary parts of the unit quaternion of a rotation matrix; its real part is at least 0."""
    r = rotation
    # The eigenvector of the largest eigenvalue is the best fit, even to a rounded matrix (Bar-Itzhack 2000).
    matrix = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], r[1, 0] + r[0, 1], r[2, 0] + r[0, 2], r[2, 1] - r[1, 2]],
            [r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], r[2, 1] + r[1, 2], r[0, 2] - r[2, 0]],
            [r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r[0, 0] + r[1, 1] + r[2, 2]],
        ]
    )
    best = np.linalg.eigh(matrix / 3)[1][:, -1]
    return best[:3] * (1.0 if best[3] >= 0 else -1.0)
