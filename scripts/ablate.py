#!/usr/bin/env python3
"""Measures the contribution of each part of the cascade: segments cases without it, with the same weights.

    python scripts/ablate.py CASES [--weights W.safetensors] [--count N]

CASES: folders of cases (`image.nrrd`, `labels...`), or one that holds them. Prints a table of means: Dice of tooth
against background; F1 of the teeth matched at an IoU of 0.5; FDI F1, which also requires the right number.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from teethseg.cascade import fine, instances, pipeline
from teethseg.cascade.weights import load_weights
from teethseg.evaluation.metrics import evaluate
from teethseg.io.case_folder import case_folders, labels_file
from teethseg.io.files import read_labels, read_scan

# Features of an object that is a tooth, in the order of `OBJECT_FEATURES`: large, sure, seen by stage 1, no metal, not cut.
SURE_TOOTH = (0.0, 5.0, 0.8, 0.6, 0.0, 0.0)


@contextlib.contextmanager
def changed(module, **values) -> Iterator[None]:
    """Replaces attributes of a module inside the `with` block."""
    old = {name: getattr(module, name) for name in values}
    for name, value in values.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in old.items():
            setattr(module, name, value)


def variants(run_fine: Callable) -> dict[str, dict]:
    """Changes of `pipeline` that disable one part each; the first disables none."""

    def maps_with(change: Callable) -> Callable:
        return lambda *given: change(run_fine(*given))

    def blind(jaw_or_position: str) -> Callable:
        def change(maps):
            if jaw_or_position == "upper":
                return replace(maps, upper=np.full_like(maps.upper, 0.5))
            return replace(maps, position=np.full_like(maps.position, -np.log(8)))

        return maps_with(change)

    return {
        "everything": {},
        "without the edges of the image": {"at_edges": lambda tooth, *_: tooth},
        "without the core head (seeds: the tooth map where it is sure)": {
            "run_fine": maps_with(lambda maps: replace(maps, core=maps.tooth))
        },
        "without the offset head (every voxel votes for itself)": {
            "run_fine": maps_with(lambda maps: replace(maps, offset=np.zeros_like(maps.offset)))
        },
        "without merging pieces": {"merge_pieces": lambda pieces, *_: (np.arange(len(pieces)), pieces)},
        "without leaving out objects that are no teeth": {
            "object_features": lambda objects, spacing: np.array(SURE_TOOTH) * np.ones((len(objects), 1))
        },
        "without giving fillings to teeth": {"with_fillings": lambda maps, owner: (maps, owner)},
        "without stage 2's position head": {"run_fine": blind("position")},
        "without stage 1's positions": {"COARSE_SHARE": 0.0},
        "without the jaw head": {"run_fine": blind("upper")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    weights = load_weights(options.weights)
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for case in list(case_folders(options.cases))[: options.count]:
        scan, reference = read_scan(case / "image.nrrd"), read_labels(labels_file(case))
        known: dict = {}

        def remembered(*given, known=known):
            if "maps" not in known:
                known["maps"] = fine.run_fine(*given)
            return known["maps"]

        for name, change in variants(remembered).items():
            in_fine = {k: v for k, v in change.items() if k == "at_edges"}
            in_instances = {k: v for k, v in change.items() if k in ("merge_pieces", "object_features")}
            in_pipeline = {k: v for k, v in change.items() if k not in {**in_fine, **in_instances}}
            if not in_fine:
                in_pipeline.setdefault("run_fine", remembered)
            with changed(pipeline, **in_pipeline), changed(fine, **in_fine), changed(instances, **in_instances):
                found = pipeline.segment(scan, weights).dentition.labels
            scores = evaluate(found, reference, None)
            row = scores.binary.dice, scores.instances.f1, scores.numbering.fdi_f1
            rows.setdefault(name, []).append(tuple(0.0 if value is None else value for value in row))
    print(f"| mean of {len(next(iter(rows.values())))} scans | Dice | F1 | FDI F1 |")
    print("| --- | --- | --- | --- |")
    for name, scores in rows.items():
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in np.mean(scores, axis=0)) + " |")


if __name__ == "__main__":
    main()
