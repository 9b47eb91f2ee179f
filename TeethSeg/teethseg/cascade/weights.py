"""Reads and writes weights: one `.safetensors` file for both stages, and a JSON card beside it. No pickle is ever read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from ..errors import WeightsError
from ..io.atomic_write import written_whole
from ..io.json_text import json_text
from .decisions import Decisions
from .model_card import CHECKSUM_KEY, DEFAULT_NAME, card_checksum, check_card, damaged_card, weights_folder
from .networks.cascade_net import Architecture, CascadeNet, is_known
from .networks.ensemble import Ensemble, StageNetwork, members_of

__all__ = ["DEFAULT_NAME", "STAGES", "Weights", "load_weights", "save_weights", "weights_folder"]

STAGES = ("coarse", "fine")
_MOST_MEMBERS = 100
_LARGEST_VALUE = 1e4  # trained weights are smaller; half precision ends at 65504


@dataclass(frozen=True)
class Weights:
    """Both networks, ready to run, and their origin. Each may be an `Ensemble`, whose members' outputs are averaged."""

    name: str
    sha256: str
    card: dict
    coarse: StageNetwork
    fine: StageNetwork
    decisions: Decisions


def load_weights(path: str | Path | None = None) -> Weights:
    """Read weights and check them against their card.

    Parameters
    ----------
    path : path, optional
        The `.safetensors` file; without it the ones that ship with TeethSeg.

    Raises
    ------
    WeightsError
        If they are missing or damaged (SHA-256 differs), belong to another architecture than this version's networks, or
        hold values that no training gives.
    """
    card = check_card(path)
    try:
        architectures = {stage: Architecture.from_json(card.content["architecture"][stage]) for stage in STAGES}
        counts = {stage: int(card.content.get("members", {}).get(stage, 1)) for stage in STAGES}
        decisions = Decisions.from_card(card.content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged_card(card.file) from error
    if not all(1 <= count <= _MOST_MEMBERS for count in counts.values()):
        raise damaged_card(card.file)
    if not all(is_known(stage, architecture) for stage, architecture in architectures.items()):
        raise _of_another_network(card.file)
    try:
        tensors = load_file(card.file)
    except Exception as error:  # the library raises many kinds of error on damaged files
        raise WeightsError(f"The weights cannot be read ({card.file.name}): install TeethSeg again.") from error
    networks: dict[str, StageNetwork] = {}
    for stage, architecture in architectures.items():
        members = [CascadeNet(architecture) for _ in range(counts[stage])]
        network = members[0] if len(members) == 1 else Ensemble(members)
        state = {k.removeprefix(stage + "."): v.float() for k, v in tensors.items() if k.startswith(stage + ".")}
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise _of_another_network(card.file) from error
        if not all((value.abs() < _LARGEST_VALUE).all() for value in network.state_dict().values()):
            raise WeightsError(
                f"The weights in {card.file.name} hold values that no training gives (NaN, or far too large): train "
                "them anew, or name another file."
            )
        # PyTorch's stubs do not list this argument of `Module.to`.
        networks[stage] = network.eval().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return Weights(card.name, card.sha256, card.content, networks["coarse"], networks["fine"], decisions)


def _of_another_network(file: Path) -> WeightsError:
    return WeightsError(f"The weights in {file.name} belong to another network: use those of this version.")


def save_weights(file: Path, coarse: StageNetwork, fine: StageNetwork, card: dict) -> None:
    """Write both networks in half precision, and their card, whole or not at all.

    Raises
    ------
    TeethSegError
        If they cannot be written.
    """
    tensors = {
        f"{stage}.{key}": value.detach().to("cpu", torch.float16).contiguous()
        for stage, network in (("coarse", coarse), ("fine", fine))
        for key, value in network.state_dict().items()
    }
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    content = save(tensors)
    card = {
        "name": file.stem,
        "sha256": hashlib.sha256(content).hexdigest(),
        "architecture": {"coarse": coarse.architecture.to_json(), "fine": fine.architecture.to_json()},
        **card,
    }
    counts = {"coarse": len(members_of(coarse)), "fine": len(members_of(fine))}
    if max(counts.values()) > 1:
        card["members"] = counts  # versions before 0.2 reject such weights as those of another network
    # A kill between the two writes leaves a checksum mismatch, which `load_weights` reports.
    with written_whole(file.with_suffix(".json")) as card_draft:
        write_card(card_draft, card)
        with written_whole(file) as draft:
            draft.write_bytes(content)


def write_card(file: Path, card: dict) -> None:
    """Write a card with its own checksum."""
    card = {key: value for key, value in card.items() if key != CHECKSUM_KEY}
    file.write_text(json_text({**card, CHECKSUM_KEY: card_checksum(card)}, indent=1), encoding="utf-8")
