"""The documentation builds without warnings and without network access."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from teethseg.cascade.tooth_properties import SURE
from teethseg.cli.app import app
from test_layers import LEVEL

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])


def options_of_commands(command, name: str = "") -> dict[str, set[str]]:
    """The options of every command of `teethseg` and of its groups."""
    found = {name: {"--help", *(option for one in command.params for option in (*one.opts, *one.secondary_opts))}}
    for part, below in getattr(command, "commands", {}).items():
        found |= options_of_commands(below, f"{name} {part}".strip())
    return found


def commands_in(text: str) -> list[list[str]]:
    """The calls of `teethseg` in the blocks and spans of code of a page, each as its words; comments and pipes are left out."""
    text = text.replace("\\\n", " ")
    fence = re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
    lines = [line for block in fence.findall(text) for line in block.splitlines()]
    code = [*lines, *re.findall(r"^ {4}(.*)", text, re.MULTILINE), *re.findall(r"`([^`]+)`", fence.sub("", text))]
    calls = (re.match(r"\s*teethseg ([^#|;]+)", " ".join(one.split())) for one in code)
    return [call[1].split() for call in calls if call]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_the_pages_exist(page):
    known = options_of_commands(typer.main.get_command(app))
    for words in commands_in(page.read_text(encoding="utf-8")):
        name = next((name for name in (" ".join(words[:2]), words[0], "") if name in known), "")
        assert name or words[0].startswith("-") or words[0].isupper(), words
        assert {word.split("=")[0] for word in words if re.match("--[a-z]", word)} <= known[name] | known[""], words


def test_commands_that_do_not_exist_would_be_found():
    text = "```\nteethseg segment scan \\\n    --nothing 3  # --comment\n```\nor `teethseg fly x`, see `--nobody`"
    assert commands_in(text) == [["segment", "scan", "--nothing", "3"], ["fly", "x"]]


def test_the_page_for_developers_names_all_parts():
    page = (REPOSITORY / "docs" / "developing.md").read_text(encoding="utf-8")
    files = (REPOSITORY / "TeethSeg" / "teethseg" / "application").glob("*.py")
    names = {*LEVEL, *(file.name for file in files)} - {"__init__.py"}
    assert not {name for name in names if f"`{name}`" not in page}


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert ":" in target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_page_names_the_confidence_from_which_on_a_number_is_sure():
    page = (REPOSITORY / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    assert f"Numbers of {SURE} and more are called sure" in page


@pytest.mark.slow
def test_the_documentation_builds_and_asks_nothing_of_the_network(tmp_path):
    pytest.importorskip("sphinx", reason="Sphinx is not installed: pip install 'teethseg[docs]'")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", str(tmp_path)]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    pages = {
        page.relative_to(tmp_path).as_posix(): page.read_text(encoding="utf-8") for page in tmp_path.rglob("*.html")
    }
    assert "--output" in pages["reference/cli.html"]
    assert "teethseg.api.segment" in pages["reference/api.html"]
    for name, text in pages.items():
        loaded = re.findall(
            r'<(?:script|img|iframe)[^>]* src="(https?:[^"]+)"|<link rel="stylesheet"[^>]* href="(https?:[^"]+)"', text
        )
        assert not loaded, name
