"""The DICOM images that a scan was read from, as a segmentation has to refer to them.

They are found again by where they lie: an image belongs to a volume if its plane is one of the volume's, or at least lies
within it (volumes that were resampled have planes of their own).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID

from ..volume import Volume
from .dicom.sniff import files_in, is_dicom
from .zip_archive import only_zip, unpacked

# Of the patient and the study, which a segmentation takes over.
_STUDY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_SAME = 0.05  # part of a voxel by which planes may differ


@dataclass(frozen=True)
class Reference:
    """One image (file) of the scan.

    Attributes
    ----------
    class_uid, instance_uid : str
        SOP Class and SOP Instance.
    plane : int or None
        Index k of the volume's plane that it is; None for a file of several frames, or if it is none of them.
    """

    class_uid: str
    instance_uid: str
    plane: int | None


@dataclass(frozen=True)
class SourceSeries:
    """The series that a scan was read from.

    Attributes
    ----------
    about : dict of str to str
        Attributes of patient and study, by DICOM keyword.
    series_uid, frame_of_reference_uid, modality : str
    images : tuple of Reference
    """

    about: dict[str, str]
    series_uid: str
    frame_of_reference_uid: str
    modality: str
    images: tuple[Reference, ...]


def source_series(path: str | Path, volume: Volume, series: str | None = None) -> SourceSeries | None:
    """Find the series that a volume was read from.

    Parameters
    ----------
    path : path of the file, folder or zip that was read
    volume : Volume
        As it was read.
    series : str, optional
        Number or UID of the series, as it was chosen; any other name is passed over.

    Returns
    -------
    SourceSeries or None
        None if there is no DICOM image that lies in the volume, or those that do are of several patients.
    """
    path = Path(path)
    path = (only_zip(path) if path.is_dir() else None) or path
    if path.suffix.lower() == ".zip":
        with unpacked(path) as folder:
            return series_of(_headers(folder), volume, series)
    return series_of(_headers(path), volume, series)


def series_of(
    headers: Iterator[Dataset] | Sequence[Dataset], volume: Volume, series: str | None = None
) -> SourceSeries | None:
    """As `source_series`, of headers that somebody else has read."""
    found: dict[str, tuple[Dataset, list[Reference], list[int]]] = {}
    patients: dict[str, set[str]] = defaultdict(set)
    headers = list(headers)
    wanted = [one for one in headers if str(series) in (str(one.SeriesInstanceUID), str(one.get("SeriesNumber", "")))]
    for header in wanted or headers:
        uid = str(header.SeriesInstanceUID)
        near, plane = _place(header, volume)
        if near:
            _, images, scores = found.setdefault(uid, (header, [], []))
            images.append(Reference(str(header.SOPClassUID), str(header.SOPInstanceUID), plane))
            scores.append(near)
            patients[uid].add(str(header.get("PatientID", "")))
    if not found:
        return None
    uid, (header, images, _) = max(found.items(), key=lambda one: sum(one[1][2]))
    if 1 < len(patients[uid]) <= max(2, len(images) // 8):  # a number for nearly each image is no patient's
        return None  # the teeth must never come into another patient's study
    by_uid = {one.instance_uid: one for one in images}  # copies of a file count once
    return SourceSeries(
        {name: str(header.get(name) or "") for name in _STUDY},
        uid,
        str(header.get("FrameOfReferenceUID", "")),
        str(header.get("Modality", "")),
        tuple(replace(one) for one in by_uid.values()),
    )


def _headers(path: Path) -> Iterator[Dataset]:
    for file in files_in(path) if path.is_dir() else files_in(path.parent, deep=False):
        header = read_header(file)
        if header is not None:
            yield header


def read_header(path: Path) -> Dataset | None:
    """The header of an image that can be referred to; None for anything else."""
    try:
        if not is_dicom(path):
            return None
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        uids = [header.get(name) for name in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")]
        if not all(uid and UID(str(uid)).is_valid for uid in uids) or not (
            header.get("Rows") and header.get("Columns")
        ):
            return None
    except Exception:  # pydicom raises whatever a damaged file makes it stumble over
        return None
    return None if header.SOPClassUID in _SEGMENTATIONS else header


def _place(header: Dataset, volume: Volume) -> tuple[int, int | None]:
    """Fit of an image to a volume (2: one of its planes, 1: within it, 0: neither), and the index of the plane."""
    if (header.get("NumberOfFrames") or 1) > 1:
        same = (int(header.Rows), int(header.Columns)) == volume.array.shape[1:]
        return (2 * int(header.NumberOfFrames) if same else 0), None
    try:
        position = np.array([float(part) for part in header.ImagePositionPatient])
        row, column = np.reshape([float(part) for part in header.ImageOrientationPatient], (2, 3))
        rows, columns = float(header.PixelSpacing[0]), float(header.PixelSpacing[1])
    except (AttributeError, TypeError, ValueError, IndexError):
        return 0, None
    shape = np.array([int(header.Rows), int(header.Columns)])
    middle = position + row * columns * (shape[1] - 1) / 2 + column * rows * (shape[0] - 1) / 2
    index = volume.to_index(middle)
    within = ((index > -0.5) & (index < np.array(volume.array.shape) - 0.5)).all()
    corner = volume.to_index(position)
    plane = round(corner[0])
    exact = np.abs(corner - [plane, 0, 0]).max() < _SAME and tuple(shape) == volume.array.shape[1:]
    if exact and 0 <= plane < len(volume.array):
        return 2, plane
    return (1, None) if within else (0, None)
