#!/usr/bin/env python3
"""Compares simulated grey values with those of a real scan: in teeth, and in voxels 1 to 8 mm from them.

    python scripts/compare_intensities.py SCAN LABELS CASES [--count 30]

Grey values are put on a scale where soft tissue is 0 and the median of teeth is 1. For the real scan and for simulated
cases (`teethseg simulate`) the table gives percentiles; those of the cases as the range from the 5th to the 95th case.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import edt
import numpy as np
import torch

from teethseg.cascade.normalisation import first_levels, normalise
from teethseg.io.case_folder import case_folders, labels_file
from teethseg.io.files import read_labels, read_scan
from teethseg.simulation.scanner import Scanner
from teethseg.volume import Volume

PERCENTILES = (5, 25, 50, 75, 95)
NEAR, FAR = 1.0, 8.0  # mm from teeth


def percentiles(scan: Volume, labels: Volume) -> np.ndarray | None:
    """Percentiles of normalised grey values, shape (2, 5): in teeth, near teeth. None for a scan without teeth."""
    teeth = labels.array > 0
    if np.count_nonzero(teeth) < 1000:
        return None
    away = edt.edt(~teeth, anisotropy=scan.spacing_zyx, parallel=1)
    image = normalise(scan.array, first_levels(scan.array)[0], float(np.median(scan.array[teeth])))
    return np.array([np.percentile(image[where], PERCENTILES) for where in (teeth, (away > NEAR) & (away < FAR))])


def _scanned(case: Path, seed: int) -> Volume:
    """A case's tissues imaged by a random device, as in training."""
    tissues = read_scan(case / "tissues.nrrd")
    return tissues.with_array(Scanner(seed)(torch.from_numpy(tissues.array), tissues.spacing[0]).image.numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("scan", "labels", "cases"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--count", type=int, default=30, help="how many of the cases (evenly spread)")
    options = parser.parse_args()
    real = percentiles(read_scan(options.scan), read_labels(options.labels))
    folders = case_folders(options.cases)
    chosen = [folders[i] for i in np.unique(np.linspace(0, len(folders) - 1, options.count).astype(int))]
    found = (percentiles(_scanned(c, n), read_labels(labels_file(c))) for n, c in enumerate(chosen))
    simulated = np.array([values for values in found if values is not None])
    low, high = np.percentile(simulated, (5, 95), axis=0)
    print(f"{len(simulated)} simulated cases; in brackets where the real scan stands among them, per cent")
    print("| grey value | " + " | ".join(f"{p} %" for p in PERCENTILES) + " |")
    print("| --- |" + " --- |" * len(PERCENTILES))
    for row, name in enumerate(("teeth", f"{NEAR:g} to {FAR:g} mm from teeth")):
        rank = 100 * (simulated[:, row] < real[row]).mean(axis=0)
        print(
            f"| {name}, real | " + " | ".join(f"{v:.2f} ({r:.0f})" for v, r in zip(real[row], rank, strict=True)) + " |"
        )
        ranges = (f"{a:.2f} to {b:.2f}" for a, b in zip(low[row], high[row], strict=True))
        print(f"| {name}, simulated | " + " | ".join(ranges) + " |")


if __name__ == "__main__":
    main()
