"""Refinement of tooth outlines at the edges of the image.

The network's probabilities are reliable well within a tooth and well outside. On an unfamiliar kind of scan, the
outline between the two is off by a voxel. The image shows the edge there: its grey value is half-way between that of
the tooth slightly deeper and that of the surroundings slightly farther out.
"""

from __future__ import annotations

from dataclasses import dataclass

import edt
import numpy as np
from scipy.ndimage import gaussian_filter

# Chosen on simulated scans (docs/figures.md).
NEAR = 1.2  # mm from the network's outline, within which logits are changed
INSIDE = (0.5, 3.0)  # mm from the outline: voxels for this tooth's grey value ...
OUTSIDE = (0.5, 1.6)  # ... and for that of its surroundings
REACH = 0.7  # mm, standard deviation of the Gaussian neighbourhood of both measurements
GRAIN = 0.2  # mm, standard deviation of the Gaussian smoothing of the compared grey values
LEAST_CONTRAST = 0.15  # of the difference between soft tissue and tooth; with less, or beside metal, no edge is visible
MOST = 4.0  # logits, largest change at the clearest edge
NOISE = 3.0  # weight of the noise-to-contrast ratio, which reduces the change
_BRIGHTEST = 2.5  # enamel; brighter voxels are metal


def at_edges(tooth: np.ndarray, image: np.ndarray, spacing: float) -> np.ndarray:
    """Move tooth logits towards the edges of the image.

    Parameters
    ----------
    tooth : ndarray float32, shape (Z, Y, X)
        Logits of the network.
    image : ndarray float32, shape (Z, Y, X)
        Normalised: soft tissue is 0, tooth 1.
    spacing : float
        Of the cubic voxels in mm.

    Returns
    -------
    ndarray float32, shape (Z, Y, X)
        Changed logits.
    """
    mask = tooth > 0
    where = np.argwhere(mask)
    if not len(where):
        return tooth
    room = int(np.ceil(max(*OUTSIDE, 3 * REACH) / spacing)) + 1
    low, high = np.maximum(where.min(axis=0) - room, 0), where.max(axis=0) + room + 1
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    result = tooth.copy()
    result[box] += _vote(np.ascontiguousarray(mask[box]), np.clip(image[box], -1.5, _BRIGHTEST), spacing)
    return result


def _vote(mask: np.ndarray, image: np.ndarray, spacing: float) -> np.ndarray:
    """Logits to add near the outline of a mask, above 0 for tooth; 0 elsewhere."""
    cubes = (spacing,) * 3
    depth, distance = (edt.edt(part, anisotropy=cubes, parallel=0) for part in (mask, ~mask))
    inner, outer = (
        _Greys.of(image, (away > least) & (away < most), spacing)
        for away, (least, most) in ((depth, INSIDE), (distance, OUTSIDE))
    )
    contrast = inner.mean - outer.mean
    seen = inner.known & outer.known & (contrast > LEAST_CONTRAST) & (depth + distance < NEAR)
    contrast = np.maximum(contrast, LEAST_CONTRAST)
    image = gaussian_filter(image, GRAIN / spacing)
    past_half = np.clip((2 * image - inner.mean - outer.mean) / contrast, -0.5, 0.5)
    noise = (inner.variance + outer.variance) / 2 / contrast**2
    return np.where(seen, 2 * MOST * past_half / (1 + NOISE**2 * noise), 0).astype(np.float32)


@dataclass(frozen=True)
class _Greys:
    """Mean and variance (Z, Y, X) of an image in each voxel's neighbourhood, restricted to a mask.

    `known` is true where the neighbourhood overlaps the mask.
    """

    known: np.ndarray
    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, mask: np.ndarray, spacing: float) -> _Greys:
        def smooth(values: np.ndarray) -> np.ndarray:
            return gaussian_filter(values, REACH / spacing, truncate=3)

        part = mask.astype(np.float32)
        share = smooth(part)
        known, share = share > 2e-3, np.maximum(share, 1e-4)
        mean = smooth(part * image) / share
        return cls(known, mean, np.maximum(smooth(part * image**2) / share - mean**2, 0))
