"""Fewer triangles: to a count, or as few as keep the surface within a distance.

References
----------
Hoppe H. New quadric metric for simplifying meshes with appearance attributes. IEEE Visualization 1999.
"""

from __future__ import annotations

import numpy as np
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkQuadricDecimation

from .triangles import arrays, enclosed_volume, from_arrays, signed_distances

_FEWEST = 100  # triangles
_STEPS = 5  # of the search for the fewest triangles: to 1/32 of the way between none and all, on a scale of ratios


def decimated_to_count(poly: vtkPolyData, triangles: int) -> vtkPolyData:
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


def decimated_within_error(poly: vtkPolyData, error_mm: float) -> vtkPolyData:
    """As few triangles as keep every vertex of a mesh within a distance of the new one, and its volume within 0.5 %."""
    vertices, faces = arrays(poly)
    volume = enclosed_volume(vertices, faces)[0]
    best, good, bad = poly, 0.0, 1.0  # how far on the way from all triangles to the fewest
    for _ in range(_STEPS):
        share = (good + bad) / 2
        result = decimated_to_count(poly, round(len(faces) * (_FEWEST / max(len(faces), _FEWEST)) ** share))
        change = abs(enclosed_volume(*arrays(result))[0] / volume - 1)
        if change < 0.005 and np.abs(signed_distances(result, vertices)).max() <= error_mm:
            best, good = result, share
        else:
            bad = share
    return best
