"""A frame in the section "Teeth" that shows a card: its text, and a button for each answer."""

from __future__ import annotations

import functools

import qt

from ..application.i18n import _
from ..application.question_cards import Card, CardAnswer
from .context import Context
from .option_widgets import mark

MOST = 4  # answers in full lines; those beyond are in a menu
COLUMNS = 6


class CardFrame:
    """See module; hidden while there is nothing to ask.

    Parameters
    ----------
    context : Context
    frame, label : QFrame, QLabel
        The label stands in the frame's layout; the buttons are added below it.

    Attributes
    ----------
    buttons : dict of str to QPushButton
        By the keys of the answers; 'go' shows the tooth, 'more' opens the menu.
    """

    def __init__(self, context: Context, frame, label):
        self._context, self._frame, self._label = context, frame, label
        self._answers: dict[str, CardAnswer] = {}
        self._shown: list[tuple] = []
        self.buttons: dict[str, qt.QPushButton] = {}
        self._grid = qt.QGridLayout()
        frame.layout().addLayout(self._grid)
        frame.setVisible(False)

    def show(self, card: Card | None) -> None:
        """Show a card, or hide the frame."""
        self._frame.setVisible(card is not None)
        answers = list(card.answers) if card is not None else []
        if card is not None:
            self._label.text = card.text
            mark(self._frame, card.kind)
        if card is not None and card.key == "finding":
            tip = _("Go to the first of these teeth in all views.")
            answers.append(CardAnswer("go", _("Show"), card.go or (lambda: None), tip, card.go is not None))
        self._answers = {one.key: one for one in answers}
        shown = [(one.key, one.text, one.tip, one.enabled) for one in answers]
        if shown != self._shown:
            self._shown = shown
            self._build(answers, card.key == "finding" if card is not None else False)

    def _build(self, answers: list[CardAnswer], lines: bool) -> None:
        """Make the buttons anew: in full lines but for the last two, or two beside each other."""
        for button in self.buttons.values():
            self._grid.removeWidget(button)
            button.hide()
            button.deleteLater()  # one of them may be the button that was pressed
        own = [self._button(one) for one in (answers[: min(MOST, len(answers) - 2)] if lines else answers)]
        if lines:
            rest = [self._more(answers[MOST:-2])] if len(answers) - 2 > MOST else []
            rows = [*([one] for one in own), [*rest, *(self._button(one) for one in answers[-2:])]]
        else:
            rows = [own[n : n + 2] for n in range(0, len(own), 2)]
        self.buttons = {button.name: button for row in rows for button in row}
        for n, row in enumerate(rows):
            for column, button in enumerate(row):
                width = COLUMNS // len(row)
                self._grid.addWidget(button, n, column * width, 1, width)

    def _button(self, answer: CardAnswer) -> qt.QPushButton:
        button = qt.QPushButton(answer.text)
        button.name, button.toolTip, button.enabled = answer.key, answer.tip, answer.enabled
        self._context.connect(button, "clicked(bool)", lambda _checked=False: self._act(answer.key))
        return button

    def _act(self, key: str) -> None:
        self._answers[key].act()

    def _more(self, answers: list[CardAnswer]) -> qt.QPushButton:
        button = qt.QPushButton(_("More answers"))
        button.name, button.toolTip = "more", _("Answers for one quadrant alone.")
        menu = qt.QMenu(button)
        for one in answers:
            self._context.add_action(menu, one.text, functools.partial(self._act, one.key))
        button.setMenu(menu)
        return button
