"""Annotating by hand: tooth after tooth from clicks, and the training case at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from ..application.annotation_actions import annotation_actions
from ..application.annotation_session import AnnotationSession, CaseWriter
from ..application.errands import case_errand
from ..application.export import pack
from ..application.i18n import _
from .click_tools import GREEN, RED
from .component import DENSE, Host, Part, action, button, buttons, test_id

ICONS = {
    "inside": "mdi-plus-circle",
    "outside": "mdi-minus-circle",
    "grow": "mdi-sprout",
    "between": "mdi-layers-triple",
    "clear": "mdi-eraser",
    "done": "mdi-check",
    "flag": "mdi-flag-outline",
    "missing": "mdi-close",
}


@dataclass
class AnnotatingState:
    active: bool = False
    summary: str = ""
    tooth: str = ""  # the one in work and what is to be done for it, with tags for bold text
    time: str = ""
    percent: int = 0
    actions: list[dict] = field(default_factory=list)
    patient: str = ""


class Annotating(Part[AnnotatingState]):
    def __init__(self, app: Host):
        super().__init__(app, AnnotatingState)
        clicks = app.pointing.clicks
        self.session = AnnotationSession(
            app.case, {"inside": clicks("inside", GREEN), "outside": clicks("outside", RED)}, app.ask
        )
        self._actions = annotation_actions(self.session)
        self.session.went.connect(app.look.at_tooth)
        app.case.scan_changed.connect(self._forget)
        self.follow(self.session.changed, app.pointing.changed)

    def start(self) -> None:
        """Begin, or go on."""
        self.session.start()
        self.app.page.data.tab = "annotate"

    def act(self, key: str) -> None:
        """Do what a button says."""
        next(one for one in self._actions if one.key == key).act()

    def save_case(self) -> None:
        """A training case, packed."""

        def finish(result: dict, path: Path) -> str:
            pack(Path(result["folder"]), path)
            return ""

        def write(case: CaseWriter) -> None:
            self.app.exporting.send("case.zip", lambda folder: case_errand(case, folder / "case"), finish)

        self.session.save_case(self.data.patient, write)

    def show(self) -> None:
        data, session = self.data, self.session
        data.active, data.summary = session.active, session.summary()
        if not session.active:
            data.actions, data.tooth = [], ""
            return
        data.tooth, data.time = session.tooth_text(), session.time_text()
        done, count = session.progress()
        data.percent = round(100 * done / max(count, 1))
        off, placing = self.app.case.selected is None, session.placing
        data.actions = [
            action(one.key, one.text, ICONS[one.key], one.tip, off=off, on=placing == one.key) for one in self._actions
        ]

    def show_time(self) -> None:
        """Called every second."""
        self.data.time = self.session.time_text()

    def build_entry(self) -> None:
        text = {"variant": "text", "block": True}
        button(_("Annotate by hand"), "mdi-format-list-checks", self.app.on(self.start), "annotate", **text)

    def build(self) -> None:
        n, session = self.name, self.session
        with html.Div(classes="px-4 pb-4"):
            html.Div("{{ " + n.summary + " }}", classes="ts-notice my-2", raw_attrs=test_id("work-summary"))
            with html.Div(v_if=(n.active,)):
                v3.VProgressLinear(model_value=(n.percent,), color="primary", height=4, classes="mb-2")
                html.Div(v_html=(n.tooth,), classes="text-body-2 mb-2", raw_attrs=test_id("work-tooth"))
                buttons(n.actions, self.app.on(self.act))
                html.Span("{{ " + n.time + " }}", classes="ts-notice", raw_attrs=test_id("work-time"))
            start, stop = self.app.on(self.start), self.app.on(session.stop)
            wide = {"block": True, "classes": "mt-2"}
            button(_("Start"), "mdi-play", start, "work-start", v_if=(f"!{n.active}",), color="primary", **wide)
            button(_("Stop"), "mdi-stop", stop, "work-stop", v_if=(n.active,), **wide)
            html.Div(_("Training case"), classes="ts-section")
            v3.VTextField(
                v_model=(n.patient,), label=_("Patient key (not a name)"), raw_attrs=test_id("patient"), **DENSE
            )
            save = self.app.on(self.save_case)
            button(_("Training case (.zip)"), "mdi-school-outline", save, "export-case", **wide)

    def _forget(self) -> None:
        self.session.stop()
        self.data.patient = ""
