"""Resamples the planes of a stack onto an even, upright grid: fills in missing slices, and removes uneven steps and tilt.

Padding is never interpolated with grey values: next to padding, the nearer voxel is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .stacking import Stack

Interval = tuple[float, float]
_PADDING_DISTANCE = 0.1  # distance of new padding below the lowest grey value, as a share of the range of values


@dataclass(frozen=True)
class Regridded:
    """Voxels on the even grid.

    Attributes
    ----------
    array : ndarray, shape (K, J, I)
    padding : (float, float), optional
        Lowest and highest padding value.
    corner : ndarray of float64, shape (2,)
        Position of the first voxel in mm along row and column, from the first pixel of the first frame.
    """

    array: np.ndarray
    padding: Interval | None
    corner: np.ndarray


def on_even_grid(planes: np.ndarray, stack: Stack, padding: Interval | None) -> Regridded:
    """Resample a stack onto an even, upright grid.

    Parameters
    ----------
    planes : ndarray, shape (n, rows, columns)
        Grey values of the present frames, in the order of the stack.
    stack : Stack
    padding : (float, float), optional
    """
    present = np.array([frame is not None for frame in stack.frames])
    if present.all() and not stack.uneven and not stack.shear.any():
        return Regridded(planes, padding, np.zeros(2))
    heights = stack.heights[present]
    count = round(float(stack.heights[-1]) / stack.step) + 1
    spacing = np.array(stack.first.plane.spacing[::-1])
    shifts = np.outer(heights, stack.shear) / spacing  # of each frame, in pixels along row and column
    corner = np.floor(shifts.min(axis=0) + 1e-6)
    margin = np.ceil(shifts.max(axis=0) - corner - 1e-6).astype(int)
    shape = (count, planes.shape[1] + margin[1], planes.shape[2] + margin[0])
    padding_value = None
    if margin.any():
        planes, padding, padding_value = _with_padding_value(planes, padding)
    array = np.empty(shape, planes.dtype)
    shifted: dict[int, np.ndarray] = {}
    for k, height in enumerate(np.arange(count) * stack.step):
        upper = int(np.clip(np.searchsorted(heights, height - 1e-6), 1, len(heights) - 1))
        lower = upper - 1
        for index in (lower, upper):
            if index not in shifted:
                plane_shape = shape[1], shape[2]
                shifted[index] = _shifted(planes[index], shifts[index] - corner, plane_shape, padding, padding_value)
        shifted = {index: shifted[index] for index in (lower, upper)}
        weight = float(np.clip((height - heights[lower]) / (heights[upper] - heights[lower]), 0, 1))
        array[k] = _interpolated(shifted[lower], shifted[upper], weight, padding)
    return Regridded(array, padding, corner * spacing)


def _with_padding_value(planes: np.ndarray, padding: Interval | None) -> tuple[np.ndarray, Interval, float]:
    """Planes of a type that also holds a padding value, the padding, and that value."""
    if padding is not None:
        return planes, padding, padding[0]
    low, high = float(planes.min()), float(planes.max())
    value = low - max(1.0, _PADDING_DISTANCE * (high - low))
    if planes.dtype.kind != "f":
        value = float(np.floor(value))
        dtype = np.promote_types(planes.dtype, np.min_scalar_type(int(value)))
        planes = planes.astype(dtype, copy=False)
    value = float(planes.dtype.type(value))
    return planes, (value, value), value


def _shifted(
    plane: np.ndarray, shift: np.ndarray, shape: tuple[int, int], padding: Interval | None, padding_value: float | None
) -> np.ndarray:
    """A plane shifted by (columns, rows) of pixels, both at least 0, within a larger plane."""
    if plane.shape == shape and not shift.any():
        return plane
    (columns, rows), fractions = np.floor(shift + 1e-6).astype(int), np.maximum(shift - np.floor(shift + 1e-6), 0)
    result = np.full(shape, padding_value, plane.dtype)
    height, width = plane.shape
    # A fractional shift interpolates between neighbours, so the result is one pixel smaller along that axis.
    right, down = int(fractions[0] > 1e-6), int(fractions[1] > 1e-6)
    left, low = 1 - fractions[0] if right else 0.0, 1 - fractions[1] if down else 0.0
    in_rows = _interpolated(plane[:, : width - right], plane[:, right:], left, padding) if right else plane
    in_plane = _interpolated(in_rows[: height - down], in_rows[down:], low, padding) if down else in_rows
    result[rows + down : rows + height, columns + right : columns + width] = in_plane
    return result


def _interpolated(a: np.ndarray, b: np.ndarray, weight: float, padding: Interval | None) -> np.ndarray:
    """(1 - weight) * a + weight * b; next to padding, the nearer of both."""
    if weight <= 1e-6 or weight >= 1 - 1e-6:
        return a if weight < 0.5 else b
    interpolated = a + (b.astype(np.float32) - a) * np.float32(weight)
    if a.dtype.kind != "f":
        interpolated = np.rint(interpolated)
    interpolated = interpolated.astype(a.dtype)
    if padding is not None:
        low, high = padding
        uses_padding = ((a >= low) & (a <= high)) | ((b >= low) & (b <= high))
        interpolated[uses_padding] = (a if weight < 0.5 else b)[uses_padding]
    return interpolated
