"""Clicks in the views of a window that has no place tool of its own: each goes to the list of points in use.

Slicer's desktop has the place tool of its markups instead.
"""

from __future__ import annotations

from typing import Any

from .correction_tools import Point
from .placed_points import Colour
from .signals import Signal


class ClickedPoints:
    """A list of points that clicks make while it is placing (`correction_tools.Points`)."""

    def __init__(self, receiver: ClickReceiver, name: str, colour: Colour):
        self._receiver, self._name, self._colour = receiver, name, colour
        self._node: Any = None
        self.changed = Signal()

    @property
    def placing(self) -> bool:
        """Whether clicks make points of this list."""
        return self._receiver.active is self

    def start(self) -> None:
        """From now on clicks into views place points."""
        self._receiver.give(self)

    def stop(self) -> None:
        """Clicks choose teeth again; the points stay."""
        if self.placing:
            self._receiver.active = None

    def clear(self) -> None:
        """Remove all points and stop placing."""
        self.stop()
        node, self._node = self._node, None
        if node is not None and node.GetScene() is not None:
            node.GetScene().RemoveNode(node)

    def add(self, point: Point) -> None:
        """Add a point, RAS mm."""
        from ..mrml import point_list

        if self._node is None or self._node.GetScene() is None:
            self._node = point_list.make(self._receiver.scene, self._name, self._colour)
            self._node.SetLocked(True)
        self._node.AddControlPoint(*point)
        self.changed.emit()

    def drop_last(self) -> None:
        """Remove the point that was placed last."""
        from ..mrml import point_list

        if self._node is not None:
            point_list.drop_last(self._node)
            self.changed.emit()

    def points(self) -> list[Point]:
        """World positions (RAS mm) of the points, in their order."""
        from ..mrml import point_list

        return point_list.points(self._node) if self._node is not None else []


class ClickReceiver:
    """Hands clicks on to the list of points in use.

    Attributes
    ----------
    active : ClickedPoints or None
        The list that gets the next clicks.
    changed : Signal
        Another list is in use.
    """

    def __init__(self, scene):
        self.scene = scene
        self.active: ClickedPoints | None = None
        self.changed = Signal()

    def points(self, name: str, colour: Colour) -> ClickedPoints:
        """A list of points of its own, with a name and a colour in the views."""
        return ClickedPoints(self, name, colour)

    def give(self, points: ClickedPoints) -> None:
        """Clicks are for this list now."""
        self.active = points
        self.changed.emit()

    def click(self, point: Point) -> bool:
        """Take a click (RAS mm); returns whether it was for a list of points."""
        if self.active is None:
            return False
        self.active.add(point)
        return True
