"""JSON as TeethSeg writes it: numpy's numbers are numbers, and NaN or infinity, which JSON does not know, are refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np


def json_text(content: Any, indent: int | None = None) -> str:
    """Content as JSON in one line, or indented with a line feed at the end.

    Numpy's scalars and arrays may stand anywhere in it: which functions of numpy return them differs from version to version.

    Raises
    ------
    ValueError
        If a number is not finite.
    TypeError
        If something in it is neither plain nor numpy's.
    """
    text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False, default=_plain)
    return text if indent is None else text + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
