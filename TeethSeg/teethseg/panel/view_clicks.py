"""Clicks into Slicer's slice and 3D views: one on a tooth chooses it, a right one has the chart's menu in Slicer's own."""

from __future__ import annotations

import functools
from collections.abc import Callable

import slicer
from vtkmodules.vtkRenderingCore import vtkCellPicker

from .context import Context

STILL = 3  # pixels that the mouse may move within a click
_FIRST = 10.0  # priority of the observers: before Slicer's own, which they leave as they are
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
        self._pressed: tuple[int, int] | None = None
        self._manager = None

    def enter(self) -> None:
        """The module is shown."""
        self.exit()
        _menus.append(self._menu_at)
        self._manager = slicer.app.layoutManager() if hasattr(slicer.app, "layoutManager") else None
        if self._manager is None:
            return  # no window
        self._manager.connect("layoutChanged(int)", self._on_layout)
        for name in self._manager.sliceViewNames():
            widget = self._manager.sliceWidget(name)
            self._watch(widget.sliceView(), functools.partial(_in_slice, widget.mrmlSliceNode()))
        for n in range(self._manager.threeDViewCount):
            view = self._manager.threeDWidget(n).threeDView()
            self._watch(view, functools.partial(_in_3d, view))

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

    def _watch(self, view, place: Callable) -> None:
        interactor = view.interactor()
        released = self._context.guarded(functools.partial(self._on_released, place))
        for event, handler in (("LeftButtonPressEvent", self._on_pressed), ("LeftButtonReleaseEvent", released)):
            self._observers.append((interactor, interactor.AddObserver(event, handler, _FIRST)))

    def _on_layout(self, _layout: int) -> None:
        self.enter()

    def _on_pressed(self, interactor, _event) -> None:
        self._pressed = interactor.GetEventPosition()

    def _on_released(self, place: Callable, interactor, _event) -> None:
        pressed, at, self._pressed = self._pressed, interactor.GetEventPosition(), None
        if pressed is None or max(abs(a - b) for a, b in zip(pressed, at, strict=True)) > STILL or not self._free():
            return
        point = place(at)
        fdi = self._context.case.tooth_near(point) if point is not None else None
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


def _in_slice(node, at: tuple[int, int]) -> tuple[float, float, float]:
    """The point (RAS mm) of a slice below a pixel."""
    return node.GetXYToRAS().MultiplyPoint((float(at[0]), float(at[1]), 0.0, 1.0))[:3]


def _in_3d(view, at: tuple[int, int]) -> tuple[float, float, float] | None:
    """The point (RAS mm) of the surface below a pixel; None if there is none."""
    renderer = view.renderWindow().GetRenderers().GetFirstRenderer()
    picker = vtkCellPicker()
    picker.SetTolerance(0.002)
    return picker.GetPickPosition() if picker.Pick(float(at[0]), float(at[1]), 0.0, renderer) else None
