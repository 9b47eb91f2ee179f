"""The subject hierarchy: where Slicer's Data module shows a segmentation and, below it, its segments."""

from __future__ import annotations

from typing import TypeAlias

import slicer
from vtkmodules.vtkCommonCore import vtkIdList

Node: TypeAlias = slicer.vtkMRMLSegmentationNode


def put_beside(scene: slicer.vtkMRMLScene, node: Node, volume_node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Place a segmentation under the same parent as its scan.

    Slicer itself makes items for nodes; without its window there may be none yet.
    """
    hierarchy = _hierarchy(scene)
    if hierarchy is None:
        return
    root = hierarchy.GetSceneItemID()
    beside = hierarchy.GetItemByDataNode(volume_node) or hierarchy.CreateItem(root, volume_node)
    item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(root, node)
    parent = hierarchy.GetItemParent(beside)
    if hierarchy.GetItemParent(item) != parent:
        hierarchy.SetItemParent(item, parent)


def follow(node: Node) -> None:
    """Have the items of the segments follow a segmentation that was exchanged as a whole, which Slicer is not told.

    Slicer knows of segments by the events that single changes send. One event without the id of a segment makes it compare
    all of them, at a fraction of the time that an event for each takes.
    """
    hierarchy = _hierarchy(node.GetScene())
    if hierarchy is None or not hierarchy.GetItemByDataNode(node):
        return
    node.InvokeEvent(slicer.vtkSegmentation.SegmentAdded)
    _sort(hierarchy, node)


def _sort(hierarchy: slicer.vtkMRMLSubjectHierarchyNode, node: Node) -> None:
    """Give the items the order of the segments."""
    parent, items = hierarchy.GetItemByDataNode(node), vtkIdList()
    hierarchy.GetItemChildren(parent, items)
    found = [items.GetId(n) for n in range(items.GetNumberOfIds())]
    segmentation, name = node.GetSegmentation(), node.GetSegmentIDAttributeName()
    places = {item: segmentation.GetSegmentIndex(hierarchy.GetItemAttribute(item, name)) for item in found}
    ordered = sorted(found, key=lambda item: places[item])
    if ordered != found and hasattr(hierarchy, "ReorderItemChildren"):  # which older versions lack
        wanted = vtkIdList()
        for item in ordered:
            wanted.InsertNextId(item)
        hierarchy.ReorderItemChildren(parent, wanted)


def _hierarchy(scene: slicer.vtkMRMLScene | None) -> slicer.vtkMRMLSubjectHierarchyNode | None:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene) if scene is not None else None
