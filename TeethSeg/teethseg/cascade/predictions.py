"""Outputs of stage 2: `FineMaps` holds all of them for a region, `ToothMaps` the part that surfaces need."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..boxes import Box, bounding_box, triple
from ..resampling import region_to_grid
from ..volume import Volume

MARGIN = 6  # voxels around the teeth of `ToothMaps`


@dataclass(frozen=True)
class FineMaps:
    """Outputs of the fine network over one region grid, as plain arrays.

    The region grid is axis-aligned in LPS: axes (z, y, x), x grows to the patient's Left, y Posterior, z Superior. Its
    sizes are even; voxel (a, b, c) of a half-resolution map covers the full-resolution voxels 2a..2a+1, 2b..2b+1,
    2c..2c+1.

    Attributes
    ----------
    tooth : ndarray of float32, shape (Z, Y, X)
        Probability of tooth.
    core : ndarray of float32, shape (Z, Y, X)
        Probability of a tooth's interior: the tooth eroded by about 0.7 mm, so that cores of neighbours stay apart.
    offset : ndarray of float, shape (3, Z/2, Y/2, X/2)
        Vector in mm, components (z, y, x), from the voxel to the centroid of its tooth.
    position : ndarray of float, shape (8, Z/2, Y/2, X/2)
        Log-probabilities of the positions 1 (central incisor) to 8 (third molar).
    upper : ndarray of float, shape (Z/2, Y/2, X/2)
        Probability that the tooth belongs to the upper jaw.
    origin : (float, float, float)
        LPS position (x, y, z) in mm of the centre of full-resolution voxel (0, 0, 0).
    spacing : float
        Isotropic voxel size in mm at full resolution.
    metal : ndarray of bool, shape (Z, Y, X), optional
        Voxels as bright as metal.
    deciduous, unerupted : ndarray of float, shape (Z/2, Y/2, X/2), optional
        Probability that the tooth is deciduous, and that it has not erupted; None if the weights have no such head.
    """

    tooth: np.ndarray
    core: np.ndarray
    offset: np.ndarray
    position: np.ndarray
    upper: np.ndarray
    origin: tuple[float, float, float]
    spacing: float
    metal: np.ndarray | None = None
    deciduous: np.ndarray | None = None
    unerupted: np.ndarray | None = None

    def __post_init__(self):
        shape = self.tooth.shape
        half = tuple(size // 2 for size in shape)
        found = (self.core.shape, self.offset.shape, self.position.shape, self.upper.shape)
        if any(size % 2 for size in shape) or found != (shape, (3, *half), (8, *half), half):
            raise ValueError(f"maps of shapes {found} do not belong to a tooth map of shape {shape}")

    @property
    def voxel_volume(self) -> float:
        """Volume of a full-resolution voxel in mm³."""
        return self.spacing**3

    def to_lps(self, index_zyx: np.ndarray) -> np.ndarray:
        """LPS millimetres (..., 3) in the order x, y, z of full-resolution indices (..., 3) in the order z, y, x."""
        return np.asarray(self.origin) + np.asarray(index_zyx, dtype=float)[..., ::-1] * self.spacing

    def crop(self, box: Box) -> FineMaps:
        """The maps within a box of full-resolution slices with even starts and stops; views, no copies."""
        half = z, y, x = tuple(slice(side.start // 2, side.stop // 2) for side in box)
        return FineMaps(
            self.tooth[box],
            self.core[box],
            self.offset[:, z, y, x],
            self.position[:, z, y, x],
            self.upper[half],
            triple(self.to_lps(np.array([side.start for side in box]))),
            self.spacing,
            None if self.metal is None else self.metal[box],
            None if self.deciduous is None else self.deciduous[half],
            None if self.unerupted is None else self.unerupted[half],
        )


@dataclass(frozen=True)
class ToothMaps:
    """Stage 2's probability of tooth and the owner of each voxel, around all teeth, for sub-voxel surfaces.

    Axes and place as in `FineMaps`.

    Attributes
    ----------
    tooth : ndarray of uint8, shape (Z, Y, X)
        Probability of tooth, 255 for 1.
    owner : ndarray of uint8, shape (Z, Y, X)
        FDI number of the tooth that a voxel belongs to, 0 for none.
    origin : (float, float, float)
        LPS position (x, y, z) in mm of the centre of voxel (0, 0, 0).
    spacing : float
        Isotropic voxel size in mm.
    """

    tooth: np.ndarray
    owner: np.ndarray
    origin: tuple[float, float, float]
    spacing: float

    @classmethod
    def around(cls, maps: FineMaps, owner: np.ndarray, margin: int = MARGIN) -> ToothMaps | None:
        """Crop `maps` to all teeth of `owner` with a margin in voxels; None if there is no tooth."""
        found = bounding_box(owner)
        if found is None:
            return None
        box = tuple(slice(max(side.start - margin, 0), side.stop + margin) for side in found)
        origin = triple(maps.to_lps(np.array([side.start for side in box])))
        tooth = np.rint(maps.tooth[box] * 255).astype(np.uint8)
        return cls(tooth, owner[box].astype(np.uint8), origin, maps.spacing)

    def labels(self, like: Volume) -> np.ndarray:
        """FDI numbers on the grid of a scan; uint8, shape of `like.array`."""
        return region_to_grid(self.owner, self.origin, self.spacing, like, self.tooth)

    def save(self, path: str | os.PathLike, compressed: bool = True) -> None:
        """Write an `.npz` file of plain arrays.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        place = np.array([*self.origin, self.spacing])
        with Path(path).open("wb") as file:
            (np.savez_compressed if compressed else np.savez)(file, tooth=self.tooth, owner=self.owner, place=place)

    @classmethod
    def load(cls, path: str | os.PathLike) -> ToothMaps:
        """Read a file of `save`.

        Raises
        ------
        OSError, ValueError
            If it cannot be read, or is no such file.
        """
        with np.load(path, allow_pickle=False) as file:
            tooth, owner, place = file["tooth"], file["owner"], file["place"]
        return cls(tooth, owner, triple(place[:3]), float(place[3]))
