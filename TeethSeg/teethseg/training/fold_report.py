"""Report of a cross-validation: one HTML file that opens offline."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from ..io.atomic_write import written_whole
from ..io.json_text import json_text
from ..pictures.slices import slice_sheet
from ..volume import Volume
from .case_scores import POSITIONS, CaseScores
from .plots import best_step, curves, history

RESULTS, REPORT = "folds-results.json", "report.html"
SCORES = ("dice", "precision", "recall", "position_accuracy")


@dataclass(frozen=True)
class Group:
    """A fold, or the test set, with the scores of its cases; a fold has a run, whose curves are shown."""

    name: str
    cases: tuple[CaseScores, ...]
    run: Path | None = None


@dataclass(frozen=True)
class CasePicture:
    """PNG of one of the worst cases: slices with the reference (solid) and the result (dashed)."""

    title: str
    png: bytes


def worst_case_picture(
    scores: CaseScores, found: np.ndarray, labels: np.ndarray, image: np.ndarray, spacing: float
) -> CasePicture:
    """Picture of a case from arrays (Z, Y, X) on the grid of the stage."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "case.png")
        scan = Volume(np.asarray(image), (spacing,) * 3)
        slice_sheet(scan, scan.with_array(labels), scan.with_array(found.astype(np.uint8)), file, width=900)
        return CasePicture(f"{scores.case}: Dice {scores.dice:.3f}", file.read_bytes())


def spread(cases: Sequence[CaseScores], score: str) -> tuple[float, float]:
    """Mean and standard deviation over cases."""
    values = [getattr(one, score) for one in cases]
    values = [value for value in values if not np.isnan(value)]
    return (float(np.mean(values)), float(np.std(values))) if values else (float("nan"), float("nan"))


def write_report(run: Path, groups: Sequence[Group], pictures: Sequence[CasePicture], looks: Sequence[str]) -> None:
    """Write `folds-results.json` and `report.html` into a run's folder."""
    content = {
        group.name: {
            **{score: spread(group.cases, score)[0] for score in SCORES},
            "cases": {one.case: {score: getattr(one, score) for score in SCORES} for one in group.cases},
            "confusion": np.sum([one.confusion for one in group.cases], axis=0).tolist() if group.cases else [],
        }
        for group in groups
    }
    with written_whole(run / RESULTS) as draft:
        draft.write_text(json_text(content, indent=1), encoding="utf-8")
    with written_whole(run / REPORT) as draft:
        draft.write_text(_page(groups, pictures, looks), encoding="utf-8")


_HEAD = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Cross-validation</title><style>
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:64em;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse;margin:1em 0}td,th{padding:.3em .8em;border-top:1px solid #ccc;text-align:right}
td:first-child,th:first-child{text-align:left}img,svg{max-width:100%}.right{background:#dcefdc}.wrong{background:#f7dcd8}
</style></head><body><h1>Cross-validation by patient</h1>
"""


def _page(groups: Sequence[Group], pictures: Sequence[CasePicture], looks: Sequence[str]) -> str:
    parts = [_HEAD, _table(groups)]
    if len(looks) > 1:
        parts.append(
            f"<p><b>The test set was looked at {len(looks)} times</b> ({escape(', '.join(looks))}): what was changed after the "
            "first look was chosen by it, so later figures are too good.</p>"
        )
    parts.append("<h2>Positions</h2><p>Teeth by true position (rows) and by the network's (columns), of all folds.</p>")
    parts.append(_confusion(sum(one.confusion for group in groups if group.run for one in group.cases)))
    for group in groups:
        if group.run is not None:
            logged = history(group.run)
            best = best_step(logged)
            best_text = f", best at step {best:.0f}" if best is not None else ""
            parts.append(f"<h2>{escape(group.name)}{best_text}</h2>{''.join(curves(logged))}")
    if pictures:
        parts.append("<h2>Worst cases</h2><p>Coloured: the labels. Dashed: what the network found.</p>")
    for one in pictures:
        data = base64.b64encode(one.png).decode("ascii")
        parts.append(f"<h3>{escape(one.title)}</h3><img alt='slices' src='data:image/png;base64,{data}'>")
    return "\n".join([*parts, "</body></html>\n"])


def _table(groups: Sequence[Group]) -> str:
    rows = ["<table><tr><th></th><th>cases</th>" + "".join(f"<th>{name.replace('_', ' ')}</th>" for name in SCORES)]
    folds = [group for group in groups if group.run is not None]
    together = Group("all folds", tuple(one for group in folds for one in group.cases))
    for group in (*folds, together, *(group for group in groups if group.run is None)):
        cells = (f"<td>{mean:.3f} ± {sd:.3f}</td>" for mean, sd in (spread(group.cases, score) for score in SCORES))
        rows.append(f"<tr><td>{escape(group.name)}</td><td>{len(group.cases)}</td>{''.join(cells)}</tr>")
    return "".join([*rows, "</table><p>Mean and standard deviation over cases.</p>"])


def _confusion(table: np.ndarray | int) -> str:
    if isinstance(table, int):
        return ""
    head = "".join(f"<th>{n}</th>" for n in range(1, POSITIONS + 1))
    rows = [f"<table><tr><th></th>{head}</tr>"]
    for true in range(POSITIONS):
        cells = "".join(
            f"<td class='{'right' if predicted == true else 'wrong' if count else ''}'>{count or ''}</td>"
            for predicted, count in enumerate(table[true].tolist())
        )
        rows.append(f"<tr><td>{true + 1}</td>{cells}</tr>")
    return "".join([*rows, "</table>"])
