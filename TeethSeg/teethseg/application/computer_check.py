"""`ComputerCheck`: whether the computer has everything that a run needs, and the remedy if not."""

from __future__ import annotations

import html
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .case import Case
from .signals import Signal

if TYPE_CHECKING:
    from ..worker.computer import Check


class ComputerCheck:
    """See module; `checks` is empty until it has checked.

    Attributes
    ----------
    changed : Signal
        It has begun to check, or has checked.
    """

    def __init__(self, case: Case):
        self._case = case
        self.checking = False
        self.checks: list[Check] = []
        self.changed = Signal()

    def check(self, weights: str = "", python: str = sys.executable) -> None:
        """Check the computer; this takes some seconds.

        Parameters
        ----------
        weights : str
            Path of a file; empty for those that ship with TeethSeg.
        python : str
            The interpreter that the worker runs in.
        """
        from ..worker.computer import check_computer

        case = self._case
        scan = case.scan() if case.volume_node is not None else None
        self.checking, self.checks = True, []
        self.changed.emit()

        def done(checks: list[Check]) -> None:
            self.checking, self.checks = False, checks
            self.changed.emit()

        def failed(error: Exception) -> None:
            done([])
            case.tell(error)

        case.compute(lambda: check_computer(scan, Path(weights) if weights else None, python), done, failed)

    def report(self) -> str:
        """All checks in lines, to be copied into a letter."""
        return "\n".join(
            f"{'ok' if check.ok else 'NOT OK'}  {check.name}: {check.text}" + ("" if check.ok else f" {check.remedy}")
            for check in self.checks
        )


def check_html(check: Check) -> str:
    """A check as a paragraph of HTML, with its remedy if it failed."""
    sign, colour = ("✓", "#2e7d32") if check.ok else ("✗", "#c62828")
    text = f'<p style="margin: 3px 0"><b style="color: {colour}">{sign}</b> <b>{html.escape(check.name)}</b>: '
    text += html.escape(check.text)
    if not check.ok and check.remedy:
        text += f'<br/><span style="color: {colour}">{html.escape(check.remedy)}</span>'
    return text + "</p>"
