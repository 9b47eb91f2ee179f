"""Meshes as solids: intersection, difference and repair with the library Manifold.

References
----------
Lalish E. Manifold: geometry library for topological robustness. https://github.com/elalish/manifold
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import manifold3d
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from vtkmodules.vtkCommonDataModel import vtkPolyData

from .mesh_quality import MeshCheck, check_mesh
from .triangles import arrays, enclosed_volume, from_arrays

_MOST_CHANGE = 0.005  # of the volume of a mesh by its repair
_SAME_PLACE = 1e-3  # mm; closer points are merged


def solid(poly: vtkPolyData) -> manifold3d.Manifold:
    """The solid bounded by a mesh; empty if it bounds none."""
    return _solid(*arrays(poly))


def _solid(vertices: np.ndarray, faces: np.ndarray) -> manifold3d.Manifold:
    return manifold3d.Manifold(
        manifold3d.Mesh(np.ascontiguousarray(vertices, dtype=np.float32), np.ascontiguousarray(faces, dtype=np.uint32))
    )


def surface(body: manifold3d.Manifold) -> vtkPolyData:
    """The mesh of a solid."""
    mesh = body.to_mesh()
    return from_arrays(mesh.vert_properties[:, :3].astype(float), mesh.tri_verts.astype(np.int64))


def overlap_mm3(first: manifold3d.Manifold, second: manifold3d.Manifold) -> float:
    """Volume of the intersection of two solids in mm³."""
    (one, two), (three, four) = (np.reshape(body.bounding_box(), (2, 3)) for body in (first, second))
    if np.any(one > four) or np.any(three > two):
        return 0.0
    return float((first ^ second).volume())


def difference(poly: vtkPolyData, others: Iterable[vtkPolyData]) -> vtkPolyData:
    """The largest component of a solid minus other solids."""
    body = solid(poly)
    for other in map(solid, others):
        if overlap_mm3(body, other) > 0:
            body = body - other
    pieces = body.decompose()
    return surface(max(pieces, key=lambda piece: piece.volume())) if pieces else poly


def repaired(poly: vtkPolyData, check: MeshCheck) -> tuple[vtkPolyData, MeshCheck]:
    """Repair a mesh that bounds no solid by merging points at the same place.

    Returns
    -------
    vtkPolyData, MeshCheck
        The repaired mesh and its check; the input if the repair fails or changes the volume by more than 0.5 %.
    """
    if check.printable or check.triangles == 0:
        return poly, check
    body = _solid(*_joined(*arrays(poly)))
    if body.status() != manifold3d.Error.NoError or body.is_empty():
        return poly, check
    result = surface(body)
    again = replace(
        check_mesh(result, check.label_volume_mm3, cavities=check.cavities, pieces=check.pieces_expected),
        label_distance_mean_mm=check.label_distance_mean_mm,  # points move by less than the resolution of these distances
        label_distance_p95_mm=check.label_distance_p95_mm,
    )
    before = enclosed_volume(*arrays(poly))[0]
    if not again.printable or abs(again.volume_mm3 - before) > _MOST_CHANGE * abs(before):
        return poly, check
    return result, again


def _joined(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge points at the same place; faces that degenerate are left out."""
    pairs = cKDTree(vertices).query_pairs(_SAME_PLACE, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), np.int8), tuple(pairs.T)), shape=(len(vertices),) * 2)
    _, place = connected_components(graph, directed=False)
    _, first = np.unique(place, return_index=True)
    faces = place[faces]
    return vertices[first], faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
