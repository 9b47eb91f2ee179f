"""Contacts of surfaces: teeth are separated from neighbours and antagonists, by a gap of a given width."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import combinations

import numpy as np
from scipy.spatial import cKDTree
from vtkmodules.vtkCommonDataModel import vtkPolyData

from .intersections import cross_each_other
from .solids import overlap_mm3, solid
from .triangles import arrays, coarseness, corners, from_arrays, signed_distances, unit, vertex_areas

CLEARANCE = 0.02  # mm; slicers would join coincident surfaces
_REACH = 1.0  # mm; vertices deeper within another tooth are not moved
_ROUNDS = 6
_NOTHING = 1e-6  # mm³


def separated(
    surfaces: Mapping[int, vtkPolyData], gap_mm: float = 0.0, each: Callable[..., Iterable] = map
) -> tuple[dict[int, vtkPolyData], dict[tuple[int, int], float]]:
    """Separate teeth that touch or overlap: vertices of both move inwards by the same distance.

    Each vertex moves along its normal by half of the missing distance to the other tooth. If triangles still intersect, this
    is repeated with more clearance.

    Parameters
    ----------
    surfaces : mapping of FDI number to vtkPolyData
        Closed meshes in mm.
    gap_mm : float
        Smallest distance between the vertices of two teeth, at least 0.02 mm.
    each : callable
        `map`, or the `map` of an executor to work on several teeth at once.

    Returns
    -------
    dict of FDI number to vtkPolyData
        Teeth without contacts are returned unchanged.
    dict of (FDI number, FDI number) to float
        Pairs that still overlap, and the overlap in mm³.
    """
    result = dict(surfaces)
    clearance = max(gap_mm, CLEARANCE)
    pairs = _close_pairs(result, clearance)
    overlaps: dict[tuple[int, int], float] = {}
    for number in range(_ROUNDS):
        beside: dict[int, list[int]] = {}
        for one, two in pairs:
            beside.setdefault(one, []).append(two)
            beside.setdefault(two, []).append(one)
        pushed: dict[int, np.ndarray] = {}
        missing = partial(_missing, surfaces=result, clearance=clearance)
        for pushes in each(missing, beside.keys(), beside.values()):
            for fdi, push in pushes.items():
                pushed[fdi] = np.maximum(pushed.get(fdi, 0.0), push)
        moved = [fdi for fdi, push in pushed.items() if push.any()]
        made = each(_pushed_in, [result[fdi] for fdi in moved], [pushed[fdi] for fdi in moved])
        result |= zip(moved, made, strict=True)
        overlaps = overlapping(result, pairs, each)
        if not overlaps and (number or gap_mm <= CLEARANCE):
            break
        if overlaps:  # only these go on, with more clearance
            pairs = list(overlaps)
            clearance += CLEARANCE
    return result, overlaps


def _close_pairs(surfaces: Mapping[int, vtkPolyData], reach: float) -> list[tuple[int, int]]:
    boxes = {fdi: np.array(poly.GetBounds()).reshape(3, 2) for fdi, poly in surfaces.items()}
    return [
        (one, two)
        for one, two in combinations(surfaces, 2)
        if np.all(boxes[one][:, 0] - reach <= boxes[two][:, 1]) and np.all(boxes[two][:, 0] - reach <= boxes[one][:, 1])
    ]


def _missing(
    other: int, own: Sequence[int], surfaces: Mapping[int, vtkPolyData], clearance: float
) -> dict[int, np.ndarray]:
    """Half of the distance in mm that each vertex of the `own` meshes lacks to `clearance` from another mesh."""
    others, faces = arrays(surfaces[other])
    tree, reach = cKDTree(others), clearance + _REACH + coarseness(others, faces)
    low, high = others.min(axis=0) - clearance, others.max(axis=0) + clearance
    vertices = {fdi: arrays(surfaces[fdi])[0] for fdi in own}
    near = {}
    for fdi, points in vertices.items():
        rows = np.flatnonzero(np.logical_and(points >= low, points <= high).all(axis=1))
        near[fdi] = rows[np.isfinite(tree.query(points[rows], distance_upper_bound=reach)[0])]
    # One query for all: preparing a mesh for distances takes longer than computing them.
    distance = signed_distances(surfaces[other], np.concatenate([vertices[fdi][near[fdi]] for fdi in own]))
    missing = np.where(distance < -_REACH, 0, np.maximum(clearance - distance, 0)) / 2
    pushes = {}
    for fdi, part in zip(own, np.split(missing, np.cumsum([len(near[fdi]) for fdi in own])[:-1]), strict=True):
        pushes[fdi] = np.zeros(len(vertices[fdi]))
        pushes[fdi][near[fdi]] = part
    return pushes


def _pushed_in(poly: vtkPolyData, push: np.ndarray) -> vtkPolyData:
    vertices, faces = arrays(poly)
    return from_arrays(vertices - push[:, None] * unit(vertex_areas(vertices, faces)), faces)


def overlapping(
    surfaces: Mapping[int, vtkPolyData],
    pairs: Iterable[tuple[int, int]] | None = None,
    each: Callable[..., Iterable] = map,
) -> dict[tuple[int, int], float]:
    """Overlapping pairs of teeth and their overlap in mm³, among the given pairs or all pairs."""
    pairs = list(_close_pairs(surfaces, 0.0) if pairs is None else pairs)
    meeting = each(lambda pair: _meet(*(surfaces[fdi] for fdi in pair)), pairs)
    pairs = [pair for pair, meets in zip(pairs, meeting, strict=True) if meets]
    solids = {fdi: solid(surfaces[fdi]) for fdi in {fdi for pair in pairs for fdi in pair}}
    found = {(one, two): overlap_mm3(solids[one], solids[two]) for one, two in pairs}
    return {pair: volume for pair, volume in found.items() if volume > _NOTHING}


def _meet(one: vtkPolyData, two: vtkPolyData) -> bool:
    """Whether surfaces intersect or one may contain the other: a quick test before the volume is computed."""
    boxes = [np.array(poly.GetBounds()).reshape(3, 2).T for poly in (one, two)]
    low, high = np.maximum(boxes[0][0], boxes[1][0]), np.minimum(boxes[0][1], boxes[1][1])
    if np.any(low > high):
        return False
    if any(np.array_equal(box, (low, high)) for box in boxes):
        return True
    parts = []
    for poly in (one, two):
        triangles = corners(*arrays(poly))
        kept = (triangles.max(axis=0) >= low[:, None]) & (triangles.min(axis=0) <= high[:, None])
        parts.append(triangles[..., kept.all(axis=0)])
    return all(part.size for part in parts) and cross_each_other(*parts)
