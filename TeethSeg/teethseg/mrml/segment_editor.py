"""The node of Slicer's Segment Editor that belongs to the module, so that the editor's own module keeps its settings."""

from __future__ import annotations

import slicer


def editor_node(scene: slicer.vtkMRMLScene):
    """The node, made at its first use."""
    kind, tag = "vtkMRMLSegmentEditorNode", "TeethSeg"
    node = scene.GetSingletonNode(tag, kind)
    if node is None:
        node = scene.CreateNodeByClass(kind)
        node.UnRegister(None)
        node.SetSingletonTag(tag)
        node = scene.AddNode(node)
    return node


def limit_to(node, limits: tuple[float, float] | None) -> None:
    """Let Paint and Erase change only voxels between two grey values; None for all voxels."""
    if limits is not None:
        node.SetSourceVolumeIntensityMaskRange(*limits)
    node.SetSourceVolumeIntensityMask(limits is not None)
