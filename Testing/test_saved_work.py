"""Kept work is offered if readable and put aside if not; no other data of a patient stays on disk."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import nrrd
import numpy as np
import pytest

from teethseg.application import saved_work
from teethseg.application.autosave import offer_text
from teethseg.application.saved_work import CASE, OWNER, TEETH, SavedWork
from teethseg.errors import InputError, TeethSegError


def dead_owner() -> str:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return json.dumps({"pid": child.pid, "begun": 0})


def left(root: Path, name: str, owner: str | None = None) -> Path:
    folder = root / name
    (folder / "scans" / "1").mkdir(parents=True)
    (folder / "scans" / "1" / "scan.nrrd").write_text("of a patient")
    saved_work.write_case(SavedWork(folder, f"{name}.nrrd", str(folder / "scans" / "1" / "scan.nrrd"), False, None))
    (folder / TEETH).write_text("teeth")
    (folder / OWNER).write_text(dead_owner() if owner is None else owner)
    return folder


def test_work_comes_back_as_it_was(tmp_path):
    work = SavedWork(
        saved_work.new_folder(tmp_path / "state"),
        "歯 \udcff.nrrd",
        "/scans/\udcff.nrrd",
        True,
        "1.2.3",
        {"teeth": [{"fdi": 16, "confidence": None, "flags": ["x"]}], "device": "cpu"},
    )
    saved_work.write_case(work)
    read = saved_work.read_case(work.folder)
    assert (read.name, read.path, read.series, read.report) == (work.name, work.path, work.series, work.report)
    assert read.simulated and read.teeth is None and read.saved > 0
    assert stat.S_IMODE(work.folder.stat().st_mode) == 0o700 or sys.platform == "win32"


BROKEN = [
    "",
    "[]",
    "7",
    "null",
    "{}",
    "[" * 50_000,
    "\0",
    '{"name": 7, "path": "x"}',
    '{"name": "x"}',
    '{"name": "x", "path": ""}',
    r'{"name": "x", "path": "a\u0000"}',
    '{"name": "x", "path": "y", "report": []}',
    '{"name": "x", "path": "y", "report": {"teeth": [7]}}',
    '{"name": "x", "path": "y", "report": {"teeth": [{"fdi": [16]}]}}',
    '{"name": "x", "path": "y", "report": {"teeth": [{"fdi": 16, "flags": 7}]}}',
    '{"name": "x", "path": "y", "worklist": "{}"}',
    '{"name": "x", "path": "y", "worklist": ["16"]}',
    '{"name": "x", "path": "y", "simulated": "yes"}',
    '{"name": "x", "path": "y", "series": 7}',
    '{"name": "x", "path": "y", "start": [-5, 0, 0]}',
    '{"name": "x", "path": "y", "start": [1e30, 0, 0]}',
    f'{{"name": "x", "path": "y", "start": [{10**30}, 0, 0]}}',
    '{"name": "x", "path": "y", "missing": [-1]}',
]


@pytest.mark.parametrize("text", BROKEN)
def test_what_cannot_be_read_is_put_aside_once_and_the_rest_offered(tmp_path, text):
    good, bad = left(tmp_path, "good", owner=text), left(tmp_path, "bad", owner=text)
    (bad / CASE).write_text(text)
    (tmp_path / "stray").write_text("a file")
    with pytest.raises(InputError, match="cannot be read"):
        saved_work.read_case(bad)
    works, aside = saved_work.left_works(tmp_path)
    assert [work.folder for work in works] == [good] and works[0].teeth
    assert aside == [tmp_path / "unreadable" / "bad"] and (aside[0] / TEETH).exists()
    assert saved_work.left_works(tmp_path)[1] == []
    saved_work.remove_leftovers(tmp_path)
    assert good.exists() and (aside[0] / TEETH).exists()


@pytest.mark.parametrize("value", ["one", "9" * 5000, "1.5"])
def test_teeth_that_cannot_be_read_are_offered_as_none(tmp_path, value):
    """Kept work is listed at the start of page and panel, and no damaged file may stop that."""
    folder = left(tmp_path, "good")
    header = {"Segment0_ID": "tooth_16", "Segment0_LabelValue": value, "space": "left-posterior-superior"}
    header |= {"space directions": np.eye(3), "space origin": np.zeros(3)}
    nrrd.write(str(folder / TEETH), np.zeros((4, 4, 4), np.uint8), header)
    assert offer_text(saved_work.read_case(folder)).endswith(": 0 teeth")


@pytest.mark.parametrize(
    "owner",
    [
        '{"pid": 1e400, "begun": 0}',
        '{"pid": -1, "begun": 0}',
        '{"pid": "x", "begun": []}',
        '{"pid": 99999999999999999999, "begun": 0}',
        '{"pid": true, "begun": true}',
    ],
)
def test_absurd_owners_own_nothing(tmp_path, owner):
    left(tmp_path, "good", owner)
    assert len(saved_work.left_works(tmp_path)[0]) == 1


def test_the_newest_work_comes_first_and_that_of_living_processes_never(tmp_path):
    for index, name in enumerate(("old", "new", "older")):
        folder = left(tmp_path, name)
        os.utime(folder / CASE, (1000 - 10 * abs(index - 1), 1000 - 10 * index if index else 900))
    saved_work.claim(left(tmp_path, "mine"))
    names = [work.folder.name for work in saved_work.left_works(tmp_path)[0]]
    assert names[0] == "new" and set(names) == {"old", "new", "older"}


def test_scans_without_work_do_not_outlive_their_process(tmp_path):
    root = tmp_path / "state"
    crashed, fresh, alive = (left(root, name) for name in ("crashed", "fresh", "alive"))
    for folder in (crashed, fresh, alive):
        (folder / CASE).unlink()
    (fresh / OWNER).unlink()
    saved_work.claim(alive)
    (root / "link").symlink_to(tmp_path)
    saved_work.remove_leftovers(root)
    assert not crashed.exists() and fresh.exists() and alive.exists() and tmp_path.exists()
    os.utime(fresh, (1, 1))
    saved_work.remove_leftovers(root)
    assert not fresh.exists() and alive.exists()


def test_teeth_that_no_state_names_go_unless_a_state_cannot_be_read(tmp_path):
    """A process was killed after it had written the teeth, and before the state that names them."""
    for name, generation in (("whole", None), ("damaged", "{")):
        folder = left(tmp_path, name, dead_owner())
        (folder / "teeth-0123456789ab.seg.nrrd").write_text("written last")
        if generation is not None:
            (folder / "case-1.json").write_text(generation)
    saved_work.remove_leftovers(tmp_path)
    assert not list((tmp_path / "whole").glob("teeth-*"))
    assert list((tmp_path / "damaged").glob("teeth-*"))


def test_an_own_folder_ends_with_its_process_unless_there_is_work_in_it(tmp_path):
    empty, full = saved_work.new_folder(tmp_path), saved_work.new_folder(tmp_path)
    saved_work.write_case(SavedWork(full, "x", "y", False, None))
    for folder in (empty, full):
        saved_work.release(folder)
    assert not empty.exists() and not (full / OWNER).exists()
    assert [work.folder for work in saved_work.left_works(tmp_path)[0]] == [full]


def test_scans_that_were_closed_are_removed(tmp_path):
    folder = left(tmp_path, "work")
    (folder / "scans" / "2").mkdir()
    saved_work.remove_scans(folder, folder / "scans" / "1" / "scan.nrrd")
    assert os.listdir(folder / "scans") == ["1"]
    saved_work.remove_scans(folder, None)
    assert os.listdir(folder / "scans") == []


def test_a_state_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(TeethSegError, match="TEETHSEG_STATE"):
            saved_work.new_folder(root)
        assert saved_work.left_works(root) == ([], [])
        saved_work.remove_leftovers(root)
