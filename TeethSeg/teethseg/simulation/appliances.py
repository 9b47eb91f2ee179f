"""Orthodontic appliances: brackets, tubes, bands, hooks, arch wires, and retainers.

They touch the crowns, are brighter than enamel and cause blooming: a network that was not trained with many kinds of them adds
them to the crown. Sizes lie around those of manufacturers' catalogues, rather too large than too small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..anatomy import tooth
from ..boxes import Box
from .arch import PlacedTooth
from .grid import Grid
from .tissues import Tissue

_FARTHEST = 14.0  # mm; largest distance between neighbouring brackets that a wire bridges


@dataclass
class Appliances:
    """The appliances of one head: of one make, each with a small random error of placement."""

    seed: int
    retainer: bool
    _buccal: list[tuple[int, np.ndarray]] = field(default_factory=list)  # FDI number, point of the wire (x, y, z)
    _lingual: list[tuple[int, np.ndarray]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.material = Tissue.RESTORATION if rng.random() < 0.15 else Tissue.METAL  # ceramic, steel
        self.width, self.height = rng.uniform(2.2, 4.2), rng.uniform(2.2, 4.2)
        self.thickness, self.pad = rng.uniform(1.2, 3.0), rng.uniform(0.3, 0.8)
        self.slot, self.wings = rng.uniform(0.5, 1.1), rng.random() < 0.7
        self.level = rng.uniform(0.35, 0.65)  # as a share of the crown height, from the edge
        self.wire = rng.uniform(0.25, 0.5)
        self.hooked = rng.choice([0.0, 0.2, 0.5])

    def add(
        self,
        placed: PlacedTooth,
        tissue: np.ndarray,
        free: np.ndarray,
        sdf: np.ndarray,
        along: Callable[[int], np.ndarray],
    ) -> None:
        """Draw the appliance of one tooth.

        Parameters
        ----------
        placed : PlacedTooth
        tissue : ndarray uint8, shape (Z, Y, X)
            A box of the head around the tooth; changed in place.
        free : ndarray bool, shape (Z, Y, X)
            Mask of the voxels without teeth.
        sdf : ndarray float32, shape (Z, Y, X)
            Signed distance to the tooth in mm.
        along : callable
            Coordinate (Z, Y, X) in the frame of the tooth: 0 distal, 1 lingual, 2 apical.
        """
        if self.retainer and 31 <= placed.fdi <= 43 and placed.fdi % 10 <= 3:
            self._lingual.append((placed.fdi, self._point(placed, 0.45, +0.5)))
        if not {"bracket", "band"} & placed.work:
            return
        rng = np.random.default_rng([self.seed, placed.fdi])  # independent of the other teeth on the grid
        crown = placed.shape.crown_height
        level = crown * (self.level + rng.normal(0, 0.05))
        distal, lingual, depth = along(0), along(1), along(2)
        outside = free & (sdf >= 0)
        if "band" in placed.work:
            half = rng.uniform(1.4, 2.2)
            tissue[outside & (sdf < rng.uniform(0.25, 0.5)) & (np.abs(depth - crown * 0.5) < half)] = Tissue.METAL
        tube = placed.fdi % 10 >= 6
        half_width = (rng.uniform(3.0, 6.0) if tube else self.width) / 2
        across, up = np.abs(distal - rng.normal(0, 0.3)), depth - level
        front = outside & (lingual < 0)
        body = front & (across < half_width) & (np.abs(up) < self.height / 2) & (sdf < self.thickness)
        if self.wings and not tube:  # four wings around the slot for the wire, on a pad
            gap = (np.abs(up) < self.slot / 2) | (across < half_width * 0.3)
            body &= ~gap | (sdf < self.pad) | (sdf < self.thickness - 0.8)
        tissue[body] = self.material
        if rng.random() < self.hooked:
            reach = rng.uniform(1.5, 4.0)
            post = front & (np.abs(distal - half_width * 0.6) < 0.5) & (up > 0) & (up < self.height / 2 + reach)
            tissue[post & (sdf > self.thickness - 1.1) & (sdf < self.thickness)] = Tissue.METAL
        self._buccal.append((placed.fdi, self._point(placed, level / crown, 0.5 - self.thickness)))

    @staticmethod
    def _point(placed: PlacedTooth, level: float, beyond: float) -> np.ndarray:
        """A point in the head `beyond` mm from the lingual face of the crown, or from its buccal face if negative."""
        half = np.copysign(placed.shape.depth / 2, beyond)
        return (placed.matrix @ [0, half + beyond, placed.shape.crown_height * level, 1])[:3]

    def add_wires(self, grid: Grid, tissue: np.ndarray, labels: np.ndarray) -> None:
        """Draw the wires from tooth to tooth; both arrays (Z, Y, X) on `grid`, `tissue` is changed in place."""
        for points in (self._buccal, self._lingual):
            for upper in (True, False):
                chain = sorted(
                    (p for fdi, p in points if (tooth(fdi).jaw == "upper") == upper),
                    key=lambda p: np.arctan2(p[0], 30 - p[1]),
                )
                for start, end in pairwise(chain):
                    if np.linalg.norm(end - start) < _FARTHEST:
                        self._rod(grid, tissue, labels, start, end)

    def _rod(self, grid: Grid, tissue: np.ndarray, labels: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
        radius = max(self.wire, 0.6 * grid.spacing)  # a thinner wire would fall between voxels
        box = grid.box(np.minimum(start, end) - radius, np.maximum(start, end) + radius)
        if box is None:
            return
        z, y, x = (axis[part] for axis, part in zip(grid.axes(), _open(box), strict=True))
        way = end - start
        length = max(float(way @ way), 1e-6)
        share = ((x - start[0]) * way[0] + (y - start[1]) * way[1] + (z - start[2]) * way[2]) / length
        share = np.clip(share, 0, 1)
        away = sum((axis - a - share * w) ** 2 for axis, a, w in zip((x, y, z), start, way, strict=True))
        tissue[box][(away < radius**2) & (labels[box] == 0)] = Tissue.METAL


def _open(box: Box) -> tuple[tuple, tuple, tuple]:
    """Indices of a box (z, y, x) for the three open coordinate arrays of a grid."""
    z, y, x = box
    everything = slice(None)
    return (z, everything, everything), (everything, y, everything), (everything, everything, x)
