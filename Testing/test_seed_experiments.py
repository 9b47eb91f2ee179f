"""The program of the first experiments: exact geometry, the effect of each wish, and a small complete run."""

from __future__ import annotations

import importlib
import itertools
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from teethseg.io.files import write_labels, write_scan
from teethseg.volume import Volume

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture
def seed(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("seed_experiments")


@pytest.fixture
def made(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("seed_wishes")


def test_the_crop_and_its_padding_are_those_of_the_first_experiments(seed):
    image = np.full((150, 140, 190), 7.0)
    image[::2] = 9.0
    labels = np.zeros(image.shape, np.uint8)
    labels[70, 60, 100] = 21
    block = seed.block_around(image, labels, (70, 60, 100))
    assert block.image.shape == block.labels.shape == (120, 120, 168) and block.image.dtype == np.float32
    # 112 rows and 163 columns in the middle. Of the 5 columns of padding, 2 come before and 3 after.
    assert np.argwhere(block.labels).tolist() == [[60, 4 + 56, 2 + 81]]
    assert np.argwhere(block.image).min(axis=0).tolist() == [0, 4, 2]
    assert np.argwhere(block.image).max(axis=0).tolist() == [119, 4 + 111, 2 + 162]
    inside = block.image[:, 4:-4, 2:-3]
    assert inside.shape == (120, 112, 163) and abs(inside.mean()) < 1e-6 and abs(inside.std() - 1) < 1e-6


def test_where_the_scan_ends_padding_begins(seed):
    labels = np.zeros((40, 140, 190), np.uint8)
    labels[5] = 11
    block = seed.block_around(np.ones(labels.shape), labels, (5, 70, 95))
    assert block.labels.shape == (120, 120, 168)
    assert len(np.unique(np.argwhere(block.labels)[:, 0])) == 1


def test_turns_are_exact_and_about_the_left_right_axis(seed):
    rng = np.random.default_rng(0)
    image = rng.normal(size=(20, 20, 6)).astype(np.float32)
    block = seed.Block(image, (rng.random(image.shape) > 0.8).astype(np.uint8))
    assert np.allclose(block.turned(0).image, image) and np.array_equal(block.turned(0).labels, block.labels)
    assert np.allclose(block.turned(180).image, image[::-1, ::-1], atol=1e-5)
    assert np.allclose(block.turned(90).image, np.rot90(image, axes=(0, 1)), atol=1e-5)
    assert np.array_equal(block.turned(90).labels, np.rot90(block.labels, axes=(0, 1)))


def test_a_turn_of_twenty_degrees_is_one_of_twenty_degrees(seed):
    labels = np.zeros((121, 121, 5), np.uint8)
    labels[58:63, 98:103, 2] = 36  # 40 voxels behind the middle, at its height
    turned = seed.Block(labels.astype(np.float32), labels).turned(seed.TURN)
    for array in (turned.image, turned.labels > 0):
        z, y, x = np.average(np.argwhere(array), axis=0, weights=array[array > 0].astype(float)) - (60, 60, 2)
        assert x == 0 and np.hypot(z, y) == pytest.approx(40, abs=0.2)
        assert np.degrees(np.arctan2(-z, y)) == pytest.approx(20, abs=0.3)


def test_the_held_out_turn_lies_between_those_trained_on(seed):
    trained = [seed.TURN * number for number in range(seed.TURNS)]
    assert trained == [0, 20, 40, 60, 80, 100, 120, 140, 160]
    assert min(abs(seed.HELD_OUT - turn) for turn in trained) == 10


@pytest.mark.parametrize(("slices", "first"), [(24, [0, 24, 48, 72, 96, 120, 144]), (72, [0, 48, 96]), (168, [0])])
def test_parts_cover_the_scan_with_little_overlap(seed, slices, first):
    assert seed.starts(168, slices) == first
    image = np.arange(4 * 3 * 168, dtype=np.float32).reshape(4, 3, 168)
    parts = seed.Block(image, image.astype(np.uint8)).parts(slices, "x")
    assert [part.image[0, 0, 0] for part in parts] == first
    assert all(part.image.shape == (4, 3, slices) for part in parts)
    covered = np.unique(np.concatenate([part.image.ravel() for part in parts]))
    assert len(covered) == image.size


def test_every_part_of_every_turn_is_a_sample(seed):
    block = seed.Block(np.zeros((12, 12, 48), np.float32), np.full((12, 12, 48), 36, np.uint8))
    experiment = seed.Experiment("", "unet-3d-430k", 24, "x", 1)
    samples = seed.Parts(block, experiment)
    assert len(samples) == 9 * 2
    sample = samples[3]
    assert sample["image"].shape == (1, 12, 12, 24) and sample["target"]["class"].max() == 6


def two_touching_teeth() -> tuple[np.ndarray, np.ndarray]:
    """Two balls that touch, as labels; and a probability of tooth that sees both, a speck, and a fleck within one."""
    z, y, x = np.ogrid[:40, :40, :60]
    labels = np.zeros((40, 40, 60), np.uint8)
    labels[(z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 < 100] = 36
    labels[((z - 20) ** 2 + (y - 20) ** 2 + (x - 38) ** 2 < 100) & (labels == 0)] = 37
    chance = np.where(labels > 0, 0.9, 0.02)
    chance[2:4, 2:4, 2:4] = 0.9
    chance[18:21, 27:30, 18:21] = 0.3
    return labels, chance


def test_each_wish_does_what_it_is_named_for(made):
    labels, chance = two_touching_teeth()
    image = np.where(labels > 0, 1.0, -1.0) + np.random.default_rng(0).normal(0, 0.05, labels.shape)
    found = made.wishes(image, chance, 0.15)
    count = {name: len(np.unique(one)) - 1 for name, one in found.items()}
    apart = {name: made.teeth_apart(one, labels) for name, one in found.items()}
    assert (count["voxels"], count["largest components"]) == (2, 1)
    assert count["thin teeth, grown back"] == 2 and apart["thin teeth, grown back"] == 2
    # Both balls are one object of twice their size, which is half of each: it can be matched with one.
    assert max(apart["voxels"], apart["largest components"]) <= 1
    for name in ("regions", "a graph of regions"):
        assert count[name] == 1 and found[name][19, 28, 19], name  # no speck, and no hole where voxels were unsure
    assert not found["voxels"][19, 28, 19]
    assert made.dice(found["a graph of regions"], labels) > made.dice(found["voxels"], labels)


def test_the_cut_is_the_cheapest_of_all(made, monkeypatch):
    """Of 7 regions all 128 answers are tried."""
    monkeypatch.setattr(made, "PULL", 0.1)  # with the usual pull, all regions would get the same answer
    mixed = 0
    rng = np.random.default_rng(4)
    for _ in range(20):
        cells = rng.integers(0, 8, (4, 4, 4))
        cells.ravel()[:7] = np.arange(1, 8)
        chance, image = rng.uniform(0.2, 0.8, cells.shape), rng.normal(size=cells.shape)
        cut = made.graph_cut(image, chance, cells)
        assert not cut[cells == 0].any()
        odds = np.log(chance / (1 - chance))
        first, second, area = made.contacts(cells)
        grey = made.mean_of(image, cells)
        unlike = (grey[first] - grey[second]) ** 2
        link = made.PULL * area * np.exp(-unlike / (2 * unlike.mean()))

        def cost(sides: np.ndarray, cells=cells, odds=odds, first=first, second=second, link=link) -> float:
            return link[sides[first] != sides[second]].sum() - odds[sides[cells]].sum()

        answers = [np.array([False, *sides]) for sides in itertools.product([False, True], repeat=7)]
        taken = np.array([cut[cells == number].all() if number else False for number in range(8)])
        mixed += 0 < taken.sum() < 7
        assert cost(taken) == pytest.approx(min(map(cost, answers)), abs=0.15)  # flow is counted in hundredths
    assert mixed > 5


def test_nothing_found_is_no_reason_to_fail(made):
    empty = np.zeros((8, 8, 8))
    for found in made.wishes(empty, empty, 0.5).values():
        assert not found.any()
    assert made.teeth_apart(empty.astype(np.int32), np.full((8, 8, 8), 36, np.uint8)) == 0


@pytest.fixture
def scan(tmp_path):
    """Files of a small scan with bright teeth, and its labels, on a grid of 0.5 mm."""
    labels = np.zeros((34, 36, 50), np.uint8)
    labels[6:28, 8:16, 8:16], labels[6:28, 8:16, 34:42] = 36, 46
    image = np.random.default_rng(0).normal(0, 40, labels.shape) + 1000 * (labels > 0)
    files = tmp_path / "image.nrrd", tmp_path / "labels.nrrd"
    write_scan(files[0], Volume(image.astype(np.int16), (0.5, 0.5, 0.5)))
    write_labels(files[1], Volume(labels, (0.5, 0.5, 0.5)))
    return files


@pytest.mark.slow
def test_a_small_run_makes_tables_and_pictures_and_does_nothing_twice(seed, scan, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(seed, "CROP", (32, 28, 43))
    monkeypatch.setattr(seed, "PADDED", (32, 32, 48))
    steps = {"3d-small-24": 16, "3d-cascade": 2}
    small = {
        name: seed.Experiment("a title", seed.EXPERIMENTS[name].network, 16, "x", count, seed.EXPERIMENTS[name].loss)
        for name, count in steps.items()
    }
    monkeypatch.setattr(seed, "EXPERIMENTS", small)
    monkeypatch.setattr(seed, "unlabelled_block", lambda path: seed.labelled_block(path, scan[1]))
    out = tmp_path / "out"
    command = ["seed", *map(str, scan), "--out", str(out), "--other", str(scan[0])]
    monkeypatch.setattr(sys, "argv", command)
    seed.run(seed.arguments())
    told = capsys.readouterr().out
    assert told.startswith("Fitting one scan; no figure says how good a network is on other scans.")
    assert "| a title | 430,075 | 16 |" in told and "| a title | 430,075 + 108,036 | 2 |" in told
    for wish in ("voxels", "largest components", "regions", "a graph of regions", "thin teeth, grown back"):
        assert f"| a title | {wish} | " in told
    kept = json.loads((out / "3d-small-24.json").read_text(encoding="utf-8"))
    assert kept["teeth"] == 2 and kept["dice_trained"] > 0.5  # bright boxes are easy
    assert {file.name for file in out.glob("*.png")} == {"turns.png", "by-eye.png", "wishes.png"}
    monkeypatch.setattr(seed, "fitted", None)  # a second start trains nothing
    seed.run(seed.arguments())
    assert capsys.readouterr().out == told


def test_a_scan_that_is_not_there_is_named(seed, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["seed", str(tmp_path / "none.nrrd"), "l.nrrd", "--out", str(tmp_path / "o")])
    with pytest.raises(seed.InputError, match=r"none\.nrrd does not exist: name a scan with teeth, and its labels"):
        seed.run(seed.arguments())
    assert not (tmp_path / "o").exists()
    with pytest.raises(seed.InputError, match="hold no tooth"):
        seed.middle(np.zeros((3, 3, 3), np.uint8))
