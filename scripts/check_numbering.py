#!/usr/bin/env python3
"""How good numbering is on simulated mouths, kind by kind, and whether its confidences hold.

    python scripts/check_numbering.py [--mouths N] [--seed S] [--processes P] [--plain]

Kinds of mouths are drawn by their shares (`simulation.mouths`); children with mixed dentition are judged apart, with and
without the networks' word on deciduous teeth and germs. A number is called sure from a confidence of `SURE` on. `--plain`
also gives two simpler ways: the best class of each tooth with its side of the midline ("argmax"), and the cheapest
assignment of teeth to numbers by class and side without regard to order ("Hungarian"). Parameters were fitted on mouths of
other seeds (fit_numbering.py: 100000 and up).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "TeethSeg"))

from teethseg.anatomy import TEETH, arch
from teethseg.cascade.instance_features import InstanceEvidence
from teethseg.cascade.jaw_assignment import split_jaws
from teethseg.cascade.numbering import MidlinePrior, number_teeth
from teethseg.cascade.tooth_properties import SURE
from teethseg.simulation.centroids import simulate_evidence
from teethseg.simulation.mouths import SHARES

CHILDREN = "mixed dentition"


@dataclass(frozen=True)
class Judged:
    """What came out of one mouth: (true number, given number, confidence) of every tooth; 0 is an extra tooth."""

    kind: str
    teeth: list[tuple[int, int, float]]
    argmax: int
    hungarian: int
    seconds: float

    @property
    def true_teeth(self) -> list[tuple[int, int, float]]:
        return [one for one in self.teeth if one[0]]

    @property
    def sure_and_wrong(self) -> bool:
        """Whether a number is called sure that is wrong, or an extra tooth's."""
        return any(found and confidence >= SURE and found != true for true, found, confidence in self.teeth)


def judged(work: tuple[int, str | None, bool, bool]) -> Judged:
    """A mouth of a seed: its kind (None: by the shares), with the heads for children's teeth or not, simple ways too."""
    seed, kind, heads, plain = work
    rng = np.random.default_rng(seed)
    case = simulate_evidence(rng, kind)
    evidence = case.evidence
    if kind and not heads:
        evidence = tuple(replace(e, deciduous_probability=None, germ_probability=None) for e in evidence)
    # A whole head is centred within some millimetres; a small field may be anywhere.
    guess = case.midline_x + rng.normal(0, 4)
    start = time.process_time()
    found = number_teeth(evidence, MidlinePrior(guess, 10.0) if case.midline_known else None)
    seconds = time.process_time() - start
    teeth = [(true, one.fdi, one.confidence) for true, one in zip(case.fdi, found, strict=True)]
    simple = [0, 0]
    if plain:
        middle = guess if case.midline_known else float(np.mean([e.centroid_lps[0] for e in evidence]))
        ways = argmax_numbers(evidence, middle), hungarian_numbers(evidence, middle)
        simple = [sum(a == b for a, b in zip(way, case.fdi, strict=True) if b) for way in ways]
    return Judged(case.kind, teeth, *simple, seconds)


def argmax_numbers(evidence: Sequence[InstanceEvidence], midline_x: float) -> list[int]:
    numbers = []
    for tooth, upper in zip(evidence, _upper(evidence), strict=True):
        side = 7 + tooth.position if tooth.centroid_lps[0] > midline_x else 8 - tooth.position
        numbers.append(arch("upper" if upper else "lower")[side])
    return numbers


def hungarian_numbers(evidence: Sequence[InstanceEvidence], midline_x: float) -> list[int]:
    upper = _upper(evidence)
    numbers = [0] * len(evidence)
    for jaw in ("upper", "lower"):
        members = [i for i in range(len(evidence)) if upper[i] == (jaw == "upper")]
        cost = np.zeros((len(members), 16))
        for row, i in enumerate(members):
            side = np.array([1 if TEETH[fdi].side == "left" else -1 for fdi in arch(jaw)])
            wrong = np.maximum(-side * (evidence[i].centroid_lps[0] - midline_x), 0)
            looks = [evidence[i].position_log_probs[fdi % 10 - 1] for fdi in arch(jaw)]
            cost[row] = 0.5 * (wrong / 7) ** 2 - looks
        for row, place in zip(*linear_sum_assignment(cost), strict=True):
            numbers[members[row]] = arch(jaw)[place]
    return numbers


def _upper(evidence: Sequence[InstanceEvidence]) -> np.ndarray:
    centroids = np.array([tooth.centroid_lps for tooth in evidence])
    return split_jaws(centroids, np.array([tooth.upper_probability for tooth in evidence])).upper > 0.5


def row(name: str, share: str, mouths: Sequence[Judged], plain: bool) -> str:
    """A line of the table; per cent but for counts."""
    teeth = [one for mouth in mouths for one in mouth.true_teeth]
    right = np.array([true == found for true, found, _ in teeth])
    sure = np.array([bool(found) and confidence >= SURE for _, found, confidence in teeth])
    left_out = sum(found == 0 for _, found, _ in teeth)
    cells = [
        name,
        share,
        f"{len(mouths)}",
        f"{len(teeth)}",
        f"{100 * right.mean():.2f}",
        f"{100 * sure.mean():.1f}",
        f"{100 * right[sure].mean():.2f}" if sure.any() else "",
        f"{100 * np.mean([mouth.sure_and_wrong for mouth in mouths]):.1f}",
        f"{left_out}",
    ]
    if plain:
        cells += [f"{100 * sum(getattr(m, way) for m in mouths) / len(teeth):.1f}" for way in ("argmax", "hungarian")]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mouths", type=int, default=2000, help="of adults, and a tenth as many children")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="the two simpler ways, too")
    asked = parser.parse_args()
    seeds = range(asked.seed, asked.seed + asked.mouths)
    children = seeds[: max(asked.mouths // 10, 1)]
    with Pool(asked.processes) as pool:
        adults = pool.map(judged, [(seed, None, False, asked.plain) for seed in seeds], chunksize=8)
        told = pool.map(judged, [(seed, CHILDREN, True, asked.plain) for seed in children], chunksize=8)
        untold = pool.map(judged, [(seed, CHILDREN, False, asked.plain) for seed in children], chunksize=8)

    columns = ["mouths", "share, %", "count", "teeth", "numbers right, %", "called sure, %", "right of the sure, %"]
    columns += ["mouths with a sure wrong number, %", "left out"] + ["argmax, %", "Hungarian, %"] * asked.plain
    print("| " + " | ".join(columns) + " |\n" + "| --- " * len(columns) + "|")
    for kind, share in SHARES.items():
        if of_kind := [mouth for mouth in adults if mouth.kind == kind]:
            print(row(kind, f"{100 * share / sum(SHARES.values()):.0f}", of_kind, asked.plain))
    print(row("**all**", "100", adults, asked.plain))
    print(row("children, deciduous teeth and germs told", "", told, asked.plain))
    print(row("children, today's evidence", "", untold, asked.plain))

    print(f"\n{np.mean([mouth.seconds for mouth in adults]):.3f} s of CPU a mouth. Confidences of all adults:\n")
    print("| confidence | teeth | right |\n| --- | --- | --- |")
    teeth = [one for mouth in adults for one in mouth.true_teeth]
    confidence = np.array([one[2] for one in teeth])
    hit = np.array([true == found for true, found, _ in teeth])
    for low, high in (
        (0, 0.5),
        (0.5, 0.7),
        (0.7, 0.8),
        (0.8, 0.9),
        (0.9, SURE),
        (SURE, 0.99),
        (0.99, 0.999),
        (0.999, 1.01),
    ):
        chosen = (confidence >= low) & (confidence < high)
        if chosen.any():
            print(f"| {low:.3g} to {min(high, 1):.3g} | {chosen.sum()} | {100 * hit[chosen].mean():.2f} % |")


if __name__ == "__main__":
    main()
