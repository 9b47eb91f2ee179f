#!/usr/bin/env python3
"""Accuracy of the numbering on simulated mouths, by kind of mouth, and calibration of its confidences.

    python scripts/check_numbering.py [--mouths N] [--seed S] [--processes P] [--plain] [--given-kind]

Kinds of mouths are drawn by their shares (`simulation.mouths`); children with mixed dentition are evaluated separately,
with and without the networks' predictions of deciduous teeth and germs. A number counts as sure from a confidence of
`SURE` on. `--plain` also gives two simpler methods: the best class of each tooth with its side of the midline
("argmax"), and the cheapest assignment of teeth to numbers by class and side without regard to order ("Hungarian").
`--given-kind` evaluates a model that knows the kind of each mouth, with the rates and the closing of gaps of that kind. Its
errors show the limit of the evidence, because no scan gives as much. The last table lists which teeth are mistaken for
which. Parameters were fitted on mouths of other seeds (fit_numbering.py: 100000 and up).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "TeethSeg"))

from teethseg.anatomy import TEETH, arch
from teethseg.cascade.instance_features import InstanceEvidence
from teethseg.cascade.jaw_assignment import split_jaws
from teethseg.cascade.numbering import MidlinePrior, number_teeth
from teethseg.cascade.numbering_parameters import FITTED, NumberingParameters
from teethseg.cascade.tooth_properties import SURE
from teethseg.simulation.centroids import simulate_evidence
from teethseg.simulation.mouths import SHARES, random_mouth

CHILDREN = "mixed dentition"
_NEVER = 1e-4
# By kind: rates of gaps closed wholly and in part, as `simulation.mouths` draws them, and other rates that differ.
_KNOWN: dict[str, dict[str, float]] = {
    "teeth lost": {"closed": 0.2, "part_closed": 0.3, "closed_molar": 0.2, "part_closed_molar": 0.3, "run": 0.001},
    "premolars extracted": {"extracted": 1 - _NEVER, "closed": 0.7, "part_closed": 0.15},
    "lower incisor extracted": {"closed": 0.8, "part_closed": 0.15},
    "first molars lost": {"closed_molar": 0.35, "part_closed_molar": 0.45},
    "third molars moved forward": {"closed_molar": 0.2, "part_closed_molar": 0.7},
    "few teeth": {"few": 0.35, "run": FITTED.run},
    "transposed": {"transposed": 0.1},
    "extra tooth": {"extra": 3e-4},
    "small field": {"run": FITTED.run, "few": 0.2},
}


@dataclass(frozen=True)
class MouthResult:
    """Result for one mouth: (true number, given number, confidence) of every tooth; 0 is an extra tooth.

    `no_place`: true teeth without a place left; they got their likeliest free number, uncertain and marked.
    """

    kind: str
    teeth: list[tuple[int, int, float]]
    no_place: int
    argmax: int
    hungarian: int
    seconds: float

    @property
    def true_teeth(self) -> list[tuple[int, int, float]]:
        return [one for one in self.teeth if one[0]]

    @property
    def sure_and_wrong(self) -> bool:
        """Whether a sure number is wrong or belongs to an extra tooth."""
        return any(found and confidence >= SURE and found != true for true, found, confidence in self.teeth)


@cache
def parameters_of_kind(kind: str) -> NumberingParameters:
    """Parameters of a model that knows the kind of mouth."""
    rates = np.full(7, _NEVER)
    if kind not in ("premolars extracted", "few teeth", "small field"):
        count, rng = 400, np.random.default_rng(300_000)
        for _ in range(count):
            there = [tooth.fdi % 10 for tooth in random_mouth(rng, kind).teeth if tooth.fdi]
            rates += 1 / count - np.bincount(there, minlength=9)[1:8] / (4 * count)
    patterns = ("laterals", "incisor", "first_molars", "second_molars")
    usual = {"losing": _NEVER, "extracted": _NEVER, "few": _NEVER, "transposed": _NEVER, "run": 1e-5}
    usual |= dict.fromkeys(patterns, _NEVER / 10)
    return replace(FITTED, **usual | _KNOWN.get(kind, {}), rates=tuple(np.clip(rates, 1e-3, 0.97).tolist()))


def evaluate_mouth(work: tuple[int, str | None, bool, bool, bool]) -> MouthResult:
    """Numbers of the mouth of a seed, compared with the true ones.

    `work` holds the seed, the kind (None: by the shares), and whether to use the heads for children's teeth, the simple
    methods, and a numbering that knows the kind.
    """
    seed, kind, heads, plain, kind_known = work
    rng = np.random.default_rng(seed)
    case = simulate_evidence(rng, kind)
    evidence = case.evidence
    if kind and not heads:
        evidence = tuple(replace(e, deciduous_probability=None, germ_probability=None) for e in evidence)
    # A whole head is centred within some millimetres; a small field may be anywhere.
    guess = case.midline_x + rng.normal(0, 4)
    start = time.process_time()
    parameters = parameters_of_kind(case.kind) if kind_known else FITTED
    found = number_teeth(evidence, MidlinePrior(guess, 10.0) if case.midline_known else None, parameters)
    seconds = time.process_time() - start
    teeth = [(true, one.fdi, one.confidence) for true, one in zip(case.fdi, found, strict=True)]
    simple = [0, 0]
    if plain:
        middle = guess if case.midline_known else float(np.mean([e.centroid_lps[0] for e in evidence]))
        simple_numbers = argmax_numbers(evidence, middle), hungarian_numbers(evidence, middle)
        simple = [sum(a == b for a, b in zip(given, case.fdi, strict=True) if b) for given in simple_numbers]
    no_place = sum(one.extra for true, one in zip(case.fdi, found, strict=True) if true)
    return MouthResult(case.kind, teeth, no_place, *simple, seconds)


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


def row(name: str, share: str, mouths: Sequence[MouthResult], plain: bool) -> str:
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
        f"{sum(mouth.no_place for mouth in mouths)}",
    ]
    if plain:
        cells += [f"{100 * sum(getattr(m, way) for m in mouths) / len(teeth):.1f}" for way in ("argmax", "hungarian")]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mouths", type=int, default=2000, help="of adults, and a tenth as many children")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="evaluate the two simpler methods, too")
    parser.add_argument("--given-kind", action="store_true", help="evaluate a model that knows the kind of each mouth")
    parser.add_argument("--told", dest="given_kind", action="store_true", help=argparse.SUPPRESS)  # its old name
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.mouths)
    children = seeds[: max(options.mouths // 10, 1)]
    with Pool(options.processes) as pool:
        adults = pool.map(
            evaluate_mouth, [(seed, None, False, options.plain, options.given_kind) for seed in seeds], chunksize=8
        )
        children_with_heads = pool.map(
            evaluate_mouth, [(seed, CHILDREN, True, options.plain, False) for seed in children], chunksize=8
        )
        children_without_heads = pool.map(
            evaluate_mouth, [(seed, CHILDREN, False, options.plain, False) for seed in children], chunksize=8
        )

    columns = ["mouths", "share, %", "count", "teeth", "numbers right, %", "called sure, %", "right of the sure, %"]
    columns += ["mouths with a sure wrong number, %", "left out", "no place left"] + [
        "argmax, %",
        "Hungarian, %",
    ] * options.plain
    print("| " + " | ".join(columns) + " |\n" + "| --- " * len(columns) + "|")
    for kind, share in SHARES.items():
        if of_kind := [mouth for mouth in adults if mouth.kind == kind]:
            print(row(kind, f"{100 * share / sum(SHARES.values()):.0f}", of_kind, options.plain))
    print(row("**all**", "100", adults, options.plain))
    print(row("children, deciduous teeth and germs predicted", "", children_with_heads, options.plain))
    print(row("children, neither predicted", "", children_without_heads, options.plain))

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
        (0.9, 0.99),
        (0.99, SURE),
        (SURE, 0.999),
        (0.999, 1.01),
    ):
        chosen = (confidence >= low) & (confidence < high)
        if chosen.any():
            print(f"| {low:.3g} to {min(high, 1):.3g} | {chosen.sum()} | {100 * hit[chosen].mean():.2f} % |")
    print_mistakes(adults)


def print_mistakes(mouths: Sequence[MouthResult], most: int = 12) -> None:
    """The commonest mistakes: which teeth of a quadrant are missing, and which numbers its teeth got."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for mouth in mouths:
        for quadrant in range(1, 5):
            teeth = sorted(one for one in mouth.true_teeth if one[0] // 10 == quadrant)
            wrong = [f"{true % 10} as {found % 10 or 'none'}" for true, found, _ in teeth if found != true]
            there = {true % 10 for true, *_ in teeth}
            missing = " ".join(str(position) for position in range(1, 8) if position not in there)
            if wrong:
                third = "there" if 8 in there else "missing"
                counts[missing or "none", third, ", ".join(wrong)] += len(wrong)
    print("\n| missing in the quadrant | third molar | mistaken | teeth |\n| --- | --- | --- | --- |")
    for cells, count in counts.most_common(most):
        print("| " + " | ".join((*cells, str(count))) + " |")
    print(f"| all others | | | {counts.total() - sum(count for _, count in counts.most_common(most))} |")


if __name__ == "__main__":
    main()
