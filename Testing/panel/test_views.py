"""The views of the desktop follow the panel."""

from __future__ import annotations

import types

import numpy as np
import pytest

from panel_harness.widgets import nodes_of


def crossing(scene) -> np.ndarray:
    """Where the three slices meet, RAS mm."""
    planes = [node.GetSliceToRAS() for node in nodes_of(scene, "vtkMRMLSliceNode")]
    normals, origins = (np.array([[one.GetElement(row, n) for row in range(3)] for one in planes]) for n in (2, 3))
    return np.linalg.solve(normals, (normals * origins).sum(axis=1))


def test_a_chosen_tooth_is_centred_and_marked_and_the_whole_scan_comes_back(shown):
    shown.panel.teeth.choose(46)
    np.testing.assert_allclose(crossing(shown.case.scene), shown.case.centre(46), atol=0.5)
    display = shown.teeth.GetDisplayNode()
    assert display.GetSegmentOpacity3D("tooth_46") == 1 > display.GetSegmentOpacity3D("tooth_45")
    fields = [node.GetFieldOfView()[0] for node in nodes_of(shown.case.scene, "vtkMRMLSliceNode")]
    shown.panel.teeth.choose(46)  # a double click
    closer = [node.GetFieldOfView()[0] for node in nodes_of(shown.case.scene, "vtkMRMLSliceNode")]
    assert max(closer) < min(fields)
    shown.ui.wholeScanButton.click()
    bounds = [0.0] * 6
    shown.volume.GetRASBounds(bounds)
    np.testing.assert_allclose(crossing(shown.case.scene), np.reshape(bounds, (3, 2)).mean(axis=1), atol=0.5)


def test_the_next_question_takes_the_views_along(shown):
    shown.panel.teeth.question.buttons["later"].click()
    assert shown.case.selected == shown.panel.context.review.current.fdi
    np.testing.assert_allclose(crossing(shown.case.scene), shown.case.centre(shown.case.selected), atol=0.5)


def test_the_next_tooth_to_annotate_takes_the_views_along(shown):
    shown.ui.annotateStartButton.click()
    first = shown.case.selected
    np.testing.assert_allclose(crossing(shown.case.scene), shown.panel.context.navigation.place(first), atol=0.5)
    shown.ui.missingButton.click()
    assert shown.case.selected != first
    place = shown.panel.context.navigation.place(shown.case.selected)
    np.testing.assert_allclose(crossing(shown.case.scene), place, atol=0.5)


def test_numbers_stand_at_the_teeth_and_can_be_switched_off(shown, desktop):
    shown.panel.teeth.choose(46)
    desktop.process_events()
    lists = nodes_of(shown.case.scene, "vtkMRMLMarkupsFiducialNode")
    texts = [one.GetNthControlPointLabel(n) for one in lists for n in range(one.GetNumberOfControlPoints())]
    assert texts.count("46") == 4  # in three slices and in 3D
    shown.ui.numbersCheckBox.click()
    desktop.process_events()
    assert not nodes_of(shown.case.scene, "vtkMRMLMarkupsFiducialNode")
    assert shown.panel.context.parameters.numbers is False  # kept with the scene


@pytest.fixture
def larger_font(desktop):
    """Texts of 150 %, for panels that are made afterwards."""
    from PySide6 import QtWidgets

    font = QtWidgets.QApplication.font()
    usual = font.pointSizeF()
    font.setPointSizeF(1.5 * usual)
    QtWidgets.QApplication.setFont(font)
    yield
    font.setPointSizeF(usual)
    QtWidgets.QApplication.setFont(font)


SECTIONS = ("segment", "teeth", "correct", "annotate", "export", "batch", "computer")


def widths(module) -> dict[str, int]:
    """The least width of the panel with one section open, pixels."""
    from PySide6 import QtWidgets

    found = {}
    for section in SECTIONS:
        for other in SECTIONS:
            getattr(module.panel.ui, f"{other}Section").collapsed = other != section
        whole = QtWidgets.QWidget.layout(module.parent).itemAt(0).widget()
        found[section] = QtWidgets.QWidget.minimumSizeHint(whole).width()
    return found


def test_no_section_scrolls_sideways_in_a_panel_of_350_pixels(shown, module):
    from PySide6 import QtWidgets

    margins = QtWidgets.QLayout.contentsMargins(QtWidgets.QWidget.layout(module.parent))
    bar = QtWidgets.QApplication.style().pixelMetric(QtWidgets.QStyle.PixelMetric.PM_ScrollBarExtent)
    room = 350 - margins.left() - margins.right() - bar
    shown.panel.teeth.choose(46)
    shown.ui.editorSection.collapsed = False
    assert not shown.ui.questionFrame.isHidden()
    for tool in ("splitButton", "addButton", "annotateStartButton"):
        getattr(shown.ui, tool).click()
        found = widths(module)
        assert max(found.values()) <= room, (tool, found)


def test_the_panel_fits_a_laptop_with_large_letters_too(larger_font, shown, module):
    shown.panel.teeth.choose(46)
    shown.ui.editorSection.collapsed = False
    found = widths(module)
    assert max(found.values()) <= 440, found
    assert min(found.values()) > 150 and found["teeth"] > 380, (
        found
    )  # the letters have grown: buttons demand the width of their texts


@pytest.fixture
def laptop(shown, module, desktop):
    """The panel as Slicer shows it on a screen of 1366 x 768: in a scroll area."""
    from PySide6 import QtCore, QtWidgets

    area = QtWidgets.QScrollArea()
    area.setWidgetResizable(True)
    area.setWidget(module.parent)
    area.resize(440, 540)
    area.show()

    def settle() -> None:
        for _ in range(3):
            desktop.process_events()
            shown.panel.fit_later()
            desktop.process_events()

    def bottom(widget) -> int:
        return widget.mapTo(module.parent, QtCore.QPoint(0, 0)).y() + QtWidgets.QWidget.height(widget)

    settle()
    yield types.SimpleNamespace(area=area, settle=settle, bottom=bottom)
    area.takeWidget()


def test_chart_and_question_are_seen_together_without_scrolling(shown, laptop):
    assert shown.panel.context.review.current is not None
    assert laptop.bottom(shown.ui.chartPlace) < laptop.bottom(shown.panel.teeth.question.buttons["later"]) < 520
    assert laptop.area.horizontalScrollBar().maximum() == 0


def test_no_text_is_cut_and_the_chart_keeps_its_height_with_many_sections_open(shown, laptop):
    from PySide6 import QtWidgets

    whole = shown.ui.chartPlace.height
    shown.panel.teeth.choose(46)
    for section in ("correct", "annotate", "export", "batch", "computer"):
        getattr(shown.ui, f"{section}Section").collapsed = False
    for button in ("splitButton", "regrowButton", "addButton", "annotateStartButton"):
        getattr(shown.ui, button).click()
        laptop.settle()
        assert shown.ui.chartPlace.height == whole
        labels = [part for part in vars(shown.ui).values() if part.className() == "QLabel" and part.visible]
        cut = [
            part.name
            for part in labels
            if part.wordWrap and QtWidgets.QLabel.heightForWidth(part, part.width) > part.height
        ]
        assert len(labels) > 20 and not cut


def test_the_style_can_become_dark_while_the_panel_is_open(shown, laptop):
    from PySide6 import QtGui, QtWidgets

    light, dark = QtWidgets.QApplication.palette(), QtGui.QPalette(QtGui.QColor(40, 40, 40))
    shown.panel.teeth.choose(46)
    try:
        QtWidgets.QApplication.setPalette(dark)
        laptop.settle()
        shown.panel.on_second()
        labels = [part for part in laptop.area.findChildren(QtWidgets.QLabel) if QtWidgets.QLabel.isVisible(part)]
        written = [part for part in labels if QtWidgets.QLabel.text(part) and QtWidgets.QLabel.isEnabled(part)]
        colours = {QtWidgets.QWidget.palette(part).windowText().color().lightness() for part in written}
        assert len(written) > 30 and min(colours) > 100  # none is black on dark grey
    finally:
        QtWidgets.QApplication.setPalette(light)


def test_texts_grow_with_the_font(desktop, module):
    from PySide6 import QtWidgets

    from teethseg.panel.panel import Panel

    usual = QtWidgets.QApplication.font()

    def heights() -> dict[str, int]:
        import slicer

        widget = slicer.util.loadUI(module.resourcePath("UI/TeethSeg.ui"))
        panel = Panel(widget, desktop.scene)
        panel.set_parameters(module.logic.getParameterNode())
        parts = {"chart": panel.teeth.chart.names[11], "notice": panel.ui.noticeLabel, "hint": panel.ui.toothLabel}
        found = {name: QtWidgets.QLabel.fontMetrics(part).height() for name, part in parts.items()}
        panel.close()
        desktop.discard(widget)
        return found

    before = heights()
    larger = usual
    larger.setPointSizeF(1.5 * larger.pointSizeF())
    try:
        QtWidgets.QApplication.setFont(larger)
        after = heights()
    finally:
        larger.setPointSizeF(larger.pointSizeF() / 1.5)
        QtWidgets.QApplication.setFont(larger)
    assert all(after[name] / before[name] == pytest.approx(1.5, rel=0.15) for name in before), (before, after)


def test_the_head_is_straightened_and_turned_back(panel, desktop):
    from arch_phantom import COARSE, TURNED, phantom
    from teethseg.arch_views.frame import dentition_frame, tooth_voxels
    from teethseg.cascade.dentition import Dentition, FoundTooth
    from teethseg.mrml.teeth import write_teeth
    from teethseg.mrml.volumes import node_of

    head = phantom(TURNED, step=COARSE)
    volume = node_of(panel.case.scene, head.scan, "scan")
    found = tuple(FoundTooth(one.fdi, 0.9, 1.0, tuple(one.centre)) for one in tooth_voxels(head.labels))
    panel.context.parameters.volume = volume
    panel.context.parameters.segmentation = write_teeth(panel.case.scene, Dentition(head.labels, found), volume)

    def tilt() -> float:
        frame = dentition_frame(tooth_voxels(panel.case.scan().with_array(panel.case.labels())))
        return float(np.degrees(np.arccos(np.clip(np.diag(frame.axes), -1, 1))).max())

    assert tilt() > 10
    panel.ui.straightenButton.click()
    assert panel.ui.straightenButton.checked and tilt() < 0.5
    panel.ui.straightenButton.click()
    assert not panel.ui.straightenButton.checked and tilt() > 10


def test_the_place_tool_is_left_as_it_was_found(shown, desktop):
    logic = desktop.application_logic()
    selection, interaction = logic.GetSelectionNode(), logic.GetInteractionNode()
    selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsROINode")
    interaction.SetPlaceModePersistence(0)
    shown.panel.teeth.choose(46)
    shown.ui.regrowButton.click()
    assert selection.GetActivePlaceNodeClassName() == "vtkMRMLMarkupsFiducialNode"
    shown.ui.dismissButton.click()
    assert selection.GetActivePlaceNodeClassName() == "vtkMRMLMarkupsROINode"
    assert interaction.GetPlaceModePersistence() == 0
