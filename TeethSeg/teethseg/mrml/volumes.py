"""Scans: scalar volume nodes of Slicer as `Volume`, and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import slicer
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkImagingCore import vtkImageExtractComponents

from ..errors import InputError
from ..io.dicom.patient_age import patient_age
from ..io.scan_checks import MOST_SHEAR
from ..padding import PatientGreys
from ..volume import Volume

LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # from either to the other
AGE = "TeethSeg.patientAge"  # attribute of a scan: years
_AGE_TAGS = ("0010,1010", "0010,0030", "0008,0020")  # Patient's Age, Patient's Birth Date, Study Date
PADDING = "TeethSeg.padding"  # attribute of a scan: lowest and highest value that its file calls padding


def volume_of(node: slicer.vtkMRMLScalarVolumeNode) -> Volume:
    """A scan of the scene in patient space, under the transforms that it is shown under.

    Parameters
    ----------
    node : vtkMRMLScalarVolumeNode

    Returns
    -------
    Volume
        LPS. Its array is a view of the node's voxels, not a copy: do not write to it.

    Raises
    ------
    InputError
        If the node has no voxels or more than one value in each, or its transform is not linear or shears it.
    """
    scan = placed(_voxels(node), _to_space_of(None, node) @ _ijk_to_ras(node), node.GetName())
    kept = (node.GetAttribute(PADDING) or "").split()
    padding = (float(kept[0]), float(kept[1])) if len(kept) == 2 else None
    return replace(scan, padding=padding, patient_age=_age(node))


def _age(node: slicer.vtkMRMLScalarVolumeNode) -> float | None:
    """The patient's age in years, as kept with the scan, or as Slicer's DICOM database has it."""
    if kept := node.GetAttribute(AGE):
        return float(kept)
    database = getattr(slicer, "dicomDatabase", None)
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if database is None or not uids:
        return None
    return patient_age(*(database.instanceValue(uids[0], tag) or "" for tag in _AGE_TAGS))


def grid_of(node: slicer.vtkMRMLScalarVolumeNode, beside: slicer.vtkMRMLTransformableNode) -> Volume:
    """The grid of a scan in the coordinates that another node keeps its own data in; takes no memory for voxels.

    Raises
    ------
    InputError
        As `volume_of`, but a transform that both nodes are under does not matter.
    """
    matrix = _to_space_of(beside.GetParentTransformNode(), node) @ _ijk_to_ras(node)
    return placed(np.broadcast_to(np.uint8(0), _voxels(node).shape), matrix, node.GetName())


def node_of(scene: slicer.vtkMRMLScene, volume: Volume, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """Put a scan into the scene (its voxels are copied)."""
    array = volume.array
    if array.dtype == bool:
        array = array.view(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    image = vtkImageData()
    image.SetDimensions(array.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetIJKToRASMatrix(to_vtk(LPS_RAS @ volume.affine))
    node.SetAndObserveImageData(image)
    if volume.padding is not None:
        node.SetAttribute(PADDING, " ".join(f"{float(value)!r}" for value in volume.padding))
    if volume.patient_age is not None:
        node.SetAttribute(AGE, f"{float(volume.patient_age)!r}")
    node.CreateDefaultDisplayNodes()
    return node


def show_window(node: slicer.vtkMRMLScalarVolumeNode, window: tuple[float, float]) -> None:
    """Let slice views draw grey values from black (the lower one, and all below) to white."""
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*window)


def show_through_padding(node: slicer.vtkMRMLScalarVolumeNode, greys: PatientGreys) -> None:
    """Let slice views show their background where a scan has padding at an end of its grey values."""
    dark = [high for low, high in greys.padding if low == -np.inf < high]
    display = node.GetDisplayNode()
    display.SetApplyThreshold(bool(greys.padding))
    display.SetThreshold(float(np.nextafter(max(dark), np.inf)) if dark else greys.darkest, greys.brightest)


def colour_rendering(
    display: slicer.vtkMRMLVolumeRenderingDisplayNode, window: tuple[float, float], greys: PatientGreys
) -> None:
    """Let volume rendering show bone and teeth by this scan's own grey values; presets know Hounsfield units only.

    Parameters
    ----------
    display : vtkMRMLVolumeRenderingDisplayNode
    window : (float, float)
        Grey values from the darkest that is shown to the brightest that is told from others.
    greys : PatientGreys
        Padding is left out.
    """
    low, high = window
    properties = display.GetVolumePropertyNode().GetVolumeProperty()
    opacity, colour = properties.GetScalarOpacity(), properties.GetRGBTransferFunction()
    opacity.RemoveAllPoints()
    colour.RemoveAllPoints()
    for share, opaque, rgb in ((0.0, 0.0, (0.5, 0.3, 0.2)), (0.4, 0.15, (0.9, 0.75, 0.6)), (1.0, 0.8, (1, 1, 0.95))):
        value = low + share * (high - low)
        opacity.AddPoint(value, opaque)
        colour.AddRGBPoint(value, *rgb)
    if greys.padding:
        opacity.AddPoint(greys.brightest, 0.8)
        opacity.AddPoint(greys.brightest + 1e-3 * (high - low), 0.0)


def placed(array: np.ndarray, ijk_to_ras: np.ndarray, name: str) -> Volume:
    """An array (k, j, i) with the place that a matrix from indices to RAS millimetres gives it, as a `Volume` in LPS.

    Raises
    ------
    InputError
        If the matrix shears; `name` is the node to name.
    """
    matrix = LPS_RAS @ ijk_to_ras
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    direction = matrix[:3, :3] / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() > MOST_SHEAR:
        raise InputError(f"The axes of '{name}' are not perpendicular: resample it first (Resample Scalar Volume).")
    return Volume(array, tuple(spacing), tuple(matrix[:3, 3]), direction)


def to_numpy(matrix: vtkMatrix4x4) -> np.ndarray:
    """A VTK matrix as an array (4, 4)."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def to_vtk(matrix: np.ndarray) -> vtkMatrix4x4:
    """An array (4, 4) as a VTK matrix."""
    result = vtkMatrix4x4()
    result.DeepCopy(matrix.ravel().tolist())
    return result


def _ijk_to_ras(node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    matrix = vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return to_numpy(matrix)


def _to_space_of(transform: slicer.vtkMRMLTransformNode | None, node: slicer.vtkMRMLTransformableNode) -> np.ndarray:
    """From a node's own RAS to that under `transform` (None: the world's)."""
    matrix = vtkMatrix4x4()
    parent = node.GetParentTransformNode()
    if parent is not transform:
        outer, inner = (parent, transform) if parent is not None else (transform, parent)
        if outer is not None and not outer.IsTransformToNodeLinear(inner):
            raise InputError(f"'{node.GetName()}' is under a non-linear transform: harden it first, or take it off.")
        slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(parent, transform, matrix)
    return to_numpy(matrix)


def one_component(node: slicer.vtkMRMLScalarVolumeNode, component: int) -> slicer.vtkMRMLScalarVolumeNode:
    """A new volume beside one with several values in each voxel, with one of them, counted from 0."""
    extract = vtkImageExtractComponents()
    extract.SetInputData(node.GetImageData())
    extract.SetComponents(component)
    extract.Update()
    matrix = vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    new = node.GetScene().AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{node.GetName()} {component + 1}")
    new.SetAndObserveImageData(extract.GetOutput())
    new.SetIJKToRASMatrix(matrix)
    new.SetAndObserveTransformNodeID(node.GetTransformNodeID())
    new.CreateDefaultDisplayNodes()
    return new


def _voxels(node: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None or not image.GetNumberOfPoints():
        raise InputError(f"'{node.GetName()}' has no voxels: load its file, or choose another volume.")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(
            f"'{node.GetName()}' has several values in each voxel (colours, time points): choose a volume with one."
        )
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
