"""Clicks into Slicer's slice and 3D views: one on a tooth chooses it, a right one has the chart's menu in Slicer's own."""

from __future__ import annotations

import functools
from collections.abc import Callable

import slicer

from .context import Context

_menus: list[Callable] = []  # of the panel that is shown, for `menu_at`


class ViewClicks:
    """Listens while the module is shown and clicks are not somebody else's: no points are placed, no effect is in use.

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
        self._observers: list[tuple] = []
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
        for interactor, tag in self._observers:
            interactor.RemoveObserver(tag)
        self._observers.clear()
        if self._manager is not None:
            self._manager.disconnect("layoutChanged(int)", self._on_layout)
            self._manager = None

    def _watch(self, view, point_at: Callable) -> None:
        from ..mrml.picking import on_click

        interactor = view.interactor()
        tags = on_click(interactor, point_at, self._context.guarded(self._on_click))
        self._observers += [(interactor, tag) for tag in tags]

    def _on_layout(self, _layout: int) -> None:
        self.enter()

    def _on_click(self, point) -> None:
        fdi = self._context.case.tooth_near(point) if self._free() else None
        if fdi is not None:
            self._chosen(fdi)

    def _free(self) -> bool:
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        return interaction.GetCurrentInteractionMode() == interaction.ViewTransform and not self._busy()

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
    point = point or _below_mouse()
    return _menus[-1](point) if point is not None else None


def _below_mouse() -> tuple[float, float, float] | None:
    """Where Slicer's crosshair says that the mouse is, RAS mm; None if it is in no view."""
    node, place = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode"), [0.0, 0.0, 0.0]
    return tuple(place) if node is not None and node.GetCursorPositionRAS(place) else None
