"""The panel's state, kept in the scene and saved with it."""

from __future__ import annotations

from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class Parameters:
    """Scan, teeth and choices; values as the library spells them."""

    volume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    notation: str = "fdi"
    labels: str = "fdi"
    part: str = "all"
    show3D: bool = True
    numbers: bool = True
    archJaws: str = "both"
    archProjection: str = "mean"
    archSlab: float = 10.0
    archDistance: float = 2.0
    archThickness: float = 1.0
    format: str = "stl"
    parts: str = "tooth"
    space: str = "LPS"
    smoothing: str = "light"
    triangles: str = "all"
    gap: str = "0"
    inside: str = "solid"
    naming: str = "fdi"
    patient: str = ""
