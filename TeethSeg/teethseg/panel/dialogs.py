"""Questions to the user that must be answered before anything goes on."""

from __future__ import annotations

from collections.abc import Sequence

import qt

from ..application.i18n import _


class Dialogs:
    """Modal windows above `parent`; tests answer in its place."""

    def __init__(self, parent):
        self._parent = parent

    def choose(self, text: str, options: Sequence[str]) -> int | None:
        """Ask for one of several ways to go on; Enter cancels.

        Returns
        -------
        int or None
            Index of the option; None if the user cancels.
        """
        box = qt.QMessageBox(self._parent)
        box.setIcon(qt.QMessageBox.Question)
        box.setWindowTitle("TeethSeg")
        box.setText(text)
        buttons = [qt.QPushButton(option) for option in options]
        for button in buttons:
            box.addButton(button, qt.QMessageBox.AcceptRole)
        cancel = qt.QPushButton(_("Cancel"))
        box.addButton(cancel, qt.QMessageBox.RejectRole)
        box.setEscapeButton(cancel)
        box.setDefaultButton(cancel)
        run = getattr(box, "exec", None) or box.exec_
        run()
        clicked = box.clickedButton()
        return next((n for n, button in enumerate(buttons) if button == clicked), None)

    def error(self, text: str, details: str) -> None:
        """Tell of an error that nobody expected; the details are shown when asked for."""
        box = qt.QMessageBox(self._parent)
        box.setIcon(qt.QMessageBox.Critical)
        box.setWindowTitle("TeethSeg")
        box.setText(text)
        box.setDetailedText(details)
        run = getattr(box, "exec", None) or box.exec_
        run()

    def folder(self, title: str, start: str) -> str:
        """A folder that the user chooses; empty if none."""
        return qt.QFileDialog.getExistingDirectory(self._parent, title, start)

    def file_to_save(self, title: str, start: str, kinds: str) -> str:
        """A file name that the user chooses to write to; empty if none."""
        return qt.QFileDialog.getSaveFileName(self._parent, title, start, kinds)
