"""The pose of the head, by the teeth of stage 1: is the occlusal plane level, and does the face look forwards?

Simulated heads, from which the networks learn, have level occlusal planes (standard deviation two degrees), and training tilts
them by at most 14 degrees. The planes of the two real scans at hand fall to the front by 10 degrees (a CBCT) and 24 (a CT of a
lying patient). So a head that is tilted or turned is straightened before stage 2 sees it: its axes are changed, not its voxels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import Rotation

from ..volume import Volume
from .coarse import CoarseResult, expected_position
from .turns import turned

LEAST_TURN = 8.0  # degrees; the pose of a straight head is right to two
MOST_TURN = 50.0  # degrees; larger ones are no pose of a head: `orientation` decides them
_LEAST_AGAIN = 5.0  # degrees; stage 1 underestimates large turns, so it looks again, and smaller ones count then
_WHOLE_ERROR = 4.3  # degrees, standard error of the pose of whole arches; where it is larger, both limits grow with it
_TOOTH = 130  # voxels of 3.4 mm³: the voxels of one tooth lean together, so a tooth counts as one observation
_KEPT = 0.97  # least share of stage 1's information that the straightened head must keep
# Least standard deviations, mm, of the teeth from left to right and from front to back. Of a smaller part of an arch the plane
# is that of leaning roots. Whole arches have 17 and 11 mm or more.
_LEAST_WIDTH, _LEAST_DEPTH = 12.0, 9.0
_FRONT, _BACK = 2.6, 5.2  # positions: the incisors and the molars
_LEAST_ACROSS = 25.0  # mm between the molars of both sides
_LEAST_VOXELS = 80  # of 3.4 mm³, a lower incisor: in the front and in the molars of each side


def straightened(volume: Volume, look: Callable[[Volume], CoarseResult]) -> tuple[Volume, CoarseResult]:
    """A scan whose head is level and faces forwards, and what stage 1 sees in it.

    Parameters
    ----------
    volume : Volume
    look : callable
        Stage 1.

    Returns
    -------
    volume : Volume
        The same voxels with other axes, or the given ones: if the head is nearly straight, if too few teeth tell, or if
        stage 1 has clearly less information on the teeth of the straightened head.
    coarse : CoarseResult
    """
    best = look(volume)
    for least in (LEAST_TURN, _LEAST_AGAIN):
        turn = head_turn(best, least)
        if turn is None:
            break
        straighter = turned(volume, turn)
        seen = look(straighter)
        if seen.information < _KEPT * best.information:
            break
        volume, best = straighter, seen
    return volume, best


def head_turn(coarse: CoarseResult, least: float = LEAST_TURN) -> np.ndarray | None:
    """The rotation (3, 3) from LPS to that of a straight head; None below `least` degrees, or if too few teeth tell.

    `least` is meant for whole arches; with few teeth the pose is less certain, and the turn must be larger.
    """
    if coarse.box is None:
        return None
    points, upper, position = _tooth_voxels(coarse, *coarse.box)
    if len(points) < _LEAST_VOXELS or np.any(points[:, :2].std(axis=0) < (_LEAST_WIDTH, _LEAST_DEPTH)):
        return None
    level, error = _levelling(points, upper)
    least *= max(1.0, error / _WHOLE_ERROR)
    turn = Rotation.from_euler("z", -_yaw(level.apply(points), position)) * level
    if not least <= np.degrees(turn.magnitude()) <= MOST_TURN:
        return None
    return turn.as_matrix()


def _tooth_voxels(coarse: CoarseResult, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The tooth voxels between two LPS corners: LPS places (N, 3) in mm, whether upper, and position."""
    there = np.argwhere(coarse.upper + coarse.lower > 0.5)
    points = np.asarray(coarse.region.origin) + coarse.region.spacing * there[:, ::-1]
    inside = np.all((points >= low) & (points <= high), axis=1)
    seen, (z, y, x) = tuple(there[inside].T), there[inside].T // 2
    return points[inside], coarse.upper[seen] > coarse.lower[seen], expected_position(coarse.position[:, z, y, x])


def _levelling(points: np.ndarray, upper: np.ndarray) -> tuple[Rotation, float]:
    """The smallest rotation that makes the occlusal plane level, and its standard error in degrees.

    The jaws' planes are taken for parallel.
    """
    columns = np.column_stack([points[:, :2], upper, ~upper]).astype(float)
    solution = np.linalg.lstsq(columns, points[:, 2], rcond=None)[0]
    slopes = solution[:2]
    noise = np.var(points[:, 2] - columns @ solution) * _TOOTH
    error = np.degrees(np.sqrt(noise * np.trace(np.linalg.pinv(columns.T @ columns)[:2, :2])))
    normal = np.array([*-slopes, 1.0])
    axis = np.cross(normal, (0.0, 0.0, 1.0))  # as long as the tangent of the angle
    tangent = float(np.linalg.norm(axis))
    return Rotation.from_rotvec(axis * (np.arctan(tangent) / tangent if tangent else 0.0)), float(error)


def _yaw(points: np.ndarray, position: np.ndarray) -> float:
    """Angle in radians about the vertical from the y axis to the midline: from the incisors to the middle of the molars."""
    front, back = points[position < _FRONT, :2], points[position > _BACK, :2]
    if len(front) < _LEAST_VOXELS or len(back) < 2 * _LEAST_VOXELS:
        return 0.0
    start = front.mean(axis=0)
    midline = back.mean(axis=0) - start
    for _ in range(5):  # the sides of the molars follow from the midline, and the midline from them
        side = (back - start) @ (midline[1], -midline[0]) > 0
        if min(np.count_nonzero(side), np.count_nonzero(~side)) < _LEAST_VOXELS:
            return 0.0
        sides = back[side].mean(axis=0), back[~side].mean(axis=0)
        midline = np.mean(sides, axis=0) - start
    if np.linalg.norm(np.subtract(*sides)) < _LEAST_ACROSS:  # two halves of one side
        return 0.0
    return float(np.arctan2(-midline[0], midline[1]))
