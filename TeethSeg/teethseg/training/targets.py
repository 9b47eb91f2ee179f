"""Targets of the networks from a label map."""

from __future__ import annotations

from collections.abc import Collection

import edt
import numpy as np

from ..anatomy import SUPERNUMERARY, Jaw
from ..boxes import label_boxes

CORE_DEPTH = 0.7  # mm from a core voxel to the nearest voxel outside: lower incisors are 3.5 mm thin at the neck
IGNORE = -100  # class index that losses leave out
UNKNOWN = 255  # label of voxels that were not annotated: losses leave them out


def is_tooth(labels: np.ndarray) -> np.ndarray:
    """Mask of the annotated tooth voxels."""
    return (labels > 0) & (labels != UNKNOWN)


def positions(labels: np.ndarray) -> np.ndarray:
    """Position 1-8 of the tooth of every voxel, 0 outside teeth; a deciduous tooth has the position of its successor."""
    return labels % 10


def is_upper(labels: np.ndarray) -> np.ndarray:
    """Whether a voxel belongs to a tooth of the upper jaw (FDI quadrants 1, 2, 5, 6; extra teeth of quadrants 1, 2)."""
    quadrant = labels // 10
    extra = (labels == SUPERNUMERARY[0]) | (labels == SUPERNUMERARY[1])
    return (quadrant == 1) | (quadrant == 2) | (quadrant == 5) | (quadrant == 6) | extra


def one_jaw(labels: np.ndarray, jaw: Jaw) -> np.ndarray:
    """A label map of one jaw, with UNKNOWN where a tooth of the other jaw is nearer: one jaw for training, one for testing."""
    upper = edt.edt(np.ascontiguousarray(~(is_tooth(labels) & is_upper(labels))), parallel=1)
    lower = edt.edt(np.ascontiguousarray(~(is_tooth(labels) & ~is_upper(labels))), parallel=1)
    known = upper < lower if jaw == "upper" else lower < upper
    return np.where(known, labels, UNKNOWN).astype(np.uint8)


def halve(labels: np.ndarray) -> np.ndarray:
    """A label map at half resolution: of each 2x2x2 block the largest label, so that thin parts survive."""
    z, y, x = labels.shape
    return labels.reshape(z // 2, 2, y // 2, 2, x // 2, 2).max(axis=(1, 3, 5))


def coarse_targets(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Targets of stage 1.

    Parameters
    ----------
    labels : ndarray uint8, shape (Z, Y, X)
        FDI numbers, UNKNOWN, 0 elsewhere.

    Returns
    -------
    dict
        `jaw` int64 (Z, Y, X): 0 no tooth, 1 upper, 2 lower, IGNORE unknown; `position` int64 at half resolution: 0-7,
        IGNORE elsewhere.
    """
    jaw = np.where(labels == 0, 0, np.where(is_upper(labels), 1, 2)).astype(np.int64)
    jaw[labels == UNKNOWN] = IGNORE
    return {"jaw": jaw, "position": _position_classes(halve(labels))}


def _position_classes(labels: np.ndarray) -> np.ndarray:
    """0-7 for the positions 1-8, IGNORE elsewhere; int64."""
    classes = positions(labels).astype(np.int64) - 1
    classes[~is_tooth(labels) | np.isin(labels, SUPERNUMERARY)] = IGNORE
    return classes


def _deciduous_classes(labels: np.ndarray) -> np.ndarray:
    """1 in deciduous teeth, 0 in permanent ones, IGNORE elsewhere; int64."""
    classes = (labels > 50).astype(np.int64)
    classes[~is_tooth(labels) | np.isin(labels, SUPERNUMERARY)] = IGNORE
    return classes


def _unerupted_classes(labels: np.ndarray, unerupted: Collection[int] | None) -> np.ndarray:
    """1 in unerupted teeth, 0 in erupted ones, IGNORE elsewhere and where eruption was not annotated; int64."""
    if unerupted is None:
        return np.full(labels.shape, IGNORE, np.int64)
    classes = np.isin(labels, list(unerupted)).astype(np.int64)
    classes[~is_tooth(labels)] = IGNORE
    return classes


def fine_targets(labels: np.ndarray, spacing: float, unerupted: Collection[int] | None = None) -> dict[str, np.ndarray]:
    """Targets of stage 2.

    Parameters
    ----------
    labels : ndarray uint8, shape (Z, Y, X)
        FDI numbers, `SUPERNUMERARY`, UNKNOWN, 0 elsewhere.
    spacing : float
        Voxel size in mm.
    unerupted : collection of int, optional
        Labels of unerupted teeth (germs, impacted teeth); None if eruption was not annotated.

    Returns
    -------
    dict
        `tooth`, `core` float32 and `known` bool (1, Z, Y, X); at half resolution `offset` float32 (3, ...) in mm from
        the voxel to the centre of its tooth (z, y, x), `offset_known` bool (1, ...) false for teeth cut by the patch,
        `position` int64, `upper` float32 (1, ...), `tooth_half` float32 (1, ...), `deciduous` and `unerupted` int64: 1
        yes, 0 no, IGNORE elsewhere.
    """
    depth = edt.edt(np.ascontiguousarray(labels), anisotropy=(spacing,) * 3, black_border=False, parallel=1)
    core = is_tooth(labels) & (depth > CORE_DEPTH)
    small = halve(labels)
    step = 2 * spacing
    offset = np.zeros((3, *small.shape), np.float32)
    known = np.zeros(small.shape, bool)
    for number, box in label_boxes(small).items():
        if number == UNKNOWN:
            continue
        if any(b.start == 0 or b.stop == n for b, n in zip(box, small.shape, strict=True)):
            continue
        mask = small[box] == number
        where = np.argwhere(mask)
        difference = (where.mean(axis=0) - where) * step
        inside = (slice(None), *box)
        offset[inside][:, mask] = difference.T
        known[box] |= mask
    return {
        "tooth": is_tooth(labels)[None].astype(np.float32),
        "known": (labels != UNKNOWN)[None],
        "core": core[None].astype(np.float32),
        "offset": offset,
        "offset_known": known[None],
        "position": _position_classes(small),
        "upper": is_upper(small)[None].astype(np.float32),
        "tooth_half": is_tooth(small)[None].astype(np.float32),
        "deciduous": _deciduous_classes(small),
        "unerupted": _unerupted_classes(small, unerupted),
    }
