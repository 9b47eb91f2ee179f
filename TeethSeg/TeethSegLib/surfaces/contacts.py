"""Neighbours and antagonists that touch: no tooth reaches into another, and there is as much air as was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np
from scipy.spatial import cKDTree
from vtkmodules.vtkCommonDataModel import vtkPolyData

from .solids import overlap_mm3, solid
from .triangles import arrays, from_arrays, signed_distances, unit, vertex_areas

CLEARANCE = 0.02  # mm: surfaces that coincide would count as one body
_REACH = 1.5  # mm; farther from every vertex of another tooth, a vertex is out of its reach
_ROUNDS = 6
_NOTHING = 1e-6  # mm³


def parted(
    surfaces: Mapping[int, vtkPolyData], gap_mm: float = 0.0
) -> tuple[dict[int, vtkPolyData], dict[tuple[int, int], float]]:
    """Move the vertices of teeth that touch or overlap inwards, both by the same way, until there is a gap.

    Each vertex moves along its normal by half of what is missing between it and the other tooth. Where large triangles
    still cut through each other, all is done again with more clearance.

    Parameters
    ----------
    surfaces : mapping of FDI number to vtkPolyData
        Closed meshes in mm.
    gap_mm : float
        Least distance between any two teeth, at their vertices; at least 0.02 mm is left.

    Returns
    -------
    dict of FDI number to vtkPolyData
        Teeth that touch no other are handed on as they are.
    dict of (FDI number, FDI number) to float
        Pairs that overlap all the same, and by how many mm³; empty if all went well.
    """
    result = dict(surfaces)
    pairs = _close_pairs(result, gap_mm + _REACH)
    clearance = max(gap_mm, CLEARANCE)
    overlaps: dict[tuple[int, int], float] = {}
    for number in range(_ROUNDS):
        pushed: dict[int, np.ndarray] = {}
        for pair in pairs:
            for own, other in (pair, pair[::-1]):
                push = _missing(result[own], result[other], clearance)
                pushed[own] = np.maximum(pushed.get(own, 0.0), push)
        for fdi, push in pushed.items():
            if push.any():
                result[fdi] = _pushed_in(result[fdi], push)
        overlaps = overlapping(result, pairs)
        if not overlaps and (number or gap_mm <= CLEARANCE):
            break
        if overlaps:  # these are cut deeper each time; the others are done
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


def _missing(own: vtkPolyData, other: vtkPolyData, clearance: float) -> np.ndarray:
    """Per vertex half of the mm that are missing to `clearance` between it and another mesh."""
    vertices, _ = arrays(own)
    push = np.zeros(len(vertices))
    low, high = np.array(other.GetBounds()).reshape(3, 2).T
    rows = np.flatnonzero(((vertices >= low - clearance) & (vertices <= high + clearance)).all(axis=1))
    if not len(rows):
        return push
    near, _ = cKDTree(arrays(other)[0]).query(vertices[rows], distance_upper_bound=clearance + _REACH)
    rows = rows[np.isfinite(near)]
    push[rows] = np.maximum(clearance - signed_distances(other, vertices[rows]), 0) / 2
    return push


def _pushed_in(poly: vtkPolyData, push: np.ndarray) -> vtkPolyData:
    vertices, faces = arrays(poly)
    return from_arrays(vertices - push[:, None] * unit(vertex_areas(vertices, faces)), faces)


def overlapping(
    surfaces: Mapping[int, vtkPolyData], pairs: Iterable[tuple[int, int]] | None = None
) -> dict[tuple[int, int], float]:
    """Pairs of teeth that have some volume in common, and how many mm³; of all pairs if none are given."""
    pairs = list(_close_pairs(surfaces, 0.0) if pairs is None else pairs)
    solids = {fdi: solid(surfaces[fdi]) for fdi in {fdi for pair in pairs for fdi in pair}}
    found = {(one, two): overlap_mm3(solids[one], solids[two]) for one, two in pairs}
    return {pair: volume for pair, volume in found.items() if volume > _NOTHING}
