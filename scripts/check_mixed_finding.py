#!/usr/bin/env python3
"""Accuracy of the finding that a result of the networks for permanent teeth looks like a mixed dentition.

    python scripts/check_mixed_finding.py RESULTS [RESULTS ...] [--cases FOLDER ...]

RESULTS are folders of reports, as `segment_cases.py` writes them beside its label maps. `--cases` names the folder of
labelled cases for each of them. A patient whose labels hold `FEWEST` deciduous teeth or more is a child.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "TeethSeg"))

from teethseg.anatomy import DECIDUOUS
from teethseg.cascade.dentition import FoundTooth
from teethseg.cascade.findings import LOOKS_MIXED, find
from teethseg.cascade.tooth_properties import stacked
from teethseg.io.case_folder import labels_file
from teethseg.io.files import read_teeth
from teethseg.io.json_text import read_json

FEWEST = 3


def teeth_of(report: Path) -> list[FoundTooth]:
    """The teeth of a report, with their flags."""
    return [
        FoundTooth(
            row["fdi"], row["confidence"], row["volume_mm3"], tuple(row["centroid_lps_mm"]), flags=tuple(row["flags"])
        )
        for row in read_json(report)["teeth"]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--cases", nargs="*", type=Path, default=[])
    options = parser.parse_args()
    print("| result | teeth found | pairs one above the other | deciduous teeth by the labels | reported as mixed |")
    print("| --- | --- | --- | --- | --- |")
    for place, folder in enumerate(options.results):
        for report in sorted(folder.glob("*.json")):
            teeth = teeth_of(report)
            pairs = stacked({one.fdi: one.centroid_lps_mm for one in teeth})
            is_reported = any(finding.kind == LOOKS_MIXED for finding in find(teeth))
            deciduous = ""
            if place < len(options.cases):
                labels = read_teeth(labels_file(options.cases[place] / report.stem)).array
                deciduous = str(np.isin(DECIDUOUS, np.unique(labels)).sum())
                right = is_reported == (int(deciduous) >= FEWEST)
                deciduous += "" if right else " (WRONG)"
            cells = f"{folder.name} {report.stem}", len(teeth), len(pairs), deciduous, "yes" if is_reported else "no"
            print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
