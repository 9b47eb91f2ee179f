"""Grey values of any device on a common scale: soft tissue near 0, tooth near 1.

Cone-beam grey values are no Hounsfield units, and metal, the share of air and the field of view move every moment of the
histogram. So the levels of two tissues define the scale.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from skimage.filters import threshold_multiotsu

from ..volume import Volume

CEILING = 4.0  # brightness of metal is of no interest
FLOOR = -2.0
MUCH_AIR = 0.6  # share of a scan
MOST_BONE = 0.5  # of bone to flesh in a scan with much air round the patient


def first_levels(image: np.ndarray) -> tuple[float, float]:
    """Grey values of soft tissue and of bone, guessed without knowing where anything is.

    Three classes by Otsu's method on the histogram below the brightest 0.5 % of the voxels; air of any kind falls in the
    darkest. Where a scan holds no air the classes are other ones; stage 1 is trained with that. In a CT with so much air
    that bone is a trace, the brightest class is flesh and the middle one table, clothes and lungs: then again without air.

    Parameters
    ----------
    image : ndarray, any shape
        Grey values.

    Returns
    -------
    soft, hard : float
        Means of the middle and of the brightest class; hard > soft.

    References
    ----------
    Liao, Chen, Chung: A fast algorithm for multilevel thresholding (2001).
    """
    sample = np.asarray(image, dtype=np.float32).ravel()
    sample = sample[:: max(1, sample.size // 400_000)]
    for _ in range(2):
        low, high = np.percentile(sample, [0.1, 99.5])
        values = sample[(sample >= low) & (sample <= high)]
        if high <= low or np.unique(values).size < 8:
            return float(low), float(low) + 1.0
        first, second = threshold_multiotsu(values, classes=3, nbins=96)
        middle, bright = values[(values > first) & (values <= second)], values[values > second]
        air = values.size - middle.size - bright.size
        if air < MUCH_AIR * values.size or bright.size < MOST_BONE * middle.size:
            break
        sample = sample[sample > first]
    soft = float(middle.mean()) if middle.size else float(first)
    hard = float(bright.mean()) if bright.size else float(second)
    return soft, max(hard, soft + 1e-3 * (high - low))


def tooth_levels(image: np.ndarray, tooth: np.ndarray, fallback: tuple[float, float]) -> tuple[float, float]:
    """Grey values of soft tissue and of tooth, once it is roughly known where the teeth are.

    Parameters
    ----------
    image : ndarray, shape (Z, Y, X)
        Grey values.
    tooth : ndarray of bool, shape (Z, Y, X)
        Voxels that are surely tooth. Their median ignores metal, pulp and small mistakes.
    fallback : (float, float)
        `first_levels`; its soft level is kept, and both where there are fewer than 50 such voxels.
    """
    soft, hard = fallback
    if np.count_nonzero(tooth) < 50:
        return fallback
    level = float(np.median(image[tooth]))
    return (soft, level) if level > soft + 0.2 * (hard - soft) else fallback


def inverted(volume: Volume) -> Volume:
    """A scan with dark and bright exchanged, of the same type; its voxels are copied."""
    whole = volume.array.dtype.kind in "iu"
    array = ~volume.array if whole else -volume.array
    ends = np.iinfo(array.dtype).min + np.iinfo(array.dtype).max if whole else 0  # of a value and its inverse together
    padding = volume.padding and (ends - volume.padding[1], ends - volume.padding[0])
    return replace(volume, array=array, padding=padding)


def inverted_image(image: np.ndarray) -> np.ndarray:
    """The result of `normalise` for a scan with dark and bright exchanged, without the values that it clipped."""
    return normalise(-image, *first_levels(-image))


def normalise(image: np.ndarray, soft: float, hard: float) -> np.ndarray:
    """float32 image with `soft` at 0 and `hard` at 1, clipped to [FLOOR, CEILING]."""
    scaled = (image.astype(np.float32) - np.float32(soft)) / np.float32(hard - soft)
    return np.clip(scaled, FLOOR, CEILING, out=scaled)
