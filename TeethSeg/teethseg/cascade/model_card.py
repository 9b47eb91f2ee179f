"""Weights on disk, without PyTorch: their path, the JSON card beside them, and the check of the file against the card."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import WeightsError
from ..io.json_text import json_text, read_json
from ..io.source_files import open_regular, size_of
from ..resources import resource

DEFAULT_NAME = "teethseg-11"
LARGEST_FILE = 1 << 30  # bytes; fifty times the shipped weights
CHECKSUM_KEY = "card_sha256"
_PIECE = 1 << 20


@dataclass(frozen=True)
class ModelCard:
    """An undamaged file of weights and its card.

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


def default_weights() -> Path:
    """The weights for permanent teeth that ship with TeethSeg."""
    return weights_folder() / f"{DEFAULT_NAME}.safetensors"


def shipped(dentition: Literal["permanent", "mixed"]) -> Path | None:
    """The weights that ship with TeethSeg for a kind of dentition; None if there are none for mixed ones.

    The card of weights for children with deciduous and permanent teeth holds `"dentition": "mixed"`. Of several such files,
    the one with the highest version number in its name is used.
    """
    if dentition == "permanent":
        return default_weights()
    mixed = [file for file in weights_folder().glob("*.safetensors") if _dentition(file) == dentition]
    return max(mixed, key=lambda file: [int(part) for part in re.findall(r"\d+", file.stem)], default=None)


def _dentition(file: Path) -> str:
    try:
        content = read_json(file.with_suffix(".json"))
    except (OSError, ValueError):
        return ""
    return content.get("dentition", "permanent") if isinstance(content, dict) else ""


def check_card(path: str | Path | None = None) -> ModelCard:
    """Read the card of weights, and check the file against it.

    Parameters
    ----------
    path : path, optional
        The `.safetensors` file; without it the ones that ship with TeethSeg.

    Raises
    ------
    WeightsError
        File or card are missing or cannot be read, or the SHA-256 of either differs.
    """
    file = Path(path) if path is not None else default_weights()
    card_file = file.with_suffix(".json")
    try:
        content = read_json(card_file)
        digest = _digest(file)
    except FileNotFoundError as error:
        raise WeightsError(
            f"Weights are missing ({Path(error.filename).name} not found): install TeethSeg again or name another file."
        ) from error
    except OSError as error:
        raise WeightsError(
            f"The weights cannot be read ({file.name}, {error.strerror or error}): install TeethSeg again, or name "
            "another file."
        ) from error
    except ValueError as error:
        raise damaged_card(file) from error
    if not isinstance(content, dict) or not isinstance(content.get("name", ""), str):
        raise damaged_card(file)
    if digest != content.get("sha256"):
        raise WeightsError(f"The weights are damaged ({file.name} differs from its card): install TeethSeg again.")
    # Old cards have no checksum; `load_weights` checks their values in any case.
    if CHECKSUM_KEY in content and content[CHECKSUM_KEY] != card_checksum(content):
        raise WeightsError(
            f"The card of the weights was changed ({card_file.name}): install TeethSeg again or, if you changed it "
            "yourself, run 'teethseg model seal'."
        )
    return ModelCard(file, content.get("name") or file.stem, digest, content)


def card_checksum(content: Mapping) -> str:
    """The checksum of a card's content, without the checksum itself and independent of the JSON layout."""
    rest = {key: content[key] for key in sorted(content) if key != CHECKSUM_KEY}
    return hashlib.sha256(json_text(rest).encode()).hexdigest()


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with open_regular(file) as opened:
        if size_of(opened) > LARGEST_FILE:
            raise OSError(None, "it is too large for weights", str(file))
        while piece := opened.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def damaged_card(file: Path) -> WeightsError:
    """The error for a card that lacks a field, or holds a wrong one."""
    name = file.with_suffix(".json").name
    return WeightsError(f"The card of the weights is damaged ({name}): install TeethSeg again.")
