"""Weights on disk without PyTorch: where they are, the JSON card beside them, and whether the file is what its card says."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import WeightsError
from ..resources import resource

DEFAULT_NAME = "teethseg-8"


@dataclass(frozen=True)
class Card:
    """An undamaged file of weights and what its card says.

    Attributes
    ----------
    file : Path
        The `.safetensors` file.
    name, sha256 : str
    content : dict
        The whole card.
    """

    file: Path
    name: str
    sha256: str
    content: dict


def weights_folder() -> Path:
    """Where the weights lie that ship with TeethSeg."""
    return resource("Weights")


def check_card(path: str | Path | None = None) -> Card:
    """Read the card of weights, and check the file against it.

    Parameters
    ----------
    path : path, optional
        The `.safetensors` file; without it the ones that ship with TeethSeg.

    Raises
    ------
    WeightsError
        File or card are missing or cannot be read, or the SHA-256 differs.
    """
    file = Path(path) if path is not None else weights_folder() / f"{DEFAULT_NAME}.safetensors"
    card_file = file.with_suffix(".json")
    for wanted in (file, card_file):
        if not wanted.is_file():
            raise WeightsError(
                f"Weights are missing ({wanted.name} not found): install TeethSeg again or name another file."
            )
    try:
        content = json.loads(card_file.read_text(encoding="utf-8"))
        expected = content["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise damaged_card(file) from error
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"The weights cannot be read ({file.name}): install TeethSeg again.") from error
    if digest != expected:
        raise WeightsError(f"The weights are damaged ({file.name} differs from its card): install TeethSeg again.")
    return Card(file, content.get("name", file.stem), digest, content)


def damaged_card(file: Path) -> WeightsError:
    """The error of a card that does not say what it should."""
    name = file.with_suffix(".json").name
    return WeightsError(f"The card of the weights is damaged ({name}): install TeethSeg again.")
