"""Usual shapes of teeth: a mean signed distance for every type and its modes of variation, posed in a scan.

A tooth's own frame is that of `simulation.shapes`, in mm: x distal, y lingual, z towards the apex, origin at the level of
the highest cusp above the middle of the crown. Made by `scripts/tooth_shapes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ..anatomy import tooth
from ..resources import resource
from ..tooth_sizes import DECIDUOUS

# Degrees between a left tooth's distal side and the patient's left, by position: the arch turns backwards.
_TURN = (8, 25, 45, 65, 75, 80, 82, 82)


@dataclass(frozen=True)
class ToothModel:
    """All teeth of one type.

    Attributes
    ----------
    mean : ndarray of float32, shape (Z, Y, X)
        Signed distance in mm to the mean tooth, negative inside, on a grid of the tooth's own frame.
    modes : ndarray of float32, shape (K, Z, Y, X)
        Change by one standard deviation of each mode of variation.
    spacing : float
        Of the grid, in mm.
    corner, size : ndarray, shape (3,)
        (x, y, z) of voxel 0, and the mean tooth's width, depth and length, in mm.
    spread : ndarray, shape (3, 3)
        Covariance of the logarithms of these sizes.
    """

    mean: np.ndarray
    modes: np.ndarray
    spacing: float
    corner: np.ndarray
    size: np.ndarray
    spread: np.ndarray


class SurfacePoints(NamedTuple):
    """Points of a posed tooth's surface.

    points, normals : (N, 3), mm along the scan's (z, y, x)
    moves : (N, 9 + K); how far each point goes outwards for each unit of `Pose.moved`
    heights : (N,); mm from the cusps in the tooth's own frame
    """

    points: np.ndarray
    normals: np.ndarray
    moves: np.ndarray
    heights: np.ndarray


@lru_cache(maxsize=4)
def tooth_model(fdi: int) -> ToothModel:
    """The model of a tooth's type; deciduous molars look like small permanent molars."""
    one = tooth(fdi)
    name = f"{one.jaw}_{one.position + 2 * (one.deciduous and one.position > 3)}_"
    with np.load(resource("Shapes", "teeth.npz"), allow_pickle=False) as file:
        fields, steps, corner, size, spread = (
            file[name + part] for part in ("fields", "steps", "corner", "size", "spread")
        )
        spacing = float(file["spacing"])
    fields = fields * steps[:, None, None, None].astype(np.float32)
    return ToothModel(fields[0], fields[1:], spacing, corner.astype(float), size.astype(float), spread.astype(float))


def tooth_axes(fdi: int, apical: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Axes (3, 3) of a tooth's own frame, distal, lingual, apical in columns, as vectors along the scan's (z, y, x).

    Parameters
    ----------
    apical : (3,)
        Unit vector along the scan's (z, y, x).
    direction : (3, 3)
        Of the scan, as in `volume.Volume`.
    """
    one = tooth(fdi)
    to_scan = direction.T[::-1]  # LPS to (z, y, x)
    apical = to_scan.T @ apical
    turn = np.radians(_TURN[one.position - 1])
    distal = np.array([np.cos(turn) if one.side == "left" else -np.cos(turn), np.sin(turn), 0.0])
    upright = np.array([0.0, 0.0, 1.0 if one.jaw == "upper" else -1.0])
    distal = Rotation.align_vectors([apical], [upright])[0].apply(distal)  # a tooth tips as a whole
    # Distal, lingual, apical turn the other way round on the other side, and again in the other jaw.
    lingual = np.cross(apical, distal) * (-1 if (one.jaw == "upper") == (one.side == "right") else 1)
    return to_scan @ np.stack([distal, lingual, apical], axis=1)


@dataclass(frozen=True)
class Pose:
    """A tooth in a scan; points are mm along the scan's (z, y, x).

    Attributes
    ----------
    origin : (3,)
        Where the origin of the tooth's own frame lies.
    axes : (3, 3)
        Its distal, lingual and apical direction, in columns.
    stretch : (3,)
        Logarithms of its size along them beside the model's.
    weights : (K,)
        Standard deviations of the modes.
    """

    model: ToothModel
    origin: np.ndarray
    axes: np.ndarray
    stretch: np.ndarray
    weights: np.ndarray

    @classmethod
    def usual(cls, fdi: int, origin: np.ndarray, axes: np.ndarray) -> Pose:
        """A tooth of average shape, at a place (3,) and along the columns of `axes` (3, 3)."""
        model = tooth_model(fdi)
        stretch = np.full(3, np.log(DECIDUOUS) if tooth(fdi).deciduous else 0.0)
        return cls(model, origin, axes, stretch, np.zeros(len(model.modes)))

    @cached_property
    def field(self) -> np.ndarray:
        """Signed distance (Z, Y, X) on the model's grid, before it is stretched."""
        return self.model.mean + np.tensordot(self.weights.astype(np.float32), self.model.modes, 1)

    def own(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the scan in the model's frame (x, y, z)."""
        return (points - self.origin) @ self.axes / np.exp(self.stretch)

    def place(self, own: np.ndarray) -> np.ndarray:
        """The opposite of `own`."""
        return self.origin + own * np.exp(self.stretch) @ self.axes.T

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Signed distance (...) in mm, about, of points (..., 3) of the scan; negative inside."""
        own, corner = self.own(points), self.model.corner
        held = np.clip(own, corner, corner + self.model.spacing * (np.array(self.field.shape[::-1]) - 1))
        at = ((held - corner) / self.model.spacing)[..., ::-1]
        values = ndimage.map_coordinates(self.field, at.reshape(-1, 3).T, order=1, mode="nearest")
        beyond = np.linalg.norm(own - held, axis=-1)  # of the model's grid
        return (values.reshape(points.shape[:-1]) + beyond) * np.exp(self.stretch.mean())

    def roots(self, height: float) -> list[np.ndarray]:
        """Middles (x, y, z) of the roots, in the model's frame, at a height in parts of the length from the cusps."""
        z = height * self.model.size[2]
        level = round((z - self.model.corner[2]) / self.model.spacing)
        depth = -self.field[min(max(level, 0), len(self.field) - 1)]
        peaks, count = ndimage.label((depth == ndimage.maximum_filter(depth, 5)) & (depth > 0.5 * depth.max()))
        middles = ndimage.center_of_mass(peaks > 0, peaks, range(1, count + 1))
        return [np.append(np.array(place)[::-1] * self.model.spacing + self.model.corner[:2], z) for place in middles]

    def moving(self, own: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """How far points of the model's frame (N, 3) go along directions (N, 3) of the scan when the pose moves (N, 9)."""
        arm = (own * np.exp(self.stretch)) @ self.axes.T
        return np.concatenate(
            [directions, np.cross(arm, directions), (directions @ self.axes) * own * np.exp(self.stretch)], axis=1
        )

    def surface(self, every: int = 1) -> SurfacePoints:
        """Foot points of the voxels beside the surface, or of some of them."""
        spacing, field = self.model.spacing, self.field
        index = np.argwhere(np.abs(field) < 0.55 * spacing)[::every]
        slope = np.stack([part[tuple(index.T)] for part in np.gradient(field, spacing)], axis=1)
        steep = (slope**2).sum(axis=1) > 0.15  # not where two walls meet
        index, slope = index[steep], slope[steep]
        at = tuple(index.T)
        step = slope * (field[at] / (slope**2).sum(axis=1))[:, None]
        own = (index * spacing - step)[:, ::-1] + self.model.corner
        outwards = (slope[:, ::-1] / np.exp(self.stretch)) @ self.axes.T
        length = np.linalg.norm(outwards, axis=1, keepdims=True)
        normals = outwards / length
        moves = np.concatenate(
            [self.moving(own, normals), -self.model.modes[:, at[0], at[1], at[2]].T / length], axis=1
        )
        return SurfacePoints(self.place(own), normals, moves, own[:, 2])

    def moved(self, step: np.ndarray) -> Pose:
        """Another pose: `step` (9 + K,) is a shift in mm, a rotation vector about the origin, stretches and weights."""
        turn = Rotation.from_rotvec(step[3:6]).as_matrix()
        return replace(
            self,
            origin=self.origin + step[:3],
            axes=turn @ self.axes,
            stretch=self.stretch + step[6:9],
            weights=np.clip(self.weights + step[9:], -3, 3),
        )

    def since(self, first: Pose) -> np.ndarray:
        """The step that led from another pose to this one, as in `moved`."""
        turn = Rotation.from_matrix(self.axes @ first.axes.T).as_rotvec()
        return np.concatenate(
            [self.origin - first.origin, turn, self.stretch - first.stretch, self.weights - first.weights]
        )
