"""The section "My computer": is everything there that a run needs, and weights from a file."""

from __future__ import annotations

import html
from collections.abc import Callable

import qt
import slicer

from ..application.computer import ComputerCheck
from ..application.i18n import _
from ..errors import TeethSegError
from .context import Context
from .option_widgets import remember, remembered

_MARKS = {True: ("✓", "#2e7d32"), False: ("✗", "#c62828")}


class ComputerSection:
    """See module.

    Parameters
    ----------
    context : Context
    prepare : callable
        Makes sure that all packages are there, see `SegmentSection`.
    """

    def __init__(self, context: Context, prepare: Callable[[], bool]):
        self._ui, self._prepare = context.ui, prepare
        ui = context.ui
        self._computer = ComputerCheck(context.case)
        self._computer.changed.connect(self._on_looked)
        ui.weightsPath.nameFilters = [_("Weights (*.safetensors)")]
        ui.weightsPath.currentPath = remembered("Weights")
        ui.weightsPath.connect("currentPathChanged(QString)", self._on_weights)
        ui.checkButton.connect("clicked(bool)", self.check)
        ui.installButton.connect("clicked(bool)", self._on_install)
        ui.copyCheckButton.connect("clicked(bool)", self._on_copy)
        ui.checkLabel.setVisible(False)
        ui.copyCheckButton.enabled = False

    def refresh(self) -> None:
        """Nothing here depends on the scene's parameters."""

    def check(self, _clicked: bool = False) -> None:
        """Look, and say what was found; takes some seconds."""
        from .segment_section import worker_python

        try:
            self._computer.look(remembered("Weights"), worker_python())
        except TeethSegError as error:
            self._show(html.escape(str(error)))

    def _on_looked(self) -> None:
        ui, looking, checks = self._ui, self._computer.looking, self._computer.checks
        ui.checkButton.enabled, ui.copyCheckButton.enabled = not looking, bool(checks)
        self._show(_("Looking …") if looking else "".join(_line(check) for check in checks))
        if looking:
            slicer.app.processEvents()

    def _show(self, text: str) -> None:
        self._ui.checkLabel.text = text
        self._ui.checkLabel.setVisible(True)

    def _on_weights(self, path: str) -> None:
        remember("Weights", path)

    def _on_install(self, _clicked: bool = False) -> None:
        try:
            ready = self._prepare()
        except TeethSegError as error:
            self._show(html.escape(str(error)))
            return
        self._show(_("All packages are there.") if ready else _("Nothing was installed."))

    def _on_copy(self, _clicked: bool = False) -> None:
        qt.QApplication.clipboard().setText(self._computer.report())


def _line(check) -> str:
    sign, colour = _MARKS[check.ok]
    text = f'<p style="margin: 3px 0"><b style="color: {colour}">{sign}</b> <b>{html.escape(check.name)}</b>: '
    text += html.escape(check.text)
    if not check.ok and check.remedy:
        text += f'<br/><span style="color: {colour}">{html.escape(check.remedy)}</span>'
    return text + "</p>"
