#!/usr/bin/env python3
"""Fit the two decisions that make teeth of the networks' maps: which pieces are one tooth, and which objects are teeth.

    python scripts/fit_decisions.py GRAPHS CASE_FOLDERS ... --weights FILE.safetensors            # a dry run
    python scripts/fit_decisions.py GRAPHS CASE_FOLDERS ... --weights FILE.safetensors --write    # into the card

The networks run on every case once; the input of the decisions (a small graph for each case) is kept in the folder
GRAPHS. Use cases that the networks were not trained with, and evaluate on others. The table printed is of five folds by
mouth.

Pieces are merged in many orders, some by the truth, some by the decision of the round before. Each pair met on the way
is one sample. It weighs as much as its smaller piece, up to 100 mm³, and no case weighs more than 20 samples. An object
is a tooth if most of it is one tooth and makes up a quarter of that tooth at least; metal if most of it is metal; else
no tooth.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from teethseg.cascade.coarse import run_coarse, sample
from teethseg.cascade.decisions import CARD_KEY, Decisions, LogisticModel
from teethseg.cascade.field_of_view import has_data, region_has_data
from teethseg.cascade.fine import run_fine
from teethseg.cascade.inference import fallbacks, run_with_fallbacks
from teethseg.cascade.instances import build_piece_graph, merge_pieces
from teethseg.cascade.piece_features import METAL, NO_TOOTH, TOOTH, merge_features, object_features
from teethseg.cascade.region import Region
from teethseg.cascade.region_graph import Contacts, Pieces
from teethseg.cascade.weights import DEFAULT_NAME, Weights, load_weights, weights_folder, write_card
from teethseg.io.atomic_write import written_whole
from teethseg.io.case_folder import case_folders, labels_file
from teethseg.io.files import read_labels, read_scan, read_teeth
from teethseg.resampling import labels_on_grid
from teethseg.simulation.tissues import Tissue

FOLDS = 5
ROUNDS = 3  # of merging by the decision of the round before
LARGE, LEAST_WEIGHT = 100.0, 0.03  # mm³ from which on a sample weighs 1; weight of the smallest
MOST_OF_A_CASE = 20.0
PENALTY = {"merge": 0.1, "kind": 1.0}  # of squared coefficients of features with standard deviation 1
PART_OF_TOOTH = 0.25
IOU = 0.5


@dataclass
class Graph:
    """Pieces of a case, their contacts, and the truth.

    `truth` (N, 256) counts each tooth's voxels in each piece, `teeth` (256,) those in the whole case, `metal` (N,) those of
    metal in each piece.
    """

    pieces: Pieces
    contacts: Contacts
    truth: np.ndarray
    teeth: np.ndarray
    metal: np.ndarray
    spacing: float

    def save(self, file: Path) -> None:
        parts = {f"pieces_{f.name}": getattr(self.pieces, f.name) for f in fields(Pieces)}
        parts |= {f"contacts_{f.name}": getattr(self.contacts, f.name) for f in fields(Contacts)}
        rest = {name: getattr(self, name) for name in ("truth", "teeth", "metal", "spacing")}
        with written_whole(file) as draft, draft.open("wb") as opened:
            np.savez_compressed(opened, **parts, **rest)

    @classmethod
    def load(cls, file: Path) -> Graph:
        with np.load(file, allow_pickle=False) as kept:
            return cls(
                Pieces(*(kept[f"pieces_{f.name}"] for f in fields(Pieces))),
                Contacts(*(kept[f"contacts_{f.name}"] for f in fields(Contacts))),
                kept["truth"].astype(float),
                kept["teeth"].astype(float),
                kept["metal"].astype(float),
                float(kept["spacing"]),
            )


def graph_of(case: Path, weights: Weights) -> Graph | None:
    """Run both networks on a case; None where stage 1 or 2 finds no tooth."""
    scan = read_scan(case / "image.nrrd")

    def networks(config):
        coarse = run_coarse(scan, weights.coarse, config, lambda done, total: None)
        fine = None if coarse.box is None else run_fine(scan, coarse, weights.fine, config, lambda done, total: None)
        return coarse, fine

    _, (coarse, maps) = run_with_fallbacks(fallbacks("auto"), networks, print)
    if maps is None:
        return None
    region = Region(maps.origin, maps.spacing, maps.tooth.shape)
    inside = region_has_data(scan, region, has_data(scan, coarse.greys))
    seen = sample(coarse.upper + coarse.lower, coarse.region, region.half())
    if (found := build_piece_graph(maps, inside, seen)) is None:
        return None
    labels, count = found.labels, len(found.pieces)
    grid = region.volume(maps.tooth)
    truth = labels_on_grid(read_teeth(labels_file(case), keep=["supernumerary"]), grid).array
    pairs = labels.ravel().astype(np.int64) * 256 + truth[found.box].ravel()
    metal = np.zeros(count)
    if (case / "tissues.nrrd").exists():
        tissue = labels_on_grid(read_labels(case / "tissues.nrrd"), grid).array[found.box]
        metal = np.bincount(labels[tissue == Tissue.METAL], minlength=count + 1)[1:]
    shared = np.bincount(pairs, minlength=(count + 1) * 256).reshape(-1, 256)[1:]
    return Graph(found.pieces, found.contacts, shared, np.bincount(truth.ravel(), minlength=256), metal, maps.spacing)


# --- samples ------------------------------------------------------------------------------------------------------------


def walk(graph: Graph, choose: Callable) -> tuple[list, list, list]:
    """Merge pairs that `choose(features, same)` returns, until None: features, truth and weight of each new pair."""
    pieces, contacts, truth = deepcopy(graph.pieces), graph.contacts, graph.truth.copy()
    members = [frozenset([k]) for k in range(len(pieces))]
    met: set = set()
    rows, targets, weights = [], [], []
    while len(contacts):
        most = truth[:, 1:].argmax(axis=1) + 1
        most[truth[:, 1:].max(axis=1) < 0.5 * np.maximum(truth.sum(axis=1), 1)] = 0
        values = merge_features(pieces, contacts, graph.spacing)
        a, b = contacts.pairs.T
        same = (most[a] == most[b]) & (most[a] > 0)
        small = np.minimum(pieces.voxels[a], pieces.voxels[b]) * graph.spacing**3
        for edge in np.flatnonzero((most[a] > 0) | (most[b] > 0)):
            pair = (members[a[edge]], members[b[edge]])
            if pair not in met:
                met.add(pair)
                rows.append(values[edge])
                targets.append(same[edge])
                weights.append(min(small[edge] / LARGE, 1) + LEAST_WEIGHT)
        if (edge := choose(values, same)) is None:
            break
        into, other = contacts.pairs[edge]
        pieces.merge(into, other)
        contacts = contacts.merge(into, other)
        truth[into] += truth[other]
        truth[other] = 0
        members[into] |= members[other]
    return rows, targets, weights


def merge_samples(graph: Graph, decision: LogisticModel | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs met when merging by the truth in a random order, and by a decision."""
    rng = np.random.default_rng(0)

    def by_truth(_, same):
        return rng.choice(np.flatnonzero(same)) if same.any() else None

    def by_decision(values, _):
        chance = decision.probability(values)
        return chance.argmax() if chance.max() > 0.5 else None

    walks = [walk(graph, choose) for choose in ((by_truth, by_decision) if decision else (by_truth,))]
    rows, targets, weights = ([sample for one in walks for sample in one[k]] for k in range(3))
    return np.array(rows), np.array(targets, int), np.array(weights) * min(1, MOST_OF_A_CASE / max(sum(weights), 1e-9))


def objects_of(graph: Graph, decision: LogisticModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of the objects that a merge decision makes, their true kinds, and the voxels of each tooth in them."""
    owner, objects = merge_pieces(deepcopy(graph.pieces), graph.contacts, graph.spacing, decision)
    truth = np.zeros((len(objects), 256))
    np.add.at(truth, owner, graph.truth)
    metal = np.bincount(owner, weights=graph.metal, minlength=len(objects)) / np.maximum(truth.sum(axis=1), 1)
    most = truth[:, 1:].argmax(axis=1) + 1
    of_tooth = truth[np.arange(len(truth)), most] / np.maximum(graph.teeth[most], 1)
    tooth = truth[:, 1:].sum(axis=1) >= 0.5 * truth.sum(axis=1)
    kind = np.where(tooth & (of_tooth >= PART_OF_TOOTH), TOOTH, np.where(~tooth & (metal >= 0.5), METAL, NO_TOOTH))
    return object_features(objects, graph.spacing), kind, truth


# --- fits -----------------------------------------------------------------------------------------------------------------


def fitted(values: np.ndarray, target: np.ndarray, weight: np.ndarray, classes: int, penalty: float) -> LogisticModel:
    """Logistic regression by penalised likelihood."""
    mean, spread = values.mean(axis=0), values.std(axis=0) + 1e-9
    scaled = np.column_stack([np.ones(len(values)), (values - mean) / spread])
    outputs = max(classes, 2)
    aim = np.eye(outputs)[target]

    def loss(flat):
        matrix = flat.reshape(outputs, -1)
        score = scaled @ matrix.T
        slope = (weight[:, None] * (softmax(score, axis=1) - aim)).T @ scaled
        slope[:, 1:] += penalty * matrix[:, 1:]
        cost = -(weight * (aim * log_softmax(score, axis=1)).sum(axis=1)).sum()
        return cost + penalty / 2 * (matrix[:, 1:] ** 2).sum(), slope.ravel()

    matrix = minimize(loss, np.zeros(outputs * scaled.shape[1]), jac=True, method="L-BFGS-B").x.reshape(outputs, -1)
    if classes == 1:
        matrix = matrix[1:] - matrix[:1]
    weights = matrix[:, 1:] / spread
    return LogisticModel(matrix[:, 0] - weights @ mean, weights)


def fit(graphs: Sequence[Graph]) -> Decisions:
    """Fit both decisions."""
    merge = None
    for _ in range(ROUNDS):
        parts = [part for graph in graphs if len((part := merge_samples(graph, merge))[1])]
        merge = fitted(*(np.concatenate(column) for column in zip(*parts, strict=True)), 1, 2 * PENALTY["merge"])
    values, kinds = (
        np.concatenate(column) for column in list(zip(*(objects_of(g, merge) for g in graphs), strict=True))[:2]
    )
    return Decisions(merge, fitted(values, kinds, np.ones(len(kinds)), 3, PENALTY["kind"]))


def judge(graph: Graph, decisions: Decisions) -> np.ndarray:
    """Teeth found (IoU of 0.5), objects called teeth, teeth of the reference."""
    values, _, truth = objects_of(graph, decisions.merge)
    kept = truth[decisions.kind.probability(values).argmax(axis=1) == TOOTH]
    teeth = np.flatnonzero(graph.teeth[1:]) + 1
    union = graph.teeth[teeth] + kept.sum(axis=1, keepdims=True) - kept[:, teeth]
    found = int(((kept[:, teeth] / union).max(axis=0) >= IOU).sum()) if len(kept) else 0
    return np.array([found, len(kept), len(teeth)])


def main() -> None:
    """Collect graphs, judge by folds, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graphs", type=Path, help="folder that keeps a graph for each case")
    parser.add_argument("cases", type=Path, nargs="*", help="folders of labelled cases")
    parser.add_argument("--weights", type=Path, help="FILE.safetensors; the ones that ship unless given")
    parser.add_argument("--write", action="store_true", help="write the decisions into the card of the weights")
    args = parser.parse_args()
    weights = load_weights(args.weights)
    args.graphs.mkdir(parents=True, exist_ok=True)
    for case in [case for folder in args.cases for case in case_folders(folder)]:
        file = args.graphs / f"{case.parent.parent.name}-{case.parent.name}-{case.name}.npz"
        if not file.exists() and (graph := graph_of(case, weights)) is not None:
            graph.save(file)
            print(f"{case.name}: {len(graph.pieces)} pieces", flush=True)
    graphs = {file.stem: Graph.load(file) for file in sorted(args.graphs.glob("*.npz"))}

    def fold(name: str) -> int:  # one mouth, however it was scanned, lies in one fold
        return int(hashlib.sha256(name.split("-")[-1].encode()).hexdigest(), 16) % FOLDS

    total = np.zeros(3, int)
    for k in range(FOLDS):
        decisions = fit([graph for name, graph in graphs.items() if fold(name) != k])
        total += sum((judge(graph, decisions) for name, graph in graphs.items() if fold(name) == k), np.zeros(3, int))
    found, called, there = total.tolist()
    score = 2 * found / (called + there)
    print(f"{len(graphs)} cases, {FOLDS} folds: {found} of {there} teeth found, {called} called teeth, F1 {score:.4f}")
    decisions = fit(list(graphs.values()))
    print(json.dumps(decisions.to_json(), indent=1))
    if args.write:
        file = (args.weights or weights_folder() / f"{DEFAULT_NAME}.safetensors").with_suffix(".json")
        note = {
            "cases": len(graphs),
            "teeth": there,
            "F1, five folds": round(score, 4),
            "date": f"{datetime.now(timezone.utc).date()}",
        }
        with written_whole(file) as draft:
            write_card(draft, {**weights.card, CARD_KEY: {**decisions.to_json(), "fitted": note}})


if __name__ == "__main__":
    main()
