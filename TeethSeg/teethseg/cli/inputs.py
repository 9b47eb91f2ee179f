"""Reads and checks the inputs of commands, apart from scans."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError, UsageError
from ..io.json_text import read_json
from ..io.label_maps import LARGEST_LABEL
from ..volume import Volume


def read_json_object(path: Path) -> dict:
    """The JSON object in a file.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        content = read_json(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except ValueError as error:
        raise InputError(f"{path.name} is no JSON file ({error}): correct it.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path.name} holds no JSON object: correct it.")
    return content


def read_report(path: Path) -> dict:
    """The report of a run in a file.

    Raises
    ------
    InputError
        If it is none.
    """
    from ..report import check_report

    try:
        return check_report(read_json_object(path))
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error


def check_small(labels: Volume, path: Path) -> None:
    """Refuse an image whose values are too large for labels: most likely it is a scan.

    Raises
    ------
    InputError
        If a value is larger than `LARGEST_LABEL`.
    """
    largest = int(labels.array.max())
    if largest > LARGEST_LABEL:
        raise InputError(f"{path.name} has values up to {largest}: is it a scan? Give a label map of teeth.")


def check_distinct(outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | None]) -> None:
    """Refuse to overwrite an input, or to write two outputs to one file.

    Parameters
    ----------
    outputs, inputs : mapping of str to Path or None
        Files by their names on the command line; None for those that were left out.

    Raises
    ------
    UsageError
        If two of them are the same file.
    """
    taken = {_resolved(path): name for name, path in inputs.items() if path is not None}
    for name, path in outputs.items():
        if path is None:
            continue
        other = taken.setdefault(_resolved(path), name)
        if other != name:
            raise UsageError(f"{name} names the same file as {other} ({path}): choose another one.")


def _resolved(path: Path) -> Path:
    try:
        return Path(os.path.realpath(path))  # unlike `resolve`, it accepts loops of links
    except (OSError, ValueError):  # an invalid name, which is reported when the file is opened
        return path.absolute()
