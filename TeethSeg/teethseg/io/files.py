"""Reads and writes scans and label maps: NRRD, NIfTI, MetaImage, GIPL and DICOM."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..anatomy import Notation
from ..errors import InputError, UsageError
from ..structures import Kind
from ..volume import Volume
from .atomic_write import check_folder
from .dicom.sniff import files_in, is_dicom
from .gipl import read_gipl
from .label_maps import LabelMap, named
from .label_schemes import LabelScheme
from .mask_folder import read_masks
from .metaimage import read_metaimage, write_metaimage
from .nifti import read_nifti, write_nifti
from .nifti_names import label_names
from .nrrd import read_nrrd, write_nrrd
from .scan_checks import USE_OF_LABELS, check_dimensions, check_labels, check_place, with_numbers
from .scan_folders import SegmentationError, read_folder
from .seg_nrrd import Labelling, holds_segments, label_map_of, read_segmentation, relabel, write_segmentation
from .source_files import reading
from .zip_archive import only_zip, unpacked

__all__ = [
    "read_label_map",
    "read_labels",
    "read_scan",
    "read_teeth",
    "write_labels",
    "write_scan",
    "write_segmentation",
]

_NRRD = (".nrrd", ".nhdr")
_NIFTI = (".nii", ".nii.gz")
_META = (".mha", ".mhd")
_GIPL = (".gipl", ".gipl.gz")
SCAN_SUFFIXES = (*_NRRD, *_NIFTI, *_META, *_GIPL)


def read_scan(path: str | Path, series: str | None = None) -> Volume:
    """Read a scan: .nrrd, .nhdr, .nii(.gz), .mha, .mhd, .gipl(.gz), DICOM (a folder, or a file), a zip with one of these.

    Whether the image is a scan of teeth is checked by `scan_checks.check_scan`.

    Parameters
    ----------
    path : path of the file or folder
    series : str, optional
        Number or UID of the series, or name of the file, where a folder or zip holds several.

    Returns
    -------
    Volume
        With the voxels of the file (DICOM: rescaled; NaN and infinity: replaced by padding), and warnings about every
        assumption.

    Raises
    ------
    SeveralSeries
        If a folder holds several series that could be the scan, and none was chosen.
    InputError
        If there is no readable scan.
    OutOfMemoryError
        If it does not fit into memory.
    """
    path = _existing(path)
    with reading(path):
        if path.suffix.lower() == ".zip":
            with unpacked(path) as folder:
                return read_scan(folder, series)
        if path.is_dir():
            if alone := only_zip(path):
                return read_scan(alone, series)
            return with_numbers(read_folder(path, series, SCAN_SUFFIXES, _read_scan_file, _read_dicom))
        if is_dicom(path):
            _refuse_segmentation(path)
            return with_numbers(_read_dicom(path, series))
        return with_numbers(_read_scan_file(path))


def _read_scan_file(path: Path) -> Volume:
    if _suffix(path) in _NRRD:
        volume, header = read_nrrd(path)
        if path.name.lower().endswith(".seg.nrrd") or holds_segments(header):
            raise SegmentationError(f"{path.name} is a segmentation, not a scan: {USE_OF_LABELS}")
    else:
        volume = _read(path)
    check_place(volume)
    return volume


def _refuse_segmentation(path: Path) -> None:
    from .dicom_seg import is_dicom_seg

    if is_dicom_seg(path):
        raise InputError(f"{path.name} is a DICOM segmentation, not a scan: {USE_OF_LABELS}")


def read_labels(path: str | Path, scheme: LabelScheme | None = None) -> Volume:
    """Read a label map or segmentation for display: FDI numbers if teeth can be identified, else the file's own values.

    Parameters
    ----------
    path : path of the file
    scheme : str, optional
        The numbering of labels that neither names nor codes identify (`label_schemes`).

    Returns
    -------
    Volume
        Of the smallest unsigned type that holds the values. Its `warnings` name the labels that were left out.

    Raises
    ------
    InputError
        If the file is unreadable or no label map.
    """
    return read_label_map(path, scheme).labels()


def read_teeth(path: str | Path, scheme: LabelScheme | None = None, keep: Collection[Kind] = ()) -> Volume:
    """Read the teeth of a label map or segmentation of any program, as FDI numbers.

    Parameters
    ----------
    path : path of the file
        A .seg.nrrd, a DICOM SEG, a label map in any format of `SCAN_SUFFIXES`, or a folder with one of these, or with a mask
        for every structure.
    scheme : str, optional
        The numbering of labels that neither names nor codes identify (`label_schemes`).
    keep : collection of str
        Kinds of structures besides teeth that keep their values: "supernumerary" (91-94), "unknown" (255).

    Returns
    -------
    Volume
        uint8: FDI numbers, 0 elsewhere. Its `warnings` name labels that were left out and uncertain numbers.

    Raises
    ------
    InputError
        If the file is unreadable, no label map, or does not identify the teeth of its labels.
    """
    return read_label_map(path, scheme).teeth(keep)


def read_label_map(path: str | Path, scheme: LabelScheme | None = None) -> LabelMap:
    """Read a label map or segmentation, with the names, codes and structures of its labels.

    Raises
    ------
    InputError
        If the file is unreadable or no label map.
    """
    path = _existing(path)
    with _naming(path), reading(path):
        found = _read_label_folder(path, scheme) if path.is_dir() else _read_label_map(path, scheme)
        check_place(found.volume)
    return found


def _read_label_folder(folder: Path, scheme: LabelScheme | None) -> LabelMap:
    """Read the only label file of a folder, or its masks, whose file names identify the structures."""
    files = [path for path in files_in(folder) if path.name.lower().endswith(SCAN_SUFFIXES) or is_dicom(path)]
    if len(files) == 1:
        return _read_label_map(files[0], scheme)
    masks = [path for path in files if path.name.lower().endswith(SCAN_SUFFIXES)]
    return read_masks(masks, folder, _read_mask, scheme)


def _read_mask(path: Path) -> Volume:
    with _naming(path):
        return _with_labels(_read(path))


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in every error of the block: labels are read beside other files, often of the same kind."""
    try:
        yield
    except InputError as error:
        if type(error) is not InputError or path.name in str(error):
            raise
        raise InputError(f"{path.name}: {error}") from error


def _read_label_map(path: Path, scheme: LabelScheme | None) -> LabelMap:
    if path.name.lower().endswith(".seg.nrrd"):
        return read_segmentation(path, scheme)
    if is_dicom(path):
        from .dicom_seg import is_dicom_seg, read_dicom_seg

        if not is_dicom_seg(path):
            raise InputError(f"{path.name} is DICOM, but no segmentation: give a DICOM SEG file, or a label map.")
        return read_dicom_seg(path, scheme)
    names = {}
    if _suffix(path) in _NRRD:
        volume, header = read_nrrd(path, layers=True)
        if holds_segments(header):
            return label_map_of(volume, header, path.name, scheme)
        check_dimensions(3, math.prod(volume.array.shape[3:]))
    else:
        volume = _read(path)
        names = label_names(path) if _suffix(path) in _NIFTI else {}
    return named(_with_labels(volume), names, scheme, path.name)


def _with_labels(volume: Volume) -> Volume:
    """The image as labels, after a check that its values are whole numbers from 0 up."""
    return replace(volume, array=check_labels(volume.array))


def write_labels(
    path: str | Path,
    labels: Volume,
    numbers: Iterable[int] | None = None,
    notation: Notation = "fdi",
    labelling: Labelling = "fdi",
    scan: str | Path | None = None,
    series: str | None = None,
    edited: Collection[int] = (),
) -> None:
    """Write teeth: a segmentation (`.seg.nrrd` for 3D Slicer, `.dcm`: DICOM SEG) or a plain label map (`.nrrd`, `.nii.gz`).

    Parameters
    ----------
    path : path of the file
    labels : Volume
        FDI numbers, 0 elsewhere; written on this grid.
    numbers, notation :
        As for `seg_nrrd.write_segmentation`; ignored for a plain label map.
    labelling : {'fdi', 'position', 'binary'}
        The values to write: FDI numbers, positions 1-8, or 1 for every tooth.
    scan : path, optional
        The file or folder of the scan; a DICOM SEG refers to its images and becomes part of their study.
    series : str, optional
        The series of the scan that was chosen for `read_scan`.
    edited : collection of int
        Teeth that a user has changed; a DICOM SEG marks them as semiautomatic.

    Raises
    ------
    UsageError
        If the suffix of the path belongs to no known format, or the format cannot hold this labelling.
    """
    check_output(path, labelling)
    name = Path(path).name.lower()
    if name.endswith(".dcm"):
        from .dicom_references import source_series
        from .dicom_seg import write_dicom_seg

        source = source_series(scan, labels, series) if scan is not None else None
        write_dicom_seg(path, labels, numbers, notation, source, Path(scan).name if scan else "", edited)
    elif name.endswith(".seg.nrrd"):
        write_segmentation(path, labels, numbers, notation, labelling)
    else:
        _write(path, relabel(labels, labelling), level=4)


def write_scan(path: str | Path, volume: Volume) -> None:
    """Write a scan as .nrrd (gzip, left-posterior-superior), .nii, .nii.gz or .mha.

    Raises
    ------
    UsageError
        If the suffix of the path belongs to no known format.
    """
    _write(path, volume, level=1)


def check_output(path: str | Path, labelling: Labelling = "fdi") -> None:
    """Refuse a path that `write_labels` cannot write to, before any work is done.

    Raises
    ------
    UsageError
        If its suffix belongs to no known format, the format cannot hold this labelling, or the folder does not exist.
    """
    path = Path(path)
    if not path.name.lower().endswith((".nrrd", ".mha", ".dcm", *_NIFTI)):
        raise UsageError(f"{path.name} has no ending that can be written: use .seg.nrrd, .dcm, .nrrd or .nii.gz.")
    if path.suffix.lower() == ".dcm" and labelling != "fdi":
        raise UsageError(
            f"{path.name} is to be a DICOM SEG, which holds numbered teeth: leave out --labels {labelling}."
        )
    check_folder(path)


def _write(path: str | Path, volume: Volume, level: int) -> None:
    check_output(path)
    name = Path(path).name.lower()
    write = write_nrrd if name.endswith(".nrrd") else write_metaimage if name.endswith(".mha") else write_nifti
    write(path, volume, level=level)


def _existing(path: str | Path) -> Path:
    if not str(path):
        raise InputError("The path of the file is empty: name a file or folder.")
    path = Path(path)
    try:
        about = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path} does not exist: check the path.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}): check the path.") from error
    if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
        raise InputError(f"{path} is neither a file nor a folder but a device or pipe: give the scan itself.")
    if not os.access(path, os.R_OK):
        raise InputError(f"You have no permission to read {path}: change its permissions or copy it.")
    if stat.S_ISREG(about.st_mode) and about.st_size == 0:
        raise InputError(f"{path.name} is empty (0 bytes): copy or export it again.")
    return path


def _read_dicom(path: Path, series: str | None) -> Volume:
    from .dicom.reading import read_dicom  # pydicom takes a while to import and other formats do not need it

    return read_dicom(path, series)


def _read(path: Path) -> Volume:
    """Read a file with one image; its suffix chooses the format."""
    suffix = _suffix(path)
    if suffix in _NRRD:
        return read_nrrd(path)[0]
    return (read_nifti if suffix in _NIFTI else read_metaimage if suffix in _META else read_gipl)(path)


def _suffix(path: Path) -> str:
    for suffix in sorted(SCAN_SUFFIXES, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return suffix
    raise InputError(
        f"{path.name} is of no known format: give {', '.join(SCAN_SUFFIXES)} or a folder with a DICOM series."
    )
