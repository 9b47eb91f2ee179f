"""The one-click tools of the panel: what each needs from the user, and the library's function that does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..anatomy import arch, tooth
from ..volume import Volume
from .i18n import _

Index = tuple[int, int, int]  # (z, y, x)


@dataclass(frozen=True)
class CorrectionRequest:
    """A change of one tooth: the tooth, the other tooth if one takes part, and the voxels that were clicked."""

    fdi: int
    other: int | None = None
    seeds: Sequence[Index] = ()


@dataclass(frozen=True)
class Tool:
    """One button.

    Attributes
    ----------
    act : callable
        (labels, scan, wish) to `correction.edit.Edit`.
    hint : str
        What the user is to do, with {tooth}; empty if nothing is to be asked.
    other : {"", "neighbour", "free"}
        Whether another tooth takes part: one that is there, or a number that is free.
    clicks : (int, int)
        Fewest and most clicks.
    """

    act: Callable[[np.ndarray, Volume, CorrectionRequest], object]
    hint: str = ""
    other: Literal["", "neighbour", "free"] = ""
    clicks: tuple[int, int] = (0, 0)


def _correction():
    from .. import correction

    return correction


def spacing(scan: Volume) -> tuple[float, float, float]:
    """Voxel size (z, y, x) in mm."""
    return scan.spacing[::-1]


def _split(labels, scan, wish):
    numbers = [wish.fdi, *free_numbers(wish.fdi, np.unique(labels).tolist(), wish.other)][: len(wish.seeds)]
    seeds = [[seed] for seed in wish.seeds]
    return _correction().split_tooth(labels, scan.array, spacing(scan), wish.fdi, seeds, numbers)


def _give(labels, scan, wish):
    return _correction().give_piece(labels, scan.array, spacing(scan), wish.fdi, wish.other, wish.seeds[0])


def _regrow(labels, scan, wish):
    return _correction().regrow_tooth(labels, scan.array, spacing(scan), wish.fdi, list(wish.seeds), scan.direction)


def tools() -> dict[str, Tool]:
    """All tools, by the first part of their button's name."""
    return {
        "split": Tool(
            _split,
            _(
                "Click once into each of the teeth that {tooth} consists of. The first one stays {tooth}, the next becomes:"
            ),
            "free",
            (2, 6),
        ),
        "merge": Tool(
            lambda labels, scan, wish: _correction().merge_teeth(labels, wish.fdi, wish.other),
            _("Which piece belongs to {tooth}?"),
            "neighbour",
        ),
        "give": Tool(_give, _("Click on the piece of {tooth} that belongs to:"), "neighbour", (1, 1)),
        "regrow": Tool(_regrow, _("Click one to three points inside {tooth}, one of them in the root."), "", (1, 3)),
        "cut": Tool(
            lambda labels, scan, wish: _correction().cut_contact(
                labels, scan.array, spacing(scan), wish.fdi, wish.other
            ),
            _("Cut {tooth} apart from:"),
            "neighbour",
        ),
        "pulp": Tool(lambda labels, scan, wish: _correction().fill_pulp(labels, scan.array, spacing(scan), wish.fdi)),
        "smooth": Tool(lambda labels, scan, wish: _correction().smooth_tooth(labels, spacing(scan), wish.fdi)),
        "islands": Tool(lambda labels, scan, wish: _correction().remove_islands(labels, wish.fdi)),
        "remove": Tool(lambda labels, scan, wish: _correction().remove_tooth(labels, wish.fdi)),
    }


def neighbours(fdi: int, present: Sequence[int]) -> list[int]:
    """Teeth of the same jaw that are there, the nearest along the arch first."""
    return sorted((n for n in present if n != fdi and tooth(n).jaw == tooth(fdi).jaw), key=lambda n: _steps(fdi, n))


def free_numbers(fdi: int, present: Sequence[int], first: int | None = None) -> list[int]:
    """Numbers of the same jaw that no tooth has, the nearest along the arch first, `first` before all others."""
    free = sorted((n for n in arch(tooth(fdi).jaw) if n not in present), key=lambda n: _steps(fdi, n))
    return [first, *(n for n in free if n != first)] if first is not None else free


def _steps(one: int, other: int) -> tuple[int, int]:
    """How far two teeth are apart along the arch; of two equally far ones the one further back is first."""

    def place(fdi: int) -> int:
        position = tooth(fdi).position
        return position if tooth(fdi).side == "left" else 1 - position

    return abs(place(one) - place(other)), -tooth(other).position
