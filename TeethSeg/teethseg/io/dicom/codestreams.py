"""Compression methods recognised by the first bytes of the pixels, for files that do not name their transfer syntax."""

from __future__ import annotations

import struct

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLSNearLossless,
    RLELossless,
)

_ITEM = b"\xfe\xff\x00\xe0"
_START_OF_IMAGE, _START_OF_CODESTREAM = b"\xff\xd8", b"\xff\x4f\xff\x51"
_CAPABILITIES = b"\xff\x50"  # the marker that makes JPEG 2000 high-throughput
_END = b"\xff\xd9"
_TRAILER = 16  # bytes in which the end marker must be; some programs pad a frame
_FRAME_MARKERS = {
    0xC0: JPEGBaseline8Bit,
    0xC1: JPEGExtended12Bit,
    0xC3: JPEGLossless,
    0xF7: JPEGLSNearLossless,  # its decoder reads the lossless kind too
}


def syntax_of(pixels: bytes) -> str:
    """The transfer syntax of encapsulated pixels, from the beginning of their value; empty if it is not recognised.

    References
    ----------
    DICOM PS3.5, A.4 (items) and 8.2 (the standards of the codestreams).
    """
    # The first item is the table of offsets, the second the first fragment.
    table = int.from_bytes(pixels[4:8], "little")
    fragment = pixels[8 + table + 8 :] if pixels.startswith(_ITEM) else b""
    if fragment.startswith(_START_OF_CODESTREAM):
        size = int.from_bytes(fragment[4:6], "big")  # of the SIZ segment, which comes first
        return HTJ2K if fragment[4 + size :].startswith(_CAPABILITIES) else JPEG2000
    if fragment.startswith(_START_OF_IMAGE):
        return _jpeg_frame(fragment)[0]
    segments = int.from_bytes(fragment[:4], "little")
    return RLELossless if 1 <= segments <= 15 and fragment[4:8] == b"\x40\0\0\0" else ""


def check_frame(syntax: str, frame: bytes, rows: int, columns: int) -> str:
    """Describe the defect of a compressed frame without decoding it, in words that follow 'it'; empty if there is none.

    Decoders invent the rest of a frame that was cut off, and allocate memory for whatever size the codestream names.
    """
    if syntax == RLELossless:
        return ""  # its decoder checks the length
    size = _j2k_size(frame) if frame.startswith(_START_OF_CODESTREAM) else _jpeg_frame(frame)[1]
    if size is None:
        return "is damaged"
    if size != (rows, columns):
        return f"holds a picture of {size[1]} x {size[0]} pixels, not of {columns} x {rows} as its header says"
    return "" if _END in frame[-_TRAILER:] else "is cut off"


def _j2k_size(stream: bytes) -> tuple[int, int] | None:
    if len(stream) < 24:
        return None
    right, bottom, left, top = struct.unpack(">4I", stream[8:24])
    return bottom - top, right - left


def _jpeg_frame(stream: bytes) -> tuple[str, tuple[int, int] | None]:
    """Transfer syntax, rows and columns of a JPEG or JPEG-LS stream, from its frame header."""
    offset = len(_START_OF_IMAGE)
    while stream.startswith(_START_OF_IMAGE) and offset + 9 <= len(stream) and stream[offset] == 0xFF:
        marker, length = stream[offset + 1], int.from_bytes(stream[offset + 2 : offset + 4], "big")
        if marker in _FRAME_MARKERS:
            return _FRAME_MARKERS[marker], struct.unpack(">2H", stream[offset + 5 : offset + 9])
        offset += 1 if marker == 0xFF else 2 + length  # bytes 255 may stand before a marker
    return "", None
