"""Boxes of voxels: parts of an array, along (z, y, x)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Box = tuple[slice, ...]  # three of them
Index = tuple[int, int, int]  # (z, y, x)


def triple(values: Iterable[float]) -> tuple[float, float, float]:
    """Three coordinates as plain numbers, of an array or another sequence."""
    first, second, third = (float(value) for value in values)
    return first, second, third


def bounding_box(mask: np.ndarray) -> Box | None:
    """The smallest box around the voxels of a 3D mask, or of a label map, that are not 0; None without any."""
    planes = np.flatnonzero(mask.any(axis=(1, 2)))
    if not len(planes):
        return None
    first, last = int(planes[0]), int(planes[-1])
    seen = np.asarray(mask[first : last + 1].any(axis=0))  # the other two sides are looked for in one plane
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return (
        slice(first, last + 1),
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )


def label_boxes(labels: np.ndarray) -> dict[int, Box]:
    """The smallest box around each value of a 3D label map (integers), without 0; quick where most of it is empty."""
    from scipy.ndimage import find_objects  # Slicer may not have it before the first run

    whole = bounding_box(labels)
    if whole is None:
        return {}
    starts = [side.start for side in whole]
    return {
        value: tuple(slice(a + side.start, a + side.stop) for a, side in zip(starts, box, strict=True))
        for value, box in enumerate(find_objects(labels[whole]), start=1)
        if box is not None
    }


def union(boxes: Iterable[Box]) -> Box:
    """The smallest box around several."""
    return tuple(
        slice(min(side.start for side in sides), max(side.stop for side in sides)) for sides in zip(*boxes, strict=True)
    )


def meets_edge(box: Box, shape: Iterable[int]) -> bool:
    """Whether a box reaches the first or last voxel of an array of `shape` along an axis."""
    return any(side.start == 0 or side.stop == size for side, size in zip(box, shape, strict=True))


def widened(box: Box, margin_mm: float, spacing: tuple[float, float, float], shape: Index) -> Box:
    """A box with a margin on all sides, within an array of `shape`; `spacing` is (z, y, x) in mm."""
    margins = np.ceil(margin_mm / np.asarray(spacing)).astype(int).tolist()
    return tuple(
        slice(max(side.start - margin, 0), min(side.stop + margin, size))
        for side, margin, size in zip(box, margins, shape, strict=True)
    )
