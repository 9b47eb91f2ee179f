"""A simulated jaw: teeth along two parabolas, and beads whose places are known, in any position of the head."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from grids import rotation
from teethseg.anatomy import tooth
from teethseg.volume import Volume

STEP = 0.4  # mm
COARSE = 0.8  # mm: an eighth of the voxels, for tests of places and views rather than of pictures
WIDTHS = {1: 8.0, 2: 6.5, 3: 7.5, 4: 7.0, 5: 7.0, 6: 10.0, 7: 9.5}  # mm along the arch, by position
DEPTH = {"upper": 0.045, "lower": 0.05}  # of the parabolas: mm backwards for each mm² to the side
CENTRE = {"upper": 9.0, "lower": -9.0}  # mm above the occlusal plane
BEAD_RADIUS = 0.9
TURNED = (9.0, -6.0, 14.0)  # degrees about the axes to the left, backwards, upwards
SIZE = np.array([80.0, 64.0, 56.0])  # mm: to the left, backwards, upwards


@dataclass(frozen=True)
class Phantom:
    """A scan, its labels, beads (N, 3) in LPS mm, and the head's axes as columns (left, backwards, upwards)."""

    scan: Volume
    labels: Volume
    beads: np.ndarray
    axes: np.ndarray
    origin: np.ndarray

    def lps(self, points) -> np.ndarray:
        """Points of the head (..., 3), mm to the left, backwards, upwards, in the patient."""
        return np.asarray(points, float) @ self.axes.T + self.origin


def along(jaw: str, place: np.ndarray) -> np.ndarray:
    """Points (..., 2) on the parabola of a jaw, at places in mm along it from the midline to the left."""
    x = np.linspace(-40, 40, 8001)
    y = DEPTH[jaw] * x**2 - 20.0
    length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    length -= np.interp(0.0, x, length)
    return np.stack([np.interp(place, length, x), np.interp(place, length, y)], axis=-1)


def tooth_places(jaw: str) -> dict[int, float]:
    """Places of the teeth along the arch, mm from the midline, by FDI number."""
    places = {}
    for quadrant, sign in ((1, -1), (2, 1)) if jaw == "upper" else ((4, -1), (3, 1)):
        edge = 0.0
        for position, width in WIDTHS.items():
            places[10 * quadrant + position] = sign * (edge + width / 2)
            edge += width
    return places


@cache
def phantom(degrees=(0.0, 0.0, 0.0), beads=(), without=(), step=STEP) -> Phantom:
    """Teeth as upright ellipsoids in a head that is turned, and beads at points of the head (tuples of three)."""
    axes = rotation(degrees)
    origin = np.array([12.0, -30.0, 55.0])
    corner = origin - SIZE / 2  # the scanner's grid is straight
    shape = np.ceil(SIZE / step).astype(int)[::-1]
    image = np.random.default_rng(1).normal(200, 40, shape).astype(np.float32)
    labels = np.zeros(image.shape, np.uint8)

    def near(middle, radius: float):
        """The box around a point of the head, and the places of its voxels in the head."""
        place = (axes @ middle + origin - corner) / step
        first = np.clip(np.floor(place - radius / step), 0, np.array(image.shape[::-1])).astype(int)
        stop = np.clip(np.ceil(place + radius / step) + 1, 0, np.array(image.shape[::-1])).astype(int)
        index = np.stack(np.meshgrid(*map(np.arange, first, stop), indexing="ij"), axis=-1).transpose(2, 1, 0, 3)
        return tuple(map(slice, first[::-1], stop[::-1])), (index * step + corner - origin) @ axes

    for jaw in ("upper", "lower"):
        for fdi, place in tooth_places(jaw).items():
            if fdi not in without:
                middle = np.array([*along(jaw, place), CENTRE[jaw]])
                radii = np.array([WIDTHS[tooth(fdi).position] / 2, 4.0, 9.0])
                ahead = np.subtract(*along(jaw, np.array([place + 0.1, place - 0.1])))
                turn = np.array([ahead, [-ahead[1], ahead[0]]]) / np.linalg.norm(ahead)
                box, points = near(middle, 10.0)
                off = points - middle
                inside = (((off[..., :2] @ turn.T) / radii[:2]) ** 2).sum(axis=-1) + (off[..., 2] / radii[2]) ** 2 < 1
                labels[box][inside] = fdi
                image[box][inside] = 1200
    for bead in beads:
        box, points = near(np.array(bead), BEAD_RADIUS + 1)
        image[box] += 6000 * np.clip((BEAD_RADIUS - np.linalg.norm(points - bead, axis=-1)) / step + 0.5, 0, 1)
    place = {"spacing": (step,) * 3, "origin": tuple(corner)}
    head = Phantom(Volume(image, **place), Volume(labels, **place), np.empty((0, 3)), axes, origin)
    return replace(head, beads=head.lps(np.array(beads).reshape(-1, 3)))
