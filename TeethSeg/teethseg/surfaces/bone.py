"""Segmentation of the bone around the roots of a jaw, for jaw models.

Voxels near the roots that are brighter than soft tissue are bone; marrow and periodontal ligament are filled. Crowns stay free:
bright voxels beside them are antagonists, brackets, or metal streaks. Thin bone that the scan does not show, for example in
front of lower incisors, is missing in the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import edt
import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from ..boxes import label_boxes, union, widened
from ..padding import patient_greys
from ..volume import Volume
from .measures import CROWN_SHARE

MOST_REACH = 10.0  # mm
_MARROW = 2.0  # mm; radius of the closing that fills marrow and ligament
_THIN = 0.5  # mm; radius of the opening that removes noise
_APART = 0.6  # mm; distance of the bone from other teeth
_LEAST_SHARE = 0.15  # of the voxels around the roots that must be bone
_LEAST_CONTRAST = 0.12  # between bone and soft tissue, relative to that between air and teeth


def jaw_with_bone(
    image: Volume, labels: Volume, numbers: Sequence[int], axes: Mapping[int, Sequence[float]], reach_mm: float
) -> tuple[np.ndarray, tuple[int, int, int]] | None:
    """Teeth of a jaw together with the bone around their roots.

    Parameters
    ----------
    image : Volume
        The scan.
    labels : Volume
        FDI numbers on the same grid.
    numbers : sequence of int
        The teeth of the jaw, one at least.
    axes : mapping of FDI number to vector
        Their long axes to the apex, LPS.
    reach_mm : float
        Largest distance of the bone from the roots in mm.

    Returns
    -------
    ndarray of bool, shape (Z, Y, X), and (int, int, int)
        Mask in a box of the grid, and the index (z, y, x) of the first voxel of the box; None if bone and soft tissue
        cannot be distinguished.
    """
    spacing = np.array(labels.spacing_zyx)
    teeth = union(box for fdi, box in label_boxes(labels.array).items() if fdi in numbers)
    box = widened(teeth, reach_mm + 2 * _MARROW, labels.spacing_zyx, labels.array.shape)
    part, grey = labels.array[box], image.array[box]
    own = np.isin(part, numbers)
    roots = _roots(part, labels, axes)
    away, nearest = ndimage.distance_transform_edt(~own, spacing, return_indices=True)
    others = edt.edt(np.ascontiguousarray((part == 0) | own), tuple(spacing), black_border=False)
    zone = ~own & (away <= reach_mm) & roots[tuple(nearest)] & (others > _APART)
    bone = _bright(grey, own, zone & (away > 0.4), _air(image), spacing)
    if bone is None:
        return None
    solid = _binary_closing(own | (bone & zone), _MARROW, spacing) & (own | zone)
    solid = own | _binary_opening(solid, _THIN, spacing)
    return solid, tuple(side.start for side in box)


def _roots(part: np.ndarray, labels: Volume, axes: Mapping[int, Sequence[float]]) -> np.ndarray:
    """Voxels of the roots: those deeper than the crown."""
    roots = np.zeros(part.shape, bool)
    step = labels.affine[:3, :3]
    for fdi, box in label_boxes(part).items():
        if fdi not in axes:
            continue
        places = np.nonzero(part[box] == fdi)
        depth = np.stack(places[::-1], axis=1) @ (step.T @ np.array(axes[fdi]))
        roots[box][places] = depth > depth.min() + CROWN_SHARE * np.ptp(depth)
    return roots


def _bright(
    grey: np.ndarray, own: np.ndarray, around: np.ndarray, air: float, spacing: np.ndarray
) -> np.ndarray | None:
    """Voxels brighter than soft tissue by Otsu's threshold; None if the contrast around the roots is too low."""
    smooth = ndimage.gaussian_filter(grey.astype(np.float32), 0.3 / spacing)
    tooth = float(np.median(smooth[own]))
    # Clipped, so that air in the sinuses and metal do not move the threshold.
    values = np.clip(smooth[around], air + 0.25 * (tooth - air), tooth)
    if len(values) < 1000 or np.ptp(values) == 0:
        return None
    limit = threshold_otsu(values)
    bright = values > limit
    contrast = values[bright].mean() - values[~bright].mean()
    if bright.mean() < _LEAST_SHARE or contrast < _LEAST_CONTRAST * (tooth - air):
        return None
    return smooth > limit


def _air(image: Volume) -> float:
    values = image.array[::4, ::4, ::4]
    return float(np.percentile(values[patient_greys(image.array, image.padding).covers(values)], 0.5))


def _binary_closing(mask: np.ndarray, radius: float, spacing: np.ndarray) -> np.ndarray:
    """Closing with a ball in mm, by distance transforms: the footprint of `ndimage.binary_closing` would be huge."""
    wide = edt.edt(~mask, tuple(spacing)) <= radius
    return edt.edt(wide, tuple(spacing)) > radius


def _binary_opening(mask: np.ndarray, radius: float, spacing: np.ndarray) -> np.ndarray:
    """Opening with a ball in mm."""
    core = edt.edt(mask, tuple(spacing)) > radius
    return mask & (edt.edt(~core, tuple(spacing)) <= radius)
