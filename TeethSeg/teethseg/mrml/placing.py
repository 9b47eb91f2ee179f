"""Slicer's place tool: which kind of markups the next click makes. Every new markups node takes it over by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import slicer


@contextmanager
def place_tool_kept(scene: slicer.vtkMRMLScene) -> Iterator[None]:
    """Let the block add markups, and set the place tool back afterwards."""
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    if selection is None:
        yield
        return
    found = settings(selection)
    yield
    restore(selection, found)


def settings(selection: slicer.vtkMRMLSelectionNode) -> tuple[str, str | None]:
    """The class and the node that are placed."""
    return selection.GetActivePlaceNodeClassName() or "", selection.GetActivePlaceNodeID()


def restore(selection: slicer.vtkMRMLSelectionNode, found: tuple[str, str | None]) -> None:
    """Set the place tool to what `settings` gave, without a node that is gone."""
    kind, identity = found
    there = bool(identity) and selection.GetScene().GetNodeByID(identity) is not None
    selection.SetActivePlaceNodeID(identity if there else None)
    if kind:
        selection.SetReferenceActivePlaceNodeClassName(kind)


def views_are_free(scene: slicer.vtkMRMLScene) -> bool:
    """Whether clicks into views place nothing."""
    interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    return interaction is not None and interaction.GetCurrentInteractionMode() == interaction.ViewTransform


def below_mouse(scene: slicer.vtkMRMLScene) -> tuple[float, float, float] | None:
    """Where Slicer's crosshair says that the mouse is, RAS mm; None if it is in no view."""
    node, place = scene.GetFirstNodeByClass("vtkMRMLCrosshairNode"), [0.0, 0.0, 0.0]
    return (place[0], place[1], place[2]) if node is not None and node.GetCursorPositionRAS(place) else None
