"""DICOM files as tests need them: a file a slice, or many frames a file, in the shapes that scanners and viewers write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

from teethseg.volume import Volume

Place = Literal["frame", "shared", "header", ""]  # the part of a multi-frame file that holds a value; "" for none


def image(volume: Volume, **attributes) -> Dataset:
    """The header that all images of the tests share, with the given elements."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CTImageStorage, generate_uid(), "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Rows, dataset.Columns = volume.array.shape[1:]
    dataset.BitsAllocated = dataset.BitsStored = 8 * volume.array.itemsize if volume.array.itemsize in (1, 4) else 16
    dataset.HighBit, dataset.SamplesPerPixel = dataset.BitsStored - 1, 1
    dataset.PixelRepresentation = int(volume.array.dtype.kind != "u")
    dataset.PhotometricInterpretation = "MONOCHROME2"
    return _with(dataset, attributes)


def stored(array: np.ndarray) -> bytes:
    """Pixels of integers as a file keeps them: 16 bits, or the array's own 8 or 32."""
    size = array.itemsize if array.itemsize in (1, 4) else 2
    return array.astype(f"<u{size}" if array.dtype.kind == "u" else f"<i{size}").tobytes()


def write_series(
    folder: Path,
    volume: Volume,
    number: int = 1,
    description: str = "CBCT",
    keep: Iterable[int] | None = None,
    each: Mapping[str, Sequence[Any]] | None = None,
    without: Iterable[str] = (),
    **attributes,
) -> list[Path]:
    """One file a slice, whose names are not in the order of the slices; returned in the order of the slices.

    Parameters
    ----------
    keep : iterable of int, optional
        Slices to write; all unless given.
    each : mapping of str to sequence, optional
        Attributes with a value for every slice; None leaves the attribute out.
    without : iterable of str
        Attributes that no file has.
    attributes :
        Attributes of all files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    series, names = generate_uid(), np.random.default_rng(number).permutation(len(volume.array))
    paths = []
    for k in range(len(volume.array)) if keep is None else keep:
        dataset = image(volume, SeriesInstanceUID=series, SeriesNumber=number, SeriesDescription=description)
        dataset.StudyInstanceUID = "1.2.3"
        dataset.InstanceNumber = k + 1
        dataset.PixelSpacing = [volume.spacing[1], volume.spacing[0]]
        dataset.ImageOrientationPatient = orientation(volume)
        dataset.ImagePositionPatient = position(volume, k)
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
        dataset.PixelData = stored(volume.array[k])
        _with(dataset, attributes)
        _with(dataset, {name: values[k] for name, values in (each or {}).items()})
        _with(dataset, dict.fromkeys(without))
        paths.append(folder / f"{number}-{names[k]:03d}")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def orientation(volume: Volume) -> list[float]:
    return volume.direction[:, :2].T.ravel().tolist()


def position(volume: Volume, k: float) -> list[float]:
    return (volume.affine @ [0, 0, k, 1])[:3].tolist()


def change(path: Path, **attributes) -> None:
    """Set attributes of a file; None removes one."""
    dataset = pydicom.dcmread(path)
    _with(dataset, attributes).save_as(path)


def write_enhanced(
    path: Path,
    volume: Volume,
    order: Sequence[int] | None = None,
    spacing: Place = "shared",
    facing: Place = "shared",
    positions: Place = "frame",
    rescale: Place = "shared",
    slope: float = 1.0,
    intercept: float = 0.0,
    **attributes,
) -> None:
    """A multi-frame file with functional groups: each part of its geometry for each frame, shared, or in the header.

    Parameters
    ----------
    order : sequence of int, optional
        The slice that each frame shows.
    """
    order = range(len(volume.array)) if order is None else order
    dataset = image(volume, SOPClassUID=EnhancedCTImageStorage, SeriesInstanceUID=generate_uid(), SeriesNumber=1)
    dataset.StudyInstanceUID, dataset.NumberOfFrames = "1.2.3", len(order)
    shared, frames = Dataset(), [Dataset() for _ in order]

    def say(place: Place, sequence: str, values: Sequence[dict[str, Any]]) -> None:
        if place == "header":
            _with(dataset, values[0])
        for group, own in zip(frames if place == "frame" else [shared][: place == "shared"], values, strict=False):
            setattr(group, sequence, [_with(Dataset(), own)])

    count = len(order)
    say(spacing, "PixelMeasuresSequence", [{"PixelSpacing": [volume.spacing[1], volume.spacing[0]]}] * count)
    say(facing, "PlaneOrientationSequence", [{"ImageOrientationPatient": orientation(volume)}] * count)
    say(positions, "PlanePositionSequence", [{"ImagePositionPatient": position(volume, k)} for k in order])
    scale = {"RescaleSlope": slope, "RescaleIntercept": intercept, "RescaleType": "US"}
    say(rescale, "PixelValueTransformationSequence", [scale] * count)
    if len(shared):
        dataset.SharedFunctionalGroupsSequence = [shared]
    if any(map(len, frames)):
        dataset.PerFrameFunctionalGroupsSequence = frames
    dataset.PixelData = stored(volume.array[list(order)])
    _with(dataset, attributes).save_as(path, enforce_file_format=True)


def write_plain_multiframe(path: Path, volume: Volume, **attributes) -> None:
    """CT Image Storage with many frames: the header places the first; `attributes` give the distance of the next."""
    dataset = image(volume, SeriesInstanceUID=generate_uid(), SeriesNumber=1, StudyInstanceUID="1.2.3")
    dataset.NumberOfFrames = len(volume.array)
    dataset.PixelSpacing = [volume.spacing[1], volume.spacing[0]]
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = orientation(volume), position(volume, 0)
    dataset.PixelData = stored(volume.array)
    _with(dataset, attributes).save_as(path, enforce_file_format=True)


def write_picture(path: Path, volume: Volume, **attributes) -> None:
    """A page in colour, as reports and screenshots are."""
    page = image(
        volume, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SeriesInstanceUID="1.2.9", SeriesNumber=9, Modality="OT"
    )
    page.SamplesPerPixel, page.PhotometricInterpretation, page.PlanarConfiguration = 3, "RGB", 0
    page.BitsAllocated = page.BitsStored = 8
    page.HighBit, page.PixelRepresentation = 7, 0
    page.PixelData = bytes(int(np.prod(volume.array.shape[1:])) * 3)
    _with(page, attributes).save_as(path, enforce_file_format=True)


def nested(depth: int) -> Items:
    """Sequences within one another."""
    inner = Dataset()
    for _ in range(depth):
        outer = Dataset()
        outer.ReferencedSeriesSequence = [inner]
        inner = outer
    return Items([inner])


def _with(dataset: Dataset, attributes: Mapping[str, Any]) -> Dataset:
    for name, value in attributes.items():
        if value is not None:
            setattr(dataset, name, value)
        elif name in dataset:
            delattr(dataset, name)
    return dataset
