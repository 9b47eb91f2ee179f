"""Compressed pixels, decoded by pydicom with the packages that TeethSeg itself requires.

The set of readable files therefore does not depend on the installation. Runs in a process of its own (`decoder_process`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import JPEGExtended12Bit

from .codestreams import check_frame
from .headers import DamagedDicom, Header, open_dicom

_COMPRESSED = ("PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths")


def decode(header: Header, indices: Iterable[int]) -> Iterator[np.ndarray | str]:
    """Decode frames of a file; a frame that cannot be decoded gives the reason instead (words that follow 'it').

    Yields
    ------
    ndarray, shape (rows, columns), of `Layout.dtype` in this machine's byte order; or str

    Raises
    ------
    DamagedDicom
        If no frame can be read.
    """
    syntax, layout = header.syntax, header.layout
    name = f"'{syntax.name}'" if syntax else "an unknown way"
    shape, dtype = (layout.rows, layout.columns), layout.dtype.newbyteorder("=")
    try:
        dataset = _compressed(header)
        frames = list(generate_frames(dataset.PixelData, number_of_frames=layout.frames))
        decode_frame = _decoder(header, dataset, name)
    except (DamagedDicom, MemoryError):
        raise
    except Exception as error:  # pydicom raises many kinds of error on damaged files
        raise DamagedDicom("is damaged") from error
    if len(frames) != layout.frames:
        raise DamagedDicom(f"has {len(frames)} frames, not {layout.frames} as its header says")
    for index in indices:
        if why := check_frame(syntax, frames[index], *shape):
            yield why
            continue
        try:
            plane = decode_frame(index)
        except MemoryError:
            raise
        except DamagedDicom as error:
            yield str(error)
            continue
        except Exception:  # decoders raise many kinds of error
            yield f"cannot be decompressed ({name})"
            continue
        fits = plane.shape == shape and np.can_cast(plane.dtype, dtype)
        yield plane.astype(dtype, copy=False) if fits else "holds other pixels than its header says"


def _decoder(header: Header, dataset: Dataset, name: str) -> Callable[[int], np.ndarray]:
    """A function from the index of a frame to its pixels."""
    syntax = header.syntax
    if syntax == JPEGExtended12Bit and header.layout.bits_stored > 8:
        whole = cache(_decode_whole_file)
        return lambda index: whole(header)[index]
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise DamagedDicom(f"is compressed in {name}, which cannot be read") from error
    if not decoder.is_available:
        raise DamagedDicom(f"is compressed in {name}, which no installed package can read")
    plugin = (
        "pylibjpeg" if "pylibjpeg" in decoder.available_plugins else ""
    )  # the fastest; "" leaves the choice to pydicom
    return lambda index: decoder.as_array(dataset, index=index, raw=True, decoding_plugin=plugin)[0]


def _compressed(header: Header) -> Dataset:
    """The compressed pixels with the attributes that a decoder needs, taken from the interpreted header."""
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
    """All frames of a 12-bit JPEG file, by GDCM: pydicom needs a package under the GPL for them."""
    try:
        gdcm = import_module("gdcm")  # not in Slicer, which reads DICOM with a module of its own
    except ImportError as error:
        raise DamagedDicom("is compressed in a way that no installed package can read (12-bit JPEG)") from error
    layout = header.layout
    reader = gdcm.ImageReader()
    reader.SetFileName(str(header.path))
    if not reader.Read():
        raise DamagedDicom("cannot be decompressed ('JPEG Extended (Process 2 and 4)')")
    content = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")  # as GDCM's wrapping hands bytes over
    if len(content) != layout.frames * layout.frame_bytes:
        raise DamagedDicom("holds other pixels than its header says")
    return np.frombuffer(content, layout.dtype).reshape(layout.frames, layout.rows, layout.columns)
