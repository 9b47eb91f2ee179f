"""Accuracy of the measures for planning, on simulated jaws whose teeth have known shapes and places.

    python scripts/benchmark_measures.py [--seeds 5] [--spacing 0.4]

The script draws whole dentitions as for simulated scans (crowded, spaced, tilted, turned, impacted, missing and
overlapping teeth), samples them to labels, and measures these as `teethseg surfaces --table` does. There are two
references:

shape       the same measures of the exact shapes, with triangles of 0.15 mm; the gap is read off the signed distance
            that the neighbour was made from. This is the error of sampling and surfaces.
building    the axis along which a tooth was built, from which its root may lean and bend, relative to the plane and
            the line that the arch was built along. This shows how much a definition by the principal axis differs from
            one by anatomy.

Prints a Markdown table: mean of the error, and 50th and 95th percentile of its size.
"""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise

import numpy as np
from scipy.ndimage import map_coordinates, zoom
from vtkmodules.vtkCommonDataModel import vtkPolyData

from teethseg.anatomy import tooth
from teethseg.simulation.arch import PlacedTooth, SimulatedDentition, random_dentition
from teethseg.simulation.parametric import parametric_tooth
from teethseg.surfaces.measures import measure_teeth
from teethseg.surfaces.mesh import contour
from teethseg.surfaces.tooth_surfaces import tooth_surfaces
from teethseg.surfaces.triangles import arrays, from_arrays
from teethseg.volume import Volume

FINER = 2  # times finer than the grid of a tooth's shape
MARGIN = 2.0  # mm
FAR = 9.0  # mm
MOST_GAP = 1.2  # mm; farther away the signed distance of a shape is not known
Row = tuple[str, str, str, float]
SHAPE = {
    "length, mm": "length_mm",
    "crown width, mm": "crown_width_mm",
    "crown breadth, mm": "crown_breadth_mm",
    "volume, %": "volume_mm3",
    "long axis, degrees": "long_axis_lps",
    "angulation, degrees": "angulation_deg",
    "inclination, degrees": "inclination_deg",
}


class Exact:
    """The exact shape of a tooth, on a grid finer than its own."""

    def __init__(self, placed: PlacedTooth):
        shape, self.fdi, self.matrix = placed.shape, placed.fdi, placed.matrix
        self._fine = zoom(shape.sdf, FINER, order=3, grid_mode=False, mode="nearest")
        self._step = shape.spacing * (np.array(shape.sdf.shape) - 1) / (np.array(self._fine.shape) - 1)
        self._first = np.array(shape.origin)
        self._size = float(np.cbrt(abs(np.linalg.det(self.matrix[:3, :3]))))
        vertices, faces = arrays(contour(-self._fine))
        vertices = self._first + vertices * self._step[::-1]
        if np.linalg.det(self.matrix[:3, :3]) > 0:  # contoured from outside
            faces = faces[:, ::-1]
        self.mesh: vtkPolyData = from_arrays(vertices @ self.matrix[:3, :3].T + self.matrix[:3, 3], faces)

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Signed distance in mm of points (..., 3), LPS."""
        inverse = np.linalg.inv(self.matrix)
        own = points @ inverse[:3, :3].T + inverse[:3, 3]
        index = ((own - self._first) / self._step[::-1])[..., ::-1]
        return self._size * map_coordinates(self._fine, np.moveaxis(index, -1, 0), order=1, cval=FAR)


def sampled(teeth: list[Exact], spacing: float, rng: np.random.Generator) -> Volume:
    """A label map whose voxels belong to the tooth that their centre lies deepest in."""
    bounds = np.array([one.mesh.GetBounds() for one in teeth]).reshape(-1, 3, 2)
    low = bounds[:, :, 0].min(axis=0) - MARGIN - rng.uniform(0, spacing, 3)
    shape = np.ceil((bounds[:, :, 1].max(axis=0) + MARGIN - low) / spacing).astype(int)[::-1]
    labels, deepest = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
    for one, ends in zip(teeth, bounds, strict=True):
        first, last = (np.floor((ends[:, end] - low) / spacing).astype(int)[::-1] + end for end in (0, 1))
        box = tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))
        axes = [start + spacing * np.arange(a, b + 1) for start, a, b in zip(low[::-1], first, last, strict=True)]
        distance = one.distance(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)[..., ::-1])
        nearer = distance < deepest[box]
        labels[box][nearer], deepest[box][nearer] = one.fdi, distance[nearer]
    return Volume(labels, (spacing,) * 3, tuple(low))


def overjet(teeth: list[Exact], dentition: SimulatedDentition) -> dict[str, float]:
    """Distance in mm of each jaw behind its curve, as the median of its teeth."""
    found = {"upper": 0.0, "lower": 0.0}
    for jaw in found:
        curve = dentition.curves[jaw]
        places = [one.matrix[:2, 3] for one in teeth if tooth(one.fdi).jaw == jaw]
        if places:
            found[jaw] = float(
                np.median([y - curve.depth * (abs(x) / curve.half_width) ** curve.power for x, y in places])
            )
    return found


def built_angles(one: Exact, dentition: SimulatedDentition, behind: float = 0.0) -> tuple[float, float]:
    """Angulation and inclination in degrees of the axis that a tooth was built along; the plane is z = 0."""
    place = tooth(one.fdi)
    curve = dentition.curves[place.jaw].points(1.6)
    side = 1.0 if place.side == "left" else -1.0
    crown = one.matrix[:2, 3] * (side, 1) - (0, behind)
    near = int(np.linalg.norm(curve - crown, axis=1).argmin())
    tangent = curve[min(near + 1, len(curve) - 1)] - curve[max(near - 1, 0)]
    mesial = -np.array([side * tangent[0], tangent[1], 0.0]) / np.linalg.norm(tangent)
    outwards = np.array([side * tangent[1], -tangent[0], 0.0]) / np.linalg.norm(tangent)
    to_crown = -one.matrix[:3, 2]
    height = to_crown[2] if place.jaw == "lower" else -to_crown[2]
    return tuple(float(np.degrees(np.arctan2(to_crown @ way, height))) for way in (mesial, outwards))


def exact_gaps(row: list[Exact]) -> dict[tuple[int, int], float]:
    """Least distance in mm of neighbours that are close, by their numbers; 0 where they overlap."""
    gaps = {}
    for one, other in pairwise(row):
        least = min(float(a.distance(arrays(b.mesh)[0]).min()) for a, b in ((one, other), (other, one)))
        if least < MOST_GAP:
            gaps[one.fdi, other.fdi] = max(least, 0.0)
    return gaps


def angle(one: np.ndarray, other: np.ndarray) -> float:
    """Angle between two vectors, in degrees."""
    cosine = np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def turn(degrees: float) -> float:
    """The same angle from -180 to 180."""
    return (degrees + 180) % 360 - 180


def group_of(fdi: int) -> str:
    position = tooth(fdi).position
    return "molars" if position > 5 else "premolars" if position > 3 else "front teeth"


def errors_of(seed: int, spacing: float, jaws: tuple[str, ...] = ("upper", "lower")) -> list[Row]:
    """Errors of one simulated dentition: group of teeth, kind of truth, measure, error."""
    dentition = random_dentition(np.random.default_rng(seed), parametric_tooth)
    teeth = [Exact(one) for one in dentition.teeth if "implant" not in one.work and tooth(one.fdi).jaw in jaws]
    labels = sampled(teeth, spacing, np.random.default_rng(seed))
    made, _ = tooth_surfaces(labels)
    measured = {one.fdi: one for one in measure_teeth(labels, {fdi: one.mesh for fdi, one in made.items()})}
    truth = {one.fdi: one for one in measure_teeth(None, {one.fdi: one.mesh for one in teeth})}
    behind = overjet(teeth, dentition)
    found = []
    for one in teeth:
        group = group_of(one.fdi)
        own, true = measured[one.fdi], truth[one.fdi]
        for name, field in SHAPE.items():
            value, right = getattr(own, field), getattr(true, field)
            if value is None or right is None:
                continue
            if field == "long_axis_lps":
                error = angle(value, right)
            elif field == "volume_mm3":
                error = 100 * (value / right - 1)
            else:
                error = turn(value - right) if field.endswith("deg") else value - right
            found.append((group, "shape", name, error))
        found.append((group, "building", "long axis, degrees", angle(own.long_axis_lps, one.matrix[:3, 2])))
        if own.angulation_deg is not None:
            for name, value, right in zip(
                ("angulation, degrees", "inclination, degrees"),
                (own.angulation_deg, own.inclination_deg),
                built_angles(one, dentition, behind[tooth(one.fdi).jaw]),
                strict=True,
            ):
                found.append((group, "building", name, turn(value - right)))
    for jaw in ("upper", "lower"):
        row = [one for one in teeth if tooth(one.fdi).jaw == jaw]
        row.sort(key=lambda one: tooth(one.fdi).position * (1 if tooth(one.fdi).side == "left" else -1))
        for (fdi, other), right in exact_gaps(row).items():
            same_side = tooth(fdi).side == tooth(other).side
            mesial = tooth(fdi).side == "right" or not same_side
            value = measured[fdi].gap_mesial_mm if mesial else measured[fdi].gap_distal_mm
            found.append((group_of(fdi), "shape", "gap to a neighbour, mm", value - right))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="how many dentitions")
    parser.add_argument("--first", type=int, default=1000, metavar="SEED")
    parser.add_argument("--spacing", type=float, default=0.4, metavar="MM", help="side of the voxels")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        rows += errors_of(seed, arguments.spacing)
        print(f"dentition {seed}", file=sys.stderr)
    groups = ("front teeth", "premolars", "molars")
    count = {group: sum(row[:3] == (group, "shape", "volume, %") for row in rows) for group in groups}
    print("| against | measure | " + " | ".join(f"{group} ({count[group]})" for group in groups) + " |")
    print("| --- " * (len(groups) + 2) + "|")
    for truth, name in dict.fromkeys(row[1:3] for row in sorted(rows, key=lambda row: row[1] != "shape")):
        cells = []
        for group in groups:
            errors = np.array([row[3] for row in rows if row[:3] == (group, truth, name)])
            if not len(errors):
                cells.append("")
                continue
            size = np.abs(errors)
            cells.append(f"{errors.mean():+.2f}, {np.median(size):.2f} / {np.quantile(size, 0.95):.2f}")
        print(f"| {truth} | {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
