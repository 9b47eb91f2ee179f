"""The section "Many scans": a folder of scans is segmented into a folder of results."""

from __future__ import annotations

import ctk

from ..application.batch_run import BatchRun
from ..application.i18n import _
from ..application.segmentation import dentition_options
from .context import POLL, Context, start_task
from .message_line import MessageLine
from .option_widgets import Choice, remembered


class BatchSection:
    """See module."""

    def __init__(self, context: Context):
        self._context, self._ui = context, context.ui
        self.run = BatchRun(context.prepare, start_task)
        self._timer = context.every(POLL, self.run.poll)
        self._line = MessageLine(context, context.ui.batchMessage)
        for name in ("BatchFolder", "BatchOutput"):
            self._path(name).filters = ctk.ctkPathLineEdit.Dirs
            context.remember_path(self._path(name), name)
        self._dentition = Choice(context.ui.batchDentitionCombo, dentition_options())
        context.clicked("batchButton", lambda: self._line.telling(self._on_button))
        self.run.changed.connect(self.update)
        self.run.ended.connect(context.dialogs.open_file)
        self.update()

    def update(self) -> None:
        """Show how far it is."""
        ui, run = self._ui, self.run
        if run.running != self._timer.active:
            (self._timer.start if run.running else self._timer.stop)()
        ui.batchButton.text = _("Cancel") if run.running else _("Segment all scans of the folder")
        ui.batchProgress.setVisible(run.running)
        ui.batchProgress.value = int(1000 * run.fraction)
        paths = (self._path("BatchFolder"), self._path("BatchOutput"))
        for part in (*paths, ui.batchDentitionCombo, ui.batchSurfacesCheckBox):
            part.enabled = not run.running
        text, kind, details = run.message
        self._line.say(run.status or text, "info" if run.running else kind, "" if run.running else details)

    def _on_button(self) -> None:
        if self.run.running:
            self.run.cancel()
            return
        folder, output = (self._path(name).currentPath for name in ("BatchFolder", "BatchOutput"))
        surfaces, notation = self._ui.batchSurfacesCheckBox.checked, self._context.case.notation
        device, weights = remembered("Device") or "auto", remembered("Weights")
        self.run.start(folder, output, device, notation, surfaces, weights, self._dentition.value)

    def _path(self, name: str):
        return getattr(self._ui, f"b{name[1:]}Path")
