"""Reads voxels from files into arrays: exactly as many as the header declares.

Compressed streams are decompressed piece by piece into the array itself, and never past its end, so that a decompression bomb
takes no more memory than its header declares. Streams are read to their end, and their checksums (Adler-32 of zlib, CRC-32
and length of gzip, CRC-32 of bzip2) are verified.
"""

from __future__ import annotations

import bz2
import io
import math
import zlib
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import IO, BinaryIO, Literal, cast

import numpy as np

from .source_files import DamagedFile, open_regular, size_of

Encoding = Literal["raw", "zlib", "gzip", "bzip2", "text"]

# Largest ratio of decoded to stored bytes; in text, a number of up to eight bytes takes at least two characters.
_MOST_GAIN = {"raw": 1, "zlib": 1032, "gzip": 1032, "bzip2": 1 << 21, "text": 4}
_PIECE = 1 << 18  # bytes read from a file at a time
_STRETCH = 1 << 22  # bytes of the array filled at a time
_PADDING = 4096  # bytes; some programs pad a file with zeros to whole blocks
_LONGEST_NUMBER = 40  # characters of a number in text, with the space after it


def read_voxels(
    shape: Sequence[int],
    dtype: np.dtype,
    sources: Sequence[BinaryIO | Path],
    encoding: Encoding,
    begin: Callable[[BinaryIO], None] = lambda file: None,
    skip: int = 0,
) -> np.ndarray:
    """Read voxels from one or several files, each of which holds an equal share along the slowest axis.

    Parameters
    ----------
    shape, dtype :
        Of the array, C order; the type in the byte order of the files.
    sources : sequence of open files or paths
        An open file is read from its current position.
    encoding : {'raw', 'zlib', 'gzip', 'bzip2', 'text'}
    begin : callable
        Moves a file to the start of its encoded part.
    skip : int
        Decoded bytes before the voxels in each file; -1 if the voxels are at the end of a raw file.

    Returns
    -------
    ndarray
        In this machine's byte order.

    Raises
    ------
    EOFError, DamagedFile, MemoryError, OSError, zlib.error
        See `empty_array` and `fill`.
    """
    array = empty_array(shape, dtype, sum(map(_size, sources)), encoding)
    if shape[0] % len(sources):
        raise DamagedFile(f"it names {len(sources)} files for {shape[0]} slices")
    for part, source in zip(np.split(array, len(sources)), sources, strict=True):
        with open_regular(source) if isinstance(source, Path) else nullcontext(source) as file:
            begin(file)
            stream = decoded(file, encoding)
            if skip == -1:
                if encoding != "raw":
                    raise DamagedFile("compressed voxels cannot be at the end of a file")
                file.seek(max(size_of(file) - part.nbytes, 0))
            else:
                skip_bytes(stream, skip)
            if encoding == "text":
                _fill_from_text(part, file)
            else:
                fill(part, stream)
    return native(array)


def decoded(file: BinaryIO, encoding: Encoding) -> BinaryIO:
    """The rest of an open file as a stream, decompressed."""
    if encoding in ("raw", "text"):
        return file
    return cast(BinaryIO, bz2.BZ2File(file) if encoding == "bzip2" else _Inflated(file, encoding))


def empty_array(shape: Sequence[int], dtype: np.dtype, stored: int, encoding: Encoding) -> np.ndarray:
    """Allocate an array for voxels from files with `stored` bytes.

    Raises
    ------
    DamagedFile
        If the shape is empty.
    EOFError
        If the files are too small for that many voxels.
    MemoryError
        If the free memory is too small.
    """
    if not shape or min(shape) < 1:
        raise DamagedFile("its header gives no size")
    size = math.prod(shape) * dtype.itemsize
    if size > stored * _MOST_GAIN[encoding]:
        raise EOFError
    if size > _free_memory():
        raise MemoryError
    return np.empty(shape, dtype)


def fill(array: np.ndarray, stream: BinaryIO) -> None:
    """Fill an array (C order) with the rest of a stream.

    Raises
    ------
    EOFError
        If the stream is too short.
    DamagedFile, zlib.error, OSError
        If the stream is too long or invalid, or its checksum is wrong.
    """
    target = array.reshape(-1).view(np.uint8)
    filled = 0
    while filled < len(target):
        count = read_into(stream, target[filled : filled + _STRETCH])
        if not count:
            raise EOFError
        filled += count
    rest = read_most(stream, _PADDING + 1)
    if rest.strip(b"\0") or len(rest) > _PADDING:
        raise DamagedFile("it holds more voxels than its header says")


def _fill_from_text(array: np.ndarray, file: BinaryIO) -> None:
    """Fill an array with the numbers, separated by white space, in the rest of a file; raises as `fill` does."""
    text = file.read(_LONGEST_NUMBER * (array.size + 1))
    whole = array.dtype.kind in "iu"
    numbers = np.array(text.split(), np.int64 if whole else np.float64)
    if numbers.size < array.size:
        raise EOFError
    if numbers.size > array.size or file.read(1):
        raise DamagedFile("it holds more voxels than its header says")
    if whole and (numbers.min() < np.iinfo(array.dtype).min or numbers.max() > np.iinfo(array.dtype).max):
        raise DamagedFile("it holds numbers outside the range of its type of voxels")
    array.reshape(-1)[:] = numbers


def read_into(stream: IO[bytes], array: np.ndarray) -> int:
    """Read bytes straight into an array (C order); returns their number, 0 at the end of the stream."""
    # All binary streams have `readinto`, which `typing.BinaryIO` does not name.
    return stream.readinto(array.reshape(-1).view(np.uint8).data)  # type: ignore[attr-defined]


def read_most(stream: BinaryIO, count: int) -> bytes:
    """The next `count` bytes of a stream, or fewer at its end."""
    pieces = []
    while count and (piece := stream.read(count)):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def skip_bytes(stream: BinaryIO, count: int) -> None:
    """Skip bytes of a stream; EOFError if there are fewer."""
    while count > 0:
        piece = stream.read(min(count, _STRETCH))
        if not piece:
            raise EOFError
        count -= len(piece)


def native(array: np.ndarray) -> np.ndarray:
    """The same numbers in this machine's byte order; an array in another order is converted in place."""
    if array.dtype.isnative:
        return array
    return array.byteswap(inplace=True).view(array.dtype.newbyteorder("="))


class _Inflated(io.RawIOBase):
    """A zlib stream or the gzip streams of a file, decompressed on demand; faster than `gzip.GzipFile`."""

    def __init__(self, file: BinaryIO, encoding: Encoding):
        self._file = file
        self._several = encoding == "gzip"
        self._wbits = zlib.MAX_WBITS | (16 if self._several else 32)  # MetaImage allows both where it says zlib
        self._stream = zlib.decompressobj(self._wbits)
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def readinto(self, target) -> int:
        piece = b""
        while len(target) and not piece and not (self._stream.eof and not self._begin_next()):
            self._waiting = self._waiting or self._file.read(_PIECE)
            if not self._waiting:
                raise EOFError
            piece = self._stream.decompress(self._waiting, len(target))
            self._waiting = self._stream.unconsumed_tail
        target[: len(piece)] = piece
        return len(piece)

    def _begin_next(self) -> bool:
        """Start the next gzip stream after the one that has ended; False if there is none."""
        rest = self._stream.unused_data or self._file.read(_PADDING + 1)
        if not rest.strip(b"\0") and len(rest) <= _PADDING:
            return False
        if not self._several:
            raise DamagedFile("it holds more than its header says")
        self._stream, self._waiting = zlib.decompressobj(self._wbits), rest
        return True


def _size(source: BinaryIO | Path) -> int:
    return source.stat().st_size if isinstance(source, Path) else size_of(source)


def _free_memory() -> int:
    import psutil  # Slicer brings it only with the first run

    return psutil.virtual_memory().available
