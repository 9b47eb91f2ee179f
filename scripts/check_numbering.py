"""How good numbering is on simulated arches, beside two simpler ways, and whether its confidences hold.

    python scripts/check_numbering.py [--patients N] [--seed S]

The simple ways: the best class of each tooth with its side of the midline ("argmax"), and the cheapest assignment of
teeth to numbers by class and side without regard to order ("Hungarian"). Jaws are as in numbering for all three.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "TeethSeg"))

from teethseg.anatomy import TEETH, arch
from teethseg.cascade.instance_features import InstanceEvidence
from teethseg.cascade.jaw_assignment import split_jaws
from teethseg.cascade.numbering import MidlinePrior, number_teeth
from teethseg.simulation.centroids import ArchSettings, simulate_evidence

CASES = {
    "3 % missing, 5 % class errors": ArchSettings(0.03, 0.05),
    "10 %, 10 %": ArchSettings(0.10, 0.10),
    "20 %, 20 %": ArchSettings(0.20, 0.20),
    "20 %, 40 %": ArchSettings(0.20, 0.40),
    "10 %, 10 %, tilted and turned": ArchSettings(0.10, 0.10, tilt=15, turn=12),
    "10 %, 10 %, an extra tooth in every other arch": ArchSettings(0.10, 0.10, extras=0.5),
    "one jaw, 10 %, 10 %": ArchSettings(0.10, 0.10, jaws=("lower",)),
    "small field, 10 %, 10 %": ArchSettings(0.10, 0.10, small_field=True, jaws=("upper",)),
    "small field, 20 %, 20 %": ArchSettings(0.20, 0.20, small_field=True, jaws=("upper",)),
    "small field, both jaws, 10 %, 10 %": ArchSettings(0.10, 0.10, small_field=True),
}


def argmax_numbers(evidence: Sequence[InstanceEvidence], midline_x: float) -> list[int]:
    numbers = []
    for tooth, upper in zip(evidence, _upper(evidence), strict=True):
        position = int(tooth.position_log_probs.argmax()) + 1
        side = 8 + position - 1 if tooth.centroid_lps[0] > midline_x else 8 - position
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


class Tally:
    """Counts right teeth and wholly right patients."""

    def __init__(self):
        self.right = self.teeth = self.whole = self.patients = 0

    def add(self, found: Sequence[int], truth: Sequence[int]) -> None:
        right = sum(a == b for a, b in zip(found, truth, strict=True))
        self.right += right
        self.teeth += len(truth)
        self.whole += right == len(truth)
        self.patients += 1

    def __str__(self) -> str:
        return f"{100 * self.right / self.teeth:.1f} / {100 * self.whole / self.patients:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=300, help="per case")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    print("Teeth numbered right, % / patients wholly right, %\n")
    print("| case | argmax + side | Hungarian | TeethSeg | sure (>= 0.9) | right of the sure |")
    print("| --- | --- | --- | --- | --- | --- |")
    confidence, hit = [], []
    seconds = 0.0
    for name, settings in CASES.items():
        rng = np.random.default_rng(options.seed)
        tallies = Tally(), Tally(), Tally()
        first = len(hit)
        for _ in range(options.patients):
            case = simulate_evidence(rng, settings)
            if not case.fdi:
                continue
            # A whole head is centred within a few millimetres; a small field may be anywhere.
            guess = case.midline_x + rng.normal(0, 4)
            prior = None if settings.small_field else MidlinePrior(guess)
            middle = np.mean([t.centroid_lps[0] for t in case.evidence]) if prior is None else guess
            start = time.process_time()
            numbered = number_teeth(case.evidence, prior)
            seconds += time.process_time() - start
            tallies[0].add(argmax_numbers(case.evidence, middle), case.fdi)
            tallies[1].add(hungarian_numbers(case.evidence, middle), case.fdi)
            tallies[2].add([tooth.fdi for tooth in numbered], case.fdi)
            confidence += [tooth.confidence for tooth in numbered]
            hit += [tooth.fdi == fdi for tooth, fdi in zip(numbered, case.fdi, strict=True)]
        sure = np.array(confidence[first:]) >= 0.9
        right = np.array(hit[first:])
        columns = [*map(str, tallies), f"{100 * sure.mean():.1f} %", f"{100 * right[sure].mean():.2f} %"]
        print(f"| {name} | " + " | ".join(columns) + " |", flush=True)

    print(f"\n{seconds / (options.patients * len(CASES)):.3f} s of CPU a patient. Confidences over all cases:\n")
    print("| confidence | teeth | right |")
    print("| --- | --- | --- |")
    confidence, hit = np.array(confidence), np.array(hit)
    for low, high in ((0, 0.5), (0.5, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 0.99), (0.99, 1.01)):
        chosen = (confidence >= low) & (confidence < high)
        if chosen.any():
            print(f"| {low:.2f} to {min(high, 1):.2f} | {chosen.sum()} | {100 * hit[chosen].mean():.1f} % |")


if __name__ == "__main__":
    main()
