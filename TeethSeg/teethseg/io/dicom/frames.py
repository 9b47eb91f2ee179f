"""Frames: planes of pixels with their position in the patient, whether each has a file of its own or many share one.

A multi-frame file gives some attributes once for all frames and others for each frame, in functional groups or in its
header, and manufacturers mix these freely. The value of a frame comes from its own groups first, then from the shared ones,
then from the header. All rules about geometry therefore work on frames alone.

References
----------
DICOM PS3.3, C.7.6.2 (image plane), C.7.6.16 (functional groups), C.8.8.3.2 (grid frame offset vector).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom.dataset import Dataset

from .headers import Header
from .values import items, numbers, text

# Attributes that distinguish acquisitions and reconstructions in one series; the first one that splits the series is used.
ACQUISITION_ATTRIBUTES = {
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


class Plane(NamedTuple):
    """Complete geometry of a frame, in LPS mm; fields as in `Frame`."""

    position: Vector
    orientation: Vector
    spacing: Vector

    @property
    def row_and_column(self) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors along a row and down a column."""
        row, column = np.reshape(self.orientation, (2, 3))
        return row, column

    @property
    def normal(self) -> np.ndarray:
        """Unit normal; row, column and normal are right-handed."""
        return np.cross(*self.row_and_column)


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
        Distance to the next frame along the normal as the header gives it (negative: against the normal), and slice
        thickness; only used where positions are missing.
    offset : float, optional
        Distance from the first frame along the normal, where the header gives offsets instead of positions.
    location, number : float, optional
        Slice location and instance number.
    rescaling : (float, float), optional
        Slope and intercept, from pixels to grey values.
    marks : tuple of str
        Values of `ACQUISITION_ATTRIBUTES`, in their order.
    assumed : frozenset of str
        Assumptions about this frame (`MAGNIFIED`, `FROM_DIAMETER` and so on).
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
    rescaling: tuple[float, float] | None
    acquisition: tuple[str, ...]
    assumed: frozenset[str] = frozenset()

    @property
    def plane(self) -> Plane:
        """Position, orientation and spacing, once `frame_geometry.with_positions` has completed them.

        Raises
        ------
        ValueError
            If one of them is missing.
        """
        if self.position is None or self.orientation is None or self.spacing is None:
            raise ValueError(f"{self.name} has no complete geometry")
        return Plane(self.position, self.orientation, self.spacing)

    @property
    def image_type(self) -> str:
        """Image Type and Frame Type, in upper case."""
        return "\\".join(self.acquisition_attribute(keyword) for keyword in ("ImageType", "FrameType")).upper()

    def acquisition_attribute(self, keyword: str) -> str:
        """The value of one of the `ACQUISITION_ATTRIBUTES`."""
        return self.acquisition[list(ACQUISITION_ATTRIBUTES).index(keyword)]

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
    """The frames of a file, in file order.

    Raises
    ------
    DamagedDicom
        If the header contradicts itself or the length of its pixels.
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
    return [_frame(header, index, frame_sources, offsets[index]) for index, frame_sources in enumerate(sources)]


class _Sources:
    """Data sets in which a frame's values are looked up, the most specific first."""

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
        """The first number, even if it is not finite."""
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
    rescaling, assumptions = _rescaling(sources, header.dataset)
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
        tuple(map(sources.text, ACQUISITION_ATTRIBUTES)),
        assumed | assumptions,
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


def _rescaling(sources: _Sources, header: Dataset) -> tuple[tuple[float, float] | None, frozenset[str]]:
    slope, intercept = sources.any_value("RescaleSlope"), sources.any_value("RescaleIntercept")
    assumptions = [LOOKUP_TABLE] if slope is None and "ModalityLUTSequence" in header else []
    if slope == 0 or not all(value is None or abs(value) < 1e30 for value in (slope, intercept)):
        return (1.0, 0.0), frozenset([*assumptions, NO_RESCALING])
    if slope is None and intercept is None:
        return None, frozenset(assumptions)
    return (1.0 if slope is None else slope, intercept or 0.0), frozenset(assumptions)


def _offsets(header: Dataset, count: int, first: _Sources) -> Sequence[float | None]:
    """Offsets of the frames of a file along its normal, in mm from the first.

    Offset vectors begin with 0. Other vectors hold slice locations, which grow along the patient's axis whichever way the
    normal points.
    """
    for keyword in ("GridFrameOffsetVector", "SliceLocationVector"):
        values = numbers(header, keyword, count)
        if count > 1 and values and np.isfinite(values).all():
            sign = 1.0 if values[0] == 0 else _normal_sign(first.vector("ImageOrientationPatient", 6))
            return [sign * (value - values[0]) for value in values]
    return [None] * count


def _normal_sign(vectors: Vector | None) -> float:
    """1 if the normal of a plane points along the nearest axis of the patient, -1 if against it."""
    orientation = unit_orientation(vectors)
    if orientation is None:
        return 1.0
    normal = np.cross(orientation[:3], orientation[3:])
    return float(np.sign(normal[np.abs(normal).argmax()]))
