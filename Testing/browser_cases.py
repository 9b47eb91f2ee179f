"""A small scan whose left and right, upper and lower teeth differ, for tests of the page."""

from __future__ import annotations

from functools import cache

import numpy as np

from teethseg.anatomy import tooth
from teethseg.volume import Volume

# FDI number: (x to the left, y backwards, z upwards) of the middle in mm, radius in mm.
BALLS = {
    16: (-18, 14, 6, 4.5),
    11: (-4, -14, 6, 3.5),
    26: (18, 14, 6, 4.0),
    36: (18, 14, -6, 4.5),
    41: (-4, -14, -6, 3.0),
}
SPACING = 0.5


def ball_case(direction: np.ndarray | None = None) -> tuple[Volume, Volume]:
    """A scan of bright balls in a jaw-sized box, and its labels."""
    direction = np.eye(3) if direction is None else direction
    image, labels, origin = _arrays(tuple(direction.ravel().tolist()))
    place = {"spacing": (SPACING,) * 3, "origin": origin, "direction": direction}
    return Volume(image.copy(), **place), Volume(labels.copy(), **place)


@cache
def _arrays(columns: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Image, labels and origin for a direction; cached, because most tests of the page use them."""
    size = np.array([52.0, 44.0, 30.0])
    count = (size / SPACING).astype(int)
    direction = np.reshape(columns, (3, 3))
    i, j, k = np.meshgrid(*(np.arange(n) * SPACING - s / 2 for n, s in zip(count, size, strict=True)), indexing="ij")
    grid = np.stack([i, j, k], axis=-1).transpose(2, 1, 0, 3) @ direction.T
    labels = np.zeros(grid.shape[:3], np.uint8)
    image = np.random.default_rng(0).normal(0, 30, labels.shape)
    for fdi, (x, y, z, radius) in BALLS.items():
        inside = np.linalg.norm(grid - (x, y, z), axis=-1) < radius
        labels[inside] = fdi
        image[inside] += 1500
    return image.astype(np.int16), labels, tuple(direction @ (-size / 2))


def like(picture: np.ndarray, fdi: int) -> np.ndarray:
    """Which pixels of a picture (rows, columns, RGB) have the hue of a tooth's colour, as pale or dark as they may be."""
    colour = np.array(tooth(fdi).colour)
    least, range_ = picture.min(axis=-1, keepdims=True), np.ptp(picture, axis=-1, keepdims=True)
    hue = (picture - least) / np.maximum(range_, 1)
    return (range_[..., 0] > 30) & (np.abs(hue - (colour - colour.min()) / np.ptp(colour)).max(axis=-1) < 0.15)
