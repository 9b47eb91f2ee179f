"""What stage 1 tells stage 2, imitated from a label map, mistakes included.

So the stages are trained apart, and stage 2 learns how far to trust stage 1.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .targets import halve, is_tooth, is_upper, positions


def imitated_context(labels: np.ndarray, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """Blurred, displaced, partly wrong and at times missing hints.

    Returns
    -------
    ndarray float32, shape (3, Z/2, Y/2, X/2)
        Share of upper tooth, of lower tooth, and position / 8 times their sum: as `cascade.fine.context_of` makes them
        from stage 1.
    """
    shape = tuple(n // 2 for n in labels.shape)
    if rng.random() < 0.2:
        return np.zeros((3, *shape), np.float32)
    small = halve(np.where(is_tooth(labels), labels, 0))
    numbers = np.arange(256, dtype=np.uint8)
    position = positions(numbers).astype(np.float32)
    upper, present = is_upper(numbers).astype(np.float32), (numbers > 0).astype(np.float32)
    shift = rng.choice([-1.0, 0.0, 1.0], p=[0.06, 0.88, 0.06])  # a whole neighbourhood miscounted
    for number in np.unique(small)[1:]:
        position[number] = np.clip(position[number] + shift + rng.normal(0, 0.25), 1, 8)
        if rng.random() < 0.06:
            position[number] = np.clip(position[number] + rng.choice([-1, 1]), 1, 8)
        if rng.random() < 0.06:
            present[number] = 0.0
        if rng.random() < 0.02:
            upper[number] = 1.0 - upper[number]
    sigma = rng.uniform(0.6, 2.2) / (2 * spacing)
    tooth = present[small]
    if rng.random() < 0.3:  # bone taken for tooth
        centre = rng.uniform(0, 1, 3) * shape
        z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
        ball = (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < (
            rng.uniform(2, 7) / (2 * spacing)
        ) ** 2
        tooth = np.maximum(tooth, ball * np.float32(rng.uniform(0.2, 0.9)))
    up = ndimage.gaussian_filter(tooth * upper[small], sigma, truncate=2.5)
    down = ndimage.gaussian_filter(tooth * (1 - upper[small]), sigma, truncate=2.5)
    # Stage 1 is surer of itself than a blurred mask.
    gain = rng.uniform(1.0, 1.6)
    up, down = np.clip(gain * up, 0, 1), np.clip(gain * down, 0, 1)
    weight = ndimage.gaussian_filter(tooth, sigma, truncate=2.5)
    place = ndimage.gaussian_filter(tooth * position[small], sigma, truncate=2.5) / np.maximum(weight, 1e-3) / 8
    total = np.clip(up + down, 0, 1)
    return np.stack([up, down, place * total]).astype(np.float32)
