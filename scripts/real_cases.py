#!/usr/bin/env python3
"""Training cases from real scans; unjudged voxels are marked as unknown (255).

    python scripts/real_cases.py labelled SCAN LABELS OUT --patient KEY [--jaw upper|lower] [--weight W] [--unerupted FDI ...]
    python scripts/real_cases.py toothless SCAN OUT --patient KEY --teeth X0 X1 Y0 Y1 Z0 Z1 [--weight W]

`labelled`: a scan with FDI labels. With --jaw, only the part that lies nearer to the teeth of that jaw is known, so
that one jaw can serve for training and the other for evaluation. `toothless`: a scan without labels whose teeth all lie
in a box (LPS, mm); everything outside it is known to be no tooth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from teethseg.io.files import read_labels, read_scan, write_scan
from teethseg.io.json_text import json_text
from teethseg.training.targets import UNKNOWN, one_jaw
from teethseg.volume import Volume


def around(scan: Volume, low: tuple, high: tuple) -> np.ndarray:
    """UNKNOWN between two LPS corners (mm), 0 elsewhere; the scan must be axis-aligned."""
    scan_box = scan.to_index([low, high])
    first, last = np.floor(scan_box.min(axis=0)).astype(int), np.ceil(scan_box.max(axis=0)).astype(int)
    labels = np.zeros(scan.array.shape, np.uint8)
    labels[tuple(slice(max(a, 0), b + 1) for a, b in zip(first, last, strict=True))] = UNKNOWN
    return labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind in ("labelled", "toothless"):
        one = kinds.add_parser(kind)
        one.add_argument("scan", type=Path)
        if kind == "labelled":
            one.add_argument("labels", type=Path)
            one.add_argument("--jaw", choices=("upper", "lower"))
            one.add_argument("--unerupted", type=int, nargs="*", help="FDI numbers of the teeth that have not erupted")
        else:
            one.add_argument("--teeth", type=float, nargs=6, required=True, metavar="MM")
        one.add_argument("out", type=Path)
        one.add_argument("--patient", required=True)
        one.add_argument("--weight", type=float, default=1.0)
    options = parser.parse_args()
    scan = read_scan(options.scan)
    if options.kind == "labelled":
        given = read_labels(options.labels)
        if given.array.shape != scan.array.shape or not np.allclose(given.affine, scan.affine, atol=1e-3):
            parser.error("the labels lie on another grid than the scan")
        labels = one_jaw(given.array, options.jaw) if options.jaw else given.array
    else:
        box = options.teeth
        labels = around(scan, box[0::2], box[1::2])
    options.out.mkdir(parents=True)
    write_scan(options.out / "image.nrrd", scan)
    write_scan(options.out / "labels.nrrd", Volume(labels.astype(np.uint8), scan.spacing, scan.origin, scan.direction))
    about = {"patient": options.patient, "weight": options.weight}
    if getattr(options, "unerupted", None) is not None:
        about["unerupted"] = options.unerupted
    (options.out / "case.json").write_text(json_text(about) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
