"""Slice and 3D views, through their nodes in the scene."""

from __future__ import annotations


def centre(scene, ras) -> None:
    """Move all slices through a point (RAS mm) and turn all cameras towards it, from where they are."""
    for node in _nodes(scene, "vtkMRMLSliceNode"):
        node.JumpSliceByCentering(*ras)
    for camera in _nodes(scene, "vtkMRMLCameraNode"):
        shift = [new - old for new, old in zip(ras, camera.GetFocalPoint(), strict=True)]
        camera.SetPosition(*(old + by for old, by in zip(camera.GetPosition(), shift, strict=True)))
        camera.SetFocalPoint(*ras)


def _nodes(scene, kind: str) -> list:
    nodes = scene.GetNodesByClass(kind)
    nodes.UnRegister(scene)
    return [nodes.GetItemAsObject(n) for n in range(nodes.GetNumberOfItems())]
