"""Simulated heads, scans and cases."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from teethseg.anatomy import TEETH
from teethseg.boxes import label_boxes, meets_edge
from teethseg.io.files import read_labels, read_scan
from teethseg.simulation.arch import ArchCurve, PlacedTooth, random_dentition
from teethseg.simulation.cases import shares_inside, simulate_case, simulate_cases
from teethseg.simulation.grid import Grid
from teethseg.simulation.head import Head
from teethseg.simulation.scanner import Scanner, blur
from teethseg.simulation.sources import shape_source
from teethseg.simulation.tissues import Tissue

GRID = Grid((-45.0, -14.0, -32.0), 1.0, (64, 80, 90))


@pytest.fixture(scope="module")
def shapes():
    """One shape for each tooth, made once."""
    source, made = shape_source(), {}

    def draw(jaw, position, rng):
        if (jaw, position) not in made:
            made[jaw, position] = source(jaw, position, np.random.default_rng(position))
        return made[jaw, position]

    return draw


@pytest.fixture(scope="module")
def heads(shapes):
    return [Head(np.random.default_rng(seed), shapes) for seed in range(6)]


@pytest.fixture(scope="module")
def drawn(heads):
    return [head.draw(GRID) for head in heads]


def test_teeth_lie_on_their_side_and_in_their_jaw(heads, drawn):
    z, _, x = (axis + np.zeros(GRID.shape, np.float32) for axis in GRID.axes())
    for head, (_, labels) in zip(heads, drawn, strict=True):
        present = [fdi for fdi in np.unique(labels) if fdi]
        assert len(present) >= 8
        occlusal = (head.dentition.crest["upper"] + head.dentition.crest["lower"]) / 2
        for fdi in present:
            mask = labels == fdi
            if np.count_nonzero(mask) < 40:
                continue
            tooth = TEETH[int(fdi)]
            # LPS: the patient's left is positive x.
            assert (x[mask].mean() > 0) == (tooth.side == "left"), fdi
            assert (z[mask].mean() > occlusal) == (tooth.jaw == "upper"), fdi


def test_positions_follow_each_other_along_the_arch(heads, drawn):
    _, y, _ = (axis + np.zeros(GRID.shape, np.float32) for axis in GRID.axes())
    for _, labels in drawn:
        for quadrant in (1, 2, 3, 4):
            depth = [y[labels == 10 * quadrant + p].mean() for p in (1, 4, 6) if (labels == 10 * quadrant + p).any()]
            assert depth == sorted(depth)


def test_what_is_labelled_is_made_of_tooth_or_of_a_dentists_work(drawn):
    allowed = {
        Tissue.DENTINE, Tissue.ENAMEL, Tissue.PULP, Tissue.METAL, Tissue.ROOT_FILLING, Tissue.RESTORATION
    }  # fmt: skip
    for tissue, labels in drawn:
        inside = set(np.unique(tissue[labels > 0]))
        assert inside <= allowed
        assert Tissue.DENTINE in inside
        outside = tissue[labels == 0]
        assert not np.isin(outside, [Tissue.DENTINE, Tissue.ENAMEL, Tissue.PULP]).any()


def _head_with(work: str, shapes) -> tuple[Head, PlacedTooth]:
    heads = (Head(np.random.default_rng(seed), shapes) for seed in range(200))
    return next((head, tooth) for head in heads for tooth in head.dentition.teeth if work in tooth.work)


def test_nothing_of_a_root_remnant_stands_above_the_gums(shapes):
    head, tooth = _head_with("root remnant", shapes)
    middle = tooth.matrix[:3, 3]
    grid = Grid(tuple(middle - 16), 0.5, (64, 64, 64))
    _, labels = head.draw(grid)
    z, y, x = (axis + np.zeros(grid.shape, np.float32) for axis in grid.axes())
    a, b, c, d = np.linalg.inv(tooth.matrix)[2]
    depth = (a * x + b * y + c * z + d)[labels == tooth.fdi]
    assert len(depth) > 200
    assert depth.min() > 0.75 * tooth.shape.crown_height


def test_inflamed_roots_lose_bone_and_nothing_else(shapes):
    for seed in range(40):
        head = Head(np.random.default_rng(seed), shapes)
        tissue, labels = head.draw(GRID)
        head.add_inflammation = lambda *_: None
        sound, same = head.draw(GRID)
        gone = tissue != sound
        if not gone.any():
            continue
        assert np.array_equal(labels, same)
        assert (tissue[gone] == Tissue.SOFT).all()
        assert not labels[gone].any()
        apices = np.array([head.apex(tooth) for tooth in head.dentition.teeth])
        lost = np.argwhere(gone)[:, ::-1] * GRID.spacing + GRID.origin
        assert np.linalg.norm(lost[:, None] - apices, axis=-1).min(axis=1).max() < 8  # mm
        return
    pytest.fail("no root was inflamed")


def test_fillings_are_anything_from_pits_to_most_of_a_crown(shapes):
    grid = Grid((-38.0, -12.0, -16.0), 0.5, (64, 110, 152))
    head = Head(np.random.default_rng(3), shapes)
    teeth = [replace(t, work=frozenset({"filling"})) for t in head.dentition.teeth if "implant" not in t.work]
    head.dentition = replace(head.dentition, teeth=tuple(teeth))
    tissue, labels = head.draw(grid)
    stuff = np.isin(tissue, [Tissue.METAL, Tissue.RESTORATION])
    shares = [np.mean(stuff[labels == t.fdi]) for t in teeth if np.any(labels == t.fdi)]
    assert len(shares) >= 20
    assert np.quantile(shares, 0.2) < 0.05
    assert 0.2 < max(shares) < 0.7


def test_braces_are_in_both_jaws_or_in_one(shapes):
    seen = set()
    for seed in range(80):
        teeth = random_dentition(np.random.default_rng(seed), shapes).teeth
        seen.add(frozenset("upper" if t.fdi < 30 else "lower" for t in teeth if "bracket" in t.work))
    assert seen == {frozenset(), frozenset({"upper"}), frozenset({"lower"}), frozenset({"upper", "lower"})}


@pytest.fixture(scope="module")
def braced(shapes):
    """A head whose teeth all carry brackets or bands, and a retainer, and nothing else of metal."""
    heads = (Head(np.random.default_rng(seed), shapes) for seed in range(99))
    head = next(head for head in heads if sum("bracket" in tooth.work for tooth in head.dentition.teeth) > 16)
    teeth = [replace(t, work=t.work & {"bracket", "band"}) for t in head.dentition.teeth if "implant" not in t.work]
    head.dentition = replace(head.dentition, teeth=tuple(teeth), retainer=True)
    head.add_foreign_bodies = lambda *_: None
    return head


def test_braces_are_on_the_lips_side_of_teeth_and_no_part_of_them(braced):
    grid = Grid((-38.0, -12.0, -16.0), 0.5, (64, 110, 152))
    tissue, labels = braced.draw(grid)
    metal = np.isin(tissue, [Tissue.METAL, Tissue.RESTORATION])
    assert not metal[labels > 0].any()
    z, y, x = (axis + np.zeros(grid.shape, np.float32) for axis in grid.axes())
    checked = 0
    for tooth in braced.dentition.teeth:
        if "bracket" not in tooth.work or tooth.fdi % 10 > 5:
            continue
        own = np.linalg.inv(tooth.matrix)
        lingual = own[1, 0] * x + own[1, 1] * y + own[1, 2] * z + own[1, 3]
        distal = own[0, 0] * x + own[0, 1] * y + own[0, 2] * z + own[0, 3]
        near = metal & (np.abs(distal) < 2) & (np.abs(lingual) < tooth.shape.depth) & ((z > 0) == (tooth.fdi < 30))
        assert np.count_nonzero(near & (lingual < 0)) * grid.spacing**3 > 3, tooth.fdi
        checked += 1
    assert checked >= 8


def test_a_wire_joins_the_brackets_and_a_retainer_lies_behind_the_lower_front_teeth(braced):
    grid = Grid((-38.0, -12.0, -16.0), 0.5, (64, 110, 152))
    tissue = braced.draw(grid)[0]
    parts, _ = ndimage.label(np.isin(tissue, [Tissue.METAL, Tissue.RESTORATION]), np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    brackets = len([t for t in braced.dentition.teeth if t.work])
    assert brackets > 16
    assert np.sort(sizes)[-4:].sum() > 0.75 * sizes.sum()  # it may end at a tooth that stands in its way
    lower = [t for t in braced.dentition.teeth if 31 <= t.fdi <= 43 and t.fdi % 10 <= 2]
    z, y, x = (axis + np.zeros(grid.shape, np.float32) for axis in grid.axes())
    middle = np.mean([(t.matrix @ [0, 0, 4, 1])[:3] for t in lower], axis=0)
    behind = (
        (tissue == Tissue.METAL) & (y > middle[1] + 1) & (y < middle[1] + 8) & (np.abs(x - middle[0]) < 6) & (z < 0)
    )
    assert behind.any()


def test_braces_are_the_same_on_a_grid_that_shows_fewer_teeth(braced):
    whole, part = Grid((-38.0, -12.0, -16.0), 0.5, (64, 110, 152)), Grid((0.0, -12.0, -16.0), 0.5, (64, 60, 76))
    everything, some = braced.draw(whole)[0], braced.draw(part)[0]
    same = everything[:, :60, 76:] == Tissue.METAL
    assert np.count_nonzero(same & (some == Tissue.METAL)) > 0.9 * np.count_nonzero(some == Tissue.METAL) > 0


def test_the_same_head_on_a_finer_grid_is_the_same_head(heads):
    coarse_grid, fine_grid = Grid((-20.0, -10.0, 0.0), 1.0, (20, 20, 40)), Grid((-20.0, -10.0, 0.0), 0.5, (40, 40, 80))
    for head in heads[:3]:
        coarse, fine = head.draw(coarse_grid)[1], head.draw(fine_grid)[1][::2, ::2, ::2]
        both = np.count_nonzero((coarse > 0) & (coarse == fine))
        assert 2 * both / (np.count_nonzero(coarse) + np.count_nonzero(fine)) > 0.98


def test_dentitions_differ_in_missing_teeth(shapes):
    counts = {
        len([t for t in Head(np.random.default_rng(s), shapes).dentition.teeth if "implant" not in t.work])
        for s in range(20)
    }
    assert len(counts) >= 5
    assert max(counts) <= 32


def test_arch_curve_moves_outwards_and_back():
    curve = ArchCurve(25.0, 45.0, 3.5)
    places = np.array([curve.at(length)[0] for length in (2, 10, 20, 35, 50)])
    assert np.all(np.diff(places[:, 1]) > 0)
    assert np.linalg.norm(curve.at(11)[0] - curve.at(10)[0]) == pytest.approx(1.0, abs=0.05)


def test_scanner_repeats_itself_and_shows_teeth_brightest(drawn):
    tissue = torch.from_numpy(drawn[0][0])
    first, second, other = Scanner(3)(tissue, 1.0), Scanner(3)(tissue, 1.0), Scanner(4)(tissue, 1.0)
    assert torch.equal(first.image, second.image)
    assert not torch.equal(first.image, other.image)
    for seed in range(8):
        scan = Scanner(seed, artefact_level=0.2)(tissue, 1.0)
        dentine, soft = scan.image[tissue == Tissue.DENTINE].median(), scan.image[tissue == Tissue.SOFT].median()
        assert dentine > soft
        assert scan.tooth > scan.soft
        reach = scan.tooth - scan.soft
        assert abs(float(soft) - scan.soft) < 0.35 * reach


def test_metal_throws_streaks_beyond_itself():
    tissue = torch.full((40, 64, 64), int(Tissue.SOFT), dtype=torch.uint8)
    tissue[8:12, 28:36, 12:18] = tissue[8:12, 28:36, 46:52] = Tissue.METAL
    for seed in range(4):
        image = Scanner(seed)(tissue, 1.0).image
        between, apart = image[9:11, 29:35, 22:42], image[30:36, 29:35, 22:42]
        assert between.std() > 1.5 * apart.std()


def test_blur_keeps_the_mean_and_widens():
    image = torch.zeros(15, 15, 15)
    image[7, 7, 7] = 1.0
    blurred = blur(image, 1.2)
    assert blurred.sum() == pytest.approx(1.0, abs=1e-3)
    offsets = torch.arange(15) - 7.0
    variance = (blurred.sum(dim=(1, 2)) * offsets**2).sum()
    assert variance == pytest.approx(1.2**2, rel=0.1)


def test_views(shapes):
    head = simulate_case(3, shapes, "head", 3.0)
    jaws = simulate_case(3, shapes, "jaws", 1.5)
    size = [np.array(c.scan.array.shape) * c.scan.spacing[0] for c in (head, jaws)]
    assert np.all(size[0] > size[1])
    assert jaws.scan.array.dtype == np.int16
    assert np.count_nonzero(jaws.labels.array) * 1.5**3 > 3000  # mm³


def test_the_share_of_each_tooth_inside_a_partial_view_is_that_of_its_voxels_in_the_whole_jaws(heads, drawn):
    first, size = (11, 3, 20), (34, 52, 47)  # cuts teeth of both jaws at several borders
    origin = tuple(start + skipped for start, skipped in zip(GRID.origin, reversed(first), strict=True))
    part, cut = Grid(origin, GRID.spacing, size), 0
    for head, (_, everything) in zip(heads[:3], drawn, strict=False):
        complete = {fdi for fdi, box in label_boxes(everything).items() if not meets_edge(box, everything.shape)}
        labels = head.draw(part)[1]
        shares = shares_inside(head, part, labels)
        assert set(shares) == set(np.unique(labels)[1:].tolist())
        for fdi in complete & set(shares):
            expected = np.count_nonzero(labels == fdi) / np.count_nonzero(everything == fdi)
            assert shares[fdi] == pytest.approx(expected, abs=0.002)
            cut += expected < 1
        assert {share for fdi, share in shares_inside(head, GRID, everything).items() if fdi in complete} == {1.0}
    assert cut > 10


def test_cases_on_disk_are_training_cases_and_do_not_change(tmp_path, shapes):
    folders = list(simulate_cases(tmp_path / "a", 2, 7, shapes, "jaws", 2.0))
    again = list(simulate_cases(tmp_path / "b", 1, 8, shapes, "jaws", 2.0))
    scan, labels = read_scan(folders[1] / "image.nrrd"), read_labels(folders[1] / "labels.seg.nrrd")
    assert scan.array.shape == labels.array.shape
    assert np.array_equal(scan.affine, labels.affine)
    assert set(np.unique(labels.array)) - {0} <= set(TEETH)
    assert np.array_equal(scan.array, read_scan(again[0] / "image.nrrd").array)
    facts = [json.loads((folder / "case.json").read_text(encoding="utf-8")) for folder in folders]
    assert len({about["patient"] for about in facts}) == 2
    assert {int(fdi) for fdi in facts[1]["share_inside"]} == set(np.unique(labels.array)[1:].tolist())
