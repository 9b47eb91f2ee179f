"""The networks of the first experiments: exact parameter counts, and training by the command for the cascade."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from labelled_cases import labelled_scan
from teethseg.cascade.networks.cascade_net import FINE, CascadeNet
from teethseg.cascade.networks.plain import U_NETS, PlainNet, Sliced
from teethseg.cascade.networks.summary import parameter_count
from teethseg.cascade.weights import save_weights
from teethseg.cli.app import run
from teethseg.errors import InputError, UsageError
from teethseg.io.case_folder import write_case_folder
from teethseg.training.fit import load_checkpoint
from teethseg.training.options import FitOptions, Network
from teethseg.training.plain import plain_loss, plain_scores, plain_targets
from teethseg.training.plots import history
from teethseg.training.targets import IGNORE, UNKNOWN

PUBLISHED = {
    "unet-2d-axial": [7_702_721],
    "unet-2d-sagittal": [7_702_721],
    "unet-2d-cascade": [7_702_721, 7_702_721],
    "unet-3d-22m": [22_400_321],
    "unet-3d-430k": [430_075],
    "unet-3d-cascade": [430_075, 108_036],
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_networks_have_the_parameters_that_were_published(name):
    with torch.device("meta"):
        network = PlainNet(U_NETS[name])
        output = network(torch.zeros(1, 1, 16, 24, 32))
    assert [parameter_count(net) for net in network.nets] == PUBLISHED[name]
    heads = {"unet-2d-cascade": ["tooth_1", "tooth"], "unet-3d-cascade": ["tooth", "class"]}.get(name, ["tooth"])
    assert {head: tuple(logits.shape) for head, logits in output.items()} == {
        head: (1, 9 if head == "class" else 1, 16, 24, 32) for head in heads
    }


def test_the_command_offers_all_of_them():
    assert set(get_args(Network)) == {"cascade", *U_NETS} == {"cascade", *PUBLISHED}


@pytest.mark.parametrize(("across", "axis"), [("z", 0), ("y", 1), ("x", 2)])
def test_a_2d_network_sees_slices_across_its_axis_and_nothing_beyond(across, axis):
    class Spread(torch.nn.Module):
        """Every pixel becomes the sum of its slice, which reveals information from other slices."""

        def forward(self, slices):
            return slices.sum(dim=(2, 3), keepdim=True).expand_as(slices)

    image = torch.zeros(2, 1, 3, 4, 5)
    image[1, 0, 2, 1, 3] = 1.0
    expected = torch.zeros(2, 1, 3, 4, 5)
    expected[1, 0].select(axis, (2, 1, 3)[axis])[:] = 1.0
    assert torch.equal(Sliced(Spread(), across)(image), expected)


def test_the_second_network_sees_only_what_the_first_found():
    torch.manual_seed(0)
    network = PlainNet(U_NETS["unet-3d-cascade"]).eval()
    with torch.no_grad():
        network.nets[0].head.bias.fill_(-1e4)  # finds no tooth
        first, second = (network(torch.randn(1, 1, 8, 8, 8))["class"] for _ in range(2))
    assert torch.equal(first, second)
    network.train()(torch.randn(1, 1, 8, 8, 8))["class"].sum().backward()
    assert all(parameter.grad is None for parameter in network.nets[0].parameters())


def test_targets_scores_and_losses_of_the_plain_networks():
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[0], labels[1], labels[2, 0], labels[2, 1] = 36, 11, UNKNOWN, 91  # 91: an extra tooth
    made = plain_targets(labels)
    assert made["class"][:2, 0, 0].tolist() == [6, 1] and made["class"][2, :3, 0].tolist() == [IGNORE, IGNORE, 0]
    assert made["tooth"][0, :, :, 0].tolist() == [[1] * 4, [1] * 4, [0, 1, 0, 0], [0] * 4]
    assert not made["known"][0, 2, 0].any() and made["known"].sum() == 60
    target = {name: torch.from_numpy(value)[None] for name, value in made.items()}

    tooth = torch.where(target["tooth"] > 0, 9.0, -9.0)
    tooth[0, 0, 2, 0] = 9.0  # unlabelled voxels cannot be errors
    classes = 40 * torch.nn.functional.one_hot(target["class"].clamp(min=0), 9).movedim(-1, 1).float()
    right = {"tooth": tooth, "class": classes}
    wrong = {"tooth": -tooth, "class": classes.roll(1, dims=1)}
    for loss in ("cascade", "dice", "categorical-dice"):
        good, bad = plain_loss(right, target, loss), plain_loss(wrong, target, loss)
        assert set(good) == {"tooth", "class"}
        for name in good:
            assert good[name] < 0.01 < 0.4 < bad[name], (loss, name)
    assert {name: float(value) for name, value in plain_scores(right, target).items()} == {
        "dice": 1.0,
        "position_accuracy": 1.0,
    }
    assert plain_scores(wrong, target)["dice"] < 0.1 and plain_scores(wrong, target)["position_accuracy"] == 0


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    for number, name in enumerate(("train", "check")):
        write_case_folder(folder / name / "case", *labelled_scan(number), f"patient-{number}")
    return folder


def train(cases, place, network: str, *more: str) -> int:
    options = ["--patch", "32", "--epoch", "2", "--checks", "1", "--batch", "1", "--workers", "0", "--device", "cpu"]
    given = ["train", "fine", str(cases / "train"), str(cases / "check"), "--run", str(place), *options, *more]
    return run([*given, "--set", f"network={network}", "--set", "optimiser=rmsprop", "--set", "loss=categorical-dice"])


@pytest.mark.slow
def test_the_command_trains_them_goes_on_and_says_where_they_do_not_belong(cases, tmp_path, capsys):
    place, network = tmp_path / "run", "unet-3d-cascade"
    assert train(cases, place, network, "--steps", "2") == 0
    assert train(cases, place, network, "--steps", "4") == 0
    assert [step for step, _ in history(place)["val_dice"]] == [2, 4]
    best = load_checkpoint(place / "best.ckpt", network)
    assert [parameter_count(net) for net in best.nets] == PUBLISHED[network]
    with pytest.raises(InputError, match=f"holds the network {network}; a network of the cascade is needed"):
        load_checkpoint(place / "best.ckpt")
    with pytest.raises(InputError, match="unet-3d-22m is needed"):
        load_checkpoint(place / "best.ckpt", "unet-3d-22m")
    capsys.readouterr()
    export = ["model", "export", str(place / "best.ckpt"), str(place / "best.ckpt"), str(tmp_path / "own.safetensors")]
    card = tmp_path / "card.json"
    card.write_text("{}", encoding="utf-8")
    assert run([*export, "--card", str(card)]) == 3
    assert network in capsys.readouterr().err


@pytest.mark.slow
def test_training_starts_from_a_checkpoint_of_the_same_network(cases, tmp_path, capsys):
    assert train(cases, tmp_path / "a", "unet-3d-430k", "--steps", "2") == 0
    first = tmp_path / "a" / "best.ckpt"
    tiny = ("--steps", "2", "--learning-rate", "1e-7", "--start", str(first))
    assert train(cases, tmp_path / "b", "unet-3d-430k", *tiny) == 0
    one, other = (load_checkpoint(tmp_path / name / "best.ckpt", "unet-3d-430k").nets[0] for name in "ab")
    assert torch.allclose(one.head.weight, other.head.weight, atol=1e-4)
    capsys.readouterr()
    assert train(cases, tmp_path / "c", "unet-2d-axial", *tiny) == 3
    assert "holds the network unet-3d-430k; unet-2d-axial is needed" in capsys.readouterr().err
    weights = tmp_path / "w.safetensors"
    save_weights(weights, CascadeNet(FINE), CascadeNet(FINE), {})
    assert train(cases, tmp_path / "d", "unet-2d-axial", "--steps", "2", "--start", str(weights)) == 2
    assert "holds the networks of the cascade" in capsys.readouterr().err


@pytest.mark.slow
def test_whole_series_in_one_size_with_voxels_and_grey_levels_of_their_own(cases, tmp_path, capsys):
    how = ("--set", "fixed=8x16x24", "--set", "standardise=slice", "--set", "fixed_by=depth", "--set", "turns=9")
    assert train(cases, tmp_path / "a", "unet-2d-sagittal", "--steps", "2", *how) == 0
    capsys.readouterr()
    assert train(cases, tmp_path / "b", "unet-2d-sagittal", "--steps", "2", *how, "--set", "plane=coronal") == 2
    assert "leave plane axial" in capsys.readouterr().err


def test_what_only_the_cascade_has_is_refused(tmp_path, capsys):
    with pytest.raises(UsageError, match="freeze and layer_decay are for the networks of the cascade"):
        FitOptions("fine", network="unet-3d-22m", freeze=3)
    assert (
        run(["folds", "run", "fine", str(tmp_path), "--run", str(tmp_path / "r"), "--set", "network=unet-3d-22m"]) == 2
    )
    assert "Folds judge the networks of the cascade" in capsys.readouterr().err
