"""Writes views as DICOM: grey images of class Secondary Capture, with pixel spacing and, for planes, their position.

The attributes follow DICOM PS3.3: the SC Equipment and SC Image modules, the Basic Pixel Spacing Calibration macro and, for
planes, the Image Plane module as an extension of the class.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import NOTICE, __version__
from ..errors import TeethSegError
from .atomic_write import draft_folder, replace_files, written_whole

_CLASS = "1.2.840.10008.5.1.4.1.1.7"  # Secondary Capture Image Storage
_UNKNOWN = "ANONYMOUS"
_MANUFACTURER = "TeethSeg"


@dataclass(frozen=True)
class Plane:
    """Geometry of an image: LPS mm of the centre of its first pixel, and unit vectors along a row and down a column."""

    corner: np.ndarray
    across: np.ndarray
    down: np.ndarray


@dataclass(frozen=True)
class Series:
    """Attributes that the images of one export share.

    Attributes
    ----------
    description : str
    series_uid, study_uid, frame_uid : str
        UIDs of the series, its study and its frame of reference.
    patient : mapping of str to str
        Attributes of patient and study by keyword, from the scan's own DICOM files if there are any.
    """

    description: str
    series_uid: str
    study_uid: str
    frame_uid: str
    patient: Mapping[str, str]


def new_series(description: str, patient: Mapping[str, str] | None = None) -> Series:
    """A new series, in the study and frame of reference that `patient` names or else in new ones."""
    from pydicom.uid import generate_uid

    known = dict(patient or {})
    study = known.pop("StudyInstanceUID", None) or generate_uid()
    frame = known.pop("FrameOfReferenceUID", None) or generate_uid()
    return Series(description, generate_uid(), study, frame, known)


@contextmanager
def series_replaced(folder: Path, description: str, patterns: Sequence[str]) -> Iterator[Path]:
    """A folder for the images of a new series, which then go to `folder`: all of them or, after an error, none.

    They replace the files of their names, and those of earlier series of this description, which may have more images.

    Parameters
    ----------
    folder : Path
    description : str
        Of the series.
    patterns : sequence of str
        Of the names of images in any such series.

    Raises
    ------
    TeethSegError
        If the folder cannot be written to.
    """
    try:
        with draft_folder(folder) as draft:
            new = draft / "new"
            new.mkdir()
            yield new
            names = {file.name for file in new.iterdir()}
            here = [file for pattern in patterns for file in folder.glob(pattern)]
            old = [file.name for file in here if file.name in names or _is_of_series(file, description)]
            replace_files(new, folder, old, draft, last=min(names))
    except OSError as error:
        raise TeethSegError(
            f"{folder} cannot be written to ({error.strerror or error}): choose another place or free some space."
        ) from error


def _is_of_series(file: Path, description: str) -> bool:
    """Whether an export wrote a file, by its own tags: others may have such names too."""
    from pydicom import dcmread

    tags = ["Manufacturer", "SeriesDescription"]
    try:
        data = dcmread(file, stop_before_pixels=True, specific_tags=tags)
        return [data.get(tag) for tag in tags] == [_MANUFACTURER, description]
    except Exception:  # pydicom raises many kinds of error for files that are none of its own
        return False


def write_secondary_capture(
    path: str | Path,
    grey: np.ndarray,
    step_mm: float,
    series: Series,
    number: int,
    comment: str,
    plane: Plane | None = None,
) -> None:
    """Write one image, whole or not at all.

    Parameters
    ----------
    path : path
    grey : ndarray, shape (rows, columns)
        Grey values of the scan; rounded to whole numbers, with slope and intercept if they need more than 16 bits.
    step_mm : float
        Pixel spacing in both directions.
    series : CaptureSeries
    number : int
        Instance number in the series, from 1.
    comment : str
        Description of the view, e.g. the slab and its projection.
    plane : Plane, optional
        Geometry of a section. A panorama has none: its pixel spacing is measured along the arch.

    Raises
    ------
    TeethSegError
        If the file cannot be written.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    slope, intercept, stored = _stored(grey)
    now = datetime.datetime.now().astimezone()
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = _CLASS, generate_uid()
    data.PatientName = data.PatientID = _UNKNOWN
    data.PatientBirthDate = data.PatientSex = data.AccessionNumber = data.ReferringPhysicianName = data.StudyID = ""
    data.StudyDate = data.StudyTime = ""
    for keyword, value in series.patient.items():
        setattr(data, keyword, value)
    data.StudyInstanceUID, data.SeriesInstanceUID = series.study_uid, series.series_uid
    data.Modality, data.ConversionType = "OT", "WSD"
    data.SeriesNumber, data.InstanceNumber = 901, number
    data.SeriesDescription, data.ImageComments = series.description, f"{comment}. {NOTICE}"
    data.ContentDate, data.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    data.Manufacturer, data.SoftwareVersions = _MANUFACTURER, __version__
    data.ImageType = ["DERIVED", "SECONDARY", "REFORMATTED"]
    data.PatientOrientation = ["L", "F"] if plane is None else ""
    data.BurnedInAnnotation = "NO"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = stored.shape
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = f"{intercept:.10g}", f"{slope:.10g}", "US"
    low, high = np.percentile(grey, (2, 99.8))
    data.WindowCenter, data.WindowWidth = f"{(low + high) / 2:.6g}", f"{max(high - low, 1e-3):.6g}"
    data.PixelSpacing = data.NominalScannedPixelSpacing = [f"{step_mm:.8g}"] * 2
    data.PixelSpacingCalibrationType = "GEOMETRY"
    data.PixelSpacingCalibrationDescription = (
        "in the plane" if plane is not None else "along the dental arch, and upwards"
    )
    if plane is not None:
        data.FrameOfReferenceUID, data.PositionReferenceIndicator = series.frame_uid, ""
        data.ImagePositionPatient = [f"{part:.8g}" for part in plane.corner]
        data.ImageOrientationPatient = [f"{part:.8g}" for part in (*plane.across, *plane.down)]
    data.PixelData = stored.astype("<i2").tobytes()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with written_whole(path) as draft:
        data.save_as(draft, enforce_file_format=True)


def _stored(grey: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Slope, intercept and stored pixels (int16)."""
    low, high = float(grey.min()), float(grey.max())
    if low >= -32768 and high <= 32767 and high - low > 100:
        return 1.0, 0.0, np.rint(grey).astype(np.int16)
    slope = max((high - low) / 60000, 1e-9)
    middle = (low + high) / 2
    return slope, middle, np.rint((grey - middle) / slope).astype(np.int16)
