"""`Volume`: an image array with its position in the patient. All geometry of the library is defined here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations, product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import SimpleITK as sitk


@dataclass(frozen=True)
class Volume:
    """An image in patient space, in millimetres, LPS (x to the patient's Left, y Posterior, z Superior).

    Attributes
    ----------
    array : ndarray, shape (K, J, I)
        Voxel values. Axis order as in ITK and Slicer arrays: the last axis, i, runs fastest in memory.
    spacing : (float, float, float)
        Voxel size in mm along (i, j, k): **file order, the reverse of the array's axes** (ITK convention).
    origin : (float, float, float)
        LPS position in mm of the centre of voxel (0, 0, 0).
    direction : ndarray, shape (3, 3)
        Columns are the unit vectors of the axes i, j, k in LPS (ITK convention); may be oblique or left-handed.
    warnings : tuple of str
        Assumptions of the file's reader, one line each, for the user.
    padding : (float, float), optional
        Lowest and highest value that the file declares as padding (not part of the patient); the same value twice if it
        declares only one. None if it declares none.
    patient_age : float, optional
        Age in years at the time of the scan; None if the file does not tell.
    """

    array: np.ndarray
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: np.ndarray = None  # type: ignore[assignment]  # identity unless given
    warnings: tuple[str, ...] = ()
    padding: tuple[float, float] | None = None
    patient_age: float | None = None

    def __post_init__(self):
        object.__setattr__(self, "spacing", tuple(float(s) for s in self.spacing))
        object.__setattr__(self, "origin", tuple(float(o) for o in self.origin))
        direction = np.eye(3) if self.direction is None else np.asarray(self.direction, dtype=float).reshape(3, 3)
        object.__setattr__(self, "direction", direction)

    @cached_property
    def affine(self) -> np.ndarray:
        """4x4 matrix from voxel indices (i, j, k, 1) to LPS millimetres (x, y, z, 1)."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction * np.asarray(self.spacing)
        matrix[:3, 3] = self.origin
        return matrix

    @cached_property
    def inverse_affine(self) -> np.ndarray:
        """4x4 matrix from LPS millimetres (x, y, z, 1) to voxel indices (i, j, k, 1)."""
        return np.linalg.inv(self.affine)

    @property
    def spacing_zyx(self) -> tuple[float, float, float]:
        """Voxel size in mm along the array's axes (k, j, i)."""
        return self.spacing[::-1]

    @property
    def size(self) -> tuple[int, int, int]:
        """Number of voxels along (i, j, k): file order, the reverse of the array's shape."""
        return self.array.shape[::-1]

    def to_lps(self, index: ArrayLike) -> np.ndarray:
        """LPS positions of voxels.

        Parameters
        ----------
        index : array_like, shape (..., 3)
            Array indices in the order (k, j, i), whole or fractional; whole ones are centres of voxels.

        Returns
        -------
        ndarray, shape (..., 3)
            Millimetres (x, y, z).
        """
        return np.asarray(index, float)[..., ::-1] @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, points: ArrayLike) -> np.ndarray:
        """Array indices of positions in the patient; they may lie outside the array.

        Parameters
        ----------
        points : array_like, shape (..., 3)
            LPS millimetres (x, y, z).

        Returns
        -------
        ndarray, shape (..., 3)
            Fractional indices in the order (k, j, i).
        """
        inverse = self.inverse_affine
        return (np.asarray(points, float) @ inverse[:3, :3].T + inverse[:3, 3])[..., ::-1]

    @property
    def corners(self) -> np.ndarray:
        """LPS positions (8, 3) in mm of the centres of the corner voxels; those of two grids of one shape correspond."""
        return self.to_lps(list(product(*((0, count - 1) for count in self.array.shape))))

    @property
    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest LPS coordinates (x, y, z) in mm of the voxel centres."""
        corners = self.corners
        return corners.min(axis=0), corners.max(axis=0)

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel in mm³."""
        return abs(float(np.linalg.det(self.affine[:3, :3])))

    @property
    def orientation(self) -> str:
        """Main directions in which i, j and k grow, e.g. 'LPS'; letters R/L (right/left), A/P, I/S (inferior/superior)."""
        share = np.abs(self.direction)
        axes = max(permutations(range(3)), key=lambda rows: sum(share[row, col] for col, row in enumerate(rows)))
        return "".join(("RL", "AP", "IS")[row][int(self.direction[row, col] > 0)] for col, row in enumerate(axes))

    def oriented(self) -> Volume:
        """The same image with i, j, k growing mainly to the patient's Left, Posterior, Superior; a view, nothing is copied.

        Voxels keep their positions in the patient. Results computed from this view do not depend on the file's axis order.
        """
        share = np.abs(self.direction)
        order = max(permutations(range(3)), key=lambda axes: sum(share[row, axis] for row, axis in enumerate(axes)))
        array = self.array.transpose([2 - axis for axis in reversed(order)])
        spacing, direction = np.array(self.spacing)[list(order)], self.direction[:, list(order)].copy()
        origin = np.array(self.origin)
        for axis in range(3):
            if direction[axis, axis] < 0:
                array = np.flip(array, 2 - axis)
                origin = origin + direction[:, axis] * spacing[axis] * (array.shape[2 - axis] - 1)
                direction[:, axis] *= -1
        return Volume(array, tuple(spacing), tuple(origin), direction, self.warnings, self.padding, self.patient_age)

    def with_array(self, array: np.ndarray) -> Volume:
        """Another image on the same grid."""
        if array.shape != self.array.shape:
            raise ValueError(f"array of shape {array.shape} on a grid of shape {self.array.shape}")
        return Volume(array, self.spacing, self.origin, self.direction)


def to_sitk(volume: Volume) -> sitk.Image:
    """The same image for SimpleITK (the voxels are copied)."""
    import SimpleITK as sitk

    array = volume.array.astype(np.uint8) if volume.array.dtype == bool else volume.array
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(volume.spacing)
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction.ravel().tolist())
    return image


def from_sitk(image: sitk.Image, warnings: tuple[str, ...] = ()) -> Volume:
    """A 3D SimpleITK image as a `Volume` (the voxels are copied)."""
    import SimpleITK as sitk

    return Volume(
        sitk.GetArrayFromImage(image), image.GetSpacing(), image.GetOrigin(), image.GetDirection(), warnings=warnings
    )
