"""Distances and angles between points of the patient, whichever view they were marked in."""

from __future__ import annotations

import numpy as np


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Straight through the patient, in mm, between two points (3,) in mm."""
    return float(np.linalg.norm(np.subtract(one, other)))


def angle(one: np.ndarray, corner: np.ndarray, other: np.ndarray) -> float:
    """At a corner, in degrees from 0 to 180, between the directions to two points (3,); NaN if one of them is the corner."""
    arms = [np.subtract(end, corner) for end in (one, other)]
    lengths = [np.linalg.norm(arm) for arm in arms]
    if min(lengths) == 0:
        return float("nan")
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(*arms)), np.dot(*arms))))


def length(points: np.ndarray) -> float:
    """Length of a line through points (N, 3), in mm, for measures along the arch."""
    return float(np.linalg.norm(np.diff(np.asarray(points, float), axis=0), axis=1).sum())
