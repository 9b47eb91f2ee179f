"""A folder of scans from a window, without Qt: start, resume and cancel a real process that computes nothing."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from task_here import TaskHere
from teethseg.application.background_tasks import TaskProcess
from teethseg.application.batch_run import BatchRun
from teethseg.batch.scans import find_scans
from teethseg.errors import UsageError
from teethseg.io.files import write_scan
from teethseg.volume import Volume

WAIT = 120  # seconds for a process to start on a busy computer


@pytest.fixture
def scans(tmp_path) -> Path:
    """Two scans without teeth, and a file that is not a scan."""
    folder = tmp_path / "scans"
    (folder / "deeper").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a.nrrd", "deeper/b.nrrd"):
        array = rng.normal(0, 30, (32, 32, 32)) + np.linspace(-1000, 300, 32)[:, None, None]
        write_scan(folder / name, Volume(array.astype(np.int16), (1.5, 1.5, 1.5)))
    (folder / "c.nrrd").write_text("no scan", encoding="utf-8")
    return folder


@pytest.fixture
def light(monkeypatch):
    """Scans are read and their results written, without networks, in this process."""
    from teethseg.batch import pool, work

    monkeypatch.setattr(work, "segment_into_folder", work.segment_into_folder)  # the import replaces it
    import light_worker

    work.segment_into_folder = light_worker.segment
    monkeypatch.setattr(light_worker.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(pool, "pool_outcomes", lambda tasks, jobs: map(work.segment_one, tasks))
    return BatchRun(lambda: True, TaskHere)


def rows(out: Path) -> dict[str, str]:
    with (out / "batch.csv").open(encoding="utf-8", newline="") as file:
        return {row["scan"]: row["status"] for row in csv.DictReader(file)}


def test_a_folder_is_segmented_and_the_page_is_shown_at_the_end(light, scans, tmp_path):
    shown, seen = [], []
    light.ended.connect(shown.append)
    light.changed.connect(lambda: seen.append(light.status))
    out = tmp_path / "out"
    light.start(str(scans), str(out), "cpu", "fdi")
    assert shown == [str(out / "index.html")] and (out / "index.html").is_file()
    assert rows(out) == {"a.nrrd": "done", "c.nrrd": "failed", "deeper/b.nrrd": "done"}
    text, kind, details = light.message
    assert "2 of 3 scans are segmented. 1 failed" in text and (kind, details) == ("warning", "")
    assert not light.running and light.status == "" and seen


def test_the_same_folders_again_do_what_is_left(light, scans, tmp_path, monkeypatch):
    from teethseg.batch import work

    out = tmp_path / "out"
    light.start(str(scans), str(out), "cpu", "fdi")
    (scans / "c.nrrd").unlink()
    monkeypatch.setattr(work, "segment_into_folder", lambda task: pytest.fail("it is done already"))
    light.start(str(scans), str(out), "cpu", "fdi")
    assert light.message[:2] == ("2 of 2 scans are segmented.", "info")


def test_scans_left_as_corrected_are_told_apart_from_failed_ones(light, scans, tmp_path, monkeypatch):
    from teethseg.batch import work

    (scans / "c.nrrd").unlink()
    monkeypatch.setattr(work, "segment_into_folder", work.refuse_others_work)
    for scan in find_scans(scans, tmp_path / "out").scans:
        folder = tmp_path / "out" / scan.name
        folder.mkdir(parents=True)
        stamp = {"fingerprint": scan.fingerprint, "files": {"teeth.seg.nrrd": "another digest"}}
        (folder / "batch.json").write_text(json.dumps(stamp), encoding="utf-8")
        (folder / "teeth.seg.nrrd").write_bytes(b"corrected")
    light.start(str(scans), str(tmp_path / "out"), "cpu", "fdi")
    text, kind, _ = light.message
    assert text.startswith("0 of 2 scans are segmented. 2 are left as corrected") and kind == "info"


@pytest.mark.parametrize(("folder", "output", "words"), [("", "out", "holds the scans"), ("scans", "", "results")])
def test_without_folders_nothing_begins(light, scans, tmp_path, folder, output, words):
    with pytest.raises(UsageError, match=words):
        light.start(folder and str(tmp_path / folder), output, "cpu", "fdi")
    assert not light.running


def test_a_folder_without_scans_is_reported(light, tmp_path):
    light.start(str(tmp_path), str(tmp_path / "out"), "cpu", "fdi")
    assert light.message[1] == "error" and "No scan" in light.message[0]


def test_nothing_begins_when_the_user_would_rather_not_install(scans, tmp_path):
    run = BatchRun(lambda: False, lambda task: pytest.fail("begun"))
    run.start(str(scans), str(tmp_path / "out"), "cpu", "fdi")
    assert not run.running


def test_cancel_ends_the_process_and_keeps_what_is_there(scans, tmp_path):
    runs = []
    run = BatchRun(lambda: True, lambda task: runs.append(TaskProcess(task)) or runs[0])
    out = tmp_path / "out"
    run.start(str(scans), str(out), "cpu", "fdi")
    before = time.monotonic()
    while not (out / "index.html").is_file():
        run.poll()
        assert run.running and time.monotonic() < before + WAIT
        time.sleep(0.05)
    process = psutil.Process(runs[0].pid)
    family = [process, *process.children(recursive=True)]
    run.cancel()
    assert not psutil.wait_procs(family, timeout=20)[1]
    assert not run.running and "The scans that are done stay" in run.message[0]
    assert (out / "index.html").is_file() and not [path for path in out.iterdir() if path.name.startswith(".")]
