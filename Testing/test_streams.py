"""Without a reader, with a full disk behind the log, or with a closed terminal, files are still written, silently."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from teethseg.cli.app import run
from teethseg.io.files import write_labels, write_scan
from teethseg.volume import Volume

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells and signals")
STEP = re.compile(r" *[\d.]+ s  ")  # a line for each
COMMAND = f"{sys.executable} -c 'from teethseg.cli import main; main()'"


@pytest.fixture
def labels(tmp_path) -> Path:
    array = np.zeros((24, 24, 24), np.uint8)
    array[4:20, 4:11, 4:20], array[4:20, 13:20, 4:20] = 16, 26
    write_labels(tmp_path / "teeth.seg.nrrd", Volume(array, (0.5,) * 3))
    return tmp_path / "teeth.seg.nrrd"


def shell(line: str) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(["bash", "-c", line], env=environment, capture_output=True, encoding="utf-8", timeout=120)


@pytest.mark.parametrize(
    ("streams", "status"),
    [(">&-", 0), ("2>&-", 0), (">&- 2>&- <&-", 0), ("2>/dev/full", 0), (">/dev/full 2>/dev/full", 1), ("| true", 0)],
)
def test_a_table_that_nobody_reads_loses_no_file(tmp_path, labels, streams, status):
    done = shell(f"set -o pipefail; {COMMAND} evaluate {labels} {labels} --json {tmp_path}/scores.json {streams}")
    assert done.returncode == status, done.stderr
    assert (tmp_path / "scores.json").read_text().endswith("}\n")
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert len(done.stderr.splitlines()) <= 6


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full", "2> >(true)"])
def test_surfaces_need_no_reader(tmp_path, labels, streams):
    done = shell(f"{COMMAND} surfaces {labels} {tmp_path}/stl {streams}")
    assert done.returncode == 0 and len(list((tmp_path / "stl").glob("*.stl"))) == 2


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM])
def test_signals_clean_up(tmp_path, number):
    """As `kill` and a closed terminal do; the writer is in the midst of a file."""
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("processes that `nohup` starts ignore this signal")
    code = (
        "import sys\n"
        "from teethseg.cli import main\n"
        "from teethseg.cli import app\n"
        "from teethseg.io.atomic_write import written_whole\n"
        "import time\n"
        "def run(arguments):\n"
        f"    with written_whole({str(tmp_path / 'out.nrrd')!r}) as draft:\n"
        "        draft.write_text('half')\n"
        "        print('writing', flush=True)\n"
        "        time.sleep(60)\n"
        "app.run = run\n"
        "main()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, encoding="utf-8")
    assert process.stdout.readline() == "writing\n"
    assert len(os.listdir(tmp_path)) == 1
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["segment", "", "--output", "x.nrrd"],
        ["evaluate", "", ""],
        ["segment", "x", "--output="],
        ["picture", "", "", ""],
    ],
)
def test_an_empty_path_is_no_path(arguments, capsys):
    assert run(arguments) == 2
    assert "empty" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["/dev/null", "/dev/full"])
def test_devices_are_no_places_for_results(labels, place, capsys):
    assert run(["evaluate", str(labels), str(labels), "--json", place]) == 2
    assert "device" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "LABELS", "LABELS", "--json", "LABELS"],
        ["evaluate", "LABELS", "LABELS", "--quality", "q.json", "--json", "q.json"],
        ["picture", "LABELS", "LABELS", "same.png", "--meshes", "same.png"],
        ["surfaces", "LABELS", "stl", "--table", "LABELS"],
        ["segment", "LABELS", "--output", "LABELS"],
        ["segment", "LABELS", "--output", "o.nrrd", "--report", "o.nrrd"],
    ],
)
def test_nothing_that_is_given_is_written_over(labels, arguments, capsys, monkeypatch):
    monkeypatch.chdir(labels.parent)
    before = labels.read_bytes()
    assert run([str(labels) if argument == "LABELS" else argument for argument in arguments]) == 2
    assert "names the same file" in capsys.readouterr().err and labels.read_bytes() == before


def test_a_scan_that_is_a_loop_of_links(tmp_path, capsys):
    (tmp_path / "loop.nrrd").symlink_to("loop.nrrd")
    assert run(["segment", str(tmp_path / "loop.nrrd"), "--output", str(tmp_path / "o.nrrd")]) == 3
    assert capsys.readouterr().err.count("\n") <= 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to such a limit")
@pytest.mark.parametrize("limit", [60, 690, 1000])
def test_little_memory_ends_in_one_line_even_where_imports_fail(tmp_path, labels, limit):
    """Address space in MB. With each limit a different part of the imports fails."""
    scan = Volume(np.random.default_rng(0).integers(0, 2000, (40, 50, 60)).astype(np.int16), (0.5,) * 3)
    write_scan(tmp_path / "scan.nrrd", scan)
    before = sorted(os.listdir(tmp_path))
    out = f"--output {tmp_path}/o.seg.nrrd --report {tmp_path}/r.json --stl {tmp_path}/stl"
    done = shell(f"ulimit -v {limit * 1024}; {COMMAND} segment {tmp_path}/scan.nrrd {out}")
    told = [line for line in done.stderr.splitlines() if not STEP.match(line)]
    assert done.returncode == 4 and len(told) == 1 and told[0].startswith("teethseg: Memory ran out"), done.stderr
    assert sorted(os.listdir(tmp_path)) == before


# How libraries react when memory runs out: an error of their own, the end of the process, a crash.
ENDINGS = {
    "an error": "raise RuntimeError('std::bad_alloc')",
    "an import": "raise ImportError('libtorch_cpu.so: failed to map segment from shared object')",
    "a damaged module": "raise AttributeError('partially initialized module')",
    "OpenMP": "os.write(2, b'libgomp: Thread creation failed: Resource temporarily unavailable\\n'); os._exit(1)",
    "abort": "os.write(2, b'terminate called after throwing an instance of std::bad_alloc\\n'); os.abort()",
    "a crash": "os.kill(os.getpid(), 11)",
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to such a limit")
@pytest.mark.parametrize("ending", ENDINGS)
def test_under_a_limit_every_end_of_a_library_is_lack_of_memory(tmp_path, ending):
    """The unfinished file is removed, too."""
    out = tmp_path / "out.nrrd"
    code = (
        "import os, sys\n"
        "from teethseg.cli import app, main\n"
        "from teethseg.io.atomic_write import written_whole\n"
        "def run(arguments):\n"
        f"    with written_whole({str(out)!r}) as draft:\n"
        f"        {ENDINGS[ending]}\n"
        "app.run = run\n"
        f"sys.argv[1:] = ['segment', 'x', '--output', {str(out)!r}]\n"
        "main()\n"
    )
    (tmp_path / "main.py").write_text(code, encoding="utf-8")
    done = shell(f"ulimit -v 2500000; {sys.executable} {tmp_path}/main.py")
    assert done.returncode == 4 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("teethseg: Memory ran out")
    assert os.listdir(tmp_path) == ["main.py"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps to such a limit")
def test_a_limit_changes_nothing_else(tmp_path, labels):
    """Status, output, signals: as without it."""
    done = shell(f"ulimit -v 30000000; {COMMAND} evaluate {labels} {labels}; {COMMAND} evaluate {labels} nowhere")
    assert done.returncode == 3 and "does not exist" in done.stderr and "Dice" in done.stdout
    (tmp_path / "main.py").write_text(
        "import time\n"
        "from teethseg.cli import app, main\n"
        "app.run = lambda _: print('begun', flush=True) or time.sleep(60)\n"
        "main()\n",
        encoding="utf-8",
    )
    process = subprocess.Popen(
        ["bash", "-c", f"ulimit -v 30000000; exec {sys.executable} {tmp_path}/main.py"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout.readline() == "begun\n"
    (child,) = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM and not child.is_running()


def test_a_helper_does_not_outlive_whom_it_works_for():
    helper = "from teethseg.parent_process import end_with_parent; end_with_parent(); print(flush=True); input()"
    code = (
        "import subprocess, sys, time\n"
        f"helper = subprocess.Popen([sys.executable, '-c', {helper!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "helper.stdout.readline()\n"
        "keep = subprocess.Popen(['sleep', '60'], stdin=helper.stdin)\n"  # its input stays open: it never ends alone
        "print(helper.pid, keep.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, encoding="utf-8")
    helper, keep = (psutil.Process(int(number)) for number in parent.stdout.readline().split())
    parent.kill()
    parent.wait()
    gone, _ = psutil.wait_procs([helper], 30)
    keep.kill()
    assert gone
