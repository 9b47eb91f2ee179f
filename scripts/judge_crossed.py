#!/usr/bin/env python3
"""Scores two sets of weights on a labelled scan: each was trained with one of its jaws and is evaluated on the other.

    python scripts/judge_crossed.py SCAN LABELS TRAINED_UPPER.safetensors TRAINED_LOWER.safetensors [--quality Q.json]

Voxels nearer to the teeth that a network was trained with count neither for it nor against it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from teethseg.cascade.pipeline import segment
from teethseg.cascade.weights import load_weights
from teethseg.evaluation.metrics import evaluate
from teethseg.io.files import read_labels, read_scan
from teethseg.io.scan_checks import check_scan
from teethseg.training.targets import UNKNOWN, one_jaw

OTHER = {"upper": "lower", "lower": "upper"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("scan", "labels", "trained_upper", "trained_lower"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--quality", type=Path)
    options = parser.parse_args()
    scan, reference = read_scan(options.scan), read_labels(options.labels)
    check_scan(scan)
    quality = json.loads(options.quality.read_text(encoding="utf-8")) if options.quality else None
    print("| trained with | judged on | Dice | NSD 0.5 mm | HD95 mm | found | matched | FDI instance F1 |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for jaw, file in (("upper", options.trained_upper), ("lower", options.trained_lower)):
        found = segment(scan, load_weights(file)).dentition.labels
        judged = one_jaw(reference.array, OTHER[jaw]) != UNKNOWN
        # A tooth that lies mostly on the other side is one of those trained with, even if it reaches over.
        sizes, here = (np.bincount(a.ravel(), minlength=49) for a in (found.array, found.array[judged]))
        kept = np.flatnonzero(here > sizes / 2)
        ours = found.with_array(np.where(np.isin(found.array, kept[kept > 0]), found.array, 0).astype(np.uint8))
        theirs = reference.with_array(np.where(judged, reference.array, 0).astype(np.uint8))
        scores = evaluate(ours, theirs, quality)
        binary, teeth = scores.binary, scores.instances
        print(
            f"| {jaw} jaw | {OTHER[jaw]} jaw | {binary.dice:.3f} | {binary.nsd_05:.3f} | {binary.hd95_mm:.2f} "
            f"| {teeth.predicted} of {teeth.reference} | {teeth.matched} | {scores.numbering.fdi_f1:.3f} |"
        )


if __name__ == "__main__":
    main()
