"""Triangle meshes as numpy arrays: vertices (V, 3) in mm and faces (F, 3), counter-clockwise seen from outside."""

from __future__ import annotations

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkFiltersGeneral import vtkDistancePolyDataFilter


def arrays(poly: vtkPolyData) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) in mm and faces (F, 3), counter-clockwise seen from outside, of a triangle mesh.

    Raises
    ------
    ValueError
        If the mesh has polygons other than triangles.
    """
    if poly.GetNumberOfPolys() == 0:
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    if poly.GetPolys().IsHomogeneous() != 3:
        raise ValueError("the mesh has polygons that are no triangles")
    vertices = vtk_to_numpy(poly.GetPoints().GetData()).astype(float)
    faces = vtk_to_numpy(poly.GetPolys().GetConnectivityArray()).astype(np.int64)
    return vertices, faces.reshape(-1, 3)


def from_arrays(vertices: np.ndarray, faces: np.ndarray) -> vtkPolyData:
    """A triangle mesh with point normals from vertices (V, 3) in mm and faces (F, 3); the inverse of `arrays`."""
    poly = vtkPolyData()
    points = vtkPoints()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(vertices, dtype=np.float32), deep=True))
    poly.SetPoints(points)
    cells = vtkCellArray()
    offsets = np.arange(0, 3 * len(faces) + 1, 3, dtype=np.int64)
    connectivity = np.ascontiguousarray(faces, dtype=np.int64).ravel()
    cells.SetData(numpy_to_vtkIdTypeArray(offsets, deep=True), numpy_to_vtkIdTypeArray(connectivity, deep=True))
    poly.SetPolys(cells)
    normals = numpy_to_vtk(unit(vertex_areas(vertices, faces)).astype(np.float32), deep=True)
    normals.SetName("Normals")
    poly.GetPointData().SetNormals(normals)
    return poly


def enclosed_volume(vertices: np.ndarray, faces: np.ndarray) -> tuple[float, np.ndarray]:
    """Volume in mm³ of a closed mesh, negative if its faces are oriented inwards, and its centroid (3,) in mm.

    By the divergence theorem: the sum of the signed tetrahedra between each face and one point.
    """
    middle = vertices.mean(axis=0) if len(vertices) else np.zeros(3)
    a, b, c = corners(vertices - middle, faces)
    tetrahedra = dot(a, cross(b, c)) / 6
    volume = float(tetrahedra.sum())
    moment = (a + b + c) @ tetrahedra / 4
    return volume, middle + (moment / volume if volume else 0)


def signed_distances(poly: vtkPolyData, points: np.ndarray) -> np.ndarray:
    """Signed distances (N,) in mm from points (N, 3) to a closed mesh, negative inside."""
    if not len(points):
        return np.zeros(0)
    places = vtkPoints()
    places.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=float), deep=True))
    cells = vtkCellArray()
    cells.InsertNextCell(1, [0])  # the filter needs a cell, although it uses the points
    cloud = vtkPolyData()
    cloud.SetPoints(places)
    cloud.SetVerts(cells)
    # Not vtkImplicitPolyDataDistance, which the filter uses: called directly, it holds the lock of Python (GIL).
    distance = vtkDistancePolyDataFilter()
    distance.SetInputData(0, cloud)
    distance.SetInputData(1, poly)
    distance.ComputeSecondDistanceOff()
    distance.ComputeCellCenterDistanceOff()
    distance.Update()
    return vtk_to_numpy(distance.GetOutput().GetPointData().GetScalars()).copy()


def vertex_areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Sum of the outward area vectors of the faces of each vertex, (V, 3)."""
    a, b, c = corners(vertices, faces)
    areas = np.repeat(cross(b - a, c - a) / 2, 3, axis=1)
    return np.stack([np.bincount(faces.ravel(), area, len(vertices)) for area in areas], axis=1)


def corners(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Triangles (3 corners, 3 coordinates, F), because numpy is slow along short rows."""
    places = np.ascontiguousarray(vertices.T)
    return np.stack([np.take(places, corner, axis=1) for corner in np.ascontiguousarray(faces.T)])


def coarseness(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Upper bound in mm of the distance from a point of a mesh to the nearest vertex, from the longest edge."""
    a, b, c = corners(vertices, faces)
    return float(np.sqrt(max(dot(side, side).max(initial=0) for side in (b - a, c - b, a - c)) / 3))


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products of vectors (3, N)."""
    return np.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Dot products (N,) of vectors (3, N)."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (N, 3) of length 1; those of length 0 stay 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
