"""The tooth chart for both windows: its rows and columns, the marks of its places, and where an arrow key leads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..anatomy import Notation, tooth
from ..cascade.dentition import TOUCHES_BORDER, UNCERTAIN_NUMBER
from .i18n import _
from .texts import tooth_text

if TYPE_CHECKING:
    from ..mrml.chart import ChartTooth

SIGNS = {"uncertain": "?", "border": "!", "done": "✓", "missing": "✕"}
COLOURS = {"uncertain": "#e67e00", "border": "#c82828", "done": "#1e8c3c", "missing": "#787878"}
_OF_FLAGS = {UNCERTAIN_NUMBER: "uncertain", TOUCHES_BORDER: "border"}


def chart_rows(places: Iterable[ChartTooth]) -> list[list[ChartTooth]]:
    """Upper permanent, upper deciduous, lower deciduous, lower permanent teeth, the patient's right first.

    Rows of deciduous teeth hold only those that are there.
    """
    rows: list[list[ChartTooth]] = [[], [], [], []]
    for place in places:
        one = tooth(place.fdi)
        rows[int(one.deciduous) if one.jaw == "upper" else 3 - one.deciduous].append(place)
    return rows


def column(fdi: int) -> int:
    """Column of a tooth, 1 to 17 from the patient's right, with the midline as column 9.

    A deciduous tooth has the column of its successor.
    """
    one = tooth(fdi)
    return 9 - one.position if one.side == "right" else 9 + one.position


def marks_of(place: ChartTooth, missing: bool) -> list[str]:
    """The marks of a place (keys of `SIGNS`); `missing` tells whether the user has marked it as missing."""
    marks = [_OF_FLAGS[flag] for flag in place.flags if flag in _OF_FLAGS]
    return marks + ["done"] * place.done + ["missing"] * (missing and not place.present)


def legend_html() -> str:
    """Legend of the marks, as HTML in one line."""
    words = {"uncertain": _("uncertain"), "border": _("cut off"), "done": _("done"), "missing": _("missing")}
    marks = (f'<b style="color: {COLOURS[mark]}">{SIGNS[mark]}</b>&nbsp;{text}' for mark, text in words.items())
    return " &nbsp; ".join(marks)


def chart_number(fdi: int, notation: Notation) -> str:
    """A tooth's number without the signs of its quadrant: the chart itself is Palmer's cross."""
    return tooth_text(fdi, notation).strip("#⏌⎿⎾⏋")


def neighbour(rows: Sequence[Sequence[int]], fdi: int | None, right: int, down: int) -> int | None:
    """The place beside, above or below one; the chart's ends are ends.

    Up and down keep the column; a row that has no tooth there is entered at its nearest one.

    Parameters
    ----------
    rows : sequence of sequences of int
        FDI numbers.
    fdi : int or None
    right, down : int
        Steps.

    Returns
    -------
    int or None
        None if `fdi` is not in the chart.
    """
    filled = [row for row in rows if row]
    at = next((n for n, row in enumerate(filled) if fdi in row), None)
    if at is None:
        return None
    row = filled[at]
    beside = row[min(max(row.index(fdi) + right, 0), len(row) - 1)]
    beyond = filled[min(max(at + down, 0), len(filled) - 1)]
    return min(beyond, key=lambda one: abs(column(one) - column(beside)))
