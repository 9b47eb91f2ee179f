"""`SurfaceQueue`: surfaces of the scene's teeth are made in the background, a few at a time."""

from __future__ import annotations

from typing import Any

from ..mrml.background import in_background
from .compute import Later

SLICE = 0.08  # seconds of work before the window gets its turn


class SurfaceQueue:
    """See module.

    Parameters
    ----------
    scene : vtkMRMLScene
    later : callable
        Makes a function that has a handler called once, as soon as the window has nothing more urgent to do.
    """

    def __init__(self, scene, later: Later):
        self._scene = scene
        self._nodes: list[Any] = []
        self._go_on = later(self._work)
        in_background(scene, self._on_node)

    @property
    def working(self) -> bool:
        """Whether surfaces are still to be made."""
        return bool(self._nodes)

    def finish(self) -> None:
        """Make all of them at once."""
        while self._nodes:
            self._step(60.0)

    def close(self) -> None:
        """Surfaces are made at once again; those that were waited for are made now."""
        in_background(self._scene, None)
        self.finish()

    def _on_node(self, node) -> None:
        if not any(one is node for one in self._nodes):
            self._nodes.append(node)
        self._go_on()

    def _work(self) -> None:
        self._step(SLICE)
        if self._nodes:
            self._go_on()

    def _step(self, seconds: float) -> None:
        from ..mrml.surfaces import make_some

        if self._nodes:
            node = self._nodes[0]
            if node.GetScene() is None or not make_some(node, seconds):
                self._nodes.pop(0)
