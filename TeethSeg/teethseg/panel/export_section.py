"""The section "Export": surfaces, segmentations, report and tables into a folder, and the table of teeth."""

from __future__ import annotations

import functools
from pathlib import Path

import ctk
import qt

from ..application import dicom_seg, export
from ..application.background_tasks import export_task, measurement_task, written_of
from ..application.export import Exporter, ExportJob, Written
from ..application.i18n import _
from .context import Context
from .message_line import MessageLine
from .option_widgets import Choice, remember, remembered


class ExportSection:
    """See module."""

    def __init__(self, context: Context):
        self._context, self._ui, self._case = context, context.ui, context.case
        self._exporter = Exporter(context.case)
        self._line = MessageLine(context, context.ui.exportMessage)
        self._working = False
        ui = context.ui
        self._choices = {
            field.key: Choice(
                getattr(ui, f"{field.key}Combo"),
                field.options,
                context.guarded(functools.partial(self._keep, field.key)),
            )
            for field in export.fields(dicom=True)
        }
        ui.exportPath.filters = ctk.ctkPathLineEdit.Dirs
        ui.exportPath.currentPath = remembered("ExportFolder")
        context.connect(ui.exportPath, "currentPathChanged(QString)", self._on_folder)
        context.clicked("exportButton", self.export)
        context.clicked("exportCancelButton", context.tasks.cancel)
        context.clicked("csvButton", self._on_csv)
        context.clicked("tableButton", self._on_table)
        context.connect(ui.exportSection, "contentsCollapsed(bool)", lambda _collapsed: self.update())
        context.case.changed.connect(self.update)
        context.tasks.changed.connect(self._on_task)

    def refresh(self) -> None:
        """Show the parameters of the scene as it is now."""
        if self._context.parameters is not None:
            for name, choice in self._choices.items():
                choice.show(getattr(self._context.parameters, name))
        self.update()

    def update(self) -> None:
        """Enable the exports that are possible, and fill the table of teeth while it is visible."""
        ui, ready = self._ui, self._case.editable
        used = export.in_use(self._values())
        for key in self._choices:
            getattr(ui, f"{key}Combo").enabled = key in used
        working = self._context.tasks.working
        ui.exportButton.enabled = ready and bool(ui.exportPath.currentPath) and not working
        ui.exportButton.toolTip = (
            _("Write the files.") if ui.exportButton.enabled else _("Choose a folder; there must be teeth.")
        )
        ui.csvButton.enabled = ui.tableButton.enabled = ready and not working
        ui.exportProgress.setVisible(working)
        ui.exportCancelButton.setVisible(working)
        if not ui.exportSection.collapsed:
            self._fill(self._exporter.rows() if ready else [])

    def export(self) -> None:
        """Write the files; asks before it overwrites any."""
        self._line.telling(self._ask_and_write, Path(self._ui.exportPath.currentPath))

    def _ask_and_write(self, folder: Path) -> None:
        export.make_folder(folder)
        job = self._exporter.job(self._values())
        question = export.question(job, folder)

        def answer(choice: int | None) -> None:
            if choice is not None:
                self._line.telling(self._write, job, folder, bool(question))

        if question:
            self._context.ask(question, [_("Overwrite")], answer)
        else:
            answer(0)

    def _write(self, job: ExportJob, folder: Path, overwrite: bool) -> None:
        if job.kind == "dcm" and not dicom_seg.has_library():
            self._say_written(self._exporter.dicom(job, folder), folder)
            return
        task = export_task(job, folder, overwrite)
        self._line.order(task, _("The export"), lambda result: self._say_written(written_of(result), folder))

    def _say_written(self, written: Written, folder: Path) -> None:
        self._line.say(written.text(folder), "warning" if written.warnings else "info")

    def _on_task(self) -> None:
        tasks = self._context.tasks
        self._ui.exportProgress.value = int(1000 * tasks.fraction)
        if tasks.working != self._working:
            self._working = tasks.working
            self.update()

    def _values(self) -> dict[str, str]:
        return {key: choice.value for key, choice in self._choices.items()}

    def _keep(self, name: str, value: str) -> None:
        self._context.keep(name, value)
        self.update()

    def _on_folder(self, path: str) -> None:
        remember("ExportFolder", path)
        self.update()

    def _fill(self, rows: list[dict]) -> None:
        table = self._ui.teethTable
        titles = export.table_titles()
        table.setColumnCount(len(titles))
        table.setHorizontalHeaderLabels(titles)
        table.setRowCount(len(rows))
        for n, row in enumerate(rows):
            for column, text in enumerate(export.table_cells(row, self._case.notation)):
                table.setItem(n, column, qt.QTableWidgetItem(text))
        table.resizeColumnsToContents()

    def _on_csv(self) -> None:
        start = str(Path(self._ui.exportPath.currentPath or ".") / export.TABLE)
        name = self._context.dialogs.file_to_save(_("Save the table of teeth"), start, _("Table (*.csv)"))
        if name:
            self._line.telling(self._measure, functools.partial(self._write_csv, name))

    def _write_csv(self, name: str, result: dict) -> None:
        from ..surfaces.measures import write_csv

        write_csv(name, result["rows"])
        self._line.say(_("{name} was written.").format(name=name))

    def _on_table(self) -> None:
        self._line.telling(self._measure, self._put_table)

    def _put_table(self, result: dict) -> None:
        from ..mrml.tables import tooth_table

        node = tooth_table(self._case.scene, result["rows"])
        self._line.say(_("The table is in the scene under the name '{name}'.").format(name=node.GetName()))

    def _measure(self, done) -> None:
        self._line.order(measurement_task(self._exporter.job({"format": "csv"})), _("The table"), done)
