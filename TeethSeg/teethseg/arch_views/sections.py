"""Cross-sections: upright slices across an arch, one every few millimetres along it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arches import Arches, Jaws
from .box import ArchBox

DEPTH_STEP_MM = 0.5
LEAST_DISTANCE_MM, MOST_DISTANCE_MM = 0.5, 10.0
LEAST_THICKNESS_MM, MOST_THICKNESS_MM = 0.25, 10.0


@dataclass(frozen=True)
class SectionOptions:
    """Options of the cross-sections.

    Attributes
    ----------
    jaws : {'upper', 'lower', 'both'}
        Whose line is cut, and how much is seen upwards and downwards.
    distance_mm : float
        From section to section along the line.
    thickness_mm : float
        Of a section; the mean of it is shown.
    width_mm : float
        Across the arch.
    """

    jaws: Jaws = "both"
    distance_mm: float = 2.0
    thickness_mm: float = 1.0
    width_mm: float = 30.0

    def __post_init__(self):
        for name, least, most in (
            ("distance_mm", LEAST_DISTANCE_MM, MOST_DISTANCE_MM),
            ("thickness_mm", LEAST_THICKNESS_MM, MOST_THICKNESS_MM),
        ):
            object.__setattr__(self, name, float(np.clip(getattr(self, name), least, most)))


@dataclass(frozen=True)
class SectionPlane:
    """Where the pixels of a section lie in the patient: a plane.

    Attributes
    ----------
    place_mm : float
        Along the line.
    corner : ndarray, shape (3,)
        LPS mm of the middle of the first pixel.
    across, down : ndarray, shape (3,)
        Unit vectors in LPS from column to column (towards the tongue) and from row to row.
    step : float
        From row to row and from column to column, in mm.
    shape : (int, int)
        Rows and columns.
    """

    place_mm: float
    corner: np.ndarray
    across: np.ndarray
    down: np.ndarray
    step: float
    shape: tuple[int, int]

    @property
    def normal(self) -> np.ndarray:
        """The direction along the arch (3,) in LPS: away from whom looks at the section."""
        return np.cross(self.across, self.down)

    def lps(self, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Points (N, 3) in the patient, LPS mm, under pixels (N,)."""
        column, row = (np.atleast_1d(np.asarray(one, float))[:, None] for one in (column, row))
        return self.corner + self.step * (column * self.across + row * self.down)

    def pixel(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Column, row and distance in mm from the plane (each (N,)) of points (N, 3) in the patient, LPS mm."""
        off = np.atleast_2d(points) - self.corner
        return off @ self.across / self.step, off @ self.down / self.step, off @ self.normal


@dataclass(frozen=True)
class Section:
    """One slice: grey values (rows, columns), float32, and where they lie."""

    grey: np.ndarray
    plane: SectionPlane


def planes(box: ArchBox, arches: Arches, options: SectionOptions, places: np.ndarray) -> list[SectionPlane]:
    """The planes across the line at places (N,) in mm along it."""
    curve, frame = arches.curve(options.jaws), arches.frame
    levels = box.levels(*arches.heights[options.jaws])
    columns = round(options.width_mm / box.step) + 1
    found = []
    for place in np.atleast_1d(places):
        back = curve.backwards(place)
        start = curve.at(place) - options.width_mm / 2 * back
        corner = frame.to_lps(np.array([*start, box.heights[levels[0]]]))
        across, down = frame.axes @ np.array([*back, 0.0]), -frame.axes[:, 2]
        found.append(SectionPlane(float(place), corner, across, down, box.step, (len(levels), columns)))
    return found


def sections(box: ArchBox, arches: Arches, places: np.ndarray, options: SectionOptions | None = None) -> list[Section]:
    """Slices across the line.

    Parameters
    ----------
    box : ArchBox
    arches : Arches
    places : ndarray, shape (N,)
        In mm along the line; see `around`.
    options : SectionOptions, optional
    """
    options = options or SectionOptions()
    cuts = planes(box, arches, options, places)
    if not cuts:
        return []
    levels = box.levels(*arches.heights[options.jaws])
    count = max(1, round(options.thickness_mm / DEPTH_STEP_MM))
    through = (np.arange(count) - (count - 1) / 2) * options.thickness_mm / count
    points = np.stack([_points(box, cut, through) for cut in cuts])
    sampler = box.sampler(points)
    grey = np.stack([(sampler @ box.flat(level)).reshape(points.shape[:3]).mean(axis=2) for level in levels], axis=1)
    return [Section(one, cut) for one, cut in zip(grey, cuts, strict=True)]


def around(arches: Arches, options: SectionOptions, place: float, count: int) -> np.ndarray:
    """Places of `count` sections, the middle one of which is nearest to a place in mm; all lie on one raster."""
    nearest = round(place / options.distance_mm)
    first, last = arches.curve(options.jaws).ends
    wanted = (nearest + np.arange(count) - count // 2) * options.distance_mm
    return wanted[(wanted >= first - 15.0) & (wanted <= last + 15.0)]


def place_of(arches: Arches, jaws: Jaws, point: np.ndarray) -> float:
    """The place in mm along the line that a point (3,) in the patient, LPS mm, is nearest to."""
    along, _ = arches.curve(jaws).nearest(arches.frame.from_lps(np.asarray(point))[None, :2])
    return float(along[0])


def _points(box: ArchBox, cut: SectionPlane, through: np.ndarray) -> np.ndarray:
    """Points (columns, depths, 2) in the plane of the frame."""
    columns = np.arange(cut.shape[1])
    top = cut.lps(columns, np.zeros(len(columns)))[:, None] + through[:, None] * cut.normal
    return box.frame.from_lps(top)[..., :2]
