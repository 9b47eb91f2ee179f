"""The line along a dental arch, seen from above: a smooth curve through a few points that a user can drag."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline, splev, splprep

HANDLES = 9
STEP_MM = 0.1  # between the points that the curve is kept as
BEYOND_MM = 80.0  # straight on past both ends
ROUGHNESS_MM = 0.5  # by which teeth stand off a smooth arch
TIGHTEST_MM = 12.0  # radius of an arch at its front
ECTOPIC_MM = 4.0  # beyond that bend, at which a tooth no longer counts as one of the arch
LEAST_WIDTH_MM = 15.0
LEAST_TEETH = 4


@dataclass(frozen=True)
class ArchCurve:
    """A line in the plane (to the left, backwards) of a `Frame`, from the patient's right to the left.

    Places along it are in millimetres from where it crosses the midline, positive to the left.

    Attributes
    ----------
    handles : ndarray, shape (N, 2)
        The points in mm that it goes through, in their order, N at least 3.
    """

    handles: np.ndarray

    @cached_property
    def _line(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places (M,), ascending, points (M, 2) and unit tangents (M, 2)."""
        chords = _lengths(self.handles)
        inner = CubicSpline(chords, self.handles, bc_type="natural")(
            np.linspace(0, chords[-1], max(round(chords[-1] / STEP_MM), 50))
        )
        tangents = np.gradient(inner, axis=0)
        tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
        first, last = inner[0] - BEYOND_MM * tangents[0], inner[-1] + BEYOND_MM * tangents[-1]
        points, tangents = np.concatenate([[first], inner, [last]]), tangents[[0, *range(len(inner)), -1]]
        return _lengths(points) - _crossing(points), points, tangents

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The places of the first and the last handle."""
        place, _, _ = self._line
        return float(place[1]), float(place[-2])

    def at(self, place: np.ndarray) -> np.ndarray:
        """Points (..., 2) at places in mm along the curve."""
        along, points, _ = self._line
        return np.stack([np.interp(place, along, points[:, axis]) for axis in (0, 1)], axis=-1)

    def backwards(self, place: np.ndarray) -> np.ndarray:
        """Unit vectors (..., 2) across the curve, away from the lips."""
        along, _, tangents = self._line
        x, y = (np.interp(place, along, tangents[:, axis]) for axis in (0, 1))
        length = np.hypot(x, y)
        return np.stack([-y / length, x / length], axis=-1)

    def nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where points (N, 2) are nearest to the curve.

        Returns
        -------
        place, depth : ndarray, shape (N,)
            In mm along the curve, and behind it (negative before it).
        """
        points = np.atleast_2d(points)
        along, line, _ = self._line
        coarse = line[::5]  # the ends of the line are far off
        squares = (coarse**2).sum(axis=1) - 2 * points @ coarse.T
        place = along[::5][squares.argmin(axis=1)]
        before, after = along[0], along[-1]

        def ahead(place: np.ndarray) -> np.ndarray:
            """Distance along the direction of the curve between a point and the curve's point at a place."""
            back = self.backwards(place)
            off = points - self.at(place)
            return off[:, 0] * back[:, 1] - off[:, 1] * back[:, 0]

        for _ in range(6):
            far = ahead(place)
            slope = (ahead(place + STEP_MM) - far) / STEP_MM
            place = np.clip(place - far / np.where(slope < -0.05, slope, -1.0), before, after)
        return place, ((points - self.at(place)) * self.backwards(place)).sum(axis=1)

    def moved(self, handle: int, to: np.ndarray) -> ArchCurve:
        """The curve with one handle at another point (2,)."""
        handles = self.handles.copy()
        handles[handle] = to
        return ArchCurve(handles)


def through(points: np.ndarray) -> ArchCurve | None:
    """The curve through points (N, 2), in whichever of the two directions leads to the left; None if they are too few."""
    points = np.asarray(points, float).reshape(-1, 2)
    if len(points):
        apart = np.concatenate([[True], np.linalg.norm(np.diff(points, axis=0), axis=1) > STEP_MM])
        points = points[apart]
    if len(points) < 3:
        return None
    return ArchCurve(points if points[0, 0] <= points[-1, 0] else points[::-1])


def along_teeth(centres: np.ndarray) -> ArchCurve | None:
    """The smooth curve along the centres (N, 2) of the teeth of one jaw; None if they are too few to see an arch.

    Numbers do not matter, and teeth far off (impacted, or no teeth) are left out.
    """
    centres = np.asarray(centres, float).reshape(-1, 2)
    if len(centres) < LEAST_TEETH or np.ptp(centres[:, 0]) < LEAST_WIDTH_MM:
        return None
    middle = np.array([np.mean([centres[:, 0].min(), centres[:, 0].max()]), centres[:, 1].max()])
    turn = np.arctan2(centres[:, 0] - middle[0], middle[1] + 10.0 - centres[:, 1])
    line = _fitted(_without_ectopic(centres[np.argsort(turn)]))
    lengths = _lengths(line)
    wanted = np.linspace(0, lengths[-1], HANDLES)
    return ArchCurve(np.stack([np.interp(wanted, lengths, line[:, axis]) for axis in (0, 1)], axis=1))


def _without_ectopic(centres: np.ndarray) -> np.ndarray:
    """Without the teeth that stand off the line from one neighbour to the other by more than an arch bends."""
    for _ in range(len(centres) // 4):
        before, after, middle = centres[:-2], centres[2:], centres[1:-1]
        chord = after - before
        width = np.maximum(np.linalg.norm(chord, axis=1), 1e-6)
        off = np.abs(chord[:, 0] * (middle - before)[:, 1] - chord[:, 1] * (middle - before)[:, 0]) / width
        excess = off - (width / 2) ** 2 / (2 * TIGHTEST_MM) - ECTOPIC_MM
        worst = int(excess.argmax()) if len(excess) else 0
        if len(centres) <= LEAST_TEETH or excess[worst] <= 0:
            break
        centres = np.delete(centres, worst + 1, axis=0)
    return centres


def _fitted(centres: np.ndarray) -> np.ndarray:
    """Points (400, 2) of a smoothing spline along centres in their order."""
    order = 3 if len(centres) > 5 else 2
    spline, _ = splprep(centres.T, u=_lengths(centres), k=order, s=len(centres) * ROUGHNESS_MM**2)
    ends = _lengths(centres)[-1]
    return np.stack(splev(np.linspace(0, ends, 400), spline), axis=1)


def _lengths(points: np.ndarray) -> np.ndarray:
    """Distance (N,) of each point from the first along a line."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])


def _crossing(points: np.ndarray) -> float:
    """Place along a line where it crosses the midline, at its front; its nearest place if it never does."""
    x, lengths = points[:, 0], _lengths(points)
    crossings = np.flatnonzero((x[:-1] <= 0) & (x[1:] > 0))
    if not len(crossings):
        return float(lengths[1:-1][np.abs(x[1:-1]).argmin()])
    n = crossings[points[crossings, 1].argmin()]
    return float(lengths[n] - x[n] / (x[n + 1] - x[n]) * (lengths[n + 1] - lengths[n]))
