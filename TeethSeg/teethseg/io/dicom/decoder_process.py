"""Compressed pixels decoded in another process, because decoders are C libraries that a damaged file can crash or hang.

The order goes to the process as JSON; the pixels come back in that order, a byte that says whether there are any before each.
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
from .headers import Damaged, Header, NotDicom, read_header

PATIENCE = 120.0  # seconds that one frame, or the start, may take
_PIXELS, _REASON = b"\0", b"\1"
_LENGTH = struct.Struct("<I")
_FAILED = "made the decoder fail"
_NO_MEMORY = "did not fit into the memory of the decoder"
_RUN = "from teethseg.io.dicom.decoder_process import main; main()"


def decoded(order: Sequence[tuple[Header, Sequence[int]]], patience: float | None = None) -> Iterator[np.ndarray | str]:
    """Pixels of frames, or why they could not be decoded (words that follow 'it').

    Parameters
    ----------
    order : sequence of (Header, sequence of int)
        Files, and the indices of their frames.
    patience : float, optional
        Seconds after which a decoder that says nothing is ended; `PATIENCE` unless given.

    Yields
    ------
    ndarray, shape (rows, columns), of `Layout.dtype` in this machine's byte order; or str

    Raises
    ------
    MemoryError
        If the decoder has too little.
    """
    if not order:
        return
    process = _start()
    try:
        request = json_text([[os.fspath(header.path), list(indices)] for header, indices in order]).encode()
        threading.Thread(target=_send, args=(process.stdin, request), daemon=True).start()
        for header, indices in order:
            layout = header.layout
            for _ in indices:
                answer = _answer(
                    process, (layout.rows, layout.columns), layout.dtype.newbyteorder("="), patience or PATIENCE
                )
                if isinstance(answer, str) and answer == _NO_MEMORY:
                    raise MemoryError
                yield answer
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def main() -> None:
    """Decode the frames that standard input names, in the process of its own."""
    end_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # decoders write to it
    for path, indices in json.load(sys.stdin.buffer):
        for plane in _decoded(Path(path), indices):
            if isinstance(plane, str):
                reason = plane.encode("utf-8", "replace")
                answers.write(_REASON + _LENGTH.pack(len(reason)) + reason)
            else:
                answers.write(_PIXELS + plane.tobytes())
        answers.flush()
    os._exit(0)  # the ends of C libraries may crash, too


def _start() -> subprocess.Popen:
    library = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join(filter(None, (library, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-c", _RUN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
        creationflags=subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0,
    )


def _send(stream: BinaryIO, request: bytes) -> None:
    try:
        with stream:
            stream.write(request)
    except OSError:  # the process is gone, which its missing answer tells
        pass


def _answer(process: subprocess.Popen, shape: tuple[int, int], dtype: np.dtype, patience: float) -> np.ndarray | str:
    """The next answer; a process that is gone, or silent for too long, answers nothing more."""
    plane = np.empty(shape, dtype)
    watchdog = threading.Timer(patience, process.kill)
    watchdog.start()
    try:
        kind = process.stdout.read(1)
        if kind == _REASON:
            length = process.stdout.read(_LENGTH.size)
            return process.stdout.read(*_LENGTH.unpack(length)).decode() if len(length) == _LENGTH.size else _FAILED
        whole = kind == _PIXELS and process.stdout.readinto(memoryview(plane).cast("B")) == plane.nbytes
        return plane if whole else _FAILED
    finally:
        watchdog.cancel()


def _decoded(path: Path, indices: Sequence[int]) -> Iterator[np.ndarray | str]:
    given = 0
    try:
        from .decoding import decode  # pydicom's decoders, in this process only

        for plane in decode(read_header(path), indices):
            given += 1
            yield plane
    except (Damaged, NotDicom, OSError, ImportError, MemoryError) as error:
        reason = str(error) if isinstance(error, Damaged) else "cannot be read"
        yield from [_NO_MEMORY if is_lack_of_memory(error) else reason] * (len(indices) - given)
