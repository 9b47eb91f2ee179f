"""Jaw of each tooth, from the network's probability and the tooth's height in two parallel rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROW_DISTANCE = 17.0  # mm between the centres of upper and lower teeth, bite closed
_ROW_DISTANCE_SD = 5.0
_LEAST_ROW_DISTANCE = 12.0
_SLOPE_SD = 0.3  # of the occlusal plane; 30 degrees of tilt are two standard deviations
_HEIGHT_SD = 3.5  # mm, of teeth within their row
_OUTLIER = 3.0  # standard deviations beyond which the weight of a tooth falls (Huber)
_SUREST_VOTE = 0.98
_MOST_FROM_HEIGHT = 8.0  # log odds


@dataclass(frozen=True)
class Rows:
    """The two rows of teeth.

    Attributes
    ----------
    upper : ndarray, shape (N,)
        Probability that each tooth is an upper one.
    normal : ndarray, shape (3,)
        Unit vector in LPS from the lower row to the upper one, perpendicular to the occlusal plane.
    """

    upper: np.ndarray
    normal: np.ndarray


def split_jaws(centroids: np.ndarray, upper_votes: np.ndarray) -> Rows:
    """Divide teeth into an upper and a lower row.

    Both rows share one plane z = a + b x + c y, a row distance apart (posterior mean by expectation maximisation,
    priors on tilt and distance). Network probability and height together give the jaw of a tooth, so the height
    corrects a single wrong probability. With few teeth, the network's probabilities decide.

    Parameters
    ----------
    centroids : ndarray, shape (N, 3)
        LPS mm.
    upper_votes : ndarray, shape (N,)
        Probability of the upper jaw, predicted by the network.

    Returns
    -------
    Rows
    """
    if not len(centroids):
        return Rows(np.zeros(0), np.array([0.0, 0.0, 1.0]))
    points = centroids - np.median(centroids, axis=0)
    votes = np.clip(upper_votes, 1 - _SUREST_VOTE, _SUREST_VOTE)
    prior = np.log(votes / (1 - votes))
    sides = np.array([0.5, -0.5])  # upper, lower
    # Every tooth enters twice, as an upper and as a lower one, weighted by the probability of each.
    design = np.concatenate(
        [np.column_stack([np.ones(len(points)), points[:, :2], np.full(len(points), s)]) for s in sides]
    )
    height = np.tile(points[:, 2], 2)
    precision = np.diag([1e-6, _SLOPE_SD**-2, _SLOPE_SD**-2, _ROW_DISTANCE_SD**-2])
    mean = np.array([0, 0, 0, _ROW_DISTANCE])
    upper, pull = votes, np.ones(len(height))
    for _ in range(30):
        weight = np.concatenate([upper, 1 - upper]) * pull / _HEIGHT_SD**2
        plane = np.linalg.solve(
            design.T @ (weight[:, None] * design) + precision, design.T @ (weight * height) + precision @ mean
        )
        if plane[3] < _LEAST_ROW_DISTANCE:  # no second row: wrong probabilities within a single row
            plane = _solve_with_distance(design, height, weight, precision, _LEAST_ROW_DISTANCE)
        residual = np.abs(height - design @ plane) / _HEIGHT_SD
        pull = _OUTLIER / np.maximum(residual, _OUTLIER)
        # Far from both rows, the loss grows linearly with the distance, not with its square.
        loss = np.where(residual < _OUTLIER, residual**2 / 2, _OUTLIER * (residual - _OUTLIER / 2))
        by_height = np.clip(loss[len(points) :] - loss[: len(points)], -_MOST_FROM_HEIGHT, _MOST_FROM_HEIGHT)
        upper = 1 / (1 + np.exp(-(prior + by_height)))
    normal = np.array([-plane[1], -plane[2], 1.0])
    return Rows(upper, normal / np.linalg.norm(normal))


def _solve_with_distance(
    design: np.ndarray, height: np.ndarray, weight: np.ndarray, precision: np.ndarray, distance: float
) -> np.ndarray:
    """The plane (4,) by weighted least squares, with the rows `distance` mm apart."""
    free = design[:, :3]
    normal = free.T @ (weight[:, None] * free) + precision[:3, :3]
    return np.append(np.linalg.solve(normal, free.T @ (weight * (height - distance * design[:, 3]))), distance)
