"""Completes the position, orientation and spacing of frames whose headers give them only in part.

The user is told about every assumption on left and right or top and bottom, because no voxel can confirm it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .frames import FROM_DIAMETER, LOOKUP_TABLE, MAGNIFIED, NO_RESCALING, Frame, Vector

# Row and column directions of the usual axial, coronal and sagittal picture, by the patient axis normal to it.
_STANDARD_ORIENTATIONS = {2: (1, 0, 0, 0, 1, 0), 1: (1, 0, 0, 0, 0, -1), 0: (0, 1, 0, 0, 0, -1)}
_PLANE_NAMES = {2: "axial", 1: "coronal", 0: "sagittal"}
_POSITION_TOLERANCE = 1e-3  # mm
_DIRECTIONS = (("right", "left"), ("front", "back"), ("bottom", "top"))
_ASSUMPTIONS = {
    MAGNIFIED: "The pixel spacing is that of the detector (Imager Pixel Spacing), as the files give no other: sizes may be "
    "too large by the magnification; compare a known length.",
    FROM_DIAMETER: "The pixel spacing was calculated from the Reconstruction Diameter, as the files give no other: compare "
    "a known length.",
    NO_RESCALING: "The rescaling of the grey values (slope, intercept) is no number that can be right: the stored values "
    "were taken as they are.",
    LOOKUP_TABLE: "The files map their grey values by a lookup table, which was not applied: the stored values were taken "
    "as they are.",
}


class UnknownGeometry(Exception):
    """The reason why frames have no known geometry, in words that follow 'it'."""


@dataclass(frozen=True)
class PositionedFrames:
    """Frames with positions, frames without one, and notes for the user."""

    frames: tuple[Frame, ...]
    without: tuple[Frame, ...] = ()
    notes: tuple[str, ...] = ()


def with_shared_values(frames: Sequence[Frame]) -> list[Frame]:
    """Give frames without spacing, orientation or rescaling the value on which all others of their size agree."""
    result = list(frames)
    for name in ("spacing", "orientation", "rescaling"):
        by_shape: dict[tuple[int, int], Counter] = defaultdict(Counter)
        for frame in frames:
            by_shape[frame.shape][getattr(frame, name)] += 1
        for index, frame in enumerate(result):
            values = [value for value in by_shape[frame.shape] if value is not None]
            if getattr(frame, name) is None and len(values) == 1:
                result[index] = replace(frame, **{name: values[0]})
    return result


def with_positions(frames: Sequence[Frame]) -> PositionedFrames:
    """Give every frame of one size a position, orientation and spacing.

    Raises
    ------
    UnknownGeometry
        If the headers do not determine them.
    """
    if frames[0].spacing is None:
        raise UnknownGeometry("does not say how large its pixels are")
    notes = [text for assumption, text in _ASSUMPTIONS.items() if any(assumption in frame.assumed for frame in frames)]
    frames = _with_offset_positions(_oriented(frames, notes), notes)
    frames, without = _positioned(frames, notes)
    return PositionedFrames(tuple(frames), tuple(without), tuple(dict.fromkeys(notes)))


def _oriented(frames: Sequence[Frame], notes: list[str]) -> Sequence[Frame]:
    if frames[0].orientation is not None:
        return frames
    positions = np.array([frame.position for frame in frames if frame.position is not None])
    reach = np.ptp(positions, axis=0) if len(positions) else np.zeros(3)
    axis = int(reach.argmax()) if reach.any() else 2
    if reach.any() and np.sort(reach)[1] > 0.02 * reach.max():
        raise UnknownGeometry("does not say how its axes lie in the patient")
    notes.append(
        f"The files do not say how their axes lie in the patient: usual {_PLANE_NAMES[axis]} pictures were assumed; check that "
        "left and right are not swapped."
    )
    return [replace(frame, orientation=_STANDARD_ORIENTATIONS[axis]) for frame in frames]


def _with_offset_positions(frames: Sequence[Frame], notes: list[str]) -> list[Frame]:
    """Position the frames of a multi-frame file that has one position, or none, along its normal."""
    files: dict[object, list[Frame]] = defaultdict(list)
    for frame in frames:
        files[frame.header].append(frame)
    result = []
    for file_frames in files.values():
        if len(file_frames) > 1 and len(_distinct([frame.position for frame in file_frames])) <= 1:
            file_frames = _stacked_by_offset(file_frames, notes)
        result += file_frames
    return result


def _stacked_by_offset(frames: list[Frame], notes: list[str]) -> list[Frame]:
    first = frames[0]
    normal = _normal(first)
    offsets = [frame.offset for frame in frames]
    if first.offset is None:
        step, thickness_note = _step(first)
        if step is None:
            raise UnknownGeometry("does not give the distance between its frames")
        notes.append(_direction_note("frames", f"their order{thickness_note}", np.sign(step) * normal))
        offsets = [frame.index * step for frame in frames]
    if first.position is None:
        notes.append("The files give no position in the patient: their own corner became the origin.")
    start = np.array(first.position or (0.0, 0.0, 0.0))
    return [
        replace(frame, position=_displaced(start, normal, offset or 0.0))
        for frame, offset in zip(frames, offsets, strict=True)
    ]


def _normal(frame: Frame) -> np.ndarray:
    """Unit normal of a frame with an orientation."""
    row, column = np.reshape(frame.orientation or (), (2, 3))
    return np.cross(row, column)


def _positioned(frames: list[Frame], notes: list[str]) -> tuple[list[Frame], list[Frame]]:
    """Frames with positions, and those that have none."""
    if len(frames) == 1:
        if frames[0].position is None:
            raise UnknownGeometry("does not say where it lies in the patient")
        return frames, []
    if len(_distinct([frame.position for frame in frames])) <= 1:
        return _positions_from_order(frames, notes), []
    without = [frame for frame in frames if frame.position is None]
    if without:
        frames = _interpolated_positions(frames)
        without = [frame for frame in frames if frame.position is None]
    return [frame for frame in frames if frame.position is not None], without


def _positions_from_order(frames: list[Frame], notes: list[str]) -> list[Frame]:
    """Positions from slice locations, or from instance numbers and the step, where all positions are equal or missing."""
    first = frames[0]
    step, thickness_note = _step(first)
    start = np.array(next((frame.position for frame in frames if frame.position is not None), (0.0, 0.0, 0.0)))
    normal = _normal(first)
    # Slice locations grow along the patient's axis, whichever way the normal points; instance numbers along the normal.
    if locations := _distinct_values([frame.location for frame in frames]):
        heights, source = locations, "their slice locations"
        upwards = normal * np.sign(normal[np.abs(normal).argmax()])
    elif step is not None and (numbers := _distinct_values([frame.number for frame in frames])):
        heights = [(number - min(numbers)) * abs(step) for number in numbers]
        source = f"their instance numbers{thickness_note}"
        upwards = normal * np.sign(step)
    else:
        raise UnknownGeometry("does not say where it lies in the patient")
    notes.append(_direction_note("slices", source, upwards))
    return [
        replace(frame, position=_displaced(start, upwards, height))
        for frame, height in zip(frames, heights, strict=True)
    ]


def _step(frame: Frame) -> tuple[float | None, str]:
    """Distance to the next frame (negative: against the normal), and a note if only the slice thickness is known."""
    if frame.step is not None or frame.thickness is None:
        return frame.step, ""
    return frame.thickness, f", {frame.thickness:.4g} mm apart as they are thick (no other distance is given)"


def _distinct_values(values: Sequence[float | None]) -> list[float] | None:
    """The values, if none is missing and at least 90 % differ from each other."""
    known = [value for value in values if value is not None]
    return known if len(known) == len(values) and len(set(known)) >= 0.9 * len(known) else None


def _interpolated_positions(frames: list[Frame]) -> list[Frame]:
    """Positions of the few frames without one, where the others' positions are linear in their instance numbers."""
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
    return {tuple(np.rint(np.divide(one, _POSITION_TOLERANCE)).astype(int)) for one in positions if one is not None}


def _displaced(start: np.ndarray, along: np.ndarray, by: float) -> Vector:
    return tuple((start + along * by).tolist())


def _direction_note(noun: str, source: str, upwards: np.ndarray) -> str:
    axis = int(np.abs(upwards).argmax())
    start, end = _DIRECTIONS[axis] if upwards[axis] > 0 else _DIRECTIONS[axis][::-1]
    return (
        f"All {noun} give the same position, or none: they were put from {start} to {end} by {source}; check that the "
        "scan is not upside down, mirrored or stretched."
    )
