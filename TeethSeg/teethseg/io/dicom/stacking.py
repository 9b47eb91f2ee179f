"""From frames to a stack: their order, the distance between them, and whatever is missing, extra, uneven or tilted.

Positions are judged as they are written: rounded (to 0.1 mm, often), with some jitter, and by their drift over the whole
stack. What can be mended with little loss is mended and told; the rest is refused with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...errors import InputError
from ..scan_checks import check_dimensions
from .frames import Frame
from .places import normal_of
from .wording import counted, names_of

WIDEST_GAP = 1.6  # mm from slice to slice; more cannot be filled in between teeth
MOST_MISSING = 0.025  # of the slices
MOST_EXTRA = 0.03
_MOST_STRAYS = 3  # slices at one end
_JITTER = 0.08  # mm, of a step ...
_JITTER_SHARE = 0.1  # ... or this share of it
_DRIFT = 0.05  # mm of a position from the line through all
_RESOLUTIONS = (0.1, 0.01)  # mm, to which positions are written
_NEARLY_ALL = 0.95
_STRETCH = 3  # steps alike make a stretch
_CHAIN_REACH = 8  # slices back to look for the one before
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
        Of the frames along the normal, mm from the first. Evenly spaced unless `uneven`.
    step : float
        Distance of slices in the volume, mm.
    shear : ndarray of float64, shape (2,)
        In-plane mm, along row and column, by which frames move per mm of height; zeros unless the gantry was tilted.
    uneven : bool
        Whether the frames must be resampled to even steps.
    left_out : tuple of Frame
    notes : tuple of str
        What was mended, for the user.
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
        return self.frames[0]

    @property
    def direction(self) -> np.ndarray:
        """Columns are the directions along a row, down a column, and across the slices."""
        row, column = np.reshape(self.first.orientation, (2, 3))
        return np.column_stack([row, column, np.cross(row, column)])


def stack_frames(frames: Sequence[Frame]) -> Stack:
    """Put frames of one size, orientation and pixel spacing in order.

    Raises
    ------
    InputError
        If they make up no whole volume.
    """
    check_dimensions(3 if len(frames) > 1 else 2)
    row, column = np.reshape(frames[0].orientation, (2, 3))
    axes = np.array([row, column, normal_of(frames[0])])
    places = np.array([frame.position for frame in frames]) @ axes.T
    order = _order(frames, places[:, 2])
    pile = _Pile([frames[at] for at in order], places[order])
    pile.leave_out_strays()
    pile.leave_out_extras()
    stack = pile.stack()
    check_dimensions(3 if len(stack.frames) > 1 else 2)
    return stack


def _order(frames: Sequence[Frame], heights: np.ndarray) -> np.ndarray:
    """By height; slices that rounding put at the same height, by the instance numbers' own direction."""
    numbers = np.array([math.nan if frame.number is None else frame.number for frame in frames])
    if np.isnan(numbers).any():
        return np.argsort(heights, kind="stable")
    rising = np.sum((numbers - numbers.mean()) * (heights - heights.mean())) >= 0
    return np.lexsort((numbers if rising else -numbers, np.round(heights, 3)))


class _Pile:
    """Frames in order, while they are being sorted out."""

    def __init__(self, frames: list[Frame], places: np.ndarray):
        self.frames, self.places = frames, places
        self.resolution = _resolution(places[:, 2])
        self.left_out: list[Frame] = []
        self.notes: list[str] = []

    @property
    def heights(self) -> np.ndarray:
        return self.places[:, 2]

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
        """Whether no slice is off the line through all, and no step far from the others."""
        if step <= 0 or np.any(np.abs(self.steps - step) > self.tolerance(step)):
            return False
        line = np.polynomial.Polynomial.fit(np.arange(len(self.frames)), self.heights, 1)
        drift = np.abs(line(np.arange(len(self.frames))) - self.heights).max()
        return drift <= self.resolution / 2 + min(max(_DRIFT, _JITTER_SHARE * step), step / 2)

    def tolerance(self, step: float) -> float:
        """Largest deviation of a step that does not count as uneven."""
        return self.resolution + min(max(_JITTER, _JITTER_SHARE * step), 0.6 * step)

    def leave_out(self, at: Sequence[int], why: str) -> None:
        gone = [self.frames[one] for one in at]
        self.notes.append(f"{counted(len(gone), 'slice')} {why} left out: {names_of(gone)}.")
        self.left_out += gone
        keep = np.setdiff1d(np.arange(len(self.frames)), at)
        self.frames, self.places = [self.frames[one] for one in keep], self.places[keep]

    def leave_out_strays(self) -> None:
        """A few slices at an end, beyond a gap that cannot be filled."""
        for end in (slice(None, _MOST_STRAYS), slice(-_MOST_STRAYS, None)):
            if len(self.frames) < 2 * _MOST_STRAYS + 2:
                return
            step, steps = self.usual_step(), self.steps
            wide = np.flatnonzero((steps > max(step + self.tolerance(step), _fillable(step))) & _lone(steps))
            wide = wide[np.isin(wide, np.arange(len(steps))[end])]
            if len(wide):
                at = range(wide.max() + 1) if end.start is None else range(wide.min() + 1, len(self.frames))
                self.leave_out(at, f"at an end, {steps[wide].max():.3g} mm from the others, {_was(len(at))}")

    def leave_out_extras(self) -> None:
        """A few slices that lie between, or on, those of an even stack."""
        step = self.usual_step() if len(self.frames) > 2 else 0.0
        if step <= 0 or not np.any(self.steps < step - self.tolerance(step)):
            return
        extra = _beside_chain(self.heights, step, self.tolerance(step))
        if 0 < len(extra) <= MOST_EXTRA * len(self.frames):
            self.leave_out(extra, f"between or on the places of the others {_was(len(extra))}")

    def stack(self) -> Stack:
        """The stack, once it is known to be a whole volume."""
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
        """An even stack with empty places, if a few slices are missing; None if the steps are uneven otherwise."""
        steps = self.steps
        odd = np.flatnonzero(np.abs(steps - step) > self.tolerance(step))
        between = np.rint(steps[odd] / step).astype(int) - 1
        whole = np.abs(steps[odd] - (between + 1) * step) <= self.tolerance(step)
        gaps = odd[_lone(steps)[odd] & (steps[odd] > step)]
        if not len(gaps) or (len(gaps) < 0.9 * len(odd)):
            return None
        missing = int(np.maximum(np.rint(steps[gaps] / step) - 1, 1).sum())
        self._check_missing(gaps, missing, step)
        if not (whole.all() and (between >= 1).all()):
            return None
        return self._filled(dict(zip(odd.tolist(), between.tolist(), strict=True)), missing)

    def _check_missing(self, gaps: np.ndarray, missing: int, step: float) -> None:
        widest = float(self.steps[gaps].max())
        share = missing / (missing + len(self.frames))
        if widest <= _fillable(step) and share <= MOST_MISSING:
            return
        lines = "; ".join(self._between(at) for at in gaps[:3])
        why = f"{widest:.3g} mm is too wide a gap" if widest > _fillable(step) else f"{share:.1%} are too many"
        raise InputError(
            f"{counted(missing, 'slice')} {'is' if missing == 1 else 'are'} missing from the series, between {lines} "
            f"({why} to fill in): copy the whole series again from its disc or archive."
        )

    def _between(self, at: int) -> str:
        a, b = self.frames[at], self.frames[at + 1]
        return f"{a.name} ({self.heights[at]:.2f} mm) and {b.name} ({self.heights[at + 1]:.2f} mm)"

    def _filled(self, between: dict[int, int], missing: int) -> Stack:
        frames: list[Frame | None] = []
        for at, frame in enumerate(self.frames):
            frames += [frame, *[None] * between.get(at, 0)]
        step = (self.heights[-1] - self.heights[0]) / (len(frames) - 1)
        where = "; ".join(self._between(at) for at in list(between)[:3])
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
        lone = np.flatnonzero((steps > max(WIDEST_GAP, 1.5 * step)) & _lone(steps))
        if len(lone):
            widest = int(lone[steps[lone].argmax()])
            raise InputError(
                f"The slices leave a gap of {steps[lone].max():.3g} mm, between {self._between(widest)}: copy the "
                "whole series again from its disc or archive."
            )
        return Stack(tuple(self.frames), heights, step, uneven=True, notes=(note,))

    def _shear(self) -> np.ndarray:
        """In-plane shift of the frames for each mm that they rise; zeros if it is less than half a pixel over all."""
        spacing = np.array(self.frames[0].spacing[::-1])
        drift, heights = self.places[:, :2] - self.places[0, :2], self.heights - self.heights[0]
        shear = heights @ drift / (heights @ heights)
        rest = np.abs(drift - np.outer(heights, shear))
        if np.any(rest.max(axis=0) > np.maximum(spacing, self.resolution)):
            at = int(rest.max(axis=1).argmax())
            raise InputError(
                f"The slices are shifted against each other, {self.frames[at].name} by {rest.max():.3g} mm: put the files "
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
    """To how many mm heights were rounded, as seen by their steps; 0 if these are nearly all the same."""
    steps = np.diff(heights)
    if not len(steps) or np.mean(np.abs(steps - np.median(steps)) < 1e-4) >= _NEARLY_ALL:
        return 0.0
    heights = heights - heights[0]
    return next((one for one in _RESOLUTIONS if np.abs(heights - np.rint(heights / one) * one).max() < 1e-4), 0.0)


def _fillable(step: float) -> float:
    """Widest step that may be filled in: of thick slices, none may be missing."""
    return max(WIDEST_GAP, 1.2 * step)


def _lone(steps: np.ndarray) -> np.ndarray:
    """Which steps are wider than those around them and not of a stretch of slices with a spacing of its own."""
    near = np.abs(np.diff(steps)) <= 0.15 * np.minimum(steps[:-1], steps[1:])
    starts = np.flatnonzero(np.concatenate([[True], ~near]))
    stops = np.append(starts[1:], len(steps))
    lone = np.zeros(len(steps), bool)
    for start, stop in zip(starts, stops, strict=True):
        around = [steps[at] for at in (start - 1, stop) if 0 <= at < len(steps)]
        lone[start:stop] = stop - start < _STRETCH and bool(around) and steps[start:stop].max() > 1.3 * max(around)
    return lone


def _beside_chain(heights: np.ndarray, step: float, tolerance: float) -> np.ndarray:
    """Indices of slices that are not in the longest chain of even steps (some of which may be missing)."""
    length, before = np.ones(len(heights), int), np.full(len(heights), -1)
    for at in range(1, len(heights)):
        start = max(0, at - _CHAIN_REACH)
        steps = (heights[at] - heights[start:at]) / step
        whole = np.rint(steps)
        fits = (whole >= 1) & (whole <= _CHAIN_REACH // 2) & (np.abs(steps - whole) * step <= tolerance)
        if fits.any():
            best = np.where(fits, length[start:at], 0).argmax()
            length[at], before[at] = length[start + best] + 1, start + best
    at, chain = int(length.argmax()), []
    while at >= 0:
        chain.append(at)
        at = before[at]
    return np.setdiff1d(np.arange(len(heights)), chain)


def _tilt_note(shear: np.ndarray) -> tuple[str, ...]:
    if not shear.any():
        return ()
    return (
        (
            f"The gantry was tilted by {_degrees(shear):.1f} degrees: the slices were shifted to stand upright; the corners "
            "that this leaves are empty."
        ),
    )


def _degrees(shear: np.ndarray) -> float:
    return math.degrees(math.atan(float(np.linalg.norm(shear))))


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
