"""`ViewClicks`: clicks in the views place points for the tool in use, or choose a tooth."""

from __future__ import annotations

from functools import partial

from ..application.clicked_points import ClickReceiver
from ..mrml.picking import Point, on_click, point_in_slice, point_on_surface
from .component import App


class ViewClicks(ClickReceiver):
    """See module."""

    def __init__(self, app: App):
        super().__init__(app.case.scene)
        self.app = app
        clicked = app.guarded(self.on_click)
        for view in app.views.slices:
            on_click(view.interactor(), partial(point_in_slice, view.get_view_node()), clicked)
        for view in app.views.threes:
            on_click(view.interactor(), partial(point_on_surface, view.first_renderer()), clicked)

    def on_click(self, point: Point) -> None:
        """Place a point (RAS mm) for the tool in use; without one, choose the tooth that is there."""
        app = self.app
        with app.server.state:
            if self.click(point):
                app.views.draw()
            elif not app.brushes.data.brush and (fdi := app.case.tooth_at(point)):
                app.case.select(fdi)
                app.navigation.through(point)
