"""Slicer's Data module without its window: puts nodes and single segments into the subject hierarchy.

In Slicer two Qt plugins do this: one makes an item for every node that is added, the other (Segmentations) an item for
every segment below that of its segmentation. The second one follows a segmentation by its events alone, and logs an
error for an event that does not fit its state. Its rules are those of qSlicerSubjectHierarchySegmentationsPlugin
(5.13), read in its source: an event without the id of a segment means that any of them may have changed; a new item
takes the place of its segment among the others; an item that is removed takes its segment along.
"""

from __future__ import annotations

import slicer
import vtk

_KINDS = ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLMarkupsNode", "vtkMRMLTransformNode")


class SubjectHierarchy:
    """Follows a scene.

    Attributes
    ----------
    complaints : list of str
        Messages that Slicer would have written into its log.
    """

    def __init__(self, scene: slicer.vtkMRMLScene):
        self._scene = scene
        self._removing = False  # a segment, because of its item
        self._watched: set[str] = set()
        self.complaints: list[str] = []
        scene.AddObserver(scene.NodeAddedEvent, self._on_node_added)
        scene.AddObserver(scene.NodeAboutToBeRemovedEvent, self._on_node_leaves)
        scene.AddObserver(scene.EndImportEvent, self._on_imported)
        self._watch_items()

    def children(self, node: slicer.vtkMRMLSegmentationNode) -> dict[str, str]:
        """Names of the items below that of a segmentation by segment id, in the order in which the Data module shows them."""
        hierarchy = self._hierarchy()
        return {
            _segment_of(hierarchy, item): hierarchy.GetItemName(item)
            for item in _items_below(hierarchy, hierarchy.GetItemByDataNode(node))
        }

    def _hierarchy(self) -> slicer.vtkMRMLSubjectHierarchyNode:
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node_added(self, _scene, _event, node) -> None:
        if node.IsA("vtkMRMLSubjectHierarchyNode"):
            self._watch_items()
        elif not self._scene.IsImporting():
            self._take_in(node)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_node_leaves(self, scene, _event, node) -> None:
        """As Slicer's plugin logic does: the item goes with its node, and does not take anything else along."""
        if scene.IsClosing() or node.IsA("vtkMRMLSubjectHierarchyNode"):
            return
        hierarchy = self._hierarchy()
        item = hierarchy.GetItemByDataNode(node)
        if item:
            self._watched.discard(node.GetID())
            self._removing = True
            hierarchy.RemoveItem(item, False, True)
            self._removing = False

    def _on_imported(self, *_event) -> None:
        nodes = self._scene.GetNodes()
        for node in [nodes.GetItemAsObject(n) for n in range(nodes.GetNumberOfItems())]:
            self._take_in(node)

    def _take_in(self, node) -> None:
        if not any(node.IsA(kind) for kind in _KINDS) or node.GetHideFromEditors():
            return
        hierarchy = self._hierarchy()
        fresh = not hierarchy.GetItemByDataNode(node)
        if fresh:
            hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
        if not node.IsA("vtkMRMLSegmentationNode"):
            return
        hierarchy.SetItemOwnerPluginName(hierarchy.GetItemByDataNode(node), "Segmentations")
        if node.GetID() not in self._watched:
            self._watched.add(node.GetID())
            kinds = slicer.vtkSegmentation
            node.AddObserver(kinds.SegmentAdded, self._on_added)
            node.AddObserver(kinds.SegmentRemoved, self._on_removed)
            node.AddObserver(kinds.SegmentModified, self._on_modified)
        if fresh:
            self._update(node)

    def _watch_items(self) -> None:
        hierarchy = self._hierarchy()
        hierarchy.AddObserver(hierarchy.SubjectHierarchyItemAboutToBeRemovedEvent, self._on_item_leaves)

    @vtk.calldata_type(vtk.VTK_STRING)
    def _on_added(self, node, _event, identity: str | None = None) -> None:
        if identity is None:
            self._update(node)
        elif not self._scene.IsImporting():
            self._add(node, identity)

    @vtk.calldata_type(vtk.VTK_STRING)
    def _on_removed(self, node, _event, identity: str | None = None) -> None:
        if identity is None:
            self._update(node)
        elif not self._removing:
            self._remove(node, identity)

    @vtk.calldata_type(vtk.VTK_STRING)
    def _on_modified(self, node, _event, identity: str | None = None) -> None:
        if identity is None:
            self._update(node)
        elif not self._scene.IsImporting():
            self._modify(node, identity)

    @vtk.calldata_type(vtk.VTK_LONG)
    def _on_item_leaves(self, hierarchy, _event, item: int) -> None:
        identity = _segment_of(hierarchy, item)
        node = hierarchy.GetItemDataNode(hierarchy.GetItemParent(item)) if identity else None
        if (
            node is not None
            and not self._removing
            and not self._scene.IsClosing()
            and node.GetSegmentation().GetSegment(identity)
        ):
            self._removing = True
            node.GetSegmentation().RemoveSegment(identity)
            self._removing = False

    def _update(self, node) -> None:
        """Items without a segment are removed, items with one are renamed, missing items are added."""
        hierarchy, segmentation = self._hierarchy(), node.GetSegmentation()
        parent = hierarchy.GetItemByDataNode(node)
        known = [_segment_of(hierarchy, item) for item in _items_below(hierarchy, parent)]
        for identity in known:
            if segmentation.GetSegment(identity):
                self._modify(node, identity)
            else:
                self._remove(node, identity)
        for identity in segmentation.GetSegmentIDs():
            if identity not in known:
                self._add(node, identity)

    def _add(self, node, identity: str) -> None:
        hierarchy, segmentation = self._hierarchy(), node.GetSegmentation()
        parent, segment = hierarchy.GetItemByDataNode(node), segmentation.GetSegment(identity)
        if not parent:
            self.complaints.append(f"added: no item for segmentation node {node.GetName()}")
        elif segment is None:
            self.complaints.append(f"added: no segment with id {identity}")
        elif self._item(node, identity) is None:
            level = slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyVirtualBranchAttributeName()
            place = segmentation.GetSegmentIndex(identity)
            item = hierarchy.CreateHierarchyItem(parent, segment.GetName() or "", level, place)
            hierarchy.SetItemAttribute(item, node.GetSegmentIDAttributeName(), identity)

    def _remove(self, node, identity: str) -> None:
        item = self._item(node, identity)
        if item is None:
            self.complaints.append(
                f"removed: unable to find subject hierarchy item for segment {identity} in segmentation {node.GetName()}"
            )
        else:
            self._hierarchy().RemoveItem(item)

    def _modify(self, node, identity: str) -> None:
        item, segment = self._item(node, identity), node.GetSegmentation().GetSegment(identity)
        if segment is None:
            self.complaints.append(f"modified: no segment with id {identity}")
        elif item is not None and self._hierarchy().GetItemName(item) != segment.GetName():
            self._hierarchy().SetItemName(item, segment.GetName())

    def _item(self, node, identity: str) -> int | None:
        hierarchy = self._hierarchy()
        items = _items_below(hierarchy, hierarchy.GetItemByDataNode(node))
        return next((item for item in items if _segment_of(hierarchy, item) == identity), None)


def _items_below(hierarchy, parent: int) -> list[int]:
    items = vtk.vtkIdList()
    hierarchy.GetItemChildren(parent, items)
    return [items.GetId(n) for n in range(items.GetNumberOfIds())]


def _segment_of(hierarchy, item: int) -> str:
    return hierarchy.GetItemAttribute(item, slicer.vtkMRMLSegmentationNode.GetSegmentIDAttributeName())
