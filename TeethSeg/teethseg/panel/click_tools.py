"""Points that the user places in the slice and 3D views, as a markups node of the scene."""

from __future__ import annotations

from collections.abc import Callable

import slicer

from ..application.signals import Signal


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
        from ..mrml import point_list

        if self._node is not None:
            point_list.drop_last(self._node)

    def points(self) -> list[tuple[float, float, float]]:
        """World positions (RAS mm) of the points that are placed, in their order."""
        from ..mrml import point_list

        return point_list.points(self._node) if self._node is not None else []

    @property
    def node(self):
        """The markups node while there is one."""
        return self._node

    def _make(self) -> None:
        from ..mrml import point_list

        self._node = point_list.make(self._scene, self._name, self._colour, self._kind)
        kinds = slicer.vtkMRMLMarkupsNode
        for event in (kinds.PointPositionDefinedEvent, kinds.PointRemovedEvent, kinds.PointEndInteractionEvent):
            self._observers.append(self._node.AddObserver(event, self._tell))


def _selection():
    return slicer.app.applicationLogic().GetSelectionNode()


def _interaction():
    return slicer.app.applicationLogic().GetInteractionNode()
