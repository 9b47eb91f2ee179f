"""Other numbers for teeth: renumber, swap, shift a quadrant, mark as missing, and the suggestions that follow from a change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..anatomy import DECIDUOUS, PERMANENT, TEETH, arch, tooth
from .case import MISSING, Case
from .i18n import _
from .signals import Signal


@dataclass(frozen=True)
class Suggestion:
    """A next step that is offered: the question, the button's text, and its action."""

    text: str
    button: str
    act: Callable[[], None]


def _nothing() -> None:
    return None


class Relabelling:
    """Changes numbers, one step each, and suggests the next step.

    Attributes
    ----------
    suggestion : Suggestion or None
        Until it is taken, or anything else is done.
    changed : Signal
        There is another suggestion, or none.
    """

    def __init__(self, case: Case):
        self._case = case
        self.suggestion: Suggestion | None = None
        self.changed = Signal()
        case.edited.connect(self._forget)
        case.scan_changed.connect(self._forget)

    def renumber(self, fdi: int, number: int, then: Callable[[], None] = _nothing) -> None:
        """Give a tooth another number; if another tooth has it, they swap."""
        from ..correction import renumber

        case = self._case
        taken = number in case.present()
        numbers = {fdi: number, number: fdi} if taken else {fdi: number}
        name = _("{old} and {new} swapped") if taken else _("{old} to {new}")
        name = name.format(old=case.number(fdi), new=case.number(number))
        case.edit(lambda labels, scan: renumber(labels, numbers), name, then, select=number)

    def remove(self, fdi: int, then: Callable[[], None] = _nothing) -> None:
        """Remove a segment that is no tooth."""
        from ..correction import remove_tooth

        name = _("{tooth} no tooth").format(tooth=self._case.number(fdi))
        self._case.edit(lambda labels, scan: remove_tooth(labels, fdi), name, then)

    def shift(self, fdi: int, step: int) -> None:
        """Count this tooth and all behind it one further back (+1) or forward (-1); suggests to mark the gap missing."""
        from ..correction import shift_numbers

        row = self.behind(fdi)
        left = (fdi if step > 0 else row[-1]) if row else 0  # the place that is empty afterwards
        self._case.edit(
            lambda labels, scan: shift_numbers(labels, fdi, step),
            self._shift_name(row, step),
            lambda: self._suggest_missing(left),
            select=self._moved(row, step),
        )

    def missing_here(self, fdi: int) -> None:
        """The patient has no such tooth: the tooth there is the next one, and so on up to the first free number."""
        from ..correction import renumber

        case = self._case
        present, run = set(case.present()), [fdi]
        while run[-1] + 1 in present:
            run.append(run[-1] + 1)
        name = _("{tooth} missing, {shift}").format(tooth=case.number(fdi), shift=self._shift_name(run, 1))
        case.edit(
            lambda labels, scan: renumber(labels, {number: number + 1 for number in run}),
            name,
            attributes={MISSING: case.missing_with(fdi)},
            select=self._moved(run, 1),
        )

    def behind(self, fdi: int) -> list[int]:
        """The tooth and those there are behind it in its quadrant."""
        return sorted(n for n in self._case.present() if n // 10 == fdi // 10 and n >= fdi)

    def numbers(self, fdi: int) -> list[int]:
        """Numbers that a tooth could have instead: free ones of its jaw, the nearest first, then the other jaw's."""
        present = self._case.present()
        others = arch("lower") if tooth(fdi).jaw == "upper" else arch("upper")
        return [*free_numbers(fdi, present), *(n for n in others if n not in present)]

    def partners(self, fdi: int) -> list[int]:
        """Teeth that a tooth can swap numbers with, the nearest first."""
        return neighbours(fdi, self._case.present())

    def _moved(self, row: list[int], step: int) -> int | None:
        """The number that the chosen tooth has after a shift."""
        selected = self._case.selected
        return selected + step if selected in row else selected

    def _shift_name(self, row: list[int], step: int) -> str:
        """'15-17 to 16-18'; a number beyond the quadrant's end is refused by the tool that the name is for."""
        ends = dict.fromkeys((row[0], row[-1])) if row else {}
        old = "-".join(map(self._case.number, ends))
        new = "-".join(self._case.number(n + step) if n + step in TEETH else "?" for n in ends)
        return _("{old} to {new}").format(old=old, new=new)

    def _suggest_missing(self, fdi: int) -> None:
        case = self._case
        if fdi in PERMANENT and fdi not in case.present() and fdi not in case.missing():
            name = case.number(fdi)
            text = _("There is no {tooth} now. Is it missing in this patient?").format(tooth=name)
            self._suggest(text, _("{tooth} is missing").format(tooth=name), lambda: case.set_missing(fdi, True))

    def _suggest(self, text: str, button: str, act: Callable[[], None]) -> None:
        self.suggestion = Suggestion(text, button, act)
        self.changed.emit()

    def accept(self) -> None:
        """Take the suggestion."""
        if self.suggestion is not None:
            self.suggestion.act()

    def dismiss(self) -> None:
        """Refuse the suggestion."""
        self._forget()

    def _forget(self) -> None:
        if self.suggestion is not None:
            self.suggestion = None
            self.changed.emit()


def neighbours(fdi: int, present) -> list[int]:
    """Teeth of the same jaw that are there, the nearest along the arch first."""
    return sorted((n for n in present if n != fdi and tooth(n).jaw == tooth(fdi).jaw), key=lambda n: _steps(fdi, n))


def free_numbers(fdi: int, present, first: int | None = None) -> list[int]:
    """Numbers of the same jaw that no tooth has, the nearest along the arch first, `first` before all others.

    Deciduous ones of the quadrant come last.
    """
    one = tooth(fdi)
    deciduous = [n for n in DECIDUOUS if (tooth(n).jaw, tooth(n).side) == (one.jaw, one.side)]
    rows = [sorted(row, key=lambda n: _steps(fdi, n)) for row in (arch(one.jaw), deciduous)]
    free = [n for row in rows for n in row if n not in present]
    return [first, *(n for n in free if n != first)] if first is not None else free


def _steps(one: int, other: int) -> tuple[int, int]:
    """Distance of two teeth along the arch; of two equally far teeth the distal one is first."""

    def place(fdi: int) -> int:
        position = tooth(fdi).position
        return position if tooth(fdi).side == "left" else 1 - position

    return abs(place(one) - place(other)), -tooth(other).position
