"""Simulated children, and adults with other than the usual permanent teeth."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from teethseg.anatomy import DECIDUOUS, PERMANENT, SUPERNUMERARY, TEETH
from teethseg.eruption import CHRONOLOGY, deciduous_root, development
from teethseg.io.case_folder import labels_file
from teethseg.io.files import read_teeth
from teethseg.simulation.arch import PlacedTooth, pose_matrix
from teethseg.simulation.cases import SimulatedCase, write_case
from teethseg.simulation.children import mixed_dentition
from teethseg.simulation.grid import Grid
from teethseg.simulation.head import Head
from teethseg.simulation.parametric import parametric_tooth
from teethseg.simulation.scanner import Scanner
from teethseg.simulation.shapes import resized
from teethseg.simulation.sources import shape_source
from teethseg.simulation.tissues import ALVEOLAR_SHARE, Tissue
from teethseg.tooth_sizes import TEXTBOOK_DECIDUOUS
from teethseg.volume import Volume

GRID = Grid((-45.0, -14.0, -34.0), 1.0, (68, 80, 90))


@pytest.fixture(scope="module")
def shapes():
    """One shape for each tooth, made once."""
    source, made = shape_source(), {}

    def draw(jaw, position, rng, deciduous=False):
        if (jaw, position, deciduous) not in made:
            made[jaw, position, deciduous] = source(jaw, position, np.random.default_rng(position), deciduous)
        return made[jaw, position, deciduous]

    return draw


def _child(shapes, seed: int, age: float) -> Head:
    head = Head(np.random.default_rng(seed), shapes, "child")
    head.dentition = mixed_dentition(np.random.default_rng(seed), shapes, age)
    head.add_foreign_bodies = lambda *_: None
    return head


@pytest.fixture(scope="module")
def schoolchildren(shapes):
    return [(head := _child(shapes, seed, 8.0), *head.draw(GRID)) for seed in range(3)]


@pytest.mark.parametrize(("jaw", "position"), sorted(TEXTBOOK_DECIDUOUS))
def test_deciduous_teeth_have_the_textbooks_size_and_molars_spread_their_roots(jaw, position):
    mean = TEXTBOOK_DECIDUOUS[jaw, position]
    teeth = [parametric_tooth(jaw, position, np.random.default_rng(seed), deciduous=True) for seed in range(6)]
    for name, wanted in (("width", mean.width), ("depth", mean.depth), ("length", mean.length)):
        assert np.mean([getattr(tooth, name) for tooth in teeth]) == pytest.approx(wanted, rel=0.13), name
    assert {tooth.position for tooth in teeth} == {position}
    if position > 3:
        tooth = teeth[0]
        level = round((mean.crown + 0.6 * mean.root - tooth.origin[2]) / tooth.spacing)
        low, high = np.nonzero((tooth.sdf[level] < 0).any(axis=0))[0][[0, -1]] * tooth.spacing + tooth.origin[0]
        assert high - low > 0.8 * mean.cervix  # about the width of the neck: a germ lies between


def test_a_tooth_takes_the_size_of_another(shapes):
    wanted = TEXTBOOK_DECIDUOUS["lower", 5]
    made = resized(shapes("lower", 6, None), 5, wanted)
    assert (made.width, made.depth) == pytest.approx((wanted.width, wanted.depth), abs=0.35)
    assert made.length == pytest.approx(wanted.length, abs=0.4)
    assert made.position == 5


def test_teeth_come_in_the_order_of_the_chronology_and_push_out_their_predecessors():
    for (jaw, position), ages in CHRONOLOGY.items():
        stages = [development(jaw, position, age) for age in np.arange(0, 26, 0.5)]
        assert all(a.root <= b.root and a.depth >= b.depth for a, b in pairwise(stages))
        assert not development(jaw, position, ages.emergence - 0.5).erupted
        assert development(jaw, position, ages.emergence + 0.1).erupted
        assert deciduous_root(jaw, position, ages.emergence) == 0 < deciduous_root(jaw, position, ages.emergence - 1)
    six_year_old = [key for key in CHRONOLOGY if development(*key, 7.0).erupted]
    assert set(six_year_old) == {("lower", 1), ("lower", 6), ("upper", 6)}


def test_age_decides_which_teeth_there_are(shapes):
    def numbers(age):
        return [
            {tooth.fdi for tooth in mixed_dentition(np.random.default_rng(seed), shapes, age).teeth if not unerupted}
            for seed in range(6)
            for unerupted in [False]
        ]

    deciduous = [np.mean([len(found & set(DECIDUOUS)) for found in numbers(age)]) for age in (5.5, 9.0, 13.5)]
    assert deciduous[0] > 17 > deciduous[1] > 5 > deciduous[2]


def test_teeth_of_children_lie_on_their_side_and_in_their_jaw_germs_too(schoolchildren):
    z, _, x = (axis + np.zeros(GRID.shape, np.float32) for axis in GRID.axes())
    for head, _, labels in schoolchildren:
        germs = {tooth.fdi for tooth in head.dentition.teeth if tooth.unerupted}
        assert len(germs & set(PERMANENT)) > 6
        assert len({tooth.fdi for tooth in head.dentition.teeth} & set(DECIDUOUS)) > 6
        for fdi in set(np.unique(labels)) - {0} - set(SUPERNUMERARY):
            mask = labels == fdi
            if np.count_nonzero(mask) < 30:
                continue
            tooth = TEETH[int(fdi)]
            assert (x[mask].mean() > 0) == (tooth.side == "left"), fdi  # LPS: the patient's left is positive x
            assert (z[mask].mean() > 0) == (tooth.jaw == "upper"), fdi


def _depth_in(placed: PlacedTooth, grid: Grid) -> np.ndarray:
    z, y, x = grid.axes()
    a, b, c, d = np.linalg.inv(placed.matrix)[2]
    return a * x + b * y + c * z + d


def test_a_germ_is_a_crown_in_a_soft_follicle_within_bone(shapes):
    for seed in range(4):
        head = _child(shapes, seed, 8.0)
        germ = next((t for t in head.dentition.teeth if t.unerupted and t.fdi % 10 == 7 and t.follicle > 0.5), None)
        if germ is None:
            continue
        grid = Grid(tuple(germ.matrix[:3, 3] - 14), 0.5, (56, 56, 56))
        tissue, labels = head.draw(grid)
        own = labels == germ.fdi
        depth = _depth_in(germ, grid) + np.zeros(grid.shape)
        assert own.sum() > 300
        assert depth[own].max() <= germ.until + 0.5 < germ.shape.length
        from scipy.ndimage import distance_transform_edt

        around = distance_transform_edt(~own) * grid.spacing
        sac = (around > 0) & (around < 0.5 * germ.follicle) & (depth < germ.shape.crown_height) & (labels == 0)
        assert np.mean(tissue[sac] == Tissue.SOFT) > 0.8
        shell = (around > germ.follicle + 0.6) & (around < germ.follicle + 1.5) & (labels == 0)
        assert np.mean(np.isin(tissue[shell], (Tissue.CANCELLOUS, Tissue.CORTICAL))) > 0.3
        return
    pytest.fail("no child had a germ of a second molar")


def test_what_a_follicle_touches_of_a_deciduous_root_is_gone(shapes):
    head = _child(shapes, 1, 8.0)
    root = shapes("lower", 5, None, deciduous=True)
    crown = shapes("lower", 5, None)
    milk = PlacedTooth(75, root, pose_matrix(75, root, (20, 20, 0), (0.3, 0.95), (0, 0, 0)))
    depth = root.crown_height + 4
    germ = PlacedTooth(
        35,
        crown,
        pose_matrix(35, crown, (20, 20, -depth), (0.3, 0.95), (0, 0, 0)),
        until=8.0,
        follicle=1.0,
        unerupted=True,
    )
    grid = Grid((8.0, 8.0, -26.0), 0.5, (60, 48, 48))
    volumes = []
    for teeth in ((milk,), (germ, milk)):
        head.dentition = replace(head.dentition, teeth=teeth, missing=())
        volumes.append(np.count_nonzero(head.draw(grid)[1] == 75))
    assert 0.3 * volumes[0] < volumes[1] < 0.9 * volumes[0]


def test_extra_teeth_are_labelled_and_read_where_they_are_asked_for(tmp_path):
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[2:5, 2:5, 2:5], labels[5:7, 5:7, 5:7] = 11, SUPERNUMERARY[0]
    volume = Volume(labels, (1.0, 1.0, 1.0))
    write_case(tmp_path / "case", SimulatedCase(volume.with_array(labels.astype(np.int16)), volume, volume), "p")
    file = labels_file(tmp_path / "case")
    assert np.array_equal(read_teeth(file, keep=["supernumerary"]).array, labels)
    teeth = read_teeth(file)  # an extra tooth does not get the number of another tooth
    assert set(np.unique(teeth.array)) == {0, 11}
    assert any("extra teeth have no number" in warning for warning in teeth.warnings)


def test_lower_fronts_stand_in_thin_dense_bone_nearly_as_bright_as_roots(shapes):
    head = Head(np.random.default_rng(3), shapes, "front")
    tissue, _ = head.draw(GRID)
    front = [t for t in head.dentition.teeth if t.fdi in (31, 32, 41, 42)]
    assert len(front) == 4
    x = GRID.axes()[2]
    ridge = (tissue == Tissue.ALVEOLAR) & (np.abs(x) < 12)
    marrow = (tissue == Tissue.CANCELLOUS) & (np.abs(x) < 12)
    near = np.abs(GRID.axes()[0] - (head.dentition.crest["lower"] - 5)) < 3
    assert np.count_nonzero(ridge & near) > 5 * np.count_nonzero(marrow & near)
    for seed in range(4):
        means = Scanner(seed, extra_artefacts=True).means()
        share = (means[Tissue.ALVEOLAR] - means[Tissue.SOFT]) / (means[Tissue.DENTINE] - means[Tissue.SOFT])
        assert ALVEOLAR_SHARE[0] - 0.01 < share < ALVEOLAR_SHARE[1] + 0.01


def test_lower_fronts_are_crowded_and_their_roots_stand_close_together(shapes):
    gaps = {"adult": [], "front": []}
    for mouth, found in gaps.items():
        for seed in range(12):
            teeth = {t.fdi: t for t in Head(np.random.default_rng(seed), shapes, mouth).dentition.teeth}
            for one, other in ((41, 31), (31, 32), (41, 42)):
                if one in teeth and other in teeth:
                    roots = [teeth[fdi].matrix @ [0, 0, 12.0, 1] for fdi in (one, other)]
                    half = sum(np.linalg.norm(teeth[fdi].matrix[:3, 0]) for fdi in (one, other)) / 2
                    found.append(np.linalg.norm((roots[0] - roots[1])[:2]) / half)
    assert np.median(gaps["front"]) < 0.85 * np.median(gaps["adult"])  # axis distance relative to the widths


def test_bridges_have_pontics_that_are_no_teeth(shapes):
    heads = (Head(np.random.default_rng(seed), shapes, "crowns") for seed in range(40))
    head, placed = next((h, t) for h in heads for t in h.dentition.teeth if "pontic" in t.work)
    grid = Grid(tuple(placed.matrix[:3, 3] - 12), 0.8, (30, 30, 30))
    tissue, labels = head.draw(grid)
    assert not (labels == placed.fdi).any()
    middle = (placed.matrix @ [0, 0, placed.shape.crown_height * 0.4, 1])[:3]
    index = np.round((middle - grid.origin) / grid.spacing).astype(int)[::-1]
    assert tissue[tuple(index)] in (Tissue.METAL, Tissue.RESTORATION)


def test_an_open_mouth_bites_on_a_block(shapes):
    head = Head(np.random.default_rng(2), shapes, "open")
    tissue, _ = head.draw(GRID)
    z = GRID.axes()[0] + np.zeros(GRID.shape)
    block = tissue == Tissue.PLASTIC
    assert np.ptp(z[block & (np.abs(GRID.axes()[2]) < 4)]) > 5


def test_streaks_run_through_teeth_beside_metal():
    tissue = np.full((6, 90, 90), Tissue.SOFT, np.uint8)
    tissue[:, 40:48, 10:20] = tissue[:, 40:48, 70:80] = Tissue.METAL
    tissue[:, 35:53, 40:50] = Tissue.DENTINE
    scanner = Scanner(1, extra_artefacts=True)
    stuff = torch.from_numpy(tissue)
    metal = stuff == Tissue.METAL
    alone = Scanner(1, extra_artefacts=True).metal_artefact(metal, 0.5)
    through = scanner.metal_artefact(metal, 0.5, scanner.dense(stuff))
    tooth = stuff == Tissue.DENTINE
    assert through[tooth].mean() < alone[tooth].mean() - 1
