"""`ToothNumbers`: keeps the numbers beside the teeth in step with the slices, the teeth and the notation."""

from __future__ import annotations

from .case import Case
from .compute import Later


class ToothNumbers:
    """See module.

    Parameters
    ----------
    case : Case
    later : callable
        Makes a function that has a handler called once the events of the scene are over, however often it is called.
    at_rest : callable
        The same, but once the user has paused: slices that are scrolled show no numbers, or each step would wait for them.
    """

    def __init__(self, case: Case, later: Later, at_rest: Later):
        self._case = case
        self._shown = self._written = False
        self._watched: dict[str, tuple] = {}  # slice nodes by id, with the tags of their observers
        self._moved: set[str] = set()
        self._places: dict[str, tuple] = {}  # where each slice was when it was written to
        self._write_all = later(self._on_teeth)
        self._write_moved = at_rest(self._on_slices)
        case.changed.connect(self._write_all)

    @property
    def shown(self) -> bool:
        """Whether numbers are wanted."""
        return self._shown

    def show(self, wanted: bool) -> None:
        """Switch the numbers on or off."""
        if wanted != self._shown:
            self._shown = wanted
            self._write_all()

    def update(self) -> None:
        """Write the numbers of all views anew, once the scene is at rest: teeth were shown, hidden or painted."""
        self._write_all()

    def close(self) -> None:
        """Take the numbers away and watch nothing."""
        self._shown = False
        for node, tag in self._watched.values():
            node.RemoveObserver(tag)
        self._watched.clear()
        self._on_teeth()

    def _on_teeth(self) -> None:
        node, wanted = self._case.teeth_node, self._shown and self._case.teeth_node is not None
        if not wanted and not self._written:
            return
        from ..mrml import numbers

        self._written = wanted
        if not wanted:
            numbers.remove(self._case.scene)
            self._places.clear()
            return
        self._watch()
        numbers.show_in_3d(self._case.scene, node, self._texts())
        self._places.clear()
        self._moved = set(self._watched)
        self._on_slices()

    def _watch(self) -> None:
        """Follow the slice views that there are now."""
        from ..mrml.views import nodes_of

        there = {node.GetID(): node for node in nodes_of(self._case.scene, "vtkMRMLSliceNode")}
        for identity in [one for one, (node, _) in self._watched.items() if there.get(one) is not node]:
            node, tag = self._watched.pop(identity)
            node.RemoveObserver(tag)
        for identity, node in there.items():
            if identity not in self._watched:
                self._watched[identity] = node, node.AddObserver("ModifiedEvent", self._on_slice)

    def _on_slice(self, node, _event) -> None:
        self._moved.add(node.GetID())
        self._write_moved()

    def _on_slices(self) -> None:
        from ..mrml import numbers

        node, moved, self._moved = self._case.teeth_node, self._moved, set()
        if not self._shown or node is None:
            return
        texts = self._texts()
        for identity in moved & set(self._watched):
            slice_node, _ = self._watched[identity]
            matrix = slice_node.GetSliceToRAS()
            place = tuple(matrix.GetElement(row, column) for row in range(3) for column in range(4))
            normal = place[2::4]
            offset = sum(one * other for one, other in zip(normal, place[3::4], strict=True))
            where = (*(round(part, 4) for part in normal), round(offset, 3))
            if slice_node.GetScene() is not None and self._places.get(identity) != where:
                self._places[identity] = where
                numbers.show_in_slice(slice_node, node, texts)

    def _texts(self) -> dict[int, str]:
        return {fdi: self._case.number(fdi) for fdi in self._case.present()}
