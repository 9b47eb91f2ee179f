"""Orders frames into a stack, and judges missing or extra slices, uneven steps and gantry tilt.

Positions in files are rounded (often to 0.1 mm) and jitter, so steps are judged with tolerances, and also by their drift
over the whole stack. Defects that can be corrected with little loss are corrected and reported; others raise an error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...errors import InputError
from ..scan_checks import check_dimensions
from .frames import Frame
from .wording import counted, names_of

WIDEST_GAP = 1.6  # mm from slice to slice; in a wider gap too much of a tooth is unknown
MOST_MISSING = 0.025  # share of the slices
MOST_EXTRA = 0.03  # share of the slices
_MAX_OUTLIERS = 3  # slices at one end
_JITTER_MM = 0.08  # tolerance of a step in mm ...
_JITTER_SHARE = 0.1  # ... or as a share of the step, whichever is larger
_DRIFT = 0.05  # mm; distance of a position from the line through all positions
_RESOLUTIONS = (0.1, 0.01)  # mm, to which files round positions
_NEARLY_ALL = 0.95
_MIN_RUN = 3  # equal steps in a row that count as a section with a spacing of its own
_CHAIN_REACH = 8  # slices back in which the predecessor of a slice is searched
_MOST_TILT = 45.0  # degrees
_MOST_SLICES = 4000


@dataclass(frozen=True)
class Stack:
    """Frames in order along their normal.

    Attributes
    ----------
    frames : tuple of (Frame or None)
        None where a slice is missing.
    heights : ndarray of float64, shape (K,)
        Distance of each frame from the first along the normal, mm. Evenly spaced unless `uneven`.
    step : float
        Distance of slices in the volume, mm.
    shear : ndarray of float64, shape (2,)
        In-plane shift along row and column per mm of height; zeros unless the gantry was tilted.
    uneven : bool
        Whether the frames must be resampled to even steps.
    left_out : tuple of Frame
    notes : tuple of str
        Corrections, for the user.
    """

    frames: tuple[Frame | None, ...]
    heights: np.ndarray
    step: float
    shear: np.ndarray = field(default_factory=lambda: np.zeros(2))
    uneven: bool = False
    left_out: tuple[Frame, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Frame:
        """The frame at the origin of the stack."""
        return next(frame for frame in self.frames if frame is not None)  # the first and the last are never missing

    @property
    def direction(self) -> np.ndarray:
        """Columns are the unit vectors along a row, down a column, and from slice to slice."""
        return _axes(self.first)


def stack_frames(frames: Sequence[Frame]) -> Stack:
    """Order frames of one size, orientation and pixel spacing.

    Raises
    ------
    InputError
        If they form no complete volume.
    """
    check_dimensions(3 if len(frames) > 1 else 2)
    coordinates = np.array([frame.plane.position for frame in frames]) @ _axes(frames[0])
    order = _sort_indices(frames, coordinates[:, 2])
    builder = _StackBuilder([frames[index] for index in order], coordinates[order])
    builder.leave_out_outliers()
    builder.leave_out_extras()
    stack = builder.stack()
    check_dimensions(3 if len(stack.frames) > 1 else 2)
    return stack


def _axes(frame: Frame) -> np.ndarray:
    """Columns are the unit vectors along a row, down a column, and the normal."""
    plane = frame.plane
    return np.column_stack([*plane.row_and_column, plane.normal])


def _sort_indices(frames: Sequence[Frame], heights: np.ndarray) -> np.ndarray:
    """Indices that sort frames by height, and frames of equal (rounded) height by instance number."""
    numbers = np.array([math.nan if frame.number is None else frame.number for frame in frames])
    if np.isnan(numbers).any():
        return np.argsort(heights, kind="stable")
    rising = np.sum((numbers - numbers.mean()) * (heights - heights.mean())) >= 0
    return np.lexsort((numbers if rising else -numbers, np.round(heights, 3)))


class _StackBuilder:
    """Ordered frames, while outliers are removed and gaps judged."""

    def __init__(self, frames: list[Frame], coordinates: np.ndarray):
        self.frames, self.coordinates = frames, coordinates
        self.resolution = _resolution(coordinates[:, 2])
        self.left_out: list[Frame] = []
        self.notes: list[str] = []

    @property
    def heights(self) -> np.ndarray:
        return self.coordinates[:, 2]

    @property
    def steps(self) -> np.ndarray:
        return np.diff(self.heights)

    def usual_step(self) -> float:
        """The median step; where rounding is coarse, the mean of those near it."""
        steps = self.steps
        median = float(np.median(steps))
        if self.resolution <= 0.2 * median:
            return median
        return float(steps[np.abs(steps - median) <= self.resolution + 0.5 * median].mean())

    def is_even(self, step: float) -> bool:
        """Whether every step is within the tolerance, and every slice near the line through all of them."""
        if step <= 0 or np.any(np.abs(self.steps - step) > self.tolerance(step)):
            return False
        line = np.polynomial.Polynomial.fit(np.arange(len(self.frames)), self.heights, 1)
        drift = np.abs(line(np.arange(len(self.frames))) - self.heights).max()
        return drift <= self.resolution / 2 + min(max(_DRIFT, _JITTER_SHARE * step), step / 2)

    def tolerance(self, step: float) -> float:
        """Largest deviation of a step that does not count as uneven."""
        return self.resolution + min(max(_JITTER_MM, _JITTER_SHARE * step), 0.6 * step)

    def leave_out(self, indices: Sequence[int], reason: str) -> None:
        removed = [self.frames[index] for index in indices]
        self.notes.append(f"{counted(len(removed), 'slice')} {reason} left out: {names_of(removed)}.")
        self.left_out += removed
        kept = np.setdiff1d(np.arange(len(self.frames)), indices)
        self.frames, self.coordinates = [self.frames[index] for index in kept], self.coordinates[kept]

    def leave_out_outliers(self) -> None:
        """Remove a few slices at an end, beyond a gap that cannot be filled."""
        for end in (slice(None, _MAX_OUTLIERS), slice(-_MAX_OUTLIERS, None)):
            if len(self.frames) < 2 * _MAX_OUTLIERS + 2:
                return
            step, steps = self.usual_step(), self.steps
            wide = np.flatnonzero((steps > max(step + self.tolerance(step), _fillable(step))) & _isolated(steps))
            wide = wide[np.isin(wide, np.arange(len(steps))[end])]
            if len(wide):
                at_end = range(wide.max() + 1) if end.start is None else range(wide.min() + 1, len(self.frames))
                self.leave_out(at_end, f"at an end, {steps[wide].max():.3g} mm from the others, {_was(len(at_end))}")

    def leave_out_extras(self) -> None:
        """Remove a few slices that lie between or on the slices of an even stack."""
        step = self.usual_step() if len(self.frames) > 2 else 0.0
        if step <= 0 or not np.any(self.steps < step - self.tolerance(step)):
            return
        extra = _outside_chain(self.heights, step, self.tolerance(step))
        if 0 < len(extra) <= MOST_EXTRA * len(self.frames):
            self.leave_out(extra.tolist(), f"between or on the places of the others {_was(len(extra))}")

    def stack(self) -> Stack:
        """Build the stack; raises InputError if it is no complete volume."""
        if len(self.frames) < 2:
            check_dimensions(2)
        step = self.usual_step()
        if not self.is_even(step):
            self._check_overlaps(step)
            stack = self._with_gaps(step) or self._uneven()
        else:
            step = (self.heights[-1] - self.heights[0]) / (len(self.frames) - 1)
            stack = Stack(tuple(self.frames), step * np.arange(len(self.frames)), step)
        shear = self._shear()
        return Stack(
            stack.frames,
            stack.heights,
            stack.step,
            shear,
            stack.uneven,
            tuple(self.left_out),
            (*self.notes, *stack.notes, *_tilt_note(shear)),
        )

    def _check_overlaps(self, step: float) -> None:
        same = np.flatnonzero(self.steps <= min(0.01, 0.1 * abs(step)))
        if len(same):
            a, b = self.frames[same[0]].name, self.frames[same[0] + 1].name
            raise InputError(
                f"The series has {counted(len(same), 'slice')} too many ({a} and {b} show the same place): it holds "
                "several scans and nothing tells them apart; put the files of one into a folder of their own."
            )

    def _with_gaps(self, step: float) -> Stack | None:
        """An even stack in which a few slices are missing; None if the steps are uneven for another reason."""
        steps = self.steps
        odd = np.flatnonzero(np.abs(steps - step) > self.tolerance(step))
        between = np.rint(steps[odd] / step).astype(int) - 1
        is_multiple = np.abs(steps[odd] - (between + 1) * step) <= self.tolerance(step)
        gaps = odd[_isolated(steps)[odd] & (steps[odd] > step)]
        if not len(gaps) or (len(gaps) < 0.9 * len(odd)):
            return None
        missing = int(np.maximum(np.rint(steps[gaps] / step) - 1, 1).sum())
        self._check_missing(gaps, missing, step)
        if not (is_multiple.all() and (between >= 1).all()):
            return None
        return self._filled(dict(zip(odd.tolist(), between.tolist(), strict=True)), missing)

    def _check_missing(self, gaps: np.ndarray, missing: int, step: float) -> None:
        widest = float(self.steps[gaps].max())
        share = missing / (missing + len(self.frames))
        if widest <= _fillable(step) and share <= MOST_MISSING:
            return
        lines = "; ".join(self._between(index) for index in gaps[:3])
        why = f"{widest:.3g} mm is too wide a gap" if widest > _fillable(step) else f"{share:.1%} are too many"
        raise InputError(
            f"{counted(missing, 'slice')} {'is' if missing == 1 else 'are'} missing from the series, between {lines} "
            f"({why} to fill in): copy the whole series again from its disc or archive."
        )

    def _between(self, index: int) -> str:
        a, b = self.frames[index], self.frames[index + 1]
        return f"{a.name} ({self.heights[index]:.2f} mm) and {b.name} ({self.heights[index + 1]:.2f} mm)"

    def _filled(self, between: dict[int, int], missing: int) -> Stack:
        frames: list[Frame | None] = []
        for index, frame in enumerate(self.frames):
            frames += [frame, *[None] * between.get(index, 0)]
        step = (self.heights[-1] - self.heights[0]) / (len(frames) - 1)
        where = "; ".join(self._between(index) for index in list(between)[:3])
        more = f" and {counted(len(between) - 3, 'other place')}" if len(between) > 3 else ""
        note = (
            f"{counted(missing, 'missing slice')} {_was(missing)} filled in from the slices on both sides: between "
            f"{where}{more}."
        )
        return Stack(tuple(frames), step * np.arange(len(frames)), step, notes=(note,))

    def _uneven(self) -> Stack:
        steps, heights = self.steps, self.heights - self.heights[0]
        step = max(float(np.percentile(steps, 10)), heights[-1] / _MOST_SLICES)
        note = (
            f"The slices are not evenly spaced ({steps.min():.3g} to {steps.max():.3g} mm): they were resampled to steps "
            f"of {step:.3g} mm; where the slices were thick, teeth are less sure."
        )
        isolated = np.flatnonzero((steps > max(WIDEST_GAP, 1.5 * step)) & _isolated(steps))
        if len(isolated):
            widest = int(isolated[steps[isolated].argmax()])
            raise InputError(
                f"The slices leave a gap of {steps[isolated].max():.3g} mm, between {self._between(widest)}: copy the "
                "whole series again from its disc or archive."
            )
        return Stack(tuple(self.frames), heights, step, uneven=True, notes=(note,))

    def _shear(self) -> np.ndarray:
        """In-plane shift of the frames per mm of height; zeros if it is less than half a pixel over the whole stack."""
        spacing = np.array(self.frames[0].plane.spacing[::-1])
        drift, heights = self.coordinates[:, :2] - self.coordinates[0, :2], self.heights - self.heights[0]
        shear = heights @ drift / (heights @ heights)
        rest = np.abs(drift - np.outer(heights, shear))
        if np.any(rest.max(axis=0) > np.maximum(spacing, self.resolution)):
            index = int(rest.max(axis=1).argmax())
            raise InputError(
                f"The slices are shifted against each other, {self.frames[index].name} by {rest.max():.3g} mm: put the files "
                "of one scan into a folder of their own."
            )
        if np.all(np.abs(shear) * heights[-1] <= 0.5 * spacing):
            return np.zeros(2)
        if _degrees(shear) > _MOST_TILT:
            raise InputError(
                f"The slices lean by {_degrees(shear):.0f} degrees, more than any gantry does: export the scan again."
            )
        return shear


def _resolution(heights: np.ndarray) -> float:
    """The resolution in mm to which heights were rounded, estimated from their steps; 0 if nearly all steps are equal."""
    steps = np.diff(heights)
    if not len(steps) or np.mean(np.abs(steps - np.median(steps)) < 1e-4) >= _NEARLY_ALL:
        return 0.0
    heights = heights - heights[0]
    return next((one for one in _RESOLUTIONS if np.abs(heights - np.rint(heights / one) * one).max() < 1e-4), 0.0)


def _fillable(step: float) -> float:
    """The widest gap in mm that may be filled in; of slices thicker than `WIDEST_GAP`, none may be missing."""
    return max(WIDEST_GAP, 1.2 * step)


def _isolated(steps: np.ndarray) -> np.ndarray:
    """Whether each step is wider than its neighbours and does not belong to a section with a spacing of its own."""
    near = np.abs(np.diff(steps)) <= 0.15 * np.minimum(steps[:-1], steps[1:])
    starts = np.flatnonzero(np.concatenate([[True], ~near]))
    stops = np.append(starts[1:], len(steps))
    isolated = np.zeros(len(steps), bool)
    for start, stop in zip(starts, stops, strict=True):
        neighbours = [steps[index] for index in (start - 1, stop) if 0 <= index < len(steps)]
        is_short = stop - start < _MIN_RUN and bool(neighbours)
        isolated[start:stop] = is_short and steps[start:stop].max() > 1.3 * max(neighbours)
    return isolated


def _outside_chain(heights: np.ndarray, step: float, tolerance: float) -> np.ndarray:
    """Indices of slices outside the longest chain of even steps, in which slices may be missing."""
    length, previous = np.ones(len(heights), int), np.full(len(heights), -1)
    for index in range(1, len(heights)):
        start = max(0, index - _CHAIN_REACH)
        steps = (heights[index] - heights[start:index]) / step
        whole = np.rint(steps)
        fits = (whole >= 1) & (whole <= _CHAIN_REACH // 2) & (np.abs(steps - whole) * step <= tolerance)
        if fits.any():
            best = np.where(fits, length[start:index], 0).argmax()
            length[index], previous[index] = length[start + best] + 1, start + best
    index, chain = int(length.argmax()), []
    while index >= 0:
        chain.append(index)
        index = previous[index]
    return np.setdiff1d(np.arange(len(heights)), chain)


def _tilt_note(shear: np.ndarray) -> tuple[str, ...]:
    if not shear.any():
        return ()
    return (
        (
            f"The gantry was tilted by {_degrees(shear):.1f} degrees: the slices were shifted to correct it, which leaves "
            "empty corners."
        ),
    )


def _degrees(shear: np.ndarray) -> float:
    return math.degrees(math.atan(float(np.linalg.norm(shear))))


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
