"""The two fitted decisions: which pieces are one tooth, and which objects are teeth."""

from __future__ import annotations

from dataclasses import fields, replace

import cc3d
import numpy as np
import pytest

import fit_decisions
from teethseg.cascade import instances
from teethseg.cascade.decisions import CARD_KEY, Decisions, LogisticModel, shipped_decisions
from teethseg.cascade.instances import build_piece_graph, find_instances
from teethseg.cascade.piece_features import MERGE_FEATURES, METAL, OBJECT_FEATURES, TOOTH
from teethseg.cascade.predictions import FineMaps
from teethseg.cascade.region_graph import Contacts, Pieces, find_contacts, measure_pieces
from test_instances import labelled, maps_of, molar, single_rooted

SHAPE = (60, 60, 60)


def two_teeth():
    """An upper canine and an upper premolar with 4 mm between them."""
    return labelled([single_rooted(SHAPE, (5, 8, 6.0)), single_rooted(SHAPE, (5, 8, 17.0))])


def seen(maps, share: float) -> np.ndarray:
    """Stage 1's probability of tooth: the same everywhere."""
    return np.full(maps.upper.shape, share, np.float32)


def test_metal_alone_is_left_out_and_counted_and_a_crown_of_metal_is_not():
    truth = two_teeth()
    maps = maps_of(truth, [3, 4], [True, True])
    metal = truth == 1
    crown = (truth == 2) & (np.arange(SHAPE[0])[:, None, None] < 20)
    found = find_instances(replace(maps, metal=metal | crown), coarse=seen(maps, 0.6))
    assert (len(found.evidence), found.metal, found.doubtful) == (1, 1, 0)
    assert not found.labels[metal].any()


@pytest.mark.parametrize("upper", [True, False])
def test_an_implant_with_a_crown_is_left_out_and_counted_and_a_post_is_none(upper):
    """In an implant all of the root is metal, in a tooth with a post only its core; a cut tooth may be a crown alone."""
    up = 1 if upper else -1
    crowns = [(5 if upper else 19, 8, x) for x in (6.0, 17.0)]
    truth = labelled([single_rooted(SHAPE, crown, up) for crown in crowns])
    maps = maps_of(truth, [3, 4], [upper, upper])
    z, y, x = np.indices(SHAPE) * 0.4
    root = z > 7 if upper else z < 17
    post = root & (np.hypot(y - 8, x - 17) < 0.8)
    maps = replace(maps, metal=(truth == 1) & root | (truth == 2) & post)
    found = find_instances(maps, coarse=seen(maps, 0.6))
    assert (len(found.evidence), found.metal) == (1, 1)
    assert found.labels[truth == 2].all() and not found.labels[(truth == 1) & root].any()
    ends = np.ones(SHAPE, bool)
    ends[:, :, : np.argwhere(truth == 1)[:, 2].min() + 1] = False
    assert len(find_instances(maps, ends, seen(maps, 0.6)).evidence) == 2


def test_a_small_object_that_neither_stage_is_sure_of_is_left_out_and_counted():
    truth = two_teeth()
    island = np.zeros(SHAPE, bool)
    island[40:52, 40:50, 25:35] = True  # 77 mm³
    maps = maps_of(truth, [3, 4], [True, True])
    maps.tooth[island], maps.core[island] = 0.85, 0.6
    coarse = np.where(island[::2, ::2, ::2], 0, 0.7).astype(np.float32)
    found = find_instances(maps, coarse=coarse)
    assert (len(found.evidence), found.metal, found.doubtful) == (2, 0, 1)
    assert not found.labels[island].any()


def test_pieces_of_different_jaws_are_never_one_tooth():
    truth = labelled([molar(SHAPE, (11.5, 11, 11)), molar(SHAPE, (4.5, 11, 11), up=-1)])
    maps = maps_of(truth, [6, 6], [True, False])
    maps.core[truth > 0] = 0.95  # a bridge between them in the network's output
    graph = build_piece_graph(maps)
    assert len(graph.pieces) >= 2
    owner = truth[graph.box][graph.labels > 0]
    found = find_instances(maps)
    assert len(found.evidence) == 2
    assert sorted(round(one.upper_probability) for one in found.evidence) == [0, 1]
    assert len(owner) == (found.labels > 0).sum()


def test_sums_of_merged_pieces_are_those_of_the_merged_labels():
    truth = labelled([molar(SHAPE, (5, 8, 8)), single_rooted(SHAPE, (5, 16, 8))])
    maps = replace(maps_of(truth, [6, 5], [True, True]), metal=truth == 2)
    thirds = np.where(truth == 1, 1 + (np.arange(SHAPE[0])[:, None, None] > 16), np.where(truth == 2, 3, 0))
    cut = np.zeros(SHAPE, bool)
    cut[:6] = True
    coarse = seen(maps, 0.4)
    pieces, contacts = measure_pieces(thirds, maps, cut, coarse), find_contacts(thirds, maps.core)
    assert [0, 1] in contacts.pairs.tolist()
    pieces.merge(0, 1)
    merged = contacts.merge(0, 1)
    joined = np.array([0, 1, 1, 2])[thirds]
    whole = measure_pieces(joined, maps, cut, coarse)
    for field in fields(Pieces):
        np.testing.assert_allclose(getattr(pieces[[0, 2]], field.name), getattr(whole, field.name), rtol=1e-9)
    anew = find_contacts(joined, maps.core)
    assert np.array_equal(merged.pairs, [[0, 2]]) and np.array_equal(anew.pairs, [[0, 1]])
    for name in ("faces", "core"):
        np.testing.assert_allclose(getattr(merged, name), getattr(anew, name), rtol=1e-6)


def test_decisions_of_a_card():
    shipped = shipped_decisions()
    content = shipped.to_json()
    read = Decisions.from_card({CARD_KEY: content})
    for one, other in ((read.merge, shipped.merge), (read.kind, shipped.kind)):
        assert np.array_equal(one.bias, other.bias) and np.array_equal(one.weights, other.weights)
    assert Decisions.from_card({}) is shipped  # a card without decisions, as of newly trained weights


@pytest.mark.parametrize("damage", ["feature", "another feature", "class", "infinite", "no number", "nothing"])
def test_a_damaged_decision_is_refused(damage):
    content = shipped_decisions().to_json()
    kind = content["kind"]
    if damage == "feature":
        del kind["weights"]["volume"]
    elif damage == "another feature":
        kind["weights"]["colour"] = [0.0, 0.0, 0.0]
    elif damage == "class":
        kind["bias"] = [0.0, 1.0]
    elif damage == "infinite":
        kind["bias"][0] = float("nan")
    elif damage == "no number":
        kind["weights"]["cut"] = ["a", "b", "c"]
    else:
        del content["merge"]
    with pytest.raises((KeyError, TypeError, ValueError)):
        Decisions.from_card({CARD_KEY: content})


def test_networks_that_see_teeth_everywhere_give_an_answer_in_time():
    shape = (60, 60, 60)
    grid = np.indices(shape) // 5
    blocks = (grid.sum(axis=0) % 2).astype(np.float32)  # a checkerboard of cubes of 64 mm³
    blocks[::5] = 0
    blocks[:, ::5] = 0
    blocks[:, :, ::5] = 0
    half = tuple(n // 2 for n in shape)
    flat = np.full((8, *half), -np.log(8), np.float32)
    maps = FineMaps(
        0.99 * blocks, blocks, np.zeros((3, *half), np.float32), flat, flat[0] * 0 + 0.5, (0.0, 0.0, 0.0), 1.0
    )
    found = find_instances(maps)
    teeth = len(found.evidence)
    assert teeth <= 64
    assert found.labels.max() == teeth
    cubes = cc3d.connected_components(blocks > 0, connectivity=6).max()
    assert cubes > 500
    assert found.surplus >= cubes - 500  # the surplus counts the omitted objects


def test_teeth_beyond_the_most_that_a_mouth_has_are_counted(monkeypatch):
    truth = labelled([single_rooted(SHAPE, (5, 8, 6.0)), single_rooted(SHAPE, (5, 8, 17.0))])
    maps = maps_of(truth, [3, 4], [True, True])
    monkeypatch.setattr(instances, "MOST_TEETH", 1)
    found = find_instances(maps)
    assert (len(found.evidence), found.labels.max(), found.surplus) == (1, 1, 1)


# --- fitting --------------------------------------------------------------------------------------------------------


def test_a_fit_finds_what_parts_two_classes_and_nothing_in_noise():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2000, 2))
    chance = 1 / (1 + np.exp(-(2 * values[:, 0] - 1)))
    target = (rng.random(2000) < chance).astype(int)
    model = fit_decisions.fitted(values, target, np.ones(2000), 1, 0.1)
    assert model.weights[0] == pytest.approx([2, 0], abs=0.3)
    assert model.bias == pytest.approx([-1], abs=0.2)


def graph(seed: int):
    """Two molars, each in two halves, with a bone island half-way between them."""
    truth = labelled([molar(SHAPE, (5, 6, 8)), molar(SHAPE, (5, 17, 8))])
    maps = maps_of(truth, [6, 7], [True, True], seed=seed)
    island = np.zeros(SHAPE, bool)
    island[45:55, 20:30, 40:50] = True
    maps.tooth[island], maps.core[island] = 0.8, 0.6
    halves = np.where(truth > 0, 2 * truth.astype(int) - (np.arange(SHAPE[2]) > 20), 0) + 5 * island
    coarse = np.where(island[::2, ::2, ::2], 0, 0.7).astype(np.float32)
    pieces = measure_pieces(halves, maps, np.zeros(SHAPE, bool), coarse)
    pairs = np.bincount(halves.ravel() * 256 + truth.ravel(), minlength=6 * 256).reshape(6, 256)[1:]
    teeth = np.bincount(truth.ravel(), minlength=256)
    return fit_decisions.Graph(pieces, find_contacts(halves, maps.core), pairs, teeth, np.zeros(5), maps.spacing)


def test_fitted_decisions_put_halves_together_and_leave_islands_out(tmp_path):
    graphs = []
    for seed in range(3):
        graph(seed).save(tmp_path / f"{seed}.npz")
        graphs.append(fit_decisions.Graph.load(tmp_path / f"{seed}.npz"))
    decisions = fit_decisions.fit(graphs[:2])
    assert fit_decisions.judge(graphs[2], decisions).tolist() == [2, 2, 2]
    assert np.all(decisions.merge.weights[0, MERGE_FEATURES.index("position differs")] < 0)


def test_the_shipped_decisions_say_what_anatomy_says():
    merge, kind = shipped_decisions().merge, shipped_decisions().kind
    weight = dict(zip(MERGE_FEATURES, merge.weights[0], strict=True))
    assert (
        weight["core there"]
        > 0
        > max(weight[n] for n in ("votes apart", "position differs", "jaw differs", "too large"))
    )
    tooth = dict(zip(OBJECT_FEATURES, (kind.weights[TOOTH] - kind.weights[0]), strict=True))
    assert min(tooth["volume"], tooth["tooth"], tooth["seen coarsely"], tooth["cut"]) > 0 > tooth["metal"]
    assert kind.weights[METAL, OBJECT_FEATURES.index("metal")] > 0


def test_probabilities_of_several_classes_make_one():
    model = LogisticModel(np.array([0.0, 1.0, -1.0]), np.array([[1.0], [0.0], [-1.0]]))
    chance = model.probability(np.array([[0.0], [900.0]]))
    np.testing.assert_allclose(chance.sum(axis=1), 1)
    assert chance[1].argmax() == 0


def test_nothing_touches_nothing():
    labels = np.zeros((4, 4, 4), int)
    labels[0, 0, 0], labels[3, 3, 3] = 1, 2
    contacts = find_contacts(labels, np.ones(labels.shape))
    assert len(contacts) == 0 and isinstance(contacts, Contacts)
