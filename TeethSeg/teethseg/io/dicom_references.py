"""The DICOM images of a scan, to which a segmentation must refer.

They are identified by their geometry: an image belongs to a volume if its plane is one of the volume's planes, or at least
lies within the volume (resampled volumes have planes of their own).
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

from ..errors import InputError
from ..volume import Volume
from .dicom.choice import choose_series
from .dicom.quiet import library_noise_silenced
from .dicom.series import find_series
from .dicom.sniff import files_in, is_dicom
from .scan_folders import DICOM
from .zip_archive import only_zip, unpacked

# Attributes of patient and study, which a segmentation copies.
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
_SAME = 0.05  # voxels by which equal planes may differ


@dataclass(frozen=True)
class Reference:
    """One image (file) of the scan.

    Attributes
    ----------
    class_uid, instance_uid : str
        SOP Class and SOP Instance.
    plane : int or None
        Index k of the equal plane of the volume; None for a multi-frame file, or if there is no such plane.
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
        The scan as it was read.
    series : str, optional
        Key, number or UID of the chosen series; any other name is ignored.

    Returns
    -------
    SourceSeries or None
        None if no DICOM image lies in the volume, or if those that do so equally well are of several patients or studies.
    """
    path = Path(path)
    path = (only_zip(path) if path.is_dir() else None) or path
    if path.suffix.lower() == ".zip":
        with unpacked(path) as folder:
            return _series_in(folder, volume, series)
    return _series_in(path, volume, series)


def series_of(
    headers: Iterator[Dataset] | Sequence[Dataset], volume: Volume, series: str | None = None
) -> SourceSeries | None:
    """As `source_series`, from headers that the caller has read."""
    candidates: dict[str, tuple[Dataset, list[Reference], list[int]]] = {}
    patients: dict[str, set[str]] = defaultdict(set)
    headers = list(headers)
    chosen = [one for one in headers if str(series) in (str(one.SeriesInstanceUID), str(one.get("SeriesNumber", "")))]
    for header in chosen or headers:
        uid = str(header.SeriesInstanceUID)
        score, plane = _match(header, volume)
        if score:
            _, images, scores = candidates.setdefault(uid, (header, [], []))
            images.append(Reference(str(header.SOPClassUID), str(header.SOPInstanceUID), plane))
            scores.append(score)
            patients[uid].add(str(header.get("PatientID", "")))
    if not candidates:
        return None
    totals = {uid: sum(scores) for uid, (_, _, scores) in candidates.items()}
    uid = max(totals, key=totals.__getitem__)
    header, images, _ = candidates[uid]
    studies = {str(candidates[one][0].StudyInstanceUID) for one, total in totals.items() if total == totals[uid]}
    several_patients = 1 < len(patients[uid]) <= max(2, len(images) // 8)  # one for each image is no patient's
    if len(studies) > 1 or several_patients:
        return None  # teeth must never enter the study of another patient
    by_uid = {one.instance_uid: one for one in images}  # copies of a file count once
    return SourceSeries(
        {name: str(header.get(name) or "") for name in _STUDY},
        uid,
        str(header.get("FrameOfReferenceUID", "")),
        str(header.get("Modality", "")),
        tuple(replace(one) for one in by_uid.values()),
    )


def _series_in(path: Path, volume: Volume, series: str | None) -> SourceSeries | None:
    headers = list(_headers(path))
    several = len({str(header.SeriesInstanceUID) for header in headers}) > 1
    return series_of(headers, volume, _uid_of(path, series) if several else series)


def _uid_of(path: Path, series: str | None) -> str | None:
    """The UID of the series that the reader takes: scans of several patients by one device often lie at the same place."""
    if path.is_file():
        if not is_dicom(path):  # a file of another format, made of any of the series beside it
            return series
        if series is None and (header := read_header(path)):
            return str(header.SeriesInstanceUID)
    try:
        with library_noise_silenced():
            chosen, _ = choose_series(find_series(_files(path)), None if series == DICOM else series, path.name)
    except InputError:  # the scan is a file of another format, in the folder with these
        return series
    return chosen.uid or series


def _files(path: Path) -> Iterator[Path]:
    return files_in(path) if path.is_dir() else files_in(path.parent, deep=False)


def _headers(path: Path) -> Iterator[Dataset]:
    for file in _files(path):
        header = read_header(file)
        if header is not None:
            yield header


def read_header(path: Path) -> Dataset | None:
    """The header of an image that a segmentation can refer to; None for other files."""
    try:
        if not is_dicom(path):
            return None
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        uids = [header.get(name) for name in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")]
        if not all(uid and UID(str(uid)).is_valid for uid in uids) or not (
            header.get("Rows") and header.get("Columns")
        ):
            return None
    except Exception:  # pydicom raises many kinds of error on damaged files
        return None
    return None if header.SOPClassUID in _SEGMENTATIONS else header


def _match(header: Dataset, volume: Volume) -> tuple[int, int | None]:
    """Match of an image with a volume (2: one of its planes, 1: within it, 0: neither), and the index of the plane."""
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
