"""`ViewNavigation` moves the views: to the teeth after a run, to the chosen tooth, and back to the whole scan."""

from __future__ import annotations

import time

from .case import Case
from .review_queue import ReviewQueue
from .signals import Signal

TWICE_S = 0.5  # two clicks on one tooth within that time are a double click


class ViewNavigation:
    """See module.

    Parameters
    ----------
    case : Case
        Whose chosen tooth is marked whenever it changes.
    review : ReviewQueue
        Whose first question is shown after a run.

    Attributes
    ----------
    moved : Signal
        The views have moved: to a point (RAS mm), or None if to more than a point.
    """

    def __init__(self, case: Case, review: ReviewQueue):
        self._case, self._review = case, review
        self._had_scan = False
        self._clicked: tuple[int | None, float] = (None, 0.0)
        self.moved = Signal()
        case.selected_changed.connect(self._mark)
        case.changed.connect(self._mark)
        case.found.connect(self._on_found)
        case.scan_changed.connect(self._on_scan)
        review.tooth_chosen.connect(self.at_tooth)

    def at_teeth(self) -> None:
        """Show all teeth in the middle of all views, as large as fits; in 3D from the front."""
        from ..mrml import views

        node = self._case.teeth_node
        box = views.box_of_teeth(node) if node is not None else None
        if box is not None:
            views.fit(self._case.scene, box)
            views.box_off(self._case.scene)
            self.moved.emit(None)

    def at_tooth(self, fdi: int | None) -> None:
        """Move one tooth, or its likely place, into the middle of all views; the zoom stays."""
        from ..mrml import views

        place = self.place(fdi)
        if place is not None:
            views.centre(self._case.scene, place)
            self.moved.emit(place)

    def place(self, fdi: int | None) -> tuple[float, float, float] | None:
        """The middle of a tooth, RAS mm; about where it should be, if it is not there; None if that is unknown."""
        from ..mrml import views

        node = self._case.teeth_node
        return views.likely_place(node, fdi) if node is not None and fdi is not None else None

    def through_tooth(self, fdi: int) -> None:
        """Move all slices through a tooth; their centres and zoom stay."""
        place = self._case.centre(fdi)
        if place is not None:
            self.through(place)

    def through(self, place: tuple[float, float, float]) -> None:
        """Move all slices through a point (RAS mm)."""
        from ..mrml import views

        views.pass_through(self._case.scene, place)
        self.moved.emit(place)

    def close_to(self, fdi: int) -> None:
        """Show one tooth as large as fits."""
        from ..mrml import views

        node = self._case.teeth_node
        box = views.box_of_teeth(node, fdi) if node is not None else None
        if box is not None:
            views.fit(self._case.scene, box, front=False)
            middle = tuple(box.mean(axis=0).tolist())
            views.centre(self._case.scene, middle)
            self.moved.emit(middle)

    def at_scan(self) -> None:
        """Show the whole scan in all slices; in 3D all teeth, or the scan if there are none."""
        from ..mrml import views

        case = self._case
        box = views.box_of_volume(case.volume_node) if case.volume_node is not None else None
        if box is None:
            return
        teeth = views.box_of_teeth(case.teeth_node) if case.teeth_node is not None else None
        views.fit(case.scene, box if teeth is None else teeth)
        views.fit(case.scene, box, front=False)
        self.moved.emit(None)

    def choose(self, fdi: int) -> None:
        """Choose a tooth, as by a click into the chart, and bring it into the middle; a second click goes close to it."""
        before, when = self._clicked
        self._clicked = (fdi, time.monotonic())
        self._case.select(fdi)
        if fdi == before and self._clicked[1] - when < TWICE_S:
            self.close_to(fdi)
            self._clicked = (None, 0.0)
        else:
            self.at_tooth(fdi)

    def _on_scan(self) -> None:
        case, first = self._case, not self._had_scan
        if case.volume_node is None:
            return
        self._had_scan = True
        if first and case.teeth_node is None:
            return  # Slicer shows the first scan itself
        from ..mrml import views

        views.show_case(case.scene, case.volume_node, case.teeth_node)

    def _on_found(self) -> None:
        self.at_teeth()
        question = self._review.current
        if question is not None and self._case.selected is None:
            self._case.select(question.fdi)
            self.through_tooth(question.fdi)

    def _mark(self) -> None:
        from ..mrml import views

        case = self._case
        if case.teeth_node is not None:
            views.mark(case.teeth_node, case.selected if case.selected in case.present() else None)
