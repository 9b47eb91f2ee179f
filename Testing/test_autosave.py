"""Autosave saves and restores work, and never overwrites other work: with the real scene and killed processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from autosave_worker import ABSENT, TEETH, edited
from browser_cases import BALLS, ball_case
from teethseg.application import saved_work
from teethseg.application.annotation_session import AnnotationSession
from teethseg.application.autosave import LATEST, PAUSE, Autosave, offer_text, read_teeth, tooth_states
from teethseg.application.case import Case
from teethseg.application.source import Source
from teethseg.cascade.dentition import UNCERTAIN_NUMBER, Dentition, FoundTooth
from teethseg.correction import remove_tooth, renumber
from teethseg.errors import InputError, TeethSegError

HERE = Path(__file__).resolve().parent


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def opened(slicer_scene):
    """Opens the ball scan in the scene, with its teeth or without, and an autosave for it."""
    from teethseg.mrml.teeth import write_teeth
    from teethseg.mrml.volumes import node_of

    def open_case(root: Path, teeth: bool = True, shift: int = 0):
        slicer_scene.scene.Clear(0)
        scan, labels = ball_case()
        case, clock = Case(slicer_scene.scene), Clock()
        autosave = Autosave(case, root, lambda: Source("balls", Path("/data/balls.nrrd")), clock=clock)
        volume = node_of(slicer_scene.scene, scan.with_array(scan.array + np.int16(shift)), "balls")
        found = [FoundTooth(16, 0.6, 300.0, BALLS[16][:3], 17, flags=(UNCERTAIN_NUMBER,))]
        found += [FoundTooth(fdi, 0.99, 300.0, BALLS[fdi][:3]) for fdi in BALLS if fdi != 16]
        node = write_teeth(slicer_scene.scene, Dentition(labels, tuple(found)), volume) if teeth else None
        case.show(volume, node)
        case.messages = []
        case.message.connect(lambda text, kind, details: text and case.messages.append((kind, text)))
        return case, autosave, clock

    return open_case


def test_all_that_was_done_comes_back(opened, tmp_path):
    case, autosave, clock = opened(tmp_path)
    case.edit(lambda labels, scan: renumber(labels, {41: 42}), "41 to 42")
    case.edit(lambda labels, scan: remove_tooth(labels, 11), "11 no tooth")
    case.set_state(26, "completed")
    case.set_missing(18, True)
    case.report = {"device": "cpu", "seconds": {"all": 3.0}}
    clock.now = PAUSE
    autosave.tick()
    labels, corrected = case.labels(), case.corrected()
    autosave.leave()

    case, autosave, _clock = opened(tmp_path, teeth=False)
    (work,) = autosave.offers
    assert (work.name, work.path) == ("balls", "/data/balls.nrrd")
    assert offer_text(work).endswith("4 teeth, 1 done")
    autosave.take(work)
    assert np.array_equal(case.labels(), labels) and case.missing() == {18} and case.place(26).done
    assert case.place(16).flags == (UNCERTAIN_NUMBER,) and case.place(16).confidence == 0.6
    assert case.corrected() == corrected >= {11, 42} and case.report["device"] == "cpu"
    assert autosave.offers == () and autosave.folder == work.folder
    assert case.steps()[0] == "kept work"
    case.undo()
    assert case.present() == [] and case.missing() == set()
    case.redo()
    assert np.array_equal(case.labels(), labels) and case.missing() == {18} and case.place(26).done


def test_work_is_kept_after_a_rest_and_at_the_latest_while_there_is_none(opened, tmp_path):
    case, autosave, clock = opened(tmp_path)
    autosave.tick()
    assert not list(tmp_path.iterdir())  # no change yet
    case.set_missing(18, True)
    clock.now += PAUSE - 0.1
    autosave.tick()
    assert autosave.saved == 0
    clock.now += 0.2
    autosave.tick()
    assert autosave.saved > 0
    kept, begun = autosave.saved, clock.now
    for n in range(60):  # a change every second
        if autosave.saved != kept:
            break
        case.edit(edited(n), "voxel")
        clock.now += 1.0
        autosave.tick()
    assert clock.now - begun <= LATEST + 1.0 and LATEST + PAUSE < 30


def test_each_step_is_kept_before_the_next_where_that_takes_a_moment(opened, tmp_path):
    case, autosave, clock = opened(tmp_path)
    case.set_missing(18, True)
    clock.now += PAUSE
    autosave.tick()
    autosave.cost = 0.1  # s, typical of a scan of usual size
    for n in range(3):
        case.edit(edited(n), "voxel")
        clock.now += 1.0
        autosave.tick()
        (work,) = saved_work.generations(autosave.folder)
        assert np.array_equal(read_teeth(work, case.scan())[0], case.labels())


def test_declined_work_is_not_written_over(opened, tmp_path):
    case, autosave, _clock = opened(tmp_path)
    case.edit(lambda labels, scan: remove_tooth(labels, 11), "11 no tooth")
    autosave.leave()
    case, autosave, _clock = opened(tmp_path, teeth=False)
    autosave.later()
    assert autosave.offers == ()
    session = AnnotationSession(case, {}, lambda *_: None)
    case.start_teeth()
    case.edit(edited(3), "one voxel")
    session.stop()
    autosave.leave()
    _case, autosave, _clock = opened(tmp_path, teeth=False)
    assert sorted(len(tooth_states(work)) for work in autosave.offers) == [1, 4]
    autosave.discard(min(autosave.offers, key=lambda work: len(tooth_states(work))))
    assert [len(tooth_states(work)) for work in autosave.offers] == [4]


def test_what_the_scene_holds_already_is_not_offered(opened, tmp_path):
    case, autosave, _clock = opened(tmp_path)
    case.set_missing(18, True)
    autosave.leave()
    case, autosave, _clock = opened(tmp_path)
    assert len(autosave.offers) == 1
    case.set_missing(18, True)
    autosave.find_offers()
    assert autosave.offers == ()


def test_other_scans_are_not_asked_about(opened, tmp_path):
    case, autosave, _clock = opened(tmp_path)
    case.set_missing(18, True)
    autosave.leave()
    case, autosave, _clock = opened(tmp_path, shift=1)
    assert autosave.offers == ()
    (work,) = saved_work.left_works(tmp_path)[0]
    assert work.missing == (18,)


def test_older_states_are_kept_and_taken_up_ones_stay(opened, tmp_path, monkeypatch):
    case, autosave, _clock = opened(tmp_path)
    case.edit(lambda labels, scan: remove_tooth(labels, 11), "11 no tooth")
    autosave.save()
    monkeypatch.setattr(saved_work, "GENERATION", -1.0)  # every state is due
    for fdi in (16, 26):
        case.edit(lambda labels, scan, fdi=fdi: remove_tooth(labels, fdi), "no tooth")
        folder = autosave.folder
        os.utime(folder / saved_work.CASE, (1000 + fdi, 1000 + fdi))
        autosave.save()
    assert [len(tooth_states(work)) for work in saved_work.generations(folder)] == [2, 3, 4]
    assert len(list(folder.glob("teeth-*"))) == 3
    autosave.leave()
    case, autosave, _clock = opened(tmp_path, teeth=False)
    autosave.take(autosave.offers[2])
    assert len(case.present()) == 4
    case.set_missing(18, True)
    autosave.save()
    assert [len(tooth_states(work)) for work in saved_work.generations(folder)] == [4, 2, 3, 4]


def test_a_folder_that_cannot_be_written_is_reported_once_and_tried_again(opened, tmp_path):
    (tmp_path / "file").write_text("")
    case, autosave, clock = opened(tmp_path / "file")
    for _ in range(3):
        case.set_missing(18, 18 not in case.missing())
        clock.now += PAUSE
        autosave.tick()
    assert len(case.messages) == 1 and case.messages[0][1].startswith("Autosave failed: ")
    (tmp_path / "file").unlink()
    clock.now += PAUSE
    autosave.tick()
    assert autosave.saved > 0


def test_damaged_teeth_are_refused_and_stay(opened, tmp_path):
    case, autosave, _clock = opened(tmp_path)
    case.edit(lambda labels, scan: remove_tooth(labels, 11), "11 no tooth")
    autosave.leave()
    case, autosave, _clock = opened(tmp_path, teeth=False)
    (work,) = autosave.offers
    work.teeth.write_bytes(work.teeth.read_bytes()[:-40])
    with pytest.raises(TeethSegError):
        autosave.take(work)
    assert case.teeth_node is None and work.teeth.exists()
    with pytest.raises(InputError):
        read_teeth(work, case.scan())


def test_work_is_not_laid_over_another_scan_at_the_same_path(opened, tmp_path):
    """The file was replaced by another patient's of the same shape."""
    case, autosave, _clock = opened(tmp_path)
    case.edit(lambda labels, scan: remove_tooth(labels, 11), "11 no tooth")
    autosave.leave()
    _case, autosave, _clock = opened(tmp_path, teeth=False)
    (work,) = autosave.offers
    case, autosave, _clock = opened(tmp_path, teeth=False, shift=3)
    with pytest.raises(InputError, match="of another scan"):
        autosave.take(work)
    assert case.teeth_node is None and work.teeth.exists()


@pytest.mark.slow
@pytest.mark.parametrize("kill_after", [1, 44])
def test_a_kill_loses_half_a_minute_at_most(opened, tmp_path, kill_after):
    """A real process, killed at an arbitrary moment, at times while it is writing."""
    command = [sys.executable, str(HERE / "autosave_worker.py"), str(tmp_path)]
    paths = os.pathsep.join([str(HERE), str(HERE.parent / "TeethSeg")])
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, encoding="utf-8", env={**os.environ, "PYTHONPATH": paths}
    ) as worker:
        lines = []
        for line in worker.stdout:
            lines.append(int(line))
            if lines[-1] == kill_after:
                worker.send_signal(signal.SIGKILL)
        worker.wait()
    made = lines[-1] + 1
    case, autosave, _clock = opened(tmp_path, teeth=False)
    if not autosave.offers:
        assert made <= 30
        return
    autosave.take(autosave.offers[0])
    voxels = int(np.count_nonzero(case.labels()[0, 0] == 16))
    done = sum(case.place(fdi).done for fdi in TEETH)
    kept = 3 * voxels  # changes come by threes; autosave may have saved part of the last three
    assert made - kept <= 30
    assert done >= min(voxels - 1, len(TEETH)) and len(case.missing()) >= min(voxels - 1, len(ABSENT))
