"""Curves as SVG text: every browser shows it, and no plotting library is needed."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path

DONE = "steps_done"  # a column of the log
Points = Sequence[tuple[float, float]]
_COLOURS = ("#1f6fb4", "#d1651b", "#2c8a3f", "#a3337a", "#6b5bb5", "#8a6a12")
_SVG = 'xmlns="http://www.w3.org/2000/svg"'
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 300, 64, 44, 28, 12


def line_plot(
    curves: Mapping[str, Points], title: str, across: str, *, mark: float | None = None, log: bool = False
) -> str:
    """An SVG of curves over a common axis.

    Parameters
    ----------
    curves : mapping of str to points (x, y)
        By name; points that are not finite are left out.
    title, across : str
        Titles of the picture and of the horizontal axis.
    mark : float, optional
        Place of a dashed vertical line.
    log : bool
        Whether the horizontal axis is logarithmic.
    """
    kept = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in curves.items()}
    places = [point for points in kept.values() for point in points]
    if not places:
        return f'<svg {_SVG} width="{_WIDTH}" height="40"><text x="8" y="24">{escape(title)}: no values</text></svg>'

    def scaled(x: float) -> float:
        return math.log10(x) if log else x

    low_x, high_x = min(scaled(x) for x, _ in places), max(scaled(x) for x, _ in places)
    low_y, high_y = min(y for _, y in places), max(y for _, y in places)

    def at(x: float, y: float) -> tuple[float, float]:
        right = _LEFT + (scaled(x) - low_x) / ((high_x - low_x) or 1) * (_WIDTH - _LEFT - _RIGHT)
        return right, _HEIGHT - _BOTTOM - (y - low_y) / ((high_y - low_y) or 1) * (_HEIGHT - _BOTTOM - _TOP)

    parts = [
        f'<svg {_SVG} viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="18" font-size="14">{escape(title)}</text>',
        f'<path d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}" fill="none" stroke="#555"/>',
    ]
    for y, place in ((low_y, _HEIGHT - _BOTTOM), (high_y, _TOP + 4)):
        parts.append(f'<text x="{_LEFT - 6}" y="{place}" text-anchor="end">{y:.3g}</text>')
    ends = (10**low_x, 10**high_x) if log else (low_x, high_x)
    for x, anchor in zip(ends, ("start", "end"), strict=True):
        place = _LEFT if anchor == "start" else _WIDTH - _RIGHT
        parts.append(f'<text x="{place}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="{anchor}">{x:.3g}</text>')
    parts.append(f'<text x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>')
    if mark is not None and low_x <= scaled(mark) <= high_x:
        right = at(mark, low_y)[0]
        parts.append(f'<path d="M{right:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#888" stroke-dasharray="4 4"/>')
        parts.append(f'<text x="{right + 4:.1f}" y="{_TOP + 12}" fill="#555">{mark:.3g}</text>')
    for number, (name, points) in enumerate(kept.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        parts.append(
            f'<text x="{_WIDTH - _RIGHT}" y="{_TOP + 14 * number}" text-anchor="end" fill="{colour}">{escape(name)}</text>'
        )
    return "\n".join([*parts, "</svg>"])


def history(run: Path) -> dict[str, list[tuple[float, float]]]:
    """The log of a run over all its calls: points (steps done, value) by name."""
    found: dict[str, dict[float, float]] = {}
    for log in sorted(run.glob("log/version_*/metrics.csv"), key=lambda file: int(file.parent.name.partition("_")[2])):
        with log.open(encoding="utf-8", newline="") as file:
            done: dict[str, float] = {}
            for row in csv.DictReader(file):
                with suppress(ValueError, TypeError):  # a line that a kill or a full disk cut off
                    # After a resume, the step numbers of Lightning are one ahead.
                    done[row["step"]] = float(row.get(DONE) or done.get(row["step"]) or float(row["step"]) + 1)
                    for name, value in row.items():
                        if value and name not in ("step", "epoch", DONE):
                            found.setdefault(name, {})[done[row["step"]]] = float(value)
    return {name: sorted(points.items()) for name, points in found.items()}


def best_step(logged: Mapping[str, Points]) -> float | None:
    """The step of the lowest validation loss."""
    points = logged.get("val_loss")
    return min(points, key=lambda point: point[1])[0] if points else None


def curves(logged: Mapping[str, Points]) -> list[str]:
    """SVGs of losses and of scores, with the best state marked."""
    mark = best_step(logged)
    losses = {name: points for name, points in logged.items() if name.endswith("_loss")}
    scores = {name: points for name, points in logged.items() if name.endswith(("_dice", "_accuracy"))}
    return [
        line_plot(chosen, title, "step", mark=mark)
        for chosen, title in ((losses, "Loss"), (scores, "Scores"))
        if chosen
    ]
