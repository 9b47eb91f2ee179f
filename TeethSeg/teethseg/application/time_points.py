"""Scans with several time points, as Slicer's sequences show them one at a time in one volume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .i18n import _
from .questions import Ask


@dataclass(frozen=True)
class TimePoints:
    """The time points of a volume.

    Attributes
    ----------
    browser : vtkMRMLSequenceBrowserNode
    count : int
    shown : int
        Counted from 0.
    """

    browser: Any
    count: int
    shown: int


def time_points_of(volume_node) -> TimePoints | None:
    """None if there is only one."""
    scene = volume_node.GetScene()
    found = scene.GetNodesByClass("vtkMRMLSequenceBrowserNode")
    found.UnRegister(scene)
    for browser in (found.GetItemAsObject(n) for n in range(found.GetNumberOfItems())):
        if browser.GetSequenceNode(volume_node) is not None and browser.GetNumberOfItems() > 1:
            return TimePoints(browser, browser.GetNumberOfItems(), max(browser.GetSelectedItemNumber(), 0))
    return None


def choose_time_point(volume_node, ask: Ask, then: Callable[[], None]) -> None:
    """Ask which time point is meant, if there are several; `then` is called once it is shown."""
    points = time_points_of(volume_node)
    if points is None:
        then()
        return
    last = points.count - 1
    choices = [(points.shown, _("Number {n}, which is shown").format(n=points.shown + 1))]
    choices += [(n, text) for n, text in ((0, _("The first")), (last, _("The last"))) if n != points.shown]

    def answer(choice: int | None) -> None:
        if choice is None:
            return
        if choices[choice][0] != points.shown:
            points.browser.SetSelectedItemNumber(choices[choice][0])
        then()

    text = _(
        "'{name}' has {count} time points. Which one is to be segmented? Another one can be chosen first, in the toolbar "
        "of sequences."
    ).format(name=volume_node.GetName(), count=points.count)
    ask(text, [text for _n, text in choices], answer)


def voxels_of(volume_node) -> tuple[Any, int]:
    """What is another one once a volume has got other voxels: another time point, or changed ones."""
    image = volume_node.GetImageData()
    return image, image.GetPointData().GetScalars().GetMTime() if image is not None else 0
