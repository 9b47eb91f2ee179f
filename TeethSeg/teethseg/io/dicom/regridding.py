"""Planes of a stack onto an upright, even grid: missing slices filled in, uneven steps made even, tilt taken out.

Padding is no grey value and is never mixed with others: next to it, the nearer voxel is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .stacking import Stack

Interval = tuple[float, float]
_OUTSIDE = 0.1  # of the spread of the values, by which what was not imaged lies below them


@dataclass(frozen=True)
class Regridded:
    """Voxels on the even grid.

    Attributes
    ----------
    array : ndarray, shape (K, J, I)
    padding : (float, float), optional
        Values that are no part of the patient.
    corner : ndarray of float64, shape (2,)
        Where the first voxel lies, in-plane mm along row and column from the first frame's first pixel.
    """

    array: np.ndarray
    padding: Interval | None
    corner: np.ndarray


def on_even_grid(planes: np.ndarray, stack: Stack, padding: Interval | None) -> Regridded:
    """The volume of a stack.

    Parameters
    ----------
    planes : ndarray, shape (n, rows, columns)
        Grey values of the frames that are there, in their order.
    stack : Stack
    padding : (float, float), optional
    """
    present = np.array([frame is not None for frame in stack.frames])
    if present.all() and not stack.uneven and not stack.shear.any():
        return Regridded(planes, padding, np.zeros(2))
    heights = stack.heights[present]
    count = round(float(stack.heights[-1]) / stack.step) + 1
    spacing = np.array(stack.first.spacing[::-1])
    shifts = np.outer(heights, stack.shear) / spacing  # of each frame, in pixels along row and column
    corner = np.floor(shifts.min(axis=0) + 1e-6)
    room = np.ceil(shifts.max(axis=0) - corner - 1e-6).astype(int)
    shape = (count, planes.shape[1] + room[1], planes.shape[2] + room[0])
    outside = None
    if room.any():
        planes, padding, outside = _with_outside(planes, padding)
    array = np.empty(shape, planes.dtype)
    moved: dict[int, np.ndarray] = {}
    for k, height in enumerate(np.arange(count) * stack.step):
        upper = int(np.clip(np.searchsorted(heights, height - 1e-6), 1, len(heights) - 1))
        lower = upper - 1
        moved = {
            at: moved[at] if at in moved else _shifted(planes[at], shifts[at] - corner, shape[1:], padding, outside)
            for at in (lower, upper)
        }
        weight = float(np.clip((height - heights[lower]) / (heights[upper] - heights[lower]), 0, 1))
        array[k] = _mixed(moved[lower], moved[upper], weight, padding)
    return Regridded(array, padding, corner * spacing)


def _with_outside(planes: np.ndarray, padding: Interval | None) -> tuple[np.ndarray, Interval, float]:
    """Planes of a type that also holds a value for what was not imaged."""
    if padding is not None:
        return planes, padding, padding[0]
    low, high = float(planes.min()), float(planes.max())
    value = low - max(1.0, _OUTSIDE * (high - low))
    if planes.dtype.kind != "f":
        value = float(np.floor(value))
        wanted = np.promote_types(planes.dtype, np.min_scalar_type(int(value)))
        planes = planes.astype(wanted, copy=False)
    value = float(planes.dtype.type(value))
    return planes, (value, value), value


def _shifted(
    plane: np.ndarray, shift: np.ndarray, shape: tuple[int, int], padding: Interval | None, outside: float | None
) -> np.ndarray:
    """A plane moved by (columns, rows) of pixels, both 0 or more, into a larger one."""
    if plane.shape == shape and not shift.any():
        return plane
    (columns, rows), parts = np.floor(shift + 1e-6).astype(int), np.maximum(shift - np.floor(shift + 1e-6), 0)
    result = np.full(shape, outside, plane.dtype)
    height, width = plane.shape
    # Between pixels, and one voxel short where that would reach beyond the plane.
    right, down = int(parts[0] > 1e-6), int(parts[1] > 1e-6)
    left, low = 1 - parts[0] if right else 0.0, 1 - parts[1] if down else 0.0
    across = _mixed(plane[:, : width - right], plane[:, right:], left, padding) if right else plane
    both = _mixed(across[: height - down], across[down:], low, padding) if down else across
    result[rows + down : rows + height, columns + right : columns + width] = both
    return result


def _mixed(a: np.ndarray, b: np.ndarray, weight: float, padding: Interval | None) -> np.ndarray:
    """(1 - weight) of a and the rest of b."""
    if weight <= 1e-6 or weight >= 1 - 1e-6:
        return a if weight < 0.5 else b
    mixed = a + (b.astype(np.float32) - a) * np.float32(weight)
    if a.dtype.kind != "f":
        mixed = np.rint(mixed)
    mixed = mixed.astype(a.dtype)
    if padding is not None:
        low, high = padding
        unmixed = ((a >= low) & (a <= high)) | ((b >= low) & (b <= high))
        mixed[unmixed] = (a if weight < 0.5 else b)[unmixed]
    return mixed
