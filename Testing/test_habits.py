"""Usual expectations of a repository: versions agree, and the usual files exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from teethseg import __version__

REPOSITORY = Path(__file__).resolve().parents[1]


def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere():
    assert re.search(r"^version: (\S+)$", read("CITATION.cff"), re.MULTILINE)[1] == __version__
    assert f"## {__version__} (" in read("CHANGELOG.md")
    assert f", version {__version__}, " in read("README.md")  # how to cite it


@pytest.mark.parametrize(
    "name", ["CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE.txt", "NOTICE", "README.md", "SECURITY.md"]
)
def test_files_that_a_stranger_looks_for(name):
    assert len(read(name)) > 200


def test_the_workflow_calls_the_script_that_developers_call():
    assert "bash .ci/run" in read(".github/workflows/ci.yml")


def test_the_linter_of_the_hooks_is_the_one_of_ci():
    pinned = re.search(r"^ruff==(\S+)$", read("scripts/constraints.txt"), re.MULTILINE)[1]
    assert f"rev: v{pinned}" in read(".pre-commit-config.yaml")


def depends_on_the_locale(call: ast.Call) -> bool:
    """Whether a call opens text without stating its encoding."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    given = {keyword.arg for keyword in call.keywords}
    if name in ("read_text", "write_text"):
        return "encoding" not in given
    switched = {keyword.arg for keyword in call.keywords if getattr(keyword.value, "value", None) is True}
    if switched & {"text", "universal_newlines"}:  # subprocess
        return "encoding" not in given
    if name != "open" or "encoding" in given:
        return False
    builtin = isinstance(call.func, ast.Name)
    modes = [*call.args[int(builtin) : int(builtin) + 1], *(word.value for word in call.keywords if word.arg == "mode")]
    mode = next((one.value for one in modes if isinstance(one, ast.Constant) and isinstance(one.value, str)), "")
    return "b" not in mode if builtin else bool(re.fullmatch(r"[rwax]\+?", mode))


@pytest.mark.parametrize("folder", ["TeethSeg", "scripts"])
def test_no_text_depends_on_the_locale(folder):
    """CI and many servers set no locale; on Windows its encoding is not UTF-8."""
    found = []
    for file in sorted((REPOSITORY / folder).rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        found += [f"{file.name}:{call.lineno}" for call in calls if depends_on_the_locale(call)]
    assert not found


def test_what_depends_on_the_locale_would_be_found():
    bad = ("open('a')", "open('a', 'w')", "p.open('w')", "p.read_text()", "subprocess.run(x, text=True)")
    good = ("open('a', 'rb')", "case.open(volume)", "p.open('w', encoding='utf-8')", "subprocess.run(x)")
    for lines, expected in ((bad, True), (good, False)):
        assert [depends_on_the_locale(ast.parse(line).body[0].value) for line in lines] == [expected] * len(lines)
