"""The section "Annotate by hand": a scan is labelled with clicks only, from the first tooth to the training case."""

from __future__ import annotations

import json

import numpy as np
import pytest

from panel_harness.actions import click_at, middle
from panel_harness.widgets import nodes_of
from teethseg.annotation import grow_tooth
from teethseg.application.legacy_autosave import file_name


@pytest.fixture
def plain(panel, jaws):
    """A scan without any segmentation."""
    from teethseg.mrml.volumes import node_of

    panel.context.parameters.volume = node_of(panel.case.scene, jaws[0], "scan")
    return panel


@pytest.fixture
def started(plain):
    plain.ui.annotateStartButton.click()
    return plain


def test_it_starts_without_any_model(plain, picture):
    ui = plain.ui
    assert ui.annotateStartButton.enabled and ui.annotatePanel.isHidden()
    picture("annotate-start", "annotate")
    ui.annotateStartButton.click()
    assert plain.case.teeth_node is not None and plain.context.parameters.segmentation is plain.case.teeth_node
    assert not ui.annotatePanel.isHidden() and plain.case.selected == 18
    assert "0 of 32 done" in ui.annotateHint.text and "<b>18</b>" in ui.annotateToothLabel.text
    assert ui.annotateStartButton.text == "Stop"


def test_tooth_after_tooth(started, jaws, picture, tmp_path):
    ui, case, section = started.ui, started.case, started.annotate
    truth = jaws[1].labels.array
    ui.missingButton.click()  # 18
    assert case.missing() == {18} and case.selected == 17 and "0 of 31 done" in ui.annotateHint.text
    ui.growButton.click()
    assert "Click into the tooth first" in ui.annotateMessage.text
    assert ui.insideButton.checked and section.session.placers["inside"].placing
    here = np.argwhere(truth == 17)
    centre = here.mean(0).round().astype(int)
    click_at(
        section.session.placers["inside"],
        case,
        (here[:, 0].min() + 3, *centre[1:]),
        (here[:, 0].max() - 3, *centre[1:]),
    )
    assert "2 points, press Grow" in ui.annotateToothLabel.text
    assert ui.annotateMessage.isHidden()
    picture("annotate-points", "annotate")
    ui.growButton.click()
    grown = case.labels()
    seeds = [case.index_of(ras) for ras in section.session.placers["inside"].points()]
    assert all(truth[seed] == 17 for seed in seeds) and all(grown[seed] == 17 for seed in seeds)
    scan, nothing = jaws[0], np.zeros(truth.shape, np.uint8)
    expected = grow_tooth(nothing, scan.array, scan.spacing[::-1], 17, seeds).applied(nothing)
    assert np.array_equal(grown, expected)
    ui.doneButton.click()
    assert case.selected == 16 and "1 of 31 done" in ui.annotateHint.text
    assert (
        not section.session.placers["inside"].points() and section.session.placers["inside"].placing
    )  # ready for the next tooth
    from teethseg.mrml.teeth import states

    assert states(case.teeth_node)[17] == "completed"
    assert [place.done for place in case.chart() if place.fdi == 17] == [True]
    # Kept at once, and found again.
    started.recover.autosave.save()
    (kept,) = (tmp_path / "autosave" / "kept work").iterdir()
    assert {"case.json", "owner.json"} < {file.name for file in kept.iterdir()}
    picture("annotate", "annotate")


def test_clicks_outside_hold_the_tooth_back(started, jaws):
    ui, case, section = started.ui, started.case, started.annotate
    truth = jaws[1].labels.array
    started.teeth.choose(46)
    assert section.session.worklist.current == 46
    ui.insideButton.click()
    click_at(section.session.placers["inside"], case, middle(truth, 46))
    ui.growButton.click()
    grown = case.labels() == 46
    assert grown.any()
    edge = np.argwhere(grown)
    ui.outsideButton.click()
    assert ui.outsideButton.checked and not ui.insideButton.checked
    top = tuple(int(v) for v in edge[edge[:, 0].argmax()])
    click_at(section.session.placers["outside"], case, top)
    ui.growButton.click()
    assert (case.labels() == 46).any() and case.labels()[top] != 46


def test_a_stroke_grows_like_clicks_along_it(started, jaws):
    ui, case, section = started.ui, started.case, started.annotate
    truth = jaws[1].labels.array
    started.teeth.choose(34)
    ui.strokeButton.click()
    here = np.argwhere(truth == 34)
    z, y, x = here.mean(0).round().astype(int)
    click_at(
        section.session.placers["stroke"], case, (here[:, 0].min() + 2, y, x), (z, y, x), (here[:, 0].max() - 2, y, x)
    )
    points = [case.index_of(ras) for ras in section.session.placers["stroke"].points()]
    assert len(points) >= 6  # all along the stroke, not only where it was clicked
    ui.growButton.click()
    assert all(case.labels()[point] == 34 for point in points)
    assert (case.labels() == 34)[truth == 34].mean() > 0.5


def test_filling_between_painted_slices(started):
    from teethseg.correction.edit import Edit

    case, content = started.case, np.zeros((9, 5, 5), np.uint8)
    content[[0, 8], 1:4, 1:4] = 18
    case.edit(lambda labels, scan: Edit((slice(20, 29), slice(20, 25), slice(20, 25)), content))
    started.ui.betweenButton.click()
    assert (case.labels()[20:29, 22, 22] == 18).all()


def test_flagged_teeth_are_counted_and_finished_ones_say_so(started):
    from teethseg.correction.edit import Edit

    case, ui = started.case, started.ui
    ui.flagButton.click()
    assert "Nothing is labelled as 18 yet" in ui.annotateMessage.text and case.selected == 18
    case.edit(lambda labels, scan: Edit((slice(0, 2),) * 3, np.full((2, 2, 2), 18, np.uint8)))
    ui.missingButton.click()
    assert "18 is labelled: remove it first" in ui.annotateMessage.text
    ui.flagButton.click()
    assert "1 flagged" in ui.annotateHint.text and case.selected == 17
    for _ in range(30):
        ui.missingButton.click()
    assert case.selected == 48
    ui.missingButton.click()
    assert ui.annotateMessage.text == "All teeth of the list are done." and case.selected is None


def test_keys_do_what_the_list_says(started, picture):
    listed = started.ui.shortcutsLabel.text
    keys = {shortcut.key.toString(): shortcut for shortcut in started.annotate.shortcuts}
    assert set("CXKGJNLMU") == set(keys) and all(f"<b>{key}</b>" in listed for key in keys)
    assert all(shortcut.enabled for shortcut in keys.values())
    assert not set("QWZYI") & set(keys)  # of the Segment Editor
    keys["X"].activated.emit()
    assert (
        started.annotate.session.placers["outside"].placing and not started.annotate.session.placers["inside"].placing
    )
    keys["C"].activated.emit()
    assert started.annotate.session.placers["inside"].placing
    keys["M"].activated.emit()
    assert started.case.selected == 17 and started.annotate.session.placers["inside"].placing
    started.ui.shortcutsSection.collapsed = False
    picture("annotate-shortcuts", "annotate")
    started.ui.annotateStartButton.click()
    assert not any(shortcut.enabled for shortcut in keys.values())


def test_work_goes_on_after_the_scene_was_lost(started, jaws, desktop, module):
    from teethseg.correction.edit import Edit
    from teethseg.mrml.volumes import node_of

    ui = started.ui
    started.case.edit(lambda labels, scan: Edit((slice(0, 2),) * 3, np.full((2, 2, 2), 18, np.uint8)))
    ui.doneButton.click()
    started.case.edit(lambda labels, scan: Edit((slice(4, 6),) * 3, np.full((2, 2, 2), 17, np.uint8)))  # not done yet
    ui.missingButton.click()  # labelled: refused
    started.teeth.choose(28)
    ui.missingButton.click()
    desktop.scene.Clear(0)
    assert not started.annotate.session.active and ui.recoverFrame.isHidden()
    started.context.parameters.volume = node_of(started.case.scene, jaws[0], "again")
    started.recover.autosave.tick()
    # Offered when the scan is opened, whatever the user wants to do then.
    assert not ui.recoverFrame.isHidden() and "2 teeth, 1 done. Go on with it?" in ui.recoverLabel.text
    ui.recoverLaterButton.click()
    assert ui.recoverFrame.isHidden()
    # Work done meanwhile does not remove the kept work.
    ui.annotateStartButton.click()
    started.case.edit(lambda labels, scan: Edit((slice(8, 9),) * 3, np.full((1, 1, 1), 11, np.uint8)))
    started.recover.autosave.save()
    started.recover.autosave.find_offers()
    assert "2 teeth, 1 done" in ui.recoverLabel.text
    ui.recoverButton.click()
    assert started.case.present() == [18, 17] and "1 of 31 done" in ui.annotateHint.text
    assert started.case.missing() == {28} and started.case.place(18).done and not started.case.place(17).done
    ui.undoButton.click()
    assert started.case.present() == [11] and started.case.missing() == set()


def test_what_an_earlier_version_kept_is_offered_too(plain, jaws, tmp_path):
    from teethseg.annotation.worklist import Worklist
    from teethseg.io.nrrd import write_nrrd

    scan = jaws[0]
    labels, worklist = np.zeros(scan.array.shape, np.uint8), Worklist()
    labels[4:7, 5:8, 6:9] = 26
    worklist.set_state(26, "flagged")
    folder = tmp_path / "autosave"
    folder.mkdir(exist_ok=True)
    old = folder / file_name(plain.case.scan())
    write_nrrd(old, scan.with_array(labels), {"TeethSeg_Worklist": worklist.to_json()})
    plain.recover.autosave.find_offers()
    assert "1 tooth" in plain.ui.recoverLabel.text
    plain.ui.recoverButton.click()
    assert np.array_equal(plain.case.labels(), labels)
    plain.ui.annotateStartButton.click()
    assert "1 of 32 done · 1 flagged" in plain.ui.annotateHint.text


def test_the_worklist_is_saved_with_the_segmentation(started):
    from teethseg.correction.edit import Edit

    started.case.edit(lambda labels, scan: Edit((slice(0, 2),) * 3, np.full((2, 2, 2), 18, np.uint8)))
    started.ui.doneButton.click()
    started.ui.annotateStartButton.click()
    assert not started.annotate.session.active
    rows = json.loads(started.case.teeth_node.GetAttribute("TeethSeg.worklist"))["teeth"]
    assert rows["18"]["state"] == "completed" and rows["17"]["state"] == "in_progress"
    started.ui.annotateStartButton.click()
    assert "1 of 32 done" in started.ui.annotateHint.text and started.case.selected == 17


def test_painting_by_brightness_starts_with_sensible_values(started, jaws):
    ui = started.ui
    ui.thresholdButton.click()
    assert 250 < ui.lowSpin.value < 1700 and ui.highSpin.value >= 1800
    node = ui.segmentEditor.mrmlSegmentEditorNode()
    assert node.GetSourceVolumeIntensityMask()
    assert node.GetSourceVolumeIntensityMaskRange() == (ui.lowSpin.value, ui.highSpin.value)
    assert ui.segmentEditor.activeEffect().name == "Paint" and not ui.editorSection.collapsed


def test_a_training_case_is_what_training_reads(shown, answers, tmp_path, jaws):
    from teethseg.io.files import read_labels, read_scan

    ui = shown.ui
    ui.saveCaseButton.click()
    assert "Give a patient key" in ui.annotateMessage.text and not answers.asked
    ui.patientEdit.text = "patient-7"
    assert shown.panel.context.parameters.patient == "patient-7"
    answers.chosen_folder = str(tmp_path / "cases")
    (tmp_path / "cases" / "case_001").mkdir(parents=True)
    ui.saveCaseButton.click()
    folder = tmp_path / "cases" / "case_002"
    assert str(folder) in ui.annotateMessage.text
    assert json.loads((folder / "case.json").read_text())["patient"] == "patient-7"
    assert np.array_equal(read_labels(folder / "labels.seg.nrrd").array, jaws[1].labels.array)
    assert np.array_equal(read_scan(folder / "image.nrrd").array, jaws[0].array)


def test_a_case_with_open_teeth_says_which_and_keeps_them_unknown(started, answers, tmp_path, jaws):
    from teethseg.correction.edit import Edit
    from teethseg.io.files import read_teeth

    ui, case = started.ui, started.case
    case.edit(lambda labels, scan: Edit((slice(0, 2),) * 3, np.full((2, 2, 2), 18, np.uint8)))
    ui.doneButton.click()
    case.edit(lambda labels, scan: Edit((slice(0, 2), slice(0, 2), slice(40, 42)), np.full((2, 2, 2), 17, np.uint8)))
    ui.patientEdit.text = "Smith, Jane"
    answers.chosen_folder, answers.choice = str(tmp_path / "cases"), 0
    (tmp_path / "cases").mkdir()
    ui.saveCaseButton.click()
    assert "'Smith, Jane' looks like a name" in answers.asked[0]
    assert answers.asked[1].startswith("Not completed: 17, 16, ") and answers.asked[1].endswith("Completed: 1.")
    folder = tmp_path / "cases" / "case_001"
    about = json.loads((folder / "case.json").read_text())
    assert about["teeth"]["18"] == "completed" and about["teeth"]["17"] == "in_progress"
    labels = read_teeth(folder / "labels.seg.nrrd", keep=("unknown",)).array
    assert labels[0, 0, 0] == 18 and (labels[:2, :2, 40:42] == 255).all()
    assert (labels[jaws[1].labels.array == 36] == 255).all()  # nobody has drawn it yet
    answers.choice = None
    ui.saveCaseButton.click()
    assert not (tmp_path / "cases" / "case_002").exists()


def test_undo_takes_a_tooth_back_into_work(started):
    from teethseg.correction.edit import Edit

    ui, case, session = started.ui, started.case, started.annotate.session
    case.edit(lambda labels, scan: Edit((slice(0, 2),) * 3, np.full((2, 2, 2), 18, np.uint8)))
    ui.doneButton.click()
    ui.missingButton.click()
    assert case.selected == 16 and case.missing() == {17} and ui.undoButton.text == "Undo: 17 missing"
    ui.undoButton.click()
    assert case.selected == 17 and "1 of 32 done" in ui.annotateHint.text and case.missing() == set()
    ui.undoButton.click()
    assert case.selected == 18 and "0 of 32 done" in ui.annotateHint.text and not case.place(18).done
    assert session.worklist.current == 18
    ui.redoButton.click()
    assert case.place(18).done and "1 of 32 done" in ui.annotateHint.text and case.selected == 17


def test_a_grown_tooth_that_is_hardly_one_is_reported(started, jaws):
    ui, case = started.ui, started.case
    started.teeth.choose(46)  # a box of 70 mm3, where a first molar has ten times that
    click_at(started.annotate.session.placers["inside"], case, middle(jaws[1].labels.array, 46))
    ui.growButton.click()
    assert "times the usual volume" in ui.annotateMessage.text and "#e67e00" in ui.annotateMessage.styleSheet


def test_a_tooth_not_drawn_yet_is_not_called_missing(started):
    assert started.ui.toothLabel.text.endswith("not drawn yet")
    started.ui.missingButton.click()
    started.teeth.choose(18)
    assert started.ui.toothLabel.text.endswith("missing in this patient")


def test_placing_that_slicer_ends_is_over_here_too(started):
    ui = started.ui
    ui.strokeButton.click()
    interaction = nodes_of(started.case.scene, "vtkMRMLInteractionNode")[0]
    assert ui.strokeButton.checked and not interaction.GetPlaceModePersistence()
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)  # as after a right click
    assert not ui.strokeButton.checked and not started.annotate.session.placers["stroke"].placing
    ui.insideButton.click()
    assert interaction.GetPlaceModePersistence() and started.annotate.session.placers["inside"].placing


def test_leaving_the_module_stops_the_time(started, module):
    module.exit()
    assert started.annotate.session.worklist.current is None
    assert not any(shortcut.enabled for shortcut in started.annotate.shortcuts)
