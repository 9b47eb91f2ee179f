"""The sections "Export" and "My computer"."""

from __future__ import annotations

import csv
import importlib.machinery
import json
import sys
import types
from pathlib import Path

import numpy as np
import psutil
import pydicom
import pytest

from dicom_series import write_series
from panel_harness.actions import choose, wait
from teethseg.io.files import read_labels, read_teeth
from teethseg.mrml.segments import tag
from teethseg.mrml.volumes import volume_of
from teethseg.resampling import labels_on_grid


@pytest.fixture
def folder(shown, tmp_path):
    target = tmp_path / "export"
    shown.ui.exportPath.setCurrentPath(str(target))
    return target


def test_nothing_to_export_yet(panel, tmp_path, picture):
    panel.ui.exportPath.setCurrentPath(str(tmp_path))
    assert not panel.ui.exportButton.enabled and "there must be teeth" in panel.ui.exportButton.toolTip
    assert not panel.ui.csvButton.enabled


def test_a_table_shows_what_was_found(shown, picture):
    shown.ui.exportSection.collapsed = False
    table = shown.ui.teethTable
    assert table.rowCount == 27
    cells = {table.item(n, 0).text(): [table.item(n, c).text() for c in range(1, 5)] for n in range(table.rowCount)}
    # 16 x 7 x 5 voxels of 0.125 mm3
    assert cells["36"] == ["lower left first molar", "70", "61 %", "number uncertain"]
    shown.ui.notationCombo.currentIndex = 1
    picture("export", "export")
    assert "#19" in {table.item(n, 0).text() for n in range(table.rowCount)}


@pytest.mark.slow
def test_surfaces_for_printing(shown, folder, answers, picture):
    choose(shown.ui.formatCombo, "STL")
    choose(shown.ui.namingCombo, "Universal")
    choose(shown.ui.smoothingCombo, "None")
    shown.ui.exportButton.click()
    assert shown.ui.exportMessage.text.startswith(f"27 files written to {folder}."), shown.ui.exportMessage.text
    assert "27 of 27 surfaces are closed, manifold" in shown.ui.exportMessage.text
    names = {path.name for path in folder.glob("*.stl")}
    assert {"3.stl", "14.stl", "19.stl"} <= names and len(names) == 27
    picture("export-done", "export")
    # Nothing is overwritten without asking.
    before = (folder / "3.stl").stat().st_mtime_ns
    answers.choice = None
    shown.ui.exportButton.click()
    assert answers.asked == [f"{folder} holds surfaces of an earlier export. Overwrite them?"]
    assert (folder / "3.stl").stat().st_mtime_ns == before
    answers.choice = 0
    shown.ui.exportButton.click()
    assert (folder / "3.stl").stat().st_mtime_ns > before


@pytest.mark.slow
def test_a_gap_between_teeth_and_a_hollow_or_no_gap_in_one_jaw(shown, folder):
    choose(shown.ui.formatCombo, "STL")
    choose(shown.ui.gapCombo, "0.2")
    choose(shown.ui.insideCombo, "Pulp")
    shown.ui.exportButton.click()
    made = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert made["gap_mm"] == 0.2 and made["hollow_pulp"] is True
    assert "no pulp was found in the scan" in shown.ui.exportMessage.text
    choose(shown.ui.partsCombo, "One for each jaw, teeth in the bone")
    assert not shown.ui.gapCombo.enabled and not shown.ui.insideCombo.enabled
    target = folder.with_name("jaw")
    shown.ui.exportPath.setCurrentPath(str(target))
    shown.ui.exportButton.click()
    made = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    assert made["gap_mm"] == 0 and made["bone_mm"] == 4
    # The scan of the fixture shows no bone. The panel says so and makes no bone surface.
    assert "no bone can be distinguished from soft tissue" in shown.ui.exportMessage.text


@pytest.mark.parametrize(("kind", "ending"), [("Segmentation", ".seg.nrrd"), ("Label map", ".nii.gz")])
def test_label_maps(shown, folder, answers, jaws, kind, ending):
    choose(shown.ui.formatCombo, kind)
    assert not shown.ui.smoothingCombo.enabled
    shown.ui.exportButton.click()
    file = folder / f"scan teeth{ending}"
    labels = read_labels(file)
    assert np.array_equal(labels.array, jaws[1].labels.array)
    np.testing.assert_allclose(labels.origin, jaws[0].origin, atol=1e-4)
    shown.ui.exportButton.click()
    assert answers.asked == [f"{file.name} is there already. Overwrite it?"]


def test_a_report_tells_the_teeth_as_they_are_now(shown, folder):
    shown.panel.context.relabelling.renumber(36, 37)
    choose(shown.ui.formatCombo, "Report")
    shown.ui.exportButton.click()
    assert shown.ui.exportMessage.text == f"1 file written to {folder}."
    rows = {row["fdi"]: row for row in json.loads((folder / "scan teeth.json").read_text(encoding="utf-8"))["teeth"]}
    assert len(rows) == 27 and rows[37]["confidence"] is None and rows[47]["confidence"] == 0.72
    assert rows[16]["volume_mm3"] == 70 and rows[17]["touches_border"] and rows[16]["centroid_lps_mm"]


def test_a_scan_of_a_very_long_name_is_exported_under_its_beginning(shown, folder):
    shown.case.teeth_node.SetName("ä" * 300)
    choose(shown.ui.formatCombo, "Report")
    shown.ui.exportButton.click()
    (file,) = folder.iterdir()
    assert file.name.startswith("ää") and file.suffix == ".json"


def test_an_export_that_fails_unexpectedly_ends_in_a_line_and_a_message(shown, folder, answers, monkeypatch):
    def fail(*_arguments, **_options):
        raise TypeError("Object of type int64 is not JSON serializable")

    monkeypatch.setattr("teethseg.surfaces.export.export", fail)
    shown.ui.exportButton.click()
    assert "int64" in shown.ui.exportMessage.text and "#c62828" in shown.ui.exportMessage.styleSheet
    ((text, details),) = answers.errors
    assert "int64" in text and "Traceback" in details


def test_dicom_seg_refers_to_the_images_of_slicers_database(shown, folder, tmp_path, monkeypatch):
    import slicer

    scan = volume_of(shown.volume)
    files = write_series(tmp_path / "disc", scan.with_array(np.zeros(scan.array.shape, np.int16)))
    headers = {pydicom.dcmread(file).SOPInstanceUID: str(file) for file in files}
    choose(shown.ui.formatCombo, "DICOM SEG")
    shown.ui.exportButton.click()
    assert "a study of its own" in shown.ui.exportMessage.text
    dataset = pydicom.dcmread(folder / "scan teeth.dcm")
    assert "ReferencedSeriesSequence" not in dataset and "scan teeth" in dataset.StudyDescription
    database = types.SimpleNamespace(fileForInstance=headers.get, instanceValue=lambda uid, tag: "")
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    shown.volume.SetAttribute("DICOM.instanceUIDs", " ".join(headers))
    (folder / "scan teeth.dcm").unlink()
    shown.panel.context.relabelling.renumber(36, 37)
    shown.ui.exportButton.click()
    assert f"refers to the {len(files)} DICOM images" in shown.ui.exportMessage.text
    dataset = pydicom.dcmread(folder / "scan teeth.dcm")
    (series,) = dataset.ReferencedSeriesSequence
    assert {one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence} == set(headers)
    kinds = {item.SegmentLabel: item.SegmentAlgorithmType for item in dataset.SegmentSequence}
    assert kinds["Tooth 37"] == "SEMIAUTOMATIC" and kinds["Tooth 16"] == "AUTOMATIC" and len(kinds) == 27
    read = read_teeth(folder / "scan teeth.dcm")
    assert np.array_equal(labels_on_grid(read, scan).array, shown.panel.context.case.labels())


def test_without_highdicom_dicom_seg_is_left_to_slicers_writer(shown, module, folder, monkeypatch, desktop):
    """A stand-in for Slicer's writer shows its arguments and the message to the user."""
    from teethseg.application import dicom_seg
    from teethseg.panel.panel import Panel

    class Exporter:
        def __init__(self, node):
            self.node = node

        def export(self, directory, name, metadata, segmentIDs=None, skipEmpty=False):
            segment = self.node.GetSegmentation().GetSegment("tooth_16")
            assert tag(segment, "DICOM.SegmentAlgorithmType") == "AUTOMATIC"
            (Path(directory) / name).write_bytes(b"DICM")

        def cleanup(self):
            pass

    import slicer

    def panel_now():
        widget = slicer.util.loadUI(module.resourcePath("UI/TeethSeg.ui"))
        panel = Panel(widget, desktop.scene)
        panel.set_parameters(module.logic.getParameterNode())
        return widget, panel

    monkeypatch.setattr(dicom_seg, "has_library", lambda: False)
    widget, panel = panel_now()
    combo = panel.ui.formatCombo
    assert not [n for n in range(combo.count) if combo.itemText(n).startswith("DICOM")]
    panel.close()
    desktop.discard(widget)
    plugin = types.ModuleType("DICOMSegmentationPlugin")
    plugin.DICOMSegmentationExporter = Exporter
    plugin.__spec__ = importlib.machinery.ModuleSpec(plugin.__name__, None)
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    widget, panel = panel_now()
    choose(panel.ui.formatCombo, "DICOM SEG")
    panel.ui.exportPath.setCurrentPath(str(folder))
    panel.ui.exportButton.click()
    assert "load the scan through Slicer's DICOM module" in panel.ui.exportMessage.text
    shown.volume.SetAttribute("DICOM.instanceUIDs", "1.2 1.3")
    panel.ui.exportButton.click()
    assert (folder / "scan teeth.dcm").is_file(), panel.ui.exportMessage.text
    panel.close()
    desktop.discard(widget)


def test_a_folder_that_cannot_be_written_to_is_named(shown, tmp_path):
    (tmp_path / "file").write_text("")
    shown.ui.exportPath.setCurrentPath(str(tmp_path / "file" / "folder"))
    shown.ui.exportButton.click()
    assert "cannot be made" in shown.ui.exportMessage.text and "#c62828" in shown.ui.exportMessage.styleSheet


@pytest.mark.slow
def test_the_table_as_a_file_and_in_the_scene(shown, answers, tmp_path):
    answers.chosen_file = str(tmp_path / "teeth.csv")
    shown.ui.csvButton.click()
    with Path(answers.chosen_file).open(encoding="utf-8-sig") as file:
        rows = {row["fdi"]: row for row in csv.DictReader(file)}
    assert len(rows) == 27 and rows["17"]["flags"] == "cut off by the edge of the scan"
    assert rows["36"]["universal"] == "19" and float(rows["36"]["confidence"]) == 0.61
    # 16 x 7 x 5 voxels of 0.5 mm, the longest side upright.
    assert float(rows["36"]["length_mm"]) == pytest.approx(8, abs=0.6)
    # Across, along and square to the arch, which is oblique there: between the shorter side and the diagonal.
    assert all(2.3 < float(rows["36"][name]) < 4.4 for name in ("crown_width_mm", "crown_breadth_mm"))
    assert rows["36"]["gap_mesial_mm"] and rows["36"]["inclination_deg"] and rows["36"]["cut"] == "False"
    shown.ui.tableButton.click()
    table = shown.case.scene.GetFirstNodeByClass("vtkMRMLTableNode")
    assert table.GetNumberOfRows() == 27 and table.GetName() in shown.ui.exportMessage.text
    columns = [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())]
    assert columns[:2] == ["fdi", "universal"] and {"length_mm", "angulation_deg", "gap_distal_mm"} <= set(columns)


def test_choices_are_kept_with_the_scene(shown):
    choose(shown.ui.formatCombo, "PLY")
    choose(shown.ui.spaceCombo, "RAS")
    parameters = shown.panel.context.parameters
    assert (parameters.format, parameters.space) == ("ply", "RAS")


@pytest.mark.slow
def test_check_my_computer(shown, picture):
    import qt

    ui = shown.ui
    ui.weightsPath.setCurrentPath("/nowhere/none.safetensors")
    ui.checkButton.click()
    text = ui.checkLabel.text
    assert ui.checkButton.enabled
    assert text.count("✓") >= 3 and text.count("✗") == 1 and "none." in text
    ui.copyCheckButton.click()
    copied = qt.QApplication.clipboard().text()
    assert "NOT OK" in copied and "<" not in copied and len(copied.splitlines()) == text.count("<p")
    picture("computer", "computer")


def test_missing_packages_can_be_installed_from_the_panel(panel, monkeypatch):
    from teethseg.errors import TeethSegError

    ui = panel.ui
    ui.installButton.click()
    assert ui.checkLabel.text == "All packages are there."

    def fail():
        raise TeethSegError("Packages could not be installed (no internet): try again.")

    monkeypatch.setattr(panel.computer, "_prepare", fail)
    ui.installButton.click()
    assert "no internet" in ui.checkLabel.text


# --- in a process of its own -----------------------------------------------------------------------------------------


def test_an_export_is_made_beside_what_the_user_does_next(shown, desktop, tmp_path):
    from teethseg.panel.context import start_task

    ui, tasks = shown.ui, shown.panel.context.tasks
    tasks.launch = start_task
    ui.exportPath.setCurrentPath(str(tmp_path / "export"))
    choose(ui.formatCombo, "Label map")
    ui.exportButton.click()
    assert tasks.working and not ui.exportButton.enabled and not ui.tableButton.enabled
    assert not ui.exportProgress.isHidden() and not ui.exportCancelButton.isHidden()
    shown.panel.teeth.choose(46)
    ui.removeButton.click()  # the file holds the teeth of the moment when it was begun
    wait(desktop, lambda: not tasks.working)
    assert ui.exportMessage.text.startswith("1 file written to"), ui.exportMessage.text
    assert ui.exportButton.enabled and ui.exportCancelButton.isHidden()
    labels = read_labels(tmp_path / "export" / "scan teeth.nii.gz").array
    assert 46 in labels and 46 not in shown.case.present()


def test_a_cancelled_export_leaves_no_process_and_no_file(shown, desktop, tmp_path):
    from teethseg.panel.context import start_task

    ui, tasks = shown.ui, shown.panel.context.tasks
    runs = []
    tasks.launch = lambda task: runs.append(start_task(task)) or runs[0]
    ui.exportPath.setCurrentPath(str(tmp_path / "export"))
    ui.exportButton.click()
    wait(desktop, lambda: runs[0].started)
    process = psutil.Process(runs[0].pid)
    ui.exportCancelButton.click()
    assert not tasks.working and ui.exportMessage.text == "Cancelled. Nothing was written."
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert not runs[0].folder.exists() and not any((tmp_path / "export").iterdir())
