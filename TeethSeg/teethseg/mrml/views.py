"""Position of slice and 3D views, through their nodes in the scene; both windows draw by these nodes."""

from __future__ import annotations

from itertools import product
from typing import TypeAlias

import numpy as np
import slicer

from . import content, layers
from .teeth import segment_of
from .volumes import to_numpy

Node: TypeAlias = slicer.vtkMRMLSegmentationNode
Point = tuple[float, float, float]

MARGIN_MM = 6.0  # around the shown teeth
DISTANCE = 1.05  # of the camera, relative to the distance at which the teeth just fit
DIMMED_3D, DIMMED_FILL, DIMMED_OUTLINE = 0.25, 0.3, 0.45  # opacity of the teeth beside the chosen one
_MARKED = "TeethSeg.marked"  # attribute of the segmentation node: the tooth that stands out


def centre(scene: slicer.vtkMRMLScene, ras: Point) -> None:
    """Move all slices through a point (RAS mm), into the middle of them, and turn all cameras towards it."""
    for node in nodes_of(scene, "vtkMRMLSliceNode"):
        node.JumpSliceByCentering(*ras)
    for camera in nodes_of(scene, "vtkMRMLCameraNode"):
        shift = np.subtract(ras, camera.GetFocalPoint())
        camera.SetPosition(*np.add(camera.GetPosition(), shift).tolist())
        camera.SetFocalPoint(*ras)


def pass_through(scene: slicer.vtkMRMLScene, ras: Point) -> None:
    """Move all slices through a point (RAS mm); their zoom and in-plane position stay."""
    for node in nodes_of(scene, "vtkMRMLSliceNode"):
        node.JumpSliceByOffsetting(*ras)


def fit(scene: slicer.vtkMRMLScene, box: np.ndarray, front: bool = True) -> None:
    """Show a box, all of it, in the middle of all slices, and from the front in 3D.

    Parameters
    ----------
    scene : vtkMRMLScene
    box : ndarray, shape (2, 3)
        Lowest and highest corner, RAS mm.
    front : bool
        Whether cameras are moved, too.
    """
    middle = box.mean(axis=0)
    for node in nodes_of(scene, "vtkMRMLSliceNode"):
        _fit_slice(node, box, middle)
    if not front:
        return
    width, depth, height = (box[1] - box[0]).tolist()
    half = DISTANCE * max(width, height) / 2
    for camera in nodes_of(scene, "vtkMRMLCameraNode"):
        away = half / np.tan(np.radians(camera.GetViewAngle()) / 2) + depth / 2
        camera.SetFocalPoint(*middle.tolist())
        camera.SetPosition(middle[0], middle[1] + away, middle[2])
        camera.SetViewUp(0.0, 0.0, 1.0)
        camera.SetParallelScale(half)
        camera.ResetClippingRange()


def crossing(scene: slicer.vtkMRMLScene) -> Point | None:
    """Where three slices in different directions meet, RAS mm; None if they do not."""
    planes = [to_numpy(node.GetSliceToRAS()) for node in nodes_of(scene, "vtkMRMLSliceNode")][:3]
    if len(planes) < 3:
        return None
    normals, origins = (np.array([plane[:3, column] for plane in planes]) for column in (2, 3))
    if abs(np.linalg.det(normals)) < 1e-3:
        return None
    return tuple(np.linalg.solve(normals, (normals * origins).sum(axis=1)).tolist())


def show_crosshair(scene: slicer.vtkMRMLScene, shown: bool) -> None:
    """Draw the crosshair in slices, or do not; where it is moved to with the mouse, the slices follow."""
    kinds = slicer.vtkMRMLCrosshairNode
    for node in nodes_of(scene, "vtkMRMLCrosshairNode"):
        node.SetCrosshairMode(kinds.ShowBasic if shown else kinds.NoCrosshair)
        node.SetCrosshairBehavior(kinds.OffsetJumpSlice)


def move_crosshair(scene: slicer.vtkMRMLScene, ras: Point) -> None:
    """Put the crosshair at a point (RAS mm)."""
    for node in nodes_of(scene, "vtkMRMLCrosshairNode"):
        node.SetCrosshairRAS(*ras)


def show_case(scene: slicer.vtkMRMLScene, volume_node: slicer.vtkMRMLVolumeNode, teeth_node: Node | None) -> None:
    """Show a scan in all slices, and its teeth; hide the teeth of other scans, which do not lie on it."""
    for composite in nodes_of(scene, "vtkMRMLSliceCompositeNode"):
        composite.SetBackgroundVolumeID(volume_node.GetID())
    role = Node.GetReferenceImageGeometryReferenceRole()
    for node in nodes_of(scene, "vtkMRMLSegmentationNode"):
        display = node.GetDisplayNode()
        if display is None:
            continue
        if node is teeth_node:
            display.SetVisibility(True)
        elif node.GetNodeReferenceID(role) not in (None, "", volume_node.GetID()):
            display.SetVisibility(False)


def box_off(scene: slicer.vtkMRMLScene) -> None:
    """Take the box and its letters out of the 3D views: they are as large as the scan, and hide the teeth's size."""
    for node in nodes_of(scene, "vtkMRMLViewNode"):
        node.SetBoxVisible(False)
        node.SetAxisLabelsVisible(False)


def box_of_volume(node: slicer.vtkMRMLVolumeNode) -> np.ndarray | None:
    """The corners (2, 3) of a scan, RAS mm; None without voxels."""
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    return _box(bounds)


def box_of_teeth(node: Node, fdi: int | None = None) -> np.ndarray | None:
    """The corners (2, 3) around all teeth, or around one, with a margin, RAS mm; None if nothing is there."""
    found = []
    segmentation = node.GetSegmentation()
    for image, teeth in content.tooth_layers(node):
        boxes = layers.boxes(image)
        for identity, number in teeth.items():
            box = boxes.get(segmentation.GetSegment(identity).GetLabelValue())
            if box is not None and fdi in (None, number):
                ends = [(side.start - 0.5, side.stop - 0.5) for side in box]
                found.append(to_world(node, layers.place(image, np.array(list(product(*ends))))))
    if not found:
        return None
    points = np.concatenate(found)
    return np.array([points.min(axis=0) - MARGIN_MM, points.max(axis=0) + MARGIN_MM])


def centres_of_teeth(node: Node) -> dict[int, np.ndarray]:
    """The middle of the voxels of each tooth, RAS mm, by FDI number."""
    found = {}
    segmentation = node.GetSegmentation()
    for image, teeth in content.tooth_layers(node):
        boxes = layers.boxes(image)
        for identity, fdi in teeth.items():
            value = segmentation.GetSegment(identity).GetLabelValue()
            if value in boxes:
                found[fdi] = to_world(node, layers.centre_in(image, value, boxes[value])[None])[0]
    return found


def to_world(node: slicer.vtkMRMLTransformableNode, points: np.ndarray) -> np.ndarray:
    """Points (N, 3) of a node, RAS mm, where they are shown."""
    world = [0.0, 0.0, 0.0]
    found = []
    for point in points.tolist():
        node.TransformPointToWorld(point, world)
        found.append(tuple(world))
    return np.array(found).reshape(-1, 3)


def likely_place(node: Node, fdi: int) -> Point | None:
    """About where a tooth that is not there yet is to be looked for: between its neighbours, or opposite; None if unknown.

    For annotating by hand, where the next tooth of the list has no voxels yet.
    """
    there = centres_of_teeth(node)
    quadrant, position = divmod(fdi, 10)
    partner = {1: 2, 2: 1, 3: 4, 4: 3, 5: 6, 6: 5, 7: 8, 8: 7}[quadrant]
    opposite = {1: 4, 2: 3, 3: 2, 4: 1, 5: 8, 6: 7, 7: 6, 8: 5}[quadrant]
    before = 10 * quadrant + position - 1 if position > 1 else 10 * partner + 1
    behind = 10 * quadrant + position + 1
    others = ((before, behind), (before,), (behind,), (10 * opposite + position,), (10 * partner + position,))
    for group in ((fdi,), *others):
        if all(one in there for one in group):
            return tuple(np.mean([there[one] for one in group], axis=0).tolist())
    return None


def mark(node: Node, fdi: int | None) -> None:
    """Have one tooth stand out in slices and 3D, the others dimmed; None shows all alike again."""
    display = node.GetDisplayNode()
    if display is None or (fdi is None and not node.GetAttribute(_MARKED)):
        return
    chosen = segment_of(node, fdi) if fdi is not None else None
    segmentation = node.GetSegmentation()
    before = display.StartModify()
    for n in range(segmentation.GetNumberOfSegments()):
        identity = segmentation.GetNthSegmentID(n)
        bright = chosen is None or identity == chosen
        display.SetSegmentOpacity3D(identity, 1.0 if bright else DIMMED_3D)
        display.SetSegmentOpacity2DFill(identity, 1.0 if bright else DIMMED_FILL)
        display.SetSegmentOpacity2DOutline(identity, 1.0 if bright else DIMMED_OUTLINE)
    display.EndModify(before)
    node.SetAttribute(_MARKED, str(fdi) if chosen is not None else None)


def nodes_of(scene: slicer.vtkMRMLScene, kind: str) -> list:
    """The nodes of a class in a scene."""
    found = scene.GetNodesByClass(kind)
    found.UnRegister(scene)
    return [found.GetItemAsObject(n) for n in range(found.GetNumberOfItems())]


def _fit_slice(node: slicer.vtkMRMLSliceNode, box: np.ndarray, middle: np.ndarray) -> None:
    axes = to_numpy(node.GetSliceToRAS())[:3, :2].T  # to the right and upwards in the view
    corners = np.array(list(product(*box.T)))
    needed = np.ptp(corners @ axes.T, axis=0)
    width, height, _ = node.GetDimensions()
    scale = max(needed[0] / max(width, 1), needed[1] / max(height, 1))
    if scale > 0:
        node.SetFieldOfView(scale * max(width, 1), scale * max(height, 1), node.GetFieldOfView()[2])
    node.JumpSliceByCentering(*middle.tolist())
    node.SetXYZOrigin(0.0, 0.0, 0.0)


def _box(bounds: list[float]) -> np.ndarray | None:
    low, high = np.array(bounds).reshape(3, 2).T
    return np.array([low, high]) if (high >= low).all() else None
