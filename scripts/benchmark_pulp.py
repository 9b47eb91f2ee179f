"""Accuracy of the pulp that `teethseg surfaces --hollow` leaves hollow, on simulated scans, whose tissues are known.

    python scripts/benchmark_pulp.py [--seeds 2] [--spacings 0.25 0.3 0.4] [--first 7000]

Prints a Markdown table by voxel size: number of teeth; hollow teeth among those with a pulp, and among those without
one (for example root filled); Dice of the pulps found (median, 5th percentile); their volume in percent of the true
one.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from scipy.ndimage import find_objects

from teethseg.simulation.cases import simulate_case
from teethseg.simulation.sources import shape_source
from teethseg.simulation.tissues import Tissue
from teethseg.surfaces.pulp import pulp_mask

LEAST = 2.0  # mm³; a smaller pulp counts as none


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2, metavar="N", help="how many scans of each voxel size")
    parser.add_argument("--first", type=int, default=7000, metavar="SEED")
    parser.add_argument("--spacings", type=float, nargs="+", default=[0.25, 0.3, 0.4], metavar="MM")
    parser.add_argument("--hard", type=float, default=1.0, help="how much noise, blur and metal there is, 0 to 1")
    arguments = parser.parse_args()
    print("| voxels, mm | teeth | hollow of those with pulp | hollow of those without | Dice | volume found |")
    print("| --- | --- | --- | --- | --- | --- |")
    for spacing in arguments.spacings:
        teeth, right, wrong, scores, sizes = 0, [], [], [], []
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            case = simulate_case(seed, shape_source(), "jaws", spacing, arguments.hard)
            print(f"scan {seed}, {spacing} mm", file=sys.stderr)
            for fdi, box in enumerate(find_objects(case.labels.array), start=1):
                if box is None:
                    continue
                teeth += 1
                tooth = case.labels.array[box] == fdi
                pulp = tooth & (case.tissues.array[box] == Tissue.PULP)
                found = pulp_mask(case.scan.array[box], tooth, (spacing,) * 3)
                there = np.count_nonzero(pulp) * spacing**3 >= LEAST
                (right if there else wrong).append(found is not None)
                if there and found is not None:
                    both = np.count_nonzero(found & pulp)
                    scores.append(2 * both / (np.count_nonzero(found) + np.count_nonzero(pulp)))
                    sizes.append(100 * np.count_nonzero(found) / np.count_nonzero(pulp))
        dice = f"{np.median(scores):.2f}, {np.quantile(scores, 0.05):.2f}" if scores else ""
        size = f"{np.median(sizes):.0f} %" if sizes else ""
        print(
            f"| {spacing} | {teeth} | {sum(right)} of {len(right)} | {sum(wrong)} of {len(wrong)} | {dice} | {size} |"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
