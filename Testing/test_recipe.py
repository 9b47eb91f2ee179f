"""The commands of docs/how-to/ten-scans.md and many-scans.md run as written, on small cases and with two folds."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from shutil import copyfile

import pytest

from labelled_cases import labelled_scan
from teethseg.cascade.weights import DEFAULT_NAME, weights_folder
from teethseg.cli.app import run
from teethseg.io.case_folder import write_case_folder
from teethseg.io.files import read_labels, write_scan

PAGES = Path(__file__).resolve().parents[1] / "docs" / "how-to"
QUICK = "steps: 1\nepoch: 1\nbatch: 1\nchecks: 1\nworkers: 0\npatch: 32\n"


def commands(page: str) -> list[list[str]]:
    """Commands of the page's blocks, without remarks."""
    text = (PAGES / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = [line.partition(" #")[0] for language, block in blocks if not language for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("teethseg ")]


@pytest.mark.slow
def test_from_ten_scans_to_a_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        write_case_folder(tmp_path / "cases" / f"case-{number}", *labelled_scan(number, edge=24), f"patient-{number}")
    write_case_folder(tmp_path / "held-out" / "case", *labelled_scan(20, edge=24), "held-out")
    write_scan(tmp_path / "scan.nrrd", labelled_scan(21, edge=24)[0])
    for suffix in (".safetensors", ".json"):
        copyfile(weights_folder() / f"{DEFAULT_NAME}{suffix}", tmp_path / f"shipped{suffix}")
    for stage in ("coarse", "fine"):
        (tmp_path / f"{stage}.yaml").write_text(QUICK, encoding="utf-8")
    (tmp_path / "card.json").write_text('{"training": "a test"}', encoding="utf-8")
    written = commands("ten-scans.md")
    assert [command[0] for command in written] == [
        "data",
        "folds",
        "folds",
        "model",
        "model",
        "segment",
        "folds",
    ]
    for command in written:
        command = ["2" if before == "--folds" else part for before, part in zip(["", *command], command, strict=False)]
        assert run(command) == 0, (command, capsys.readouterr().err)
    assert (tmp_path / "runs" / "fine" / "report.html").exists()
    assert read_labels(tmp_path / "teeth.seg.nrrd").array.shape == (24, 24, 24)


@pytest.mark.slow
def test_a_thousand_scans(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    write_scan(tmp_path / "scans" / "one.nrrd", labelled_scan(0, edge=24)[0])
    first = commands("many-scans.md")[0]
    assert first == ["batch", "scans", "results"]
    assert run(first) == 0, capsys.readouterr().err
    assert (tmp_path / "results" / "index.html").exists()
