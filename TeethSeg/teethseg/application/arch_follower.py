"""`ArchFollower`: panorama and sections follow the case: its teeth, the chosen one, where the slices meet, and the buttons."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..mrml.observers import Observers
from ..volume import Volume
from . import arch_options
from .arch_viewer import ArchViewer
from .case import Case
from .compute import Later
from .correction_tools import Points

if TYPE_CHECKING:
    from ..mrml.arch_nodes import Kind


class ArchFollower:
    """See module. Either the window calls it when it has time to draw, or it follows by itself after `watch`.

    Parameters
    ----------
    case : Case
    viewer : ArchViewer
    points : Points
        Clicks along an arch, where the teeth do not tell it.
    """

    def __init__(self, case: Case, viewer: ArchViewer, points: Points):
        self._case, self._viewer, self._points = case, viewer, points
        self._straight = False  # whether the head was straightened when the scan was laid along the arches
        self._observers = Observers()
        self._on_slices: Callable | None = None  # while it follows by itself
        self._on_curves: Callable | None = None

    def watch(self, later: Later, shown: Callable[[], bool], rarely: Later | None = None) -> None:
        """Follow teeth, choice, slices and dragged curves from now on, while the pictures are shown.

        Parameters
        ----------
        later : callable
            Makes a function that has a handler called once, when the events of the scene are over.
        shown : callable
            Tells whether the pictures can be seen.
        rarely : callable, optional
            As `later`, for changes of teeth, whose outlines take longer; `later` unless given.
        """

        def if_shown(handler: Callable[[], object]) -> Callable[[], None]:
            def call() -> None:
                if shown():
                    handler()

            return call

        self._on_slices = later(if_shown(self.slices))
        self._on_curves = later(self._viewer.curve_dragged)
        self._case.changed.connect((rarely or later)(if_shown(self.teeth)))
        self._case.selected_changed.connect(if_shown(self.chosen))
        self._viewer.changed.connect(
            if_shown(self.chosen)
        )  # of a scan that was laid along the arches in the background

    def open(self) -> None:
        """Lay the case's scan along the arches.

        Raises
        ------
        TeethSegError
            If the scan cannot be used.
        """
        case = self._case
        self._straight = case.straight
        if case.volume_node is None:
            self._viewer.close()
        else:
            self._viewer.open(case.scan(), self._labels(), case.volume_node)
        self._observe()
        self.chosen()

    def close(self) -> None:
        """Forget the scan and the clicks."""
        self._observers.clear()
        self._points.clear()
        self._viewer.close()

    @property
    def pressed(self) -> str:
        """The button that waits for clicks (`arch_options.actions`); empty for none."""
        return "points" if self._points.placing else self._viewer.measuring

    def act(self, key: str) -> None:
        """Press a button; one that waits for clicks waits no longer when it is pressed again."""
        viewer = self._viewer
        measures: dict[str, Kind] = {"distance": "distance", "angle": "angle"}
        if kind := measures.get(key):
            viewer.measure("" if viewer.measuring == kind else kind)
        else:
            {"clear": viewer.clear_measures, "follow": viewer.follow_teeth, "points": self._click_points}[key]()
            self._observe()  # there may be other curves now

    def _click_points(self) -> None:
        points, viewer = self._points, self._viewer
        if not points.placing:
            points.clear()
            points.start()
            viewer.message.emit(arch_options.points_hint(), "info")
        else:
            places = points.points()
            points.clear()
            viewer.message.emit("", "info")
            viewer.draw_arch(places)
        viewer.changed.emit()

    def teeth(self) -> bool:
        """Outline the teeth as they are now; returns whether the scan had to be laid along the arches anew."""
        case, viewer = self._case, self._viewer
        moved = self._straight != case.straight  # the patient has another position now
        anew = viewer.scan_node is not case.volume_node or not viewer.ready or moved
        if anew:
            self.open()
        else:
            viewer.teeth_changed(self._labels())
        return anew

    def chosen(self) -> None:
        """Let the chosen tooth stand out."""
        fdi = self._case.selected
        if self._viewer.ready and fdi != self._viewer.chosen:
            self._viewer.choose(fdi, self._case.centre(fdi) if fdi is not None else None)

    def slices(self) -> None:
        """Mark the point where the slices meet."""
        from ..mrml.views import crossing

        place = crossing(self._case.scene)
        if place is not None and self._viewer.ready:
            self._viewer.slices_at(place)

    def _observe(self) -> None:
        """Observe the slices, and the curves, which can be dragged in Slicer's own views."""
        from ..mrml.arch_nodes import curves_of
        from ..mrml.views import nodes_of

        self._observers.clear()
        if self._on_slices is None or self._on_curves is None or self._case.volume_node is None:
            return
        for node in nodes_of(self._case.scene, "vtkMRMLSliceNode"):
            self._observers.add(node, "ModifiedEvent", self._on_slices)
        for node in curves_of(self._case.scene, self._case.volume_node):
            self._observers.add(node, node.PointEndInteractionEvent, self._on_curves)

    def _labels(self) -> Volume | None:
        case = self._case
        return case.scan().with_array(case.labels()) if case.teeth_node is not None and case.present() else None
