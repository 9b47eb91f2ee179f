"""Many scans: finding them, one bad scan among good ones, resuming, dying processes, a real Dask cluster."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from dicom_series import write_series
from labelled_cases import labelled_scan
from teethseg.batch import pool, work
from teethseg.batch.scans import find_scans
from teethseg.batch.summary import _harmless
from teethseg.batch.work import Settings, Task, segment_one
from teethseg.cli.app import run
from teethseg.io.files import read_labels, read_scan, write_labels, write_scan
from teethseg.volume import Volume

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}


def flesh(seed: int, edge: int = 32) -> Volume:
    """A scan without teeth: the quickest to segment."""
    rng = np.random.default_rng(seed)
    array = rng.normal(0, 30, (edge,) * 3) + np.linspace(-1000, 300, edge)[:, None, None]
    return Volume(array.astype(np.int16), (1.5,) * 3, (0.0, 0.0, float(seed)))


def rows(out: Path) -> dict[str, dict]:
    with (out / "batch.csv").open(encoding="utf-8", newline="") as file:
        return {row["scan"]: row for row in csv.DictReader(file)}


def settings() -> Settings:
    return Settings("cpu", threads=1)


def test_scans_are_found_whichever_folders_hold_them(tmp_path):
    """Two studies of one patient with their files mixed in a folder, a study in two folders, files, a zip, labels."""
    source = tmp_path / "in"
    scan, labels = labelled_scan(0)
    write_series(source / "flat", scan, number=1, StudyInstanceUID="1.2.10")
    write_series(source / "flat", scan, number=2, StudyInstanceUID="1.2.11")
    write_series(source / "patient" / "a", scan, number=3, StudyInstanceUID="1.2.12")
    write_series(source / "patient" / "b", scan, number=4, StudyInstanceUID="1.2.12")
    for name in ("x.nii.gz", "x.nrrd"):
        write_scan(source / name, scan)
    write_labels(source / "x-labels.nrrd", labels)
    write_labels(source / "x.seg.nrrd", labels)
    (source / "archive.zip").write_bytes(b"PK")
    (source / "out").mkdir()
    write_scan(source / "out" / "old.nrrd", scan)
    found = find_scans(source, source / "out")
    assert sorted(found.labels) == ["x-labels.nrrd", "x.seg.nrrd"]
    places = sorted((one.place, len(one.files), one.is_study) for one in found.scans)
    edge = len(scan.array)
    assert places == [
        ("archive.zip", 1, False),
        ("flat", edge, True),
        ("flat", edge, True),
        ("patient", 2 * edge, True),
        ("x.nii.gz", 1, False),
        ("x.nrrd", 1, False),
    ]
    names = [one.name for one in found.scans]
    assert len({name.lower() for name in names}) == len(names)
    assert all(re.fullmatch(r"[\w.=+-]+", name) for name in names)


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are text there")
def test_odd_names_and_dead_links_stop_no_other_scan(tmp_path, capsys, monkeypatch):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in (b"M\xfcller.nrrd", b"\xff\nb.nrrd"):  # as on a disk of an older Windows, and worse
        (source / os.fsdecode(name)).write_bytes(b"NRRD0004\n")
    (source / "away.nrrd").symlink_to("/nowhere/away.nrrd")
    monkeypatch.setattr(pool, "pool_outcomes", lambda tasks, jobs: map(segment_one, tasks))
    assert run(["batch", str(source), str(out), "--jobs", "1"]) == 1
    assert "3 of 3 scans failed" in capsys.readouterr().err
    table = rows(out)
    assert set(table) == {"M?ller.nrrd", "?\nb.nrrd", "away.nrrd"}
    assert "away.nrrd does not exist" in table["away.nrrd"]["error"] and "damaged" in table["M?ller.nrrd"]["error"]
    assert "M?ller.nrrd" in (out / "index.html").read_text(encoding="utf-8")


def test_of_a_study_the_likeliest_series_is_taken_and_named(tmp_path):
    scan, _ = labelled_scan(0)
    coarse, _ = labelled_scan(1, edge=24)
    write_series(tmp_path / "in" / "s1", coarse, number=1, description="other CBCT")
    write_series(tmp_path / "in" / "s2", scan, number=2, description="Dental CBCT")
    write_series(tmp_path / "in" / "s3", coarse, number=3, description="scout")
    (one,) = find_scans(tmp_path / "in", tmp_path / "out").scans
    volume = work.read(one)
    assert volume.array.shape == (len(scan.array),) * 3
    assert any("2 'Dental CBCT'" in warning and "taken" in warning for warning in volume.warnings)


@pytest.mark.slow
def test_one_bad_scan_never_stops_the_others_and_the_same_command_goes_on(tmp_path, capsys):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    write_scan(source / "=good.nrrd", flesh(1))
    (source / "bad.nrrd").write_bytes(b"NRRD0004\nnonsense")
    assert run(["batch", str(source), str(out), "--jobs", "2", "--device", "cpu"]) == 1
    told = capsys.readouterr().err
    assert "1 of 2 scans failed" in told.splitlines()[-1]
    table = rows(out)
    assert table["bad.nrrd"]["status"] == "failed" and "bad.nrrd" in table["bad.nrrd"]["error"]
    good = table["'=good.nrrd"]
    assert good["status"] == "done" and good["teeth"] == "0"
    folder = out / good["name"].lstrip("'")
    assert read_labels(folder / "teeth.seg.nrrd").array.shape == (32, 32, 32)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert f"{folder.name}/picture.png" in page and "http" not in page
    written = (folder / "report.json").stat().st_mtime_ns
    write_scan(source / "bad.nrrd", flesh(2))
    write_scan(source / "third.nrrd", flesh(3))
    assert run(["batch", str(source), str(out), "--jobs", "1", "--device", "cpu"]) == 0
    assert "1 of 3 scans are done from before" in capsys.readouterr().err
    assert {row["status"] for row in rows(out).values()} == {"done"}
    assert (folder / "report.json").stat().st_mtime_ns == written  # the second run did not segment it again


def test_a_scan_that_changed_is_made_anew(tmp_path):
    write_scan(tmp_path / "a.nrrd", flesh(1))

    def task() -> Task:
        (scan,) = find_scans(tmp_path, tmp_path / "out").scans
        (tmp_path / "out").mkdir(exist_ok=True)
        return Task(scan, tmp_path / "out", settings())

    assert [segment_one(task()).status for _ in range(2)] == ["done", "kept"]
    write_scan(tmp_path / "a.nrrd", flesh(2))
    assert segment_one(task()).status == "done"
    other = Task(task().scan, tmp_path / "out", Settings("cpu", sha256="another", threads=1))
    assert not work.is_done(other)


def test_nothing_that_a_user_made_is_replaced(tmp_path):
    """Neither a patient's own folder, if scans and results go to the same place, nor a file beside ours, nor teeth."""
    write_series(tmp_path / "patient", flesh(1), number=1, StudyInstanceUID="1.2.10")

    def outcome(**options) -> work.ScanOutcome:
        (scan,) = find_scans(tmp_path, tmp_path / "out").scans
        return segment_one(Task(scan, out, Settings("cpu", threads=1, **options)))

    out = tmp_path
    before = sorted((tmp_path / "patient").iterdir())
    assert "is of no batch" in outcome().reason
    assert sorted((tmp_path / "patient").iterdir()) == before
    out = tmp_path / "out"
    out.mkdir()
    assert outcome().status == "done"
    (out / "patient" / ".DS_Store").touch()  # a file manager's
    assert outcome(dentition="permanent").status == "done"
    own = out / "patient" / "stl" / "splint.stl"
    own.parent.mkdir()
    own.touch()
    assert (left := outcome()).status == "corrected" and "splint.stl was changed, or is of no batch" in left.reason
    own.unlink()
    teeth = out / "patient" / "teeth.seg.nrrd"
    labels = read_labels(teeth)
    labels.array[4:8, 4:8, 4:8] = 11
    write_labels(teeth, labels)
    assert outcome(dentition="permanent").status == "kept"
    assert (left := outcome()).status == "corrected" and "teeth.seg.nrrd was changed" in left.reason
    write_series(tmp_path / "patient", flesh(2, 30), number=1, StudyInstanceUID="1.2.10")  # teeth of another scan
    assert (other := outcome()).status == "failed" and "teeth.seg.nrrd was changed since" in other.reason
    assert read_labels(teeth).array.any()


def test_corrected_scans_do_not_fail_when_another_version_comes(tmp_path, capsys, monkeypatch):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    write_scan(source / "a.nrrd", flesh(1))
    order = ["batch", str(source), str(out), "--jobs", "1", "--device", "cpu"]
    monkeypatch.setattr(pool, "pool_outcomes", lambda tasks, jobs: map(segment_one, tasks))
    assert run(order) == 0
    teeth = out / "a" / "teeth.seg.nrrd"
    labels = read_labels(teeth)
    labels.array[4:8, 4:8, 4:8] = 11
    write_labels(teeth, labels)
    corrected = teeth.read_bytes()
    monkeypatch.setattr(work, "__version__", "99.0")
    capsys.readouterr()
    assert run(order) == 0
    told = capsys.readouterr().err
    assert "1 of 1 scans are left as corrected" in told and "Move their folders away" in told and "failed" not in told
    (row,) = rows(out).values()
    assert row["status"] == "corrected" and "move a away" in row["warnings"] and not row["error"] and not row["teeth"]
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "1 scans: 1 corrected." in page and "a/teeth.seg.nrrd" in page
    assert teeth.read_bytes() == corrected
    (out / "a").rename(tmp_path / "a of the old version")
    assert run(order) == 0 and rows(out)["a.nrrd"]["status"] == "done"


def test_what_goes_wrong_within_a_scan_is_its_own_outcome(tmp_path, monkeypatch):
    write_scan(tmp_path / "a.nrrd", flesh(1))
    (scan,) = find_scans(tmp_path, tmp_path / "out").scans
    (tmp_path / "out").mkdir()
    task = Task(scan, tmp_path / "out", settings())
    for error, words in [(OSError(28, "No space left on device"), "free some space"), (MemoryError(), "Memory"),
                         (ZeroDivisionError("x"), "--debug")]:  # fmt: skip

        def fails(_, error=error):
            raise error

        monkeypatch.setattr(work, "read", fails)
        outcome = segment_one(task)
        assert outcome.status == "failed" and words in outcome.reason and "\n" not in outcome.reason
    assert list((tmp_path / "out").iterdir()) == []


def _dies(task: Task) -> work.ScanOutcome:
    if task.scan.name == "killer":
        time.sleep(0.3)  # by now other scans are in progress
        os.kill(os.getpid(), signal.SIGKILL)
    return work.ScanOutcome(task.scan.name, "done")


@pytest.mark.skipif(sys.platform == "win32", reason="kills by a signal")
def test_a_process_that_dies_takes_only_its_own_scan_along(tmp_path, monkeypatch):
    names = ["a", "b", "killer", "c", "d", "e"]
    tasks = [Task(work.Scan(name, name, (), False, ""), tmp_path, settings()) for name in names]
    monkeypatch.setattr(pool, "segment_one", _dies)
    outcomes = {one.name: one for one in pool.pool_outcomes(tasks, 2)}
    assert set(outcomes) == set(names)
    assert [name for name in names if outcomes[name].status == "failed"] == ["killer"]
    assert outcomes["killer"].reason == pool.DIED


def test_no_cell_is_a_formula():
    assert [_harmless(text) for text in ("=1+1", "@x", "-3", "+3", "11 12", 5)] == [
        "'=1+1",
        "'@x",
        "'-3",
        "'+3",
        "11 12",
        5,
    ]


def started(command: list[str], log: Path) -> subprocess.Popen:
    with log.open("w", encoding="utf-8") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=ENVIRONMENT)


def ended(process: subprocess.Popen) -> None:
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.kill()
    process.wait(30)
    for child in children:
        child.kill()


def until(condition, seconds: float = 240.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.1)
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills by a signal")
def test_a_dask_cluster_of_two_workers_loses_nothing_when_one_is_killed(tmp_path):
    """A real scheduler and real workers; they segment nothing (`light_worker`), so that the test is quick."""
    pytest.importorskip("distributed")
    source, out, begun = tmp_path / "in", tmp_path / "out", tmp_path / "begun"
    source.mkdir()
    for number in range(6):
        write_scan(source / f"scan-{number}.nrrd", flesh(number, 16))
    log = tmp_path / "scheduler.log"
    dask = [sys.executable, "-m", "dask"]
    processes = [started([*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"], log)]
    try:
        address = until(lambda: re.search(r"tcp://127\.0\.0\.1:\d+", log.read_text(encoding="utf-8")))[0]
        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
        options += ["--preload", str(Path(__file__).with_name("light_worker.py"))]
        workers = [
            started([*dask, "worker", address, *options, "--name", name], tmp_path / f"{name}.log") for name in "ab"
        ]
        processes += workers
        arguments = ["batch", str(source), str(out), "--device", "cpu", "--scheduler", address]
        caller = started(
            [sys.executable, "-c", "from teethseg.cli import main; main()", *arguments], tmp_path / "caller.log"
        )
        processes.append(caller)
        killed = workers[0].pid
        # Half-way: a scan is done, and the worker to kill is processing another.
        until(lambda: list(out.glob("*/batch.json")) and list(begun.glob(f"*.{killed}")))
        first = {path: path.stat().st_mtime_ns for path in out.glob("*/batch.json")}
        workers[0].kill()
        assert caller.wait(300) == 0, (tmp_path / "caller.log").read_text(encoding="utf-8")
        table = rows(out)
        assert len(table) == 6 and {row["status"] for row in table.values()} == {"done"}
        for row in table.values():
            assert read_labels(out / row["name"] / "teeth.seg.nrrd").array.shape == (16, 16, 16)
        assert all(path.stat().st_mtime_ns == when for path, when in first.items())
        told = (tmp_path / "caller.log").read_text(encoding="utf-8").splitlines()
        assert sorted(line for line in told if line.endswith(": done")) == [f"scan-{n}: done" for n in range(6)]
        names = [path.name.partition(".")[0] for path in begun.iterdir()]
        assert len(set(names)) == 6 and len(names) <= 7  # only the killed worker's scan started again
    finally:
        for process in reversed(processes):
            ended(process)


def test_a_scheduler_that_does_not_answer_is_named(tmp_path, capsys, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("teethseg.batch.cluster._TIMEOUT", 1)
    (tmp_path / "in").mkdir()
    write_scan(tmp_path / "in" / "a.nrrd", flesh(1))
    assert run(["batch", str(tmp_path / "in"), str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:9"]) == 1
    assert "No Dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err
    assert rows(tmp_path / "out")["a.nrrd"]["status"] == "waiting"
    assert read_scan(tmp_path / "in" / "a.nrrd").array.shape == (32, 32, 32)
