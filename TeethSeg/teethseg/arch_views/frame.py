"""The frame of a dentition: its left, back and top, for any position of the head in the scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..anatomy import TEETH, tooth
from ..boxes import label_boxes
from ..volume import Volume

TIP_SHARE = 0.03  # of a tooth's voxels that make its incisal edge or its cusps
MOST_VOXELS = 4000  # of a tooth that are looked at
UNERUPTED_MM = 3.0  # from the occlusal plane, beyond which a tooth says nothing about it
NOISE_MM = 1.0  # by which cusps lie off one plane
LIKELY_TILT = np.tan(np.radians(15.0))  # of a head in a scanner: it decides where teeth do not
LEAST_TEETH = 3


@dataclass(frozen=True)
class Frame:
    """Axes of a dentition in the patient.

    Attributes
    ----------
    origin : ndarray, shape (3,)
        LPS mm: on the midline, in the occlusal plane.
    axes : ndarray, shape (3, 3)
        Columns are unit vectors in LPS: to the patient's left, backwards, upwards.
    """

    origin: np.ndarray
    axes: np.ndarray

    def from_lps(self, points: np.ndarray) -> np.ndarray:
        """LPS points (..., 3) in mm to millimetres along the axes."""
        return (np.asarray(points, float) - self.origin) @ self.axes

    def to_lps(self, points: np.ndarray) -> np.ndarray:
        """Millimetres along the axes (..., 3) to LPS points."""
        return np.asarray(points, float) @ self.axes.T + self.origin


def upright(origin: ArrayLike) -> Frame:
    """The frame of a head that stands straight in the scanner."""
    return Frame(np.asarray(origin, float), np.eye(3))


@dataclass(frozen=True)
class ToothVoxels:
    """Some of the voxels (N, 3) of a tooth, LPS mm, evenly taken from all of them."""

    fdi: int
    points: np.ndarray

    @property
    def centre(self) -> np.ndarray:
        """Mean of its points (3,), LPS mm."""
        return self.points.mean(axis=0)

    def tip(self, up: np.ndarray) -> np.ndarray:
        """The middle of its incisal edge or of its cusps, with `up` (3,) upwards."""
        heights = self.points @ (-up if tooth(self.fdi).jaw == "upper" else up)
        return self.points[heights >= np.quantile(heights, 1 - TIP_SHARE)].mean(axis=0)


def tooth_voxels(labels: Volume) -> list[ToothVoxels]:
    """The teeth of a label map with FDI numbers."""
    found = []
    for value, box in label_boxes(labels.array).items():
        if value in TEETH:
            indices = np.argwhere(labels.array[box] == value)
            indices = indices[:: max(1, len(indices) // MOST_VOXELS)] + [side.start for side in box]
            found.append(ToothVoxels(value, labels.to_lps(indices)))
    return found


def dentition_frame(teeth: list[ToothVoxels]) -> Frame | None:
    """The frame in which the occlusal plane is level and the midline points forwards; None with too few teeth.

    The plane goes through the incisal edges and cusps of both jaws; teeth far from it have not erupted and are left out.
    A tilt that the teeth do not determine (front teeth alone say nothing of the pitch) is kept near that of the scanner.
    """
    if len(teeth) < LEAST_TEETH:
        return None
    up = _roughly_up(teeth)
    for _ in range(3):  # which end of a tooth is its tip depends on the direction
        left = _leftwards(teeth, up)
        axes = np.column_stack([left, np.cross(up, left), up])
        tips = np.array([one.tip(up) for one in teeth]) @ axes
        slope = _slope(tips)
        up = axes @ np.array([-slope[0], -slope[1], 1.0])
        up /= np.linalg.norm(up)
    left = _leftwards(teeth, up)
    axes = np.column_stack([left, np.cross(up, left), up])
    tips = np.array([one.tip(up) for one in teeth]) @ axes
    middle = np.array([_midline(teeth, axes), tips[:, 1].mean(), np.median(tips[:, 2])])
    return Frame(axes @ middle, axes)


def _roughly_up(teeth: list[ToothVoxels]) -> np.ndarray:
    """From the lower to the upper teeth where both are there, else upwards in the scanner."""
    up = np.array([0.0, 0.0, 1.0])
    by_jaw = {jaw: [one.centre for one in teeth if tooth(one.fdi).jaw == jaw] for jaw in ("upper", "lower")}
    if min(len(found) for found in by_jaw.values()) >= 6:
        across = np.mean(by_jaw["upper"], axis=0) - np.mean(by_jaw["lower"], axis=0)
        if across @ up < 0.5 * np.linalg.norm(across):  # the patient lay, or hung, in the scanner
            return across / np.linalg.norm(across)
    return up


def _leftwards(teeth: list[ToothVoxels], up: np.ndarray) -> np.ndarray:
    """The direction from right teeth to their partners on the left, perpendicular to `up`."""
    centre = {one.fdi: one.centre for one in teeth}
    pairs = [centre[left] - centre[right] for right, left in _partners(centre)]
    if pairs:
        across = np.sum(pairs, axis=0)
    else:
        sides = {side: [c for fdi, c in centre.items() if tooth(fdi).side == side] for side in ("left", "right")}
        across = np.array([1.0, 0.0, 0.0])
        if all(sides.values()):
            across = np.mean(sides["left"], axis=0) - np.mean(sides["right"], axis=0)
            across[1] = 0.0  # unlike numbers of teeth left and right say nothing of forwards and backwards
    across = across - (across @ up) * up
    return across / np.linalg.norm(across)


def _partners(numbers) -> list[tuple[int, int]]:
    """Pairs (right, left) of teeth that are both there."""
    mirrored = {1: 2, 4: 3, 5: 6, 8: 7}
    pairs = [(fdi, 10 * mirrored[fdi // 10] + fdi % 10) for fdi in numbers if fdi // 10 in mirrored]
    return [pair for pair in pairs if pair[1] in numbers]


def _slope(tips: np.ndarray) -> np.ndarray:
    """Rise (2,) of the plane through the tips (N, 3) per mm to the left and per mm backwards."""
    design = np.column_stack([tips[:, :2] - tips[:, :2].mean(axis=0), np.ones(len(tips))])
    prior = np.diag([1 / LIKELY_TILT**2, 1 / LIKELY_TILT**2, 0.0]) * NOISE_MM**2
    used = np.ones(len(tips), bool)
    for _ in range(4):
        rows = design[used]
        fit = np.linalg.solve(rows.T @ rows + prior, rows.T @ tips[used, 2])
        off = np.abs(tips[:, 2] - design @ fit)
        now = off <= max(UNERUPTED_MM, 2.0 * np.median(off))
        if (now == used).all() or now.sum() < LEAST_TEETH:
            break
        used = now
    return fit[:2]


def _midline(teeth: list[ToothVoxels], axes: np.ndarray) -> float:
    """Where the midline lies along the axis to the left: in the middle between partners, front teeth above all."""
    place = {one.fdi: float(one.centre @ axes[:, 0]) for one in teeth}
    pairs = _partners(place)
    if pairs:
        middles = [(place[right] + place[left]) / 2 for right, left in pairs]
        return float(np.average(middles, weights=[1 / tooth(right).position ** 2 for right, _ in pairs]))
    ends = sorted(place.values())
    return (ends[0] + ends[-1]) / 2
