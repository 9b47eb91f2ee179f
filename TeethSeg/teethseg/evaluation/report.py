"""An evaluation as JSON and as tables."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from ..io.json_text import json_text
from .metrics import Evaluation, Spread
from .strata import ORDER, Stratum


def to_json(evaluation: Evaluation) -> str:
    """The evaluation as indented JSON; undefined scores are null."""
    return json_text(asdict(evaluation), indent=2)


def print_report(evaluation: Evaluation, console: Console | None = None) -> None:
    """Print a summary and a table with a row for every reference tooth, to standard output by default."""
    console = console or Console()
    console.print(_summary(evaluation))
    if evaluation.teeth:
        console.print(_teeth(evaluation))
    if evaluation.unmatched:
        console.print("Predicted teeth that match none: " + ", ".join(map(str, evaluation.unmatched)))


def strata_to_json(strata: dict[str, Stratum], cases: dict[str, Evaluation]) -> str:
    """All cases and all strata as indented JSON."""
    content = {
        "strata": {name: asdict(strata[name]) for name in ORDER if name in strata},
        "cases": {name: asdict(scores) for name, scores in cases.items()},
    }
    return json_text(content, indent=2)


def print_strata(strata: dict[str, Stratum], cases: dict[str, Evaluation], console: Console | None = None) -> None:
    """Print a row for every scan and every stratum, to standard output by default."""
    console = console or Console()
    table = Table(Column("case", no_wrap=True), "Dice", "NSD 0.5", "F1", "FDI F1", "merges", "splits", title="Scans")
    for name, scores in cases.items():
        binary, instances = scores.binary, scores.instances
        row = map(_number, (binary.dice, binary.nsd_05, instances.f1, scores.numbering.fdi_f1))
        table.add_row(name, *row, str(instances.merges), str(instances.splits))
    console.print(table)
    table = Table(Column("teeth", no_wrap=True), "count", "found", "number right", "of found", "Dice", title="Strata")
    for name in ORDER:
        if name in strata:
            some = strata[name]
            table.add_row(
                name,
                str(some.teeth),
                _percent(some.found, some.teeth),
                _percent(some.right, some.teeth),
                _percent(some.right, some.found),
                _number(float(np.median(some.dice)) if some.dice else None),
            )
    console.print(table)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _summary(evaluation: Evaluation) -> Table:
    binary, instances, numbering = evaluation.binary, evaluation.instances, evaluation.numbering
    table = Table("score", "value", title="Tooth segmentation")
    sections = {
        "tooth or not": [
            ("Dice", _number(binary.dice)),
            ("NSD at 0.5 mm / 1.0 mm", f"{_number(binary.nsd_05)} / {_number(binary.nsd_10)}"),
            ("HD95", _number(binary.hd95_mm, 2, " mm")),
        ],
        "teeth found (IoU at least 0.5)": [
            ("reference / predicted / matched", f"{instances.reference} / {instances.predicted} / {instances.matched}"),
            ("precision / recall", f"{_number(instances.precision)} / {_number(instances.recall)}"),
            ("F1 (RQ)", _number(instances.f1)),
            ("SQ by IoU / Dice", f"{_number(instances.sq)} / {_number(instances.sq_dice)}"),
            ("PQ by IoU / Dice", f"{_number(instances.pq)} / {_number(instances.pq_dice)}"),
            ("merges / splits", f"{instances.merges} / {instances.splits}"),
        ],
        "numbers": [
            ("FDI instance F1", _number(numbering.fdi_f1)),
            ("FDI / position / jaw right", " / ".join(map(_number, _accuracies(evaluation)))),
            ("arches all right", ", ".join(f"{jaw} {_yes(r)}" for jaw, r in numbering.arches_right.items()) or "-"),
            ("shifted by one / sides swapped", f"{numbering.shifted_by_one} / {numbering.swapped_sides}"),
        ],
        "matched teeth: median (bad end)": [
            ("Dice", _spread(evaluation.per_tooth["dice"])),
            ("NSD at 0.5 mm", _spread(evaluation.per_tooth["nsd_05"])),
            ("ASSD", _spread(evaluation.per_tooth["assd_mm"], 2, " mm")),
            ("volume error", _spread(evaluation.per_tooth["volume_error_percent"], 1, " %")),
        ],
    }
    for section, rows in sections.items():
        table.add_row(f"[bold]{section}[/bold]", "")
        for name, value in rows:
            table.add_row(f"  {name}", value)
        table.add_section()
    return table


def _teeth(evaluation: Evaluation) -> Table:
    table = Table(title="Reference teeth")
    for heading in ("FDI", "called", "Dice", "NSD 0.5 mm", "ASSD mm", "volume error %", "note"):
        table.add_column(heading, justify="left" if heading == "note" else "right")
    for tooth in evaluation.teeth:
        if tooth.predicted_fdi is None:
            note = "[red]not found[/red]"
        elif not tooth.number_right:
            note = "[red]wrong number[/red]"
        else:
            note = "outline not judged" if tooth.left_out else ""
        table.add_row(
            str(tooth.fdi),
            str(tooth.predicted_fdi or "-"),
            _number(tooth.dice),
            _number(tooth.nsd_05),
            _number(tooth.assd_mm, 2),
            _number(tooth.volume_error_percent, 1),
            note,
        )
    return table


def _accuracies(evaluation: Evaluation) -> tuple[float | None, ...]:
    numbering = evaluation.numbering
    return numbering.fdi_accuracy, numbering.position_accuracy, numbering.jaw_accuracy


def _number(value: float | None, digits: int = 3, unit: str = "") -> str:
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def _spread(spread: Spread, digits: int = 3, unit: str = "") -> str:
    return f"{_number(spread.median, digits, unit)} ({_number(spread.tail, digits, unit)})"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
