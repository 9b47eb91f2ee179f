"""Annotating by hand: tooth after tooth from clicks, and the training case at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from trame.widgets import html

from ..application.annotation_actions import annotation_actions
from ..application.annotation_session import AnnotationSession, CaseWriter
from ..application.background_tasks import training_case_task
from ..application.export import pack
from ..application.i18n import _
from ..application.placed_points import GREEN, RED
from . import controls as ui
from .component import App, Component

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
    """State of `Annotating` on the page."""

    active: bool = False
    summary: str = ""
    tooth: str = ""  # the one in work and the next action, with tags for bold text
    time: str = ""
    percent: int = 0
    actions: list[dict] = field(default_factory=list)
    patient: str = ""


class Annotating(Component[AnnotatingState]):
    """Draws the annotation session, and sends its training case."""

    def __init__(self, app: App):
        super().__init__(app, AnnotatingState)
        clicks = app.clicks.points
        self.session = AnnotationSession(
            app.case, {"inside": clicks("inside", GREEN), "outside": clicks("outside", RED)}, app.ask
        )
        self._actions = annotation_actions(self.session)
        self.session.went.connect(app.navigation.at_tooth)
        app.case.scan_changed.connect(self._forget)
        self.follow(self.session.changed, app.clicks.changed)

    def start(self) -> None:
        """Begin, or go on."""
        self.session.start()
        self.app.page.data.tab = "annotate"

    def act(self, key: str) -> None:
        """Press a button."""
        next(one for one in self._actions if one.key == key).act()

    def save_case(self) -> None:
        """Pack the training case, and let the browser save it."""

        def finish(result: dict, path: Path) -> str:
            pack(Path(result["folder"]), path)
            return ""

        def write(case: CaseWriter) -> None:
            self.app.exporting.send("case.zip", lambda folder: training_case_task(case, folder / "case"), finish)

        self.session.save_case(self.data.patient, write)

    def show(self) -> None:
        """Show how far the session is, and the actions for the tooth in work."""
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
            ui.action(one.key, one.text, ICONS[one.key], one.tip, off=off, on=placing == one.key)
            for one in self._actions
        ]

    def show_time(self) -> None:
        """Show the time of the tooth in work; called every second."""
        self.data.time = self.session.time_text()

    def build_entry(self) -> None:
        """Build the button that begins a session on a scan without teeth."""
        text = {"variant": "text", "block": True}
        ui.button(_("Annotate by hand"), "mdi-format-list-checks", self.app.on(self.start), "annotate", **text)

    def build(self) -> None:
        """Build the session's controls, and those of the training case."""
        n, session = self.name, self.session
        with html.Div(classes="px-4 pb-4"):
            ui.line(n.summary, "work-summary", classes="ts-notice my-2")
            with html.Div(v_if=(n.active,)):
                ui.progress(n.percent, classes="mb-2")
                html.Div(v_html=(n.tooth,), classes="text-body-2 mb-2", raw_attrs=ui.test_id("work-tooth"))
                ui.buttons(n.actions, self.app.on(self.act))
                ui.line(n.time, "work-time", classes="ts-notice")
            start, stop = self.app.on(self.start), self.app.on(session.stop)
            wide = {"block": True, "classes": "mt-2"}
            ui.button(_("Start"), "mdi-play", start, "work-start", v_if=(f"!{n.active}",), color="primary", **wide)
            ui.button(_("Stop"), "mdi-stop", stop, "work-stop", v_if=(n.active,), **wide)
            ui.section(_("Training case"))
            ui.text_field(n.patient, _("Patient key (not a name)"), "patient")
            save = self.app.on(self.save_case)
            ui.button(_("Training case (.zip)"), "mdi-school-outline", save, "export-case", **wide)

    def _forget(self) -> None:
        self.session.stop()
        self.data.patient = ""
