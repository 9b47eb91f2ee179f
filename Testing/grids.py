"""Volumes on awkward grids and rotated teeth, for tests of code that must not depend on the orientation of a scan."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np

from teethseg.cascade.instance_features import InstanceEvidence
from teethseg.volume import Volume


def rotation(degrees: tuple[float, float, float] = (12.0, -7.0, 20.0)) -> np.ndarray:
    """A rotation about x, then y, then z."""
    a, b, c = np.radians(degrees)
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return z @ y @ x


def rotated_teeth(teeth: list[InstanceEvidence], degrees: float, axis: int) -> list[InstanceEvidence]:
    """The teeth after a rotation of the head about one axis."""
    turn = rotation(tuple(degrees if k == axis else 0.0 for k in range(3)))
    return [replace(one, centroid_lps=turn @ one.centroid_lps) for one in teeth]


def _grids() -> dict[str, np.ndarray]:
    named = {}
    for order, signs in list(product(permutations(range(3)), product((1, -1), repeat=3)))[::5]:
        axes = "".join("xyz"[row] + ("+" if sign > 0 else "-") for row, sign in zip(order, signs, strict=True))
        named[axes] = np.eye(3)[:, list(order)] * signs
        named[f"oblique {axes}"] = rotation() @ named[axes]
    return named


# Directions by name: straight, flipped, with axes in another order, left-handed, oblique, and all of it.
GRIDS = _grids()
MARKER = (2, 5, 9)  # array index (k, j, i) of the brightest voxel of `marked_volume`


def marked_volume(direction: np.ndarray | None = None, dtype: type = np.int16) -> Volume:
    """Noise of three different sizes and spacings, with one voxel that stands out near a corner."""
    array = np.random.default_rng(3).integers(0, 100, (11, 14, 17)).astype(dtype)
    array[MARKER] = 120
    return Volume(array, (0.3, 0.4, 0.5), (-31.5, 12.25, 70.125), direction)


def marker_lps(volume: Volume) -> np.ndarray:
    """Place of the brightest voxel in the patient, LPS mm."""
    k, j, i = np.unravel_index(int(volume.array.argmax()), volume.array.shape)
    return (volume.affine @ [i, j, k, 1])[:3]
