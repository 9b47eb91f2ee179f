"""The questions that a result leaves open, asked one after the other; the same ones in both windows."""

from __future__ import annotations

from dataclasses import dataclass

from ..anatomy import Notation
from ..cascade.dentition import MAYBE_EXTRA, UNCERTAIN_NUMBER, UNERUPTED
from .case import Case
from .i18n import _
from .relabelling import Relabelling
from .signals import Signal
from .texts import advice_text, sure_text, tooth_name, tooth_text


@dataclass(frozen=True)
class Question:
    """A question about one tooth: is its number right, or is it as it should be?

    Attributes
    ----------
    fdi : int
    number : bool
        Whether its number is asked for.
    other : int or None
        The next best number.
    taken : bool
        Whether another tooth has that number.
    confidence : float or None
        Of the number.
    findings : tuple of str
        Flags (`cascade.dentition`) to look at, without that of the number.
    """

    fdi: int
    number: bool
    other: int | None = None
    taken: bool = False
    confidence: float | None = None
    findings: tuple[str, ...] = ()

    def text(self, notation: Notation) -> str:
        """In words, e.g. '36 or 37? (lower left first molar, sure to 61 %)'."""
        name = tooth_text(self.fdi, notation)
        if not self.number:
            advice = " ".join(advice_text(flag) for flag in self.findings)
            return _("{name} ({words}): {advice}").format(name=name, words=tooth_name(self.fdi), advice=advice)
        if self.other is None:
            text = _("Is this really {name}?").format(name=name)
        else:
            text = _("{name} or {other}?").format(name=name, other=tooth_text(self.other, notation))
        if MAYBE_EXTRA in self.findings:  # its number is only the likeliest free one
            return f"{text} {advice_text(MAYBE_EXTRA)}"
        known = [tooth_name(self.fdi)] + ([] if self.confidence is None else [sure_text(self.confidence)])
        return f"{text} ({', '.join(known)})"

    def keep_text(self, notation: Notation) -> str:
        """Text of the button that leaves the tooth as it is."""
        if not self.number:
            return _("It is right")
        return _("It is {name}").format(name=tooth_text(self.fdi, notation))

    def change_text(self, notation: Notation) -> str:
        """Text of the button that gives the tooth the other number; empty if there is none."""
        if self.other is None:
            return ""
        text = _("Swap with {name}") if self.taken else _("It is {name}")
        return text.format(name=tooth_text(self.other, notation))


class ReviewQueue:
    """Open questions: uncertain numbers first, the least certain ahead; then other doubts, in the chart's order.

    Attributes
    ----------
    changed : Signal
        There are other questions, or they are asked in another order.
    tooth_chosen : Signal
        The user has answered, and the question for this tooth (FDI number) comes next: views go there.
    """

    def __init__(self, case: Case, relabelling: Relabelling):
        self._case, self._relabelling = case, relabelling
        self._open: list[Question] = []
        self._later: list[int] = []
        self.changed = Signal()
        self.tooth_chosen = Signal()
        case.changed.connect(self.update)

    def update(self) -> None:
        """Take over the chart as it is now."""
        places = self._case.chart()
        present = {place.fdi for place in places if place.present}
        # That a tooth has not erupted is no doubt: a child has dozens of germs.
        doubted = [one for one in places if one.present and not one.done and set(one.flags) - {UNERUPTED}]
        found = [question_of(place, present) for place in doubted]
        order = {question.fdi: n for n, question in enumerate(found)}
        self._later = [fdi for fdi in self._later if fdi in order]

        def urgency(question: Question) -> tuple:
            put_off = self._later.index(question.fdi) + 1 if question.fdi in self._later else 0
            sure = 1.0 if question.confidence is None else question.confidence
            return put_off, not question.number, sure if question.number else 0.0, order[question.fdi]

        found.sort(key=urgency)
        if found != self._open:
            self._open = found
            self.changed.emit()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def notation(self) -> Notation:
        """The notation of tooth numbers in its texts."""
        return self._case.notation

    @property
    def current(self) -> Question | None:
        """The one to ask now."""
        return self._open[0] if self._open else None

    def text(self) -> str:
        """The number of questions, and the current one."""
        if self.current is None:
            return ""
        count = len(self)
        head = _("One question left") if count == 1 else _("{count} questions").format(count=count)
        return f"<b>{head}:</b> {self.current.text(self._case.notation)}"

    def go(self) -> None:
        """Choose the tooth of the current question."""
        if self.current is not None:
            self._case.select(self.current.fdi)
            self.tooth_chosen.emit(self.current.fdi)

    def keep(self) -> None:
        """The tooth is as it should be."""
        question = self._open[0]
        if question.number:
            self._case.confirm(question.fdi)
        else:
            self._case.set_state(question.fdi, "completed")
        self.go()

    def change(self) -> None:
        """It is the other tooth."""
        question = self._open[0]
        if question.other is not None:
            self._relabelling.renumber(question.fdi, question.other, then=self.go)

    def remove(self) -> None:
        """It is no tooth at all."""
        self._relabelling.remove(self._open[0].fdi, then=self.go)

    def later(self) -> None:
        """Ask the current one last."""
        first = self._open[0].fdi
        self._later = [fdi for fdi in self._later if fdi != first] + [first]
        self.update()
        self.go()


def question_of(place, present: set[int]) -> Question:
    """The question of a flagged place of the chart."""
    findings = tuple(flag for flag in place.flags if flag not in (UNCERTAIN_NUMBER, UNERUPTED))
    if UNCERTAIN_NUMBER not in place.flags:
        return Question(place.fdi, False, findings=findings)
    second = place.second_fdi
    return Question(place.fdi, True, second, second in present, place.confidence, findings)
