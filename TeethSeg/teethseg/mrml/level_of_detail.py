"""3D views that turn: as long as one moves, surfaces are drawn with fewer triangles, so that a processor alone keeps up.

VTK's own actors with levels of detail are no help: Slicer makes the actors of its views itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vtkmodules.vtkCommonCore import vtkCommand
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkCommonExecutionModel import vtkAlgorithm
from vtkmodules.vtkRenderingCore import vtkActor, vtkMapper, vtkRenderer, vtkRenderWindowInteractor

from ..surfaces.simplify import clustered
from .picking import BEFORE_OTHERS, Pixel, is_still

MANY = 500  # triangles of a surface from which on it is reduced


@dataclass(frozen=True)
class _Reduced:
    """A reduced surface, and which state of which surface it was made from."""

    source: vtkPolyData
    state: int
    surface: vtkPolyData


class ReducedWhileMoving:
    """Watches a view. From the first move with a button down until that goes up, surfaces are drawn reduced.

    A click is no move, so that it hits what is shown at rest.

    Parameters
    ----------
    interactor : vtkRenderWindowInteractor
        Of the view.
    renderer : vtkRenderer
        Whose surfaces are reduced.
    redraw : callable
        Draws the view once more.
    """

    def __init__(self, interactor: vtkRenderWindowInteractor, renderer: vtkRenderer, redraw: Callable[[], object]):
        self._interactor, self._renderer, self._redraw = interactor, renderer, redraw
        self._start: Pixel | None = None
        self._at_rest: list[tuple[vtkActor, vtkAlgorithm, int]] = []  # and the ports taken from their mappers
        self._kept: dict[vtkMapper, _Reduced] = {}
        for button in ("Left", "Middle", "Right"):
            interactor.AddObserver(getattr(vtkCommand, f"{button}ButtonPressEvent"), self._on_press, BEFORE_OTHERS)
            interactor.AddObserver(getattr(vtkCommand, f"{button}ButtonReleaseEvent"), self._on_release, BEFORE_OTHERS)
        interactor.AddObserver(vtkCommand.MouseMoveEvent, self._on_move, BEFORE_OTHERS)

    def _on_press(self, *_event) -> None:
        self._start = self._interactor.GetEventPosition()

    def _on_move(self, *_event) -> None:
        if self._start is None or self._at_rest:
            return
        if not is_still(self._start, self._interactor.GetEventPosition()):
            self._reduce()

    def _on_release(self, *_event) -> None:
        self._start = None
        for actor, source, port in self._at_rest:
            actor.GetMapper().SetInputConnection(source.GetOutputPort(port))
            actor.GetProperty().BackfaceCullingOff()
        if self._at_rest:
            self._at_rest = []
            self._redraw()

    def _reduce(self) -> None:
        kept = {}
        for actor in self._renderer.GetActors():  # type: ignore[attr-defined]  # VTK's stubs lack the iterator
            mapper = actor.GetMapper()
            surface = mapper.GetInputDataObject(0, 0) if mapper is not None and actor.GetVisibility() else None
            if not isinstance(surface, vtkPolyData) or surface.GetNumberOfPolys() < MANY:
                continue
            known = self._kept.get(mapper)
            if known is None or known.source is not surface or known.state != surface.GetMTime():
                known = _Reduced(surface, surface.GetMTime(), clustered(surface))
            kept[mapper] = known
            self._at_rest.append((actor, mapper.GetInputAlgorithm(0, 0), mapper.GetInputConnection(0, 0).GetIndex()))
            mapper.SetInputDataObject(known.surface)
            actor.GetProperty().BackfaceCullingOn()  # some triangles are folded over, and would be black
        self._kept = kept
