"""The page: where the parts' controls stand."""

from __future__ import annotations

from dataclasses import dataclass

from trame.ui.vuetify3 import VAppLayout
from trame.widgets import html
from trame.widgets import vuetify3 as v3

from .. import NOTICE
from .component import Host, Part, test_id

_COLOURS = {
    "primary": "#2EC4B6",
    "secondary": "#7FB3D5",
    "background": "#0E1317",
    "surface": "#161D23",
    "warning": "#FFB300",
    "error": "#FF6B6B",
}


@dataclass
class PageState:
    has_scan: bool = False
    has_teeth: bool = False
    opening: bool = False  # another scan
    tab: str = "correct"
    message: str = ""
    message_is_error: bool = False
    message_shown: bool = False


class Page(Part[PageState]):
    def __init__(self, app: Host):
        super().__init__(app, PageState)
        state = app.server.state
        state.trame__title = "TeethSeg"
        state.trame__favicon = _ICON  # the default is an address on the internet

    def tell(self, text: str, error: bool) -> None:
        with self.app.server.state:
            self.data.message, self.data.message_is_error, self.data.message_shown = text, error, True

    def build(self) -> None:
        app, n, scan = self.app, self.name, self.app.loading.name
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
                v3.VBtn(
                    "Back to the scan",
                    v_if=(f"{n.has_scan} && !{scan.busy}",),
                    variant="text",
                    block=True,
                    click=f"{n.opening} = false",
                )
            with v3.VSnackbar(
                v_model=(n.message_shown,),
                color=(f"{n.message_is_error} ? 'error' : 'primary'",),
                timeout=(f"{n.message_is_error} ? -1 : 4000",),
                location="bottom",
                max_width=640,
                raw_attrs=test_id("message"),
            ):
                html.Span("{{ " + n.message + " }}")
                with v3.Template(v_slot_actions=True):
                    v3.VBtn("Close", variant="text", click=f"{n.message_shown} = false", raw_attrs=test_id("dismiss"))

    def _build_bar(self) -> None:
        app, n, scan = self.app, self.name, self.app.loading.name
        v3.VIcon("mdi-tooth", color="primary", classes="ml-4 mr-2")
        html.Span("TeethSeg", classes="text-subtitle-1 font-weight-bold")
        with html.Div(v_if=(n.has_scan,), classes="ml-4 d-flex align-center", style="min-width: 0"):
            html.Span("{{ " + scan.scan + " }}", classes="ts-scan text-truncate", raw_attrs=test_id("scan-name"))
            html.Span(
                "{{ " + scan.facts + " }}", classes="ts-notice ml-3 text-truncate", raw_attrs=test_id("scan-facts")
            )
            v3.VBtn(
                icon="mdi-folder-open-outline",
                size="small",
                variant="text",
                click=f"{n.opening} = true",
                raw_attrs=['title="Open another scan"', *test_id("open-other")],
            )
        v3.VSpacer()
        with html.Div(v_if=(n.has_scan,), classes="d-flex align-center"):
            app.recovery.build_saved()
            app.correcting.build_undo()
            v3.VDivider(vertical=True, classes="mx-1")
            app.views.build_tools()
            app.panorama.build_toggle()
        v3.VSpacer()
        html.Span(NOTICE, classes="ts-notice mr-4 text-no-wrap")

    def _build_drawer(self) -> None:
        app, n, scan = self.app, self.name, self.app.loading.name
        with html.Div(v_if=(n.has_scan,)):
            v3.VAlert(
                v_for=f"warning in {scan.warnings}",
                key="warning",
                text=("warning",),
                type="warning",
                variant="tonal",
                density="compact",
                classes="ma-3",
            )
            app.segmenting.build()
            with html.Div(v_if=(f"!{n.has_teeth} && !{app.segmenting.name.running}",), classes="px-4"):
                app.worklist.build_entry()
            with html.Div(v_if=(n.has_teeth,)):
                app.chart.build()
                with html.Div(classes="px-4"):
                    app.pointing.build_hint()
                with v3.VTabs(v_model=(n.tab,), density="compact", grow=True, color="primary", classes="mt-3"):
                    for key, label in (("correct", "Correct"), ("worklist", "Worklist"), ("export", "Export")):
                        v3.VTab(label, value=key, raw_attrs=test_id(f"tab-{key}"))
                v3.VDivider()
                with html.Div(v_show=(f"{n.tab} === 'correct'",)):
                    app.correcting.build()
                with html.Div(v_show=(f"{n.tab} === 'worklist'",)):
                    app.worklist.build()
                with html.Div(v_show=(f"{n.tab} === 'export'",)):
                    app.exporting.build()


_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Cpath fill='%232EC4B6' d='M12 4.5"
    "C10 3 7.5 2.5 5.8 3.6C3.5 5.1 3.6 8.2 4.6 11c.9 2.5 1.1 4.2 1.5 6.6c.4 2.3.9 3.9 2 3.9c1.6 0 1.5-2.6 2-5c.3-1.5.8-2.5"
    " 1.9-2.5s1.6 1 1.9 2.5c.5 2.4.4 5 2 5c1.1 0 1.6-1.6 2-3.9c.4-2.4.6-4.1 1.5-6.6c1-2.8 1.1-5.9-1.2-7.4C16.5 2.5 14 3 12"
    " 4.5z'/%3E%3C/svg%3E"
)
