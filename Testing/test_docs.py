"""The documentation builds without warnings and without network access."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from teethseg.cascade.tooth_properties import SURE

REPOSITORY = Path(__file__).resolve().parents[1]


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
