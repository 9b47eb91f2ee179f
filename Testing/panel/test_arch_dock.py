"""The window "Panorama" of the desktop."""

from __future__ import annotations

import types

import numpy as np
import pytest

from arch_phantom import COARSE, TURNED, phantom
from panel_harness.actions import choose, wait
from panel_harness.widgets import nodes_of
from teethseg.application.arch_viewer import DICOM_FILES, PNG_FILES
from teethseg.arch_views.frame import tooth_voxels
from teethseg.cascade.dentition import Dentition, FoundTooth


@pytest.fixture
def dock(panel, desktop, monkeypatch):
    """Opened on the teeth of a turned head, with coarse views: `test_arch_views.py` measures fine ones."""
    monkeypatch.setattr("teethseg.arch_views.box.FINEST_MM", 0.6)
    monkeypatch.setattr("teethseg.arch_views.box.COARSEST_MM", 0.6)
    from teethseg.mrml.teeth import write_teeth
    from teethseg.mrml.volumes import node_of

    head = phantom(TURNED, step=COARSE)
    volume = node_of(panel.case.scene, head.scan, "scan")
    found = tuple(FoundTooth(one.fdi, 0.9, 1.0, tuple(one.centre)) for one in tooth_voxels(head.labels))
    parameters = panel.context.parameters
    parameters.volume = volume
    parameters.segmentation = write_teeth(panel.case.scene, Dentition(head.labels, found), volume)
    panel.ui.panoramaButton.click()
    desktop.process_events()
    opened = panel.teeth.panorama
    wait(desktop, lambda: opened.viewer.ready)
    desktop.process_events()
    return types.SimpleNamespace(window=opened, panel=panel, head=head, volume=volume)


def shown(dock, view: str) -> np.ndarray:
    image = dock.window.pictures[view].pixmap.toImage()
    image = image.convertToFormat(image.Format.Format_RGB888)
    lines = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return lines[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def click(dock, view: str, x: float, y: float) -> None:
    from PySide6 import QtCore, QtTest

    label, left = dock.window.pictures[view], QtCore.Qt.LeftButton
    QtTest.QTest.mouseClick(label, left, QtCore.Qt.NoModifier, QtCore.QPoint(round(x), round(y)))


def test_it_opens_with_three_pictures(dock, desktop, tmp_path):
    for view in ("panorama", "section", "plan"):
        assert shown(dock, view).std() > 10
    assert dock.panel.ui.panoramaButton.checked
    dock.panel.ui.panoramaButton.click()
    assert not dock.window.shown and not dock.panel.ui.panoramaButton.checked


def test_a_click_moves_the_slices_and_chooses_the_tooth(dock, desktop):
    from test_views import crossing

    centre = next(one.centre for one in tooth_voxels(dock.head.labels) if one.fdi == 36)
    place = dock.window.viewer.reformat.geometry
    scale = dock.window.viewer.scales["panorama"]
    column, row, _ = place.pixel(centre)
    click(dock, "panorama", column[0] * scale, row[0] * scale)
    assert dock.panel.case.selected == 36
    assert np.linalg.norm(crossing(dock.panel.case.scene) * (-1, -1, 1) - centre) < 3
    dock.panel.teeth.choose(16)
    desktop.process_events()
    assert dock.window.viewer.chosen == 16


def test_choices_are_kept_with_the_scene(dock, desktop):
    before = shown(dock, "panorama")
    choose(dock.window.combos["projection"], "Maximum")
    dock.window.spins["slab_mm"].value = 20.0
    desktop.process_events()
    parameters = dock.panel.context.parameters
    assert (parameters.archProjection, parameters.archSlab) == ("maximum", 20.0)
    after = shown(dock, "panorama")
    assert before.shape != after.shape or np.abs(before.astype(int) - after).mean() > 2


def test_a_measure_is_a_line_of_the_scene(dock, desktop):
    dock.window.buttons["distance"].click()
    click(dock, "panorama", 100, 60)
    click(dock, "panorama", 200, 60)
    desktop.process_events()
    assert len(nodes_of(dock.panel.case.scene, "vtkMRMLMarkupsLineNode")) == 1
    dock.window.buttons["clear"].click()
    assert not nodes_of(dock.panel.case.scene, "vtkMRMLMarkupsLineNode")


def test_files_are_written_where_the_user_says(dock, answers, tmp_path):
    answers.chosen_folder, answers.chosen_file = str(tmp_path), str(tmp_path / "page.pdf")
    viewer = dock.window.viewer
    dock.window.export(viewer.export_png, PNG_FILES)
    dock.window.export(viewer.export_dicom, DICOM_FILES)
    dock.window.export_sheet()
    names = {file.name for file in tmp_path.iterdir() if file.is_file()}
    assert {"panorama.png", "sections.png", "panorama.dcm", "section_01.dcm", "page.pdf"} <= names
    assert "was written" in dock.window.message.text


def test_files_that_are_there_are_replaced_only_if_the_user_says_so(dock, answers, tmp_path):
    answers.chosen_folder = str(tmp_path)
    (tmp_path / "panorama.png").write_bytes(b"another patient's")
    for answers.choice, replaced in ((None, False), (0, True)):
        dock.window.export(dock.window.viewer.export_png, PNG_FILES)
        assert answers.asked.pop() == "Files of that name are there already (panorama.png). Overwrite them?"
        assert ((tmp_path / "panorama.png").stat().st_size > 1000) == replaced
        assert (tmp_path / "sections.png").exists() == replaced
    for number in range(3):
        (tmp_path / f"section_{number:02d}.dcm").touch()
    answers.choice = None
    dock.window.export(dock.window.viewer.export_dicom, DICOM_FILES)
    assert (
        answers.asked.pop()
        == "Files of that name are there already (section_00.dcm, section_01.dcm, …). Overwrite them?"
    )
