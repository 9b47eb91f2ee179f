"""What a stranger expects of a repository: versions that agree, files that are there."""

from __future__ import annotations

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
