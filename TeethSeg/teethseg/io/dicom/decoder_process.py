"""Compressed pixels are decoded in another process, because decoders are C libraries that a damaged file can crash or hang.

The process receives file names and frame indices as JSON. It returns the frames in the same order; a marker byte before each
says whether pixels or an error text follow.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...errors import is_lack_of_memory
from ...parent_process import end_with_parent
from ..json_text import json_text
from ..voxel_data import read_into
from .headers import DamagedDicom, Header, NotDicom, read_header

FRAME_TIMEOUT = 120.0  # seconds that one frame, or the start of the process, may take
_PIXELS, _REASON = b"\0", b"\1"
_LENGTH = struct.Struct("<I")
if sys.platform == "win32":
    _NO_WINDOW = subprocess.CREATE_NO_WINDOW
else:
    _NO_WINDOW = 0
_FAILED = "made the decoder fail"
_NO_MEMORY = "did not fit into the memory of the decoder"
_RUN = "from teethseg.io.dicom.decoder_process import main; main()"


def decoded(
    frames_by_file: Sequence[tuple[Header, Sequence[int]]], timeout: float | None = None
) -> Iterator[np.ndarray | str]:
    """Decode frames; a frame that cannot be decoded gives the reason instead (words that follow 'it').

    Parameters
    ----------
    frames_by_file : sequence of (Header, sequence of int)
        Files, and the indices of their frames.
    timeout : float, optional
        Seconds after which a silent decoder is ended; `FRAME_TIMEOUT` unless given.

    Yields
    ------
    ndarray, shape (rows, columns), of `Layout.dtype` in this machine's byte order; or str

    Raises
    ------
    MemoryError
        If the decoder has too little memory.
    """
    if not frames_by_file:
        return
    process = _start()
    try:
        request = json_text([[os.fspath(header.path), list(indices)] for header, indices in frames_by_file]).encode()
        threading.Thread(target=_write_request, args=(process.stdin, request), daemon=True).start()
        for header, indices in frames_by_file:
            layout = header.layout
            for _ in indices:
                frame_or_reason = _next_frame(
                    process, (layout.rows, layout.columns), layout.dtype.newbyteorder("="), timeout or FRAME_TIMEOUT
                )
                if isinstance(frame_or_reason, str) and frame_or_reason == _NO_MEMORY:
                    raise MemoryError
                yield frame_or_reason
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def main() -> None:
    """Decode the frames that standard input names; this runs in the decoder process."""
    end_with_parent()
    output = os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("wb") as null_device:
        os.dup2(null_device.fileno(), 1)  # decoders write messages to standard output
    for path, indices in json.load(sys.stdin.buffer):
        for plane in _decode_file(Path(path), indices):
            if isinstance(plane, str):
                reason = plane.encode("utf-8", "replace")
                output.write(_REASON + _LENGTH.pack(len(reason)) + reason)
            else:
                output.write(_PIXELS + plane.tobytes())
        output.flush()
    os._exit(0)  # C libraries may also crash when they are unloaded


def _start() -> subprocess.Popen:
    library = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, (library, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-c", _RUN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
        creationflags=_NO_WINDOW,
    )


def _write_request(stream: BinaryIO, request: bytes) -> None:
    try:
        with stream:
            stream.write(request)
    except OSError:  # the process has ended; the missing frames report that
        pass


def _next_frame(process: subprocess.Popen, shape: tuple[int, int], dtype: np.dtype, timeout: float) -> np.ndarray | str:
    """The next frame or error text; `_FAILED` if the process has ended or was silent for too long."""
    assert process.stdout is not None  # it is a pipe
    plane = np.empty(shape, dtype)
    watchdog = threading.Timer(timeout, process.kill)
    watchdog.start()
    try:
        marker = process.stdout.read(1)
        if marker == _REASON:
            length = process.stdout.read(_LENGTH.size)
            return process.stdout.read(*_LENGTH.unpack(length)).decode() if len(length) == _LENGTH.size else _FAILED
        complete = marker == _PIXELS and read_into(process.stdout, plane) == plane.nbytes
        return plane if complete else _FAILED
    finally:
        watchdog.cancel()


def _decode_file(path: Path, indices: Sequence[int]) -> Iterator[np.ndarray | str]:
    done = 0
    try:
        from .decoding import decode  # pydicom's decoders, in this process only

        for plane in decode(read_header(path), indices):
            done += 1
            yield plane
    except (DamagedDicom, NotDicom, OSError, ImportError, MemoryError) as error:
        reason = str(error) if isinstance(error, DamagedDicom) else "cannot be read"
        yield from [_NO_MEMORY if is_lack_of_memory(error) else reason] * (len(indices) - done)
