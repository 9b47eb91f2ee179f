"""Places of frames whose headers say them only in part: taken from what else is there, and told.

Everything that had to be assumed about left and right, or top and bottom, is said to the user, as no voxel tells it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .frames import FROM_DIAMETER, LOOKUP_TABLE, MAGNIFIED, NO_RESCALING, Frame, Vector

# Row and column of the usual axial, coronal and sagittal picture, by the axis of the patient across it.
_USUAL = {2: (1, 0, 0, 0, 1, 0), 1: (1, 0, 0, 0, 0, -1), 0: (0, 1, 0, 0, 0, -1)}
_NAMES = {2: "axial", 1: "coronal", 0: "sagittal"}
_SAME_PLACE = 1e-3  # mm
_ENDS = (("right", "left"), ("front", "back"), ("bottom", "top"))
_ASSUMPTIONS = {
    MAGNIFIED: "The pixel spacing is that of the detector (Imager Pixel Spacing), as the files give no other: sizes may be "
    "too large by the magnification; compare a known length.",
    FROM_DIAMETER: "The pixel spacing was worked out from the Reconstruction Diameter, as the files give no other: compare "
    "a known length.",
    NO_RESCALING: "The rescaling of the grey values (slope, intercept) is no number that can be right: the stored values "
    "were taken as they are.",
    LOOKUP_TABLE: "The files map their grey values by a lookup table, which was not applied: the stored values were taken "
    "as they are.",
}


class Unplaced(Exception):
    """Why frames have no place in the patient: words that follow 'it'."""


@dataclass(frozen=True)
class Placed:
    """Frames that all have a place; those without one, and notes for the user."""

    frames: tuple[Frame, ...]
    without: tuple[Frame, ...] = ()
    notes: tuple[str, ...] = ()


def completed(frames: Sequence[Frame]) -> list[Frame]:
    """Spacing, orientation and rescaling of frames that lack them, where all others of their size agree."""
    result = list(frames)
    for name in ("spacing", "orientation", "rescaling"):
        given: dict[tuple[int, int], Counter] = defaultdict(Counter)
        for frame in frames:
            given[frame.shape][getattr(frame, name)] += 1
        for at, frame in enumerate(result):
            values = [value for value in given[frame.shape] if value is not None]
            if getattr(frame, name) is None and len(values) == 1:
                result[at] = replace(frame, **{name: values[0]})
    return result


def placed(frames: Sequence[Frame]) -> Placed:
    """Frames of one size with a position, orientation and spacing each.

    Raises
    ------
    Unplaced
        If these cannot be known.
    """
    if frames[0].spacing is None:
        raise Unplaced("does not say how large its pixels are")
    notes = [text for what, text in _ASSUMPTIONS.items() if any(what in frame.assumed for frame in frames)]
    frames = _along_offsets(_oriented(frames, notes), notes)
    frames, without = _positioned(frames, notes)
    return Placed(tuple(frames), tuple(without), tuple(dict.fromkeys(notes)))


def normal_of(frame: Frame) -> np.ndarray:
    """Unit vector across the plane; with row and column it makes right-handed axes."""
    row, column = np.reshape(frame.orientation, (2, 3))
    return np.cross(row, column)


def _oriented(frames: Sequence[Frame], notes: list[str]) -> Sequence[Frame]:
    if frames[0].orientation is not None:
        return frames
    positions = np.array([frame.position for frame in frames if frame.position is not None])
    reach = np.ptp(positions, axis=0) if len(positions) else np.zeros(3)
    axis = int(reach.argmax()) if reach.any() else 2
    if reach.any() and np.sort(reach)[1] > 0.02 * reach.max():
        raise Unplaced("does not say how its axes lie in the patient")
    notes.append(
        f"The files do not say how their axes lie in the patient: usual {_NAMES[axis]} pictures were assumed; check that "
        "left and right are not swapped."
    )
    return [replace(frame, orientation=_USUAL[axis]) for frame in frames]


def _along_offsets(frames: Sequence[Frame], notes: list[str]) -> list[Frame]:
    """Give the frames of a multi-frame file that has one position, or none, their places along its normal."""
    files: dict[object, list[Frame]] = defaultdict(list)
    for frame in frames:
        files[frame.header].append(frame)
    result = []
    for own in files.values():
        if len(own) > 1 and len(_distinct([frame.position for frame in own])) <= 1:
            own = _stacked(own, notes)
        result += own
    return result


def _stacked(frames: list[Frame], notes: list[str]) -> list[Frame]:
    first = frames[0]
    step, told = _step(first)
    if first.offset is None and step is None:
        raise Unplaced("does not say how far its frames lie apart")
    if first.offset is None:
        notes.append(_direction_note("frames", f"their order{told}", np.sign(step) * normal_of(first)))
    if first.position is None:
        notes.append("The files do not say where they lie in the patient: their own corner became the origin.")
    start = np.array(first.position or (0.0, 0.0, 0.0))
    offsets = [frame.index * step if frame.offset is None else frame.offset for frame in frames]
    return [
        replace(frame, position=_moved(start, normal_of(first), offset))
        for frame, offset in zip(frames, offsets, strict=True)
    ]


def _positioned(frames: list[Frame], notes: list[str]) -> tuple[list[Frame], list[Frame]]:
    """Frames with positions, and those that have none."""
    if len(frames) == 1:
        if frames[0].position is None:
            raise Unplaced("does not say where it lies in the patient")
        return frames, []
    if len(_distinct([frame.position for frame in frames])) <= 1:
        return _by_order(frames, notes), []
    without = [frame for frame in frames if frame.position is None]
    if without:
        frames, without = _by_neighbours(frames), []
        without = [frame for frame in frames if frame.position is None]
    return [frame for frame in frames if frame.position is not None], without


def _by_order(frames: list[Frame], notes: list[str]) -> list[Frame]:
    """Places from slice locations, or from instance numbers and the step, where all positions are the same or missing."""
    first = frames[0]
    step, told = _step(first)
    start = np.array(next((frame.position for frame in frames if frame.position is not None), (0.0, 0.0, 0.0)))
    if _tell_apart(frames, lambda frame: frame.location):
        heights, source = [frame.location for frame in frames], "their slice locations"
    elif step is not None and _tell_apart(frames, lambda frame: frame.number):
        lowest = min(frame.number for frame in frames)
        heights, source = [(frame.number - lowest) * abs(step) for frame in frames], f"their instance numbers{told}"
    else:
        raise Unplaced("does not say where it lies in the patient")
    # Locations grow with the patient's axis, whichever way the normal points; numbers grow with the normal.
    normal = normal_of(first)
    upwards = normal * np.sign(step) if "number" in source else normal * np.sign(normal[np.abs(normal).argmax()])
    notes.append(_direction_note("slices", source, upwards))
    return [
        replace(frame, position=_moved(start, upwards, height)) for frame, height in zip(frames, heights, strict=True)
    ]


def _step(frame: Frame) -> tuple[float | None, str]:
    """Distance to the next frame, below 0 against the normal, and words for the user if it is only how thick a slice is."""
    if frame.step is not None or frame.thickness is None:
        return frame.step, ""
    return frame.thickness, f", {frame.thickness:.4g} mm apart as they are thick (no other distance is given)"


def _tell_apart(frames: list[Frame], value: Callable[[Frame], float | None]) -> bool:
    """Whether (nearly) each frame has a value of its own."""
    values = [value(frame) for frame in frames]
    return None not in values and len(set(values)) >= 0.9 * len(values)


def _by_neighbours(frames: list[Frame]) -> list[Frame]:
    """Positions of the few frames that lack one, where instance numbers of the others are a straight line through theirs."""
    known = [frame for frame in frames if frame.position is not None and frame.number is not None]
    if len(known) < max(4, 0.9 * len(frames)):
        return frames
    numbers, positions = np.array([frame.number for frame in known]), np.array([frame.position for frame in known])
    if np.ptp(numbers) == 0:
        return frames
    line = np.polyfit(numbers, positions, 1)
    if np.abs(numbers[:, None] * line[0] + line[1] - positions).max() > 0.1:
        return frames
    return [
        replace(frame, position=tuple((frame.number * line[0] + line[1]).tolist()))
        if frame.position is None and frame.number is not None
        else frame
        for frame in frames
    ]


def _distinct(positions: Sequence[Vector | None]) -> set[tuple[int, ...]]:
    return {tuple(np.rint(np.divide(one, _SAME_PLACE)).astype(int)) for one in positions if one is not None}


def _moved(start: np.ndarray, along: np.ndarray, by: float) -> Vector:
    return tuple((start + along * by).tolist())


def _direction_note(what: str, source: str, upwards: np.ndarray) -> str:
    axis = int(np.abs(upwards).argmax())
    start, end = _ENDS[axis] if upwards[axis] > 0 else _ENDS[axis][::-1]
    return (
        f"All {what} give the same position, or none: they were put from {start} to {end} by {source}; check that the "
        "scan is not upside down, mirrored or stretched."
    )
