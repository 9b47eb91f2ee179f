"""JSON with numpy scalars; the library writes all its JSON with this function."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from teethseg.io.json_text import json_text

LIBRARY = Path(__file__).resolve().parents[1] / "TeethSeg" / "teethseg"


def test_numpy_scalars_and_arrays_are_numbers():
    content = {
        "count": np.int64(3),
        "share": np.float32(0.5),
        "ok": np.bool_(True),
        "box": np.arange(2),
        "n": [np.uint8(7)],
    }
    assert json.loads(json_text(content)) == {"count": 3, "share": 0.5, "ok": True, "box": [0, 1], "n": [7]}


@pytest.mark.parametrize("content", [float("nan"), np.float64("inf"), [np.array([np.nan])]])
def test_what_json_has_no_number_for_is_refused(content):
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text(content)


def test_what_is_no_data_is_refused():
    with pytest.raises(TypeError, match="Path"):
        json_text({"file": Path("a")})


def test_all_json_is_written_by_it():
    """`json.dumps` refuses numpy scalars, and the functions that return them differ between versions of numpy."""
    for file in LIBRARY.rglob("*.py"):
        calls = [
            node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Attribute)
        ]
        used = [c for c in calls if c.attr in ("dump", "dumps") and getattr(c.value, "id", "") == "json"]
        assert not used or file.name == "json_text.py", file
