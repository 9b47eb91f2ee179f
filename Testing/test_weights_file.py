"""Weights that differ from their card are refused in one line, whether damaged, changed or hostile."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from full_disk import full_disk
from teethseg.cascade.model_card import CHECKSUM_KEY, DEFAULT_NAME, card_checksum, weights_folder
from teethseg.cascade.networks.cascade_net import COARSE, FINE, LATER_HEADS, CascadeNet
from teethseg.cascade.weights import load_weights, save_weights
from teethseg.cli.app import run
from teethseg.errors import TeethSegError, WeightsError


@pytest.fixture
def weights(tmp_path) -> Path:
    for suffix in (".safetensors", ".json"):
        shutil.copy(weights_folder() / f"{DEFAULT_NAME}{suffix}", tmp_path / f"own{suffix}")
    return tmp_path / "own.safetensors"


def card_of(weights: Path) -> dict:
    return json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))


def with_card(weights: Path, content) -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    weights.with_suffix(".json").write_text(text, encoding="utf-8")
    return weights


def refusal(weights: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        load_weights(weights)
    text = str(caught.value)
    assert "\n" not in text and ": " in text and text.endswith(".")
    return text


def with_values(weights: Path, change, sealed: bool = True) -> Path:
    """Other tensors, and a card that vouches for them."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(weights)
    change(tensors)
    save_file(tensors, weights)
    card = card_of(weights) | {"sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    return with_card(
        weights,
        card | {CHECKSUM_KEY: card_checksum(card)} if sealed else {k: v for k, v in card.items() if k != CHECKSUM_KEY},
    )


def test_the_shipped_card_has_a_seal_and_older_cards_need_none(weights):
    card = card_of(weights)
    assert card[CHECKSUM_KEY] == card_checksum(card)
    del card[CHECKSUM_KEY]
    assert load_weights(with_card(weights, card)).sha256 == card["sha256"]
    assert load_weights(with_card(weights, json.dumps(card_of(weights), indent=7))).sha256 == card["sha256"]


@pytest.mark.parametrize("key", ["title", "use", "architecture", "name"])
def test_a_changed_card_is_noticed(weights, key):
    assert "changed" in refusal(with_card(weights, card_of(weights) | {key: "another"}))
    assert "sha256" in card_of(weights)


@pytest.mark.parametrize(
    ("stage", "field", "value"),
    [
        ("fine", "spacing", 0.8),
        ("fine", "spacing", -0.4),
        ("fine", "spacing", "0.4"),
        ("coarse", "spacing", 0),
        ("coarse", "spacing", None),
        ("fine", "features", [24, 48, 96]),
        ("fine", "features", 24),
        ("fine", "features", [10**9] * 4),
        ("coarse", "full_heads", {"jaw": 4}),
        ("coarse", "half_heads", []),
        ("coarse", "unknown", 1),
    ],
)
@pytest.mark.parametrize("sealed", [True, False])
def test_an_architecture_that_is_not_this_versions(weights, stage, field, value, sealed):
    card = card_of(weights)
    card["architecture"][stage][field] = value
    card = (
        card | {CHECKSUM_KEY: card_checksum(card)} if sealed else {k: v for k, v in card.items() if k != CHECKSUM_KEY}
    )
    text = refusal(with_card(weights, card))
    assert "another network" in text or "damaged" in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "7",
        '"x"',
        "{",
        "{}",
        '{"sha256": 7}',
        '{"name": []}',
        "[" * 100_000,
        "\0",
        '{"a": ' + "9" * 9999,
    ],
)
def test_what_is_no_card(weights, text):
    refusal(with_card(weights, text))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 60_000.0])
@pytest.mark.parametrize("sealed", [True, False])
def test_values_that_no_training_gives(weights, value, sealed):
    def change(tensors):
        name = sorted(tensors)[3]
        tensors[name].view(-1)[0] = value

    assert "no training gives" in refusal(with_values(weights, change, sealed))


def test_tensors_of_another_network(weights, tmp_path):
    def change(tensors):
        del tensors[min(tensors)]

    assert "another network" in refusal(with_values(weights, change))
    weights.write_bytes(b"no tensors at all")
    card = card_of(weights) | {"sha256": hashlib.sha256(b"no tensors at all").hexdigest()}
    assert "cannot be read" in refusal(with_card(weights, card | {CHECKSUM_KEY: card_checksum(card)}))


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes as files")
def test_places_where_no_weights_are(tmp_path, weights):
    os.mkfifo(tmp_path / "pipe.safetensors")
    shutil.copy(weights.with_suffix(".json"), tmp_path / "pipe.json")
    os.mkfifo(tmp_path / "card.json")
    shutil.copy(weights, tmp_path / "card.safetensors")
    for name in ("pipe", "card", "nowhere", "x" * 300):
        refusal(tmp_path / f"{name}.safetensors")
    refusal(tmp_path)
    refusal(Path("/dev/zero"))


def test_the_command_says_so_with_its_own_status(weights, capsys):
    assert run(["model", "show", "--weights", str(weights)]) == 0
    with_card(weights, card_of(weights) | {"title": "mine"})
    capsys.readouterr()
    assert run(["model", "show", "--weights", str(weights)]) == 5
    assert capsys.readouterr().err.count("\n") == 1
    assert run(["model", "seal", str(weights)]) == 0
    assert load_weights(weights).card["title"] == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX's limits")
@pytest.mark.parametrize("room", [0, 1000, 100_000])
def test_a_full_disk_leaves_the_old_weights(weights, room):
    loaded = load_weights(weights)
    before = {path.name: path.read_bytes() for path in weights.parent.iterdir()}
    with full_disk(room), pytest.raises(TeethSegError, match="cannot be written"):
        save_weights(weights, loaded.coarse, loaded.fine, {})
    assert {path.name: path.read_bytes() for path in weights.parent.iterdir()} == before


def test_weights_with_and_without_the_later_heads_are_read(tmp_path):
    for heads in (FINE, FINE.without(LATER_HEADS)):
        file = tmp_path / f"own-{len(heads.half_heads)}.safetensors"
        save_weights(file, CascadeNet(COARSE), CascadeNet(heads), {"title": "Own", "use": "tests"})
        assert load_weights(file).fine.architecture == heads
    assert load_weights().fine.architecture in (FINE, FINE.without(LATER_HEADS))  # the shipped weights
