"""Another scan replaces the open one, whose work can be continued later; on a real scene without any window."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from browser_cases import BALLS, ball_case
from teethseg.application.case import Case
from teethseg.application.opened_scan import OpenedScan, read
from teethseg.application.relabelling import Relabelling
from teethseg.application.saved_work import CASE, OWNER
from teethseg.application.session_work import SessionWork
from teethseg.application.source import Source
from teethseg.errors import TeethSegError
from teethseg.io.files import write_scan
from teethseg.mrml.teeth import show_labels


class Session:
    """A program with its scene, whose work lies below a folder."""

    def __init__(self, slicer_scene, root: Path):
        slicer_scene.scene.Clear(0)
        self.case = Case(slicer_scene.scene)
        self.opened = OpenedScan(self.case)
        self.work = SessionWork(self.case, self.opened, root)

    def receive(self, name: str, darker: int = 0) -> Source:
        """A scan as it is received, in a folder of its own, and opened."""
        path = self.work.new_scan_folder() / name
        scan = ball_case()[0]
        write_scan(path, scan.with_array(scan.array - darker))
        return self.open(Source(name, path))

    def open(self, source: Source) -> Source:
        self.work.open(read(source), source)
        return source

    def correct(self) -> np.ndarray:
        """Teeth of the open scan, and one correction; returns the labels."""
        case = self.case
        if case.teeth_node is None:
            case.show(case.volume_node, show_labels(case.scene, ball_case()[1].array, case.volume_node, "fdi"))
        Relabelling(case).renumber(41, 42)
        return case.labels()


@pytest.fixture
def session(slicer_scene, tmp_path):
    return Session(slicer_scene, tmp_path / "state")


def test_work_is_kept_when_another_scan_is_opened_and_gone_on_with(session):
    session.receive("one.nrrd")
    labels = session.correct()
    session.receive("two.nrrd", darker=1)
    assert session.opened.source.name == "two.nrrd" and session.case.teeth_node is None
    assert "one.nrrd" in session.work.left_text() and f"{len(BALLS)} teeth" in session.work.left_text()
    left = session.work.left
    session.open(session.work.left.source)
    session.work.take(left)
    assert session.opened.source.name == "one.nrrd" and (session.case.labels() == labels).all()
    assert session.work.left_text() == ""


def test_a_received_scan_lasts_as_long_as_the_work_on_it(session):
    bare = session.receive("bare.nrrd", darker=2)
    session.receive("one.nrrd")
    assert not bare.path.exists()  # nobody had worked on it
    session.correct()
    session.receive("two.nrrd", darker=1)
    kept = session.work.left.source
    assert kept.path.exists() and kept.path.is_relative_to(session.work.left.folder)
    session.work.discard_left()
    assert not kept.path.exists() and session.opened.source.path.exists()


def test_a_scan_stays_open_as_long_as_its_work_cannot_be_kept(session, monkeypatch):
    session.receive("one.nrrd")
    session.correct()

    def full(_root):
        raise OSError(28, "No space left on device")

    other = Source("two.nrrd", session.opened.source.path)
    monkeypatch.setattr("teethseg.application.saved_work.new_folder", full)
    with pytest.raises(TeethSegError, match="No space left") as error:
        session.open(other)
    assert "\n" not in str(error.value)
    assert session.opened.source.name == "one.nrrd" and 42 in session.case.present()


def test_the_next_session_is_offered_what_this_one_left(session, slicer_scene):
    session.receive("one.nrrd")
    labels = session.correct()
    session.work.close()
    assert not session.work.temporary.exists() or not list(session.work.temporary.glob("scans/*"))
    following = Session(slicer_scene, session.work.root)
    assert "one.nrrd" in following.work.left_text()
    left = following.work.left
    following.open(following.work.left.source)
    following.work.take(left)
    assert (following.case.labels() == labels).all()


def test_work_that_cannot_be_read_is_reported_and_the_rest_offered(session, slicer_scene, tmp_path):
    session.receive("one.nrrd")
    session.correct()
    session.work.autosave.save()
    for name in ("good", "bad"):
        copy = shutil.copytree(session.work.autosave.folder, tmp_path / "other" / name)
        (copy / OWNER).write_text("[]", encoding="utf-8")
    (tmp_path / "other" / "bad" / CASE).write_text("[]", encoding="utf-8")
    work = SessionWork(session.case, session.opened, tmp_path / "other")
    assert "one.nrrd" in work.left_text()
    assert str(tmp_path / "other" / "unreadable" / "bad") in work.unreadable_text()
    work.find_left()
    assert "bad" in work.unreadable_text()  # the message stays
    assert list((tmp_path / "other" / "unreadable" / "bad").glob("teeth*.seg.nrrd"))
