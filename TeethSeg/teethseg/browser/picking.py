"""Clicks in the views: where in the patient, and on which tooth."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

import numpy as np
from trame_server.utils.asynchronous import create_task
from trame_slicer.views import SliceView, ThreeDView
from vtkmodules.vtkCommonCore import vtkCommand
from vtkmodules.vtkRenderingCore import vtkCellPicker

from ..volume import Volume

STILL = 3  # pixels that the mouse may move between press and release of a click
BEFORE_OTHERS = 10.0  # Slicer's own observers have 0 and may keep an event to themselves

Place = tuple[float, float, float]  # RAS, mm


def on_click(view: SliceView | ThreeDView, handler: Callable[[Place], Coroutine | None]) -> None:
    """Call `handler` with the place of every click (without Shift and Ctrl) that is no drag; in 3D, on a surface."""
    interactor = view.interactor()
    pressed: list[tuple[int, int]] = []

    def press(*_) -> None:
        pressed[:] = [] if interactor.GetShiftKey() or interactor.GetControlKey() else [interactor.GetEventPosition()]

    def release(*_) -> None:
        if not pressed:
            return
        at, start = interactor.GetEventPosition(), pressed.pop()
        if max(abs(at[0] - start[0]), abs(at[1] - start[1])) <= STILL:
            place = _in_slice(view, at) if isinstance(view, SliceView) else _on_surface(view, at)
            if place is not None:
                begun = handler(place)
                if begun is not None:
                    create_task(begun)

    interactor.AddObserver(vtkCommand.LeftButtonPressEvent, press, BEFORE_OTHERS)
    interactor.AddObserver(vtkCommand.LeftButtonReleaseEvent, release, BEFORE_OTHERS)


def voxel_at(volume: Volume, place: Place) -> tuple[int, int, int] | None:
    """The voxel (z, y, x) at a place, None outside of the scan."""
    lps = np.array([-place[0], -place[1], place[2], 1.0])
    index = np.round(np.linalg.inv(volume.affine) @ lps)[:3].astype(int)[::-1]
    inside = (index >= 0).all() and (index < volume.array.shape).all()
    return tuple(index.tolist()) if inside else None


def _in_slice(view: SliceView, at: tuple[int, int]) -> Place:
    return tuple(view.get_view_node().GetXYToRAS().MultiplyPoint([*at, 0.0, 1.0])[:3])


def _on_surface(view: ThreeDView, at: tuple[int, int]) -> Place | None:
    picker = vtkCellPicker()
    picker.SetTolerance(0.0)
    if not picker.Pick(*at, 0.0, view.first_renderer()):
        return None
    # A little below the surface, so that the nearest voxel is the tooth's.
    place, normal = np.array(picker.GetPickPosition()), np.array(picker.GetPickNormal())
    return tuple((place - 0.3 * normal).tolist())
