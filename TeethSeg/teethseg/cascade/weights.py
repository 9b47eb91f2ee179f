"""Weights on disk: one `.safetensors` file for both stages, and a JSON card beside it. No pickle is ever read."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import WeightsError
from ..io.json_text import json_text
from .model_card import DEFAULT_NAME, check_card, damaged_card, weights_folder
from .networks.cascade_net import Architecture, CascadeNet

__all__ = ["DEFAULT_NAME", "STAGES", "Weights", "load_weights", "save_weights", "weights_folder"]

STAGES = ("coarse", "fine")


@dataclass(frozen=True)
class Weights:
    """Both networks, ready to run, and where they come from."""

    name: str
    sha256: str
    card: dict
    coarse: CascadeNet
    fine: CascadeNet


def load_weights(path: str | Path | None = None) -> Weights:
    """Read weights and check them against their card.

    Parameters
    ----------
    path : path, optional
        The `.safetensors` file; without it the ones that ship with TeethSeg.

    Raises
    ------
    WeightsError
        Missing, damaged (SHA-256 differs), not fitting the card, or holding values that are not finite.
    """
    card = check_card(path)
    try:
        architectures = {stage: Architecture.from_json(card.content["architecture"][stage]) for stage in STAGES}
    except (KeyError, TypeError) as error:
        raise damaged_card(card.file) from error
    try:
        tensors = load_file(card.file)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"The weights cannot be read ({card.file.name}): install TeethSeg again.") from error
    networks = {}
    for stage, architecture in architectures.items():
        network = CascadeNet(architecture)
        state = {k.removeprefix(stage + "."): v.float() for k, v in tensors.items() if k.startswith(stage + ".")}
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise WeightsError(
                f"The weights in {card.file.name} belong to another network: use those of this version."
            ) from error
        networks[stage] = network.eval().to(memory_format=torch.channels_last_3d)
    return Weights(card.name, card.sha256, card.content, **networks)


def save_weights(file: Path, coarse: CascadeNet, fine: CascadeNet, card: dict) -> None:
    """Write both networks in half precision, and their card, whole or not at all."""
    tensors = {
        f"{stage}.{key}": value.detach().to("cpu", torch.float16).contiguous()
        for stage, network in (("coarse", coarse), ("fine", fine))
        for key, value in network.state_dict().items()
    }
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".part")
    save_file(tensors, draft)
    draft.chmod(0o644)  # safetensors leaves it to its owner alone
    card = {
        "name": file.stem,
        "sha256": hashlib.sha256(draft.read_bytes()).hexdigest(),
        "architecture": {"coarse": coarse.architecture.to_json(), "fine": fine.architecture.to_json()},
        **card,
    }
    card_draft = file.with_suffix(".json.part")
    card_draft.write_text(json_text(card, indent=1), encoding="utf-8")
    os.replace(draft, file)
    os.replace(card_draft, file.with_suffix(".json"))
