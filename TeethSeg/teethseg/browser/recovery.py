"""Nothing is lost: work is kept while it is done, and offered again, on the open scan or once the server starts anew."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from ..application import kept_work
from ..application.autosave import Autosave, offer_text
from ..application.i18n import _
from ..application.kept_work import SCANS, KeptWork
from ..application.source import Source
from ..errors import TeethSegError
from .component import Host, Part, button, notice, test_id


@dataclass
class RecoveryState:
    offered: str = ""  # the case that can be gone on with, in words
    works: list[dict] = field(default_factory=list)  # other work on the open scan
    saved: str = ""  # when the work was kept last
    unreadable: str = ""  # what was kept but cannot be read, in words


class Recovery(Part[RecoveryState]):
    """Keeps the work of this process below `root`, a folder of the user's own unless given."""

    def __init__(self, app: Host, root: Path | None = None):
        super().__init__(app, RecoveryState)
        self.root = root or kept_work.state_folder()
        kept_work.remove_leftovers(self.root)
        # What was sent, and files to be saved: removed when the process ends, or by the next one.
        self.passing = kept_work.new_folder(self.root)
        self.autosave = Autosave(app.case, self.root, lambda: app.opened.source, adopt=self._adopt)
        self._left: KeptWork | None = None
        self.follow(self.autosave.changed)
        self.offer()

    @property
    def scans(self) -> Path:
        """Where scans go that were sent or simulated, until there is work on them."""
        folder = self.passing / SCANS
        folder.mkdir(exist_ok=True)
        return folder

    def close(self) -> None:
        """Keep what is not kept yet."""
        self.autosave.leave()
        kept_work.release(self.passing)

    def keep(self) -> None:
        """Keep the work on the open scan, before another one takes its place.

        Raises
        ------
        TeethSegError
            If it cannot be kept; it stays open then.
        """
        try:
            self.autosave.save()
        except OSError as error:
            text = _("Your work cannot be kept ({reason}): free some space before you open another scan.")
            raise TeethSegError(text.format(reason=error.strerror)) from error

    async def resume(self) -> None:
        """Open the case that was left, and go on keeping it where it lies.

        Raises
        ------
        TeethSegError
            If something of it cannot be read; it stays where it is then.
        """
        work = self._left
        await self.app.loading.open_source(Source(work.name, Path(work.path), work.simulated, work.series))
        with self.app.server.state:
            self.take(work)

    def take(self, work: KeptWork) -> None:
        """Go on with work on the scan that is open."""
        self.autosave.take(work)
        self.offer()
        self.app.look.at_teeth()

    def discard(self) -> None:
        """Remove the case that was left."""
        self.autosave.discard(self._left)
        self.offer()

    def offer(self) -> None:
        """Look for work that was left, on whatever scan."""
        works, aside = kept_work.left_works(self.root)
        self._left = works[0] if works else None
        if works:
            text = _("Your work on {scan} was kept ({what}).")
            self.data.offered = text.format(scan=works[0].name, what=offer_text(works[0]))
        else:
            self.data.offered = ""
        if aside:
            text = _("Work that was kept cannot be read, and was put aside: {places}")
            self.data.unreadable = text.format(places=", ".join(map(str, aside)))

    def forget_scans(self, source: Source) -> None:
        """Of scans that were sent nothing stays but what is open, and what belongs to kept work."""
        kept_work.remove_scans(self.passing, source.path)

    def show(self) -> None:
        saved = self.autosave.saved
        self.data.saved = time.strftime("%H:%M", time.localtime(saved)) if saved else ""
        self.data.works = [{"n": n, "text": offer_text(work)} for n, work in enumerate(self.autosave.offers)]

    def build_offer(self) -> None:
        n = self.name
        with v3.VAlert(v_if=(n.offered,), variant="tonal", color="primary", classes="mb-4", raw_attrs=test_id("offer")):
            html.Div("{{ " + n.offered + " }}", classes="text-body-2 mb-2")
            off = {"disabled": (f"!!{self.app.loading.name.busy}",)}
            button(_("Go on with it"), "", self.app.on(self.resume), "resume", color="primary", **off)
            button(_("Discard"), "", self.app.on(self.discard), "discard", variant="text", **off)
        notice(n.unreadable, n.unreadable, "unreadable", classes="mb-4")

    def build_works(self) -> None:
        """Other work on the scan that is open."""
        n, autosave = self.name, self.autosave
        with v3.VAlert(
            v_if=(f"{n.works}.length",), variant="tonal", color="primary", classes="ma-3", raw_attrs=test_id("works")
        ):
            html.Div(_("Work on this scan was kept. Go on with it?"), classes="text-body-2 mb-2")
            with html.Div(v_for=f"one in {n.works}", key="one.n", classes="d-flex align-center mb-1"):
                html.Span("{{ one.text }}", classes="text-body-2 flex-grow-1")
                take = self.app.on(lambda number: self.take(autosave.offers[number]))
                discard = self.app.on(lambda number: autosave.discard(autosave.offers[number]))
                button(_("Go on"), "", (take, "[one.n]"), "take-${one.n}", size="x-small")
                button(_("Discard"), "", (discard, "[one.n]"), "drop-${one.n}", size="x-small", variant="text")
            button(_("Not now"), "", self.app.on(autosave.later), "not-now", size="x-small", variant="text")

    def build_saved(self) -> None:
        saved = self.name.saved
        kept = _("kept {time}").format(time="{{ " + saved + " }}")
        html.Span(kept, v_if=(saved,), classes="ts-notice mx-1 text-no-wrap", raw_attrs=test_id("saved"))

    def _adopt(self, folder: Path) -> None:
        """A scan that was sent goes with the work on it."""
        opened = self.app.opened
        opened.source = replace(opened.source, path=kept_work.adopt_scan(opened.source.path, folder, self.passing))
