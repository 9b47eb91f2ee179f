"""Export: files that the browser saves."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from aiohttp import web
from trame.widgets import client, html

from ..application import export
from ..application.background_tasks import BackgroundTask, TaskRunner, export_task, written_of
from ..application.downloads import Downloads
from ..application.export import DEFAULTS, Exporter
from ..application.i18n import _
from ..errors import TeethSegError
from . import controls as ui
from .component import App, Component

DOWNLOAD = "/download"


@dataclass
class ExportingState:
    """State of `Exporting` on the page."""

    busy: str = ""
    percent: int = 0
    note: str = ""  # checks and warnings of the last file
    ready: str = ""  # address of a file for the page to fetch
    fields: list[dict] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=lambda: dict(DEFAULTS))


class Exporting(Component[ExportingState]):
    """Has files made, and lets the browser save them."""

    def __init__(self, app: App):
        super().__init__(app, ExportingState)
        self.exporter = Exporter(app.case, app.opened.series)
        self.tasks = TaskRunner()
        self.tasks.changed.connect(self._show_task)
        self._files = Downloads(app.work.temporary)
        app.case.scan_changed.connect(self._on_scan_changed)
        self.show()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve the files that were made."""
        router.add_get(DOWNLOAD + "/{key}/{name}", self._on_download)

    def choose(self, key: str, value: str) -> None:
        """Set an option."""
        self.data.values = {**self.data.values, key: value}
        self.show()

    def show(self) -> None:
        """Show the options; those that do not matter for the others cannot be set."""
        values = self.data.values
        used = export.in_use(values)
        self.data.fields = [
            ui.choice(one.key, one.label, one.options, values[one.key], one.key not in used) for one in export.fields()
        ]

    def export(self) -> None:
        """Make the files that the options say."""
        job = self.exporter.job(self.data.values)

        def finish(result: dict, path: Path) -> str:
            return export.put_together(job, written_of(result), path)

        self.send(job.packed_name, lambda folder: export_task(job, folder, False), finish)

    def send(self, name: str, order: Callable[[Path], BackgroundTask], finish: Callable[[dict, Path], str]) -> None:
        """Have a file made by another process, and let the browser save it.

        Parameters
        ----------
        name : str
            Of the file, behind that of the scan.
        order : callable
            Given an empty folder, returns the task that makes files in it.
        finish : callable
            Given the result and the path of the file, puts it there; returns a message, or nothing.
        """
        folder, stem = self._files.new_folder(), self.app.opened.stem
        work = folder / "made"
        work.mkdir()

        def done(result: dict) -> None:
            self._offer(folder / name, self.app.guarded(finish)(result, folder / name), stem)

        def failed(text: str, kind: str, details: str) -> None:
            shutil.rmtree(folder, ignore_errors=True)
            self.data.note = ""
            self.app.tell(text, kind, details)

        self.tasks.start(order(work), name, done, failed)
        self.app.begin(self.app.while_it_works(lambda: self.tasks.working, self.tasks.poll))

    def make(self, name: str, work: Callable[[Path], None]) -> None:
        """Make a file of the scene at once, and let the browser save it."""
        path = self._files.new_folder() / name
        work(path)
        self._offer(path, "", self.app.opened.stem)

    def scene(self, path: Path) -> None:
        """Scan, teeth and views as a scene of 3D Slicer."""
        if not self.app.slicer.io_manager.write_scene(path):
            raise TeethSegError(_("The scene cannot be written: is the disk of the temporary folder full?"))

    def _offer(self, path: Path, note: str | None, stem: str) -> None:
        """Let the browser fetch a file that is made, named after its scan: another one may have been opened meanwhile."""
        if path.exists():
            name = quote(f"{stem}-{path.name}")
            self.data.note = note or ""
            self.data.ready = f"{DOWNLOAD}/{self._files.offer(path)}/{name}"

    def _show_task(self) -> None:
        tasks = self.tasks
        self.data.busy = _("{name} is being made …").format(name=tasks.name) if tasks.working else ""
        self.data.percent = round(100 * tasks.fraction)

    def build(self) -> None:
        """Build the options, the buttons and the progress of an export."""
        n, app = self.name, self.app
        wide = {"block": True, "classes": "mt-2", "disabled": (f"!!{n.busy}",)}
        client.ClientStateChange(value=n.ready, change=f"utils.teethseg.save({n.ready})")
        with html.Div(classes="px-4 pb-4"):
            ui.section(_("Files"))
            ui.choices(n.fields, app.on(self.choose))
            ui.button(_("Export"), "mdi-download", app.on(self.export), "export", **ui.PRIMARY, **wide)
            ui.section(_("Everything else"))
            panorama = app.on(lambda: self.make("panorama.zip", app.panorama.files))
            icon = "mdi-panorama-wide-angle-outline"
            ui.button(_("Panorama and sections (.zip)"), icon, panorama, "export-zip", **wide)
            scene = app.on(lambda: self.make("teeth.mrb", self.scene))
            ui.button(_("Scene of 3D Slicer (.mrb)"), "mdi-package-variant-closed", scene, "export-mrb", **wide)
            with html.Div(v_if=(n.busy,), raw_attrs=ui.test_id("export-progress")):
                ui.line(n.busy, "export-busy")
                ui.progress(n.percent)
                ui.button(_("Cancel"), "", app.on(self.tasks.cancel), "cancel-export", classes="mt-2")
            ui.line(n.note, "export-note")

    def _on_scan_changed(self) -> None:
        self.data.note = ""
        self._files.clear()  # nobody fetches files of another scan

    async def _on_download(self, request: web.Request) -> web.StreamResponse:
        path = self._files.find(request.match_info["key"])
        if path is None:
            return web.Response(status=404, text=_("This file is no longer there: export it again."))
        disposition = f"attachment; filename*=UTF-8''{quote(request.match_info['name'])}"
        return web.FileResponse(path, headers={"Content-Disposition": disposition})
