#!/usr/bin/env python3
"""Segment every case of a folder, so that `teethseg evaluate OUT CASES --strata` can judge them.

    python scripts/segment_cases.py CASES OUT [--weights W.safetensors] [--turn X Y Z]

Without `--weights`, those for mixed dentitions look where there seem to be deciduous teeth, as in the panel and page. Writes
OUT/CASE.seg.nrrd and OUT/CASE.json (the report) for each; existing results are not made again. `--turn` turns the heads
first, by a rotation vector in degrees (LPS: 25 0 0 is chin down); the results are written on the grids of the cases.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import cache
from pathlib import Path

from scipy.spatial.transform import Rotation

from teethseg.boxes import triple
from teethseg.cascade.network_choice import choose_weights
from teethseg.cascade.pipeline import segment_chosen
from teethseg.cascade.turns import turned
from teethseg.cascade.weights import load_weights
from teethseg.io.atomic_write import written_whole
from teethseg.io.case_folder import case_folders
from teethseg.io.files import read_scan, write_labels
from teethseg.io.json_text import json_text
from teethseg.io.scan_checks import check_scan
from teethseg.report import peak_memory_mb, report_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--turn", type=float, nargs=3, default=(0.0, 0.0, 0.0), metavar="DEGREES")
    options = parser.parse_args()
    load = cache(load_weights)
    turn = Rotation.from_rotvec(options.turn, degrees=True).as_matrix()
    options.out.mkdir(parents=True, exist_ok=True)
    for case in case_folders(options.cases):
        result, report = options.out / f"{case.name}.seg.nrrd", options.out / f"{case.name}.json"
        if report.exists():
            continue
        scan = read_scan(case / "image.nrrd")
        check_scan(scan)
        choice = choose_weights(turned(scan, turn), weights=options.weights)
        found, weights = segment_chosen(choice, load(choice.file), load=load)
        dentition = replace(
            found.dentition,
            labels=scan.with_array(found.dentition.labels.array),
            teeth=tuple(
                replace(tooth, centroid_lps_mm=triple(turn.T @ tooth.centroid_lps_mm))
                for tooth in found.dentition.teeth
            ),
        )
        write_labels(result, dentition.labels, [tooth.fdi for tooth in dentition.teeth])
        content = report_of(dentition, found.seconds, peak_memory_mb(), found.device, weights.name, weights.sha256)
        with written_whole(report) as draft:
            draft.write_text(json_text(content, indent=2), encoding="utf-8")
        print(f"{case.name}: {len(found.dentition.teeth)} teeth", flush=True)


if __name__ == "__main__":
    main()
