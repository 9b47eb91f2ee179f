"""Numbers beside the teeth: in each slice at the teeth that it cuts, and in 3D round the arches.

Slicer's own labels of segments stand in corners. These are points of markups that show nothing but their label: a list for
every slice view, in its plane, and one for all 3D views. They are neither saved nor listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TypeAlias

import numpy as np
import slicer

from . import content, layers
from .placing import place_tool_kept
from .segments import teeth_of
from .views import centres_of_teeth, nodes_of, to_world
from .volumes import to_numpy

Node: TypeAlias = slicer.vtkMRMLSegmentationNode

STEP_MM = 0.7  # between the points of a slice that are looked at
OUTSIDE_MM = 9.0  # from the middle of a tooth, towards lips and cheeks
TEXT_SCALE = 3.0
_KIND = "vtkMRMLMarkupsFiducialNode"
_VIEW = "TeethSeg.numbers"  # attribute of the lists: the views that they belong to
_ALL_3D = "3D"


def show_in_slice(slice_node: slicer.vtkMRMLSliceNode, node: Node | None, texts: Mapping[int, str]) -> None:
    """Write numbers at the teeth that a slice cuts.

    Parameters
    ----------
    slice_node : vtkMRMLSliceNode
    node : vtkMRMLSegmentationNode or None
        The teeth; None takes the numbers away.
    texts : mapping of int to str
        Text by FDI number; a tooth without is left out.
    """
    places = _in_slice(slice_node, node) if node is not None else {}
    _write(
        slice_node.GetScene(),
        slice_node.GetID(),
        [slice_node],
        {fdi: at for fdi, at in places.items() if fdi in texts},
        texts,
    )


def show_in_3d(scene: slicer.vtkMRMLScene, node: Node | None, texts: Mapping[int, str]) -> None:
    """Write numbers outside of the arches, at the height of the teeth; parameters as `show_in_slice`."""
    places: dict[int, np.ndarray] = {}
    if node is not None:
        shown = set(_visible(node)) & set(texts)
        centres = {fdi: centre for fdi, centre in centres_of_teeth(node).items() if fdi in shown}
        if centres:
            points = np.array(list(centres.values()))
            middle = (points.min(axis=0) + points.max(axis=0)) / 2
            for fdi, centre in centres.items():
                away = (centre - middle) * [1.0, 1.0, 0.0]
                places[fdi] = centre + OUTSIDE_MM * away / max(float(np.linalg.norm(away)), 1e-6)
    _write(scene, _ALL_3D, nodes_of(scene, "vtkMRMLViewNode"), places, texts)


def remove(scene: slicer.vtkMRMLScene) -> None:
    """Take all numbers away."""
    for one in _lists(scene):
        scene.RemoveNode(one)


def _visible(node: Node) -> list[int]:
    display = node.GetDisplayNode()
    return [
        fdi
        for identity, fdi in teeth_of(node.GetSegmentation()).items()
        if display is None or (display.GetVisibility() and display.GetSegmentVisibility(identity))
    ]


def _in_slice(slice_node: slicer.vtkMRMLSliceNode, node: Node) -> dict[int, np.ndarray]:
    """For each visible tooth that a slice cuts, the point of it (RAS mm) nearest to the middle of the cut."""
    plane = to_numpy(slice_node.GetSliceToRAS())
    inverse = _from_world(node)
    segmentation, shown = node.GetSegmentation(), set(_visible(node))
    result: dict[int, np.ndarray] = {}
    for image, teeth in content.tooth_layers(node):
        array = layers.view(image)
        if not array.size:
            continue
        ends = np.array(list(product(*((0, size - 1) for size in array.shape))))
        corners = (to_world(node, layers.place(image, ends)) - plane[:3, 3]) @ plane[:3, :3]
        if corners[:, 2].min() > 0 or corners[:, 2].max() < 0:
            continue
        x, y = (np.arange(corners[:, axis].min(), corners[:, axis].max(), STEP_MM) for axis in (0, 1))
        points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2) @ plane[:3, :2].T + plane[:3, 3]
        index = layers.index(image, points @ inverse[:3, :3].T + inverse[:3, 3])
        inside = ((index >= 0) & (index < array.shape)).all(axis=1)
        points, values = points[inside], array[tuple(index[inside].T)]
        for identity, fdi in teeth.items():
            here = points[values == segmentation.GetSegment(identity).GetLabelValue()]
            if len(here) and fdi in shown:
                result[fdi] = here[((here - here.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return result


def _from_world(node: slicer.vtkMRMLTransformableNode) -> np.ndarray:
    """The matrix (4, 4) from the world to a node's own RAS; that of the nearest linear transform if it is bent."""
    own = to_world(node, np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = (own[1:] - own[0]).T, own[0]
    return np.linalg.inv(matrix)


def _lists(scene: slicer.vtkMRMLScene) -> list:
    return [one for one in nodes_of(scene, _KIND) if one.GetAttribute(_VIEW)]


def _write(scene, view: str, view_nodes: list, places: Mapping[int, np.ndarray], texts: Mapping[int, str]) -> None:
    """Give the list of a view these points, and make it if there is none and something to write."""
    markups = next((one for one in _lists(scene) if one.GetAttribute(_VIEW) == view), None)
    if markups is None:
        if not places:
            return
        with place_tool_kept(scene):
            markups = _new_list(scene, view, view_nodes)
    before = markups.StartModify()
    order = sorted(places)
    while markups.GetNumberOfControlPoints() > len(order):
        markups.RemoveNthControlPoint(markups.GetNumberOfControlPoints() - 1)
    for n, fdi in enumerate(order):
        if n == markups.GetNumberOfControlPoints():
            markups.AddControlPoint(*places[fdi].tolist())
        else:
            markups.SetNthControlPointPosition(n, *places[fdi].tolist())
        if markups.GetNthControlPointLabel(n) != texts[fdi]:
            markups.SetNthControlPointLabel(n, texts[fdi])
    markups.EndModify(before)


def _new_list(scene, view: str, view_nodes: list):
    markups = scene.CreateNodeByClass(_KIND)
    markups.UnRegister(None)
    markups.SetName("Tooth numbers")
    markups.SetAttribute(_VIEW, view)
    markups.SetSaveWithScene(False)
    markups.SetHideFromEditors(True)  # before it is added: the Data module lists what it sees then
    markups.SetLocked(True)
    markups = scene.AddNode(markups)
    markups.CreateDefaultDisplayNodes()
    display = markups.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetViewNodeIDs([one.GetID() for one in view_nodes])
    display.SetGlyphScale(0.01)
    display.SetTextScale(TEXT_SCALE)
    display.SetSelectedColor(1.0, 1.0, 1.0)
    display.SetColor(1.0, 1.0, 1.0)
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(True)
    display.SetOccludedVisibility(True)
    return markups
