"""Clicks in slice and 3D views, and the point of the patient that each one means."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import slicer
from vtkmodules.vtkCommonCore import vtkCommand
from vtkmodules.vtkRenderingCore import vtkCellPicker, vtkRenderer, vtkRenderWindowInteractor

STILL = 3  # pixels that the mouse may move between press and release of a click
BEFORE_OTHERS = 10.0  # priority of an observer: Slicer's own have 0 and may keep an event to themselves
BELOW_MM = 0.3  # a point on a surface is moved inwards by this much, so that its nearest voxel belongs to the tooth

Pixel = tuple[int, int]
Point = tuple[float, float, float]  # RAS, mm


def on_click(
    interactor: vtkRenderWindowInteractor, point_at: Callable[[Pixel], Point | None], handler: Callable[[Point], object]
) -> list[int]:
    """Call `handler` with the point of every click of the left button that is no drag.

    Parameters
    ----------
    interactor : vtkRenderWindowInteractor
        Of the view. Clicks with Shift or Ctrl are left to the view itself.
    point_at : callable
        Gives the point (RAS mm) at a pixel, e.g. `point_in_slice`; where it gives None, nothing is called.
    handler : callable

    Returns
    -------
    list of int
        Tags of the observers, by which they are removed.
    """
    pressed: list[Pixel] = []

    def press(*_event) -> None:
        pressed[:] = [] if interactor.GetShiftKey() or interactor.GetControlKey() else [interactor.GetEventPosition()]

    def release(*_event) -> None:
        if not pressed:
            return
        at = interactor.GetEventPosition()
        point = point_at(at) if is_still(pressed.pop(), at) else None
        if point is not None:
            handler(point)

    return [
        interactor.AddObserver(vtkCommand.LeftButtonPressEvent, press, BEFORE_OTHERS),
        interactor.AddObserver(vtkCommand.LeftButtonReleaseEvent, release, BEFORE_OTHERS),
    ]


def is_still(start: Pixel, end: Pixel) -> bool:
    """Whether the mouse has moved so little that a press is a click rather than a drag."""
    return max(abs(end[0] - start[0]), abs(end[1] - start[1])) <= STILL


def point_in_slice(node: slicer.vtkMRMLSliceNode, at: Pixel) -> Point:
    """The point (RAS mm) that a slice shows at a pixel."""
    return tuple(node.GetXYToRAS().MultiplyPoint((float(at[0]), float(at[1]), 0.0, 1.0))[:3])


def point_on_surface(renderer: vtkRenderer, at: Pixel) -> Point | None:
    """The point (RAS mm) close below the surface that a 3D view shows at a pixel; None beside all surfaces."""
    picker = vtkCellPicker()
    picker.SetTolerance(0.0)
    if not picker.Pick(float(at[0]), float(at[1]), 0.0, renderer):
        return None
    place, normal = np.array(picker.GetPickPosition()), np.array(picker.GetPickNormal())
    return tuple((place - BELOW_MM * normal).tolist())
