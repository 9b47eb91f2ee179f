"""Scans with several time points: as sequences, which show one of them in one volume, or as values of each voxel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .i18n import _
from .questions import Ask

MOST_BUTTONS = 6  # of a question


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


def choose_component(volume_node, ask: Ask, then: Callable[[Any], None]) -> None:
    """Ask which value of each voxel is the scan; `then` is given a volume that has only these."""
    from ..mrml.volumes import one_component

    count = volume_node.GetImageData().GetNumberOfScalarComponents()
    offered = list(range(count)) if count <= MOST_BUTTONS else [0, count // 2, count - 1]

    def answer(choice: int | None) -> None:
        if choice is not None:
            then(one_component(volume_node, offered[choice]))

    text = _("'{name}' has {count} values in each voxel, maybe time points. Which of them is the scan?")
    options = [_("Number {n}").format(n=n + 1) for n in offered]
    ask(text.format(name=volume_node.GetName(), count=count), options, answer)


def has_components(volume_node) -> bool:
    """Whether a volume has several values in each voxel."""
    image = volume_node.GetImageData()
    return image is not None and image.GetNumberOfScalarComponents() > 1


def voxels_of(volume_node) -> tuple[Any, int]:
    """A key of a volume's voxels: another one after a change or for another time point."""
    image = volume_node.GetImageData()
    return image, image.GetPointData().GetScalars().GetMTime() if image is not None else 0
