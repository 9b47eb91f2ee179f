"""The section "Correct": one-click tools on the scene, undo, and the embedded Segment Editor."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from panel_harness.actions import click_at, middle
from panel_harness.widgets import nodes_of
from teethseg.panel.correction_tools import free_numbers, neighbours


@pytest.fixture
def merged(shown):
    """45 and 46 under one number, touching each other."""
    from teethseg.correction.edit import Edit

    labels = shown.case.labels()
    boxes = [np.argwhere(labels == fdi) for fdi in (45, 46)]
    low, high = np.min([b.min(0) for b in boxes], 0), np.max([b.max(0) for b in boxes], 0) + 1
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    content = labels[box].copy()
    content[np.isin(content, (45, 46))] = 46
    # A bridge of two voxels' height.
    middle_z = content.shape[0] // 2
    content[middle_z : middle_z + 2][content[middle_z : middle_z + 2] == 0] = 46
    shown.case.edit(lambda _labels, _scan: Edit(box, content))
    shown.before = labels
    return shown


def test_tools_wait_for_a_tooth(shown, picture):
    buttons = [getattr(shown.ui, f"{name}Button") for name in shown.panel.correct._tools]
    assert not any(button.enabled for button in buttons) and "Choose a tooth" in shown.ui.correctHint.text
    shown.panel.teeth.choose(46)
    assert all(button.enabled for button in buttons)
    picture("correct", "correct")
    shown.panel.teeth.choose(48)  # not there
    assert not any(button.enabled for button in buttons)


def test_split_by_two_clicks(merged, picture):
    case, ui, clicks = merged.case, merged.ui, merged.panel.correct.clicks
    assert 45 not in case.present()
    merged.panel.teeth.choose(46)
    ui.splitButton.click()
    interaction = nodes_of(case.scene, "vtkMRMLInteractionNode")[0]
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    assert not ui.applyButton.enabled and "(0 of 2 clicks)" in ui.askLabel.text
    assert ui.otherCombo.currentText.startswith("45")
    click_at(clicks, case, middle(merged.before, 46), middle(merged.before, 45))
    assert ui.applyButton.enabled
    picture("correct-split", "correct")
    ui.applyButton.click()
    labels = case.labels()
    for fdi in (45, 46):
        assert (labels == fdi)[merged.before == fdi].mean() > 0.95
    others = ~np.isin(merged.before, (0, 45, 46))
    assert np.array_equal(labels[others], merged.before[others])
    assert ui.askFrame.isHidden() and not nodes_of(case.scene, "vtkMRMLMarkupsFiducialNode")
    assert interaction.GetCurrentInteractionMode() != interaction.Place
    ui.undoButton.click()
    assert 45 not in case.present() and ui.redoButton.enabled
    ui.redoButton.click()
    assert 45 in case.present()


def test_clicks_beside_the_tooth_say_why_nothing_happened(merged):
    merged.panel.teeth.choose(46)
    merged.ui.splitButton.click()
    click_at(merged.panel.correct.clicks, merged.case, (0, 0, 0), (0, 0, 1))
    merged.ui.applyButton.click()
    assert 45 not in merged.case.present()
    assert merged.ui.correctHint.text and "#c62828" in merged.ui.correctHint.styleSheet
    assert not merged.ui.askFrame.isHidden()  # one may try again


def test_merge_asks_for_the_other_piece(shown):
    shown.panel.teeth.choose(46)
    shown.ui.mergeButton.click()
    assert shown.ui.otherCombo.currentText.startswith("47")
    shown.ui.otherCombo.currentIndex = 1
    assert shown.ui.otherCombo.currentText.startswith("45")
    shown.ui.applyButton.click()
    assert 45 not in shown.case.present() and 46 in shown.case.present()


def test_give_a_piece_to_the_neighbour(shown):
    from teethseg.correction.edit import Edit

    before = shown.case.labels()
    box = (slice(50, 54), slice(60, 64), slice(60, 64))
    shown.case.edit(lambda labels, scan: Edit(box, np.full((4, 4, 4), 46, np.uint8)))
    shown.panel.teeth.choose(46)
    shown.ui.giveButton.click()
    click_at(shown.panel.correct.clicks, shown.case, (52, 62, 62))
    shown.ui.applyButton.click()
    labels = shown.case.labels()
    assert (labels[box] == 47).all() and np.array_equal(labels == 46, before == 46)


def test_tools_without_questions(shown):
    from teethseg.correction.edit import Edit

    case, ui = shown.case, shown.ui
    before = case.labels()
    here = np.argwhere(before == 16)
    box = tuple(slice(a, b + 1) for a, b in zip(here.min(0), here.max(0), strict=True))
    hollow = before[box].copy()
    hollow[5:8, 2:4, 2:3] = 0
    case.edit(lambda labels, scan: Edit(box, hollow))
    case.edit(lambda labels, scan: Edit((slice(0, 2),) * 3, np.full((2, 2, 2), 16, np.uint8)))
    shown.panel.teeth.choose(16)
    ui.islandsButton.click()
    assert not (case.labels()[:2, :2, :2] == 16).any()
    ui.pulpButton.click()
    assert np.array_equal(case.labels() == 16, before == 16)
    ui.smoothButton.click()
    others = ~np.isin(before, (0, 16))
    assert np.array_equal(case.labels()[others], before[others])
    assert case.selected == 16
    ui.removeButton.click()
    assert 16 not in case.present() and case.selected is None


def test_a_missing_package_is_named_with_the_way_out(shown, monkeypatch):
    monkeypatch.setitem(sys.modules, "edt", None)
    for name in [name for name in sys.modules if name.startswith("teethseg.correction.")]:
        monkeypatch.delitem(sys.modules, name)
    shown.panel.teeth.choose(16)
    shown.ui.smoothButton.click()
    assert shown.ui.correctHint.text.startswith("The package edt is missing: press 'Install what is missing'")


def test_choosing_another_tooth_ends_the_question(shown):
    shown.panel.teeth.choose(16)
    shown.ui.cutButton.click()
    assert not shown.ui.askFrame.isHidden()
    shown.panel.teeth.choose(26)
    assert shown.ui.askFrame.isHidden()
    shown.ui.regrowButton.click()
    shown.ui.dismissButton.click()
    assert shown.ui.askFrame.isHidden() and not nodes_of(shown.case.scene, "vtkMRMLMarkupsFiducialNode")


def test_the_segment_editor_is_set_up_for_teeth(shown, picture):
    ui, editor = shown.ui, shown.ui.segmentEditor
    shown.panel.teeth.choose(21)
    picture("correct-editor", "correct")
    ui.editorSection.collapsed = False
    node = editor.mrmlSegmentEditorNode()
    assert node.GetSegmentationNode() is shown.teeth and node.GetSourceVolumeNode() is shown.volume
    assert editor.effectNameOrder()[:2] == ["Paint", "Erase"] and not editor.unorderedEffectsVisible
    assert not editor.segmentationNodeSelectorVisible and not editor.sourceVolumeNodeSelectorVisible
    assert editor.currentSegmentID() == "tooth_21"
    shown.panel.teeth.choose(22)
    assert editor.currentSegmentID() == "tooth_22"
    # Teeth are at 1800, the rest at 200.
    low, high = node.GetSourceVolumeIntensityMaskRange()
    assert node.GetSourceVolumeIntensityMask() and 500 < low < 1500 and high >= 1800
    ui.toothRangeCheckBox.checked = False
    assert not node.GetSourceVolumeIntensityMask()
    assert editor._observing
    picture("correct-editor", "correct")


def test_leaving_the_module_gives_mouse_and_keys_back(shown, module):
    shown.ui.editorSection.collapsed = False
    shown.panel.teeth.choose(16)
    shown.ui.regrowButton.click()
    module.exit()
    interaction = nodes_of(shown.case.scene, "vtkMRMLInteractionNode")[0]
    assert interaction.GetCurrentInteractionMode() != interaction.Place
    assert not shown.ui.segmentEditor._observing and not shown.ui.segmentEditor._shortcuts
    module.enter()
    assert shown.ui.segmentEditor._observing


def test_the_nearest_along_the_arch_come_first():
    present = [18, 17, 16, 15, 11, 21, 22, 46, 47]
    assert neighbours(16, present)[:3] == [17, 15, 18]
    assert neighbours(11, present)[:2] == [21, 22]
    assert 46 not in neighbours(16, present)
    assert free_numbers(46, [46, 47])[:2] == [45, 48]
    assert free_numbers(46, [46], first=44)[0] == 44
