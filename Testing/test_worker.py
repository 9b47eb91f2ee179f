"""The cascade in its own process: messages, results, and no process or file left behind after any kind of end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from teethseg import __version__
from teethseg.cascade.dentition import FoundTooth
from teethseg.cascade.memory import REGION, needed_memory, tile_memory
from teethseg.cascade.model_card import DEFAULT_NAME
from teethseg.errors import TeethSegError
from teethseg.io.temporary_folders import new_temporary_folder
from teethseg.resampling import crop
from teethseg.volume import Volume
from teethseg.worker import client
from teethseg.worker.client import Job, Run
from teethseg.worker.computer import check_computer, disk_check, graphics_check, memory_check
from teethseg.worker.eta import RemainingTime
from teethseg.worker.failure_messages import failure_of_exit
from teethseg.worker.files import SCAN
from teethseg.worker.probe import Facts
from teethseg.worker.protocol import (
    Failure,
    Heartbeat,
    Hello,
    JobRequest,
    JobResult,
    Notice,
    Progress,
    ProtocolError,
    Result,
    Stage,
    decode,
    encode,
    from_json,
    to_json,
)

REPOSITORY = Path(__file__).resolve().parents[1]
WEIGHTS = REPOSITORY / "TeethSeg" / "Resources" / "Weights"
LONGEST = 240  # seconds, on a busy computer


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder in which private folders are made; after every test it is empty."""
    folder = tmp_path / "temporary files"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture(scope="module")
def scan(upper_jaw) -> Volume:
    """The front teeth of a simulated upper jaw, as a NumPy view whose array is stored the wrong way round."""
    front = crop(upper_jaw[0], np.s_[0:, 0:50, 0:])
    last = tuple(front.to_lps([0, front.array.shape[1] - 1, front.array.shape[2] - 1]))
    return Volume(front.array[:, ::-1, ::-1], front.spacing, last, np.diag([-1.0, -1.0, 1.0]), ("It was odd.",))


@pytest.fixture(scope="module")
def ball() -> Volume:
    """Water in air: a scan that takes little time, as it has no teeth."""
    z, y, x = np.ogrid[-12:12, -15:15, -15:15]
    inside = z**2 + y**2 + x**2 < 11**2
    noise = np.random.default_rng(0).normal(0, 20, inside.shape)
    return Volume((np.where(inside, 0, -1000) + noise).astype(np.int16), (2.0, 2.0, 2.0))


def follow(run: Run, until=lambda message: False) -> list:
    """Messages of a run to its end, or to one for which `until` holds."""
    messages = []
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        running = run.state == "running"
        for message in run.poll():
            messages.append(message)
            if until(message):
                return messages
        if not running:
            return messages
        time.sleep(0.02)
    raise AssertionError(f"no end after {LONGEST} s: {messages}\n{run.details()}")


def process_of(run: Run) -> psutil.Process:
    return psutil.Process(run.pid)


def folder_of(temporary: Path) -> Path:
    (folder,) = temporary.iterdir()
    return folder


def failure(run: Run) -> Failure:
    """The failure of a run that had to fail."""
    last = follow(run)[-1]
    assert run.state == "failed", last
    assert isinstance(last, Failure)
    assert "\n" not in last.text and len(last.text) < 300
    with pytest.raises(TeethSegError, match="no result"):
        run.result()
    return last


def python_with(folder: Path, code: str) -> Path:
    """An interpreter that does something before it starts: a shell script."""
    path = folder / "python with a blank"
    path.write_text(f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def on_start(tmp_path, monkeypatch):
    """Let the worker's Python run some code when it starts."""

    def set_(code: str) -> None:
        folder = tmp_path / "site"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(folder))

    return set_


# --- messages -------------------------------------------------------------------------------------------------------

MESSAGES = [
    Hello("1.0", "3.12", "2.9", "cuda"),
    Stage("find arches"),
    Progress("find arches", 1, 4, 2.5),
    Progress("find arches", 0, 4),
    Notice("Größe\nunknown"),
    Result(),
    Failure("disk-full", "Full.", "Traceback"),
    Heartbeat(2**40),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_messages_come_back_from_one_line_each(message):
    line = encode(message)
    assert line.endswith("\n") and line.count("\n") == 1 and line.isascii()
    assert decode(line) == message


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("", "Expecting"),
        ("[]", "no message"),
        ('{"kind": "greeting"}', "greeting"),
        ('{"kind": "stage"}', "name"),
        ('{"kind": "stage", "name": 3}', "stage.name"),
        ('{"kind": "stage", "name": "a", "more": 1}', "more"),
        ('{"kind": "progress", "stage": "a", "done": true, "total": 2}', "progress.done"),
        ('{"kind": "progress", "stage": "a", "done": 1.5, "total": 2}', "progress.done"),
        ('{"kind": "failure", "code": "bad luck", "text": "t"}', "bad luck"),
    ],
)
def test_what_is_no_message_is_refused(line, word):
    with pytest.raises(ProtocolError, match=word):
        decode(line)


def test_teeth_survive_their_file():
    tooth = FoundTooth(26, np.float32(0.7), 1 / 3, (0.1, -2.0, np.float64(3.0)), 27, np.bool_(True), ("gap-before",))
    found = JobResult((tooth,), ("Look.",), {"find arches": 0.1}, "cpu", "name", "0" * 64, 12.5)
    (back,) = from_json(to_json(found), JobResult).teeth
    assert back == tooth
    assert type(back.touches_border) is bool and type(back.centroid_lps_mm) is tuple
    with pytest.raises(ProtocolError, match="centroid"):
        from_json(to_json(found).replace("[0.1, -2.0, 3.0]", "[0.1, -2.0]"), JobResult)


def test_the_worker_receives_the_padding_that_the_file_declares():
    place = {"spacing": (1.0,) * 3, "origin": (0.0,) * 3, "direction": (0.0,) * 9}
    order = JobRequest(__version__, 1, "cpu", None, **place, warnings=(), padding=(-2000.0, -1500.0))
    assert from_json(to_json(order), JobRequest) == order


# --- a whole run ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def in_process(scan):
    from teethseg.cascade.pipeline import segment
    from teethseg.cascade.weights import load_weights

    return segment(scan, load_weights(), "cpu", keep_maps=True)


@pytest.mark.slow
def test_a_run_tells_its_way_and_finds_the_same_as_in_process(scan, in_process, temporary):
    from teethseg.cascade.predictions import ToothMaps

    with Run(Job(scan, device="cpu")) as run:
        folder = folder_of(temporary)
        if os.name == "posix":
            assert folder.stat().st_mode & 0o777 == 0o700
        messages = follow(run)
        outcome = run.result()
        maps = ToothMaps.load(outcome.maps_file)
        assert np.array_equal(outcome.maps().tooth, maps.tooth)
        assert run.details() == ""
        assert not process_is_left(run)
    assert run.state == "done"
    assert not folder.exists()

    hello = messages[0]
    assert (hello.version, hello.device) == (__version__, "cpu")
    assert hello.python == sys.version.split()[0] and hello.torch
    stages = [message.name for message in messages if isinstance(message, Stage)]
    cascade = ["find arches", "outline teeth", "part teeth", "number teeth", "write back"]
    assert stages == ["load networks", *cascade, "hand over"]
    progress = [message for message in messages if isinstance(message, Progress)]
    assert list(dict.fromkeys(message.stage for message in progress)) == cascade
    assert all(0 <= message.done <= message.total for message in progress)
    assert progress[-1].seconds_left is not None
    texts = [message.text for message in messages if isinstance(message, Notice)]
    assert texts == list(outcome.dentition.warnings)
    assert texts.count("It was odd.") == 1
    assert isinstance(messages[-1], Result)
    assert sum(isinstance(message, Result) for message in messages) == 1

    # The address of an array decides how sums are vectorised, so the last digits of a confidence may differ.
    found, expected = (
        [replace(tooth, confidence=round(tooth.confidence, 6)) for tooth in one.dentition.teeth]
        for one in (outcome, in_process)
    )
    assert found == expected
    assert {tooth.tooth.side for tooth in outcome.dentition.teeth} == {"left", "right"}
    labels = outcome.dentition.labels
    assert labels.array.dtype == np.uint8
    assert np.array_equal(labels.array, in_process.dentition.labels.array)
    assert np.array_equal(labels.affine, scan.affine)
    assert np.array_equal(maps.owner, in_process.maps.owner) and np.array_equal(maps.tooth, in_process.maps.tooth)
    assert maps.origin == in_process.maps.origin
    assert outcome.seconds.keys() == in_process.seconds.keys()
    assert (outcome.device, outcome.weights) == ("cpu", DEFAULT_NAME)
    assert outcome.sha256 == json.loads((WEIGHTS / f"{DEFAULT_NAME}.json").read_text())["sha256"]
    assert 100 < outcome.peak_memory_mb < 20_000


def process_is_left(run: Run) -> bool:
    try:
        os.killpg(run.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def test_a_scan_without_teeth_has_a_result(ball):
    with Run(Job(ball)) as run:
        messages = follow(run)
        outcome = run.result()
    assert "No tooth was found in this scan." in [m.text for m in messages if isinstance(m, Notice)]
    assert outcome.dentition.teeth == () and not outcome.dentition.labels.array.any()
    assert outcome.maps_file is None
    with pytest.raises(TeethSegError, match="before it is closed"):
        run.result()


def test_a_large_scan_is_handed_over_in_pieces_and_before_the_worker_starts():
    array = np.zeros((400, 400, 320), np.int16)
    array[::7] = 5
    with Run(Job(Volume(array))) as run:
        assert run.state == "running" and not run.started  # the caller does not wait for the whole transfer
        while not run.started:
            assert run.poll() == []
        assert np.array_equal(np.load(run.folder / SCAN, mmap_mode="r"), array)


def test_nothing_heavy_is_imported_into_the_caller():
    code = (
        "from teethseg.worker import client, computer\n"
        "import sys; print(*{'torch', 'SimpleITK', 'scipy', 'vtkmodules', 'psutil'} & set(sys.modules))"
    )
    environment = {"PYTHONPATH": str(REPOSITORY / "TeethSeg")}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", env=environment)
    assert (run.stdout.strip(), run.stderr) == ("", "")


# --- ends -----------------------------------------------------------------------------------------------------------


def test_cancel_leaves_no_process_and_no_file(scan, temporary):
    run = Run(Job(scan))
    follow(run, lambda message: message == Stage("outline teeth"))
    process = process_of(run)
    tree = [process, *process.children(recursive=True)]
    run.cancel()
    assert not any(member.is_running() for member in tree)
    assert list(temporary.iterdir()) == []
    assert run.state == "cancelled"
    (message,) = run.poll()
    assert message.code == "cancelled"
    run.cancel()
    run.close()
    assert run.poll() == [] and run.state == "cancelled"


def test_a_worker_that_has_just_started_can_be_cancelled_too(ball, temporary):
    run = Run(Job(ball))
    process = process_of(run)
    run.cancel()
    assert not process.is_running()


def test_a_run_that_is_forgotten_ends(ball, temporary):
    run = Run(Job(ball))
    process = process_of(run)
    del run
    assert not process.is_running()


def test_processes_that_the_worker_leaves_behind_end_too(tmp_path, ball):
    run = Run(Job(ball), python=python_with(tmp_path, f"sleep 1000 &\necho $! > '{tmp_path}/left'\nexit 9"))
    assert failure(run).code == "died"
    left = int((tmp_path / "left").read_text())
    end = time.monotonic() + LONGEST
    while psutil.pid_exists(left) and psutil.Process(left).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_killed_worker_is_reported_with_its_likely_cause(scan, temporary):
    with Run(Job(scan)) as run:
        follow(run, lambda message: message == Stage("find arches"))
        os.kill(run.pid, signal.SIGKILL)
        told = failure(run)
    assert told.code == "died"
    assert "SIGKILL" in told.text and "memory" in told.text and "crop" in told.text
    assert "Memory free at its last heartbeat" in run.details() == told.details


def test_a_worker_that_hangs_is_noticed_and_can_be_cancelled(ball, monkeypatch):
    monkeypatch.setattr(client, "SILENCE", 0.5)
    with Run(Job(ball)) as run:
        process = process_of(run)
        process.suspend()
        told = follow(run, lambda message: isinstance(message, Notice) and "answered" in message.text)
        assert run.state == "running" and told
        time.sleep(1)
        assert not [message for message in run.poll() if isinstance(message, Notice)]  # reported once
    assert not process.is_running()


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGTERM])
def test_the_worker_does_not_survive_its_caller(tmp_path, ball, temporary, ended_by):
    np.save(tmp_path / "ball.npy", np.tile(ball.array, (2, 6, 6)))
    code = f"""
import sys, tempfile, time, numpy as np
tempfile.tempdir = {str(temporary)!r}
from teethseg.volume import Volume
from teethseg.worker.client import Job, Run
run = Run(Job(Volume(np.load({str(tmp_path / "ball.npy")!r}), (1.0, 1.0, 1.0))))
print(run.pid, flush=True)
time.sleep(1000)
"""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "TeethSeg")}
    caller = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, encoding="utf-8", env=environment)
    worker = psutil.Process(int(caller.stdout.readline()))
    messages = folder_of(temporary) / "messages.jsonl"
    end = time.monotonic() + LONGEST
    while not (messages.exists() and messages.stat().st_size):
        assert time.monotonic() < end
        time.sleep(0.02)
    caller.send_signal(ended_by)
    caller.wait()
    end = time.monotonic() + LONGEST
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert list(temporary.iterdir()) == []


# --- failures -------------------------------------------------------------------------------------------------------


def test_what_killed_processes_left_behind_is_removed_by_the_next_run(ball, temporary):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine = new_temporary_folder()
    dead = temporary / mine.name.replace(f"-{os.getpid()}-", f"-{gone.pid}-")
    others = temporary / dead.name.replace(dead.name.split("-")[1], "00000000")  # of another computer
    linked = temporary / f"{dead.name}x"
    for folder in (dead, others):
        folder.mkdir()
        (folder / "scan.npy").write_text("of a patient")
    linked.symlink_to(mine)
    with Run(Job(ball.with_array(np.full_like(ball.array, 7)))) as run:
        failure(run)
    assert {folder.name for folder in temporary.iterdir()} == {mine.name, others.name, linked.name}
    linked.unlink()
    shutil.rmtree(others)
    mine.rmdir()


def test_a_process_that_got_the_number_of_a_dead_one_owns_nothing(temporary):
    mine = new_temporary_folder()
    os.utime(mine, (1e9, 1e9))  # changed last before this process began
    new_temporary_folder().rmdir()
    assert not mine.exists()


def test_an_unfit_scan_is_refused_with_its_reason(ball):
    with Run(Job(ball.with_array(np.full_like(ball.array, 7)))) as run:
        told = failure(run)
    assert told.code == "input" and "same value" in told.text
    assert "Traceback" in run.details()


def test_damaged_and_missing_weights(tmp_path, ball, on_start):
    damaged = tmp_path / "damaged.safetensors"
    content = bytearray((WEIGHTS / f"{DEFAULT_NAME}.safetensors").read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    shutil.copy(WEIGHTS / f"{DEFAULT_NAME}.json", damaged.with_suffix(".json"))
    with Run(Job(ball, weights=damaged)) as run:
        told = failure(run)
    assert told.code == "weights" and "damaged.safetensors" in told.text
    for code in ("", NO_TORCH):  # the checksum needs no torch
        on_start(code)
        weights = next(check for check in check_computer(None, damaged) if check.name == "Network weights")
        assert not weights.ok and "damaged.safetensors" in weights.text and weights.remedy == "Install TeethSeg again."


NO_TORCH = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Blocker())
"""


def test_missing_torch_is_named(ball, on_start):
    on_start(NO_TORCH)
    with Run(Job(ball)) as run:
        told = failure(run)
    assert told.code == "missing-package"
    assert "PyTorch" in told.text and "extension" in told.text
    checks = {check.name: check for check in check_computer(ball)}
    assert [name for name, check in checks.items() if not check.ok] == ["PyTorch"]
    assert "extension" in checks["PyTorch"].remedy
    assert "undamaged (SHA-256)" in checks["Network weights"].text, "weights can be checked without torch"


def test_a_python_without_any_package(tmp_path, ball):
    python = python_with(tmp_path, f"exec '{sys.executable}' -S \"$@\"")
    with Run(Job(ball), python=python) as run:
        told = failure(run)
    assert told.code == "missing-package" and "numpy" in told.text
    check = check_computer(ball, python=python)[0]
    assert not check.ok and "numpy" in check.text and "pip install" in check.remedy


def test_a_python_that_is_none(tmp_path, ball):
    with pytest.raises(TeethSegError, match="nowhere cannot be started"):
        Run(Job(ball), python=tmp_path / "nowhere")
    assert not check_computer(ball, python=tmp_path / "nowhere")[0].ok


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
@pytest.mark.parametrize("blocks", [0, 40])
def test_a_full_disk_is_named(tmp_path, ball, blocks):
    """Full from the start, not even a message can be written; or full when the label map is."""
    python = python_with(tmp_path, f"ulimit -f {blocks}\nexec '{sys.executable}' \"$@\"")
    with Run(Job(ball), python=python) as run:
        told = failure(run)
    assert told.code == "disk-full" and "full" in told.text and "free some space" in told.text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_a_disk_too_full_for_the_scan(ball, temporary):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(TeethSegError, match="is full: free some space"):
            Run(Job(ball))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.skipif(sys.platform == "win32", reason="folders are protected in another way")
def test_a_folder_that_may_not_be_written_to(tmp_path, ball, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir(0o500)
    if os.access(closed, os.W_OK):  # as root
        closed = Path("/proc")
        if not closed.is_dir():
            pytest.skip("this user may write everywhere")
    monkeypatch.setattr(tempfile, "tempdir", str(closed))
    with pytest.raises(TeethSegError, match="TMPDIR"):
        Run(Job(ball))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('{"kind": "hello", "version": "0.0", "python": "3", "torch": "2", "device": "cpu"}', ["0.0", "restart"]),
        ("Segmentation fault", ["understand"]),
    ],
)
def test_a_worker_of_another_version_is_refused(tmp_path, ball, said, words):
    python = python_with(tmp_path, f"echo '{said}' >> \"$3/messages.jsonl\"\nsleep 100")
    with Run(Job(ball), python=python) as run:
        told = failure(run)
    assert told.code == "other" and all(word in told.text for word in words)


def test_half_a_line_is_waited_for(tmp_path, ball):
    line = encode(Notice("Ä"))
    python = python_with(tmp_path, f"printf '%s' '{line[:10]}' >> \"$3/messages.jsonl\"\nread -r nothing\nsleep 100")
    with Run(Job(ball), python=python) as run:
        messages = run.folder / "messages.jsonl"
        while not messages.exists() or not messages.stat().st_size:  # the shell makes the file before it writes
            time.sleep(0.01)
        assert run.poll() == []
        with messages.open("a") as file:
            file.write(line[10:])
        assert run.poll() == [Notice("Ä")]


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("kill -SEGV $$", ["crashed", "SIGSEGV", "PyTorch"]),
        ("kill -USR1 $$", ["SIGUSR1"]),
        ("exit 137", ["SIGKILL", "memory"]),  # as a launcher reports it
        ("exit 0", ["before its work was done"]),
        ("echo 'numpy._core._exceptions._ArrayMemoryError' >&2; exit 1", ["Memory ran out"]),
    ],
)
def test_causes_of_death(tmp_path, ball, end, words):
    with Run(Job(ball), python=python_with(tmp_path, end)) as run:
        told = failure(run)
    assert all(word in told.text for word in words), told.text


@pytest.mark.parametrize(
    ("status", "word"), [(0xC0000005, "crashed"), (-1073741819, "crashed"), (0xC0000017, "memory"), (3, "status 3")]
)
def test_causes_of_death_on_windows(status, word):
    assert word in failure_of_exit(status, "", "folder").text


# --- memory ---------------------------------------------------------------------------------------------------------


def rungs(free: int, device: str = "cpu"):
    from teethseg.cascade.inference import fallbacks

    return list(fallbacks(device, lambda device: free))


def test_the_ladder_begins_where_the_free_memory_allows():
    plenty = rungs(2**40)
    assert [config.tile for config in plenty] == [256, 160, 96, 64]
    assert not any(config.note for config in plenty)
    begun = rungs(plenty[1].memory)
    assert [config.tile for config in begun] == [160, 96, 64]
    assert f"Only {plenty[1].memory / 1e9:.1f} GB" in begun[0].note
    assert not begun[1].note
    # An estimate never forbids a run.
    assert [config.tile for config in rungs(0)] == [64]
    assert [config.memory for config in plenty] == sorted((config.memory for config in plenty), reverse=True)


def test_what_is_needed_grows_with_tile_precision_and_scan():
    assert tile_memory(96, half=True) < tile_memory(96, half=False) < tile_memory(160, half=True)
    assert needed_memory(2 * 512**3, 512**3) == needed_memory(0, 0) + 3 * 512**3
    assert needed_memory(0, 0) > REGION


def test_a_way_that_does_not_fit_is_passed_over_and_reported():
    from teethseg.cascade.inference import run_with_fallbacks

    told = []
    config, _ = run_with_fallbacks(iter(rungs(0)), lambda config: None, told.append)
    assert config.tile == 64
    assert len(told) == 1 and "0.0 GB" in told[0]


def test_a_graphics_card_without_memory_or_that_fails_leaves_the_work_to_the_processor(monkeypatch):
    import torch

    from teethseg.cascade.inference import fallbacks, run_with_fallbacks

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    config = next(fallbacks("auto", lambda device: 10**6 if device.type == "cuda" else 2**40))
    assert (config.name, config.tile) == ("cpu", 256)
    assert "on cuda" in config.note

    def work(config):
        if config.name == "cuda":
            raise RuntimeError("CUDA error: no kernel image is available\nfor execution")
        return "done"

    told = []
    config, result = run_with_fallbacks(fallbacks("auto", lambda device: 2**40), work, told.append)
    assert (config.name, config.tile, result) == ("cpu", 256, "done")
    assert len(told) == 1 and "no kernel image" in told[0] and "driver" in told[0] and "\n" not in told[0]


# Every pass of a network through a tile larger than this runs out of memory.
SMALL_MEMORY = """
import importlib.abc, importlib.machinery, sys
NAME = "teethseg.cascade.inference"
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != NAME:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module
        def patched(module):
            execute(module)
            run_tiled = module.run_tiled
            def limited(network, image, engine, *progress):
                if engine.tile > {tile}:
                    raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
                return run_tiled(network, image, engine, *progress)
            module.run_tiled = limited
        spec.loader.exec_module = patched
        return spec
sys.meta_path.insert(0, Finder())
"""


def test_memory_that_runs_out_makes_tiles_smaller_and_is_reported_at_once(ball, on_start):
    on_start(SMALL_MEMORY.replace("{tile}", "100"))
    with Run(Job(ball, device="cpu")) as run:
        messages = follow(run)
        outcome = run.result()
    told = [message.text for message in messages if isinstance(message, Notice) and "Memory ran out" in message.text]
    assert [("256" in told[0]), ("160" in told[1])] == [True, True] and len(told) == 2
    assert messages.index(Notice(told[0])) < messages.index(Stage("hand over"))
    assert set(told) < set(outcome.dentition.warnings)


def test_memory_that_suffices_in_no_way(ball, on_start):
    on_start(SMALL_MEMORY.replace("{tile}", "0"))
    with Run(Job(ball, device="cpu")) as run:
        told = failure(run)
    assert told.code == "out-of-memory" and "crop the scan" in told.text


# --- check my computer ----------------------------------------------------------------------------------------------


def test_this_computer_can_do_it(ball):
    checks = {check.name: check for check in check_computer(ball)}
    assert list(checks) == ["Python packages", "PyTorch", "Graphics card", "Memory", "Network weights", "Disk space"]
    assert all(check.ok for check in checks.values() if check.name != "Graphics card"), checks
    assert "SHA-256" in checks["Network weights"].text
    assert "GB free" in checks["Memory"].text


FACTS = Facts("3.12", (), torch="2.9", memory_free=3_000_000_000)


def test_a_scan_too_large_for_the_memory_is_reported_before_the_run():
    small, large = (Volume(np.broadcast_to(np.int16(1), (n, n, n))) for n in (256, 1024))
    assert memory_check(FACTS, small).ok and memory_check(FACTS, None).ok
    check = memory_check(FACTS, large)
    assert not check.ok and "3.0 GB free" in check.text and "crop" in check.remedy


def test_a_graphics_card_that_is_not_used_is_reported():
    assert graphics_check(FACTS).ok
    assert "RTX" in graphics_check(replace(FACTS, gpu="RTX", gpu_free=2**33)).text
    check = graphics_check(replace(FACTS, gpu_error="no kernel image is available"))
    assert not check.ok and "no kernel image" in check.text and "driver" in check.remedy


def test_room_on_the_disk(ball, monkeypatch, tmp_path):
    assert disk_check(ball).ok
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=10**7))
    check = disk_check(ball)
    assert not check.ok and "0.0 GB free" in check.text and "Free some space" in check.remedy


def test_a_temporary_folder_that_is_gone(ball, monkeypatch, tmp_path, temporary):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    check = disk_check(ball)
    assert not check.ok and "TMPDIR" in check.remedy
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))


# --- time left ------------------------------------------------------------------------------------------------------


def test_time_left_comes_from_steps_done_and_from_tiles():
    forecast = RemainingTime({"a": 1.0, "b": 4.0, "c": 2.0})
    assert forecast.seconds_left(0.0) is None
    forecast.update("read", 0, 1, 0.0)
    assert forecast.seconds_left(5.0) is None  # this step gives no estimate for the others
    forecast.update("a", 0, 1, 10.0)
    assert forecast.seconds_left(11.0) is None
    forecast.update("a", 1, 1, 13.0)  # three times as slow as usual
    assert forecast.seconds_left(13.0) == pytest.approx(3 * 6)
    forecast.update("b", 0, 4, 13.0)
    assert forecast.seconds_left(15.0) == pytest.approx(3 * 6 - 2)
    forecast.update("b", 1, 4, 14.0)  # and now as fast as usual
    assert forecast.seconds_left(15.0) == pytest.approx(2 + 2)
    assert forecast.seconds_left(30.0) == pytest.approx(2)
    forecast.update("c", 0, 1, 17.0)
    assert forecast.seconds_left(17.0) == pytest.approx(2 * 7 / 5)
    assert forecast.seconds_left(37.0) == 0.0


# When the steps of a real run on a CBCT told their progress, in processor seconds (one core, 1 December 2026).
REAL_RUN = (
    ("find arches", 0, 0.0),
    ("find arches", 1, 0.95),
    ("find arches", 1, 2.64),  # the second look
    ("outline teeth", 0, 2.79),
    ("outline teeth", 1, 7.24),  # a single tile; maps are made of it afterwards
    ("part teeth", 0, 9.07),
    ("number teeth", 0, 9.75),
    ("number teeth", 0, 10.14),
    ("write back", 0, 10.14),
)
REAL_END = 10.74  # with the result handed over


@pytest.mark.parametrize("passed", [0.5, 0.75, 0.9])
def test_the_time_left_of_a_real_run_is_about_right_to_its_end(passed):
    now, forecast = passed * REAL_END, RemainingTime()
    for step, done, moment in REAL_RUN:
        if moment <= now:
            forecast.update(step, done, 1, moment)
    left = forecast.seconds_left(now)
    assert left == pytest.approx(REAL_END - now, abs=1.0)


def test_a_second_look_of_a_step_is_timed_anew():
    """Stage 1 looks at a straightened head again: its tiles start from the first one."""
    forecast = RemainingTime({"a": 1.0, "b": 4.0})
    for tile in range(5):
        forecast.update("a", tile, 4, float(tile))
    first = forecast.seconds_left(4.0)
    for tile in range(1, 5):
        forecast.update("a", tile, 4, 4.0 + tile)
    assert forecast.seconds_left(8.0) <= 1.4 * first
    again = RemainingTime({"a": 1.0, "b": 4.0})
    for second in (0.0, 2.0, 4.0):  # in a single tile
        again.update("a", int(second > 0), 1, second)
    assert again.seconds_left(4.0) == pytest.approx(8.0)
