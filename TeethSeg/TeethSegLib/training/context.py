"""What stage 1 tells stage 2, imitated from a label map, mistakes included.

So the stages are trained apart, and stage 2 learns how far to trust stage 1. On a scan of a kind that it has not seen
stage 1 is millimetres off, misses ends of teeth and takes bone for teeth, and says so with the same certainty: hints that
are too good here make a stage 2 that copies their outlines. (Hints blurred by 1 mm only cost a Dice of 0.14 on a real scan.)
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .targets import halve, is_tooth, is_upper, positions

NOTHING = 0.25  # share of samples without hints
FARTHEST_OFF = 2.5  # mm; standard deviation of how far outlines are off, at most


def imitated_context(labels: np.ndarray, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Blurred, bent, faded, partly wrong and at times missing hints.

    Parameters
    ----------
    labels : ndarray uint8, shape (Z, Y, X)
        FDI numbers.
    spacing : float
        Voxel size in mm.

    Returns
    -------
    ndarray float32, shape (3, Z/2, Y/2, X/2)
        Share of upper tooth, of lower tooth, and position / 8 times their sum: as `cascade.coarse.context_of` makes them
        from stage 1.
    """
    shape = tuple(n // 2 for n in labels.shape)
    if rng.random() < NOTHING:
        return np.zeros((3, *shape), np.float32)
    step = 2 * spacing
    small = _bent(halve(np.where(is_tooth(labels), labels, 0)), step, rng)
    numbers = np.arange(256, dtype=np.uint8)
    position = positions(numbers).astype(np.float32)
    upper, present = is_upper(numbers).astype(np.float32), (numbers > 0).astype(np.float32)
    shift = rng.choice([-1.0, 0.0, 1.0], p=[0.06, 0.88, 0.06])  # a whole neighbourhood miscounted
    for number in np.unique(small)[1:]:
        position[number] = np.clip(position[number] + shift + rng.normal(0, 0.3), 1, 8)
        if rng.random() < 0.06:
            position[number] = np.clip(position[number] + rng.choice([-1, 1]), 1, 8)
        if rng.random() < 0.1:
            present[number] = rng.choice([0.0, 0.5])
        if rng.random() < 0.02:
            upper[number] = 1.0 - upper[number]
    sigma = rng.uniform(0.6, 3.0) / step
    tooth = present[small]
    for _ in range(rng.integers(0, 4)):  # bone taken for tooth
        tooth = np.maximum(tooth, _ball(shape, rng.uniform(2, 6) / step, rng) * np.float32(rng.uniform(0.2, 1.0)))
    if rng.random() < 0.5:  # a part hardly noticed
        tooth = tooth * (1 - _ball(shape, rng.uniform(3, 10) / step, rng) * np.float32(rng.uniform(0.4, 1.0)))
    up = ndimage.gaussian_filter(tooth * upper[small], sigma, truncate=2.5)
    down = ndimage.gaussian_filter(tooth * (1 - upper[small]), sigma, truncate=2.5)
    # Stage 1 is surer of itself than a blurred mask, and draws teeth too thick or too thin.
    gain, least = rng.uniform(0.8, 2.5), rng.uniform(0.0, 0.25)
    up, down = (np.clip(gain * (hint - least), 0, 1) for hint in (up, down))
    weight = ndimage.gaussian_filter(tooth, sigma, truncate=2.5)
    place = ndimage.gaussian_filter(tooth * position[small], sigma, truncate=2.5) / np.maximum(weight, 1e-3) / 8
    total = np.clip(up + down, 0, 1)
    return np.stack([up, down, place * total]).astype(np.float32)


def _bent(labels: np.ndarray, step: float, rng: np.random.Generator) -> np.ndarray:
    """A label map under a smooth random displacement."""
    pitch, strength = rng.uniform(5, 15), abs(rng.normal(0, FARTHEST_OFF / 2))
    lattice = [int(n * step / pitch) + 2 for n in labels.shape]
    where = np.indices(labels.shape, dtype=np.float32)
    for axis in range(3):
        move = rng.normal(0, min(strength, FARTHEST_OFF) / step, lattice).astype(np.float32)
        scale = [n / m for n, m in zip(labels.shape, lattice, strict=True)]
        where[axis] += ndimage.zoom(move, scale, order=1, output=np.float32, grid_mode=False)
    return ndimage.map_coordinates(labels, where, order=0, mode="nearest")


def _ball(shape: tuple[int, ...], radius: float, rng: np.random.Generator) -> np.ndarray:
    """Where a ball about a random voxel is; bool."""
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    cz, cy, cx = rng.uniform(0, 1, 3) * shape
    return (z - cz) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < radius**2
