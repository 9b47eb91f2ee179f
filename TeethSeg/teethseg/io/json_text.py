"""Writes and reads JSON. Numpy numbers are written as numbers; NaN and infinity, which JSON does not know, are refused.

Reading raises one kind of error for every kind of damaged or hostile file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from .source_files import open_regular

LARGEST_FILE = 64 << 20  # bytes; far above any report or state


def json_text(content: Any, indent: int | None = None) -> str:
    """Content as JSON: one line of ASCII for programs, or indented with a line feed at the end for people.

    Numpy scalars and arrays may occur anywhere in it, because different versions of numpy return them from different functions.

    Raises
    ------
    ValueError
        If a number is not finite.
    TypeError
        If a value is neither a JSON type nor numpy's.
    """
    text = json.dumps(content, indent=indent, ensure_ascii=indent is None, allow_nan=False, default=_plain)
    if not _is_unicode(text):  # a file's name that is not UTF-8
        text = json.dumps(content, indent=indent, allow_nan=False, default=_plain)
    return text if indent is None else text + "\n"


def parse_json(text: str) -> Any:
    """The content of a text.

    Raises
    ------
    ValueError
        If it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_json(path: str | Path) -> Any:
    """The content of a file.

    Raises
    ------
    OSError
        If it cannot be read, or is no regular file.
    ValueError
        If it is no JSON, or larger than `LARGEST_FILE`.
    """
    with open_regular(path) as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise ValueError("it is too large")
    return parse_json(content.decode("utf-8-sig"))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
