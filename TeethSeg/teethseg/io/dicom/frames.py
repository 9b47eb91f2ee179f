"""Frames: planes of pixels with their place in the patient, one list whether each has a file or many share one.

A multi-frame file says some things once for all frames and others for each, in functional groups or in its header, and
makers mix these freely. Here each frame is asked for a value in its own groups first, then in the shared ones, then in the
header, so that all rules about geometry work on frames alone.

References
----------
DICOM PS3.3, C.7.6.2 (image plane), C.7.6.16 (functional groups), C.8.8.3.2 (grid frame offset vector).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from .headers import Header
from .values import items, numbers, text

# What tells acquisitions and reconstructions in one series apart; the first that parts them is believed.
MARKS = {
    "AcquisitionNumber": "acquisition number",
    "FrameAcquisitionNumber": "acquisition number",
    "ImageType": "image type",
    "FrameType": "image type",
    "ConvolutionKernel": "kernel",
    "TemporalPositionIdentifier": "temporal position",
    "TemporalPositionIndex": "temporal position",
    "StackID": "stack",
    "AcquisitionTime": "acquisition time",
    "TriggerTime": "trigger time",
    "NominalPercentageOfCardiacPhase": "cardiac phase",
    "KVP": "tube voltage",
    "SeriesNumber": "series number",
    "ContentTime": "time",
}
MAGNIFIED = "pixel spacing of the detector"
FROM_DIAMETER = "pixel spacing from the diameter"
NO_RESCALING = "rescaling"
LOOKUP_TABLE = "lookup table"

Vector = tuple[float, ...]


@dataclass(frozen=True)
class Frame:
    """One plane of pixels: a file, or a frame of a multi-frame file. Millimetres, LPS.

    Attributes
    ----------
    header : Header
        Of the file.
    index : int
        Of the frame in the file, from 0.
    shape : (int, int)
        Rows and columns.
    position : (float, float, float), optional
        Centre of the first pixel.
    orientation : (float, ...) of 6, optional
        Unit vectors along a row and down a column.
    spacing : (float, float), optional
        Between rows, and between columns.
    step, thickness : float, optional
        Distance to the next frame along the normal as the header gives it (below 0: against the normal), and how thick a
        slice is; only used where positions do not tell.
    offset : float, optional
        Where the header gives that instead of positions: from the first frame, along the normal.
    location, number : float, optional
        Slice location and instance number.
    rescaling : (float, float), optional
        Slope and intercept, from pixels to grey values.
    marks : tuple of str
        Values of `MARKS`, in their order.
    assumed : frozenset of str
        What about this frame had to be assumed.
    """

    header: Header
    index: int
    shape: tuple[int, int]
    position: Vector | None
    orientation: Vector | None
    spacing: Vector | None
    step: float | None
    thickness: float | None
    offset: float | None
    location: float | None
    number: float | None
    rescaling: Vector | None
    marks: tuple[str, ...]
    assumed: frozenset[str] = frozenset()

    @property
    def image_type(self) -> str:
        """Image Type and Frame Type, in upper case."""
        return "\\".join(self.mark(keyword) for keyword in ("ImageType", "FrameType")).upper()

    def mark(self, keyword: str) -> str:
        """The value of one of the `MARKS`."""
        return self.marks[list(MARKS).index(keyword)]

    @property
    def path(self) -> Path:
        """The file that holds the frame."""
        return self.header.path

    @property
    def name(self) -> str:
        """File name, with the frame's number if the file holds several."""
        alone = self.header.layout.frames == 1
        return self.path.name if alone else f"frame {self.index + 1} of {self.path.name}"


def frames_of(header: Header) -> list[Frame]:
    """The frames of a file, in its order.

    Raises
    ------
    Damaged
        If the header contradicts itself or the length of the pixels.
    """
    count = header.layout.frames  # checked against the size of the file: no header can ask for a million frames
    shared = [
        macro for group in items(header.dataset, "SharedFunctionalGroupsSequence")[:1] for macro in _macros(group)
    ]
    groups = items(header.dataset, "PerFrameFunctionalGroupsSequence")
    sources = [
        _Sources([*(_macros(groups[index]) if index < len(groups) else []), *shared, header.dataset])
        for index in range(count)
    ]
    offsets = _offsets(header.dataset, count, sources[0])
    return [_frame(header, index, own, offsets[index]) for index, own in enumerate(sources)]


class _Sources:
    """Data sets to look a value up in, the nearest to the frame first."""

    def __init__(self, datasets: Sequence[Dataset]):
        self._datasets = datasets

    def vector(self, keyword: str, count: int, least: float = -math.inf) -> Vector | None:
        """The first vector of finite numbers, all above `least`."""
        for dataset in self._datasets:
            values = numbers(dataset, keyword, count)
            if values and all(math.isfinite(value) and value > least for value in values):
                return values
        return None

    def value(self, keyword: str, least: float = -math.inf) -> float | None:
        vector = self.vector(keyword, 1, least)
        return vector[0] if vector else None

    def any_value(self, keyword: str) -> float | None:
        """The first number, whether it makes sense or not."""
        found = (numbers(dataset, keyword) for dataset in self._datasets)
        return next((values[0] for values in found if values), None)

    def text(self, keyword: str) -> str:
        return next(filter(None, (text(dataset, keyword) for dataset in self._datasets)), "")


def _macros(group: Dataset) -> list[Dataset]:
    """The first item of each sequence in a functional group."""
    return [element.value[0] for element in group if element.VR == "SQ" and element.value]


def _frame(header: Header, index: int, sources: _Sources, offset: float | None) -> Frame:
    layout = header.layout
    spacing, assumed = _spacing(sources, layout.columns)
    rescaling, remarks = _rescaling(sources, header.dataset)
    return Frame(
        header,
        index,
        (layout.rows, layout.columns),
        sources.vector("ImagePositionPatient", 3),
        unit_orientation(sources.vector("ImageOrientationPatient", 6)),
        spacing,
        sources.value("SpacingBetweenSlices") or None,
        sources.value("SliceThickness", 0),
        offset,
        sources.value("SliceLocation"),
        sources.value("InstanceNumber"),
        rescaling,
        tuple(map(sources.text, MARKS)),
        assumed | remarks,
    )


def unit_orientation(vectors: Vector | None) -> Vector | None:
    """Both vectors of an orientation made perpendicular and one long, as rounding left them nearly; None if they are not."""
    if vectors is None:
        return None
    row, column = np.reshape(vectors, (2, 3))
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < 0.9 or max(lengths) > 1.1:
        return None
    row, column = row / lengths[0], column / lengths[1]
    if abs(row @ column) > 0.02:
        return None
    column = column - (row @ column) * row
    return (*row.tolist(), *(column / np.linalg.norm(column)).tolist())


def _spacing(sources: _Sources, columns: int) -> tuple[Vector | None, frozenset[str]]:
    for keyword in ("PixelSpacing", "ObjectPixelSpacingInCenterOfBeam"):
        if spacing := sources.vector(keyword, 2, 0):
            return spacing, frozenset()
        if side := sources.value(keyword, 0):  # written once for both
            return (side, side), frozenset()
    if spacing := sources.vector("ImagerPixelSpacing", 2, 0):
        return spacing, frozenset([MAGNIFIED])
    if diameter := sources.value("ReconstructionDiameter", 0):
        return (diameter / columns,) * 2, frozenset([FROM_DIAMETER])
    return None, frozenset()


def _rescaling(sources: _Sources, header: Dataset) -> tuple[Vector | None, frozenset[str]]:
    slope, intercept = sources.any_value("RescaleSlope"), sources.any_value("RescaleIntercept")
    remarks = [LOOKUP_TABLE] if slope is None and "ModalityLUTSequence" in header else []
    if slope == 0 or not all(value is None or abs(value) < 1e30 for value in (slope, intercept)):
        return (1.0, 0.0), frozenset([*remarks, NO_RESCALING])
    if slope is None and intercept is None:
        return None, frozenset(remarks)
    return (1.0 if slope is None else slope, intercept or 0.0), frozenset(remarks)


def _offsets(header: Dataset, count: int, first: _Sources) -> Sequence[float | None]:
    """Where the frames of a file lie along its normal, relative to the first.

    Offsets begin with 0. Other values are places, and grow with the patient's axis whichever way the normal points.
    """
    for keyword in ("GridFrameOffsetVector", "SliceLocationVector"):
        values = numbers(header, keyword, count)
        if count > 1 and values and np.isfinite(values).all():
            way = 1.0 if values[0] == 0 else _way_of_normal(first.vector("ImageOrientationPatient", 6))
            return [way * (value - values[0]) for value in values]
    return [None] * count


def _way_of_normal(vectors: Vector | None) -> float:
    """1 if the normal of a plane points the way that the patient's nearest axis does, else -1."""
    orientation = unit_orientation(vectors)
    if orientation is None:
        return 1.0
    normal = np.cross(orientation[:3], orientation[3:])
    return float(np.sign(normal[np.abs(normal).argmax()]))
