"""Scans and label maps in and out: NRRD, NIfTI, MetaImage, GIPL, DICOM."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..anatomy import Notation
from ..errors import InputError, UsageError
from ..volume import Volume, from_sitk, to_sitk
from .atomic_write import check_folder, written_whole
from .nrrd import read_nrrd, write_nrrd
from .scan_checks import check_dimensions, check_labels
from .seg_nrrd import Labelling, read_segmentation, relabel, write_segmentation

__all__ = ["read_labels", "read_scan", "write_labels", "write_scan", "write_segmentation"]

_NRRD = (".nrrd", ".nhdr")
_NIFTI = (".nii", ".nii.gz")
_META = (".mha", ".mhd")
_GIPL = (".gipl", ".gipl.gz")
SCAN_SUFFIXES = (*_NRRD, *_NIFTI, *_META, *_GIPL)


def read_scan(path: str | Path, series: str | None = None) -> Volume:
    """Read a scan: .nrrd, .nhdr, .nii(.gz), .mha, .mhd, .gipl(.gz), a DICOM folder or a multi-frame DICOM file.

    What could be read is not yet sure to be fit; that is `checks.check_scan`.

    Parameters
    ----------
    path : path of the file or folder
    series : str, optional
        Number or UID of the series to take, where a folder holds several.

    Returns
    -------
    Volume
        With the voxels as they are in the file (DICOM: rescaled), and warnings about what had to be assumed.

    Raises
    ------
    SeveralSeries
        If a folder holds several series that could be the scan and none was chosen.
    InputError
        If there is nothing readable.
    """
    path = _existing(path)
    if path.is_dir() or _is_dicom(path):
        from .dicom import read_dicom  # pydicom takes a while to import and other formats do not need it

        return read_dicom(path, series)
    return read_nrrd(path)[0] if _suffix(path) in _NRRD else _read_with_sitk(path)


def read_labels(path: str | Path) -> Volume:
    """Read a label map, or a segmentation of 3D Slicer (`segmentation.read_segmentation`) as a label map.

    Returns
    -------
    Volume
        Of the smallest unsigned type that holds the values.

    Raises
    ------
    InputError
        If the file is unreadable or no label map.
    """
    path = _existing(path)
    if path.name.lower().endswith(".seg.nrrd"):
        return read_segmentation(path)
    volume = read_nrrd(path)[0] if _suffix(path) in _NRRD else _read_with_sitk(path)
    return replace(volume, array=check_labels(volume.array))


def write_labels(
    path: str | Path,
    labels: Volume,
    numbers: Iterable[int] | None = None,
    notation: Notation = "fdi",
    labelling: Labelling = "fdi",
) -> None:
    """Write teeth: a segmentation for 3D Slicer (`.seg.nrrd`) or a plain label map (`.nrrd`, `.nii.gz`, ...).

    Parameters
    ----------
    path : path of the file
    labels : Volume
        FDI numbers, 0 elsewhere; they are written on this very grid.
    numbers, notation :
        As for `segmentation.write_segmentation`; a plain label map has no use for them.
    labelling : {'fdi', 'position', 'binary'}
        The values to write: FDI numbers, positions 1-8, or 1 for every tooth.

    Raises
    ------
    UsageError
        If the ending of the path is of no known format.
    """
    if Path(path).name.lower().endswith(".seg.nrrd"):
        write_segmentation(path, labels, numbers, notation, labelling)
    else:
        _write(path, relabel(labels, labelling), level=4)


def write_scan(path: str | Path, volume: Volume) -> None:
    """Write a scan as .nrrd (gzip, left-posterior-superior), .nii, .nii.gz or .mha.

    Raises
    ------
    UsageError
        If the ending of the path is of no known format.
    """
    _write(path, volume, level=1)


def check_output(path: str | Path) -> None:
    """Refuse a path that `write_labels` could not write to, before any work is done for it.

    Raises
    ------
    UsageError
        If its ending is of no known format or its folder does not exist.
    """
    path = Path(path)
    if not path.name.lower().endswith((".nrrd", ".mha", *_NIFTI)):
        raise UsageError(f"{path.name} has no ending that can be written: use .seg.nrrd, .nrrd or .nii.gz.")
    check_folder(path)


def _write(path: str | Path, volume: Volume, level: int) -> None:
    check_output(path)
    if Path(path).suffix.lower() == ".nrrd":
        write_nrrd(path, volume, level=level)
        return
    with written_whole(path) as temporary, _itk_silenced():
        try:
            sitk.WriteImage(to_sitk(volume), str(temporary), useCompression=True, compressionLevel=level)
        except RuntimeError as error:
            raise OSError(str(error).strip().splitlines()[-1]) from error


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist: check the path.")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} may not be read by you: change its permissions or copy it.")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path.name} is empty (0 bytes): copy or export it again.")
    return path


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _suffix(path: Path) -> str:
    for suffix in sorted(SCAN_SUFFIXES, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return suffix
    raise InputError(
        f"{path.name} is of no known format: give {', '.join(SCAN_SUFFIXES)} or a folder with a DICOM series."
    )


def _read_with_sitk(path: Path) -> Volume:
    """NIfTI, MetaImage or GIPL."""
    suffix = _suffix(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    format_reader = {".n": "NiftiImageIO", ".m": "MetaImageIO", ".g": "GiplImageIO"}[suffix[:2]]
    try:
        with _itk_silenced():
            if reader.GetImageIOFromFileName(str(path)) != format_reader:
                raise InputError(
                    f"{path.name} is damaged, or not a {suffix} file whatever its name says: export it again."
                )
            reader.SetImageIO(format_reader)
            reader.ReadImageInformation()
            check_dimensions(reader.GetDimension(), reader.GetNumberOfComponents())
            _check_complete(path, suffix, reader)
            image = reader.Execute()
    except EOFError as error:
        raise InputError(f"{path.name} is cut off: copy or export it again.") from error
    except (RuntimeError, OSError, zlib.error) as error:
        if "orthonormal" in str(error):
            raise InputError(
                f"The axes of {path.name} are not perpendicular: straighten it first (3D Slicer: load it, then "
                "Resample Scalar Volume)."
            ) from error
        cause = "is damaged, or its data file is not beside it" if suffix == ".mhd" else "is damaged or cut off"
        raise InputError(f"{path.name} {cause}: copy or export it again.") from error
    except MemoryError as error:
        raise InputError(f"{path.name} does not fit into memory: crop the scan to the jaws.") from error
    placeless = suffix in _GIPL or (
        suffix in _NIFTI and reader.GetMetaData("qform_code") == reader.GetMetaData("sform_code") == "0"
    )
    warnings = (
        (
            f"{path.name} does not say how it lies in the patient: the usual axes of its format were assumed; "
            "check that left and right are not swapped.",
        )
        if placeless
        else ()
    )
    return from_sitk(image, warnings)


def _check_complete(path: Path, suffix: str, reader: sitk.ImageFileReader) -> None:
    """ITK reads a NIfTI or GIPL file that was cut off as if the rest were there; so count the bytes first."""
    if suffix in _META:
        return
    header, bits = 256, 8 * sitk.GetArrayViewFromImage(sitk.Image(1, 1, 1, reader.GetPixelIDValue())).itemsize
    if suffix in _NIFTI:
        header, bits = float(reader.GetMetaData("vox_offset")), int(reader.GetMetaData("bitpix"))
    size = path.stat().st_size
    if suffix.endswith(".gz"):
        with gzip.open(path) as file:
            size = sum(len(piece) for piece in iter(lambda: file.read(1 << 22), b""))
    if size < header + np.prod(reader.GetSize(), dtype=float) * bits / 8:
        raise EOFError


@contextmanager
def _itk_silenced() -> Iterator[None]:
    """Keep what ITK's format libraries print to standard error from the user, who gets one line from us."""
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        kept = os.dup(2)
    except OSError:  # no standard error, as under pythonw
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere, suppress(OSError):
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
