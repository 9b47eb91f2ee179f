"""Decimation: to a number of triangles, within an error, or coarsely for views that move.

References
----------
Hoppe H. New quadric metric for simplifying meshes with appearance attributes. IEEE Visualization 1999.
"""

from __future__ import annotations

import numpy as np
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkBinnedDecimation, vtkPolyDataNormals, vtkQuadricDecimation

from .triangles import arrays, enclosed_volume, from_arrays, signed_distances

_FEWEST = 100  # triangles
_BIN = 0.6  # mm; cells of `clustered`: with so few triangles, a processor without a graphics card draws quickly enough
_STEPS = 5  # of the bisection for the number of triangles, on a logarithmic scale


def decimated_to_count(poly: vtkPolyData, triangles: int) -> vtkPolyData:
    """Decimate to about a number of triangles; returns the mesh itself if it has no more."""
    now = poly.GetNumberOfPolys()
    if now <= triangles:
        return poly
    filtered = vtkQuadricDecimation()
    filtered.SetInputData(poly)
    filtered.SetTargetReduction(1 - triangles / now)
    filtered.VolumePreservationOn()
    filtered.Update()
    return from_arrays(*arrays(filtered.GetOutput()))


def decimated_within_error(poly: vtkPolyData, error_mm: float) -> vtkPolyData:
    """Decimate as far as every vertex stays within `error_mm` of the new mesh and the volume within 0.5 %."""
    vertices, faces = arrays(poly)
    volume = enclosed_volume(vertices, faces)[0]
    best, good, bad = poly, 0.0, 1.0  # 0: all triangles, 1: the fewest
    for _ in range(_STEPS):
        share = (good + bad) / 2
        result = decimated_to_count(poly, round(len(faces) * (_FEWEST / max(len(faces), _FEWEST)) ** share))
        change = abs(enclosed_volume(*arrays(result))[0] / volume - 1)
        if change < 0.005 and np.abs(signed_distances(result, vertices)).max() <= error_mm:
            best, good = result, share
        else:
            bad = share
    return best


def clustered(surface: vtkPolyData) -> vtkPolyData:
    """Decimate by clustering vertices in cells of 0.6 mm; the surface stays closed, unlike with vtkQuadricClustering."""
    clusters = vtkBinnedDecimation()
    clusters.SetInputData(surface)
    clusters.AutoAdjustNumberOfDivisionsOff()
    clusters.SetDivisionOrigin(0.0, 0.0, 0.0)
    clusters.SetDivisionSpacing(_BIN, _BIN, _BIN)
    clusters.SetPointGenerationModeToBinAverages()
    normals = vtkPolyDataNormals()
    normals.SetInputConnection(clusters.GetOutputPort())
    normals.SplittingOff()
    normals.ConsistencyOff()  # the faces are oriented already, and touching clusters would reverse some
    normals.Update()
    return normals.GetOutput()
