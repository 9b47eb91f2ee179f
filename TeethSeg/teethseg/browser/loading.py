"""Opening a scan: from a path, from a file that the browser sends, or a simulated one to try."""

from __future__ import annotations

import asyncio
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiohttp import web
from trame.widgets import html
from trame.widgets import vuetify3 as v3

from ..application.source import Source
from ..errors import SeveralSeries, TeethSegError
from ..io.files import read_scan
from ..io.scan_checks import check_scan
from ..io.zip_archive import unpack
from ..volume import Volume
from ..worker.processes import hidden_window, library_environment
from .component import Host, Part, test_id
from .uploads import receive, safe_name

DEMO_SEED = 1
UPLOAD = "/upload"


@dataclass
class LoadingState:
    busy: str = ""  # what is being done, in words
    path: str = ""
    sent: int = -1  # percent of an upload, set by the page; -1 when there is none
    scan: str = ""  # name of the open scan
    facts: str = ""  # its size, in words
    warnings: list[str] | None = None
    series: list[dict] = field(default_factory=list)  # to choose one from, if a folder holds several
    place: str = ""  # name of that folder


class Loading(Part[LoadingState]):
    def __init__(self, app: Host):
        super().__init__(app, LoadingState)
        self._received = 0
        self._several: Source | None = None  # whose series are to be chosen from

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post(UPLOAD, self._on_upload)

    async def open_path(self, path: str | Path, name: str = "") -> None:
        """Open a file or folder of this computer. If it holds several DICOM series, the page asks which."""
        path = Path(path).expanduser()
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
            If it cannot be read or is no scan; what was open before stays open.
        """
        async with self._busy(f"Reading {source.name}"):
            self._show(await asyncio.to_thread(_read, source), source)

    def open_now(self, path: Path, series: str | None = None) -> bool:
        """As `open_path`, before there is a page; False if the page will ask."""
        source = Source(path.resolve().name, path, series=series)
        try:
            self._show(_read(source), source)
        except SeveralSeries as error:
            self._ask(source, error)
            return False
        return True

    async def open_demo(self) -> None:
        """Simulate a scan in another process, and open it."""
        async with self._busy("Simulating a scan; this takes up to a minute"):
            folder = self._new_folder()
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                "from teethseg.cli import main; main()",
                *("simulate", str(folder / "demo"), "--seed", str(DEMO_SEED)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                env=library_environment(),
                **hidden_window(),
            )
            try:
                _, errors = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
            if process.returncode:
                said = errors.decode("utf-8", "replace").strip().splitlines()
                raise TeethSegError(said[-1] if said else "No scan was made: try again.")
            path = next((folder / "demo").glob("*/image.nrrd"))
            source = Source("Simulated scan", path, simulated=True)
            self._show(await asyncio.to_thread(_read, source), source)

    def build(self) -> None:
        """Three ways to open a scan, and the choice between several series."""
        n = self.name
        self._build_choice()
        with html.Div(classes="ts-drop pa-6 text-center", raw_attrs=_drop(n.sent)):
            v3.VIcon("mdi-tooth-outline", size=52, color="primary")
            html.Div("Open a CBCT scan", classes="text-h6 mt-2")
            html.Div("Drop a file here: .nrrd, .nii.gz, .mha, or a .zip of a DICOM series", classes="text-body-2 my-2")
            self._build_upload_button()
            v3.VProgressLinear(
                v_if=(f"{n.sent} >= 0",),
                model_value=(n.sent,),
                height=6,
                rounded=True,
                color="primary",
                classes="mt-4",
                raw_attrs=test_id("upload-progress"),
            )
        with html.Div(v_if=(str(self.app.local).lower(),), classes="mt-5"):
            on_path = f"trigger('{self.app.trigger(self._on_path)}')"
            v3.VTextField(
                v_model=(n.path,),
                label="Or its path on this computer",
                placeholder="/path/to/scan.nrrd, or a folder with a DICOM series",
                density="compact",
                variant="outlined",
                hide_details=True,
                append_inner_icon="mdi-arrow-right-circle",
                disabled=(f"!!{n.busy}",),
                raw_attrs=[f'@click:append-inner="{on_path}"', f'@keydown.enter="{on_path}"', *test_id("path")],
            )
        v3.VBtn(
            "Try a simulated scan",
            prepend_icon="mdi-flask-outline",
            variant="text",
            block=True,
            classes="mt-3",
            disabled=(f"!!{n.busy}",),
            click=self.app.on(self.open_demo),
            raw_attrs=test_id("demo"),
        )
        with html.Div(v_if=(n.busy,), classes="mt-4", raw_attrs=test_id("busy")):
            html.Div("{{ " + n.busy + " }} …", classes="text-body-2 mb-2")
            v3.VProgressLinear(indeterminate=True, color="primary", height=4, rounded=True)

    def _build_choice(self) -> None:
        n = self.name
        with v3.VAlert(
            v_if=(f"{n.series}.length",), variant="tonal", color="primary", classes="mb-4", raw_attrs=test_id("series")
        ):
            html.Div("{{ " + n.place + " }} holds several series. Which is the scan?", classes="text-body-2 mb-2")
            v3.VBtn(
                text=("one.title",),
                v_for=f"one in {n.series}",
                key="one.uid",
                block=True,
                variant="tonal",
                classes="mb-1",
                disabled=(f"!!{n.busy}",),
                click=(self.app.on(self._on_series), "[one.uid]"),
                raw_attrs=test_id("series-${one.uid}"),
            )

    def _build_upload_button(self) -> None:
        n = self.name
        chosen = f'@change="{_send(n.sent)}"'
        html.Input(type="file", classes="d-none", raw_attrs=['id="ts-file"', chosen, *test_id("file")])
        v3.VBtn(
            "Choose a file",
            prepend_icon="mdi-upload",
            color="primary",
            disabled=(f"!!{n.busy}",),
            click="utils.teethseg.choose()",
            raw_attrs=test_id("upload"),
        )

    async def _on_path(self) -> None:
        path = self.data.path.strip().strip("\"'")
        if path:
            await self.open_path(path)
            self.data.path = ""

    async def _on_series(self, uid: str) -> None:
        await self.open_source(replace(self._several, series=uid))

    def _ask(self, source: Source, several: SeveralSeries) -> None:
        """Which series to open."""
        self._several = source
        self.data.place = source.name
        self.data.series = [{"uid": uid, "title": title} for uid, title in several.choices.items()]

    async def _on_upload(self, request: web.Request) -> web.Response:
        """The page posts a file as the body of a request; the answer is empty, or one line that says what is wrong."""
        folder: Path | None = None
        try:
            name = safe_name(request.query.get("name", ""))
            if self.data.busy:
                raise TeethSegError("Another scan is being opened: wait for it.")
            folder = self._new_folder()
            path = folder / name
            async with self._busy(f"Receiving {name}"):
                await receive(request.content.iter_chunked(1 << 20), path, request.content_length)
            if path.suffix.lower() == ".zip":
                async with self._busy(f"Unpacking {name}"):
                    packed, path = path, await asyncio.to_thread(unpack, path, folder / "scan")
                    packed.unlink()
            await self.open_path(path, name)
        except BaseException as error:
            if folder is not None:  # of a scan that is not open nothing stays
                shutil.rmtree(folder, ignore_errors=True)
            if not isinstance(error, TeethSegError):
                raise
            with self.app.server.state:
                self.data.sent = -1
                self.app.tell(str(error))
            return web.Response(status=422, text=str(error))
        with self.app.server.state:
            self.data.sent = -1
        return web.Response(text="")

    def _new_folder(self) -> Path:
        self._received += 1
        folder = self.app.recovery.scans / str(self._received)
        folder.mkdir()
        return folder

    def _busy(self, what: str) -> _Busy:
        return _Busy(self, what)

    def _show(self, volume: Volume, source: Source) -> None:
        with self.app.server.state:
            source = self.app.recovery.exchange(source)
            self.app.case.open(volume, source)
            size = " x ".join(str(n) for n in volume.array.shape[::-1])
            sides = [f"{side:.2g}" for side in volume.spacing]
            spacing = sides[0] if len(set(sides)) == 1 else " x ".join(sides)
            self.data.scan = source.name
            self.data.facts = f"{size} voxels of {spacing} mm"
            self.data.warnings = list(volume.warnings)
            self.data.series, self._several = [], None


class _Busy:
    """Tells the page what is being done for as long as it lasts, and lets nobody else begin."""

    def __init__(self, loading: Loading, what: str):
        self._loading, self._what = loading, what

    async def __aenter__(self) -> None:
        if self._loading.data.busy:
            raise TeethSegError("Another scan is being opened: wait for it.")
        self._tell(self._what)
        await asyncio.sleep(0.05)  # for the page to show it before the work begins

    async def __aexit__(self, *_) -> None:
        self._tell("")

    def _tell(self, what: str) -> None:
        with self._loading.app.server.state:
            self._loading.data.busy = what


def _read(source: Source) -> Volume:
    volume = read_scan(source.path, source.series)
    return replace(volume, warnings=check_scan(volume))


def _send(percent: str) -> str:
    """JavaScript that sends the file of an event and keeps the page told how far that is."""
    return f"utils.teethseg.upload($event, '{UPLOAD}', done => {{ {percent} = done }})"


def _drop(percent: str) -> list[str]:
    """Attributes that make an element take a file dropped on it."""
    return ["@dragover.prevent", f'@drop.prevent="{_send(percent)}"']
