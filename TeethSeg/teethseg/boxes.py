"""Boxes of voxels: parts of an array, along (z, y, x)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Box = tuple[slice, ...]  # three of them
Index = tuple[int, int, int]  # (z, y, x)


def bounding_box(mask: np.ndarray) -> Box | None:
    """The smallest box around the true voxels of a 3D mask; None without any."""
    sides = []
    for axis in range(3):
        seen = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if not len(seen):
            return None
        sides.append(slice(int(seen[0]), int(seen[-1]) + 1))
    return tuple(sides)


def union(boxes: Iterable[Box]) -> Box:
    """The smallest box around several."""
    return tuple(
        slice(min(side.start for side in sides), max(side.stop for side in sides)) for sides in zip(*boxes, strict=True)
    )


def widened(box: Box, margin_mm: float, spacing: tuple[float, float, float], shape: Index) -> Box:
    """A box with a margin on all sides, within an array of `shape`; `spacing` is (z, y, x) in mm."""
    margins = np.ceil(margin_mm / np.asarray(spacing)).astype(int).tolist()
    return tuple(
        slice(max(side.start - margin, 0), min(side.stop + margin, size))
        for side, margin, size in zip(box, margins, shape, strict=True)
    )
