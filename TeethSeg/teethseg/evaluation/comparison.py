"""Comparison of two sets of weights on the same scans, with a bootstrap over patients.

Scans of one patient are similar, so patients are resampled, not scans: an interval that treats scans as independent is too
narrow (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 8.6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from ..io.json_text import json_text
from ..volume import Volume
from .common_grid import on_common_grid
from .metrics import evaluate

if TYPE_CHECKING:
    from ..cascade.weights import Weights

SCORES = {
    "dice": "Dice of the tooth mask",
    "f1": "teeth found (F1)",
    "fdi_f1": "teeth found with the right number (F1)",
    "pq_dice": "panoptic quality",
}
_LEVEL = 95.0  # per cent


@dataclass(frozen=True)
class ScoredCase:
    """Scores of one scan with both weights, by the names of `SCORES`."""

    case: str
    patient: str
    first: dict[str, float]
    second: dict[str, float]


@dataclass(frozen=True)
class ScoreDifference:
    """One score of both weights over all patients.

    Attributes
    ----------
    score : str
    first, second : float
        Mean over patients of the mean over the scans of a patient.
    difference, low, high : float
        Second minus first, and its 95 % interval.
    patients : int
    """

    score: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    patients: int

    def sentence(self, first: str, second: str) -> str:
        """The result as a sentence."""
        interval = f"95 % interval {self.low:+.4f} to {self.high:+.4f}, {self.patients} patients"
        score = SCORES[self.score]
        if self.patients < 2:
            return f"{score}: {second} {self.difference:+.4f} to {first}; of one patient nothing follows for others."
        if self.low > 0 or self.high < 0:
            better, worse = (second, first) if self.difference > 0 else (first, second)
            return f"{score}: {better} is better than {worse} by {abs(self.difference):.4f} ({interval})."
        return f"{score}: no difference can be told ({second} {self.difference:+.4f} to {first}; {interval})."


def score_scan(scan: Volume, expected: Volume, weights: Weights, device: str = "auto") -> dict[str, float]:
    """Segment a scan and score the result.

    Parameters
    ----------
    scan : Volume
        Checked by `scan_checks.check_scan`.
    expected : Volume
        FDI numbers; 91-94 and 255 as in `metrics.evaluate`.
    """
    from ..cascade.pipeline import segment  # loads PyTorch, which intervals do not need

    labels = segment(scan, weights, device).dentition.labels
    found, expected, _ = on_common_grid(labels, expected)
    judged = evaluate(found, expected)
    of = {"dice": judged.binary.dice, "f1": judged.instances.f1, "fdi_f1": judged.numbering.fdi_f1}
    of["pq_dice"] = judged.instances.pq_dice if judged.instances.pq_dice is not None else 0.0
    return {name: float(value) for name, value in of.items()}


def compare_scores(scored: Sequence[ScoredCase], resamples: int, seed: int) -> list[ScoreDifference]:
    """Means, differences and intervals of every score.

    Parameters
    ----------
    scored : sequence of ScoredCase
    resamples, seed : int
        Number of resamples and seed of the bootstrap; the same values give the same result.
    """
    patients = sorted({one.patient for one in scored})
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(patients), size=(resamples, len(patients)))
    results = []
    for score in SCORES:
        pairs = np.array(
            [
                np.mean([(one.first[score], one.second[score]) for one in scored if one.patient == patient], axis=0)
                for patient in patients
            ]
        )
        difference = pairs[:, 1] - pairs[:, 0]
        low, high = np.percentile(difference[drawn].mean(axis=1), [(100 - _LEVEL) / 2, (100 + _LEVEL) / 2])
        first, second = pairs.mean(axis=0)
        results.append(
            ScoreDifference(
                score,
                float(first),
                float(second),
                float(difference.mean()),
                float(low),
                float(high),
                len(patients),
            )
        )
    return results


def comparison_to_json(names: Sequence[str], scored: Sequence[ScoredCase], results: Sequence[ScoreDifference]) -> str:
    """Results and cases as indented JSON."""
    content: dict[str, Any] = {"first": names[0], "second": names[1]}
    content |= {"results": [asdict(one) for one in results], "cases": [asdict(one) for one in scored]}
    return json_text(content, indent=2)


def comparison_table(names: Sequence[str], scored: Sequence[ScoredCase], results: Sequence[ScoreDifference]) -> Table:
    """Table with a row for every score."""
    table = Table(title=f"{len(scored)} scans of {results[0].patients} patients")
    table.add_column("score")
    for heading in (*names, "difference", "95 % interval"):
        table.add_column(heading, justify="right")
    for one in results:
        interval = f"{one.low:+.4f} to {one.high:+.4f}"
        table.add_row(SCORES[one.score], f"{one.first:.4f}", f"{one.second:.4f}", f"{one.difference:+.4f}", interval)
    return table
