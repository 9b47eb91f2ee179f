"""Saved work: offered on the open scan, and when the server starts anew."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from trame.widgets import html

from ..application.autosave import offer_text
from ..application.i18n import _
from ..application.saved_work import SavedWork
from . import controls as ui
from .component import App, Component


@dataclass
class RecoveryState:
    """State of `Recovery` on the page."""

    offered: str = ""  # the case that can be gone on with, in words
    works: list[dict] = field(default_factory=list)  # other work on the open scan
    saved: str = ""  # when the work was kept last
    unreadable: str = ""  # kept work that cannot be read, in words


class Recovery(Component[RecoveryState]):
    """Offers the work that was kept."""

    def __init__(self, app: App):
        super().__init__(app, RecoveryState)
        self.follow(app.work.changed, app.work.autosave.changed)

    async def resume(self) -> None:
        """Open the scan of the work that was left, and go on with that."""
        work = self.app.work.left
        if work is None:  # another tab was quicker
            return
        await self.app.loading.open_source(work.source)
        with self.app.server.state:
            self.take(work)

    def take(self, work: SavedWork) -> None:
        """Go on with work on the scan that is open."""
        self.app.work.take(work)
        self.app.navigation.at_teeth()

    def show(self) -> None:
        """Show the offers, and when the work was kept last."""
        work, autosave = self.app.work, self.app.work.autosave
        self.data.offered, self.data.unreadable = work.left_text(), work.unreadable_text()
        self.data.saved = time.strftime("%H:%M", time.localtime(autosave.saved)) if autosave.saved else ""
        self.data.works = [{"n": n, "text": offer_text(one)} for n, one in enumerate(autosave.offers)]

    def build_offer(self) -> None:
        """Build the offer to go on with the work that was left."""
        n = self.name
        with ui.offer(n.offered, "offer"):
            html.Div("{{ " + n.offered + " }}", classes="text-body-2 mb-2")
            off = {"disabled": (f"!!{self.app.loading.name.busy}",)}
            ui.button(_("Go on with it"), "", self.app.on(self.resume), "resume", color="primary", **off)
            ui.button(_("Discard"), "", self.app.on(self.app.work.discard_left), "discard", variant="text", **off)
        ui.notice(n.unreadable, n.unreadable, "unreadable", classes="mb-4")

    def build_works(self) -> None:
        """Build the offers of other work on the scan that is open."""
        n, autosave = self.name, self.app.work.autosave
        with ui.offer(f"{n.works}.length", "works", classes="ma-3"):
            html.Div(_("Work on this scan was kept. Go on with it?"), classes="text-body-2 mb-2")
            with html.Div(v_for=f"one in {n.works}", key="one.n", classes="d-flex align-center mb-1"):
                html.Span("{{ one.text }}", classes="text-body-2 flex-grow-1")
                take = self.app.on(lambda number: self.take(autosave.offers[number]))
                discard = self.app.on(lambda number: autosave.discard(autosave.offers[number]))
                ui.button(_("Go on"), "", (take, "[one.n]"), "take-${one.n}", size="x-small")
                ui.button(_("Discard"), "", (discard, "[one.n]"), "drop-${one.n}", size="x-small", variant="text")
            ui.button(_("Not now"), "", self.app.on(autosave.later), "not-now", size="x-small", variant="text")

    def build_saved(self) -> None:
        """Build the line that says when the work was kept last."""
        saved = self.name.saved
        kept = _("kept {time}").format(time="{{ " + saved + " }}")
        html.Span(kept, v_if=(saved,), classes="ts-notice ts-kept mx-1 text-no-wrap", raw_attrs=ui.test_id("saved"))
