"""Points that a user places, as a markups node of the scene that is neither saved nor listed."""

from __future__ import annotations

import math

import slicer

Point = tuple[float, float, float]

FIDUCIALS, CURVE = "vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsCurveNode"
STROKE_STEP = 1.0  # mm between the points taken from a curve


def make(scene: slicer.vtkMRMLScene, name: str, colour: tuple[float, float, float], kind: str = FIDUCIALS):
    """An empty list of points of a class of markups."""
    node = scene.CreateNodeByClass(kind)
    node.UnRegister(None)
    node.SetName(name)
    node.SetSaveWithScene(False)
    node.SetHideFromEditors(True)  # before it is added: the Data module lists what it sees then
    node = scene.AddNode(node)
    node.SetControlPointLabelFormat("")
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    if display is not None:
        display.SetSelectedColor(*colour)
        display.SetActiveColor(*colour)
        display.SetGlyphScale(1.5)
        display.SetPropertiesLabelVisibility(False)  # the name of a stroke would cover the tooth
    return node


def points(node) -> list[Point]:
    """World positions (RAS mm) of the points that are placed, in their order; of a curve, about one each millimetre."""
    if isinstance(node, slicer.vtkMRMLMarkupsCurveNode):
        return _along(node)
    result = []
    for n in _placed(node):
        position = [0.0, 0.0, 0.0]
        node.GetNthControlPointPositionWorld(n, position)
        result.append((position[0], position[1], position[2]))
    return result


def drop_last(node) -> None:
    """Remove the point that was placed last."""
    placed = _placed(node)
    if placed:
        node.RemoveNthControlPoint(placed[-1])


def _placed(node) -> list[int]:
    count = node.GetNumberOfControlPoints()
    return [n for n in range(count) if node.GetNthControlPointPositionStatus(n) == node.PositionDefined]


def _along(curve) -> list[Point]:
    """Points on a curve, its ends among them."""
    line = curve.GetCurvePointsWorld()
    if line is None or not line.GetNumberOfPoints():
        return []
    places = [line.GetPoint(n) for n in range(line.GetNumberOfPoints())]
    chosen = [places[0]]
    for place in places[1:]:
        if math.dist(place, chosen[-1]) >= STROKE_STEP:
            chosen.append(place)
    return chosen if chosen[-1] == places[-1] else [*chosen, places[-1]]
