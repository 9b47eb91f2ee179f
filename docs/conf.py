"""Sphinx builds the documentation: python -m sphinx -W docs build/docs. Nothing is fetched from the network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "TeethSeg"))

from teethseg import __version__  # noqa: E402

project = "TeethSeg"
author = "The TeethSeg authors"
project_copyright = "The TeethSeg authors, Apache License 2.0"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["reference/cli-commands.md"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # the generated page of commands begins below the first level

html_theme = "furo"
html_title = f"TeethSeg {version}"
html_logo = "../Resources/TeethSeg.png"
html_static_path: list[str] = []

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings tell types in words
autodoc_preserve_defaults = True
napoleon_google_docstring = False


def write_command_reference(_app) -> None:
    """Write the page of commands from the command line itself."""
    command = [sys.executable, "-m", "typer", "teethseg.cli.app", "utils", "docs", "--name", "teethseg"]
    text = subprocess.run(
        command,
        check=True,
        capture_output=True,
        encoding="utf-8",
        env={"PYTHONPATH": str(ROOT / "TeethSeg"), "PATH": ""},
    ).stdout
    text = text.replace("[bold]", "**").replace("[/bold]", "**").partition("\n")[2]
    (Path(__file__).parent / "reference" / "cli-commands.md").write_text(text, encoding="utf-8")


def setup(app) -> None:
    """Write the generated pages before Sphinx reads the sources."""
    app.connect("builder-inited", write_command_reference)
