"""Targets, hints, losses, samples, and a training that is stopped and resumed."""

from __future__ import annotations

import csv
import json
from shutil import copytree

import numpy as np
import pytest
import torch
from filelock import FileLock

from labelled_cases import labelled_scan
from teethseg.cascade.networks.cascade_net import COARSE, FINE, LATER_HEADS, CascadeNet
from teethseg.cascade.weights import DEFAULT_NAME, load_weights, save_weights, weights_folder
from teethseg.errors import InputError, UsageError, WeightsError
from teethseg.io.case_folder import case_folders, write_case_folder
from teethseg.io.files import write_labels, write_scan
from teethseg.simulation.cases import simulate_cases
from teethseg.simulation.sources import shape_source
from teethseg.training.cases import CaseStore
from teethseg.training.data import SMALLEST_FIELD, CoarseSamples, FineSamples, _Cases, load_case
from teethseg.training.field_of_view import field_of_view_mask
from teethseg.training.fit import LOCK, fit, load_checkpoint
from teethseg.training.losses import coarse_loss, fine_loss, position_loss
from teethseg.training.sampling import Sampling
from teethseg.training.targets import IGNORE, UNKNOWN, coarse_targets, fine_targets
from teethseg.volume import Volume


@pytest.fixture(scope="module")
def two_teeth():
    """16 (upper, position 6) and 41 (lower, position 1) as boxes, and 47 that the border cuts."""
    labels = np.zeros((32, 32, 32), np.uint8)
    labels[18:30, 6:16, 6:16] = 16
    labels[4:14, 18:26, 10:20] = 41
    labels[0:6, 4:10, 24:32] = 47
    return labels


def test_coarse_targets(two_teeth):
    target = coarse_targets(two_teeth)
    assert target["jaw"][20, 10, 10] == 1
    assert target["jaw"][8, 20, 12] == 2
    assert target["jaw"][0, 31, 0] == 0
    assert target["position"][10, 5, 5] == 5
    assert target["position"][4, 10, 6] == 0
    assert target["position"][0, 15, 0] == IGNORE


def test_fine_targets(two_teeth):
    spacing = 0.4
    target = fine_targets(two_teeth, spacing)
    assert np.array_equal(target["tooth"][0] > 0, two_teeth > 0)
    core = target["core"][0] > 0
    assert core[20, 10, 10]
    assert not core[18, 10, 10]  # a surface voxel
    # The first voxel inside lies 0.4 mm from the nearest outside, the second 0.8 mm: that one is deeper than 0.7 mm.
    inside = np.argwhere(core & (two_teeth == 16))
    assert np.all(inside.min(axis=0) == [19, 7, 7])
    # The offset leads from a voxel to the centre of its tooth, (z, y, x) in mm.
    voxel = np.array([10, 4, 5])
    centre = np.argwhere(two_teeth[::2, ::2, ::2] == 16).mean(axis=0)
    assert np.allclose(target["offset"][:, 10, 4, 5], (centre - voxel) * 2 * spacing, atol=1e-3)
    assert target["offset_known"][0, 10, 4, 5]
    assert not target["offset_known"][0, 1, 3, 14]  # 47 is cut
    assert target["upper"][0, 10, 5, 5] == 1
    assert target["upper"][0, 4, 10, 6] == 0


def test_deciduous_unerupted_and_extra_teeth_are_distinguished_where_somebody_judged_them():
    labels = np.zeros((32, 32, 32), np.uint8)
    labels[18:30, 6:16, 6:16], labels[4:14, 18:26, 10:20], labels[18:28, 20:28, 4:14] = 55, 44, 91
    target = fine_targets(labels, 0.4, unerupted=(44, 91))
    milk, germ, extra = (12, 5, 5), (4, 10, 6), (11, 12, 4)
    assert [target["deciduous"][place] for place in (milk, germ, extra)] == [1, 0, IGNORE]
    assert [target["unerupted"][place] for place in (milk, germ, extra)] == [0, 1, 1]
    assert [target["position"][place] for place in (milk, germ, extra)] == [
        4,
        3,
        IGNORE,
    ]  # a second deciduous molar is 5
    assert [target["upper"][0][place] for place in (milk, germ, extra)] == [1, 0, 1]
    assert (fine_targets(labels, 0.4)["unerupted"] == IGNORE).all()  # nobody judged it
    assert target["deciduous"][0, 0, 0] == IGNORE


def test_training_goes_on_from_weights_that_lack_the_later_heads():
    old, new = CascadeNet(FINE.without(LATER_HEADS)), CascadeNet(FINE)
    new.take_over(old)
    image = torch.randn(1, 1, 32, 32, 32)
    with torch.no_grad():
        before, after = old.eval()(image), new.eval()(image)
    assert set(after) - set(before) == set(LATER_HEADS)
    assert all(torch.allclose(before[name], after[name], atol=1e-5) for name in before)
    with pytest.raises(ValueError, match="another"):
        new.take_over(CascadeNet(COARSE))


def test_position_loss_forgives_a_neighbour_more_than_a_stranger():
    target = torch.full((1, 2, 2, 2), 3)

    def loss(named):
        logits = torch.zeros(1, 8, 2, 2, 2)
        logits[:, named] = 6.0
        return float(position_loss(logits, target))

    assert loss(3) < loss(4) < loss(6)
    assert float(position_loss(torch.zeros(1, 8, 2, 2, 2), torch.full((1, 2, 2, 2), IGNORE))) == 0.0


def test_fine_loss_is_small_for_the_truth_and_larger_for_anything_else(two_teeth):
    target = {k: torch.from_numpy(v)[None] for k, v in fine_targets(two_teeth, 0.4, ()).items()}
    one_hot = torch.nn.functional.one_hot(target["position"].clamp(min=0), 8).movedim(-1, 1).float()
    truth = {
        "tooth": 20 * target["tooth"] - 10,
        "core": 20 * target["core"] - 10,
        "offset": target["offset"] / 10,
        "position": 8 * one_hot,
        "upper": 20 * target["upper"] - 10,
        **{name: 20 * target[name][:, None].clamp(min=0).float() - 10 for name in LATER_HEADS},
    }
    right = fine_loss(truth, target)
    for name, output in truth.items():
        wrong = fine_loss({**truth, name: -output + 0.3}, target)
        assert wrong[name] > right[name] + 0.01, name
        assert all(wrong[other] == right[other] for other in truth if other != name)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    list(simulate_cases(folder / "train", 2, 1, shape_source(), "part", 1.0))
    list(simulate_cases(folder / "check", 1, 100, shape_source(), "part", 1.0))
    return folder


def test_samples_have_teeth_and_never_come_twice(cases):
    samples = FineSamples(cases / "train", 4, 1, 32)
    batch = [samples[i] for i in range(4)]
    assert all(b["image"].shape == (1, 32, 32, 32) for b in batch)
    assert sum(b["target"]["tooth"].any() for b in batch) >= 2
    assert torch.equal(samples[0]["image"], batch[0]["image"])
    samples.epoch = 1
    assert not torch.equal(samples[0]["image"], batch[0]["image"])
    coarse = CoarseSamples(cases / "train", 2, 1, 64)[0]
    assert all(n % 16 == 0 for n in coarse["image"].shape[1:])
    assert coarse["target"]["jaw"].shape == coarse["image"].shape[1:]


def test_a_users_own_scan_is_a_training_case_in_any_orientation(tmp_path, cases):
    made = load_case(cases / "check" / "case-00100", 1.0)
    origin, flip = (10.0, -20.0, 30.0), np.diag([-1.0, -1.0, 1.0])
    folder = tmp_path / "own"
    folder.mkdir()
    image = made.tissues.astype(np.int16) * 300
    write_scan(folder / "image.nrrd", Volume(image[:, ::-1, ::-1].copy(), (1, 1, 1), origin, flip))
    write_labels(folder / "labels.nrrd", Volume(made.labels[:, ::-1, ::-1].copy(), (1, 1, 1), origin, flip))
    (folder / "case.json").write_text(json.dumps({"patient": "own"}))
    own = load_case(folder, 1.0)
    assert np.array_equal(own.labels, made.labels)
    assert np.allclose(own.image, image)
    sample = FineSamples(tmp_path, 1, 3, 32)[0]
    assert torch.isfinite(sample["image"]).all()


def test_folders_that_are_no_cases_are_named(tmp_path):
    with pytest.raises(InputError, match="No training case"):
        case_folders(tmp_path)


@pytest.mark.slow
def test_training_stops_goes_on_and_exports(tmp_path, cases):
    told = []
    options = {"batch": 1, "patch": 32, "epoch": 2, "checks": 2, "workers": 0, "accelerator": "cpu"}
    arguments = (cases / "train", cases / "check", tmp_path / "fine")
    fit("fine", *arguments, 2, **options)
    best = fit("fine", *arguments, 4, **options, tell=lambda done, total, metrics: told.append((done, metrics)))
    assert [done for done, _ in told] == [4]  # the first two steps were not repeated
    assert {"val_loss", "val_dice", "val_position_accuracy"} <= set(told[-1][1])
    logs = [list(csv.DictReader(log.open())) for log in sorted((tmp_path / "fine").glob("log/*/metrics.csv"))]
    assert sum(any(row.get("val_loss") for row in log) for log in logs) == 2  # the first sitting's log is still there
    coarse = fit("coarse", cases / "train", cases / "check", tmp_path / "coarse", 2, **{**options, "patch": 48})
    file = tmp_path / "own.safetensors"
    save_weights(file, load_checkpoint(coarse), load_checkpoint(best), {"training": "a test"})
    weights = load_weights(file)
    assert weights.card["training"] == "a test"
    assert weights.fine.architecture == FINE


def test_two_trainings_in_one_folder_would_mix_their_checkpoints(tmp_path, cases):
    (tmp_path / "fine").mkdir()
    with FileLock(tmp_path / "fine" / LOCK), pytest.raises(UsageError, match="Another training is running"):
        fit("fine", cases / "train", cases / "check", tmp_path / "fine", 2, patch=32)
    assert [file.name for file in (tmp_path / "fine").iterdir()] == [LOCK]


@pytest.mark.slow
def test_watched_cases_are_scored_beside_and_choose_nothing(tmp_path, cases):
    copytree(cases / "train", tmp_path / "other style")
    options = {"batch": 1, "patch": 32, "epoch": 2, "checks": 2, "workers": 0, "accelerator": "cpu"}
    arguments = (cases / "train", cases / "check")
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    fit("fine", *arguments, alone, 4, **options)
    fit("fine", *arguments, beside, 4, **options, watch=[tmp_path / "other style"])

    def validations(run):
        rows = csv.DictReader(next(run.glob("log/*/metrics.csv")).open())
        return [row for row in rows if row.get("val_loss")]

    watched = validations(beside)
    assert all(0 <= float(row["other style_dice"]) <= 1 for row in watched)
    assert all(row["other style_loss"] != row["val_loss"] for row in watched)
    losses = [float(row["val_loss"]) for row in watched]
    # Sums of several threads differ in their last digits.
    assert losses == pytest.approx([float(row["val_loss"]) for row in validations(alone)], rel=1e-3)
    callbacks = torch.load(beside / "best.ckpt", weights_only=True)["callbacks"]
    chosen = next(state for name, state in callbacks.items() if "val_loss" in name)
    assert float(chosen["best_model_score"]) == pytest.approx(min(losses), rel=1e-5)


def test_watched_folders_need_names_of_their_own(tmp_path, cases):
    for watch in ([tmp_path / "a" / "real", tmp_path / "b" / "real"], [tmp_path / "val"], [tmp_path / "train"]):
        with pytest.raises(UsageError, match="names of their own"):
            fit("fine", cases / "train", cases / "check", tmp_path / "run", 1, watch=watch)


def test_a_patient_in_both_sets_is_refused(tmp_path, cases):
    with pytest.raises(UsageError, match="in training and in validation"):
        fit("fine", cases / "train", cases / "train", tmp_path / "run", 1)


def test_weights_that_were_tampered_with_are_refused(tmp_path):
    file = tmp_path / "w.safetensors"

    save_weights(file, CascadeNet(COARSE), CascadeNet(FINE), {})
    load_weights(file)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged"):
        load_weights(file)
    file.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match="missing"):
        load_weights(file)
    with pytest.raises(WeightsError, match="missing"):
        load_weights(tmp_path / "nowhere.safetensors")


def test_what_nobody_judged_is_not_learned(two_teeth):
    """Output in voxels labelled 255 does not change the loss; output elsewhere does."""
    labels = two_teeth.copy()
    unknown = np.zeros(labels.shape, bool)
    unknown[:, :, : labels.shape[2] // 2] = True
    labels[unknown] = UNKNOWN
    fine = {k: torch.from_numpy(v)[None] for k, v in fine_targets(labels, 0.4, ()).items()}
    generator = torch.Generator().manual_seed(0)
    half = tuple(n // 2 for n in labels.shape)
    sizes = {"tooth": (1, *labels.shape), "core": (1, *labels.shape)}
    sizes |= {"offset": (3, *half), "position": (8, *half), "upper": (1, *half)}
    sizes |= dict.fromkeys(LATER_HEADS, (1, *half))
    output = {k: torch.randn((1, *size), generator=generator) for k, size in sizes.items()}
    changed = {k: v.clone() for k, v in output.items()}
    for value in changed.values():
        value[..., : value.shape[-1] // 2] += 3.0
    before, after = fine_loss(output, fine), fine_loss(changed, fine)
    assert {k: v.item() for k, v in after.items()} == pytest.approx({k: v.item() for k, v in before.items()})
    for value in changed.values():
        value[..., value.shape[-1] // 2 :] += 3.0
    assert all(fine_loss(changed, fine)[k] != before[k] for k in ("tooth", "core"))

    coarse = {k: torch.from_numpy(v)[None] for k, v in coarse_targets(labels).items()}
    output = {"jaw": torch.randn((1, 3, *labels.shape)), "position": torch.randn((1, 8, *half))}
    changed = {k: v.clone() for k, v in output.items()}
    for value in changed.values():
        value[:, 0, ..., : value.shape[-1] // 2] += 3.0
    assert coarse_loss(changed, coarse)["jaw"].item() == pytest.approx(coarse_loss(output, coarse)["jaw"].item())
    assert coarse_loss(changed, coarse)["position"].item() == pytest.approx(
        coarse_loss(output, coarse)["position"].item()
    )


def test_a_case_is_drawn_as_often_as_its_weight_says(cases):
    folders = case_folders(cases / "train")
    heavy = folders[0] / "case.json"
    about = json.loads(heavy.read_text())
    heavy.write_text(json.dumps(about | {"weight": 9}))
    try:
        store = _Cases(cases / "train", CaseStore(1.0))
        rng = np.random.default_rng(0)
        drawn = [store.draw(rng).patient for _ in range(300)]
    finally:
        heavy.write_text(json.dumps(about))
    share = 9 / (9 + len(folders) - 1)
    assert drawn.count(about["patient"]) / len(drawn) == pytest.approx(share, abs=0.08)


def test_training_starts_from_weights_that_ship(tmp_path, cases):
    """Users fine-tune the shipped weights; one step of a tiny learning rate leaves it nearly as it was."""
    weights = weights_folder() / f"{DEFAULT_NAME}.safetensors"
    options = {"patch": 48, "epoch": 1, "checks": 1, "workers": 0, "learning_rate": 1e-7, "accelerator": "cpu"}
    best = fit("coarse", cases / "train", cases / "check", tmp_path, 1, start=weights, **options)
    start, now = load_weights().coarse.state_dict(), load_checkpoint(best).state_dict()
    assert all(torch.allclose(start[k].float(), now[k].float(), atol=1e-3) for k in start)


def test_a_field_of_view_cuts_sides_and_leaves_most_of_the_sample():
    shares = []
    for seed in range(60):
        inside = field_of_view_mask((40, 48, 56), 0.12, np.random.default_rng(seed))
        assert inside[20, 24, 28]
        shares.append(inside.mean())
    assert min(shares) > 0.25 and max(shares) > 0.8 and np.std(shares) > 0.05


def test_stage_1_learns_from_parts_of_the_jaws_as_small_as_a_single_tooth_scan(tmp_path):
    write_case_folder(tmp_path / "case", *labelled_scan(), "patient")
    samples = CoarseSamples(tmp_path, 60, 3, 96, sampling=Sampling(augment=frozenset()))
    shapes = np.array([samples.drawn(i)[0].shape for i in range(40)])
    assert shapes.min() == SMALLEST_FIELD and np.all(shapes % 16 == 0)
    assert 0.15 < (shapes.max(axis=1) < 96).mean() < 0.9
