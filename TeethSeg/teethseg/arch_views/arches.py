"""Both arches of a dentition, and the upright surface along them that a panorama unrolls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from ..anatomy import tooth
from .curve import ArchCurve, along_teeth, through
from .frame import Frame, ToothVoxels, dentition_frame, upright

Jaws = Literal["upper", "lower", "both"]

MARGIN_MM = 8.0  # above the highest and below the lowest tooth
REACH_MM = 30.0  # above and below the points that a user clicked
TRANSITION_MM = 10.0  # of height in which the surface goes over from the lower to the upper arch
LEAN_REACH_MM = 12.0  # above and below its middle a tooth leans
STEEPEST = 0.8  # mm backwards for each mm upwards
NEIGHBOURS_MM = 6.0  # along the arch, whose lean is averaged


@dataclass(frozen=True)
class ArchLine:
    """The line along one arch.

    Attributes
    ----------
    curve : ArchCurve
    height : float
        In mm above the occlusal plane, at which the teeth stand on the curve.
    lean : ndarray, shape (handles of the curve,)
        How many mm further back they are for each mm further up.
    """

    curve: ArchCurve
    height: float
    lean: np.ndarray

    def behind(self, place: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Millimetres by which the middles of the teeth lie behind the curve, at places along it and heights."""
        at, _ = self.curve.nearest(self.curve.handles)
        rise = np.clip(np.asarray(height) - self.height, -LEAN_REACH_MM, LEAN_REACH_MM)
        return np.interp(place, at, self.lean) * rise


@dataclass(frozen=True)
class Arches:
    """The lines along the arches, in the plane of a frame.

    Attributes
    ----------
    frame : Frame
    upper, lower : ArchLine
        The same one twice where only one is known.
    heights : mapping of str to (float, float)
        Lowest and highest mm above the occlusal plane that 'upper', 'lower' and 'both' show.
    """

    frame: Frame
    upper: ArchLine
    lower: ArchLine
    heights: dict[str, tuple[float, float]]

    @property
    def single(self) -> bool:
        """Whether both jaws have one line."""
        return self.upper is self.lower

    def curve(self, jaws: Jaws) -> ArchCurve:
        """The curve of one jaw; of both, the one half way between them."""
        return self.surface(jaws).curve

    def surface(self, jaws: Jaws) -> ArchSurface:
        """The surface along one arch or both."""
        if jaws == "both" and not self.single:
            return ArchSurface(_half_way(self.lower.curve, self.upper.curve), self.lower, self.upper)
        line = self.upper if jaws == "upper" else self.lower
        return ArchSurface(line.curve, line, line)

    def with_curve(self, jaws: Jaws, curve: ArchCurve) -> Arches:
        """With another curve for one jaw, or for both."""
        if jaws == "both" or self.single:
            line = replace(self.lower, curve=curve, lean=_fitting(self.lower.lean, curve))
            return replace(self, upper=line, lower=line)
        line = getattr(self, jaws)
        return replace(self, **{jaws: replace(line, curve=curve, lean=_fitting(line.lean, curve))})


@dataclass(frozen=True)
class ArchSurface:
    """A surface that stands on a curve and leans as the teeth do: of the lower jaw below, of the upper jaw above.

    A point of it is given by its place along the curve and its height; a point near it also by its depth behind it. All
    points of one place lie in one plane across the curve.
    """

    curve: ArchCurve
    lower: ArchLine
    upper: ArchLine

    def points(self, place: np.ndarray, height: np.ndarray, depth: np.ndarray | float = 0.0) -> np.ndarray:
        """Points (..., 2) in the plane of the frame."""
        back = np.asarray(depth + self.course(place, height))
        return self.curve.at(place) + back[..., None] * self.curve.backwards(place)

    def locate(self, points: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Place and depth (each (N,)) of points (N, 2) in the plane of the frame, at heights (N,)."""
        place, back = self.curve.nearest(points)
        return place, back - self.course(place, height)

    def course(self, place: np.ndarray, height: np.ndarray) -> np.ndarray:
        """Millimetres by which the surface lies behind its curve."""
        if self.lower is self.upper:
            return self.lower.behind(place, height)
        share = np.clip(np.asarray(height) / TRANSITION_MM + 0.5, 0, 1)
        lower, upper = (
            np.interp(place, self._raster, apart) + line.behind(place, height)
            for apart, line in zip(self._apart, (self.lower, self.upper), strict=True)
        )
        return (1 - share) * lower + share * upper

    @property
    def _raster(self) -> np.ndarray:
        first, last = self.curve.ends
        return np.arange(first - 20.0, last + 20.0, 0.5)

    @cached_property
    def _apart(self) -> tuple[np.ndarray, np.ndarray]:
        """Millimetres by which the lower and the upper arch lie behind the curve."""
        found = []
        for line in (self.lower, self.upper):
            first, last = line.curve.ends
            place, behind = self.curve.nearest(line.curve.at(np.arange(first - 20.0, last + 20.0, 0.5)))
            found.append(np.interp(self._raster, place, behind))
        return tuple(found)


def arches_of_teeth(teeth: list[ToothVoxels]) -> Arches | None:
    """The arches of a dentition; None where neither jaw has teeth enough to see one."""
    frame = dentition_frame(teeth)
    if frame is None:
        return None
    lines: dict[str, ArchLine | None] = {}
    spans = {}
    for jaw in ("upper", "lower"):
        mine = [frame.from_lps(one.points) for one in teeth if tooth(one.fdi).jaw == jaw]
        lines[jaw] = _line(mine) if mine else None
        if mine:
            heights = np.concatenate([points[:, 2] for points in mine])
            spans[jaw] = float(heights.min()) - MARGIN_MM, float(heights.max()) + MARGIN_MM
    upper, lower = lines["upper"] or lines["lower"], lines["lower"] or lines["upper"]
    if upper is None or lower is None:
        return None
    spans["both"] = min(low for low, _ in spans.values()), max(high for _, high in spans.values())
    return Arches(frame, upper, lower, {jaws: spans.get(jaws, spans["both"]) for jaws in ("upper", "lower", "both")})


def arches_of_points(points: np.ndarray, frame: Frame | None = None) -> Arches | None:
    """The arches along a few points (N, 3), LPS mm, that a user clicked; None if they are fewer than three.

    Parameters
    ----------
    points : ndarray, shape (N, 3)
    frame : Frame, optional
        Of the dentition if it is known; else the head stands straight and the middle of the points is the midline.
    """
    points = np.asarray(points, float).reshape(-1, 3)
    if len(points) < 3:
        return None
    if frame is None:
        low, high = points.min(axis=0), points.max(axis=0)
        frame = upright([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, points[:, 2].mean()])
    places = frame.from_lps(points)
    curve = through(places[:, :2])
    if curve is None:
        return None
    level = float(places[:, 2].mean())
    line = ArchLine(curve, level, np.zeros(len(curve.handles)))
    heights = {"upper": (level - REACH_MM / 4, level + REACH_MM), "lower": (level - REACH_MM, level + REACH_MM / 4)}
    return Arches(frame, line, line, heights | {"both": (level - REACH_MM, level + REACH_MM)})


def _line(teeth: list[np.ndarray]) -> ArchLine | None:
    """The line along teeth whose points (N, 3) are given in the frame."""
    centres = np.array([points.mean(axis=0) for points in teeth])
    curve = along_teeth(centres[:, :2])
    if curve is None:
        return None
    place, _ = curve.nearest(centres[:, :2])
    back = curve.backwards(place)
    leans, weights = [], []
    for points, centre, direction in zip(teeth, centres, back, strict=True):
        behind, above = (points[:, :2] - centre[:2]) @ direction, points[:, 2] - centre[2]
        spread = float(above @ above)
        leans.append(np.clip(behind @ above / spread, -STEEPEST, STEEPEST) if spread > 0 else 0.0)
        # A tooth that lies on its side, as wisdom teeth do, says nothing of its neighbours.
        weights.append(1.0 if np.ptp(above) > 1.2 * np.ptp(behind) else 0.05)
    at, _ = curve.nearest(curve.handles)
    near = np.exp(-((at[:, None] - place) ** 2) / (2 * NEIGHBOURS_MM**2)) * weights
    return ArchLine(curve, float(np.median(centres[:, 2])), near @ leans / np.maximum(near.sum(axis=1), 1e-6))


def _half_way(one: ArchCurve, other: ArchCurve) -> ArchCurve:
    share = np.linspace(0, 1, 2 * len(one.handles))
    halves = []
    for curve in (one, other):
        first, last = curve.ends
        halves.append(curve.at(first + share * (last - first)))
    return ArchCurve(np.mean(halves, axis=0))


def _fitting(lean: np.ndarray, curve: ArchCurve) -> np.ndarray:
    """The lean at the handles of a curve that may have more or fewer of them."""
    count = len(curve.handles)
    return lean if len(lean) == count else np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(lean)), lean)
