"""`LabelNumbering`: asks once how another program's teeth are numbered, where the segmentation does not tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .case import Case
from .compute import Later
from .i18n import _
from .questions import Ask

if TYPE_CHECKING:
    from ..io.label_schemes import LabelScheme


class LabelNumbering:
    """See module. The answer becomes the segments' names, which tell from then on, in the saved scene too.

    Parameters
    ----------
    case : Case
    ask : Ask
    later : callable
        Makes a function that has a handler called once the events of the scene are over.
    """

    def __init__(self, case: Case, ask: Ask, later: Later):
        self._case, self._ask = case, ask
        self._asked: set[str] = set()  # ids of segmentations
        case.numbering_doubted.connect(later(self._on_doubted))

    def _on_doubted(self) -> None:
        from ..mrml import teeth

        case, node = self._case, self._case.teeth_node
        if not case.editable or node.GetID() in self._asked:
            return
        schemes = teeth.numberings(node)
        if not schemes:
            return
        self._asked.add(node.GetID())

        def name(scheme: LabelScheme) -> None:
            if case.teeth_node is node:
                case.number_as(scheme)

        self.ask(node.GetName(), schemes, name)

    def ask(self, name: str, schemes: Sequence[LabelScheme], then: Callable[[LabelScheme], None]) -> None:
        """Ask which of several numberings the teeth of a segmentation or file of that name have; Cancel leaves all as it is."""

        def answer(choice: int | None) -> None:
            if choice is not None:
                then(schemes[choice])

        text = _("How are the teeth of '{name}' numbered? The segmentation does not tell.").format(name=name)
        self._ask(text, [scheme_names()[scheme] for scheme in schemes], answer)


def scheme_names() -> dict[LabelScheme, str]:
    """How numberings are called (`io.label_schemes`)."""
    return {
        "fdi": _("FDI numbers (11 to 48)"),
        "universal": _("Universal numbers (1 to 32)"),
        "toothfairy": _("As ToothFairy numbers"),
        "totalsegmentator": _("As TotalSegmentator numbers"),
        "batchdentalseg": _("As BatchDentalSeg numbers"),
        "dentalsegmentator": _("As DentalSegmentator numbers"),
    }
