"""Teeth that a new run may replace: decided before it starts, applied when it ends."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from ..anatomy import DECIDUOUS, PERMANENT, Notation, tooth
from ..errors import UsageError
from .i18n import _
from .texts import teeth_text

DentitionPart = Literal["all", "upper", "lower", "tooth"]


@dataclass(frozen=True)
class RerunPlan:
    """FDI numbers of an earlier result that stay, and numbers that may come from the new one."""

    keep: frozenset[int]
    take: frozenset[int]


def teeth_of_part(part: DentitionPart, selected: int | None) -> frozenset[int]:
    """The FDI numbers that a part of the dentition stands for.

    Raises
    ------
    UsageError
        If it is one tooth and none is selected.
    """
    everything = frozenset((*PERMANENT, *DECIDUOUS))
    if part == "tooth":
        if selected is None:
            raise UsageError(_("No tooth is chosen: click the tooth to find again in the chart."))
        return frozenset({selected})
    return everything if part == "all" else frozenset(fdi for fdi in everything if tooth(fdi).jaw == part)


def endangered(take: Collection[int], corrected: Collection[int]) -> list[int]:
    """Corrected teeth that a run would replace, ascending."""
    return sorted(set(take) & set(corrected))


def plan(take: frozenset[int], present: Collection[int], corrected: Collection[int]) -> RerunPlan:
    """Which of the present teeth stay: those not asked for and the corrected ones.

    A tooth that the user took out is corrected without being present: it does not come back.
    """
    safe = frozenset(corrected)
    keep = frozenset(fdi for fdi in present if fdi not in take or fdi in safe)
    return RerunPlan(keep, take - keep - safe)


def question(teeth: Collection[int], notation: Notation = "fdi") -> str:
    """The question before corrected teeth are replaced."""
    return _("You have corrected {teeth}. Replace your work?").format(teeth=teeth_text(teeth, notation))
