"""The section "Export": surfaces and segmentations into a folder, and the table of teeth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import ctk
import qt
import slicer

from ..anatomy import tooth
from ..application.failures import missing_text
from ..application.i18n import _
from ..application.texts import flag_text, tooth_name, tooth_text
from ..errors import TeethSegError, UsageError
from . import dicom_seg
from .context import Context
from .option_widgets import Choice, remember, remembered, say

if TYPE_CHECKING:
    from ..surfaces.mesh_quality import Summary

SURFACES = ("stl", "obj", "ply", "glb")
_FORMATS = (
    ("stl", _("STL: surfaces for printing")),
    ("ply", _("PLY: surfaces")),
    ("obj", _("OBJ: surfaces")),
    ("glb", _("glTF: surfaces with colours")),
    ("seg.nrrd", _("Segmentation for 3D Slicer (.seg.nrrd)")),
    ("nii.gz", _("Label map with FDI numbers (.nii.gz)")),
)
_DICOM = ("dcm", _("DICOM SEG"))
_TRIANGLES = {"all": None, "half": 0.05, "few": 0.1}  # greatest distance to the full surface, mm
_GAPS = ("0", "0.1", "0.2", "0.3")  # mm


class ExportSection:
    """See module."""

    def __init__(self, context: Context):
        self._ui, self._case, self._dialogs = context.ui, context.case, context.dialogs
        self._parameters = lambda: context.parameters
        ui, case = context.ui, context.case
        self._rows: list[dict] = []
        self._choices = {
            "format": Choice(
                ui.formatCombo,
                (*_FORMATS, *([_DICOM] if dicom_seg.available() else [])),
                lambda value: self._keep("format", value),
            ),
            "parts": Choice(
                ui.partsCombo,
                [
                    ("tooth", _("One for every tooth")),
                    ("jaw", _("One for each jaw, teeth apart")),
                    ("merged", _("One for each jaw, touching teeth joined")),
                    ("bone", _("One for each jaw, teeth in the bone around their roots")),
                ],
                lambda value: self._keep("parts", value),
            ),
            "space": Choice(
                ui.spaceCombo,
                [("LPS", _("LPS, as most programs expect")), ("RAS", _("RAS, as 3D Slicer itself"))],
                lambda value: self._keep("space", value),
            ),
            "smoothing": Choice(
                ui.smoothingCombo,
                [("none", _("None")), ("light", _("Light")), ("strong", _("Strong"))],
                lambda value: self._keep("smoothing", value),
            ),
            "triangles": Choice(
                ui.trianglesCombo,
                [("all", _("All")), ("half", _("Fewer, at most 0.05 mm off")), ("few", _("Few, at most 0.1 mm off"))],
                lambda value: self._keep("triangles", value),
            ),
            "gap": Choice(
                ui.gapCombo,
                [(gap, _("{gap} mm of air").format(gap=gap) if gap != "0" else _("No gap")) for gap in _GAPS],
                lambda value: self._keep("gap", value),
            ),
            "inside": Choice(
                ui.insideCombo,
                [("solid", _("Solid")), ("hollow", _("Pulp hollow"))],
                lambda value: self._keep("inside", value),
            ),
            "naming": Choice(
                ui.namingCombo,
                [("fdi", _("FDI numbers")), ("universal", _("Universal numbers"))],
                lambda value: self._keep("naming", value),
            ),
        }
        ui.exportPath.filters = ctk.ctkPathLineEdit.Dirs
        ui.exportPath.currentPath = remembered("ExportFolder")
        ui.exportPath.connect("currentPathChanged(QString)", self._on_folder)
        ui.exportButton.connect("clicked(bool)", self.export)
        ui.csvButton.connect("clicked(bool)", self._on_csv)
        ui.tableButton.connect("clicked(bool)", self._on_table)
        ui.exportSection.connect("contentsCollapsed(bool)", self._on_opened)
        ui.teethTable.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        ui.teethTable.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        ui.teethTable.verticalHeader().setVisible(False)
        ui.teethTable.verticalHeader().setDefaultSectionSize(22)
        ui.teethTable.horizontalHeader().setStretchLastSection(True)
        say(ui.exportMessage, "")
        case.changed.connect(self.update)

    def refresh(self) -> None:
        """Show the parameters of the scene as it is now."""
        parameters = self._parameters()
        if parameters is not None:
            for name, choice in self._choices.items():
                choice.show(getattr(parameters, name))
        self.update()

    def update(self) -> None:
        """Show what can be exported, and the table of teeth while it can be seen."""
        ui = self._ui
        surfaces = self._choices["format"].value in SURFACES
        for name in ("partsCombo", "spaceCombo", "smoothingCombo", "trianglesCombo", "namingCombo"):
            getattr(ui, name).enabled = surfaces
        ui.gapCombo.enabled = ui.insideCombo.enabled = surfaces and self._choices["parts"].value in ("tooth", "jaw")
        ready = self._case.editable
        ui.exportButton.enabled = ready and bool(ui.exportPath.currentPath)
        ui.exportButton.toolTip = (
            _("Write the files.") if ui.exportButton.enabled else _("Choose a folder; there must be teeth.")
        )
        ui.csvButton.enabled = ui.tableButton.enabled = ready
        if not ui.exportSection.collapsed:
            self._rows = self.rows() if ready else []
            self._fill()

    def rows(self) -> list[dict]:
        """What is known of each tooth, in the order of the FDI numbers."""
        from ..cascade.tooth_properties import measure

        try:
            scan = self._case.scan()
            measures = measure(scan.with_array(self._case.labels()))
        except TeethSegError as error:
            say(self._ui.exportMessage, str(error), "error")
            return []
        places = {place.fdi: place for place in self._case.chart() if place.present}
        return [
            {
                "fdi": fdi,
                "universal": tooth(fdi).universal,
                "palmer": tooth(fdi).palmer,
                "name": tooth_name(fdi),
                "volume_mm3": round(measures[fdi].volume_mm3, 1),
                "confidence": places[fdi].confidence,
                "flags": ", ".join(flag_text(flag) for flag in places[fdi].flags),
            }
            for fdi in sorted(measures)
            if fdi in places
        ]

    def export(self, _clicked: bool = False) -> None:
        """Write the files; asks before it overwrites any."""
        folder = Path(self._ui.exportPath.currentPath)
        try:
            if not folder.is_dir():
                folder.mkdir(parents=True)
            written = self._written(folder)
            if written is None:
                return
        except OSError as error:
            say(
                self._ui.exportMessage,
                _("The folder cannot be made ({reason}).").format(reason=error.strerror),
                "error",
            )
            return
        except TeethSegError as error:
            say(self._ui.exportMessage, str(error), "error")
            return
        except ImportError as error:
            say(self._ui.exportMessage, missing_text(error), "error")
            return
        files, checked, warnings = written
        text = _("{count} files written to {folder}.").format(count=len(files), folder=folder)
        lines = [text, *([_summary_text(checked)] if checked else []), *warnings]
        say(self._ui.exportMessage, "\n".join(lines), "warning" if warnings else "info")

    def _written(self, folder: Path) -> tuple[Sequence[Path], Summary | None, Sequence[str]] | None:
        """Files, what their meshes are like, and warnings; None if nothing is to be overwritten."""
        kind = self._choices["format"].value
        scan = self._case.scan()
        labels = scan.with_array(self._case.labels())
        if kind in SURFACES:
            from ..surfaces.export import ExportOptions, export
            from ..surfaces.files import check_surface_folder

            parts = self._choices["parts"].value
            apart = parts in ("tooth", "jaw")
            options = ExportOptions(
                format=kind,
                parts=parts,
                space=self._choices["space"].value,
                smoothing=self._choices["smoothing"].value,
                error_mm=_TRIANGLES[self._choices["triangles"].value],
                gap_mm=float(self._choices["gap"].value) if apart else 0.0,
                pulp=apart and self._choices["inside"].value == "hollow",
                naming=self._choices["naming"].value,
            )
            overwrite = False
            try:
                check_surface_folder(folder)
            except UsageError as error:
                overwrite = self._may_overwrite(str(error))
                if not overwrite:
                    return None
            result = export(
                folder, labels, options, overwrite, maps=self._case.maps, image=scan, progress=self._on_progress
            )
            return result.files, result.summary, result.warnings
        from ..io.files import write_labels

        name = (
            "".join(c if c.isalnum() or c in "-_ " else "_" for c in self._case.teeth_node.GetName()).strip() or "teeth"
        )
        file = folder / f"{name}.{kind}"
        if file.exists() and not self._may_overwrite(_("{name} is there already.").format(name=file.name)):
            return None
        if kind == _DICOM[0]:
            dicom_seg.write_dicom_seg(
                folder, file.stem, self._case.teeth_node, self._case.volume_node, self._case.corrected()
            )
        else:
            write_labels(file, labels, notation=self._parameters().notation)
        return [file], None, []

    def _may_overwrite(self, why: str) -> bool:
        return self._dialogs.choose(why, [_("Overwrite")]) == 0

    def _on_progress(self, step: str, done: int, total: int) -> None:
        say(self._ui.exportMessage, _("Making surfaces …"))
        slicer.app.processEvents()

    def _keep(self, name: str, value: str) -> None:
        setattr(self._parameters(), name, value)
        self.update()

    def _on_folder(self, path: str) -> None:
        remember("ExportFolder", path)
        self.update()

    def _on_opened(self, collapsed: bool) -> None:
        if not collapsed:
            self.update()

    def _fill(self) -> None:
        table = self._ui.teethTable
        notation = self._parameters().notation if self._parameters() else "fdi"
        titles = [_("Tooth"), _("Name"), _("mm³"), _("Sure"), _("Look at")]
        table.setColumnCount(len(titles))
        table.setHorizontalHeaderLabels(titles)
        table.setRowCount(len(self._rows))
        for n, row in enumerate(self._rows):
            sure = "" if row["confidence"] is None else f"{100 * row['confidence']:.0f} %"
            cells = (tooth_text(row["fdi"], notation), row["name"], f"{row['volume_mm3']:.0f}", sure, row["flags"])
            for column, text in enumerate(cells):
                table.setItem(n, column, qt.QTableWidgetItem(text))
        table.resizeColumnsToContents()

    def _on_csv(self, _clicked: bool = False) -> None:
        start = str(Path(self._ui.exportPath.currentPath or ".") / "teeth.csv")
        name = self._dialogs.file_to_save(_("Save the table of teeth"), start, _("Table (*.csv)"))
        if not name:
            return
        rows = self._measured()
        if rows is None:
            return
        from ..surfaces.measures import write_csv

        try:
            write_csv(name, rows)
        except TeethSegError as error:
            say(self._ui.exportMessage, str(error), "error")
            return
        say(self._ui.exportMessage, _("{name} was written.").format(name=name))

    def _on_table(self, _clicked: bool = False) -> None:
        from ..mrml.tables import tooth_table

        rows = self._measured()
        if rows is None:
            return
        node = tooth_table(self._case.scene, rows)
        say(self._ui.exportMessage, _("The table is in the scene under the name '{name}'.").format(name=node.GetName()))

    def _measured(self) -> list[dict] | None:
        """The rows with the measures for planning; None if something is missing, which is said."""
        try:
            from ..surfaces.export import tooth_surfaces
            from ..surfaces.measures import measure_teeth

            labels = self._case.scan().with_array(self._case.labels())
            made, _warnings = tooth_surfaces(labels, maps=self._case.maps, progress=self._on_progress)
        except ImportError as error:
            say(self._ui.exportMessage, missing_text(error), "error")
            return None
        except TeethSegError as error:
            say(self._ui.exportMessage, str(error), "error")
            return None
        found = measure_teeth(labels, {fdi: one.mesh for fdi, one in made.items()})
        measures = {one.fdi: one.row() for one in found}
        # What is known of a tooth comes first, then what was measured beside it.
        return [row | (measures.get(row["fdi"], {}) | row) for row in self.rows()]


def _summary_text(checked: Summary) -> str:
    if not checked.meshes:
        return _("There are no surfaces.")
    return _(
        "{sound} of {count} surfaces are closed, manifold and free of crossings. Volumes are within {percent} % of the "
        "labels, 95 % of each surface within {distance} mm of its label."
    ).format(
        sound=checked.sound,
        count=checked.meshes,
        percent=f"{checked.volume_percent:.1f}",
        distance=f"{checked.distance_mm:.2f}",
    )
