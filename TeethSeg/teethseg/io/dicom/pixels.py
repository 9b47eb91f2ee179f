"""Pixels of frames, as they are stored: read where they are not compressed, decoded where they are.

Uncompressed pixels are read straight into the array. Compressed ones go through pydicom's decoders; those that pydicom
leaves to other packages are among TeethSeg's own requirements, so that it is not the installation that decides what opens.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module

import numpy as np
import psutil
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import JPEGExtended12Bit

from .codestreams import check_frame
from .frames import Frame
from .headers import Damaged, Header, NotDicom, open_dicom

_UNREAD = "cannot be read"
_SPARE_MEMORY = 0.9  # of what is free may be taken
_COMPRESSED = ("PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths")


def read_pixels(frames: Sequence[Frame]) -> tuple[np.ndarray, dict[int, str]]:
    """The stored pixels of frames of one size, in their order.

    Returns
    -------
    ndarray, shape (K, rows, columns)
        Of a type that holds the pixels of all; this machine's byte order. Zero where a frame could not be read.
    dict of int to str
        Which frames could not be read, and why (words that follow 'it').

    Raises
    ------
    MemoryError
        If this computer has not enough memory free.
    """
    dtype = np.result_type(*{frame.header.layout.dtype.newbyteorder("=") for frame in frames})
    shape = (len(frames), *frames[0].shape)
    if np.prod(shape, dtype=float) * dtype.itemsize > _SPARE_MEMORY * psutil.virtual_memory().available:
        raise MemoryError
    pixels, failed = np.empty(shape, dtype), {}
    files: dict[Header, list[int]] = defaultdict(list)
    for at, frame in enumerate(frames):
        files[frame.header].append(at)
    for header, own in files.items():
        read = _decode if header.encapsulated else _read
        try:
            bad = read(header, {frames[at].index: pixels[at] for at in own})
        except (Damaged, NotDicom, OSError) as error:
            bad = dict.fromkeys((frames[at].index for at in own), str(error) if isinstance(error, Damaged) else _UNREAD)
        failed |= {at: bad[frames[at].index] for at in own if frames[at].index in bad}
    for at in failed:
        pixels[at] = 0
    return pixels, failed


def _read(header: Header, targets: dict[int, np.ndarray]) -> dict[int, str]:
    """Read frames of a file into their planes; which failed, and why."""
    layout, failed = header.layout, {}
    with open_dicom(header.path) as file:
        for index, target in targets.items():
            file.seek(header.offset + index * layout.frame_bytes)
            direct = target.dtype == layout.dtype
            plane = target if direct else np.empty(target.shape, layout.dtype)
            if file.readinto(memoryview(plane).cast("B")) != layout.frame_bytes:
                failed[index] = "is cut off"  # since its header was read
            elif not direct:
                target[:] = plane
    return failed


def _decode(header: Header, targets: dict[int, np.ndarray]) -> dict[int, str]:
    """Decode frames of a file into their planes; which failed, and why."""
    syntax, layout = header.syntax, header.layout
    name = f"'{syntax.name}'" if syntax else "an unknown way"
    failed = {}
    try:
        dataset = _compressed(header)
        frames = list(generate_frames(dataset.PixelData, number_of_frames=layout.frames))
        decode = _decoder(header, dataset, name)
    except (Damaged, MemoryError):
        raise
    except Exception as error:  # damaged files make pydicom raise nearly anything
        raise Damaged("is damaged") from error
    if len(frames) != layout.frames:
        raise Damaged(f"has {len(frames)} frames, not {layout.frames} as its header says")
    for index, target in targets.items():
        if why := check_frame(syntax, frames[index], *target.shape):
            failed[index] = why
            continue
        try:
            plane = decode(index)
        except MemoryError:
            raise
        except Exception:  # decoders raise nearly anything
            failed[index] = f"cannot be decompressed ({name})"
            continue
        if plane.shape != target.shape or not np.can_cast(plane.dtype, target.dtype):
            failed[index] = "holds other pixels than its header says"
        else:
            target[:] = plane
    return failed


def _decoder(header: Header, dataset: Dataset, name: str) -> Callable[[int], np.ndarray]:
    """From the index of a frame to its pixels."""
    syntax = header.syntax
    if syntax == JPEGExtended12Bit and header.layout.bits_stored > 8:
        whole = cache(_decode_whole_file)
        return lambda index: whole(header)[index]
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise Damaged(f"is compressed in {name}, which cannot be read") from error
    if not decoder.is_available:
        raise Damaged(f"is compressed in {name}, which nothing that is installed can read")
    plugin = "pylibjpeg" if "pylibjpeg" in decoder.available_plugins else ""  # the fastest; else whichever can
    return lambda index: decoder.as_array(dataset, index=index, raw=True, decoding_plugin=plugin)[0]


def _compressed(header: Header) -> Dataset:
    """What a decoder must know, each from the header as it was understood."""
    with open_dicom(header.path) as file:
        dataset = dcmread(file, force=True, specific_tags=list(_COMPRESSED))
    layout = header.layout
    dataset.file_meta.TransferSyntaxUID = header.syntax
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = layout.rows, layout.columns, layout.frames
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (
        layout.bits_allocated,
        layout.bits_stored,
        layout.high_bit,
    )
    dataset.PixelRepresentation = int(layout.signed)
    return dataset


def _decode_whole_file(header: Header) -> np.ndarray:
    """All frames of JPEG with 12 bits, which pydicom leaves to a package under the GPL; GDCM's own reader knows it."""
    try:
        gdcm = import_module("gdcm")  # not in Slicer, which reads DICOM with a module of its own
    except ImportError as error:
        raise Damaged("is compressed in a way that nothing that is installed can read (12-bit JPEG)") from error
    layout = header.layout
    reader = gdcm.ImageReader()
    reader.SetFileName(str(header.path))
    if not reader.Read():
        raise Damaged("cannot be decompressed ('JPEG Extended (Process 2 and 4)')")
    content = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")  # as GDCM's wrapping hands bytes over
    if len(content) != layout.frames * layout.frame_bytes:
        raise Damaged("holds other pixels than its header says")
    return np.frombuffer(content, layout.dtype).reshape(layout.frames, layout.rows, layout.columns)
