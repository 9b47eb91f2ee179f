"""Random fields of view: samples are cut as if the device had scanned a smaller volume."""

from __future__ import annotations

import numpy as np


def field_of_view_mask(shape: tuple[int, ...], reach: float, rng: np.random.Generator) -> np.ndarray:
    """Mask of a random field of view: an upright cylinder or a box that cuts the sample.

    Parameters
    ----------
    shape : (int, int, int)
        Z, Y, X of the sample.
    reach : float
        Largest share of the edge of the sample that is cut off on each side.

    Returns
    -------
    ndarray of bool, shape (Z, Y, X)
    """
    start, stop = (np.round(np.array(shape) * rng.uniform(0, reach, 3)).astype(int) for _ in range(2))
    inside = np.zeros(shape, bool)
    inside[tuple(slice(a, n - b) for a, b, n in zip(start, stop, shape, strict=True))] = True
    if rng.random() < 0.6:
        middle, half = (np.array(shape[1:]) + start[1:] - stop[1:]) / 2, (np.array(shape) - start - stop)[1:].min() / 2
        radius = half * rng.uniform(0.9, 1.3)
        y, x = np.ogrid[: shape[1], : shape[2]]
        inside &= (y - middle[0]) ** 2 + (x - middle[1]) ** 2 < radius**2
    return inside
