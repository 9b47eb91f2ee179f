"""Coarse surfaces for views that move: with few triangles a processor alone draws them quickly enough."""

from __future__ import annotations

from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkBinnedDecimation, vtkPolyDataNormals

STEP = 0.6  # mm: finer detail is left out


def reduced(surface: vtkPolyData) -> vtkPolyData:
    """A surface that is closed still, unlike that of vtkQuadricClustering."""
    clusters = vtkBinnedDecimation()
    clusters.SetInputData(surface)
    clusters.AutoAdjustNumberOfDivisionsOff()
    clusters.SetDivisionOrigin(0.0, 0.0, 0.0)
    clusters.SetDivisionSpacing(STEP, STEP, STEP)
    clusters.SetPointGenerationModeToBinAverages()
    normals = vtkPolyDataNormals()
    normals.SetInputConnection(clusters.GetOutputPort())
    normals.SplittingOff()
    normals.ConsistencyOff()  # the order of corners is right, and clusters that touch would turn some round
    normals.Update()
    return normals.GetOutput()
