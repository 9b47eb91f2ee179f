"""The header of one DICOM file, and the place of its pixels in the file.

Header and length of the pixels must agree before anything is decoded. A decoder that gets fewer bytes than expected leaves
the rest of its memory as it was, and that may be another patient's scan.
"""

from __future__ import annotations

import io
import os
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from ..source_files import open_regular
from .codestreams import syntax_of
from .sniff import begins_as_dicom
from .values import number, tag_of, text

# Only these elements are read, which halves the time.
KEYWORDS = (
    "SOPClassUID",
    "ImageType",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "AcquisitionTime",
    "ContentTime",
    "Modality",
    "PatientID",
    "PatientAge",
    "PatientBirthDate",
    "PatientName",
    "KVP",
    "TriggerTime",
    "NominalPercentageOfCardiacPhase",
    "SeriesDescription",
    "SliceThickness",
    "SpacingBetweenSlices",
    "ReconstructionDiameter",
    "ImagerPixelSpacing",
    "SliceLocationVector",
    "ObjectPixelSpacingInCenterOfBeam",
    "ConvolutionKernel",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "AcquisitionNumber",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceLocation",
    "TemporalPositionIdentifier",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleIntercept",
    "RescaleSlope",
    "ModalityLUTSequence",
    "GridFrameOffsetVector",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
_OVERLAY_BIT_POSITION = 0x60000102
_TAGS = [*map(tag_of, KEYWORDS), _OVERLAY_BIT_POSITION]
_PIXELS = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_UNDEFINED = 0xFFFFFFFF
_NATIVE = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian}
_LEAST_FRAGMENT = 8  # bytes of a frame's own item in compressed pixels
_MOST_SURPLUS = 4096  # bytes; some programs pad a file to whole blocks
_MOST_INFLATED = 1 << 30
_MOST_FRAMES = 20_000  # each takes time and memory before any pixel is read


class NotDicom(Exception):
    """The file is no DICOM image."""


class DamagedDicom(Exception):
    """A defect of a DICOM file, in words that follow 'it' or 'they' ("is cut off")."""


@dataclass(frozen=True)
class Layout:
    """Layout of the pixels of a file."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    real: bool  # floating point
    big_endian: bool

    @property
    def frame_bytes(self) -> int:
        """Size of one uncompressed frame."""
        return self.rows * self.columns * self.samples * self.bits_allocated // 8

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels in the file."""
        kind = "f" if self.real else "i" if self.signed else "u"
        return np.dtype(f"{'>' if self.big_endian else '<'}{kind}{self.bits_allocated // 8}")


@dataclass(frozen=True, eq=False)
class Header:
    """Header of a file, read without its pixels.

    Attributes
    ----------
    path : Path
    dataset : Dataset
        The elements named in `KEYWORDS`, as far as the file has them.
    keyword : str
        The element that holds the pixels; empty if there is none.
    offset, length : int
        Of that element's value in the file, in bytes; the length is -1 where the pixels are encapsulated (compressed).
    size : int
        Of the file in bytes.
    """

    path: Path
    dataset: Dataset
    keyword: str
    offset: int
    length: int
    size: int

    @property
    def modality(self) -> str:
        """Modality (0008,0060), in upper case."""
        return text(self.dataset, "Modality").upper()

    @property
    def sop_class(self) -> str:
        """SOP Class UID (0008,0016)."""
        return text(self.dataset, "SOPClassUID")

    @cached_property
    def samples(self) -> int:
        """Samples per pixel; 1 if the file does not say."""
        return int(number(self.dataset, "SamplesPerPixel") or 1)

    @cached_property
    def in_colour(self) -> bool:
        """Whether its pixels are colours or palette indices."""
        return self.samples > 1 or text(self.dataset, "PhotometricInterpretation").upper() == "PALETTE COLOR"

    @cached_property
    def patient(self) -> str:
        """The patient's number, or name; empty if the file gives none."""
        return text(self.dataset, "PatientID") or text(self.dataset, "PatientName")

    @property
    def encapsulated(self) -> bool:
        """Whether the pixels are compressed."""
        return self.length < 0

    @cached_property
    def syntax(self) -> UID:
        """The transfer syntax; recognised from the pixels where the file names none, or one that contradicts them."""
        given = self.dataset.file_meta.get("TransferSyntaxUID")
        if self.encapsulated and (given is None or UID(given) in _NATIVE):
            with open_dicom(self.path) as file:
                file.seek(self.offset)
                return UID(syntax_of(file.read(1 << 12)))
        if given is not None and (self.encapsulated or UID(given) in _NATIVE):
            return UID(given)
        implicit, little = self.dataset.original_encoding
        return ExplicitVRBigEndian if not little else ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian

    @cached_property
    def layout(self) -> Layout:
        """Layout of the pixels.

        Raises
        ------
        Damaged
            If the header contradicts itself, or the length of the pixels.
        """
        if not self.keyword:
            raise DamagedDicom("has no pixels")
        layout = _layout(self.dataset, self.keyword, self.length, self.syntax == ExplicitVRBigEndian)
        if self.encapsulated:
            if self.offset + layout.frames * _LEAST_FRAGMENT > self.size:
                raise DamagedDicom(f"is cut off, or has no {layout.frames} frames as its header says")
        else:
            _check_length(layout, self.length, self.size - self.offset)
        if layout.frames > _MOST_FRAMES:
            raise DamagedDicom(f"has {layout.frames} frames, more than a scan")
        return layout


def read_header(path: Path) -> Header:
    """Read a file's header.

    Raises
    ------
    NotDicom
        If the file is no DICOM image, but another kind of file.
    DamagedDicom
        If it is DICOM, but cannot be parsed.
    OSError
        If it cannot be opened.
    """
    with open_dicom(path) as file:
        pixel_elements: list[tuple[int, int, int]] = []

        def at_pixels(tag: int, _: str | None, length: int) -> bool:
            if tag in _PIXELS:
                pixel_elements.append((tag, file.tell(), length))
            return tag in _PIXELS

        try:
            dataset = read_partial(file, at_pixels, force=True, specific_tags=_TAGS)
            directory = dataset.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage
        except MemoryError:
            raise
        except Exception as error:  # pydicom raises many kinds of error on damaged files, RecursionError too
            raise DamagedDicom("is damaged") from error
        size = file.seek(0, os.SEEK_END)
    if directory:
        raise NotDicom
    if not len(dataset):
        raise DamagedDicom("is damaged")
    tag, offset, length = pixel_elements[0] if pixel_elements else (0, 0, 0)
    return Header(path, dataset, _PIXELS.get(tag, ""), offset, -1 if length == _UNDEFINED else length, size)


def has_overlay_bits(header: Header) -> bool:
    """Whether the unused bits of the pixels hold an overlay (retired in DICOM 2004)."""
    element = header.dataset.get(_OVERLAY_BIT_POSITION)
    return element is not None and bool(element.value)


def open_dicom(path: Path) -> BinaryIO:
    """Open a file; a deflated data set is inflated first.

    Raises
    ------
    NotDicom
        If it is no DICOM file.
    DamagedDicom
        If it cannot be inflated.
    OSError
        If it cannot be opened.
    """
    file = open_regular(path)
    try:
        if not begins_as_dicom(file):
            raise NotDicom
        file.seek(0)
        start = file.read(1024)
        file.seek(0)
        if DeflatedExplicitVRLittleEndian.encode() not in start:
            return file
        with file:
            return _inflated(file.read(), start)
    except BaseException:
        file.close()
        raise


def _inflated(content: bytes, start: bytes) -> BinaryIO:
    """The file with its data set inflated, up to `_MOST_INFLATED` bytes."""
    length_at = start.find(b"\x02\x00\x00\x00UL\x04\x00")
    if length_at < 0:
        raise DamagedDicom("is damaged")
    meta_ends = length_at + 12 + int.from_bytes(start[length_at + 8 : length_at + 12], "little")
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        body = stream.decompress(content[meta_ends:], _MOST_INFLATED)
    except zlib.error as error:
        raise DamagedDicom("is damaged") from error
    if not stream.eof:
        raise DamagedDicom("is cut off")
    plain = str(ExplicitVRLittleEndian).encode().ljust(len(DeflatedExplicitVRLittleEndian), b"\0")
    return io.BytesIO(content[:meta_ends].replace(str(DeflatedExplicitVRLittleEndian).encode(), plain, 1) + body)


def _layout(dataset: Dataset, keyword: str, length: int, big_endian: bool) -> Layout:
    def whole(name: str, default: int | None = None) -> int:
        value = number(dataset, name)
        if value is None and default is not None:
            return default
        if value is None or not value.is_integer() or not 0 <= value < 1 << 31:
            raise DamagedDicom(f"has no {name}, or an impossible one")
        return int(value)

    rows, columns, frames = whole("Rows"), whole("Columns"), whole("NumberOfFrames", 1) or 1
    if not rows or not columns:
        raise DamagedDicom("has no Rows or Columns")
    samples = whole("SamplesPerPixel", 1) or 1
    real = keyword != "PixelData"
    bits = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}.get(keyword)
    bits = bits or whole("BitsAllocated", _bits_of(length, rows * columns * frames * samples, dataset))
    if bits not in ((32, 64) if real else (8, 16, 32)):
        raise DamagedDicom(f"has pixels of {bits} bits, which are not grey values of 8, 16 or 32")
    stored = whole("BitsStored", bits) if not real else bits
    high = whole("HighBit", stored - 1) if not real else bits - 1
    if not 0 < stored <= high + 1 <= bits:
        stored, high = bits, bits - 1  # they contradict each other; the length decides whether BitsAllocated is right
    signed = bool(whole("PixelRepresentation", 0))
    return Layout(rows, columns, frames, samples, bits, stored, high, signed, real, big_endian)


def _bits_of(length: int, pixels: int, dataset: Dataset) -> int | None:
    """Bits Allocated where it is missing: from Bits Stored and the length of uncompressed pixels, which must agree."""
    stored = number(dataset, "BitsStored")
    by_stored = {bits for bits in (8, 16, 32) if stored is None or bits // 2 < max(stored, 5) <= bits}
    if length < 0:
        return by_stored.pop() if len(by_stored) == 1 else None
    by_length = (bits for bits in (8, 16, 32) if length - pixels * bits // 8 in (0, 1))  # 1: lengths are even
    return next((bits for bits in by_length if bits in by_stored), None)


def _check_length(layout: Layout, length: int, left: int) -> None:
    needed = layout.frames * layout.frame_bytes
    if min(length, left) < needed:
        cause = "is cut off" if left < length else "has fewer pixels than its header says"
        raise DamagedDicom(f"{cause} ({min(length, left)} bytes instead of {needed})")
    if length > needed + min(_MOST_SURPLUS, max(1, layout.frame_bytes // 2)):
        raise DamagedDicom(f"has more pixels than its header says ({length} bytes instead of {needed})")
