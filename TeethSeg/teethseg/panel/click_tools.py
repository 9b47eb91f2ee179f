"""Points that the user places in the slice and 3D views, as a markups node of the scene."""

from __future__ import annotations

import math
from collections.abc import Callable

import slicer

from ..application.signals import Signal

STROKE_STEP = 1.0  # mm between the points taken from a stroke


class Clicks:
    """A list of points; placing them can be switched on and off.

    Parameters
    ----------
    scene : vtkMRMLScene
    name : str
        What the points are called in the views.
    colour : (float, float, float)
    later : callable
        Makes a function that calls a handler once the events of the scene are over (`Context.later`).
    kind : str
        Class of the markups node: single points, or a curve for a stroke.

    Attributes
    ----------
    changed : Signal
        A point was placed, moved or removed.
    """

    def __init__(self, scene, name: str, colour, later: Callable, kind: str = "vtkMRMLMarkupsFiducialNode"):
        self._scene, self._name, self._colour, self._kind = scene, name, colour, kind
        self._node = None
        self._observers: list[int] = []
        self._watched = self._watch = None  # interaction node and observer while placing
        self._found: tuple = (("", None), 0)  # what the place tool was set to before, and its persistence
        self.placing = False
        self.changed = Signal()
        self._tell = later(self.changed.emit)

    def start(self) -> None:
        """From now on each click into a view places a point."""
        if self.placing:
            return
        from ..mrml.placing import settings

        selection, interaction = _selection(), _interaction()
        self._found = (settings(selection), interaction.GetPlaceModePersistence())
        if self._node is None:
            self._make()
        selection.SetReferenceActivePlaceNodeClassName(self._kind)
        selection.SetActivePlaceNodeID(self._node.GetID())
        # A curve ends with a right click, and a second one would be another node.
        interaction.SetPlaceModePersistence(0 if self._node.IsA("vtkMRMLMarkupsCurveNode") else 1)
        interaction.SetCurrentInteractionMode(interaction.Place)
        self.placing = True
        self._watched = interaction
        self._watch = interaction.AddObserver(interaction.InteractionModeChangedEvent, self._on_mode)

    def stop(self) -> None:
        """Clicks move the views again."""
        if self.placing:
            self._not_placing()
            interaction = _interaction()
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)

    def _on_mode(self, interaction, _event) -> None:
        """The user has ended placing in another way: a right click, Escape, Slicer's own buttons."""
        if self.placing and interaction.GetCurrentInteractionMode() != interaction.Place:
            self._not_placing()
            self.changed.emit()

    def _not_placing(self) -> None:
        """Clicks place nothing any more; Slicer's own place tool is as it was found."""
        self.placing = False
        self._watched.RemoveObserver(self._watch)
        from ..mrml.placing import restore

        tool, persistence = self._found
        restore(_selection(), tool)
        _interaction().SetPlaceModePersistence(persistence)

    def clear(self) -> None:
        """Remove all points and stop placing."""
        self.stop()
        if self._node is not None:
            node, self._node = self._node, None
            for tag in self._observers:
                node.RemoveObserver(tag)
            self._observers = []
            if node.GetScene() is not None:
                self._scene.RemoveNode(node)

    def drop_last(self) -> None:
        """Remove the point that was placed last."""
        count = self._node.GetNumberOfControlPoints() if self._node is not None else 0
        placed = [
            n for n in range(count) if self._node.GetNthControlPointPositionStatus(n) == self._node.PositionDefined
        ]
        if placed:
            self._node.RemoveNthControlPoint(placed[-1])

    def points(self) -> list[tuple[float, float, float]]:
        """World positions (RAS mm) of the points that are placed, in their order."""
        if self._node is None:
            return []
        if isinstance(self._node, slicer.vtkMRMLMarkupsCurveNode):
            return _along(self._node)
        result = []
        for n in range(self._node.GetNumberOfControlPoints()):
            if self._node.GetNthControlPointPositionStatus(n) == self._node.PositionDefined:
                position = [0.0, 0.0, 0.0]
                self._node.GetNthControlPointPositionWorld(n, position)
                result.append(tuple(position))
        return result

    @property
    def node(self):
        """The markups node while there is one."""
        return self._node

    def _make(self) -> None:
        node = self._scene.CreateNodeByClass(self._kind)
        node.UnRegister(None)
        node.SetName(self._name)
        node.SetSaveWithScene(False)
        node.SetHideFromEditors(True)  # before it is added: the Data module lists what it sees then
        self._node = self._scene.AddNode(node)
        self._node.SetControlPointLabelFormat("")
        self._node.CreateDefaultDisplayNodes()
        display = self._node.GetDisplayNode()
        if display is not None:
            display.SetSelectedColor(*self._colour)
            display.SetActiveColor(*self._colour)
            display.SetGlyphScale(1.5)
            display.SetPropertiesLabelVisibility(False)  # the name of a stroke would cover the tooth
        kinds = slicer.vtkMRMLMarkupsNode
        for event in (kinds.PointPositionDefinedEvent, kinds.PointRemovedEvent, kinds.PointEndInteractionEvent):
            self._observers.append(self._node.AddObserver(event, self._tell))


def _along(curve) -> list[tuple[float, float, float]]:
    """Points on a curve, about a millimetre apart, its ends among them."""
    points = curve.GetCurvePointsWorld()
    if points is None or not points.GetNumberOfPoints():
        return []
    places = [points.GetPoint(n) for n in range(points.GetNumberOfPoints())]
    chosen = [places[0]]
    for place in places[1:]:
        if math.dist(place, chosen[-1]) >= STROKE_STEP:
            chosen.append(place)
    return chosen if chosen[-1] == places[-1] else [*chosen, places[-1]]


def _selection():
    return slicer.app.applicationLogic().GetSelectionNode()


def _interaction():
    return slicer.app.applicationLogic().GetInteractionNode()
