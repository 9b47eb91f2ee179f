"""Low contrast, blur and noise of simulated scans beyond those of the usual devices.

In a real CT (VTK's fullHead) the lower front teeth were the first that the networks missed when its contrast between
bone and tooth was lowered, or when blur or noise was added. So some samples of training look like that.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

SHARE = 0.25  # of samples, for each of the three
POWERS = (0.4, 0.9)  # of grey values between soft tissue (0) and tooth (1): bone moves towards tooth
BLURS = (0.3, 0.8)  # mm, standard deviation
NOISES = (0.05, 0.15)  # standard deviation, as a share of the contrast between soft tissue and tooth


def degraded(image: np.ndarray, soft: float, tooth: float, spacing: float, rng: np.random.Generator) -> np.ndarray:
    """A scan with lower contrast, more blur or more noise, each by chance.

    Parameters
    ----------
    image : float array (Z, Y, X)
        Grey values.
    soft, tooth : float
        Grey values of soft tissue and tooth; a lower contrast leaves both as they are.
    spacing : float
        Voxel size in mm.
    rng : numpy.random.Generator

    Returns
    -------
    float32 array (Z, Y, X)
    """
    contrast, blur, noise = rng.random(3) < SHARE
    if contrast:
        image = low_contrast(image, soft, tooth, rng.uniform(*POWERS))
    if blur:
        image = gaussian_filter(image, rng.uniform(*BLURS) / spacing, mode="nearest")
    if noise:
        image = image + rng.normal(0, rng.uniform(*NOISES) * (tooth - soft), image.shape)
    return image.astype(np.float32)


def low_contrast(image: np.ndarray, soft: float, tooth: float, power: float) -> np.ndarray:
    """Grey values between soft tissue and tooth raised towards tooth: the share of the way to the `power`."""
    share = np.clip((image - soft) / (tooth - soft), 0, 1)
    return image + (share**power - share) * (tooth - soft)
