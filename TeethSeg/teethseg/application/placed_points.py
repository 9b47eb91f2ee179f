"""Points that Slicer's place tool puts into slice and 3D views on the desktop, as a markups node of the scene."""

from __future__ import annotations

from typing import Any

from ..mrml.point_list import CURVE, FIDUCIALS
from .compute import Later
from .correction_tools import Point
from .signals import Signal

__all__ = ["CURVE", "FIDUCIALS", "GOLD", "GREEN", "RED", "YELLOW", "Colour", "PlacedPoints"]

Colour = tuple[float, float, float]
YELLOW, GREEN, RED, GOLD = (1.0, 0.9, 0.1), (0.1, 0.9, 0.2), (0.95, 0.15, 0.1), (1.0, 0.84, 0.25)


class PlacedPoints:
    """A list of points; placing them can be switched on and off (`correction_tools.Points`).

    Parameters
    ----------
    scene : vtkMRMLScene
    name : str
        Name of the points in the views.
    colour : (float, float, float)
    later : callable
        Makes a function that calls a handler once the events of the scene are over.
    kind : str
        Class of the markups node: single points, or a curve for a stroke.

    Attributes
    ----------
    changed : Signal
        A point was placed, moved or removed.
    node : vtkMRMLMarkupsNode or None
        The markups node while there is one.
    """

    def __init__(self, scene, name: str, colour: Colour, later: Later, kind: str = FIDUCIALS):
        from ..mrml.observers import Observers

        self._scene, self._name, self._colour, self._kind = scene, name, colour, kind
        self._of_points, self._of_mode = Observers(), Observers()
        self._found: tuple = (("", None), 0)  # the place tool's settings before, and its persistence
        self.node: Any = None
        self.placing = False
        self.changed = Signal()
        self._tell = later(self.changed.emit)

    def start(self) -> None:
        """From now on each click into a view places a point."""
        if self.placing:
            return
        from ..mrml.placing import settings

        selection, interaction = self._selection(), self._interaction()
        self._found = (settings(selection), interaction.GetPlaceModePersistence())
        if self.node is None:
            self._make()
        selection.SetReferenceActivePlaceNodeClassName(self._kind)
        selection.SetActivePlaceNodeID(self.node.GetID())
        # A curve ends with a right click, and a second one would be another node.
        interaction.SetPlaceModePersistence(0 if self._kind == CURVE else 1)
        interaction.SetCurrentInteractionMode(interaction.Place)
        self.placing = True
        self._of_mode.add(interaction, interaction.InteractionModeChangedEvent, self._on_mode)

    def stop(self) -> None:
        """Clicks move the views again."""
        if self.placing:
            self._not_placing()
            interaction = self._interaction()
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)

    def clear(self) -> None:
        """Remove all points and stop placing."""
        self.stop()
        self._of_points.clear()
        node, self.node = self.node, None
        if node is not None and node.GetScene() is not None:
            self._scene.RemoveNode(node)

    def drop_last(self) -> None:
        """Remove the point that was placed last."""
        from ..mrml import point_list

        if self.node is not None:
            point_list.drop_last(self.node)

    def points(self) -> list[Point]:
        """World positions (RAS mm) of the points that are placed, in their order."""
        from ..mrml import point_list

        return point_list.points(self.node) if self.node is not None else []

    def _on_mode(self, interaction, _event) -> None:
        """The user has ended placing in another way: a right click, Escape, Slicer's own buttons."""
        if self.placing and interaction.GetCurrentInteractionMode() != interaction.Place:
            self._not_placing()
            self.changed.emit()

    def _not_placing(self) -> None:
        """Clicks place nothing any more; Slicer's own place tool is as it was found."""
        from ..mrml.placing import restore

        self.placing = False
        self._of_mode.clear()
        tool, persistence = self._found
        restore(self._selection(), tool)
        self._interaction().SetPlaceModePersistence(persistence)

    def _make(self) -> None:
        from ..mrml import point_list

        self.node = node = point_list.make(self._scene, self._name, self._colour, self._kind)
        for event in (node.PointPositionDefinedEvent, node.PointRemovedEvent, node.PointEndInteractionEvent):
            self._of_points.add(node, event, self._tell)

    def _selection(self):
        return self._scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")

    def _interaction(self):
        return self._scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
