"""Questions about the whole dentition, as both windows draw them, asked and answered in a real scene."""

from __future__ import annotations

import numpy as np
import pytest

from teethseg.anatomy import DECIDUOUS, PERMANENT, tooth
from teethseg.application.case import MISSING, Case
from teethseg.application.finding_queue import FindingQueue
from teethseg.cascade.arch_template import place_centres
from teethseg.cascade.dentition import UNCERTAIN_NUMBER, Dentition, FoundTooth
from teethseg.volume import Volume

WITHOUT_THIRDS = [fdi for fdi in PERMANENT if fdi % 10 < 8]


def centre(fdi):
    """Centre of a place in the mean arches, LPS mm; a negative number is 7 mm nearer the bite."""
    if fdi < 0:
        x, y, z = centre(-fdi)
        return (x, y, z - np.sign(z) * 7.0)
    one = tooth(fdi)
    lateral, posterior = place_centres(one.jaw)[7 + one.position]
    return (lateral if one.side == "left" else -lateral, posterior, 9.0 if one.jaw == "upper" else -9.0)


@pytest.fixture
def opened(slicer_scene):
    """Opens a dentition, given as the place and the flags of each tooth."""
    from teethseg.mrml.teeth import write_teeth
    from teethseg.mrml.volumes import node_of

    def opened(places, unsure=None):
        slicer_scene.scene.Clear(0)
        labels = np.zeros((32, 64, 72), np.uint8)
        origin = np.array([-36.0, -6.0, -16.0])
        for fdi, place in places.items():
            x, y, z = np.rint(np.array(centre(place)) - origin).astype(int)
            labels[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] = fdi
        scan = Volume(np.where(labels, 1000, 0).astype(np.int16), (1.0, 1.0, 1.0), tuple(origin))
        unsure = unsure or {}
        found = [
            FoundTooth(
                fdi, 0.6 if fdi in unsure else 1.0, 27.0, centre(place), unsure.get(fdi), False,
                (UNCERTAIN_NUMBER,) * (fdi in unsure),
            )
            for fdi, place in places.items()
        ]  # fmt: skip
        case = Case(slicer_scene.scene)
        case.messages = []
        case.message.connect(lambda text, kind, details: text and case.messages.append(text))
        queue = FindingQueue(case)
        volume = node_of(slicer_scene.scene, scan, "mouth")
        case.show(volume, write_teeth(slicer_scene.scene, Dentition(scan.with_array(labels), tuple(found)), volume))
        return case, queue

    return opened


def closed(*gone):
    """A dentition without these teeth, in which all teeth behind them moved forward by one place."""
    return {
        fdi: fdi - 1 if any(fdi // 10 == one // 10 and fdi > one for one in gone) else fdi
        for fdi in WITHOUT_THIRDS
        if fdi not in gone
    }


def test_nothing_is_asked_of_a_full_dentition_or_without_one(opened, slicer_scene):
    assert len(opened({fdi: fdi for fdi in WITHOUT_THIRDS})[1]) == 0
    assert FindingQueue(Case(slicer_scene.scene)).answers() == []


def test_one_click_renumbers_the_quadrant_as_one_step(opened):
    case, queue = opened(closed(15))
    assert queue.text().startswith("<b>The whole dentition:</b> 15 seems to be missing, and its gap has closed")
    assert queue.answers() == [
        "15 is missing",
        "14 is missing",
        "15 is there: 16 and 17 are 15 and 16",
        "Leave it as it is",
    ]
    before = case.labels()
    case.select(14)
    queue.answer(1)
    assert sorted(fdi for fdi in case.present() if fdi < 20) == [11, 12, 13, 15, 16, 17]
    np.testing.assert_array_equal(case.labels(), np.where(before == 14, 15, before))
    assert case.missing() == {14}
    assert case.selected == 15
    assert len(queue) == 0, "what was answered is not asked again"
    assert case.steps()[0] == "14 is missing"
    case.undo()
    np.testing.assert_array_equal(case.labels(), before)
    assert case.missing() == set()
    assert len(queue) == 1
    case.redo()
    assert case.missing() == {14}
    assert len(queue) == 0


def test_a_place_that_another_tooth_is_given_is_no_longer_missing(opened):
    from teethseg.correction import renumber

    case, queue = opened(closed(14))
    queue.answer(0)
    assert case.missing() == {14}
    case.edit(lambda labels, scan: renumber(labels, {15: 14}), "15 is 14")
    assert case.missing() == set(), "a tooth with voxels is not missing"
    case.undo()
    assert case.missing() == {14}


def test_all_behind_a_wrong_gap_move_at_once(opened):
    case, queue = opened(closed(15))
    queue.answer(2)
    assert sorted(fdi for fdi in case.present() if fdi < 20) == [11, 12, 13, 14, 15, 16]
    assert case.missing() == set()


def test_an_answer_that_changes_no_number_makes_them_sure(opened):
    places = closed(15)
    case, queue = opened(places, unsure={14: 15, 16: 15, 36: 37})
    assert case.place(16).flags == (UNCERTAIN_NUMBER,)
    queue.answer(0)
    assert case.place(14).flags == case.place(16).flags == ()
    assert case.place(36).flags == (UNCERTAIN_NUMBER,), "another quadrant"
    assert case.missing() == {15}
    assert case.steps()[0] == "15 is missing"
    case.undo()
    assert case.place(16).flags == (UNCERTAIN_NUMBER,)
    assert case.attribute(MISSING) == ""
    assert len(queue) == 1


def test_premolars_of_all_quadrants_are_one_question(opened):
    case, queue = opened(closed(15, 25, 35, 45))
    assert len(queue) == 1
    assert "A premolar is missing in every quadrant" in queue.text()
    assert queue.answers()[:3] == [
        "The first premolars are missing",
        "The second premolars are missing",
        "No tooth is missing there",
    ]
    queue.answer(0)
    assert {14, 24, 34, 44} & set(case.present()) == set()
    assert {15, 25, 35, 45} <= set(case.present())
    assert case.missing() == {14, 24, 34, 44}
    assert len(queue) == 0


def test_teeth_that_were_not_found_are_asked_for_in_the_users_notation(opened):
    front = (33, 32, 31, 41, 42)
    case, queue = opened({fdi: fdi for fdi in WITHOUT_THIRDS if fdi not in front})
    assert "between 43 and 34: 31-33, 41 and 42. Are they missing?" in queue.text()
    case.notation = "universal"
    assert "between #27 and #21: #24, #23, #22, #25 and #26." in queue.text()
    assert queue.answers() == ["#24, #23, #22, #25 and #26 are missing", "Leave it as it is"]
    queue.answer(0)
    assert case.missing() == set(front)
    assert len(queue) == 0
    case.undo()
    queue.answer(1)
    assert case.missing() == set()
    assert len(queue) == 0, "left as it is"
    case.undo()
    assert len(queue) == 1


def test_the_worst_is_asked_first_and_the_next_one_follows(opened):
    places = {fdi: place for fdi, place in closed(15).items() if fdi not in (33, 32, 31, 41, 42)}
    _, queue = opened(places)
    assert len(queue) == 2
    assert "1 of 2" in queue.text()
    assert "15 seems to be missing" in queue.text()
    assert queue.first == 14
    queue.answer(0)
    assert "between 43 and 34" in queue.text()


def test_neighbours_that_are_all_one_place_off(opened):
    places = {fdi: fdi for fdi in WITHOUT_THIRDS if fdi != 17}
    case, queue = opened(places, unsure={15: 16, 16: 17})
    assert "15 and 16 may all be one place further back: are they 16 and 17?" in queue.text()
    assert queue.answers() == ["They are 16 and 17", "They are 15 and 16", "Decide tooth by tooth"]
    queue.answer(0)
    assert {16, 17} <= set(case.present())
    assert 15 not in case.present()
    assert case.place(16).flags == ()


def test_what_is_decided_tooth_by_tooth_is_not_asked_again_for_the_rest_of_them(opened):
    case, queue = opened({fdi: fdi for fdi in WITHOUT_THIRDS if fdi != 17}, unsure={14: 15, 15: 16, 16: 17})
    assert "14-16 may all be one place further back" in queue.text()
    queue.answer(2)
    case.confirm(14)
    assert case.place(15).flags == case.place(16).flags == (UNCERTAIN_NUMBER,) and len(queue) == 0


def test_deciduous_teeth_are_shown_once_also_if_another_tooth_is_called_so(opened):
    from teethseg.application.relabelling import Relabelling

    case, queue = opened({55 if fdi == 15 else fdi: fdi for fdi in WITHOUT_THIRDS})
    assert queue.text().endswith("Check the deciduous teeth: 55.")
    queue.answer(0)
    Relabelling(case).renumber(35, 75)
    assert 75 in case.present() and len(queue) == 0


def test_deciduous_teeth_of_a_new_result_are_shown_although_others_were(opened):
    case, queue = opened({55 if fdi == 15 else fdi: fdi for fdi in WITHOUT_THIRDS})
    queue.answer(0)
    again = case.labels()
    again[again == 35] = 75
    found = [FoundTooth(int(fdi), 1.0, 27.0, centre(fdi - 40 if fdi > 50 else fdi)) for fdi in np.unique(again)[1:]]
    scan = case.scan()
    case.take_result(
        Dentition(scan.with_array(again), tuple(found)),
        case.volume_node,
        case.teeth_node,
        (*PERMANENT, *DECIDUOUS),
        (),
        "fdi",
        False,
    )
    assert queue.text().endswith("Check the deciduous teeth: 55 and 75.")


def test_what_looks_like_a_mixed_dentition_is_asked_first_and_segmented_again(opened, monkeypatch):
    from teethseg.cascade import findings

    monkeypatch.setattr(findings, "shipped", lambda dentition: dentition)
    case, queue = opened({fdi: fdi for fdi in WITHOUT_THIRDS if fdi % 10 != 5} | {15: -14, 25: -24, 35: -34, 45: -44})
    assert "looks like a child's mixed dentition" in queue.text() and queue.text().endswith("for mixed dentitions?")
    assert queue.answers() == ["Segment again with them", "Leave it as it is"]
    asked, before = [], case.labels()
    queue.again.connect(asked.append)
    queue.answer(0)
    assert asked == ["mixed"]
    assert np.array_equal(case.labels(), before) and not case.missing()
    assert "looks like" in queue.text(), "until the run has brought other teeth"
    monkeypatch.setattr(findings, "shipped", lambda dentition: None)
    case.teeth_node.SetAttribute(MISSING, "18")  # something else changes
    queue.update()
    assert queue.text().endswith("networks for it are not installed.") and queue.answers() == ["I have seen it"]
    queue.answer(0)
    assert "looks like" not in queue.text()


def test_nothing_is_asked_while_teeth_are_annotated_by_hand(opened):
    from teethseg.application.case import WORKLIST, WRITTEN

    case, queue = opened(closed(15))
    case.teeth_node.SetAttribute(WORKLIST, "{}")
    case.teeth_node.SetAttribute(WRITTEN, None)
    case.changed.emit()
    assert len(queue) == 0
