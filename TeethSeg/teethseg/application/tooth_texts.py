"""Texts about a tooth: below the chart, and as its tool tip."""

from __future__ import annotations

from .case import Case
from .i18n import _
from .texts import flag_text, sure_text, tooth_name


def known_texts(case: Case, place) -> list[str]:
    """Facts about a place of the chart (`mrml.chart.ChartTooth`), a few words each."""
    if place.present:
        sure = [sure_text(place.confidence)] if place.confidence else []  # 0 is that of an extra tooth's number
        return [flag_text(flag) for flag in place.flags] + sure
    if place.fdi in case.missing():
        return [_("missing in this patient")]
    return [_("not drawn yet") if case.by_hand else _("not found")]


def tip_text(case: Case, place) -> str:
    """Tool tip of a tooth of the chart, in lines."""
    return "\n".join([f"{case.number(place.fdi)} · {tooth_name(place.fdi)}", *known_texts(case, place)])


def chosen_text(case: Case) -> str:
    """The chosen tooth, or how to choose one; with tags for bold text."""
    place = case.place(case.selected)
    if case.teeth_node is None:
        return _("The teeth appear here once they are found.")
    if place is None and not case.present() and not case.by_hand:
        return _("This segmentation has no single, numbered teeth.")
    if place is None:
        return _("Click a tooth to see it; right-click to change it.")
    return " · ".join([f"<b>{case.number(place.fdi)}</b> {tooth_name(place.fdi)}", *known_texts(case, place)])
