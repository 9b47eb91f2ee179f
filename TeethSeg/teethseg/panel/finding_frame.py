"""The frame in the section "Teeth" that asks about the dentition as a whole."""

from __future__ import annotations

import functools

import qt

from .context import Context
from .option_widgets import mark

ANSWERS = ("findingAnswer1Button", "findingAnswer2Button", "findingAnswer3Button", "findingAnswer4Button")


class FindingFrame:
    """One finding, a button for each answer; answers beyond the fourth are in a menu."""

    def __init__(self, context: Context):
        self._context, self._ui, self._findings = context, context.ui, context.findings
        for index, name in enumerate(ANSWERS):
            context.clicked(name, functools.partial(self._findings.answer, index))
        context.clicked("findingLeaveButton", self._leave)
        context.clicked("findingShowButton", self._show)
        self._more = qt.QMenu(self._ui.findingFrame)
        self._ui.findingMoreButton.setMenu(self._more)
        mark(self._ui.findingFrame, "info")
        self._findings.changed.connect(self.update)
        self.update()

    @property
    def asks(self) -> bool:
        """Whether there is a question in it."""
        return bool(self._findings.answers())

    def update(self) -> None:
        """Show the finding that is asked about now."""
        ui, answers = self._ui, self._findings.answers()
        ui.findingFrame.setVisible(bool(answers))
        if not answers:
            return
        ui.findingLabel.text = self._findings.text()
        *given, leave = answers
        for name, text in zip(ANSWERS, [*given, *[""] * len(ANSWERS)], strict=False):
            button = getattr(ui, name)
            button.text = text
            button.setVisible(bool(text))
        ui.findingLeaveButton.text = leave
        ui.findingShowButton.enabled = self._findings.first is not None
        ui.findingMoreButton.setVisible(len(given) > len(ANSWERS))
        self._more.clear()
        for index, text in enumerate(given[len(ANSWERS) :], start=len(ANSWERS)):
            action, act = qt.QAction(text, self._more), self._context.guarded(self._findings.answer)
            action.connect("triggered(bool)", lambda _checked=False, act=act, index=index: act(index))
            self._more.addAction(action)

    def _leave(self) -> None:
        self._findings.answer(len(self._findings.answers()) - 1)

    def _show(self) -> None:
        if self._findings.first is not None:
            self._context.look.choose(self._findings.first)
