"""Stored pixels of frames: uncompressed ones are read straight into the array, the others are decoded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain

import numpy as np
import psutil

from ..voxel_data import read_into
from .decoder_process import decoded
from .frames import Frame
from .headers import DamagedDicom, Header, NotDicom, open_dicom

_USABLE_MEMORY = 0.9  # share of the free memory that the pixels may take


def read_pixels(frames: Sequence[Frame]) -> tuple[np.ndarray, dict[int, str]]:
    """The stored pixels of frames of one size, in their order.

    Returns
    -------
    ndarray, shape (K, rows, columns)
        Of a type that holds the pixels of all frames, in this machine's byte order. Zero where a frame could not be read.
    dict of int to str
        Reasons why frames could not be read (words that follow 'it'), by index in `frames`.

    Raises
    ------
    MemoryError
        If this computer has not enough memory free.
    """
    dtype = np.result_type(*{frame.header.layout.dtype.newbyteorder("=") for frame in frames})
    shape = (len(frames), *frames[0].shape)
    if np.prod(shape, dtype=float) * dtype.itemsize > _USABLE_MEMORY * psutil.virtual_memory().available:
        raise MemoryError
    pixels = np.empty(shape, dtype)
    failed: dict[int, str] = {}
    files: dict[Header, list[int]] = defaultdict(list)
    for index, frame in enumerate(frames):
        files[frame.header].append(index)
    for header, indices in files.items():
        if not header.encapsulated:
            failed |= _read_uncompressed(header, {index: (frames[index].index, pixels[index]) for index in indices})
    compressed = {header: indices for header, indices in files.items() if header.encapsulated}
    requests = [(header, [frames[index].index for index in indices]) for header, indices in compressed.items()]
    for index, plane in zip(chain.from_iterable(compressed.values()), decoded(requests), strict=True):
        if isinstance(plane, str):
            failed[index] = plane
        else:
            pixels[index] = plane
    for index in failed:
        pixels[index] = 0
    return pixels, failed


def _read_uncompressed(header: Header, targets: dict[int, tuple[int, np.ndarray]]) -> dict[int, str]:
    """Read frames of an uncompressed file.

    Parameters
    ----------
    header : Header
    targets : dict of int to (int, ndarray)
        By index in the result: the frame's index in the file, and the plane to fill.

    Returns
    -------
    dict of int to str
        Reasons of failures, by index in the result.
    """
    layout = header.layout
    failed: dict[int, str] = {}
    try:
        with open_dicom(header.path) as file:
            for position, (index, target) in targets.items():
                file.seek(header.offset + index * layout.frame_bytes)
                direct = target.dtype == layout.dtype
                plane = target if direct else np.empty(target.shape, layout.dtype)
                if read_into(file, plane) != layout.frame_bytes:
                    failed[position] = "is cut off"  # since its header was read
                elif not direct:
                    target[:] = plane
    except (DamagedDicom, NotDicom, OSError):
        return dict.fromkeys(targets, "cannot be read")
    return failed
