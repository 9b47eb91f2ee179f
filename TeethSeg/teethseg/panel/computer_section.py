"""The section "My computer": checks of packages, memory and weights, installation, and weights from a file."""

from __future__ import annotations

import qt
import slicer

from ..application.computer_check import ComputerCheck, check_html
from ..application.i18n import _
from ..application.packages import worker_python
from .context import Context
from .message_line import MessageLine
from .option_widgets import remembered


class ComputerSection:
    """See module."""

    def __init__(self, context: Context):
        self._prepare = context.prepare
        self._ui = ui = context.ui
        self._line = MessageLine(context, ui.checkLabel)
        self._computer = ComputerCheck(context.case)
        self._computer.changed.connect(self._on_looked)
        ui.weightsPath.nameFilters = [_("Weights (*.safetensors)")]
        context.remember_path(ui.weightsPath, "Weights")
        context.clicked("checkButton", self.check)
        context.clicked("installButton", lambda: self._line.telling(self._install))
        context.clicked("copyCheckButton", lambda: qt.QApplication.clipboard().setText(self._computer.report()))
        ui.copyCheckButton.enabled = False

    def check(self) -> None:
        """Check the computer and show the results; this takes some seconds."""
        self._line.telling(self._computer.check, remembered("Weights"), worker_python())

    def _on_looked(self) -> None:
        ui, checking, checks = self._ui, self._computer.checking, self._computer.checks
        ui.checkButton.enabled, ui.copyCheckButton.enabled = not checking, bool(checks)
        self._line.say(_("Looking …") if checking else "".join(map(check_html, checks)))
        if checking:
            slicer.app.processEvents()

    def _install(self) -> None:
        self._line.say(_("All packages are there.") if self._prepare() else _("Nothing was installed."))
