"""Distances between the surfaces of two masks, in millimetres.

All figures use one definition: the surface of a mask is the set of its voxel centres with at least one of the six face
neighbours outside the mask (beyond the array is outside), all with the same weight. Tools that triangulate the surface and
weight by area (DeepMind's `surface-distance`, MONAI with `use_subvoxels`) give other values, which
`scripts/compare_nsd.py` prints beside ours. Own code, because MONAI is needed only for training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

_ROUNDING_MM = 1e-6  # five voxels of 0.1 mm are 0.5 mm, also in floating point


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances in mm from every surface voxel of one mask to the nearest one of the other, in both directions.

    Both masks have voxels.
    """

    first_to_second: np.ndarray
    second_to_first: np.ndarray

    def normalised_surface_dice(self, tolerance_mm: float) -> float:
        """Share of both surfaces, pooled, within the tolerance of the other surface (Nikolov et al. 2021)."""
        return float(np.mean(self._pooled() <= tolerance_mm + _ROUNDING_MM))

    def hausdorff_95(self) -> float:
        """95th percentile of the distances in mm, the larger of the two directions."""
        return float(max(np.percentile(d, 95) for d in (self.first_to_second, self.second_to_first)))

    def average(self) -> float:
        """Average symmetric surface distance (ASSD) in mm: mean over both surfaces, pooled (Heimann et al. 2009)."""
        return float(self._pooled().mean())

    def _pooled(self) -> np.ndarray:
        return np.concatenate([self.first_to_second, self.second_to_first])


def surface_distances(first: np.ndarray, second: np.ndarray, spacing: Sequence[float]) -> SurfaceDistances:
    """Distances between the surfaces of two masks.

    Parameters
    ----------
    first, second : ndarray of bool, shape (K, J, I)
    spacing : sequence of float
        Voxel size in mm along the array's axes (k, j, i).

    Raises
    ------
    ValueError
        If one of the masks is empty.
    """
    points = [np.argwhere(surface(mask)) * np.asarray(spacing, dtype=float) for mask in (first, second)]
    if not all(map(len, points)):
        raise ValueError("an empty mask has no surface")
    # Trees and not distance transforms: the cost grows with the surfaces, not with the box around them.
    trees = [cKDTree(p, compact_nodes=False, balanced_tree=False) for p in points]
    return SurfaceDistances(trees[1].query(points[0])[0], trees[0].query(points[1])[0])


def surface(mask: np.ndarray) -> np.ndarray:
    """Voxels of a mask with a face neighbour outside it, as a mask of the same shape (K, J, I)."""
    padded = np.pad(mask, 1)
    inner = mask.copy()
    for axis in range(mask.ndim):
        for start in (0, 2):
            window = [slice(1, -1)] * mask.ndim
            window[axis] = slice(start, start + mask.shape[axis])
            inner &= padded[tuple(window)]
    return mask & ~inner
