"""The grid on which a simulated head is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..boxes import Box


@dataclass(frozen=True)
class Grid:
    """An isotropic grid in the frame of the head: axes (z, y, x)."""

    origin: tuple[float, float, float]  # x, y, z of voxel (0, 0, 0), mm
    spacing: float
    shape: tuple[int, int, int]  # Z, Y, X

    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Open coordinate arrays z, y, x that broadcast to `shape`."""
        z, y, x = (
            np.float32(start) + np.float32(self.spacing) * np.arange(count, dtype=np.float32)
            for start, count in zip(reversed(self.origin), self.shape, strict=True)
        )
        return z[:, None, None], y[None, :, None], x[None, None, :]

    def box(self, low: ArrayLike, high: ArrayLike) -> Box | None:
        """Slices (z, y, x) of the voxels between two corners (x, y, z) in mm; None if there are none."""
        first = np.ceil((np.asarray(low) - self.origin) / self.spacing).astype(int)[::-1]
        last = np.floor((np.asarray(high) - self.origin) / self.spacing).astype(int)[::-1]
        first, last = np.maximum(first, 0), np.minimum(last, np.array(self.shape) - 1)
        if np.any(first > last):
            return None
        return tuple(slice(int(a), int(b) + 1) for a, b in zip(first, last, strict=True))
