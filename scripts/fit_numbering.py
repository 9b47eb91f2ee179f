#!/usr/bin/env python3
"""Fit the parameters of the numbering on simulated mouths, by maximum likelihood of the true numbers.

    python scripts/fit_numbering.py [--mouths N] [--seed S] [--rounds R] [--only NAME ...]

The script tries each parameter in turn larger and smaller, and keeps a value that makes the true numbers likelier.
Poses and orders are those of the initial parameters. Prints the fitted `numbering_parameters`; check_numbering.py
evaluates them on other mouths.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, fields, replace
from multiprocessing import Pool
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "TeethSeg"))

from teethseg.cascade import numbering
from teethseg.cascade.arch_poses import Readings
from teethseg.cascade.numbering import MidlinePrior
from teethseg.cascade.numbering_parameters import FITTED, NumberingParameters
from teethseg.simulation.centroids import SimulatedEvidence, simulate_evidence

LEAST = 1e-6  # least probability of a number
MOST_POSES = 8
FREE = {
    "_sd",
    "_slope",
    "_spread",
    "_weight",
    "_angle",
    "_mm",
    "_place",
    "_apart",
    "_seen",
    "missing",
    "extra",
    "step_outlier",
}


def prepared(seed: int) -> tuple[SimulatedEvidence, MidlinePrior | None, list[Readings]]:
    """A mouth, the prior of its midline, and the readings of its rows that explain it best."""
    rng = np.random.default_rng(seed)
    case = simulate_evidence(rng, "mixed dentition" if rng.random() < 0.1 else None)
    midline = MidlinePrior(case.midline_x + rng.normal(0, 4), 10.0) if case.midline_known else None
    numbering._MOST_POSES = MOST_POSES
    mouth = numbering._Mouth.of(case.evidence, midline, FITTED)
    return case, midline, numbering._second_look(mouth, numbering._first_look(mouth))


def surprise(work: tuple) -> float:
    """Mean of minus the log-probability of the true numbers of a mouth."""
    (case, midline, readings), given = work
    mouth = numbering._Mouth.of(case.evidence, midline, given)
    total = 0.0
    for row, (probabilities, _) in zip(mouth.rows, numbering._marginals(mouth, list(readings)), strict=True):
        for tooth, chances in zip(row.members, probabilities, strict=True):
            fdi = case.fdi[tooth]
            true = (
                chances[row.slots.fdi.index(fdi)] if fdi in row.slots.fdi else (1 - chances.sum() if fdi == 0 else 0.0)
            )
            total -= np.log(max(float(true), LEAST))
    return total / len(case.evidence)


def changed(given: NumberingParameters, name: str, factor: float) -> NumberingParameters:
    value = getattr(given, name)
    if any(name.endswith(end) for end in FREE) and name not in ("third_missing", "few_missing"):
        return replace(given, **{name: value * factor})
    odds = value / (1 - value) * factor  # a share stays between 0 and 1
    return replace(given, **{name: odds / (1 + odds)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mouths", type=int, default=240)
    parser.add_argument("--seed", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--only", nargs="*", default=[field.name for field in fields(NumberingParameters) if field.type == "float"]
    )
    options = parser.parse_args()
    with Pool(options.processes) as pool:
        mouths = pool.map(prepared, range(options.seed, options.seed + options.mouths), chunksize=4)

        def score(given: NumberingParameters) -> float:
            return float(np.mean(pool.map(surprise, [(mouth, given) for mouth in mouths], chunksize=8)))

        best, given = score(FITTED), FITTED
        print(f"{best:.5f} to begin with", flush=True)
        step = 1.6
        for _ in range(options.rounds):
            for name in options.only:
                for factor in (step, 1 / step):
                    other = changed(given, name, factor)
                    found = score(other)
                    if found < best - 1e-5:
                        best, given = found, other
                        print(f"{best:.5f} {name} {getattr(given, name):.4g}", flush=True)
                        break
            step = step**0.6
    print("\n".join(f"{name}: {value:.3g}" for name, value in asdict(given).items() if isinstance(value, float)))


if __name__ == "__main__":
    main()
