"""DICOM: the series in a folder, and one of them as a volume.

Files may lie in sub-folders, in any order and under any name. Their place comes from their headers (pydicom), never
from their names; the voxels are decoded and rescaled by GDCM (SimpleITK), which knows the compressed transfer syntaxes.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from ..errors import InputError, SeveralSeries
from ..volume import Volume
from .scan_checks import check_dimensions

_TAGS = [
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "Modality",
    "ImageType",
    "SamplesPerPixel",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "RescaleSlope",
    "RescaleIntercept",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]
# Objects that hold pixels but no picture of the patient.
_NO_SCANS = {"SEG", "RTDOSE", "RTSTRUCT", "PR", "KO", "SR", "DOC", "REG"}
_WHOLE_VOLUME = 16  # slices from which on a series is taken for a volume rather than a scout or a screenshot


@dataclass(frozen=True)
class Slice:
    """One plane of pixels: a file, or a frame of a multi-frame file. Millimetres, LPS."""

    path: Path
    frame: int | None
    uid: str
    shape: tuple[int, int]
    values: int
    spacing: tuple[float, ...]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    whole_numbers: bool

    @property
    def name(self) -> str:
        return self.path.name if self.frame is None else f"frame {self.frame + 1}"


@dataclass(frozen=True)
class Series:
    """The slices under one Series Instance UID, in the order in which they were found."""

    uid: str
    number: str
    description: str
    slices: tuple[Slice, ...]

    @cached_property
    def size(self) -> str:
        rows, columns = self.slices[0].shape
        return f"{columns} x {rows} x {len(self.slices)}"

    @property
    def is_volume(self) -> bool:
        return len(self.slices) >= _WHOLE_VOLUME and self.slices[0].values == 1

    def __str__(self) -> str:
        description = f" '{self.description}'" if self.description else ""
        return f"{self.number or self.uid}{description} ({self.size})"


def read_dicom(path: str | Path, series: str | None = None) -> Volume:
    """Read a series of a folder, or a multi-frame file.

    Parameters
    ----------
    path : path of the folder or file
    series : str, optional
        Series number or UID. Needed only where several series could be the scan; where only one has the slices of a
        volume, that one is taken and a warning says so.

    Returns
    -------
    Volume
        Rescaled by the file's slope and intercept; integers unless these are fractions. Slices ascend along the normal
        of the image plane, so the direction is right-handed.

    Raises
    ------
    SeveralSeries
        If a choice must be made.
    InputError
        If there is no series, or its slices do not make up one whole volume.
    """
    chosen, notes = _choose(find_series(path), series, Path(path).name)
    slices, step = _sorted_slices(chosen)
    first = slices[0]
    row, column = np.reshape(first.orientation, (2, 3))
    return Volume(
        _read_pixels(slices),
        (first.spacing[1], first.spacing[0], step),
        first.position,
        np.column_stack([row, column, np.cross(row, column)]),
        notes,
    )


def find_series(path: str | Path) -> list[Series]:
    """The image series of a folder and its sub-folders (or of one file); whatever is no image is passed over.

    Localizers (scouts) inside a series and second copies of the same image are left out.
    """
    slices: dict[str, dict[str, Slice]] = defaultdict(dict)
    names: dict[str, tuple[str, str]] = {}
    with _pydicom_silenced():
        for file in _files(Path(path)):
            header, planes = _read_header(file)
            if header is None:
                continue
            uid = str(header.get("SeriesInstanceUID", ""))
            names[uid] = (str(header.get("SeriesNumber") or ""), str(header.get("SeriesDescription") or "").strip())
            for one in planes:
                slices[uid].setdefault(one.uid, one)
    found = [Series(uid, *names[uid], tuple(its.values())) for uid, its in slices.items()]
    return sorted(found, key=lambda series: (len(series.number), series.number, series.uid))


@contextmanager
def _pydicom_silenced() -> Iterator[None]:
    """No word to the user about damaged files, which are passed over, and values against the standard."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for folder, folders, names in os.walk(path):
        folders.sort()
        yield from (Path(folder, name) for name in sorted(names))


def _read_header(path: Path) -> tuple[Dataset | None, list[Slice]]:
    """The header and slices of an image of the patient, or None for anything else."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        image = header.get("Rows") and header.get("Columns") and header.get("Modality") not in _NO_SCANS
        if image and "LOCALIZER" not in (header.get("ImageType") or ()):
            return header, list(_slices(path, header))
    except (InvalidDicomError, OSError, EOFError, ValueError, TypeError, NotImplementedError):
        pass
    return None, []


def _slices(path: Path, header: Dataset) -> Iterator[Slice]:
    frames = int(header.get("NumberOfFrames") or 1)
    uid = str(header.get("SOPInstanceUID", path))
    if frames == 1 and "PerFrameFunctionalGroupsSequence" not in header:
        yield _slice(path, None, uid, header, [header])
        return
    groups = list(header.get("PerFrameFunctionalGroupsSequence") or [])
    shared = list(header.get("SharedFunctionalGroupsSequence") or [])
    for frame in range(frames):
        sources = groups[frame : frame + 1] + shared
        yield _slice(path, frame, f"{uid} {frame}", header, [item for source in sources for item in _macros(source)])


def _macros(group: Dataset) -> Iterator[Dataset]:
    """The items of a functional group's sequences."""
    return (element.value[0] for element in group if element.VR == "SQ" and element.value)


def _slice(path: Path, frame: int | None, uid: str, header: Dataset, sources: list[Dataset]) -> Slice:
    def numbers(name: str, count: int) -> tuple[float, ...]:
        values = next((source[name].value for source in sources if name in source), None)
        values = [] if values is None else np.atleast_1d(values)
        return tuple(float(value) for value in values) if len(values) == count else ()

    rescaling = numbers("RescaleSlope", 1) + numbers("RescaleIntercept", 1)
    return Slice(
        path,
        frame,
        uid,
        (int(header.Rows), int(header.Columns)),
        int(header.get("SamplesPerPixel") or 1),
        numbers("PixelSpacing", 2),
        numbers("ImagePositionPatient", 3),
        numbers("ImageOrientationPatient", 6),
        all(value.is_integer() for value in rescaling),
    )


def _choose(found: list[Series], wanted: str | None, place: str) -> tuple[Series, tuple[str, ...]]:
    if not found:
        raise InputError(f"There is no DICOM image in {place}: give the folder that holds the scan's own files.")
    listing = "; ".join(str(series) for series in found)
    if wanted is not None:
        matching = [series for series in found if str(wanted) in (series.number, series.uid)]
        if len(matching) == 1:
            return matching[0], ()
        if matching:
            uids = "; ".join(series.uid for series in matching)
            raise InputError(f"{len(matching)} series have the number {wanted}: choose one by its UID: {uids}.")
        raise InputError(f"There is no series {wanted} in {place}: choose one of {listing}.")
    if len(found) == 1:
        return found[0], ()
    volumes = [series for series in found if series.is_volume]
    if len(volumes) == 1:
        return volumes[0], (f"Of {len(found)} DICOM series, {volumes[0]} was taken: the only one that is a volume.",)
    raise SeveralSeries(
        f"{place} holds {len(found)} DICOM series: choose one by its number or UID (series): {listing}.",
        {series.uid: str(series) for series in found},
    )


def _sorted_slices(series: Series) -> tuple[list[Slice], float]:
    """The slices from one end to the other and the distance between them, once they are known to be a whole volume."""
    slices = series.slices
    first = slices[0]
    check_dimensions(3 if len(slices) > 1 else 2, first.values)
    for one in slices:
        if not (one.position and one.orientation and one.spacing):
            raise InputError(
                f"{one.name} of series {series} does not say where it lies in the patient: export the scan again, "
                "as CT images and not as screenshots (secondary capture)."
            )
        for what, value, reference, tolerance in (
            ("size", one.shape, first.shape, 0),
            ("pixel spacing", one.spacing, first.spacing, 1e-4),
            ("orientation", one.orientation, first.orientation, 1e-3),
        ):
            if not np.allclose(value, reference, rtol=0, atol=tolerance):
                raise InputError(
                    f"The slices of series {series} differ in {what} ({first.name}: {_text(reference)}, {one.name}: "
                    f"{_text(value)}): put the slices of one scan into a folder of their own."
                )
    row, column = np.reshape(first.orientation, (2, 3))
    normal = np.cross(row, column)
    positions = np.array([one.position for one in slices])
    order = np.argsort(positions @ normal, kind="stable")
    slices = [slices[index] for index in order]
    step = _check_steps(slices, positions[order] @ normal, series)
    drift = positions[order] - positions[order[0]]
    drift -= np.outer(drift @ normal, normal)
    if np.abs(drift).max() > 0.5 * min(*first.spacing, step):
        raise InputError(
            f"The slices of series {series} are shifted against each other (tilted gantry): straighten the scan first "
            "(3D Slicer's DICOM module regularizes it on loading) and give the result as a file."
        )
    return slices, step


def _check_steps(slices: list[Slice], heights: np.ndarray, series: Series) -> float:
    steps = np.diff(heights)
    step = float(np.median(steps))
    tolerance = max(0.01, 0.1 * step)  # positions are often rounded to hundredths of a millimetre
    same = np.flatnonzero(steps < tolerance)
    if len(same):
        a, b = slices[same[0]].name, slices[same[0] + 1].name
        raise InputError(
            f"Series {series} has {len(same)} slice{'s' if len(same) > 1 else ''} too many ({a} and {b} show the "
            "same place): it holds several scans or copies; keep one of each."
        )
    odd = np.flatnonzero(np.abs(steps - step) > tolerance)
    if not len(odd):
        return float((heights[-1] - heights[0]) / len(steps))
    at = odd[0]
    between = f"{slices[at].name} ({heights[at]:.2f} mm) and {slices[at + 1].name} ({heights[at + 1]:.2f} mm)"
    missing = np.rint(steps[odd] / step) - 1
    if np.all(missing >= 1) and np.allclose(steps[odd], (missing + 1) * step, rtol=0, atol=tolerance):
        count = int(missing.sum())
        raise InputError(
            f"{count} slice{'s are' if count > 1 else ' is'} missing from series {series}, the first between "
            f"{between}: copy the whole series again from its disc or archive."
        )
    raise InputError(
        f"The slices of series {series} are not evenly spaced (mostly {step:.3g} mm, but {steps[at]:.3g} mm between "
        f"{between}): put the slices of one scan into a folder of their own."
    )


def _read_pixels(slices: list[Slice]) -> np.ndarray:
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        if slices[0].frame is None:
            reader = sitk.ImageSeriesReader()
            reader.SetFileNames([str(one.path) for one in slices])
            if not all(one.whole_numbers for one in slices):
                reader.SetOutputPixelType(sitk.sitkFloat32)  # GDCM would take twice that
            return sitk.GetArrayFromImage(reader.Execute())
        output = sitk.sitkUnknown if all(one.whole_numbers for one in slices) else sitk.sitkFloat32
        files = {path: sitk.GetArrayFromImage(sitk.ReadImage(path, output)) for path in {one.path for one in slices}}
        return np.stack([files[one.path][one.frame] for one in slices])
    except RuntimeError as error:
        raise InputError(
            "The pixels of the series cannot be read, as a file is cut off or compressed in an unknown way: copy the "
            "series again or export it uncompressed."
        ) from error


def _text(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:.4g}" for value in values)
