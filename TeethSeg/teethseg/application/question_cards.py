"""Questions about the teeth as cards: a text, and a button for each answer; both windows draw the same ones."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .failures import Kind
from .finding_queue import FindingQueue
from .i18n import _
from .relabelling import Relabelling
from .review_queue import ReviewQueue
from .signals import Signal
from .view_navigation import ViewNavigation


@dataclass(frozen=True)
class CardAnswer:
    """A button of a card."""

    key: str
    text: str
    act: Callable[[], None]
    tip: str = ""
    enabled: bool = True


@dataclass(frozen=True)
class Card:
    """A question, or a suggestion.

    Attributes
    ----------
    key : {'finding', 'review', 'suggestion'}
        About the dentition as a whole, about one tooth, or about the step that follows a change.
    kind : {'info', 'warning'}
    text : str
        With tags for bold text.
    answers : tuple of CardAnswer
    go : callable or None
        Takes the views to the tooth that is meant.
    """

    key: Literal["finding", "review", "suggestion"]
    kind: Kind
    text: str
    answers: tuple[CardAnswer, ...]
    go: Callable[[], None] | None = None


class QuestionCards:
    """See module.

    Attributes
    ----------
    changed : Signal
        There are other cards.
    """

    def __init__(
        self, findings: FindingQueue, review: ReviewQueue, relabelling: Relabelling, navigation: ViewNavigation
    ):
        self._findings, self._review, self._relabelling, self._navigation = findings, review, relabelling, navigation
        self.changed = Signal()
        for part in (findings, review, relabelling):
            part.changed.connect(self.changed.emit)

    def question(self) -> Card | None:
        """The question to ask now. An answer about the whole dentition may settle those about single teeth: they wait."""
        return self._finding() or self._tooth()

    def suggestion(self) -> Card | None:
        """The suggestion that follows the last change."""
        relabelling = self._relabelling
        offered = relabelling.suggestion
        if offered is None:
            return None
        accept = CardAnswer("accept", offered.button, relabelling.accept, _("Do what is suggested."))
        refuse = CardAnswer("refuse", _("No"), relabelling.dismiss, _("Leave the teeth as they are."))
        return Card("suggestion", "info", offered.text, (accept, refuse))

    def _finding(self) -> Card | None:
        findings, finding, texts = self._findings, self._findings.current, self._findings.answers()
        if finding is None:
            return None
        renumbers = _("All numbers that depend on this answer change at once; Undo takes it back.")
        keeps = _("No number changes; Undo takes it back.")
        tips = [
            _("All teeth are found anew.") if one.again else renumbers if one.renumbering else keeps
            for one in finding.answers
        ]
        tips.append(_("No number changes, and this is not asked again."))
        answers = [
            CardAnswer(f"finding-{n}", text, functools.partial(findings.answer, n), tip)
            for n, (text, tip) in enumerate(zip(texts, tips, strict=True))
        ]
        first = findings.first
        go = functools.partial(self._navigation.choose, first) if first is not None else None
        return Card("finding", "info", findings.text(), tuple(answers), go)

    def _tooth(self) -> Card | None:
        review, question = self._review, self._review.current
        if question is None:
            return None
        notation = review.notation
        answers = [CardAnswer("keep", question.keep_text(notation), review.keep, _("The tooth is as it should be."))]
        if change := question.change_text(notation):
            answers.append(CardAnswer("change", change, review.change, _("Give it the other number.")))
        answers += [
            CardAnswer("no-tooth", _("Not a tooth"), review.remove, _("Take it out of the result.")),
            CardAnswer("later", _("Later"), review.later, _("Go to the next question."), enabled=len(review) > 1),
        ]
        return Card("review", "warning", review.text(), tuple(answers), review.go)
