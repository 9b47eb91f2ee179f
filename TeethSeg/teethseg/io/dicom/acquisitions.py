"""Several acquisitions or reconstructions in one series, told apart; and exact copies of slices."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from ...errors import InputError
from .frames import MARKS, Frame
from .headers import open_dicom
from .stacking import Stack, stack_frames

_SAME_PLACE = 1e-3  # mm
_STRONG = {"ImageType", "FrameType", "ConvolutionKernel"}  # pictures that differ in these are never of one stack
_PIECE = 1 << 20


def without_copies(frames: Sequence[Frame]) -> tuple[list[Frame], int]:
    """The frames without those of which there is an exact copy at the same place, and how many these are.

    Only place and pixels count: there are scanners that give the same SOP Instance UID to many slices.
    """
    places: dict[tuple, list[Frame]] = defaultdict(list)
    for frame in frames:
        places[_place(frame)].append(frame)
    kept, seen = [], set()
    for frame in frames:
        place = _place(frame)
        if len(places[place]) > 1:
            key = place, _content(frame)
            if key in seen:
                continue
            seen.add(key)
        kept.append(frame)
    return kept, len(frames) - len(kept)


def parted(frames: Sequence[Frame]) -> list[tuple[list[Frame], str]]:
    """The acquisitions in a series, the largest first, each with what tells it from the others; one, if it is a whole.

    A mark (`MARKS`) parts frames if the parts lie among each other and the largest makes up a tidy stack alone, while all
    together do not. Parts that follow one another are one scan, taken in several goes.
    """
    whole = _tidy(frames)
    for at, (mark, words) in enumerate(MARKS.items()):
        if whole and mark not in _STRONG:
            continue
        parts = _by_mark(frames, at)
        if len(parts) > 1 and _tidy(parts[0][0]) and _among_each_other([part for part, _ in parts]):
            return [(part, f"{words} {value}" if value else f"no {words}") for part, value in parts]
    return [(list(frames), "")] if whole else _by_turn(frames)


def _tidy(frames: Sequence[Frame]) -> bool:
    """Whether frames make up a stack in which nothing had to be mended."""
    try:
        stack: Stack = stack_frames(frames)
    except InputError:
        return False
    return not (stack.uneven or stack.left_out or None in stack.frames)


def _by_mark(frames: Sequence[Frame], mark: int) -> list[tuple[list[Frame], str]]:
    counts = Counter(frame.marks[mark] for frame in frames)
    if not 1 < len(counts) <= max(2, len(frames) // 8):  # a number for each slice tells nothing
        return []
    return [([frame for frame in frames if frame.marks[mark] == value], value) for value, _ in counts.most_common()]


def _among_each_other(parts: list[list[Frame]]) -> bool:
    """Whether at least half of each smaller part lies within the reach of the largest."""
    axis = np.ptp([frame.position for frame in parts[0]], axis=0).argmax()
    ranges = [[frame.position[axis] for frame in part] for part in parts]
    low, high = min(ranges[0]), max(ranges[0])
    return all(np.mean([low <= height <= high for height in own]) >= 0.5 for own in ranges[1:])


def _by_turn(frames: Sequence[Frame]) -> list[tuple[list[Frame], str]]:
    """The first frame of each place, the second, and so on, by the instance numbers; one part if these do not tell."""
    if len({frame.number for frame in frames} - {None}) < len(frames):
        return [(list(frames), "")]
    places: dict[tuple, list[Frame]] = defaultdict(list)
    for frame in sorted(frames, key=lambda frame: frame.number):
        places[_place(frame)].append(frame)
    turns = [[frame for frame in turn if frame] for turn in zip_longest(*places.values())]
    if len(turns) == 1 or not _tidy(turns[0]):
        return [(list(frames), "")]
    return [(turn, f"pass {at} of {len(turns)}") for at, turn in enumerate(turns, 1)]


def _place(frame: Frame) -> tuple:
    return tuple(np.rint(np.divide(frame.position, _SAME_PLACE)).astype(int))


def _content(frame: Frame) -> tuple[bytes, int]:
    """Digest of a frame's pixels as they stand in the file (of all frames, and the index, where they are compressed)."""
    header = frame.header
    alone = not header.encapsulated
    size = header.layout.frame_bytes if alone else header.size - header.offset
    digest = hashlib.sha1(usedforsecurity=False)
    with open_dicom(header.path) as file:
        file.seek(header.offset + (frame.index * size if alone else 0))
        while size > 0 and (piece := file.read(min(size, _PIECE))):
            digest.update(piece)
            size -= len(piece)
    return digest.digest(), 0 if alone else frame.index
