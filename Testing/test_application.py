"""The application layer without a window: no Qt, no trame, no network; the scene is a real one."""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from browser_cases import BALLS, ball_case
from imports import MODULE, OWN, imported, name_of, reach
from teethseg.anatomy import DECIDUOUS, tooth
from teethseg.application import i18n
from teethseg.application.annotation_actions import annotation_actions
from teethseg.application.annotation_session import AnnotationSession, growth_warning, looks_personal
from teethseg.application.case import Case
from teethseg.application.computer_check import ComputerCheck, check_html
from teethseg.application.correction_tools import CorrectionTools
from teethseg.application.export import table_cells
from teethseg.application.failures import failure_text, guarded
from teethseg.application.label_numbering import LabelNumbering
from teethseg.application.opened_scan import OpenedScan
from teethseg.application.painting import Painting
from teethseg.application.placed_points import CURVE, RED, PlacedPoints
from teethseg.application.relabelling import Relabelling
from teethseg.application.rerun_policy import endangered, plan, question, teeth_of_part
from teethseg.application.review_queue import ReviewQueue, question_of
from teethseg.application.run_control import RunControl
from teethseg.application.saved_work import adopt_scan
from teethseg.application.signals import Signal
from teethseg.application.source import Source, source_of
from teethseg.application.texts import full_text, stage_text, teeth_text, time_text, tooth_name
from teethseg.application.tooth_chart import chart_number, chart_rows, column, marks_of, neighbour
from teethseg.application.tooth_glyphs import svg_path
from teethseg.application.tooth_menu import tooth_menu
from teethseg.application.tooth_texts import chosen_text, tip_text
from teethseg.application.workspace import Workspace
from teethseg.cascade.dentition import (
    GAP_BEFORE,
    MAYBE_EXTRA,
    TOUCHES_BORDER,
    UNCERTAIN_NUMBER,
    UNERUPTED,
    Dentition,
    FoundTooth,
)
from teethseg.cascade.network_choice import SECOND_RUN
from teethseg.correction import merge_teeth, remove_tooth, renumber
from teethseg.correction.edit import Edit
from teethseg.errors import InputError, UsageError
from teethseg.io.files import write_labels, write_scan, write_segmentation
from teethseg.volume import Volume
from teethseg.worker.protocol import Failure, Progress, Stage

LAYER = sorted((MODULE / OWN / "application").rglob("*.py"))
WINDOWS = {"qt", "ctk", "PySide6", "trame", "trame_server", "trame_slicer", "trame_client", "undo_stack", "aiohttp"}
NETWORK = {"socket", "http", "urllib", "requests", "asyncio", "ssl", "webbrowser"}


@pytest.fixture
def case(slicer_scene):
    """The ball case, 16 doubtful (it may be 17), 26 cut off, 36 with a gap before it."""
    from teethseg.mrml.teeth import write_teeth
    from teethseg.mrml.volumes import node_of

    slicer_scene.scene.Clear(0)
    flags = {16: (UNCERTAIN_NUMBER,), 26: (TOUCHES_BORDER,), 36: (GAP_BEFORE,)}
    scan, labels = ball_case()
    found = [
        FoundTooth(
            fdi, 0.6 if fdi == 16 else 0.995, 300.0, place[:3], 17 if fdi == 16 else None, False, flags.get(fdi, ())
        )
        for fdi, place in BALLS.items()
    ]
    case = Case(slicer_scene.scene)
    volume = node_of(slicer_scene.scene, scan, "balls")
    case.show(volume, write_teeth(slicer_scene.scene, Dentition(labels, tuple(found)), volume))
    case.messages = []
    case.message.connect(lambda text, kind, details: text and case.messages.append((kind, text)))
    return case


class Points:
    """Points as a window keeps them, placed by a test."""

    def __init__(self):
        self.placing, self.changed, self._points = False, Signal(), []

    def start(self):
        self.placing = True

    def stop(self):
        self.placing = False

    def clear(self):
        self.placing, self._points = False, []

    def drop_last(self):
        self._points.pop()
        self.changed.emit()

    def points(self):
        return list(self._points)

    def place(self, lps):
        assert self.placing
        self._points.append((-lps[0], -lps[1], lps[2]))
        self.changed.emit()


# The layer


def test_it_knows_neither_windows_nor_the_network():
    for file in LAYER:
        roots = {name.split(".")[0] for name in imported(file, at_load=False)}
        assert not roots & (WINDOWS | NETWORK), file.name
        own = {name.split(".")[1] for name in imported(file, at_load=False) if name.startswith(f"{OWN}.")}
        assert not own & {"panel", "browser", "cli"}, file.name
    assert not set(reach(map(name_of, LAYER), at_load=False)) & WINDOWS


def test_it_opens_in_a_slicer_that_has_nothing_installed_yet():
    assert set(reach(map(name_of, LAYER), at_load=True)) <= {"numpy", "slicer"}


def test_no_text_is_made_before_the_language_is_known():
    for file in LAYER:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        inside = {
            id(node)
            for top in ast.walk(tree)
            if isinstance(top, ast.FunctionDef | ast.Lambda)
            for node in ast.walk(top)
        }
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_"]
        assert not [node.lineno for node in calls if id(node) not in inside], file.name


def test_texts_are_translated_by_the_file_that_they_stand_in():
    asked = []

    def translate(context, text):
        asked.append((context, text))
        return {"upper right {kind}": "{kind} oben rechts", "first molar": "erster Molar"}.get(text, text)

    i18n.use(translate)
    try:
        assert tooth_name(16) == "erster Molar oben rechts"
        stage_text("find arches")
    finally:
        i18n.use(None)
    assert {context for context, _ in asked} == {"application.texts"}
    assert tooth_name(16) == "upper right first molar"


def test_errors_are_one_line_and_those_that_nobody_expected_have_details():
    assert failure_text(UsageError("So it is: do that.")) == ("So it is: do that.", "error", "")
    assert "The package edt is missing: press" in failure_text(ImportError("no", name="edt"))[0]
    too_long = failure_text(OSError(36, "File name too long", "a/b"))
    assert too_long[0].startswith("a/b cannot be used (File name too long): check the path") and not too_long[2]
    told = []

    def fail():
        raise ValueError("two\nlines")

    assert guarded(fail, lambda *what: told.append(what))() is None
    ((text, kind, details),) = told
    assert "ValueError: two lines" in text and kind == "error" and "Traceback" in details


def test_plans():
    everything = teeth_of_part("all", None)
    assert len(everything) == 52 and teeth_of_part("upper", None) < everything
    assert {11, 28, 55, 61} <= teeth_of_part("upper", None) and not {31, 48, 71} & teeth_of_part("upper", None)
    assert teeth_of_part("tooth", 36) == {36}
    with pytest.raises(UsageError, match="click the tooth"):
        teeth_of_part("tooth", None)
    # 36 is present and corrected, 11 was taken out, 41 is not asked for.
    made = plan(teeth_of_part("upper", None) | {36}, {36, 12, 41}, {36, 11})
    assert made.keep == {36, 41} and 12 in made.take and not {11, 36, 41} & made.take
    assert endangered({11, 12}, {12, 36}) == [12]
    assert question([11]) == "You have corrected 11. Replace your work?"


def test_errors_name_teeth_in_the_notation_of_the_windows(case):
    case.rename("universal")
    relabelling = Relabelling(case)
    for _ in range(2):
        relabelling.shift(max(n for n in case.present() if n < 20), 1)
    relabelling.shift(18, 1)
    text = "Tooth #1 has no number behind it: renumber or remove tooth #1 first."
    assert case.messages[-1] == ("error", text)


def test_words():
    assert teeth_text([16, 17, 21]) == "16, 17 and 21" and teeth_text([16], "universal") == "#3"
    assert (time_text(0.2), time_text(42), time_text(200)) == ("1 s", "42 s", "3 min")
    assert stage_text("something new") == "Something new"


def test_all_names_of_teeth_are_there():
    from teethseg.anatomy import TEETH

    assert [tooth_name(fdi) for fdi in TEETH] == [one.name for one in TEETH.values()]
    assert full_text(16, "universal") == "#3  upper right first molar"


# The case


def test_one_history_of_edits_marks_and_confirmations_in_their_order(case):
    before = case.labels()
    relabelling = Relabelling(case)
    case.select(16)
    relabelling.renumber(16, 17)
    assert case.selected == 17
    case.set_state(26, "completed")
    case.set_missing(15, True)
    case.edit(lambda labels, scan: remove_tooth(labels, 41), "41 no tooth")
    case.confirm(36)
    names = []
    while case.can_undo:
        names.append(case.steps()[0])
        case.undo()
    assert names == ["36 confirmed", "41 no tooth", "15 missing", "26 done", "16 to 17"]
    assert np.array_equal(case.labels(), before) and case.missing() == set() and case.selected == 16
    assert not any(place.done for place in case.chart())
    assert case.place(16).flags == (UNCERTAIN_NUMBER,) and case.place(16).confidence == 0.6
    for _ in range(5):
        case.redo()
    assert case.missing() == {15} and 41 not in case.present() and case.place(26).done and not case.can_redo


def test_edits_are_reported_and_views_are_not(case):
    edited = []
    case.edited.connect(lambda: edited.append(1))
    case.select(16)
    case.show_only_selected(True)
    case.rename("palmer")
    assert not edited
    case.set_missing(15, True)
    case.undo()
    assert len(edited) == 2


def test_only_this_tooth_follows_the_choice(case):
    display = case.teeth_node.GetDisplayNode()

    def visible():
        return [fdi for fdi in case.present() if display.GetSegmentVisibility(f"tooth_{fdi}")]

    case.select(16)
    case.show_only_selected(True)
    case.select(36)
    assert visible() == [36]
    Relabelling(case).renumber(36, 37)
    assert visible() == [37]
    case.show_only_selected(False)
    assert len(visible()) == 5


def test_a_tool_that_takes_its_time_does_not_meet_another_case(case, slicer_scene):
    waiting = []
    case.compute = lambda work, done, failed: waiting.append((work, done))
    case.edit(lambda labels, scan: remove_tooth(labels, 16), "16 no tooth")
    case.edit(lambda labels, scan: remove_tooth(labels, 26), "26 no tooth")
    case.undo()
    assert case.messages == 2 * [("warning", "Another tool is at work: wait for it.")] and len(waiting) == 1
    ((work, done),) = waiting
    other = slicer_scene.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    node = case.teeth_node
    case.show(case.volume_node, other)
    done(work())
    assert not case.busy
    case.show(case.volume_node, node)
    assert 16 in case.present()


def test_what_was_changed_while_a_tool_was_at_work_stays(case):
    """A brush stroke within what the tool changes is kept, and the user told; one elsewhere is no matter."""
    waiting = []
    case.compute = lambda work, done, failed: waiting.append((work, done))
    for near in (True, False):
        labels = case.labels()
        at = tuple(np.argwhere(labels == 16)[0]) if near else (0, 0, 0)
        case.edit(lambda labels, scan: remove_tooth(labels, 16), "16 no tooth")
        work, done = waiting.pop()
        edit = work()
        box = tuple(slice(index, index + 1) for index in at)
        case.apply(Edit(box, np.full((1, 1, 1), 26, np.uint8)), "paint 26")
        done(edit)
        assert case.labels()[at] == 26 and (16 in case.present()) == near and not case.busy
        assert [kind for kind, text in case.messages if "try again" in text] == ["warning"]


# Questions


def test_numbers_are_asked_first_and_then_what_else_was_noticed(case):
    relabelling = Relabelling(case)
    queue, went = ReviewQueue(case, relabelling), []
    queue.tooth_chosen.connect(went.append)
    queue.update()
    assert len(queue) == 3 and queue.current.text("fdi") == "16 or 17? (upper right first molar, sure to 60 %)"
    assert queue.text().startswith("<b>3 questions:</b> 16 or 17?")
    queue.later()
    assert queue.current.fdi == 26 and not queue.current.change_text("fdi")
    assert queue.current.text("fdi") == (
        "26 (upper left first molar): The scan ends inside this tooth: only a part of it is outlined and measured."
    )
    queue.keep()
    assert case.place(26).done and queue.current.fdi == 36
    queue.keep()
    assert queue.current.fdi == 16 and queue.current.change_text("universal") == "It is #2"
    queue.change()
    assert 17 in case.present() and queue.current is None
    assert went == [26, 36, 16] and case.selected == 17


def test_a_childs_germs_are_no_questions_and_an_extra_tooth_is_asked_for_by_its_place():
    def place(fdi, *flags, second=None):
        values = {"present": True, "done": False, "confidence": 0.0, "second_fdi": second}
        return SimpleNamespace(fdi=fdi, flags=flags, **values)

    places = [place(13, UNERUPTED), place(18, UNCERTAIN_NUMBER, MAYBE_EXTRA, UNERUPTED, second=28)]
    queue = ReviewQueue(SimpleNamespace(chart=lambda: places, changed=Signal(), notation="fdi"), None)
    queue.update()
    assert len(queue) == 1
    assert queue.current.text("fdi").startswith("18 or 28? The arch has no place left for it")


def test_the_least_certain_number_comes_first():
    def place(fdi, confidence, second, **more):
        values = {"present": True, "flags": (UNCERTAIN_NUMBER,), "done": False, **more}
        return SimpleNamespace(fdi=fdi, confidence=confidence, second_fdi=second, **values)

    places = [place(36, 0.8, 37), place(46, 0.5, 47), place(47, 0.9, None), place(11, 0.1, 21, done=True)]
    fake = SimpleNamespace(chart=lambda: places, changed=Signal(), notation="universal", select=lambda fdi: None)
    queue = ReviewQueue(fake, None)
    queue.update()
    assert len(queue) == 3 and queue.current.fdi == 46 and queue.current.taken
    assert queue.current.text("universal") == "#30 or #31? (lower right first molar, sure to 50 %)"
    queue.later()
    assert queue.current.fdi == 36 and not queue.current.taken
    queue.update()  # a postponed question stays behind the others
    assert queue.current.fdi == 36
    places.pop(0)
    queue.update()
    assert queue.current.text("fdi") == "Is this really 47? (lower right second molar, sure to 90 %)"
    assert question_of(places[0], {46, 47}).change_text("fdi") == "Swap with 47"


# Tools


def test_a_tool_is_given_its_clicks_and_tells_those_that_are_wrong(case):
    points = Points()
    tools = CorrectionTools(case, points)
    case.select(16)
    Relabelling(case).remove(41)
    case.edit(lambda labels, scan: merge_teeth(labels, 16, 26), "merge")
    tools.use("split")
    assert points.placing and tools.hint.endswith("(0 of 2 clicks)") and next(n for n, _ in tools.others()) == 17
    points.place((0.0, 0.0, 0.0))
    assert case.messages[-1] == ("warning", "That click is not in 16: click into it.") and not points.points()
    points.place(BALLS[16][:3])
    points.place(BALLS[26][:3])
    assert tools.hint.endswith("(2 clicks)") and tools.complete
    tools.choose_other(27)
    tools.apply()
    assert {16, 27} <= set(case.present()) and not tools.active and not points.points()
    assert case.steps()[0] == "split 16"


def test_a_tool_goes_with_its_tooth(case):
    points = Points()
    tools = CorrectionTools(case, points)
    tools.use("smooth")
    assert case.messages == [("warning", "No tooth is chosen: choose one in the chart first.")]
    case.select(16)
    tools.use("regrow")
    assert tools.active == "regrow" and not tools.complete
    case.select(26)
    assert not tools.active and not points.placing
    tools.use("add")
    case.select(16)
    assert tools.active == "add"


def test_menus_offer_near_numbers_first_and_what_stands_free(case):
    relabelling = Relabelling(case)
    case.rename("universal")
    entries = {entry.key: entry for entry in tooth_menu(case, relabelling, 16)}
    assert [entry.text for entry in entries["numbers"].entries][:2] == [
        "#2  upper right second molar",
        "#4  upper right second premolar",
    ]
    assert [entry.key for entry in entries["partners"].entries] == ["swap-11", "swap-26"]
    entries["gap"].act()
    assert case.missing() == {16} and 17 in case.present() and case.steps()[0] == "#3 missing, #3 to #2"
    ((entry,)) = tooth_menu(case, relabelling, 16)
    assert entry.text == "Not known whether it is missing"


def test_a_shift_suggests_to_mark_the_gap_until_something_else_is_done(case):
    relabelling = Relabelling(case)
    case.select(16)
    relabelling.shift(16, 1)
    assert case.selected == 17 and relabelling.suggestion.button == "16 is missing"
    case.set_state(26, "completed")
    assert relabelling.suggestion is None
    relabelling.shift(17, 1)
    assert "There is no 17 now" in relabelling.suggestion.text
    relabelling.accept()
    assert case.missing() == {17}
    relabelling.shift(18, 1)
    assert case.messages[-1][0] == "error" and "no number behind it" in case.messages[-1][1]


def test_a_tooth_not_drawn_yet_is_not_called_missing(case):
    places = {place.fdi: place for place in case.chart()}
    assert tip_text(case, places[15]) == "15 · upper right second premolar\nnot found"
    assert tip_text(case, places[11]) == "11 · upper right central incisor\nsure to over 99 %"
    case.start_teeth()
    case.teeth_node.SetAttribute("TeethSeg.worklist", "{}")
    case.select(15)
    assert chosen_text(case) == "<b>15</b> upper right second premolar · not drawn yet"
    case.set_missing(15, True)
    assert chosen_text(case).endswith("missing in this patient")


# Annotating


def test_a_tooth_whose_crown_was_lost_is_reported():
    scan = Volume(np.zeros((60, 40, 40), np.int16), (0.5, 0.5, 0.5))
    tooth = np.zeros(scan.array.shape, bool)
    tooth[5:45, 12:26, 12:26] = True  # 20 x 7 x 7 mm, the crown above
    crown, root = (38, 20, 20), (10, 20, 20)
    assert "times the usual volume" in growth_warning(tooth, scan, 31, [crown, root])
    assert growth_warning(tooth, scan, 16, [crown, root]) == ""
    tooth[40:] = False  # a filling, and the crown beside it
    assert "the crown ends at your first click" in growth_warning(tooth, scan, 16, [crown, root])


@pytest.mark.parametrize(
    ("key", "personal"),
    [
        ("patient-7", False),
        ("case 0012", False),
        ("A17", False),
        ("study 3, subject 12", False),
        ("Smith, Jane", True),
        ("Jörg Müller", True),
        ("1987-05-23", True),
        ("19870523", True),
        ("p 23.5.87", True),
        ("20871399", False),
    ],
)
def test_keys_that_look_like_names_or_birthdays(key, personal):
    assert looks_personal(key) is personal


# Runs


class Run:
    """Returns the given messages, batch by batch."""

    state = "running"

    def __init__(self, *batches):
        self.batches = list(batches)

    def poll(self):
        return self.batches.pop(0) if self.batches else []

    def details(self):
        return ""

    def close(self):
        pass


def test_progress_never_goes_back():
    control, seen = RunControl(lambda job: run), []
    control.changed.connect(lambda: seen.append(control.fraction))
    run = Run(
        [Stage("find arches")],
        [Progress("outline teeth", 9, 10)],
        [Progress("outline teeth", 1, 10, 100.0)],
        [Stage("write back")],
        [Progress("write back", 1, 1, 0.0)],
    )
    control.start(None)
    for _ in range(6):
        control.poll()
    assert seen == sorted(seen) and 0.9 < seen[-1] < 1.0


def test_a_second_run_is_told_and_goes_on_visibly():
    run = Run(
        [Stage("write back")],
        [Stage(SECOND_RUN), Progress(SECOND_RUN, 0, 1)],
        [Stage("find arches"), Progress("find arches", 0, 1, 1e4)],
        [Stage("number teeth")],
    )
    control, seen = RunControl(lambda job: run), []
    control.start(None)
    for _ in range(4):
        control.poll()
        seen.append((control.fraction, control.status.partition(" ·")[0]))
    told = "Second run, for deciduous teeth"
    assert [text.startswith(told) for _, text in seen] == [False, True, True, True]
    assert seen[1][0] < 0.5 < 0.8 < seen[0][0] and seen[1][0] <= seen[2][0] < seen[3][0]


def test_a_worker_that_ends_without_a_word_is_a_failure():
    run = Run([])
    control = RunControl(lambda job: run)
    ended = []
    control.ended.connect(ended.append)
    control.start(None)
    run.state = "failed"
    control.poll()
    assert ended == ["failed"] and isinstance(control.failure, Failure) and "run it again" in control.failure.text
    control.poll()  # nothing more happens
    assert ended == ["failed"]


def test_how_labels_are_numbered_is_asked_once(case):
    from teethseg.mrml import teeth

    asked, events = [], []
    choice: list[int | None] = [None]

    def ask(text, options, answer):
        asked.append((text, options))
        answer(choice[0])

    def later(handler):
        return lambda *_: events.append(handler)

    keep = LabelNumbering(case, ask, later)
    own = case.teeth_node
    case.show(case.volume_node, None)
    case.show(case.volume_node, own)
    assert not events  # the numbering of TeethSeg's own teeth is known

    def theirs():
        node = teeth.show_labels(case.scene, case.labels(), case.volume_node)
        node.SetName("theirs")
        segmentation = node.GetSegmentation()
        for fdi in sorted(case.present()):
            segment = segmentation.GetSegment(f"tooth_{fdi}")
            segment.SetName(f"Tooth {tooth(fdi).universal}")
            segment.RemoveTag("TerminologyEntry")
            segmentation.AddSegment(segment, f"Segment_{fdi}")
            segmentation.RemoveSegment(f"tooth_{fdi}")
        return node

    for answer, names in ((None, "Tooth 3"), (0, "Tooth 16")):
        case.show(case.volume_node, own)
        node = theirs()
        choice[0] = answer
        for _ in range(2):  # the second choice asks nothing
            case.show(case.volume_node, own)
            case.show(case.volume_node, node)
            while events:
                events.pop(0)()
        assert len(asked) == 1 and asked.pop() == (
            "How are the teeth of 'theirs' numbered? The segmentation does not tell.",
            ["Universal numbers (1 to 32)"],
        )
        assert node.GetSegmentation().GetSegment("Segment_16").GetName() == names
    assert keep is not None and 16 in case.present()


# Brushes, files, and checks of the computer


def ball(case, fdi: int, radius: float) -> np.ndarray:
    """Voxels of the scan around the middle of a tooth."""
    scan = case.scan()
    grid = np.stack(np.meshgrid(*map(np.arange, scan.array.shape), indexing="ij"), axis=-1)
    return (np.linalg.norm(scan.to_lps(grid) - BALLS[fdi][:3], axis=-1) < radius).astype(np.uint8)


def test_a_stroke_adds_free_voxels_to_the_chosen_tooth_and_takes_only_its_own(case):
    painting, before = Painting(case), case.labels()
    painting.stroke(ball(case, 26, 8.0), None, adds=True)
    assert (case.labels() == before).all()  # no tooth is chosen
    case.select(36)
    painting.stroke(ball(case, 26, 8.0), None, adds=True)
    after = case.labels()
    assert (after[before == 26] == 26).all() and ((after == 36) & (before == 0)).sum() > 1000
    assert case.steps()[0] == "paint 36"
    painting.stroke(ball(case, 26, 20.0), None, adds=False)
    assert (case.labels()[before == 26] == 26).all() and 36 not in case.present()
    case.undo()
    case.undo()
    assert (case.labels() == before).all()
    case.select(36)
    painting.stroke(1 - ball(case, 36, 2.0), None, adds=False, kept=True)  # scissors: 0 where the tooth is cut away
    assert 0 < (case.labels() == 36).sum() < (before == 36).sum()


def test_a_stroke_that_changes_nothing_says_why_and_a_hidden_tooth_is_shown(case):
    painting = Painting(case)
    case.select(36)
    case.show_selected(False)
    painting.stroke(ball(case, 26, 2.0), None, adds=True)
    assert "other teeth keep" in case.messages[-1][1] and case.place(36).visible
    painting.stroke(ball(case, 26, 2.0), None, adds=False)
    assert "Nothing was erased: 36 is not there" in case.messages[-1][1]
    painting.find_range()
    painting.stroke(ball(case, 36, 8.0), None, adds=True)
    assert "as bright as teeth" in case.messages[-1][1] and not case.can_undo


def test_only_bright_voxels_are_painted_once_the_range_is_known(case):
    painting, before = Painting(case), case.labels()
    case.select(26)
    painting.find_range()
    assert 200 < painting.range.low < 1300 and painting.range.high == painting.range.brightest
    painting.stroke(ball(case, 26, 8.0), None, adds=True)
    assert (case.labels() == before).all()
    painting.set_range(-1000.0, 100.0)
    extent = [0, before.shape[2] + 5, -3, before.shape[1], 0, before.shape[0]]  # may reach beyond the scan
    painting.stroke(ball(case, 26, 8.0), extent, adds=True)
    assert ((case.labels() == 26) & (before == 0)).sum() > 1000
    case.undo()
    painting.set_range(1000.0, 3000.0)
    painting.keep_range()
    assert case.steps()[0] == "threshold 26" or case.messages


def test_a_scan_and_teeth_are_opened_from_files(case, tmp_path):
    scan, labels = ball_case()
    opened = OpenedScan(case)
    padded = replace(scan, padding=(-2000.0, -1500.0))
    opened.show(padded, Source("new.nii.gz", tmp_path / "new.nii.gz"))
    assert (case.volume_node.GetName(), case.teeth_node, opened.facts()) == (
        "new",
        None,
        "104 x 88 x 60 voxels of 0.5 mm",
    )
    assert case.scan().padding == (-2000.0, -1500.0)
    write_segmentation(tmp_path / "teeth.seg.nrrd", labels)
    assert (
        opened.load_teeth(tmp_path / "teeth.seg.nrrd", {"teeth": [{"fdi": 16, "confidence": 0.5, "flags": []}]}) == ()
    )
    assert (case.labels() == labels.array).all() and case.place(16).confidence == 0.5
    write_labels(tmp_path / "teeth.nii.gz", labels)
    opened.load_teeth(tmp_path / "teeth.nii.gz")
    assert (case.labels() == labels.array).all() and case.corrected() == set(BALLS)
    write_scan(tmp_path / "no.nrrd", scan)
    before = case.teeth_node
    with pytest.raises(InputError):
        opened.load_teeth(tmp_path / "no.nrrd")
    assert case.teeth_node is before


def test_the_computer_is_looked_at_beside_the_users_work(case, monkeypatch):
    from teethseg.worker import computer

    waiting = []
    monkeypatch.setattr(case, "compute", lambda work, done, failed: waiting.append((work, done, failed)))
    monkeypatch.setattr(
        computer, "check_computer", lambda scan, weights, python: [computer.Check("Disk", True, "9 GB")]
    )
    check = ComputerCheck(case)
    check.check()
    assert check.checking and not check.checks
    work, done, failed = waiting.pop()
    failed(UsageError("No."))
    assert not check.checking and case.messages == [("error", "No.")]
    done(work())
    assert check.report() == "ok  Disk: 9 GB"


def test_outlines_of_teeth_are_paths_that_lie_in_their_box():
    for fdi in (16, 41, 55, 85):
        path = svg_path(fdi, 20, 40)
        numbers = [float(part) for part in re.findall(r"-?\d+\.\d", path)]
        assert path.startswith("M") and path.endswith("Z") and min(numbers) >= -0.5 and max(numbers) <= 40.5
    left, right = (re.findall(r"[-\d.]+", svg_path(fdi, 20, 40)) for fdi in (26, 16))
    assert np.allclose([float(x) for x in left[::2]], [20 - float(x) for x in right[::2]], atol=0.11)


def test_a_scan_that_was_sent_lies_where_the_work_on_it_does(tmp_path):
    passing, mine, other = (tmp_path / name for name in ("passing", "mine", "other"))
    for folder in (passing / "scans" / "1", mine, other):
        folder.mkdir(parents=True)
    sent = passing / "scans" / "1" / "a.nrrd"
    sent.write_bytes(b"scan")
    moved = adopt_scan(sent, mine, passing)
    assert moved == mine / "scans" / "1" / "a.nrrd" and moved.read_bytes() == b"scan" and not sent.exists()
    assert adopt_scan(moved, mine, passing) == moved
    again = adopt_scan(moved, other, passing)  # other work on the same scan: each has it
    assert again.is_relative_to(other) and again.read_bytes() == moved.read_bytes()
    elsewhere = tmp_path / "a.nrrd"
    assert adopt_scan(elsewhere, mine, passing) == elsewhere


def test_how_the_labels_of_a_file_are_numbered_is_asked_where_they_are_shown(case, tmp_path, capsys):
    """`teethseg serve SCAN --teeth LABELS` opens the page with a question, where other commands need --labels-are."""
    from teethseg.cli.serve import _show_teeth

    labels = case.scan().with_array(np.zeros(case.scan().array.shape, np.uint8))
    labels.array[2:4, 2:4, 2:4], labels.array[6:8, 6:8, 6:8] = 3, 30
    write_labels(tmp_path / "theirs.nrrd", labels)
    asked, shown = [], []
    app = SimpleNamespace(
        opened=OpenedScan(case),
        label_numbering=LabelNumbering(case, lambda *question: asked.append(question), lambda handler: handler),
        navigation=SimpleNamespace(at_teeth=lambda: shown.append(case.present())),
    )
    app.opened.source = Source("balls", tmp_path)
    before = case.teeth_node
    _show_teeth(app, tmp_path / "theirs.nrrd", None, None)
    ((text, options, answer),) = asked
    assert "'theirs.nrrd'" in text and options[0] == "Universal numbers (1 to 32)" and case.teeth_node is before
    answer(None)
    assert case.teeth_node is before and not shown
    answer(0)
    assert shown == [[16, 46]]
    _show_teeth(app, tmp_path / "theirs.nrrd", None, "universal")
    assert len(asked) == 1 and len(shown) == 2
    labels.array[labels.array > 0] = 240  # 240 belongs to no numbering
    write_labels(tmp_path / "theirs.nrrd", labels, [240])
    with pytest.raises(InputError, match="does not tell its teeth"):
        _show_teeth(app, tmp_path / "theirs.nrrd", None, None)


# Parts that both windows draw


def at_once_later(handler):
    """`later` of a window without events."""
    return lambda *_event: handler()


@pytest.fixture
def workspace(slicer_scene, case):
    """The workspace of a window, with the ball case in it."""
    work = Workspace(slicer_scene.scene, lambda text, options, answer: answer(None), at_once_later)
    work.case.show(case.volume_node, case.teeth_node)
    return work


def answer(card, key: str) -> None:
    next(one for one in card.answers if one.key == key).act()


def test_the_whole_dentition_is_asked_about_before_single_teeth(workspace):
    case, cards, shown = workspace.case, workspace.cards, []
    cards.changed.connect(lambda: shown.append(cards.question()))
    asked = []
    while (card := cards.question()) is not None and card.key == "finding":
        asked.append(card.text)
        assert card.kind == "info" and card.answers[-1].key == f"finding-{len(card.answers) - 1}"
        card.answers[-1].act()  # leave it as it is
    assert asked and asked == list(dict.fromkeys(asked)) and shown
    assert card.key == "review" and card.kind == "warning" and "16 or 17?" in card.text
    assert [one.text for one in card.answers] == ["It is 16", "It is 17", "Not a tooth", "Later"]
    card.go()
    assert case.selected == 16
    answer(card, "change")
    assert 17 in case.present() and 16 not in case.present()


def test_a_suggestion_is_a_card_of_its_own(workspace):
    workspace.relabelling.shift(16, 1)
    card = workspace.cards.suggestion()
    assert (card.key, [one.text for one in card.answers]) == ("suggestion", ["16 is missing", "No"])
    answer(card, "accept")
    assert workspace.cards.suggestion() is None and 16 in workspace.case.missing()


def test_the_chart_has_rows_marks_and_neighbours(case):
    case.set_missing(18, True)
    rows = chart_rows(case.chart())
    numbers = [[place.fdi for place in row] for row in rows]
    assert (numbers[0][0], numbers[0][-1], numbers[3][0], numbers[3][-1], numbers[1:3]) == (18, 28, 48, 38, [[], []])
    places = {place.fdi: place for row in rows for place in row}
    assert marks_of(places[16], False) == ["uncertain"] and marks_of(places[26], False) == ["border"]
    assert marks_of(places[18], True) == ["missing"] and marks_of(places[16], True) == ["uncertain"]
    assert [chart_number(16, notation) for notation in ("fdi", "universal", "palmer")] == ["16", "3", "6"]
    assert (neighbour(numbers, 11, 1, 0), neighbour(numbers, 18, -1, 0), neighbour(numbers, 11, 0, 1)) == (21, 18, 41)
    assert neighbour(numbers, 28, 1, -1) == 28 and neighbour(numbers, None, 1, 0) is None


def test_deciduous_teeth_have_rows_between_the_jaws_and_the_columns_of_their_successors(case):
    case.edit(lambda labels, scan: renumber(labels, {11: 53, 26: 61, 16: 55, 36: 74}))
    numbers = [[place.fdi for place in row] for row in chart_rows(case.chart())]
    assert (len(numbers[0]), numbers[1], numbers[2], len(numbers[3])) == (16, [55, 53, 61], [74], 16)
    assert all(column(fdi) == column(fdi - 40) for fdi in DECIDUOUS)
    assert [column(fdi) for fdi in numbers[0]] == [*range(1, 9), *range(10, 18)]  # 9 is the midline
    step = functools.partial(neighbour, numbers)
    assert (step(15, 0, 1), step(55, 0, -1), step(24, 0, 1), step(61, 0, 1), step(74, 0, 1)) == (55, 15, 61, 74, 34)
    assert (step(18, 0, 1), step(14, 0, 1)) == (55, 55)  # there is no tooth at 54: the nearest one
    assert (step(55, 1, 0), step(53, 1, 0), step(61, 1, 0), step(55, -1, 0)) == (53, 61, 61, 55)
    case.edit(lambda labels, scan: renumber(labels, {74: 34}))
    assert neighbour([[place.fdi for place in row] for row in chart_rows(case.chart())], 53, 0, 1) == 43


def test_actions_of_annotating_do_what_they_say(case):
    points = {"inside": Points(), "outside": Points()}
    session = AnnotationSession(case, points, lambda text, options, answer: answer(None))
    session.start()
    actions = {one.key: one for one in annotation_actions(session)}
    assert list(actions) == ["inside", "outside", "grow", "between", "clear", "done", "flag", "missing"]
    keys = [one.shortcut for one in actions.values() if one.shortcut]
    assert len(set(keys)) == len(keys)
    actions["outside"].act()
    assert points["outside"].placing and not points["inside"].placing
    first = case.selected
    actions["missing"].act()
    assert first in case.missing() and case.selected != first


@pytest.mark.parametrize("key", ["between", "done", "flag", "grow", "missing"])
def test_a_key_of_annotating_without_a_chosen_tooth_is_answered_in_words(case, key):
    """Shortcuts also work while no tooth is chosen, for example after the last one of the list."""
    points = {"inside": Points(), "outside": Points()}
    session = AnnotationSession(case, points, lambda text, options, answer: answer(None))
    session.start()
    case.select(None)
    before = case.present()
    next(one for one in annotation_actions(session) if one.key == key).act()
    assert case.present() == before and not any(
        "does not know" in text or "as  yet" in text for _kind, text in case.messages
    )
    if key != "missing":
        assert case.messages[-1][0] == "warning"


def test_points_are_placed_by_slicers_place_tool_which_is_left_as_it_was(slicer_scene, case):
    scene, told = slicer_scene.scene, []
    selection = scene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    interaction = scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    selection.SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsROINode")
    points = PlacedPoints(scene, "outside", RED, at_once_later)
    points.changed.connect(lambda: told.append(len(points.points())))
    points.start()
    assert points.placing and interaction.GetCurrentInteractionMode() == interaction.Place
    assert interaction.GetPlaceModePersistence() == 1
    points.node.AddControlPoint(1.0, -2.0, 3.0)
    assert points.points() == [(1.0, -2.0, 3.0)] and told[-1] == 1
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)  # a right click
    assert not points.placing and selection.GetActivePlaceNodeClassName() == "vtkMRMLMarkupsROINode"
    points.clear()
    assert points.points() == [] and points.node is None
    stroke = PlacedPoints(scene, "stroke", RED, at_once_later, CURVE)
    stroke.start()
    assert interaction.GetPlaceModePersistence() == 0  # a curve ends with a right click
    stroke.clear()


def test_scan_and_teeth_belong_together(case, slicer_scene):
    from teethseg.mrml.volumes import node_of

    volume, teeth = case.volume_node, case.teeth_node
    other = node_of(slicer_scene.scene, ball_case()[0], "other.nii.gz")
    assert case.matching(volume, teeth) == (volume, teeth)
    assert case.matching(other, teeth) == (other, None)  # another scan has no teeth yet
    assert case.matching(other, None) == (other, None)
    case.show(other, None)
    assert case.matching(volume, None) == (volume, teeth)
    assert case.matching(other, teeth) == (volume, teeth)  # choosing the teeth selects their scan too
    assert source_of(other).stem == "other" and source_of(other).path.name == "other.nii.gz"


def test_checks_and_rows_are_ready_to_be_shown():
    failed = check_html(SimpleNamespace(ok=False, name="memory <1 GB>", text="little", remedy="close programs"))
    assert "✗" in failed and "&lt;1 GB&gt;" in failed and "close programs" in failed
    passed = check_html(SimpleNamespace(ok=True, name="memory", text="enough", remedy="close programs"))
    assert "✓" in passed and "close programs" not in passed
    row = {"fdi": 46, "confidence": 0.987, "volume_mm3": 612.4, "flags": "number uncertain"}
    assert table_cells(row, "universal") == ("#30", "lower right first molar", "612", "99 %", "number uncertain")
    assert table_cells({**row, "confidence": None}, "fdi")[3] == ""
