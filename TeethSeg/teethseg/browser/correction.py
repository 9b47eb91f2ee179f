"""Correcting teeth: the tools, undo and redo."""

from __future__ import annotations

from dataclasses import dataclass, field

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from ..application.correction_tools import CorrectionTools, tools
from ..application.i18n import _
from ..application.placed_points import YELLOW
from ..application.texts import redo_text, undo_text
from . import controls as ui
from .component import App, Component

ICONS = {
    "split": "mdi-call-split",
    "merge": "mdi-call-merge",
    "give": "mdi-arrow-decision",
    "regrow": "mdi-sprout",
    "cut": "mdi-vector-line",
    "add": "mdi-plus-circle-outline",
    "pulp": "mdi-format-color-fill",
    "smooth": "mdi-blur",
    "islands": "mdi-scatter-plot",
    "remove": "mdi-delete-outline",
}


@dataclass
class CorrectingState:
    """State of `Correcting` on the page."""

    undo: str = ""
    redo: str = ""
    can_undo: bool = False
    can_redo: bool = False
    busy: bool = False
    ready: bool = False  # whether there is a tooth for the tools
    hint: str = ""  # the next action for the tool in use; empty for none
    tools: list[dict] = field(default_factory=list)
    others: list[dict] = field(default_factory=list)  # the other tooth, if one takes part
    complete: bool = False


class Correcting(Component[CorrectingState]):
    """Draws the correction tools, and the steps to undo and redo."""

    def __init__(self, app: App):
        super().__init__(app, CorrectingState)
        case = app.case
        self.tools = CorrectionTools(case, app.clicks.points("seed", YELLOW))
        self.follow(case.changed, case.selected_changed, case.busy_changed, self.tools.changed)

    def show(self) -> None:
        """Show the tools, the one in use, and the steps to undo and redo."""
        data, case, use = self.data, self.app.case, self.tools
        ready, (undo, redo) = use.ready, case.steps()
        data.undo, data.redo = undo_text(undo), redo_text(redo)
        data.can_undo, data.can_redo, data.busy, data.ready = case.can_undo, case.can_redo, case.busy, ready
        rows = []
        for key, one in tools().items():
            off = case.busy or not (case.editable if one.new else ready)
            rows.append(ui.action(key, one.label, ICONS[key], one.tip, off, key == use.active))
        data.tools = rows  # a list that only gets longer would not be sent to the page
        data.hint, data.complete = use.hint, use.complete
        wanted = use.tool is not None and use.tool.other
        data.others = [ui.choice("other", _("Other tooth"), use.others(), use.other)] if wanted else []

    def build_undo(self) -> None:
        """Build the buttons that undo and redo."""
        n, case = self.name, self.app.case
        for key, picture, handler, text, can in (
            ("undo", "mdi-undo", case.undo, n.undo, n.can_undo),
            ("redo", "mdi-redo", case.redo, n.redo, n.can_redo),
        ):
            raw = [f':title="{text}"', f':aria-label="{text}"']
            ui.icon_button(picture, "", self.app.on(handler), key, size="small", disabled=(f"!{can}",), raw_attrs=raw)

    def build_hint(self) -> None:
        """Build the card of the tool in use; it stands beside all tabs."""
        n, use = self.name, self.tools
        card = {"variant": "tonal", "color": "primary", "classes": "pa-3 mt-3"}
        with v3.VCard(v_if=(n.hint,), raw_attrs=ui.test_id("pointing"), **card):
            ui.line(n.hint, "hint", classes="text-body-2")
            ui.choices(n.others, self.app.on(lambda _key, number: use.choose_other(int(number))))
            with html.Div(classes="ts-row mt-2 justify-end"):
                ui.button(_("Stop"), "", self.app.on(use.dismiss), "stop", variant="text")
                off = (f"!{n.complete} || {n.busy}",)
                ui.button(_("Apply"), "", self.app.on(use.apply), "apply", **ui.PRIMARY, disabled=off)

    def build(self) -> None:
        """Build brushes and tools."""
        n = self.name
        with html.Div(classes="px-4 pb-4"):
            html.Div(_("Choose a tooth in the chart above."), v_if=(f"!{n.ready}",), classes="ts-notice my-2")
            self.app.brushes.build()
            ui.section(_("Tools"))
            ui.buttons(n.tools, self.app.on(self.tools.use))
            ui.progress(v_if=(n.busy,), classes="mt-2")
