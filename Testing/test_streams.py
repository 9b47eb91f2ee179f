"""Nobody reads, the disk behind the log is full, the terminal is closed: files are written all the same, in silence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from teethseg.cli.app import run
from teethseg.io.files import write_labels
from teethseg.volume import Volume

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells and signals")
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


def test_a_scan_that_is_a_loop_of_links(tmp_path, capsys):
    (tmp_path / "loop.nrrd").symlink_to("loop.nrrd")
    assert run(["segment", str(tmp_path / "loop.nrrd"), "--output", str(tmp_path / "o.nrrd")]) == 3
    assert capsys.readouterr().err.count("\n") <= 2


@pytest.mark.parametrize("limit", [100, 300, 600])
def test_little_memory_ends_in_one_line_even_where_imports_fail(tmp_path, labels, limit):
    """Address space in MB."""
    done = shell(f"ulimit -v {limit * 1024}; {COMMAND} surfaces {labels} {tmp_path}/stl")
    assert done.returncode == 4 and done.stderr.startswith("teethseg: Memory ran out") and done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == [labels.name]
