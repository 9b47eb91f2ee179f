"""Opening a scan: from a path, from a file that the browser sends, or a simulated one to try."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiohttp import web
from trame.widgets import html
from trame.widgets import vuetify3 as v3

from ..application.i18n import _
from ..application.opened_scan import read
from ..application.simulated_scan import simulated_case
from ..application.source import Source
from ..application.uploads import receive, safe_name, unpack_scan
from ..errors import SeveralSeries, TeethSegError
from ..volume import Volume
from . import controls as ui
from .component import App, Component

UPLOAD = "/upload"


@dataclass
class LoadingState:
    """State of `Loading` on the page."""

    busy: str = ""  # the present step, in words
    path: str = ""
    sent: int = -1  # percent of an upload, set by the page; -1 when there is none
    scan: str = ""  # name of the open scan
    facts: str = ""  # its size, in words
    warnings: list[str] | None = None
    series: list[dict] = field(default_factory=list)  # to choose one from, if a folder holds several
    place: str = ""  # name of that folder


class Loading(Component[LoadingState]):
    """Opens scans from files of this computer or of the browser."""

    def __init__(self, app: App):
        super().__init__(app, LoadingState)
        self._several: Source | None = None  # whose series are to be chosen from
        self._closed = False

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Receive the files that the page sends."""
        router.add_post(UPLOAD, self._on_upload)

    async def open_path(self, path: str | Path, name: str = "") -> None:
        """Open a file or folder of this computer. If it holds several DICOM series, the page asks which."""
        path = Path(os.path.expanduser(path))  # noqa: PTH111 - `Path.expanduser` fails if `~name` is no user
        try:
            await self.open_source(Source(name or path.name, path))
        except SeveralSeries as error:
            with self.app.server.state:
                self._ask(Source(name or path.name, path), error)

    async def open_source(self, source: Source) -> None:
        """Open a scan of which all is known.

        Raises
        ------
        TeethSegError
            If it cannot be read or is no scan; the scan before stays open.
        """
        async with self._busy(_("Reading {name}").format(name=source.name)):
            self._show(await asyncio.to_thread(read, source), source)

    def open_now(self, path: Path, series: str | None = None) -> bool:
        """As `open_path`, before there is a page; False if the page will ask."""
        source = Source(Path(os.path.realpath(path)).name, path, series=series)
        try:
            self._show(read(source), source)
        except SeveralSeries as error:
            self._ask(source, error)
            return False
        return True

    async def open_demo(self) -> None:
        """Simulate a scan in another process, and open it."""
        async with self._busy(_("Simulating a scan; this takes up to a minute")):
            folder = self.app.work.new_scan_folder()
            case = await asyncio.to_thread(simulated_case, folder, sys.executable, lambda: not self._closed)
            if case is not None:
                source = Source(_("Simulated scan"), case / "image.nrrd", simulated=True)
                self._show(await asyncio.to_thread(read, source), source)

    def close(self) -> None:
        """A simulation that goes on ends."""
        self._closed = True

    def build(self) -> None:
        """Build three ways to open a scan, and the choice between several series."""
        n, app, idle = self.name, self.app, {"disabled": (f"!!{self.name.busy}",)}
        self._build_choice()
        with html.Div(classes="ts-drop pa-6 text-center", raw_attrs=_drop(n.sent)):
            v3.VIcon("mdi-tooth-outline", size=52, color="primary")
            html.Div(_("Open a CBCT scan"), classes="text-h6 mt-2")
            kinds = _("Drop a file here: .nrrd, .nii.gz, .mha, or a .zip of a DICOM series")
            html.Div(kinds, classes="text-body-2 my-2")
            sent = [f'@change="{_send(n.sent)}"', 'id="ts-file"', *ui.test_id("file")]
            html.Input(type="file", classes="d-none", raw_attrs=sent)
            large = {"size": "default", **ui.PRIMARY, **idle}
            ui.button(_("Choose a file"), "mdi-upload", "utils.teethseg.choose()", "upload", **large)
            bar = {"height": 6, "rounded": True, "classes": "mt-4", "raw_attrs": ui.test_id("upload-progress")}
            ui.progress(n.sent, v_if=(f"{n.sent} >= 0",), **bar)
        with html.Div(v_if=(str(app.local).lower(),), classes="mt-5"):
            label, example = _("Or its path on this computer"), _("/path/to/scan.nrrd, or a folder with a DICOM series")
            on_path = f"trigger('{app.trigger(self._on_path)}')"
            keys = (f'@click:append-inner="{on_path}"', f'@keydown.enter="{on_path}"')
            arrow = {"append_inner_icon": "mdi-arrow-right-circle"}
            ui.text_field(n.path, label, "path", *keys, placeholder=example, **arrow, **idle)
        wide = {"variant": "text", "block": True, "classes": "mt-3"}
        ui.button(_("Try a simulated scan"), "mdi-flask-outline", app.on(self.open_demo), "demo", **wide, **idle)
        with html.Div(v_if=(n.busy,), classes="mt-4", raw_attrs=ui.test_id("busy")):
            html.Div("{{ " + n.busy + " }} …", classes="text-body-2 mb-2")
            ui.progress(rounded=True)

    def _build_choice(self) -> None:
        n = self.name
        with ui.offer(f"{n.series}.length", "series"):
            text = _("{name} holds several series. Which is the scan?").format(name="{{ " + n.place + " }}")
            html.Div(text, classes="text-body-2 mb-2")
            rows = {"v_for": f"one in {n.series}", "key": "one.uid", "block": True, "classes": "mb-1"}
            open_ = (self.app.on(self.choose_series), "[one.uid]")
            ui.button(("one.title",), "", open_, "series-${one.uid}", disabled=(f"!!{n.busy}",), **rows)

    async def _on_path(self) -> None:
        path = self.data.path.strip().strip("\"'")
        if path:
            await self.open_path(path)
            self.data.path = ""

    async def choose_series(self, uid: str) -> None:
        """Open one of the series that the user was asked about."""
        if self._several is not None:
            await self.open_source(replace(self._several, series=uid))

    def _ask(self, source: Source, several: SeveralSeries) -> None:
        """Which series to open."""
        self._several = source
        self.data.place = source.name
        self.data.series = [{"uid": uid, "title": title} for uid, title in several.choices.items()]

    async def _on_upload(self, request: web.Request) -> web.Response:
        """The page posts a file as the body of a request; the answer is empty, or one line that names the fault."""
        try:
            await self._receive(request)
        except TeethSegError as error:
            self.app.tell(str(error), "error")
            return web.Response(status=422, text=str(error))
        finally:
            with self.app.server.state:
                self.data.sent = -1
        return web.Response(text="")

    async def _receive(self, request: web.Request) -> None:
        name = safe_name(request.query.get("name", ""))
        folder: Path | None = None
        try:
            async with self._busy(_("Receiving {name}").format(name=name)):
                folder = self.app.work.new_scan_folder()
                pieces = request.content.iter_chunked(1 << 20)
                await receive(pieces, folder / name, request.content_length)
                path = await asyncio.to_thread(unpack_scan, folder / name)
            await self.open_path(path, name)
        except BaseException:
            if folder is not None:  # nothing stays of a scan that is not open
                shutil.rmtree(folder, ignore_errors=True)
            raise

    @asynccontextmanager
    async def _busy(self, step: str) -> AsyncIterator[None]:
        """Show the present step while it lasts; meanwhile no other scan can be opened."""
        if self.data.busy:
            raise TeethSegError(_("Another scan is being opened: wait for it."))
        try:
            with self.app.server.state:
                self.data.busy = step
            await asyncio.sleep(0.05)  # for the page to show it before the work begins
            yield
        finally:
            with self.app.server.state:
                self.data.busy = ""

    def _show(self, volume: Volume, source: Source) -> None:
        app = self.app
        with app.server.state:
            app.work.open(volume, source)
            self.data.scan, self.data.facts = source.name, app.opened.facts()
            self.data.warnings = list(app.opened.warnings)
            self.data.series, self._several = [], None
            app.page.data.opening = False


def _send(percent: str) -> str:
    """JavaScript that sends the file of an event and keeps the page told how far that is."""
    return f"utils.teethseg.upload($event, '{UPLOAD}', done => {{ {percent} = done }})"


def _drop(percent: str) -> list[str]:
    """Attributes that make an element take a file dropped on it."""
    return ["@dragover.prevent", f'@drop.prevent="{_send(percent)}"']
