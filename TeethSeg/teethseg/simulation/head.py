"""A simulated head: jaws, sinuses, tongue, spine and skull around a random dentition, drawn on any grid.

All parts are signed distances (mm, negative inside) in the frame of the head (see `arch`), so that one head can be drawn coarse
and whole for stage 1, fine and cropped for stage 2. The skull is drawn too, because networks take dense bone far from teeth for
teeth.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..anatomy import Jaw
from .appliances import Appliances
from .arch import Mouth, PlacedTooth, ShapeSource, SimulatedDentition, random_dentition
from .children import mixed_dentition
from .grid import Grid
from .implants import draw_implant
from .shapes import ToothShape
from .tissues import Tissue

_AGES: dict[Mouth, tuple[float, float]] = {"child": (5, 14), "anomalies": (15, 40)}  # years
FAR = np.float32(9.0)  # mm; larger distances are clipped


class _Noise:
    """Smooth random fields of unit variance, fixed to the head and independent of the grid."""

    def __init__(self, rng: np.random.Generator):
        self._lattice = rng.standard_normal((32, 32, 32)).astype(np.float32)
        self._shift = rng.uniform(0, 32, size=3)

    def __call__(self, grid: Grid, pitch: float) -> np.ndarray:
        step = grid.spacing / pitch
        offset = (np.array(grid.origin)[::-1] / pitch + self._shift) % 32
        values = ndimage.affine_transform(
            self._lattice, np.full(3, step), offset, grid.shape, order=1, mode="grid-wrap", output=np.float32
        )
        return values * np.float32(1.5)


def _ellipsoid(z, y, x, centre, radii) -> np.ndarray:
    """Approximate signed distance to an ellipsoid, exact on its surface."""
    scaled = np.sqrt(
        ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + ((z - centre[2]) / radii[2]) ** 2
    )
    return (scaled - 1.0) * np.float32(min(radii))


class Head:
    """One random head; `draw` rasterises it on a grid."""

    def __init__(self, rng: np.random.Generator, shapes: ShapeSource, mouth: Mouth = "adult"):
        self.dentition: SimulatedDentition = (
            mixed_dentition(rng, shapes, rng.uniform(*_AGES[mouth]))
            if mouth in _AGES
            else random_dentition(rng, shapes, mouth)
        )
        self._noise = _Noise(rng)
        self._seed = int(rng.integers(2**31))
        self.cortex = rng.uniform(1.0, 2.6)
        self.roughness = rng.uniform(0.3, 1.4)
        self.dense_skull = rng.random() < 0.5

    def draw(self, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """Tissues and labels on a grid.

        Returns
        -------
        tissue : ndarray uint8, shape (Z, Y, X)
            Values of `Tissue`.
        labels : ndarray uint8, shape (Z, Y, X)
            FDI numbers and `SUPERNUMERARY`, 0 elsewhere. Teeth with pulp and fillings; without brackets, implants and
            follicles.
        """
        rng = np.random.default_rng(self._seed)  # the same head on every grid
        rough = self._noise(grid, 7.0)
        broad = self._noise(grid, 19.0)
        bone, air = self._jaws(grid, rng)
        jaws_only = bone.copy()
        self._skull(grid, rng, bone, air)
        skull = bone < jaws_only - 1.0
        bone += np.float32(self.roughness * 0.7) * rough + np.float32(0.5) * broad
        tooth, labels, parts, follicles = self._teeth(grid, rng, bone)
        tissue = self._soft_tissue(grid, rng, broad)
        self._oral_air(grid, rng, tissue, tooth, broad, rough)
        tissue[air] = Tissue.AIR
        self._bone(tissue, bone, broad)
        if self.dense_skull:  # without marrow, as bright as teeth
            tissue[skull & np.isin(tissue, (Tissue.CANCELLOUS, Tissue.CORTICAL))] = Tissue.DENSE_BONE
        self._sockets(rng, tissue, bone, tooth)
        if self.dentition.dense:
            self._dense_ridge(grid, tissue, tooth)
        if follicles is not None:
            self._follicles(tissue, labels, follicles)
        self._bone_islands(grid, tissue, tooth)
        self.add_inflammation(grid, tissue, labels)
        self._dental_work(grid, rng, tissue, labels, parts)
        self.add_foreign_bodies(grid, rng, tissue, tooth)
        return tissue, labels

    def draw_labels(self, grid: Grid) -> np.ndarray:
        """The labels of `draw` without the tissues, which take most of its time."""
        no_bone = np.full(grid.shape, FAR, np.float32)
        return self._teeth(grid, np.random.default_rng(self._seed), no_bone)[1]

    # -- bone ---------------------------------------------------------------------------------------------------

    def _along(self, grid: Grid, jaw: Jaw, dy: float, reach: float) -> tuple[np.ndarray, np.ndarray]:
        """Signed distance to the arch curve in the axial plane (Y, X; positive on the lingual side)."""
        _, y, x = grid.axes()
        half = self.dentition.curves[jaw].points(reach) + np.array([0, dy])
        curve = np.concatenate([half[::-1] * [-1, 1], half[1:]])
        plane = np.stack(np.broadcast_arrays(x[0], y[0]), axis=-1).reshape(-1, 2)
        distance, _ = cKDTree(curve).query(plane, distance_upper_bound=45)
        distance = np.minimum(distance, 45).reshape(grid.shape[1:]).astype(np.float32)
        shape = self.dentition.curves[jaw]
        inside = y[0] - dy > shape.depth * (np.abs(x[0]) / shape.half_width) ** shape.power
        return np.where(inside, distance, -distance)[None], np.abs(x)

    def _jaws(self, grid: Grid, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        z, y, x = grid.axes()
        crest_upper, crest_lower = self.dentition.crest["upper"], self.dentition.crest["lower"]
        bone = np.full(grid.shape, FAR, np.float32)

        # Mandible: body along the arch, chin, ramus.
        side, across = self._along(grid, "lower", 2.0, 1.35)
        growth = np.float32(self.dentition.growth)
        width, border = rng.uniform(4.5, 6.5), crest_lower - growth * rng.uniform(20, 28)
        depth = np.clip((crest_lower - z) / 12.0, 0, 1)
        half = np.float32(width * 0.8) + np.float32(rng.uniform(0.8, 2.5)) * depth
        if self.dentition.dense:  # hardly wider than the roots
            half = half - np.float32(1.4) * np.exp(-((across / 14) ** 4)) * (1 - depth)
        lean = np.float32(rng.uniform(-2.5, 0.5)) * depth
        ridge = crest_lower * np.ones_like(side)
        body = np.maximum(np.maximum(np.abs(side - lean) - half, z - self._resorbed(grid, "lower", ridge)), border - z)
        np.minimum(bone, body, out=bone)
        end = self.dentition.curves["lower"]
        end_x, end_y = end.half_width * 1.15, end.depth * 1.1 + 2
        ramus_x = np.abs(across - (end_x + 5 + 0.3 * np.clip(y - end_y, -10, 40))) - rng.uniform(3, 5)
        ramus_y = np.abs(y - (end_y + 18 + 0.2 * (z - border))) - rng.uniform(14, 19)
        ramus_z = np.maximum(border + 4 - z, z - border - rng.uniform(50, 70))
        np.minimum(bone, np.maximum(np.maximum(ramus_x, ramus_y), ramus_z), out=bone)

        # Maxilla: alveolar process, hard palate, walls of sinus and nose.
        side, across = self._along(grid, "upper", 0.0, 1.1)
        width = rng.uniform(4.2, 6.0)
        rise = np.clip((z - crest_upper) / 14.0, 0, 1)
        ridge = crest_upper * np.ones_like(side)
        process = np.maximum(
            np.maximum(np.abs(side - 1.5 * rise) - (width + 2.5 * rise), -(z + self._resorbed(grid, "upper", -ridge))),
            z - crest_upper - rng.uniform(15, 22),
        )
        np.minimum(bone, process, out=bone)
        vault = crest_upper + 2 + np.float32(rng.uniform(8, 14)) * (1 - np.exp(-np.clip(side, 0, None) / 6.0))
        thick = rng.uniform(1.2, 2.5)
        palate = np.maximum(np.maximum(np.abs(z - vault - thick) - thick, -side), y - rng.uniform(42, 52))
        np.minimum(bone, palate, out=bone)

        air = np.zeros(grid.shape, bool)
        floor = crest_upper + rng.uniform(8, 16)
        wall = rng.uniform(0.5, 1.1)
        swelling = rng.choice([0.0, rng.uniform(0, 30)], p=[0.7, 0.3])
        for centre, radii in (
            ((25, 33, floor + 17), (rng.uniform(9, 13), rng.uniform(13, 18), 17)),
            ((-25, 33, floor + 17), (rng.uniform(9, 13), rng.uniform(13, 18), 17)),
            ((0, 28, crest_upper + 34), (rng.uniform(9, 13), 26, 18)),
        ):
            low, high = np.array(centre) - radii - 6, np.array(centre) + radii + 6
            box = grid.box(low, high)
            if box is None:
                continue
            cavity = _ellipsoid(z[box[0]], y[:, box[1]], x[:, :, box[2]], centre, radii)
            bone[box] = np.minimum(np.maximum(bone[box], -cavity), np.abs(cavity - wall) - wall)
            hollow = cavity < -0.8
            if centre[0] == 0:  # septum and conchae
                across_nose = np.abs(x[:, :, box[2]])
                septum = np.abs(across_nose) - 0.8
                concha = np.abs(
                    _ellipsoid(z[box[0]], y[:, box[1]], across_nose, (6.5, 30, centre[2] - 6), (3.5, 18, 6))
                )
                bone[box] = np.minimum(bone[box], np.maximum(np.maximum(septum, cavity), -1))
                hollow &= (septum > 0.8) & (concha > 1.2)
            else:  # sinuses with mucosal swelling
                hollow &= z[box[0]] > floor + swelling
            air[box] |= hollow
        return bone, air

    def _resorbed(self, grid: Grid, jaw: Jaw, ridge: np.ndarray) -> np.ndarray:
        """Height of the alveolar crest (negated in the upper jaw), lower where teeth are missing."""
        _, y, x = grid.axes()
        for which, gap_x, gap_y in self.dentition.missing:
            if which == jaw:
                ridge = ridge - 2.2 * np.exp(-((x - gap_x) ** 2 + (y - gap_y) ** 2) / 40.0)
        return ridge

    def _skull(self, grid: Grid, rng: np.random.Generator, bone: np.ndarray, air: np.ndarray) -> None:
        z, y, x = grid.axes()

        def add(low, high, distance) -> None:
            box = grid.box(low, high)
            if box is not None:
                local = distance(z[box[0]], y[:, box[1]], x[:, :, box[2]])
                bone[box] = np.minimum(bone[box], local)

        # Cervical spine: bodies, discs and arches.
        spine_y, radius, height = rng.uniform(72, 92), rng.uniform(8, 12), rng.uniform(16, 20)
        start = rng.uniform(0, height)

        def vertebra(z, y, x):
            level = np.abs((z - start) % height - height / 2)
            ring = np.sqrt(x**2 + ((y - spine_y) * 1.2) ** 2)
            column = np.maximum(ring - radius, level - (height / 2 - 2.5))
            canal = np.sqrt(x**2 + (y - spine_y - radius - 9) ** 2)
            behind = np.maximum(np.abs(canal - 11) - 3, level - height * 0.3)
            wings = np.maximum(
                np.maximum(np.abs(np.abs(x) - 17) - 7, np.abs(y - spine_y - 5) - 6), level - height * 0.32
            )
            return np.minimum(np.minimum(column, behind), wings)

        add((-32, spine_y - 20, -200), (32, spine_y + 40, 40), vertebra)
        # Base and vault of the skull; the vault is thick and dense.
        vault_z, vault_r = rng.uniform(70, 85), rng.uniform(68, 80)
        thickness = rng.uniform(1.5, 5.5)

        def cranium(z, y, x):
            shell = _ellipsoid(z, y, x, (0, 75, vault_z), (vault_r, vault_r * 1.2, vault_r))
            return np.abs(shell + thickness) - thickness

        add((-95, -30, 25), (95, 190, 200), cranium)
        # Cheek bones and arches, orbits.
        cheek = rng.uniform(40, 46)
        for sign in (-1, 1):
            add(
                (-80, 0, 15),
                (80, 90, 60),
                lambda z, y, x, sign=sign: np.maximum(
                    np.sqrt(((sign * x) - cheek - 0.25 * (y - 20)) ** 2 + (0.6 * (z - 38)) ** 2) - 4.5,
                    np.abs(y - 42) - 34,
                ),
            )
            add(
                (-60, 0, 35),
                (60, 70, 95),
                lambda z, y, x, sign=sign: np.abs(_ellipsoid(z, y, sign * x, (31, 28, 66), (18, 26, 17)) + 1.2) - 1.2,
            )
        # Hyoid.
        hyoid_z = self.dentition.crest["lower"] - rng.uniform(30, 45)
        add(
            (-30, 20, hyoid_z - 8),
            (30, 70, hyoid_z + 8),
            lambda z, y, x: np.maximum(
                np.sqrt((np.sqrt(x**2 + (0.7 * (y - 58)) ** 2) - 18) ** 2 + (z - hyoid_z) ** 2) - 3.0, y - 58
            ),
        )
        # Airway.
        throat_y, throat = spine_y - radius - rng.uniform(12, 18), rng.uniform(4, 10)
        box = grid.box((-20, throat_y - 20, -200), (20, throat_y + 20, 30))
        if box is not None:
            tube = np.sqrt((x[:, :, box[2]] * 0.6) ** 2 + (y[:, box[1]] - throat_y) ** 2) - throat
            air[box] |= np.broadcast_to(tube < 0, air[box].shape)

    def _bone(self, tissue: np.ndarray, bone: np.ndarray, broad: np.ndarray) -> None:
        inside = bone < 0
        shell = bone > -np.float32(self.cortex) * (1 + np.float32(0.35) * broad)
        tissue[inside] = Tissue.CANCELLOUS
        tissue[inside & shell] = Tissue.CORTICAL

    # -- teeth --------------------------------------------------------------------------------------------------

    def _teeth(self, grid, rng, bone):
        """Distance to the nearest tooth, FDI labels, the parts for `_dental_work`, and distance to follicles."""
        nearest = np.full(grid.shape, FAR, np.float32)
        sacs = any(placed.follicle for placed in self.dentition.teeth)
        follicles = np.full(grid.shape, FAR, np.float32) if sacs else None
        labels = np.zeros(grid.shape, np.uint8)
        parts = []
        for placed in self.dentition.teeth:
            above_neck, thickness = rng.uniform(0.5, 3.0), rng.uniform(0.4, 1.8)
            local = self._local(grid, placed)
            if local is None:
                continue
            box, sdf, matrix = local
            if {"implant", "pontic"} & placed.work:
                parts.append((placed, box, sdf, matrix))
                continue
            depth = self._depth(grid, box, matrix)
            whole = sdf
            if placed.until < placed.shape.length:
                sdf = np.maximum(sdf, depth - np.float32(placed.until))
            if follicles is not None and 50 < placed.fdi < 90:  # follicles resorb deciduous teeth
                sdf = np.maximum(sdf, np.float32(0.2) - follicles[box])
            if "root remnant" in placed.work:
                broken = placed.shape.crown_height * np.random.default_rng([self._seed, placed.fdi, 1]).uniform(
                    0.8, 1.2
                )
                sdf = np.maximum(sdf, np.float32(broken) - depth)
            closer = sdf < nearest[box]
            nearest[box] = np.where(closer, sdf, nearest[box])
            labels[box][closer & (sdf < 0)] = placed.fdi
            labels[box][closer & (sdf >= 0)] = 0
            # A plate of bone, which may be very thin, covers the roots.
            bare = placed.shape.crown_height + above_neck
            if placed.unerupted and follicles is not None:
                crown = placed.shape.crown_height
                sac = np.float32(placed.follicle) * np.clip((crown + 2 - depth) / 3, 0, 1)
                papilla = np.where(
                    depth > placed.until, whole + 0.3 * (depth - placed.until), FAR
                )  # forms the rest of the root
                field = np.minimum(sdf - sac, np.maximum(papilla, depth - placed.until - 2.5))
                follicles[box] = np.minimum(follicles[box], field)
                jaw: Jaw = "upper" if placed.matrix[2, 3] > 0 else "lower"
                z = grid.axes()[0][box[0]]
                above = self.dentition.crest[jaw] - z if jaw == "upper" else z - self.dentition.crest[jaw]
                plate = np.maximum(field - np.float32(thickness), above - 1.5)
            else:
                plate = np.maximum(sdf - np.float32(thickness), bare - depth)
            bone[box] = np.minimum(bone[box], plate)
            parts.append((placed, box, sdf, matrix))
        return nearest, labels, parts, follicles

    def _local(self, grid: Grid, placed: PlacedTooth, margin: float = 2.5):
        """Box of a tooth on the grid, its signed distance there, and the matrix from the head to the frame of the tooth."""
        shape = placed.shape
        low, high = placed.extent
        box = grid.box(low - margin, high + margin)
        if box is None:
            return None
        inverse = np.linalg.inv(placed.matrix)
        scale = abs(np.linalg.det(placed.matrix[:3, :3])) ** (1 / 3)
        sdf = self._sample(grid, box, inverse, shape.sdf, shape) * np.float32(scale)
        return box, sdf, inverse

    @staticmethod
    def _sample(grid: Grid, box, inverse: np.ndarray, values: np.ndarray, shape) -> np.ndarray:
        """A field in the frame of the tooth, sampled in a box of the grid."""
        start = np.array(grid.origin) + grid.spacing * np.array([b.start for b in reversed(box)])
        step = inverse[:3, :3] * grid.spacing / shape.spacing
        offset = (inverse[:3, :3] @ start + inverse[:3, 3] - shape.origin) / shape.spacing
        size = tuple(b.stop - b.start for b in box)
        return ndimage.affine_transform(
            values, step[::-1, ::-1], offset[::-1], size, order=1, cval=float(FAR), output=np.float32
        )

    @staticmethod
    def _depth(grid: Grid, box, inverse: np.ndarray, row: int = 2) -> np.ndarray:
        """Coordinate in the frame of the tooth (2: apical; 1: lingual; 0: distal) in a box of the grid."""
        z, y, x = grid.axes()
        a, b, c = inverse[row, :3]
        return (a * x[:, :, box[2]] + b * y[:, box[1]] + c * z[box[0]] + inverse[row, 3]).astype(np.float32)

    def _sockets(self, rng, tissue, bone, tooth) -> None:
        gap = rng.uniform(0.15, 0.4)
        in_bone = (bone < 0.5) & (tooth < 1.2)
        tissue[in_bone & (tooth >= 0) & (tooth < gap)] = Tissue.LIGAMENT
        if rng.random() < 0.7:
            tissue[(bone < 0) & (tooth >= gap) & (tooth < gap + rng.uniform(0.2, 0.5))] = Tissue.CORTICAL

    def _dense_ridge(self, grid: Grid, tissue: np.ndarray, tooth: np.ndarray) -> None:
        """Bone without marrow and ligament around the lower front teeth; in some heads around one or both whole arches."""
        rng = np.random.default_rng([self._seed, 3])
        z, _, x = grid.axes()
        crest = self.dentition.crest
        reach = rng.choice([rng.uniform(12, 20), 60.0], p=[0.7, 0.3])
        front = (np.abs(x) < reach) & (z < crest["lower"] + 3) & (z > crest["lower"] - rng.uniform(14, 24))
        if rng.random() < 0.25:
            front = front | (
                (np.abs(x) < reach) & (z > crest["upper"] - 3) & (z < crest["upper"] + rng.uniform(10, 18))
            )
        bone = [Tissue.CANCELLOUS, Tissue.CORTICAL]
        if rng.random() < 0.6:
            bone.append(Tissue.LIGAMENT)
        tissue[front & np.isin(tissue, bone) & (tooth < rng.uniform(3, 9))] = Tissue.ALVEOLAR

    def _follicles(self, tissue: np.ndarray, labels: np.ndarray, follicles: np.ndarray) -> None:
        """Follicles: soft tissue around the crowns and open roots of germs, mostly in a thin shell of dense bone."""
        rng = np.random.default_rng([self._seed, 4])
        free = labels == 0
        bone = free & np.isin(tissue, (Tissue.CANCELLOUS, Tissue.CORTICAL, Tissue.LIGAMENT, Tissue.AIR))
        tissue[bone & (follicles < 0)] = Tissue.SOFT
        if rng.random() < 0.7:
            rim = (follicles >= 0) & (follicles < rng.uniform(0.3, 0.7)) & (tissue == Tissue.CANCELLOUS)
            tissue[rim & free] = Tissue.CORTICAL

    def _bone_islands(self, grid: Grid, tissue: np.ndarray, tooth: np.ndarray) -> None:
        """Dense bone islands in the marrow of the jaws, as large and as bright as roots."""
        rng = np.random.default_rng([self._seed, 1])
        if not self.dentition.teeth or rng.random() > 0.35:
            return
        z, y, x = grid.axes()
        for _ in range(rng.integers(1, 7)):
            near = self.dentition.teeth[rng.integers(len(self.dentition.teeth))]
            depth = near.shape.crown_height + rng.uniform(0, 20)
            centre = (near.matrix @ [*rng.uniform(-7, 7, 2), depth, 1])[:3]
            radii = rng.uniform(0.8, 3.0) * rng.uniform(0.7, 1.6, 3)
            box = grid.box(centre - radii - 1, centre + radii + 1)
            if box is None:
                continue
            body = _ellipsoid(z[box[0]], y[:, box[1]], x[:, :, box[2]], centre, radii) < 0
            kind = rng.choice([Tissue.CORTICAL, Tissue.DENSE_BONE])
            tissue[box][body & (tissue[box] == Tissue.CANCELLOUS) & (tooth[box] > 0.5)] = kind

    def add_inflammation(self, grid: Grid, tissue: np.ndarray, labels: np.ndarray) -> None:
        """Periapical lesions: bone loss around root tips, mostly of filled roots."""
        rng = np.random.default_rng([self._seed, 2])
        z, y, x = grid.axes()
        for placed in self.dentition.teeth:
            likely = {"root filling", "root remnant"} & placed.work
            if {"implant", "pontic"} & placed.work or rng.random() > (0.3 if likely else 0.01):
                continue
            centre = self.apex(placed) + rng.normal(0, 0.5, 3)
            radii = rng.uniform(1.0, 4.0) * rng.uniform(0.8, 1.3, 3)
            box = grid.box(centre - radii - 1, centre + radii + 1)
            if box is None:
                continue
            body = _ellipsoid(z[box[0]], y[:, box[1]], x[:, :, box[2]], centre, radii) < 0
            bone = np.isin(tissue[box], (Tissue.CANCELLOUS, Tissue.CORTICAL, Tissue.DENSE_BONE, Tissue.LIGAMENT))
            tissue[box][body & bone & (labels[box] == 0)] = Tissue.SOFT

    @staticmethod
    def _cavity(along: Callable[..., np.ndarray], shape: ToothShape, rng: np.random.Generator) -> np.ndarray:
        """Mask of the cavity of a filling, from a pit to most of the crown."""
        middle = rng.normal(0, 0.3, 2) * shape.width
        half = rng.uniform(0.15, 0.55, 2) * shape.width
        top, deep = rng.uniform(-1, 2), rng.uniform(0.2, 0.8) * shape.crown_height
        away = [(along(0) - middle[0]) / half[0], (along(1) - middle[1]) / half[1], (along() - top) / deep]
        roundness = rng.choice([2, 4])  # ellipsoid, or box with rounded corners
        return sum(np.abs(one) ** roundness for one in away) < 1

    @staticmethod
    def apex(placed: PlacedTooth) -> np.ndarray:
        """Tip (x, y, z) of the longest root in mm."""
        shape = placed.shape
        index = np.argwhere(shape.sdf < 0)[-1]  # the deepest voxel: z comes first and points to the apex
        return (placed.matrix @ [*(np.array(shape.origin) + index[::-1] * shape.spacing), 1])[:3]

    def _dental_work(self, grid, rng, tissue, labels, parts) -> None:
        """Enamel, dentine, pulp and dental work."""
        enamel = rng.uniform(0.8, 2.0)
        chamber = rng.uniform(-0.35, 0.35)
        appliances = Appliances(self._seed, self.dentition.retainer)
        for placed, box, sdf, inverse in parts:
            rng = np.random.default_rng([self._seed, placed.fdi])
            here, own = tissue[box], labels[box] == placed.fdi
            depth = self._depth(grid, box, inverse)
            crown, along = placed.shape.crown_height, partial(self._depth, grid, box, inverse)
            if "implant" in placed.work:
                draw_implant(here, labels[box] == 0, sdf, crown, along, rng)
                continue
            if "pontic" in placed.work:
                stuff = Tissue.METAL if rng.random() < 0.6 else Tissue.RESTORATION
                here[(labels[box] == 0) & (sdf < 0) & (depth < crown * rng.uniform(0.7, 0.95))] = stuff
                continue
            here[own] = Tissue.DENTINE
            taper = np.clip((crown - depth) / (0.6 * crown), 0, 1)
            here[own & (sdf > -enamel * taper) & (depth < crown)] = Tissue.ENAMEL
            pulp = self._sample(grid, box, inverse, placed.shape.pulp, placed.shape)
            wide = chamber
            if placed.until < placed.shape.length:  # open apex
                wide = chamber + np.float32(1.5) * np.exp(-np.clip(placed.until - depth, 0, None) / 3.0)
            canal = own & (pulp < wide)
            here[canal] = Tissue.PULP
            if "root filling" in placed.work:
                here[canal & (depth > crown * 0.7)] = Tissue.ROOT_FILLING
                here[canal & (depth <= crown * 0.7)] = Tissue.RESTORATION
                if rng.random() < 0.3:  # a post
                    here[canal & (depth < crown * rng.uniform(0.9, 1.6))] = Tissue.METAL
            if "crown" in placed.work:
                stuff = Tissue.METAL if rng.random() < 0.5 else Tissue.RESTORATION
                here[own & (depth < crown * rng.uniform(0.8, 1.0)) & (sdf > -rng.uniform(0.8, 1.6))] = stuff
            if "filling" in placed.work:
                hole = self._cavity(along, placed.shape, rng)
                here[own & hole] = Tissue.METAL if rng.random() < 0.5 else Tissue.RESTORATION
            appliances.add(placed, here, labels[box] == 0, sdf, along)
        appliances.add_wires(grid, tissue, labels)

    # -- soft tissue and air ------------------------------------------------------------------------------------

    def _soft_tissue(self, grid, rng, broad) -> np.ndarray:
        z, y, x = grid.axes()
        face = rng.uniform(11, 17)
        front = -face + np.float32(rng.uniform(0.008, 0.016)) * x**2 + np.float32(0.004) * (z - 5) ** 2 * (z > 5)
        chin = self.dentition.crest["lower"] - rng.uniform(26, 36)
        neck = np.clip(chin - z, 0, None) * np.float32(1.2)
        inside = (y + np.float32(1.5) * broad > front + neck) & (np.abs(x) < rng.uniform(62, 78)) & (y < 135)
        tissue = np.where(inside, np.uint8(Tissue.SOFT), np.uint8(Tissue.AIR))
        tissue[inside & (broad > rng.uniform(0.6, 2.5))] = Tissue.FAT
        return tissue

    def _oral_air(self, grid, rng, tissue, tooth, broad, rough) -> None:
        """Air between tongue and palate, between cheeks and crowns, and in the open mouth."""
        z, y, x = grid.axes()
        top, bottom = self.dentition.crest["upper"], self.dentition.crest["lower"]
        share = rng.choice([-3.0, -0.3, 0.6], p=[0.35, 0.4, 0.25])
        reach = rng.uniform(5, 10)
        side, _ = self._along(grid, "lower", 1.0, 1.05)
        near_crowns = (np.abs(side) < reach + 2 * rough) & (z > bottom + 1) & (z < top - 1)
        tissue[near_crowns & (tooth > 0) & (rough + np.float32(0.5) * broad < share)] = Tissue.AIR
        box = grid.box((-22, 8, bottom + 3), (22, 60, top + 14))
        if box is not None and rng.random() < 0.8:
            tongue = rng.uniform(-2, 12)
            room = _ellipsoid(z[box[0]], y[:, box[1]], x[:, :, box[2]], (0, 32, (top + bottom) / 2 + 6), (19, 26, 17))
            above = z[box[0]] > (top + bottom) / 2 + tongue - 0.015 * (y[:, box[1]] - 30) ** 2 + 3 * broad[box]
            tissue[box][(room < 0) & above] = Tissue.AIR

    def add_foreign_bodies(self, grid, rng, tissue, tooth) -> None:
        """Bite blocks, chin rests, and random dense shells, rods and plates away from the teeth."""
        z, y, x = grid.axes()
        free = tooth > FAR - 1.0
        if self.dentition.block or rng.random() < 0.25:
            half = rng.uniform(3, 9)
            thick = rng.uniform(1.5, 5)
            upright = np.abs(z) < thick
            if self.dentition.block:  # as high as the mouth is open, with notches for the front teeth
                own = np.random.default_rng([self._seed, 5])
                low = self.dentition.crest["lower"] + own.uniform(6, 9)
                high = self.dentition.crest["upper"] - own.uniform(6, 9)
                half = own.uniform(4, 14)
                upright = (z > min(low, -thick)) & (z < max(high, thick))
            block = (np.abs(x) < half) & upright & (y > -45) & (y < rng.uniform(-2, 8))
            tissue[block & (tooth > 0.2) & (tissue <= Tissue.FAT)] = Tissue.PLASTIC
        if rng.random() < 0.3:
            rest = self.dentition.crest["lower"] - rng.uniform(32, 50)
            plate = (np.abs(z - rest) < rng.uniform(1.5, 4)) & (np.abs(x) < 35) & (y < 40)
            tissue[plate & free & (tissue == Tissue.AIR)] = Tissue.PLASTIC
        size = np.array(grid.shape[::-1]) * grid.spacing
        for _ in range(rng.poisson(2.0)):
            centre = np.array(grid.origin) + rng.uniform(0, 1, 3) * size
            radii = np.exp(rng.uniform(np.log(2.5), np.log(18), 3))
            box = grid.box(centre - radii - 1, centre + radii + 1)
            if box is None:
                continue
            body = _ellipsoid(z[box[0]], y[:, box[1]], x[:, :, box[2]], centre, radii)
            wall = rng.uniform(0.8, 3.5)
            outer = (body < 0) & free[box]
            kind = rng.choice([Tissue.CORTICAL, Tissue.PLASTIC, Tissue.METAL], p=[0.75, 0.2, 0.05])
            tissue[box][outer & (body > -wall)] = kind
            if kind == Tissue.CORTICAL:
                tissue[box][outer & (body <= -wall)] = rng.choice([Tissue.CANCELLOUS, Tissue.SOFT])
