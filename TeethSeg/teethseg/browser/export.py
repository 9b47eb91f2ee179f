"""Export: files that the browser saves."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from aiohttp import web
from trame.widgets import client, html
from trame.widgets import vuetify3 as v3

from ..application import export
from ..application.errands import Errand, Errands, export_errand, written_of
from ..application.export import DEFAULTS, Exporter, pack
from ..application.i18n import _
from ..errors import TeethSegError
from .component import Host, Part, button, choice, choices, test_id

DOWNLOAD = "/download"


@dataclass
class ExportingState:
    busy: str = ""
    percent: int = 0
    note: str = ""  # what there is to say of the last file
    ready: str = ""  # address of a file for the page to fetch
    fields: list[dict] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=lambda: dict(DEFAULTS))


class Exporting(Part[ExportingState]):
    def __init__(self, app: Host):
        super().__init__(app, ExportingState)
        self.exporter = Exporter(app.case, app.opened.series)
        self.errands = Errands()
        self.errands.changed.connect(self._show_errand)
        self._files: dict[str, Path] = {}
        app.case.scan_changed.connect(self._on_scan_changed)
        self.show()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get(DOWNLOAD + "/{key}/{name}", self._on_download)

    def choose(self, key: str, value: str) -> None:
        """Set an option."""
        self.data.values = {**self.data.values, key: value}
        self.show()

    def show(self) -> None:
        values = self.data.values
        used = export.in_use(values)
        self.data.fields = [
            choice(one.key, one.label, one.options, values[one.key], one.key not in used) for one in export.fields()
        ]

    def export(self) -> None:
        """Make the files that the options say."""
        job = self.exporter.job(self.data.values)

        def finish(result: dict, path: Path) -> str:
            written = written_of(result)
            if job.kind in export.SURFACES:
                pack(path.with_name("made"), path)
            else:
                written.files[0].replace(path)
            return "\n".join([*written.lines, *written.warnings])

        self.send(job.packed_name, lambda folder: export_errand(job, folder, False), finish)

    def send(self, name: str, order: Callable[[Path], Errand], finish: Callable[[dict, Path], str]) -> None:
        """Have a file made by another process, and let the browser save it.

        Parameters
        ----------
        name : str
            Of the file, behind that of the scan.
        order : callable
            Given an empty folder, tells what is to be made in it.
        finish : callable
            Given the result and the path of the file, puts it there; returns what there is to say.
        """
        folder = self._folder()
        work = folder / "made"
        work.mkdir()

        def done(result: dict) -> None:
            self._offer(folder / name, self.app.told(finish)(result, folder / name))

        def failed(text: str, kind: str, details: str) -> None:
            shutil.rmtree(folder, ignore_errors=True)
            self.data.note = ""
            self.app.tell(text, kind, details)

        self.errands.start(order(work), name, done, failed)
        self.app.begin(self.app.while_it_works(lambda: self.errands.working, self.errands.poll))

    def make(self, name: str, work: Callable[[Path], None]) -> None:
        """Make a file of the scene at once, and let the browser save it."""
        path = self._folder() / name
        work(path)
        self._offer(path, "")

    def scene(self, path: Path) -> None:
        """Scan, teeth and views as a scene of 3D Slicer."""
        if not self.app.slicer.io_manager.write_scene(path):
            raise TeethSegError(_("The scene cannot be written: is the disk of the temporary folder full?"))

    def _folder(self) -> Path:
        """An empty one for a new file."""
        folder = self.app.recovery.passing / secrets.token_urlsafe(12)
        try:
            folder.mkdir()
        except OSError as error:
            text = _("The file cannot be made ({reason}): free some space.")
            raise TeethSegError(text.format(reason=error.strerror)) from error
        return folder

    def _offer(self, path: Path, note: str | None) -> None:
        """Let the browser fetch a file that is made."""
        if path.exists():
            name = quote(f"{self.app.opened.source.stem}-{path.name}")
            self._files[path.parent.name], self.data.note = path, note or ""
            self.data.ready = f"{DOWNLOAD}/{path.parent.name}/{name}"

    def _show_errand(self) -> None:
        errands = self.errands
        self.data.busy = _("{name} is being made …").format(name=errands.name) if errands.working else ""
        self.data.percent = round(100 * errands.fraction)

    def build(self) -> None:
        n, wide = self.name, {"block": True, "classes": "mt-2", "disabled": (f"!!{self.name.busy}",)}
        client.ClientStateChange(value=n.ready, change=f"utils.teethseg.save({n.ready})")
        with html.Div(classes="px-4 pb-4"):
            html.Div(_("Files"), classes="ts-section")
            choices(n.fields, self.app.on(self.choose))
            primary = {"variant": "flat", "color": "primary"}
            button(_("Export"), "mdi-download", self.app.on(self.export), "export", **primary, **wide)
            html.Div(_("Everything else"), classes="ts-section")
            for text, icon, name, work in (
                (
                    _("Panorama and sections (.zip)"),
                    "mdi-panorama-wide-angle-outline",
                    "panorama.zip",
                    lambda path: self.app.panorama.files(path),
                ),
                (_("Scene of 3D Slicer (.mrb)"), "mdi-package-variant-closed", "teeth.mrb", self.scene),
            ):
                act = self.app.on(lambda name=name, work=work: self.make(name, work))
                button(text, icon, act, f"export-{name.partition('.')[2]}", **wide)
            with html.Div(v_if=(n.busy,), raw_attrs=test_id("export-progress")):
                html.Div("{{ " + n.busy + " }}", classes="text-body-2 mt-2")
                v3.VProgressLinear(model_value=(n.percent,), color="primary", height=4)
                button(_("Cancel"), "", self.app.on(self.errands.cancel), "cancel-export", classes="mt-2")
            html.Div(
                "{{ " + n.note + " }}",
                v_if=(n.note,),
                style="white-space: pre-line",
                classes="text-body-2 mt-2",
                raw_attrs=test_id("export-note"),
            )

    def _on_scan_changed(self) -> None:
        self.data.note = ""
        for path in self._files.values():  # nobody fetches files of another scan
            shutil.rmtree(path.parent, ignore_errors=True)
        self._files.clear()

    async def _on_download(self, request: web.Request) -> web.StreamResponse:
        path = self._files.get(request.match_info["key"])
        if path is None:
            return web.Response(status=404, text=_("This file is no longer there: export it again."))
        disposition = f"attachment; filename*=UTF-8''{quote(request.match_info['name'])}"
        return web.FileResponse(path, headers={"Content-Disposition": disposition})
