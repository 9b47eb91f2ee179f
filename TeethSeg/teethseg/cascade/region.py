"""`Region`: an axis-aligned isotropic grid in the patient, on which the networks work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..boxes import triple
from ..volume import Volume


@dataclass(frozen=True)
class Region:
    """Axes (z, y, x); x grows to the patient's Left, y Posterior, z Superior (LPS).

    Attributes
    ----------
    origin : (float, float, float)
        LPS position (x, y, z) in mm of the centre of voxel (0, 0, 0).
    spacing : float
        Voxel size in mm.
    shape : (int, int, int)
        Z, Y, X.
    """

    origin: tuple[float, float, float]
    spacing: float
    shape: tuple[int, int, int]

    @classmethod
    def between(cls, low, high, spacing: float, multiple: int = 1) -> Region:
        """The region between two corners (x, y, z); each size is rounded up to a multiple of `multiple` voxels."""
        low, high = np.asarray(low, float), np.asarray(high, float)
        # File formats round positions: a thousandth of a voxel decides nothing.
        count = np.floor((high - low) / spacing + 1e-3).astype(int) + 1
        count = np.maximum(-(-count // multiple) * multiple, multiple)
        z, y, x = (int(n) for n in count[::-1])
        return cls(triple(low), float(spacing), (z, y, x))

    @classmethod
    def within(cls, volume: Volume, low, high, spacing: float, multiple: int = 1) -> Region:
        """As `between`, but one even voxel of the grid coincides with the scan's voxel nearest to the origin of LPS.

        A crop of a scan and the whole scan then share their grid, and so their results. A scan with voxels of this spacing
        is not resampled.
        """
        volume = volume.oriented()  # so that the grid does not depend on the axis order of the file
        anchor = volume.to_lps(np.floor(volume.to_index(np.zeros(3)) + 1e-3))
        step = 2 * spacing
        low = anchor + np.floor((np.asarray(low, float) - anchor) / step + 1e-3) * step
        return cls.between(low, high, spacing, multiple)

    @classmethod
    def covering(cls, volume: Volume, spacing: float, multiple: int = 1) -> Region:
        """The smallest region that holds every voxel centre of a volume of any orientation."""
        return cls.between(*volume.extent, spacing, multiple)

    @property
    def end(self) -> np.ndarray:
        """LPS position (x, y, z) of the centre of the last voxel."""
        return np.asarray(self.origin) + self.spacing * (np.array(self.shape[::-1]) - 1)

    def half(self) -> Region:
        """The grid of half resolution; each of its voxels covers 2x2x2 voxels of this one."""
        shift = self.spacing / 2
        z, y, x = self.shape
        return Region(triple(o + shift for o in self.origin), 2 * self.spacing, (z // 2, y // 2, x // 2))

    def volume(self, array: np.ndarray) -> Volume:
        """An array on this grid as a `Volume`."""
        return Volume(array, (self.spacing,) * 3, self.origin)
