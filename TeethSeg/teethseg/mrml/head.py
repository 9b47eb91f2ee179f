"""Head orientation: a transform that levels the occlusal plane and turns the midline forwards; nothing is resampled."""

from __future__ import annotations

import numpy as np
import slicer

from ..arch_views.frame import Frame, dentition_frame, tooth_voxels
from ..errors import UsageError
from ..volume import Volume
from .views import nodes_of
from .volumes import LPS_RAS, to_numpy, to_vtk

BEFORE = "TeethSeg.before"  # reference from the new transform to the one that it took the place of
STRAIGHT = "TeethSeg.straight"  # attribute of it
_MOVED = ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLMarkupsNode", "vtkMRMLModelNode")


def straighten(
    scene: slicer.vtkMRMLScene, volume_node: slicer.vtkMRMLScalarVolumeNode, labels: Volume
) -> slicer.vtkMRMLLinearTransformNode:
    """Put a scan, and all that is under the same transform, under a turned copy of that transform.

    Parameters
    ----------
    scene : vtkMRMLScene
    volume_node : vtkMRMLScalarVolumeNode
    labels : Volume
        FDI numbers where the teeth are shown now.

    Returns
    -------
    vtkMRMLLinearTransformNode
        The head turns about the middle of the occlusal plane.

    Raises
    ------
    UsageError
        If there are too few teeth to see how the head lies, or it has been straightened already.
    """
    if is_straight(volume_node):
        raise UsageError(f"The head of '{volume_node.GetName()}' was straightened already: turn it back first.")
    frame = dentition_frame(tooth_voxels(labels))
    if frame is None:
        raise UsageError("There are too few teeth to see how the head lies: segment the scan first.")
    before = volume_node.GetParentTransformNode()
    matrix = to_vtk(np.eye(4))
    if before is not None:
        before.GetMatrixTransformToWorld(matrix)
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", f"{volume_node.GetName()} straight")
    node.SetAttribute(STRAIGHT, "1")
    if before is not None:
        node.SetNodeReferenceID(BEFORE, before.GetID())
    node.SetMatrixTransformToParent(to_vtk(_turn(frame) @ to_numpy(matrix)))
    _move(scene, before, node, volume_node)
    return node


def is_straight(volume_node: slicer.vtkMRMLScalarVolumeNode | None) -> bool:
    """Whether a scan is under such a transform."""
    transform = volume_node.GetParentTransformNode() if volume_node is not None else None
    return transform is not None and bool(transform.GetAttribute(STRAIGHT))


def turn_back(scene: slicer.vtkMRMLScene, volume_node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Take the transform away again: everything is where it was before."""
    if is_straight(volume_node):
        node = volume_node.GetParentTransformNode()
        _move(scene, node, node.GetNodeReference(BEFORE), volume_node)
        scene.RemoveNode(node)


def _turn(frame: Frame) -> np.ndarray:
    """The matrix (4, 4), RAS, that turns the axes of a frame to those of the scanner about its origin."""
    turn = np.eye(4)
    turn[:3, :3] = frame.axes.T
    turn[:3, 3] = frame.origin - frame.axes.T @ frame.origin
    return LPS_RAS @ turn @ LPS_RAS


def _move(scene, before, after, volume_node) -> None:
    """Put the nodes under one transform (None: the world) under another.

    In the world there may be other patients' scans: from there only the nodes of this scan are moved.
    """
    target = after.GetID() if after is not None else None
    for kind in _MOVED:
        for node in nodes_of(scene, kind):
            if node.GetParentTransformNode() is before and (before is not None or _belongs(node, volume_node)):
                node.SetAndObserveTransformNodeID(target)


def _belongs(node, volume_node) -> bool:
    return node is volume_node or any(
        node.GetNthNodeReferenceID(role, n) == volume_node.GetID()
        for role in _roles(node)
        for n in range(node.GetNumberOfNodeReferences(role))
    )


def _roles(node) -> list[str]:
    roles: list[str] = []
    node.GetNodeReferenceRoles(roles)
    return roles
