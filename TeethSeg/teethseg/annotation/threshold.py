"""A sensible start for painting by grey values."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_multiotsu

from ..boxes import bounding_box, widened
from ..correction.edit import Edit, tooth_box
from ..errors import ToothError, UsageError
from ..padding import patient_greys

_VOXELS = 2_000_000  # enough for levels


def start_threshold(
    image: np.ndarray,
    spacing: tuple[float, float, float],
    labels: np.ndarray | None = None,
    padding: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """Range of a tooth's grey values: from half-way between tooth and surroundings up to the brightest voxel.

    With teeth annotated already they tell the levels: half-way between their voxels and those around. Without, the
    upper of two Otsu thresholds (air | soft tissue and bone | tooth and dense bone) starts the range.

    Parameters
    ----------
    image : ndarray, shape (Z, Y, X)
    spacing : (float, float, float)
        Voxel size (z, y, x) in mm.
    labels : ndarray of uint8, shape (Z, Y, X), optional
        FDI numbers.
    padding : (float, float), optional
        Values that the file calls padding (`Volume.padding`). No padding lies in the range.

    Returns
    -------
    (low, high)

    Raises
    ------
    UsageError
        If the image is constant.
    """
    greys = patient_greys(image, padding)
    high = greys.brightest
    if high <= greys.darkest:
        raise UsageError("The scan has one grey value only: choose another volume.")
    box = None if labels is None else bounding_box(labels > 0)
    if labels is not None and box is not None:
        box = widened(box, 2.0, spacing, labels.shape)
        mine = labels[box] > 0
        shell = ndimage.binary_dilation(mine, iterations=max(1, round(1.5 / min(spacing)))) & ~mine
        shell &= greys.covers(image[box])
        if shell.any():
            return float(np.median(image[box][mine]) + np.median(image[box][shell])) / 2, high
    values = image.ravel()[:: max(1, image.size // _VOXELS)]
    values = values[greys.covers(values)].astype(np.float32)
    # Metal must not stretch the histogram.
    values = np.minimum(values, np.percentile(values, 99.8))
    return float(threshold_multiotsu(values, 3)[-1]), high


def keep_range(labels: np.ndarray, image: np.ndarray, fdi: int, low: float, high: float) -> Edit:
    """Leave a tooth only its voxels with grey values from `low` to `high`.

    Raises
    ------
    UsageError
        If the tooth is not there, or if none or all of it has such values.
    """
    box = tooth_box(labels, fdi)
    mine, grey = labels[box] == fdi, image[box]
    kept = mine & (grey >= low) & (grey <= high)
    if not kept.any():
        raise ToothError(
            f"Nothing of tooth {{fdi}} has grey values from {low:.0f} to {high:.0f}: widen the range.", fdi=fdi
        )
    if kept.sum() == mine.sum():
        raise ToothError(
            f"All of tooth {{fdi}} has grey values from {low:.0f} to {high:.0f}: narrow the range.", fdi=fdi
        )
    return Edit(box, np.where(mine & ~kept, 0, labels[box]).astype(np.uint8))
