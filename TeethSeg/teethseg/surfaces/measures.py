"""Measurements of teeth: size, direction in the arch, gaps to the neighbours.

Definitions
-----------
Long axis: the principal axis of the solid tooth (its second moments), pointing to the apex.
Length: extent of the tooth along its long axis.
Crown: the part of the tooth in the first 40 % of its length from the occlusal end.
Crown width (mesio-distal) and breadth (bucco-lingual): extent of the crown perpendicular to the long axis, along the arch and
across it.
Arch: the line through the tooth centres of a jaw; its direction at a tooth is that from the previous to the next tooth.
Occlusal plane: least-squares plane through the most occlusal points of the teeth of a jaw, at least three, not in a line.
Angulation, inclination: angles between the long axis and the normal of the plane, in buccal view and along the arch; positive
if the crown tips to mesial, and to buccal.
Gap: smallest distance to the next tooth present in the arch; touching teeth are 0.02 mm apart.

Errors on simulated teeth of known shape, voxels of 0.4 mm, 95 % of teeth (scripts/benchmark_measures.py, docs/figures.md):
length 0.5 mm (0.3 mm too short on average, as sharp ends are lost), width and breadth 0.2 mm, angles 0.6 degrees, gap 0.2 mm.
The principal axis differs by 2 to 5 degrees from the axis of construction of a simulated tooth, because roots lean and bend.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..anatomy import Jaw, arch, tooth
from ..boxes import triple
from ..io.atomic_write import written_whole
from ..volume import Volume
from .triangles import arrays, coarseness, corners, cross, dot, enclosed_volume, signed_distances

CROWN_SHARE = 0.4
_UPRIGHT = 0.3  # cosine to the vertical; below, the tooth is horizontal, and its shape determines the apex
_LEAST_SPREAD = 4.0  # mm; smallest spread of the occlusal points across their main direction that defines a plane
_SOME = 16  # stride of the vertices for a first bound of the distance to another mesh


@dataclass(frozen=True)
class ToothMeasures:
    """Measurements of one tooth, defined in the module; None if undefined.

    Attributes
    ----------
    fdi : int
    length_mm, crown_width_mm, crown_breadth_mm : float
    volume_mm3 : float
    angulation_deg, inclination_deg : float or None
    gap_mesial_mm, gap_distal_mm : float or None
    cut : bool
        Whether the border of the scan cuts the tooth, so that its size and direction are those of a part.
    centre_lps_mm : (float, float, float)
        Centroid of the solid.
    long_axis_lps : (float, float, float)
        Unit vector.
    """

    fdi: int
    length_mm: float
    crown_width_mm: float
    crown_breadth_mm: float
    volume_mm3: float
    angulation_deg: float | None
    inclination_deg: float | None
    gap_mesial_mm: float | None
    gap_distal_mm: float | None
    cut: bool
    centre_lps_mm: tuple[float, float, float]
    long_axis_lps: tuple[float, float, float]

    def row(self) -> dict:
        """Rounded values by column name, vectors left out."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        rounded = {name: round(value, 2) if isinstance(value, float) else value for name, value in values.items()}
        return {name: value for name, value in rounded.items() if not isinstance(value, tuple)}


def measure_teeth(
    labels: Volume | None,
    meshes: Mapping[int, vtkPolyData],
    each: Callable[..., Iterable] = map,
) -> list[ToothMeasures]:
    """Measure every tooth, in the order of the numbers.

    Parameters
    ----------
    labels : Volume or None
        Label map of the teeth, to find those cut by the border of the scan.
    meshes : mapping of FDI number to vtkPolyData
        Closed triangle meshes in LPS mm.
    each : callable
        `map`, or the `map` of an executor to work on several teeth at once.
    """
    cut = set() if labels is None else border_labels(labels.array)
    there = [fdi for fdi, poly in meshes.items() if poly.GetNumberOfPolys()]
    bodies = dict(zip(there, each(lambda fdi: _SolidTooth.of(fdi, meshes[fdi]), there), strict=True))
    found: dict[int, ToothMeasures] = {}
    for jaw in ("upper", "lower"):
        row = [fdi for fdi in _row(jaw) if fdi in bodies]
        normal = _occlusal_normal([bodies[fdi] for fdi in row])
        up = np.array([0.0, 0.0, 1.0]) if normal is None else normal
        for fdi in row:
            found[fdi] = _measured(bodies[fdi], _along([bodies[one].centre for one in row], row.index(fdi), up), up)
            if normal is None:
                found[fdi] = replace(found[fdi], angulation_deg=None, inclination_deg=None)
        pairs = list(pairwise(row))
        gaps = each(lambda pair: _distance(*(meshes[fdi] for fdi in pair)), pairs)
        for (right, left), gap in zip(pairs, gaps, strict=True):
            for one, to_left in ((right, True), (left, False)):
                mesial = (tooth(one).side == "right") == to_left
                found[one] = replace(found[one], **{"gap_mesial_mm" if mesial else "gap_distal_mm": gap})
    return [replace(found[fdi], cut=fdi in cut) for fdi in sorted(found)]


def write_csv(path: str | os.PathLike, rows: Iterable[Mapping]) -> None:
    """Write a table as CSV with a header row.

    Raises
    ------
    TeethSegError
        If it cannot be written.
    """
    rows = list(rows)
    with written_whole(path) as draft, draft.open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        table.writeheader()
        table.writerows(rows)


def border_labels(labels: np.ndarray) -> set[int]:
    """Values other than 0 in the outermost voxels of a label map (Z, Y, X)."""
    faces = [np.moveaxis(labels, axis, 0)[end] for axis in range(3) for end in (0, -1)]
    return {int(value) for face in faces for value in np.unique(face)} - {0}


def _row(jaw: Jaw) -> tuple[int, ...]:
    """Permanent teeth in arch order, each followed by its deciduous predecessor."""
    return tuple(fdi for one in arch(jaw) for fdi in ((one, one + 40) if one % 10 <= 5 else (one,)))


@dataclass(frozen=True)
class _SolidTooth:
    fdi: int
    vertices: np.ndarray
    volume: float
    centre: np.ndarray
    axis: np.ndarray  # to the apex

    @classmethod
    def of(cls, fdi: int, poly: vtkPolyData) -> _SolidTooth:
        vertices, faces = arrays(poly)
        volume, centre = enclosed_volume(vertices, faces)
        triangles = corners(vertices - centre, faces)
        weights = dot(triangles[0], cross(triangles[1], triangles[2])) / 6
        # Second moments: integral of x xT over tetrahedra with one corner at the centre.
        moments = sum((weights * one) @ one.T for one in (*triangles, triangles.sum(axis=0)))
        axis = np.linalg.eigh(moments)[1][:, -1]
        apical = 1.0 if tooth(fdi).jaw == "upper" else -1.0
        if abs(axis[2]) > _UPRIGHT:
            sign = np.sign(axis[2]) * apical
        else:  # roots are thinner than crowns, so the centre lies nearer to the end of the crown
            along = (vertices - centre) @ axis
            sign = 1.0 if along.max() > -along.min() else -1.0
        return cls(fdi, vertices, volume, centre, axis * sign)


def _occlusal_normal(bodies: list[_SolidTooth]) -> np.ndarray | None:
    """Unit normal of the occlusal plane, upwards; None if the teeth define none."""
    if len(bodies) < 3:
        return None
    up = np.array([0.0, 0.0, 1.0])
    side = 1.0 if tooth(bodies[0].fdi).jaw == "upper" else -1.0
    for _ in range(3):  # the most occlusal point of a tooth depends on the plane
        tips = np.array([body.vertices[np.argmin(side * (body.vertices @ up))] for body in bodies])
        _, spread, directions = np.linalg.svd(tips - tips.mean(axis=0))
        if spread[1] / np.sqrt(len(tips)) < _LEAST_SPREAD:
            return None
        up = directions[2] * (np.sign(directions[2] @ [0, 0, 1]) or 1.0)
    return up


def _along(centres: list[np.ndarray], place: int, up: np.ndarray) -> np.ndarray:
    """Unit vector along the arch at one of its teeth, from the right of the patient to the left, perpendicular to `up`."""
    before, after = centres[max(place - 1, 0)], centres[min(place + 1, len(centres) - 1)]
    way = after - before if len(centres) > 1 else np.array([1.0, 0.0, 0.0])
    way = way - (way @ up) * up
    return way / (np.linalg.norm(way) or 1.0)


def _measured(body: _SolidTooth, along: np.ndarray, up: np.ndarray) -> ToothMeasures:
    one = tooth(body.fdi)
    depth = body.vertices @ body.axis
    length = np.ptp(depth)
    crown = body.vertices[depth <= depth.min() + CROWN_SHARE * length]
    width = along - (along @ body.axis) * body.axis
    width /= np.linalg.norm(width) or 1.0
    to_crown, occlusal = -body.axis, up if one.jaw == "lower" else -up
    mesial, outwards = along if one.side == "right" else -along, np.cross(along, up)
    height = to_crown @ occlusal
    return ToothMeasures(
        fdi=body.fdi,
        length_mm=float(length),
        crown_width_mm=float(np.ptp(crown @ width)),
        crown_breadth_mm=float(np.ptp(crown @ np.cross(body.axis, width))),
        volume_mm3=float(body.volume),
        angulation_deg=float(np.degrees(np.arctan2(to_crown @ mesial, height))),
        inclination_deg=float(np.degrees(np.arctan2(to_crown @ outwards, height))),
        gap_mesial_mm=None,
        gap_distal_mm=None,
        cut=False,
        centre_lps_mm=triple(body.centre),
        long_axis_lps=triple(body.axis),
    )


def _distance(first: vtkPolyData, second: vtkPolyData) -> float:
    """Least distance in mm between the vertices of a mesh and another mesh; 0 where they overlap."""
    vertices, (others, faces) = arrays(first)[0], arrays(second)
    tree = cKDTree(others)
    # First a bound from some vertices; then only vertices that are nearer to the box of the other mesh.
    bound = tree.query(vertices[::_SOME])[0].min()
    low, high = others.min(axis=0), others.max(axis=0)
    beyond = np.maximum(low - vertices, 0) + np.maximum(vertices - high, 0)
    vertices = vertices[np.einsum("vx,vx->v", beyond, beyond) <= bound**2]
    inner = coarseness(others, faces)
    near, _ = tree.query(vertices, distance_upper_bound=bound + 2 * inner)
    return max(float(signed_distances(second, vertices[near <= near.min() + inner]).min()), 0.0)
