"""Clicks into Slicer's slice and 3D views: one on a tooth chooses it, a right one has the chart's menu in Slicer's own."""

from __future__ import annotations

import functools
from collections.abc import Callable

import slicer

from ..mrml.observers import Observers
from .context import Context

_menus: list[Callable] = []  # of the panel that is shown, for `menu_at`


class ViewClicks:
    """Listens while the module is shown, no points are being placed and no effect of the Segment Editor is active.

    Parameters
    ----------
    context : Context
    busy : callable
        Tells whether a click belongs to an effect of the Segment Editor.
    chosen : callable
        Called with the FDI number of a tooth that was clicked.
    menu_for : callable
        Gives the menu of a tooth, by its FDI number.
    """

    def __init__(self, context: Context, busy: Callable[[], bool], chosen: Callable, menu_for: Callable):
        self._context, self._busy, self._chosen, self._menu_for = context, busy, chosen, menu_for
        self._observers = Observers()
        self._manager = None

    def enter(self) -> None:
        """The module is shown."""
        self.exit()
        _menus.append(self._menu_at)
        self._manager = slicer.app.layoutManager() if hasattr(slicer.app, "layoutManager") else None
        if self._manager is None:
            return  # no window
        from ..mrml.picking import point_in_slice, point_on_surface

        self._manager.connect("layoutChanged(int)", self._on_layout)
        for name in self._manager.sliceViewNames():
            widget = self._manager.sliceWidget(name)
            self._watch(widget.sliceView(), functools.partial(point_in_slice, widget.mrmlSliceNode()))
        for n in range(self._manager.threeDViewCount):
            view = self._manager.threeDWidget(n).threeDView()
            renderer = view.renderWindow().GetRenderers().GetFirstRenderer()
            self._watch(view, functools.partial(point_on_surface, renderer))

    def exit(self) -> None:
        """Another module is shown."""
        if self._menu_at in _menus:
            _menus.remove(self._menu_at)
        self._observers.clear()
        if self._manager is not None:
            self._manager.disconnect("layoutChanged(int)", self._on_layout)
            self._manager = None

    def _watch(self, view, point_at: Callable) -> None:
        from ..mrml.picking import on_click

        interactor = view.interactor()
        self._observers.keep(interactor, on_click(interactor, point_at, self._context.guarded(self._on_click)))

    def _on_layout(self, _layout: int) -> None:
        self.enter()

    def _on_click(self, point) -> None:
        fdi = self._context.case.tooth_near(point) if self._free() else None
        if fdi is not None:
            self._chosen(fdi)

    def _free(self) -> bool:
        from ..mrml.placing import views_are_free

        return views_are_free(self._context.case.scene) and not self._busy()

    def _menu_at(self, point) -> tuple | None:
        if not self._free():
            return None
        fdi = self._context.case.tooth_near(point)
        return None if fdi is None else (fdi, self._context.case.number(fdi), self._menu_for(fdi))


def menu_at(point) -> tuple | None:
    """For Slicer's menu in views: FDI number, number as the user reads it, and menu of the tooth at a point (RAS mm).

    None if there is no tooth, or another module is shown. Without a point, that below the mouse.
    """
    if not _menus:
        return None
    from ..mrml.placing import below_mouse

    point = point or below_mouse(slicer.mrmlScene)
    return _menus[-1](point) if point is not None else None
