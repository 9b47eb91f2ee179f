"""`Pointing`: what a click in the views is for: a tool's point, or to choose a tooth."""

from __future__ import annotations

from functools import partial

from ..application.signals import Signal
from ..mrml.picking import Point, on_click, point_in_slice, point_on_surface
from .component import Host

YELLOW, GREEN, RED, GOLD = (1.0, 0.9, 0.1), (0.1, 0.9, 0.2), (0.95, 0.15, 0.1), (1.0, 0.84, 0.25)


class Clicks:
    """A list of points that clicks make while it is placing (`application.correction_tools.Points`)."""

    def __init__(self, pointing: Pointing, name: str, colour: tuple[float, float, float]):
        self._pointing, self._name, self._colour = pointing, name, colour
        self._node = None
        self.changed = Signal()

    @property
    def placing(self) -> bool:
        return self._pointing.active is self

    def start(self) -> None:
        """From now on clicks into views place points."""
        self._pointing.give(self)

    def stop(self) -> None:
        """Clicks choose teeth again; the points stay."""
        if self.placing:
            self._pointing.active = None

    def clear(self) -> None:
        """Remove all points and stop placing."""
        self.stop()
        if self._node is not None:
            node, self._node = self._node, None
            if node.GetScene() is not None:
                node.GetScene().RemoveNode(node)

    def add(self, place: Point) -> None:
        """A click, RAS mm."""
        from ..mrml import point_list

        if self._node is None or self._node.GetScene() is None:
            self._node = point_list.make(self._pointing.app.case.scene, self._name, self._colour)
            self._node.SetLocked(True)
        self._node.AddControlPoint(*place)
        self.changed.emit()

    def drop_last(self) -> None:
        """Remove the point that was placed last."""
        from ..mrml import point_list

        point_list.drop_last(self._node)
        self.changed.emit()

    def points(self) -> list[Point]:
        """World positions (RAS mm) of the points, in their order."""
        from ..mrml import point_list

        return point_list.points(self._node) if self._node is not None else []


class Pointing:
    """See module.

    Attributes
    ----------
    active : Clicks or None
        Whose points the next clicks are.
    changed : Signal
        Clicks are for something else now.
    """

    def __init__(self, app: Host):
        self.app = app
        self.active: Clicks | None = None
        self.changed = Signal()
        click = app.told(self.click)
        for view in app.views.slices:
            on_click(view.interactor(), partial(point_in_slice, view.get_view_node()), click)
        for view in app.views.threes:
            on_click(view.interactor(), partial(point_on_surface, view.first_renderer()), click)

    def clicks(self, name: str, colour: tuple[float, float, float]) -> Clicks:
        """A list of points of its own."""
        return Clicks(self, name, colour)

    def give(self, clicks: Clicks) -> None:
        """Clicks are for this list now; brushes are put down."""
        self.active = clicks
        self.changed.emit()

    def click(self, place: Point) -> None:
        """A click in a view, RAS mm; without a tool it chooses the tooth that is there."""
        with self.app.server.state:
            if self.active is not None:
                self.active.add(place)
                self.app.views.draw()
            elif not self.app.correcting.data.brush and (fdi := self.app.case.tooth_at(place)):
                self.app.case.select(fdi)
                self.app.look.through(place)
