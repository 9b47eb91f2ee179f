"""Pixels of frames, as they are stored: read straight into the array where they are not compressed, else decoded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain

import numpy as np
import psutil

from .decoder_process import decoded
from .frames import Frame
from .headers import Damaged, Header, NotDicom, open_dicom

_SPARE_MEMORY = 0.9  # of what is free may be taken


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
        if not header.encapsulated:
            failed |= _read(header, {at: (frames[at].index, pixels[at]) for at in own})
    compressed = {header: own for header, own in files.items() if header.encapsulated}
    order = [(header, [frames[at].index for at in own]) for header, own in compressed.items()]
    for at, plane in zip(chain.from_iterable(compressed.values()), decoded(order), strict=True):
        if isinstance(plane, str):
            failed[at] = plane
        else:
            pixels[at] = plane
    for at in failed:
        pixels[at] = 0
    return pixels, failed


def _read(header: Header, targets: dict[int, tuple[int, np.ndarray]]) -> dict[int, str]:
    """Read frames of a file, by their index, into their planes; which failed, and why."""
    layout, failed = header.layout, {}
    try:
        with open_dicom(header.path) as file:
            for at, (index, target) in targets.items():
                file.seek(header.offset + index * layout.frame_bytes)
                direct = target.dtype == layout.dtype
                plane = target if direct else np.empty(target.shape, layout.dtype)
                if file.readinto(memoryview(plane).cast("B")) != layout.frame_bytes:
                    failed[at] = "is cut off"  # since its header was read
                elif not direct:
                    target[:] = plane
    except (Damaged, NotDicom, OSError):
        return dict.fromkeys(targets, "cannot be read")
    return failed
