"""Fill between painted slices: shape-based interpolation."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage

from ..correction.edit import Edit, tooth_box
from ..errors import ToothError


def between_slices(labels: np.ndarray, fdi: int, axis: int) -> Edit:
    """Fill a tooth between the slices it was painted in, by blending the signed distances of their outlines.

    Outlines are moved onto each other's centre first, so that a slanted root stays a root. Painted slices stay as they
    are, and no other tooth is touched.

    Parameters
    ----------
    labels : ndarray of uint8, shape (Z, Y, X)
        FDI numbers.
    fdi : int
        The tooth.
    axis : {0, 1, 2}
        Array axis across the painted slices.

    Raises
    ------
    UsageError
        If the tooth is not there, or is not painted in two slices with a gap between them.

    References
    ----------
    Raya, Udupa: Shape-based interpolation of multidimensional objects (IEEE TMI 1990, doi 10.1109/42.52980).
    """
    box = tooth_box(labels, fdi)
    around = np.moveaxis(labels[box], axis, 0)
    mine = around == fdi
    painted = np.flatnonzero(mine.any(axis=(1, 2)))
    gaps = [(a, b) for a, b in pairwise(painted) if b > a + 1]
    if not gaps:
        raise ToothError("Tooth {fdi} has no gap between painted slices: paint two slices that lie apart.", fdi=fdi)
    filled = mine.copy()
    for low, high in gaps:
        for index in range(low + 1, high):
            filled[index] = _blend(mine[low], mine[high], (index - low) / (high - low))
    content = np.where(filled & (around == 0), fdi, around).astype(np.uint8)
    return Edit(box, np.ascontiguousarray(np.moveaxis(content, 0, axis)))


def _blend(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The outline between two masks (Y, X), at `share` of the way."""
    centres = [np.array(ndimage.center_of_mass(mask)) for mask in (first, second)]
    way = centres[1] - centres[0]
    blended = (1 - share) * _moved(first, share * way) + share * _moved(second, (share - 1) * way)
    return blended > 0


def _moved(mask: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Signed distance to the mask's edge (> 0 inside), moved by some pixels."""
    margin = int(np.ceil(np.abs(by).max())) + 1
    wide = np.pad(mask, margin)
    signed = ndimage.distance_transform_edt(wide) - ndimage.distance_transform_edt(~wide)
    moved = ndimage.shift(signed, by, order=1, mode="nearest")
    return moved[margin : margin + mask.shape[0], margin : margin + mask.shape[1]]
