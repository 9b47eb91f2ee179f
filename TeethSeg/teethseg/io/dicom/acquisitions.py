"""Series that hold several acquisitions or reconstructions are split; exact copies of slices are removed."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from ...errors import InputError
from .frames import ACQUISITION_ATTRIBUTES, Frame
from .headers import open_dicom
from .stacking import Stack, stack_frames

_POSITION_TOLERANCE = 1e-3  # mm
# Frames that differ in one of these never belong to one stack.
_DECISIVE_ATTRIBUTES = {"ImageType", "FrameType", "ConvolutionKernel"}
_PIECE = 1 << 20


def without_duplicates(frames: Sequence[Frame]) -> tuple[list[Frame], int]:
    """Remove exact copies of frames.

    A copy has the same position and the same pixels. UIDs do not count: some scanners give one SOP Instance UID to many
    slices.

    Returns
    -------
    list of Frame
    int
        Number of copies that were removed.
    """
    positions: dict[tuple, list[Frame]] = defaultdict(list)
    for frame in frames:
        positions[_rounded_position(frame)].append(frame)
    kept, seen = [], set()
    for frame in frames:
        position = _rounded_position(frame)
        if len(positions[position]) > 1:
            key = position, _pixel_digest(frame)
            if key in seen:
                continue
            seen.add(key)
        kept.append(frame)
    return kept, len(frames) - len(kept)


def split_acquisitions(frames: Sequence[Frame]) -> list[tuple[list[Frame], str]]:
    """Split a series into its acquisitions.

    An attribute (`ACQUISITION_ATTRIBUTES`) splits the frames if the resulting parts interleave in space and the largest part
    is a regular stack by itself, while all frames together are not. Parts that follow one another in space are one scan,
    taken in several steps.

    Returns
    -------
    list of (list of Frame, str)
        The largest first, each with the attribute that distinguishes it; a single entry if there is nothing to split.
    """
    whole = _is_regular_stack(frames)
    for index, (attribute, words) in enumerate(ACQUISITION_ATTRIBUTES.items()):
        if whole and attribute not in _DECISIVE_ATTRIBUTES:
            continue
        parts = _by_attribute(frames, index)
        if len(parts) > 1 and _is_regular_stack(parts[0][0]) and _interleaved([part for part, _ in parts]):
            return [(part, f"{words} {value}" if value else f"no {words}") for part, value in parts]
    return [(list(frames), "")] if whole else _by_repetition(frames)


def _is_regular_stack(frames: Sequence[Frame]) -> bool:
    """Whether frames form a stack without gaps, extra slices or uneven steps."""
    try:
        stack: Stack = stack_frames(frames)
    except InputError:
        return False
    return not (stack.uneven or stack.left_out or None in stack.frames)


def _by_attribute(frames: Sequence[Frame], attribute: int) -> list[tuple[list[Frame], str]]:
    counts = Counter(frame.acquisition[attribute] for frame in frames)
    if (
        not 1 < len(counts) <= max(2, len(frames) // 8)
    ):  # a value of its own for each slice distinguishes no acquisitions
        return []
    return [
        ([frame for frame in frames if frame.acquisition[attribute] == value], value)
        for value, _ in counts.most_common()
    ]


def _interleaved(parts: list[list[Frame]]) -> bool:
    """Whether at least half of each smaller part lies within the extent of the largest."""
    axis = np.ptp([frame.plane.position for frame in parts[0]], axis=0).argmax()
    ranges = [[frame.plane.position[axis] for frame in part] for part in parts]
    low, high = min(ranges[0]), max(ranges[0])
    return all(np.mean([low <= height <= high for height in own]) >= 0.5 for own in ranges[1:])


def _by_repetition(frames: Sequence[Frame]) -> list[tuple[list[Frame], str]]:
    """The first frame at each position, the second, and so on, by instance numbers; one part if these are not unique."""
    numbered = {frame.number: frame for frame in frames if frame.number is not None}
    if len(numbered) < len(frames):
        return [(list(frames), "")]
    positions: dict[tuple, list[Frame]] = defaultdict(list)
    for _, frame in sorted(numbered.items()):
        positions[_rounded_position(frame)].append(frame)
    passes = [[frame for frame in one_pass if frame] for one_pass in zip_longest(*positions.values())]
    if len(passes) == 1 or not _is_regular_stack(passes[0]):
        return [(list(frames), "")]
    return [(one_pass, f"pass {index} of {len(passes)}") for index, one_pass in enumerate(passes, 1)]


def _rounded_position(frame: Frame) -> tuple:
    return tuple(np.rint(np.divide(frame.plane.position, _POSITION_TOLERANCE)).astype(int))


def _pixel_digest(frame: Frame) -> tuple[bytes, int]:
    """Digest of a frame's stored pixels; for compressed files, digest of all frames with the frame's index."""
    header = frame.header
    uncompressed = not header.encapsulated
    size = header.layout.frame_bytes if uncompressed else header.size - header.offset
    digest = hashlib.sha1(usedforsecurity=False)
    with open_dicom(header.path) as file:
        file.seek(header.offset + (frame.index * size if uncompressed else 0))
        while size > 0 and (piece := file.read(min(size, _PIECE))):
            digest.update(piece)
            size -= len(piece)
    return digest.digest(), 0 if uncompressed else frame.index
