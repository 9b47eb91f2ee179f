"""The section "Correct": one-click tools on the scene, undo, and the embedded Segment Editor."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from panel_harness.actions import choose, click_at, middle, wait
from panel_harness.widgets import nodes_of
from teethseg.anatomy import arch
from teethseg.application.correction_tools import tools
from teethseg.application.relabelling import free_numbers, neighbours
from teethseg.application.tooth_menu import tooth_menu


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
    buttons = [getattr(shown.ui, f"{name}Button") for name in tools() if name != "add"]
    assert not any(button.enabled for button in buttons) and "Choose a tooth" in shown.ui.correctHint.text
    shown.panel.teeth.choose(46)
    assert all(button.enabled for button in buttons)
    picture("correct", "correct")
    shown.panel.teeth.choose(48)  # not there
    assert not any(button.enabled for button in buttons)


def test_split_by_two_clicks(merged, picture):
    case, ui, clicks = merged.case, merged.ui, merged.panel.context.seeds
    assert 45 not in case.present()
    merged.panel.teeth.choose(46)
    ui.splitButton.click()
    interaction = nodes_of(case.scene, "vtkMRMLInteractionNode")[0]
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    assert not ui.applyButton.enabled and "(0 of 2 clicks)" in ui.askLabel.text
    assert ui.otherCombo.currentText.startswith("45")
    click_at(clicks, case, middle(merged.before, 46))
    click_at(clicks, case, middle(merged.before, 46))  # a double click
    assert not ui.applyButton.enabled and "(1 of 2 clicks)" in ui.askLabel.text
    click_at(clicks, case, middle(merged.before, 45))
    assert ui.applyButton.enabled
    picture("correct-split", "correct")
    ui.applyButton.click()
    labels = case.labels()
    for fdi in (45, 46):
        assert (labels == fdi)[merged.before == fdi].mean() > 0.95
    others = ~np.isin(merged.before, (0, 45, 46))
    assert np.array_equal(labels[others], merged.before[others])
    clicks = [node for node in nodes_of(case.scene, "vtkMRMLMarkupsFiducialNode") if not node.GetHideFromEditors()]
    assert ui.askFrame.isHidden() and not clicks  # the numbers at the teeth are points, too, which no editor lists
    assert interaction.GetCurrentInteractionMode() != interaction.Place
    ui.undoButton.click()
    assert 45 not in case.present() and ui.redoButton.enabled
    ui.redoButton.click()
    assert 45 in case.present()


def test_a_click_beside_the_tooth_is_reported_at_once_and_the_tool_stays(merged):
    clicks = merged.panel.context.seeds
    merged.panel.teeth.choose(46)
    merged.ui.splitButton.click()
    click_at(clicks, merged.case, middle(merged.before, 46), (0, 0, 0))
    assert "not in 46" in merged.ui.correctHint.text and "#e67e00" in merged.ui.correctHint.styleSheet
    assert len(clicks.points()) == 1 and clicks.placing and not merged.ui.applyButton.enabled
    click_at(clicks, merged.case, middle(merged.before, 45))
    merged.ui.applyButton.click()
    assert 45 in merged.case.present()
    merged.panel.teeth.choose(46)
    merged.ui.giveButton.click()  # starts with its one click, which lies in the bulk of the tooth: the library refuses
    click_at(clicks, merged.case, tuple(np.argwhere(merged.before == 46).mean(0).round().astype(int).tolist()))
    assert "bulk of tooth 46" in merged.ui.correctHint.text
    assert not merged.ui.askFrame.isHidden() and clicks.placing and not clicks.points()


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
    click_at(shown.panel.context.seeds, shown.case, (52, 62, 62))  # it needs one click only
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
    assert shown.ui.correctHint.text.startswith("The package edt is missing: press 'Install missing packages'")


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
    assert editor.observing
    picture("correct-editor", "correct")


def paint(shown, fdi: int, box, value: int) -> None:
    """Do as Slicer's Paint and Erase do: change voxels of the label map that teeth share, and send an event."""
    import slicer

    from teethseg.mrml import layers

    segmentation = shown.teeth.GetSegmentation()
    image = segmentation.GetSegment(f"tooth_{fdi}").GetRepresentation("Binary labelmap")
    first = image.GetExtent()[::2][::-1]
    voxels = layers.view(image)[tuple(slice(s.start - f, s.stop - f) for s, f in zip(box, first, strict=True))]
    voxels[voxels != value] = value
    image.GetPointData().GetScalars().Modified()
    segmentation.InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)


def test_a_brush_stroke_is_a_step_among_the_others_and_takes_nothing_of_neighbours(shown, desktop):
    case, ui = shown.case, shown.ui
    before = case.labels()
    shown.panel.context.relabelling.renumber(36, 37)
    renumbered = case.labels()
    here = np.argwhere(np.isin(before, (16, 17)))
    low, high = here.min(0), here.max(0)
    box = (slice(low[0], low[0] + 2), slice(low[1], high[1] + 1), slice(low[2], high[2] + 1))
    assert {0, 16, 17} <= set(np.unique(before[box]).tolist())
    paint(shown, 17, box, 17)
    wait(desktop, lambda: ui.undoButton.text == "Undo: paint 17", 10)
    painted = case.labels()
    assert (painted[box][before[box] == 0] == 17).all() and np.array_equal(painted == 16, before == 16)
    assert "Other teeth were not painted over" in ui.correctHint.text
    shown.panel.teeth.choose(11)
    ui.removeButton.click()
    assert ui.undoButton.text == "Undo: 11 no tooth"
    ui.undoButton.click()
    assert np.array_equal(case.labels(), painted)
    ui.undoButton.click()
    assert np.array_equal(case.labels(), renumbered) and ui.redoButton.text == "Redo: paint 17"
    ui.undoButton.click()
    assert np.array_equal(case.labels(), before)
    for _ in range(2):
        ui.redoButton.click()
    assert np.array_equal(case.labels(), painted)
    # Without protection a tooth may take voxels of another.
    ui.protectCheckBox.checked = False
    paint(shown, 17, box, 17)
    wait(desktop, lambda: (case.labels()[box] == 17).all() and not ui.redoButton.enabled, 10)
    desktop.process_events()
    assert len(case.labels()[box][before[box] == 16]) > 0
    ui.undoButton.click()
    assert np.array_equal(case.labels(), painted)


def test_a_stroke_that_nobody_has_looked_at_yet_is_undone_before_what_was_done_earlier(shown):
    before = shown.case.labels()
    shown.panel.context.relabelling.renumber(36, 37)
    z, y, x = middle(before, 25)
    paint(shown, 25, (slice(z, z + 3), slice(y, y + 2), slice(x, x + 1)), 0)
    shown.ui.undoButton.click()  # at once, before the panel's timer
    assert np.array_equal(shown.case.labels() == 25, before == 25) and 37 in shown.case.present()


def test_renumbering_does_not_end_paint_and_the_tooth_stays_chosen(shown):
    ui, editor = shown.ui, shown.ui.segmentEditor
    assert not editor.undoEnabled  # there is one history
    shown.panel.teeth.choose(36)
    ui.editorSection.collapsed = False
    editor.setActiveEffectByName("Paint")
    shown.panel.context.relabelling.renumber(36, 37)
    assert editor.activeEffect().name == "Paint" and editor.currentSegmentID() == "tooth_37"
    ui.undoButton.click()
    assert shown.case.selected == 36 and editor.currentSegmentID() == "tooth_36"
    assert editor.activeEffect().name == "Paint"


def test_a_tooth_that_was_not_found_grows_from_clicks(shown):
    from teethseg.correction import remove_tooth

    case, ui = shown.case, shown.ui
    before = case.labels()
    case.edit(lambda labels, scan: remove_tooth(labels, 46))
    shown.panel.teeth.choose(46)
    ui.addButton.click()
    assert ui.otherCombo.currentText.startswith("46") and not ui.applyButton.enabled
    click_at(shown.panel.context.seeds, case, middle(before, 46))
    ui.applyButton.click()
    grown = case.labels() == 46
    assert grown[middle(before, 46)] and case.selected == 46 and ui.undoButton.text == "Undo: add 46"


def test_what_is_split_off_is_not_marked_as_done(merged):
    case, ui = merged.case, merged.ui
    case.set_state(46, "completed")
    merged.panel.teeth.choose(46)
    ui.splitButton.click()
    click_at(merged.panel.context.seeds, case, middle(merged.before, 46), middle(merged.before, 45))
    ui.applyButton.click()
    assert {place.fdi: place.done for place in case.chart() if place.fdi in (45, 46)} == {45: False, 46: True}


def test_a_tool_that_changes_nothing_or_hardly_anything_says_so(shown):
    from teethseg.correction.edit import Edit

    shown.panel.teeth.choose(16)
    shown.case.edit(lambda labels, scan: Edit((slice(0, 2),) * 3, labels[:2, :2, :2]), "nothing")
    assert "Nothing was changed" in shown.ui.correctHint.text and not shown.ui.undoButton.enabled
    shown.case.edit(lambda labels, scan: Edit((slice(0, 1),) * 3, np.full((1, 1, 1), 16, np.uint8)), "speck")
    assert shown.ui.correctHint.text == "Hardly anything was changed: 1 voxel."


def test_an_error_that_nobody_expected_ends_in_a_message_with_details(shown, answers, monkeypatch):
    def fail(labels, fdi):
        raise KeyError("lost")

    monkeypatch.setattr("teethseg.correction.morphology.remove_islands", fail)
    shown.panel.teeth.choose(16)
    shown.ui.islandsButton.click()
    ((text, details),) = answers.errors
    assert "KeyError: 'lost'" in text and "\n" not in text and "Traceback" in details
    assert not shown.case.busy
    shown.ui.removeButton.click()  # the panel keeps working
    assert shown.ui.undoButton.text == "Undo: 16 no tooth"


def test_a_gap_that_closed_is_reported_in_one_step_and_a_shift_offers_the_mark(shown):
    case, ui, before = shown.case, shown.ui, shown.case.labels()
    entries = tooth_menu(case, shown.panel.context.relabelling, 15)
    next(entry for entry in entries if entry.text.startswith("15 is missing")).act()
    after = case.labels()
    assert case.missing() == {15} and 15 not in case.present()
    for old in (15, 16, 17):
        assert np.array_equal(after == old + 1, before == old)
    assert ui.undoButton.text == "Undo: 15 missing, 15-17 to 16-18"
    ui.undoButton.click()
    assert case.missing() == set() and np.array_equal(case.labels(), before)
    shown.panel.teeth.choose(24)
    shown.panel.context.relabelling.shift(24, 1)
    assert case.selected == 25 and not ui.suggestionFrame.isHidden()
    assert ui.suggestionLabel.text == "There is no 24 now. Is it missing in this patient?"
    shown.panel.teeth.suggestion.buttons["accept"].click()
    assert case.missing() == {24} and ui.suggestionFrame.isHidden()


def test_leaving_the_module_gives_mouse_and_keys_back(shown, module):
    shown.ui.correctSection.collapsed = shown.ui.editorSection.collapsed = False
    shown.panel.teeth.choose(16)
    shown.ui.regrowButton.click()
    module.exit()
    interaction = nodes_of(shown.case.scene, "vtkMRMLInteractionNode")[0]
    assert interaction.GetCurrentInteractionMode() != interaction.Place
    assert not shown.ui.segmentEditor.observing and not shown.ui.segmentEditor.shortcuts_installed
    module.enter()
    assert shown.ui.segmentEditor.observing and shown.ui.segmentEditor.shortcuts_installed


def test_closing_the_section_puts_its_tools_down(shown):
    ui, editor = shown.ui, shown.ui.segmentEditor
    interaction = nodes_of(shown.case.scene, "vtkMRMLInteractionNode")[0]
    ui.correctSection.collapsed = ui.editorSection.collapsed = False
    shown.panel.teeth.choose(16)
    ui.splitButton.click()
    ui.correctSection.collapsed = True
    assert interaction.GetCurrentInteractionMode() != interaction.Place and not shown.panel.context.seeds.points()
    ui.correctSection.collapsed = False
    assert ui.askFrame.isHidden() and editor.observing and editor.shortcuts_installed
    editor.setActiveEffectByName("Paint")
    ui.correctSection.collapsed = True
    assert editor.activeEffect() is None and not editor.observing and not editor.shortcuts_installed


def test_paint_never_goes_on_in_another_tooth_than_the_chosen_one(shown, jaws, desktop):
    from teethseg.mrml.volumes import node_of

    ui, editor = shown.ui, shown.ui.segmentEditor
    ui.correctSection.collapsed = ui.editorSection.collapsed = False
    shown.panel.teeth.choose(46)
    editor.setActiveEffectByName("Paint")
    shown.panel.teeth.choose(48)  # not there
    assert editor.activeEffect() is None
    shown.panel.teeth.choose(46)
    editor.setActiveEffectByName("Paint")
    editor.setCurrentSegmentID("tooth_45")  # in the editor's own list
    assert shown.case.selected == 45 and editor.activeEffect().name == "Paint"
    ui.splitButton.click()  # its clicks would paint, too
    assert editor.activeEffect() is None
    ui.dismissButton.click()
    editor.setActiveEffectByName("Paint")
    shown.panel.context.parameters.volume = node_of(shown.case.scene, jaws[0], "another scan")
    shown.panel.context.parameters.volume = shown.volume
    assert shown.case.selected is None and editor.activeEffect() is None


def test_a_tool_ends_with_the_teeth_that_it_was_chosen_for(shown, jaws):
    from teethseg.mrml.teeth import write_teeth

    ui, case, parameters = shown.ui, shown.case, shown.panel.context.parameters
    before = case.labels()
    other = write_teeth(case.scene, jaws[1], shown.volume)
    parameters.segmentation = shown.teeth
    shown.panel.teeth.choose(46)
    ui.splitButton.click()
    click_at(shown.panel.context.seeds, case, middle(before, 46))
    parameters.segmentation = other
    assert case.teeth_node is other and ui.askFrame.isHidden() and not shown.panel.context.seeds.points()


@pytest.mark.parametrize("tool", ["addButton", "mergeButton"])
def test_undo_under_a_tool_does_not_let_it_take_a_wrong_tooth(shown, tool):
    ui, case = shown.ui, shown.case
    before = case.labels()
    if tool == "addButton":  # for a number that undo gives back to its tooth
        shown.panel.teeth.choose(46)
        ui.removeButton.click()
    else:  # with a tooth whose number undo changes
        shown.panel.context.relabelling.renumber(47, 48)
    shown.panel.teeth.choose(46)
    getattr(ui, tool).click()
    if tool == "mergeButton":
        choose(ui.otherCombo, "48")
    assert ui.otherCombo.currentText.startswith("46" if tool == "addButton" else "48")
    ui.undoButton.click()
    assert ui.askFrame.isHidden()
    ui.applyButton.click()
    assert np.array_equal(case.labels(), before)


def test_a_hidden_tooth_that_is_painted_is_shown(shown, desktop):
    shown.panel.teeth.choose(25)
    shown.ui.showToothButton.click()
    assert not shown.case.place(25).visible
    z, y, x = middle(shown.case.labels(), 25)
    paint(shown, 25, (slice(z, z + 3), slice(y, y + 2), slice(x, x + 1)), 0)
    wait(desktop, lambda: shown.ui.undoButton.text == "Undo: erase 25", 10)
    assert shown.case.place(25).visible and shown.ui.showToothButton.text == "Hide"


def test_the_nearest_along_the_arch_come_first():
    present = [18, 17, 16, 15, 11, 21, 22, 46, 47]
    assert neighbours(16, present)[:3] == [17, 15, 18]
    assert neighbours(11, present)[:2] == [21, 22]
    assert 46 not in neighbours(16, present)
    assert free_numbers(46, [46, 47])[:2] == [45, 48]
    assert free_numbers(46, [46], first=44)[0] == 44
    # A retained deciduous molar that is called 35, in a full arch.
    assert free_numbers(35, arch("lower")) == [75, 74, 73, 72, 71]


def test_the_editor_shows_the_teeth_of_a_scene_that_is_loaded_while_an_effect_is_in_use(
    shown, module, desktop, tmp_path
):
    ui, scene = shown.ui, shown.case.scene
    shown.panel.teeth.choose(46)
    ui.correctSection.collapsed = ui.editorSection.collapsed = False
    ui.segmentEditor.setActiveEffectByName("Paint")
    for node in (shown.volume, shown.teeth):
        node.AddDefaultStorageNode()
        node.GetStorageNode().SetFileName(str(tmp_path / f"{node.GetName()}.{'seg.' * (node is shown.teeth)}nrrd"))
        assert node.GetStorageNode().WriteData(node)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Commit()
    scene.Clear(0)
    desktop.process_events()
    assert ui.segmentEditor.segmentationNode() is None and ui.segmentEditor.activeEffect() is None
    assert scene.Import()
    desktop.process_events()
    assert shown.case.teeth_node is not None and shown.case.teeth_node is not shown.teeth
    assert ui.segmentEditor.segmentationNode() is shown.case.teeth_node
    assert ui.segmentEditor.mrmlSegmentEditorNode().GetSourceVolumeNode() is shown.case.volume_node
    shown.panel.teeth.choose(45)
    assert ui.segmentEditor.currentSegmentID() == "tooth_45"
