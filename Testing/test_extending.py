"""The changes of docs/extending.md, made to a copy of the library: each works, and touches few files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
MOST_FILES = 3


@dataclass(frozen=True)
class Step:
    """A block of the page: the file, the line that precedes it (none for a new file), and the code."""

    file: str
    anchor: str | None
    code: str


@dataclass(frozen=True)
class Example:
    name: str
    steps: tuple[Step, ...]
    check: str


def examples() -> list[Example]:
    found = []
    for section in PAGE.split("\n## ")[1:]:
        steps, check = [], ""
        for caption, code in re.findall(
            r"```\{code-block\} python\n:caption: ([^\n]+)\n\n(.*?)```", section, re.DOTALL
        ):
            if caption == "check":
                check = code
                continue
            place = re.fullmatch(r"(\S+?)(?:, after `(.+)`)?", caption)
            steps.append(Step(place[1], place[2], code))
        found.append(Example(section.partition("\n")[0], tuple(steps), check))
    return found


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_an_extension_works_and_touches_few_files(example, tmp_path):
    assert example.check and 0 < len({step.file for step in example.steps}) <= MOST_FILES
    ignored = shutil.ignore_patterns("Testing")  # compiled files go along, and hold for what is not changed
    shutil.copytree(REPOSITORY / "TeethSeg", tmp_path / "TeethSeg", ignore=ignored)
    for step in example.steps:
        file = tmp_path / step.file
        if step.anchor is None:
            assert not file.exists()
            file.write_text(step.code, encoding="utf-8")
            continue
        text = file.read_text(encoding="utf-8")
        assert text.count(f"{step.anchor}\n") == 1, f"{step.anchor} stands not once in {step.file}"
        file.write_text(text.replace(f"{step.anchor}\n", f"{step.anchor}\n{step.code}"), encoding="utf-8")
    command = [sys.executable, "-c", example.check]
    environment = {"PYTHONPATH": str(tmp_path / "TeethSeg"), "HOME": str(tmp_path)}
    run = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
