"""Tools for one tooth's shape: largest piece only, pulp filled, surface smoothed."""

from __future__ import annotations

import cc3d
import edt
import numpy as np
from scipy import ndimage

from ..boxes import widened
from ..errors import ToothError, UsageError
from .edit import Edit, tooth_box

Spacing = tuple[float, float, float]

_MOUTH = 1.5  # mm: how wide an opening of the pulp may be (apex, a hole in the outline) and still count as closed


def remove_islands(labels: np.ndarray, fdi: int) -> Edit:
    """Leave a tooth its largest piece (6-connected) only.

    Raises
    ------
    UsageError
        If the tooth is not there or is in one piece.
    """
    box = tooth_box(labels, fdi)
    mine = labels[box] == fdi
    largest = largest_piece(mine)
    if (largest == mine).all():
        raise ToothError("Tooth {fdi} is in one piece: nothing to remove.", fdi=fdi)
    return Edit(box, np.where(mine & ~largest, 0, labels[box]).astype(np.uint8))


def fill_pulp(labels: np.ndarray, image: np.ndarray, spacing: Spacing, fdi: int) -> Edit:
    """Fill pulp chamber and canals, also where they are open at the apex or through a small hole in the outline.

    Voxels that the tooth encloses in cuts along at least two axes become tooth. Voxels that it encloses in cuts along one axis
    only, such as those of a canal with an open end, become tooth if the opening is narrow and they are dark. So bone between
    roots stays bone.

    Raises
    ------
    UsageError
        If the tooth is not there or has nothing to fill.
    """
    box = widened(tooth_box(labels, fdi), 2 * _MOUTH, spacing, labels.shape)
    around, grey = labels[box], image[box]
    mine = around == fdi
    closed = _closed(mine, _MOUTH / 2, spacing)
    cuts = enclosing_cuts(mine)
    cavity = ((cuts >= 2) | ndimage.binary_fill_holes(mine)) & ~mine
    open_ended = (cuts == 1) & (closed | (enclosing_cuts(closed) >= 2)) & ~cavity
    hollow = cavity | open_ended
    if hollow.any():
        open_ended &= grey < (np.median(grey[mine]) + np.median(grey[hollow])) / 2
    filled = mine | ((cavity | open_ended) & (around == 0))
    filled = largest_piece(filled) | mine
    if (filled == mine).all():
        raise ToothError("Tooth {fdi} has no hollow to fill: choose another tooth.", fdi=fdi)
    return Edit(box, np.where(filled, fdi, around).astype(np.uint8))


def smooth_tooth(labels: np.ndarray, spacing: Spacing, fdi: int, strength_mm: float = 0.5) -> Edit:
    """Smooth a tooth's surface with a Gaussian of `strength_mm`; its volume stays, other teeth keep their voxels.

    Raises
    ------
    UsageError
        If the tooth is not there, or is thinner than the smoothing.
    """
    if strength_mm <= 0:
        raise UsageError("The strength of smoothing must be above 0 mm.")
    box = widened(tooth_box(labels, fdi), 3 * strength_mm, spacing, labels.shape)
    around = labels[box]
    mine = around == fdi
    # Where a neighbour touches, it counts as tooth: the surface there is not drawn back from the contact.
    solid = mine | (around > 0)
    blurred = ndimage.gaussian_filter(solid.astype(np.float32), strength_mm / np.asarray(spacing), mode="nearest")
    reach = edt.edt(~mine, anisotropy=spacing, parallel=1) <= 2 * strength_mm
    share = np.where(reach & (mine | (around == 0)), blurred, 0)
    count = int(mine.sum())
    level = np.partition(share.ravel(), -count)[-count]
    smooth = largest_piece(share >= max(level, 1e-3))
    if not 0.9 * count < smooth.sum() < 1.1 * count:
        raise ToothError(f"Tooth {{fdi}} is too thin to be smoothed by {strength_mm:g} mm: use less.", fdi=fdi)
    return Edit(box, np.where(smooth, fdi, np.where(mine, 0, around)).astype(np.uint8))


def largest_piece(mask: np.ndarray) -> np.ndarray:
    """The largest 6-connected piece of a mask."""
    return cc3d.largest_k(mask.astype(np.uint8), k=1, connectivity=6) > 0


def _closed(mask: np.ndarray, radius: float, spacing: Spacing) -> np.ndarray:
    """Morphological closing with a ball of `radius` mm."""
    grown = edt.edt(~mask, anisotropy=spacing, parallel=1) <= radius
    return (edt.edt(grown, anisotropy=spacing, parallel=1) > radius) | mask


def enclosing_cuts(mask: np.ndarray) -> np.ndarray:
    """Along how many of the three axes a voxel outside the mask is enclosed in the plane that cuts it."""
    count = np.zeros(mask.shape, np.uint8)
    for axis in range(3):
        planes, counts = np.moveaxis(mask, axis, 0), np.moveaxis(count, axis, 0)
        for plane, counted in zip(planes, counts, strict=True):
            if plane.any():
                counted += ndimage.binary_fill_holes(plane) & ~plane
    return count
