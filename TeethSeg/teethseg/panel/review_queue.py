"""The questions that a result leaves open, asked one after the other."""

from __future__ import annotations

from dataclasses import dataclass

from ..anatomy import Notation
from ..cascade.dentition import UNCERTAIN_NUMBER
from .i18n import _
from .texts import tooth_name, tooth_text


@dataclass(frozen=True)
class Doubt:
    """Is this tooth `fdi`, or `other`? `taken` tells whether another tooth has that number."""

    fdi: int
    other: int | None
    taken: bool
    confidence: float | None

    def question(self, notation: Notation) -> str:
        """In words, e.g. '36 or 37? (lower left first molar, sure to 61 %)'."""
        name = tooth_text(self.fdi, notation)
        if self.other is None:
            text = _("Is this really {name}?").format(name=name)
        else:
            text = _("{name} or {other}?").format(name=name, other=tooth_text(self.other, notation))
        if self.confidence is None:
            return f"{text} ({tooth_name(self.fdi)})"
        return _("{question} ({name}, sure to {percent} %)").format(
            question=text, name=tooth_name(self.fdi), percent=round(100 * self.confidence)
        )


class Doubts:
    """Those that are open, the least certain first; `later` puts one behind all others."""

    def __init__(self):
        self._open: list[Doubt] = []
        self._later: list[int] = []

    def update(self, places: list) -> None:
        """Take over what the chart says now (list of ChartTooth)."""
        present = {place.fdi for place in places if place.present}
        doubts = [
            Doubt(place.fdi, place.second_fdi, place.second_fdi in present, place.confidence)
            for place in places
            if place.present and UNCERTAIN_NUMBER in place.flags and not place.done
        ]
        self._later = [fdi for fdi in self._later if any(doubt.fdi == fdi for doubt in doubts)]
        self._open = sorted(
            doubts,
            key=lambda doubt: (
                self._later.index(doubt.fdi) + 1 if doubt.fdi in self._later else 0,
                1.0 if doubt.confidence is None else doubt.confidence,
                doubt.fdi,
            ),
        )

    def __len__(self) -> int:
        return len(self._open)

    @property
    def current(self) -> Doubt | None:
        """The one to ask now."""
        return self._open[0] if self._open else None

    def later(self) -> None:
        """Ask the current one last."""
        if self._open:
            first = self._open[0].fdi
            self._later = [fdi for fdi in self._later if fdi != first] + [first]
            self._open = self._open[1:] + self._open[:1]
