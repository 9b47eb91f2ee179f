"""The tooth chart, the menu of a tooth, and the list of doubts."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from panel_harness.widgets import nodes_of
from teethseg.anatomy import DECIDUOUS, arch, tooth
from teethseg.correction.edit import Edit
from teethseg.correction.relabel import renumber


def pixels(pixmap) -> np.ndarray:
    """Red, green, blue, alpha (rows, columns, 4) of a pixmap."""
    image = pixmap.toImage().convertToFormat(pixmap.toImage().Format.Format_RGBA8888)
    return np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4).copy()


def face(panel, fdi: int) -> np.ndarray:
    return pixels(panel.teeth.chart.buttons[fdi].icon.pixmap(25, 46))


def colours(picture: np.ndarray) -> set[tuple[int, int, int]]:
    """Opaque colours that a good part of a picture has."""
    opaque = picture[picture[..., 3] == 255][:, :3]
    values, counts = np.unique(opaque, axis=0, return_counts=True)
    return {tuple(int(v) for v in value) for value, count in zip(values, counts, strict=True) if count > 40}


def place(panel, fdi: int):
    """Middle of a tooth's button in the chart, pixels from the left and from the top."""
    from PySide6 import QtCore

    button = panel.teeth.chart.buttons[fdi]
    corner = button.mapTo(panel.teeth.chart.widget, QtCore.QPoint(0, 0))
    return corner.x() + button.width / 2, corner.y() + button.height / 2


def entries(menu) -> dict[str, object]:
    """Entries of a menu by text; those of submenus as 'Submenu/Entry'."""
    found = {}
    for action in menu.actions():
        inner = action.menu()
        if inner is not None:
            found |= {f"{action.text()}/{text}": one for text, one in entries(inner).items()}
        elif not action.isSeparator():
            found[action.property("text")] = action
    return found


def names(shown) -> dict[int, str]:
    """Names of the segments by their label values."""
    segmentation = shown.teeth.GetSegmentation()
    segments = [segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())]
    return {segment.GetLabelValue(): segment.GetName() for segment in segments}


def answers(shown) -> dict:
    """The buttons of the question that is asked, by the keys of the answers."""
    return shown.panel.teeth.question.buttons


def press(shown, key: str) -> None:
    answers(shown)[key].click()


def test_an_empty_chart_says_what_to_do(panel, picture):
    assert len(panel.teeth.chart.buttons) == 32
    assert panel.ui.toothLabel.text == "The teeth appear here once they are found."
    assert panel.ui.questionFrame.isHidden()
    picture("empty")


def test_teeth_stand_as_dentists_draw_them(shown, picture):
    picture("teeth", "teeth")
    upper = [place(shown.panel, fdi) for fdi in arch("upper")]
    lower = [place(shown.panel, fdi) for fdi in arch("lower")]
    # The patient's right on the left: 18 is the first of the upper row and stands above 48.
    for row in (upper, lower):
        assert all(left[0] < right[0] for left, right in pairwise(row))
        assert len({y for _x, y in row}) == 1
    assert upper[0][1] < lower[0][1] and all(abs(a[0] - b[0]) < 1 for a, b in zip(upper, lower, strict=True))


def test_teeth_have_the_colours_of_their_segments(shown):
    shown.teeth.GetSegmentation().GetSegment("tooth_13").SetColor(0.2, 0.4, 0.6)
    shown.case.changed.emit()
    assert (51, 102, 153) in colours(face(shown.panel, 13))
    red, green, blue = (round(255 * part) for part in tooth(21).colour)
    assert (red, green, blue) in colours(face(shown.panel, 21))
    assert not colours(face(shown.panel, 18))  # not there


def test_roots_point_away_from_the_midline_of_the_rows(shown):
    upper, lower = (face(shown.panel, fdi)[..., 3] > 0 for fdi in (23, 33))
    top, bottom = slice(0, 30), slice(-30, None)
    assert upper[top].sum() < 0.7 * upper[bottom].sum()  # root above, crown below
    assert lower[bottom].sum() < 0.7 * lower[top].sum()


def test_marks(shown):
    plain = face(shown.panel, 46)
    uncertain, border = (230, 126, 0), (200, 40, 40)
    assert uncertain in colours(face(shown.panel, 36)) and uncertain not in colours(plain)
    assert border in colours(face(shown.panel, 17)) and border not in colours(plain)
    shown.case.set_state(46, "completed")
    assert (30, 140, 60) in colours(face(shown.panel, 46))
    before = face(shown.panel, 28)
    shown.case.set_missing(28, True)
    assert not np.array_equal(face(shown.panel, 28), before)
    assert "missing in this patient" in shown.panel.teeth.chart.buttons[28].toolTip


def test_tips_tell_what_is_known(shown):
    tip = shown.panel.teeth.chart.buttons[17].toolTip
    assert tip == "17 · upper right second molar\ncut off by the edge of the scan\nsure to 99 %"
    assert shown.panel.teeth.chart.buttons[38].toolTip.endswith("not found")


def test_a_click_chooses_the_tooth_and_centres_all_views(shown):
    panel, scene = shown.panel, shown.panel.case.scene
    slices = nodes_of(scene, "vtkMRMLSliceNode")
    assert len(slices) == 3
    camera = scene.GetFirstNodeByClass("vtkMRMLCameraNode")
    gap = np.subtract(camera.GetPosition(), camera.GetFocalPoint())
    for fdi in (16, 35):
        panel.teeth.chart.buttons[fdi].click()
        labels = panel.case.labels() == fdi
        middle = (panel.case.scan().affine @ [*np.mean(np.argwhere(labels), axis=0)[::-1], 1])[:3] * (-1, -1, 1)
        for node in slices:
            at = [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
            assert np.allclose(at, middle, atol=0.6)
        assert np.allclose(camera.GetFocalPoint(), middle, atol=0.6)
        assert np.allclose(np.subtract(camera.GetPosition(), camera.GetFocalPoint()), gap)
        assert panel.teeth.chart.buttons[fdi].checked and panel.case.selected == fdi
    assert not panel.teeth.chart.buttons[16].checked
    assert "<b>35</b> lower left second premolar · sure to 99&nbsp;%" in panel.ui.toothLabel.text


@pytest.mark.parametrize(("index", "name", "shown_name"), [(1, "Tooth #3", "3"), (2, "Tooth 6⏌", "6")])
def test_notation_is_switched_afterwards(shown, picture, index, name, shown_name):
    shown.ui.notationCombo.currentIndex = index
    assert names(shown)[16] == name
    picture(f"teeth-notation-{index}", "teeth")
    label = shown.panel.teeth.chart.names[16]
    assert label.text == shown_name
    shown.ui.notationCombo.currentIndex = 0
    assert names(shown)[16] == "Tooth 16"


def test_hide_and_show(shown):
    display = shown.teeth.GetDisplayNode()
    shown.panel.teeth.choose(14)
    shown.ui.showToothButton.click()
    assert not display.GetSegmentVisibility("tooth_14") and shown.ui.showToothButton.text == "Show"
    shown.ui.showToothButton.click()
    assert display.GetSegmentVisibility("tooth_14")
    shown.ui.onlyToothButton.click()
    visible = [fdi for fdi in shown.case.present() if display.GetSegmentVisibility(f"tooth_{fdi}")]
    assert visible == [14]
    shown.ui.allTeethButton.click()
    assert all(display.GetSegmentVisibility(f"tooth_{fdi}") for fdi in shown.case.present())


def test_the_chart_follows_what_other_modules_do(shown, desktop):
    from panel_harness.actions import wait

    panel = shown.panel
    before = face(panel, 14)
    shown.teeth.GetDisplayNode().SetSegmentVisibility("tooth_14", False)  # as in the Data module
    wait(desktop, lambda: not np.array_equal(face(panel, 14), before), 10)
    panel.teeth.choose(15)
    shown.teeth.GetSegmentation().RemoveSegment("tooth_15")  # as in the Segment Editor
    wait(desktop, lambda: "not found" in panel.ui.toothLabel.text, 10)
    assert not panel.ui.smoothButton.enabled


def test_menu_renumbers_swaps_shifts_and_removes(shown):
    panel, whole = shown.panel, shown.case.labels().copy()
    menu = entries(panel.teeth.menu_for(47))
    assert "Another number/46  lower right first molar" not in menu  # taken: to swap with
    assert next(iter(menu)) == "Another number/48  lower right third molar"  # the nearest free number first
    menu["Another number/48  lower right third molar"].trigger()
    assert 48 in shown.case.present() and 47 not in shown.case.present() and panel.case.selected == 48
    assert names(shown)[48] == "Tooth 48"
    assert np.array_equal(shown.case.labels() == 48, whole == 47)
    entries(panel.teeth.menu_for(48))["Swap with/46  lower right first molar"].trigger()
    assert np.array_equal(shown.case.labels() == 46, whole == 47)
    assert np.array_equal(shown.case.labels() == 48, whole == 46)
    entries(panel.teeth.menu_for(24))["This and all behind it one back"].trigger()
    labels = shown.case.labels()
    assert np.array_equal(labels == 25, whole == 24) and np.array_equal(labels == 28, whole == 27)
    assert not (labels == 24).any() and np.array_equal(labels == 23, whole == 23)
    entries(panel.teeth.menu_for(11))["Not a tooth"].trigger()
    assert 11 not in shown.case.present()
    for _ in range(4):
        shown.ui.undoButton.click()
    assert np.array_equal(shown.case.labels(), whole)


def test_teeth_that_were_looked_at_can_be_ticked_off(shown):
    entries(shown.panel.teeth.menu_for(36))["Looked at and done"].trigger()
    assert (30, 140, 60) in colours(face(shown.panel, 36))
    assert "36" not in shown.ui.questionLabel.text  # and there is no question about it
    entries(shown.panel.teeth.menu_for(36))["Not done yet"].trigger()
    assert (30, 140, 60) not in colours(face(shown.panel, 36))


def test_what_cannot_be_shifted_says_why(shown):
    entries(shown.panel.teeth.menu_for(11))["This and all behind it one forward"].trigger()
    assert shown.ui.correctHint.text and "color: #c62828" in shown.ui.correctHint.styleSheet


def test_menu_of_an_empty_place(shown):
    ((text, action),) = entries(shown.panel.teeth.menu_for(38)).items()
    assert text == "The patient does not have this tooth"
    action.trigger()
    assert shown.case.missing() == {38}
    ((text, action),) = entries(shown.panel.teeth.menu_for(38)).items()
    action.trigger()
    assert shown.case.missing() == set() and text == "Not known whether it is missing"


def test_menus_open_by_right_click_and_by_button(shown, desktop, module):
    import qt

    module.parent.show()
    button = shown.panel.teeth.chart.buttons[16]
    button.customContextMenuRequested.emit(qt.QPoint(3, 3))
    assert shown.case.selected == 16 and "Not a tooth" in entries(shown.panel.teeth.menu)
    shown.panel.teeth.menu.close()
    shown.panel.teeth.choose(38)
    shown.ui.changeToothButton.click()
    assert "The patient does not have this tooth" in entries(shown.panel.teeth.menu)
    shown.panel.teeth.menu.close()


def test_doubts_are_worked_off_one_by_one(shown):
    ui = shown.ui
    assert ui.questionLabel.text == "<b>3 questions:</b> 36 or 37? (lower left first molar, sure to 61 %)"
    assert [answers(shown)[key].text for key in ("keep", "change")] == ["It is 36", "It is 37"]
    press(shown, "later")
    assert "47 or 46?" in ui.questionLabel.text and shown.case.selected == 47
    assert answers(shown)["change"].text == "Swap with 46"
    press(shown, "keep")
    assert shown.case.selected == 17 and "The scan ends inside this tooth" in ui.questionLabel.text
    assert "change" not in answers(shown) and answers(shown)["keep"].text == "It is right"
    press(shown, "keep")
    assert shown.case.selected == 36 and "One question left" in ui.questionLabel.text
    assert not answers(shown)["later"].enabled
    press(shown, "change")
    assert 37 in shown.case.present() and 36 not in shown.case.present()
    assert "keep" not in answers(shown)  # no question about a single tooth is left
    places = {place.fdi: place for place in shown.case.chart()}
    assert not places[47].flags and not places[37].flags and places[17].done
    for name in ("36 to 37", "17 done", "47 confirmed"):  # the last step is undone first, whatever it was
        assert ui.undoButton.text == f"Undo: {name}"
        ui.undoButton.click()
    assert ui.undoButton.text == "Undo" and not ui.undoButton.enabled
    assert "<b>3 questions:</b>" in ui.questionLabel.text


def test_a_doubt_may_be_no_tooth_at_all(shown):
    press(shown, "no-tooth")
    assert 36 not in shown.case.present() and "36 and 37. Are they missing?" in shown.ui.questionLabel.text
    press(shown, "finding-0")
    assert "47 or 46?" in shown.ui.questionLabel.text


def span(panel, fdi: int, parts: str = "buttons") -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a tooth's button (or of its number: "names") in the chart."""
    from PySide6 import QtCore, QtWidgets

    part = getattr(panel.teeth.chart, parts)[fdi]
    corner = part.mapTo(panel.teeth.chart.widget, QtCore.QPoint(0, 0))
    size = QtWidgets.QWidget.size(part)
    return corner.x(), corner.y(), corner.x() + size.width(), corner.y() + size.height()


def overlapping(panel) -> list:
    """Pairs of buttons and numbers of the chart that lie over each other."""
    boxes = {
        (fdi, parts): span(panel, fdi, parts) for fdi in panel.teeth.chart.buttons for parts in ("buttons", "names")
    }
    return [
        (one, other)
        for (one, a), (other, b) in combinations(boxes.items(), 2)
        if min(a[2], b[2]) > max(a[0], b[0]) and min(a[3], b[3]) > max(a[1], b[1])
    ]


SUCCESSORS = {fdi: fdi - 40 for fdi in DECIDUOUS}


def with_all_deciduous(labels: np.ndarray) -> Edit:
    """Each tooth that follows a deciduous one gives it its upper half."""
    changed = labels.copy()
    for fdi, successor in SUCCESSORS.items():
        z, y, x = np.nonzero(labels == successor)
        upper = z > z.mean()
        changed[z[upper], y[upper], x[upper]] = fdi
    return Edit(tuple(slice(0, size) for size in labels.shape), changed)


def test_deciduous_teeth_stand_between_the_jaws_in_the_columns_of_their_successors(shown, picture):
    chart = shown.panel.teeth.chart
    picture("teeth", "teeth")
    whole = chart.widget.height
    shown.case.edit(lambda labels, scan: with_all_deciduous(labels))
    for n, notation in enumerate(("fdi", "universal", "palmer")):
        shown.ui.notationCombo.currentIndex = n
        picture(f"teeth-deciduous-{notation}", "teeth")
        assert set(chart.buttons) == {*arch("upper"), *arch("lower"), *DECIDUOUS}
        assert not overlapping(shown.panel)
        assert all(label.width >= label.sizeHint.width() for label in chart.names.values())
    assert (chart.names[55].text, chart.names[85].text, chart.names[71].text) == ("E", "E", "A")
    for fdi, successor in SUCCESSORS.items():
        for parts in ("buttons", "names"):
            assert span(shown.panel, fdi, parts)[::2] == span(shown.panel, successor, parts)[::2]
    for column in ((15, 55, 85, 45), (22, 62, 72, 32)):
        heights = [place(shown.panel, fdi)[1] for fdi in column]
        assert heights == sorted(heights) and len(set(heights)) == 4
    assert span(shown.panel, 55)[3] <= span(shown.panel, 55, "names")[1]  # numbers lie towards the other jaw
    assert span(shown.panel, 85, "names")[3] <= span(shown.panel, 85)[1]

    shown.case.undo()
    picture("teeth-permanent-again", "teeth")
    assert len(chart.buttons) == len(chart.names) == 32 and chart.widget.height == whole


def test_a_jaw_without_deciduous_teeth_has_no_row_for_them(shown, picture):
    chart = shown.panel.teeth.chart
    picture("teeth", "teeth")
    gap = place(shown.panel, 48)[1] - place(shown.panel, 18)[1]
    shown.case.edit(lambda labels, scan: renumber(labels, {44: 84, 31: 71}))
    picture("teeth-lower-deciduous", "teeth")
    row = span(shown.panel, 84)
    assert gap + 40 < place(shown.panel, 48)[1] - place(shown.panel, 18)[1] < gap + 80
    assert span(shown.panel, 71)[1] == row[1]
    assert not overlapping(shown.panel)
    shown.case.edit(lambda labels, scan: renumber(labels, {84: 44, 71: 31}))
    picture("teeth-permanent-again", "teeth")
    assert place(shown.panel, 48)[1] - place(shown.panel, 18)[1] == gap
    assert not {84, 71} & chart.buttons.keys()


def test_deciduous_teeth_are_chosen_marked_and_hidden_like_others(shown):
    chart, case = shown.panel.teeth.chart, shown.case
    case.edit(lambda labels, scan: renumber(labels, {23: 63, 43: 83, 36: 75}))
    upper, lower = (face(shown.panel, fdi)[..., 3] > 0 for fdi in (63, 83))
    assert upper[:30].sum() < 0.7 * upper[-30:].sum() and lower[-30:].sum() < 0.7 * lower[:30].sum()
    assert chart.buttons[63].toolTip.startswith("63 · deciduous upper left canine")
    chart.buttons[63].click()
    assert case.selected == 63 and chart.buttons[63].checked
    chart.go(0, -1)
    assert case.selected == 23  # the place of its successor, which is empty
    chart.go(1, 0)
    chart.go(0, 1)
    assert case.selected == 63  # the nearest of that row
    chart.go(0, 1)
    assert case.selected == 75
    chart.go(-1, 0)
    assert case.selected == 83
    chart.go(0, 1)
    assert case.selected == 43
    entries(shown.panel.teeth.menu_for(83))["Looked at and done"].trigger()
    assert (30, 140, 60) in colours(face(shown.panel, 83))
    marked = face(shown.panel, 83)
    shown.teeth.GetDisplayNode().SetSegmentVisibility("tooth_83", False)
    case.changed.emit()
    assert not np.array_equal(face(shown.panel, 83), marked)


def test_the_whole_dentition_is_asked_about_before_single_teeth(shown, picture):
    from teethseg.application.relabelling import Relabelling

    ui, case = shown.ui, shown.case
    assert "keep" in answers(shown)  # about a single tooth
    for fdi in (15, 25):  # as if the premolars before them had been extracted and the gaps had closed
        Relabelling(case).shift(fdi, 1)
    assert not ui.questionFrame.isHidden() and "keep" not in answers(shown)  # one question at a time
    assert "A premolar is missing in two quadrants" in ui.questionLabel.text
    assert answers(shown)["finding-0"].text == "The first premolars are missing"
    assert answers(shown)["finding-3"].text == "15 is missing"
    more = entries(answers(shown)["more"].menu())
    assert "24 is missing" in more
    picture("finding", "teeth")

    press(shown, "go")
    assert case.selected in (14, 16)
    press(shown, "finding-0")
    assert {14, 24} & set(case.present()) == set()
    assert {15, 25} <= set(case.present())
    assert case.missing() == {14, 24}
    assert "keep" in answers(shown)  # questions about single teeth return
    assert ui.undoButton.text == "Undo: The first premolars are missing"
    ui.undoButton.click()
    assert {14, 24} <= set(case.present())
    more = entries(answers(shown)["more"].menu())
    more["24 is missing"].trigger()
    assert 24 not in case.present()
    assert 14 in case.present()
    assert ui.questionLabel.text.startswith("<b>The whole dentition:</b> 15 seems to be missing")
    next(button for button in answers(shown).values() if button.text == "Leave it as it is").click()
    assert "keep" in answers(shown)
    assert 14 in case.present()
