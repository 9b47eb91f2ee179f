"""The page: the places of the parts' controls, its messages and its questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from trame.ui.vuetify3 import VAppLayout
from trame.widgets import html
from trame.widgets import vuetify3 as v3

from .. import NOTICE
from ..application.i18n import _
from . import controls as ui
from .component import App, Component

_COLOURS = {
    "primary": "#2EC4B6",
    "secondary": "#7FB3D5",
    "background": "#0E1317",
    "surface": "#161D23",
    "warning": "#FFB300",
    "error": "#FF6B6B",
}
_STAYS, _PASSES = -1, 4000  # milliseconds for which a message is shown


@dataclass
class PageState:
    """State of the page as a whole."""

    has_scan: bool = False
    has_teeth: bool = False
    opening: bool = False  # another scan
    tab: str = "correct"
    message: str = ""
    kind: str = "info"
    details: str = ""
    message_shown: bool = False
    question: str = ""
    options: list[str] = field(default_factory=list)
    asking: bool = False


class Page(Component[PageState]):
    """Builds the page from its parts, says messages and asks questions."""

    def __init__(self, app: App):
        super().__init__(app, PageState)
        self._answer: Callable[[int | None], None] | None = None
        state = app.server.state
        state.trame__title = "TeethSeg"
        state.trame__favicon = "teethseg/icon.svg"  # the default is an address on the internet
        app.case.message.connect(self.tell)
        self.on_change(self.name.asking, lambda asking: None if asking else self.answer(None))
        self.follow(app.case.changed, app.case.scan_changed)

    def show(self) -> None:
        """Show the controls that fit: there is a scan, and there are teeth."""
        case = self.app.case
        self.data.has_scan, self.data.has_teeth = case.volume_node is not None, case.teeth_node is not None

    def tell(self, text: str, kind: str = "info", details: str = "") -> None:
        """Show the user one line; an empty one removes the last message."""
        with self.app.server.state:
            data = self.data
            data.message, data.kind, data.details, data.message_shown = text, kind, details, bool(text)

    def ask(self, text: str, options: Sequence[str], answer: Callable[[int | None], None]) -> None:
        """Ask for one of several ways to go on (`application.questions.Ask`)."""
        with self.app.server.state:
            self.data.question, self.data.options, self.data.asking = text, list(options), True
        self._answer = answer

    def answer(self, choice: int | None) -> None:
        """The user has made up their mind; None for Cancel."""
        answer, self._answer = self._answer, None
        self.data.asking = False
        if answer is not None:
            answer(choice)

    def build(self) -> None:
        """Build the page."""
        app = self.app
        theme = {"defaultTheme": "dark", "themes": {"dark": {"dark": True, "colors": _COLOURS}}}
        with VAppLayout(app.server, vuetify_config={"theme": theme}) as layout:
            with v3.VAppBar(density="compact", flat=True, color="surface", classes="ts-header"):
                self._build_bar()
            with v3.VNavigationDrawer(permanent=True, width=392, color="surface", disable_resize_watcher=True):
                self._build_drawer()
            with v3.VMain(style="height: 100vh"), html.Div(classes="ts-main"):
                app.tabs.build()
                with html.Div(classes="ts-views"):
                    app.views.build_grid(layout)
                app.panorama.build()
            self._build_opening()
            self._build_question()
            self._build_message()
        self.layout = layout

    def _build_opening(self) -> None:
        n, app = self.name, self.app
        with (
            v3.VDialog(
                model_value=(f"{n.opening} || !{n.has_scan}",),
                persistent=True,
                max_width=520,
                raw_attrs=[f'@update:model-value="{n.opening} = $event"', ':scrim="false"'],
            ),
            v3.VCard(classes="pa-6", rounded="lg", elevation=12),
        ):
            app.recovery.build_offer()
            app.loading.build()
            back = {"variant": "text", "block": True, "v_if": (f"{n.has_scan} && !{app.loading.name.busy}",)}
            ui.button(_("Back to the scan"), "", f"{n.opening} = false", "back-to-scan", **back)

    def _build_question(self) -> None:
        n = self.name
        with (
            v3.VDialog(v_model=(n.asking,), max_width=480),
            v3.VCard(classes="pa-5", rounded="lg", raw_attrs=ui.test_id("question")),
        ):
            html.Div("{{ " + n.question + " }}", classes="text-body-1")
            with html.Div(classes="ts-row justify-end mt-4"):
                answer = self.app.on(lambda choice: self.answer(int(choice)))
                cancel = {"variant": "text", "autofocus": True}
                ui.button(_("Cancel"), "", self.app.on(lambda: self.answer(None)), "cancel-question", **cancel)
                rows = {"v_for": f"(text, number) in {n.options}", "key": "number"}
                ui.button(("text",), "", (answer, "[number]"), "option-${number}", **rows)

    def _build_message(self) -> None:
        n = self.name
        with v3.VSnackbar(
            v_model=(n.message_shown,),
            color=(f"{n.kind} === 'info' ? 'primary' : {n.kind}",),
            timeout=(f"{n.kind} === 'info' ? {_PASSES} : {_STAYS}",),
            location="bottom",
            max_width=640,
            raw_attrs=ui.test_id("message"),
        ):
            html.Div("{{ " + n.message + " }}", classes="ts-line")
            ui.details(n.details)
            with v3.Template(v_slot_actions=True):
                ui.button(_("Close"), "", f"{n.message_shown} = false", "dismiss", variant="text")

    def _build_bar(self) -> None:
        app, n, scan = self.app, self.name, self.app.loading.name
        v3.VIcon("mdi-tooth", color="primary", classes="ml-4 mr-2")
        html.Span("TeethSeg", classes="ts-brand text-subtitle-1 font-weight-bold")
        with html.Div(v_if=(n.has_scan,), classes="ml-4 d-flex align-center", style="min-width: 0"):
            ui.line(scan.scan, "scan-name", classes="ts-scan text-truncate")
            ui.line(scan.facts, "scan-facts", classes="ts-notice ts-facts ml-3 text-truncate")
            other = _("Open another scan")
            ui.icon_button("mdi-folder-open-outline", other, f"{n.opening} = true", "open-other", size="small")
        v3.VSpacer()
        with html.Div(v_if=(n.has_scan,), classes="d-flex align-center"):
            app.recovery.build_saved()
            app.correcting.build_undo()
            v3.VDivider(vertical=True, classes="mx-1")
            app.views.build_tools()
            app.panorama.build_toggle()
        v3.VSpacer()
        html.Span(_(NOTICE), classes="ts-notice ts-research mr-4")

    def _build_drawer(self) -> None:
        app, n, scan = self.app, self.name, self.app.loading.name
        with html.Div(v_if=(n.has_scan,)):
            each = {"v_for": f"warning in {scan.warnings}", "key": "warning", "classes": "ma-3"}
            ui.notice("warning", "true", "scan-warning", **each)
            app.recovery.build_works()
            app.segmenting.build()
            with html.Div(v_if=(f"!{n.has_teeth} && !{app.segmenting.name.running}",), classes="px-4"):
                app.annotating.build_entry()
            with html.Div(v_if=(n.has_teeth,)):
                app.chart.build()
                with html.Div(classes="px-4"):
                    app.correcting.build_hint()
                with v3.VTabs(v_model=(n.tab,), density="compact", grow=True, color="primary", classes="mt-3"):
                    tabs: dict[str, tuple[str, Callable[[], None]]] = {
                        "correct": (_("Correct"), app.correcting.build),
                        "annotate": (_("Annotate"), app.annotating.build),
                        "export": (_("Export"), app.exporting.build),
                    }
                    for key, (label, _build) in tabs.items():
                        v3.VTab(label, value=key, raw_attrs=ui.test_id(f"tab-{key}"))
                v3.VDivider()
                for key, (_label, build) in tabs.items():
                    with html.Div(v_show=(f"{n.tab} === '{key}'",)):
                        build()
