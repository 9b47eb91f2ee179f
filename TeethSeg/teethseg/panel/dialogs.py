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
        """Ask for one of several ways to go on; returns its index, or None if the user cancels. Enter cancels."""
        box = self._box(qt.QMessageBox.Question, text)
        buttons = [qt.QPushButton(option) for option in options]
        for button in buttons:
            box.addButton(button, qt.QMessageBox.AcceptRole)
        cancel = qt.QPushButton(_("Cancel"))
        box.addButton(cancel, qt.QMessageBox.RejectRole)
        box.setEscapeButton(cancel)
        box.setDefaultButton(cancel)
        _run(box)
        clicked = box.clickedButton()
        return next((n for n, button in enumerate(buttons) if button == clicked), None)

    def error(self, text: str, details: str) -> None:
        """Tell of an error that nobody expected; the details are shown when asked for."""
        box = self._box(qt.QMessageBox.Critical, text)
        box.setDetailedText(details)
        _run(box)

    def folder(self, title: str, start: str) -> str:
        """A folder that the user chooses; empty if none."""
        return qt.QFileDialog.getExistingDirectory(self._parent, title, start)

    def file_to_save(self, title: str, start: str, kinds: str) -> str:
        """A file name that the user chooses to write to; empty if none."""
        return qt.QFileDialog.getSaveFileName(self._parent, title, start, kinds)

    def open_file(self, file: str) -> None:
        """Show a file by the program that the system has for it."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(file))

    def _box(self, icon, text: str) -> qt.QMessageBox:
        box = qt.QMessageBox(self._parent)
        box.setIcon(icon)
        box.setWindowTitle("TeethSeg")
        box.setText(text)
        return box


def _run(box) -> None:
    run = getattr(box, "exec", None) or box.exec_  # before Qt 6
    run()
