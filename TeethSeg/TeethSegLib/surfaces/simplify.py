"""Fewer triangles: to a count, as few as keep the surface within a distance, or at once for a look at it.

References
----------
Hoppe H. New quadric metric for simplifying meshes with appearance attributes. IEEE Visualization 1999.
Rossignac J, Borrel P. Multi-resolution 3D approximations for rendering complex scenes. Modeling in Computer Graphics 1993.
"""

from __future__ import annotations

import numpy as np
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkQuadricDecimation

from .triangles import arrays, enclosed_volume, from_arrays, signed_distances

_FEWEST = 100  # triangles
_STEPS = 5  # of the search for the fewest triangles: to 1/32 of the way between none and all, on a scale of ratios


def to_count(poly: vtkPolyData, triangles: int) -> vtkPolyData:
    """At most about that many triangles; the mesh itself if it has no more."""
    now = poly.GetNumberOfPolys()
    if now <= triangles:
        return poly
    filtered = vtkQuadricDecimation()
    filtered.SetInputData(poly)
    filtered.SetTargetReduction(1 - triangles / now)
    filtered.VolumePreservationOn()
    filtered.Update()
    return from_arrays(*arrays(filtered.GetOutput()))


def within_error(poly: vtkPolyData, error_mm: float) -> vtkPolyData:
    """As few triangles as keep every vertex of a mesh within a distance of the new one, and its volume within 0.5 %."""
    vertices, faces = arrays(poly)
    volume = enclosed_volume(vertices, faces)[0]
    best, good, bad = poly, 0.0, 1.0  # how far on the way from all triangles to the fewest
    for _ in range(_STEPS):
        share = (good + bad) / 2
        result = to_count(poly, round(len(faces) * (_FEWEST / max(len(faces), _FEWEST)) ** share))
        change = abs(enclosed_volume(*arrays(result))[0] / volume - 1)
        if change < 0.005 and np.abs(signed_distances(result, vertices)).max() <= error_mm:
            best, good = result, share
        else:
            bad = share
    return best


def clustered(poly: vtkPolyData, size_mm: float) -> vtkPolyData:
    """A coarse mesh, made in milliseconds: all vertices within a cube of `size_mm` become one, in their middle.

    A closed mesh stays closed. (vtkQuadricClustering keeps one of several triangles between the same cubes, whichever
    side it faces, which leaves holes and black triangles.)
    """
    vertices, faces = arrays(poly)
    cubes = np.floor(vertices / size_mm).astype(np.int64)
    cubes -= cubes.min(axis=0)
    _, cube = np.unique(np.ravel_multi_index(cubes.T, cubes.max(axis=0) + 1), return_inverse=True)
    middles = np.stack([np.bincount(cube, vertices[:, x]) for x in range(3)], axis=1) / np.bincount(cube)[:, None]
    faces = cube[faces]
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    # Triangles between the same cubes lie upon each other: those that face opposite sides cancel each other out.
    corners, same = np.unique(np.sort(faces, axis=1), axis=0, return_inverse=True)
    first = np.take_along_axis(faces, (faces.argmin(axis=1)[:, None] + [0, 1, 2]) % 3, axis=1)
    facing = np.bincount(same.ravel(), np.where(first[:, 1] < first[:, 2], 1, -1), len(corners))
    corners[facing < 0] = corners[facing < 0][:, ::-1]
    return from_arrays(middles, corners[facing != 0])
