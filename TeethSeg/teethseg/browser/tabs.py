"""Several pages of one session: all show and change the same scan, and are told so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from trame.widgets import html
from trame.widgets import vuetify3 as v3

from ..application.i18n import _
from . import controls as ui
from .component import App, Component

_SOCKET = "/ws"  # where every open page is connected


@dataclass
class TabsState:
    """State of `Tabs` on the page."""

    open: int = 0


class Tabs(Component[TabsState]):
    """Counts the open pages, and says when there are several."""

    def __init__(self, app: App):
        super().__init__(app, TabsState)

    @web.middleware
    async def count(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """An aiohttp middleware that sees pages come and go."""
        if request.path != _SOCKET:
            return await handler(request)
        self._change(1)
        try:
            return await handler(request)
        finally:
            self._change(-1)

    def build(self) -> None:
        """Build the line that says how many pages are open."""
        count = self.name.open
        with html.Div(v_if=(f"{count} > 1",), classes="ts-tabs", raw_attrs=ui.test_id("tabs")):
            v3.VIcon("mdi-content-duplicate", size="small", classes="mr-2")
            text = _("This session is open in {count} tabs. They show and change the same scan.")
            html.Span(text.format(count="{{ " + count + " }}"))

    def _change(self, by: int) -> None:
        with self.app.server.state:
            self.data.open += by
