"""Ctrl-C in a terminal reaches all processes of a command: finished work stays, and the same command resumes."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from labelled_cases import labelled_scan
from teethseg.io.case_folder import write_case_folder
from teethseg.io.files import write_scan
from warm_commands import WarmCommands

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals"),
]
LONG = 240.0  # seconds for a process to start on a busy computer


@pytest.fixture(scope="module")
def warm():
    """Ctrl-C comes while a command is at work, so that its imports may have been made before."""
    # Processes that a shell starts in the background ignore SIGINT, and so would all commands here.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    warm = WarmCommands("teethseg.cli.app", "teethseg.training.fit", "teethseg.batch.run")
    yield warm
    warm.close()
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def run(warm, tmp_path):
    """Runs a command in its own session, as in its own terminal; sends Ctrl-C once `stop` is true of its lines.

    Returns its status and its lines on standard error.
    """

    def run(arguments: list, stop: Callable[[list[str]], bool] | None = None) -> tuple[int, list[str]]:
        errors = tmp_path / "errors.txt"
        errors.write_bytes(b"")
        process = warm.start(arguments, errors)
        family: list[psutil.Process] = []
        end = time.monotonic() + LONG
        while process.is_running() and stop is not None:
            lines = errors.read_text(encoding="utf-8").splitlines()
            assert time.monotonic() < end, lines
            if stop(lines):
                family = process.children(recursive=True)
                os.killpg(process.pid, signal.SIGINT)
                break
            time.sleep(0.01)
        status = warm.status(process, LONG)
        assert not psutil.wait_procs(family, timeout=30)[1]
        lines = [line.rstrip() for line in errors.read_text(encoding="utf-8").splitlines()]
        assert not [line for line in lines if "Traceback" in line or "Error" in line], lines
        return status, lines

    return run


def left_drafts(folder: Path) -> list[Path]:
    return list(folder.rglob(".teethseg*"))


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    for number in range(2):
        write_case_folder(folder / "train" / f"case-{number}", *labelled_scan(number, edge=24), f"patient-{number}")
    write_case_folder(folder / "check" / "case", *labelled_scan(9, edge=24), "other")
    return folder


def saying(words: str) -> Callable[[list[str]], bool]:
    """A condition that is true once a line contains these words."""
    return lambda lines: any(words in line for line in lines)


def test_training_goes_on_from_its_last_checkpoint(cases, run, tmp_path):
    values = {"patch": 32, "epoch": 1, "batch": 1, "checks": 1, "workers": 1, "device": "cpu"}
    options = [part for name, value in values.items() for part in (f"--{name}", value)]
    command = ["train", "coarse", cases / "train", cases / "check", "--run", tmp_path / "run", *options]
    # Workers get the signal too. A step is logged before its checkpoint, so step 3 shows that checkpoint 2 exists.
    status, lines = run([*command, "--steps", 1000], saying("step 3:"))
    assert status == 130 and lines[-1].startswith("teethseg: Stopped. The same command goes on")
    assert not left_drafts(tmp_path)
    reached = max(int(found[1]) for line in lines if (found := re.match(r"step (\d+):", line)))
    status, lines = run([*command, "--steps", reached + 2])
    assert status == 0, lines
    steps = [int(found[1]) for line in lines if (found := re.match(r"step (\d+):", line))]
    assert steps in ([reached + 1, reached + 2], [reached, reached + 1, reached + 2])
    assert (tmp_path / "run" / "best.ckpt").exists()


def test_a_batch_keeps_the_scans_that_are_done(run, tmp_path):
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for number in range(3):
        write_scan(scans / f"scan-{number}.nrrd", labelled_scan(number, edge=24)[0])
    command = ["batch", scans, out, "--device", "cpu", "--jobs", 1]
    status, lines = run(command, saying(": done"))
    assert status == 130 and lines[-1].startswith("teethseg: Stopped. Scans that are done stay")
    written = {path: path.stat().st_mtime_ns for path in out.glob("*/batch.json")}
    table = (out / "batch.csv").read_text(encoding="utf-8")
    assert 1 <= len(written) < 3 and table.count(",waiting,") >= 1
    status, lines = run(command)
    assert status == 0, lines
    assert len(list(out.glob("*/batch.json"))) == 3 and not left_drafts(out)
    assert all(path.stat().st_mtime_ns == when for path, when in written.items())
    assert f"{len(written)} of 3 scans are done from before." in lines


def test_folds_go_on_where_they_were(cases, run, tmp_path):
    """Stopped during the preparation of cases and again in the second fold: the first fold is not trained again."""
    (tmp_path / "quick.yaml").write_text(
        "steps: 2\nepoch: 1\nbatch: 1\nchecks: 1\nworkers: 0\npatch: 32\n", encoding="utf-8"
    )
    command = ["folds", "run", "coarse", cases / "train", "--run", tmp_path / "run", "--folds", 2, "--test-share", 0]
    command += ["--parameters", tmp_path / "quick.yaml", "--device", "cpu"]
    status, lines = run(command, saying("prepare cases"))
    assert status == 130 and "goes on" in lines[-1] and not left_drafts(tmp_path)
    status, lines = run(command, saying("train fold 2"))
    assert status == 130 and "goes on" in lines[-1]
    first = tmp_path / "run" / "fold-1" / "last.ckpt"
    written = first.stat().st_mtime_ns
    status, lines = run(command)
    assert status == 0, lines
    assert first.stat().st_mtime_ns == written and (tmp_path / "run" / "report.html").exists()
