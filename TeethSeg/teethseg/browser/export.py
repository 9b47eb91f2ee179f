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

from ..application import export
from ..application.compute import Compute, at_once
from ..application.export import DEFAULTS, Exporter
from ..application.i18n import _
from ..errors import TeethSegError
from .component import Host, Part, button, choice, choices, test_id

DOWNLOAD = "/download"


@dataclass
class ExportingState:
    busy: str = ""
    note: str = ""  # what there is to say of the last file
    ready: str = ""  # address of a file for the page to fetch
    fields: list[dict] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=lambda: dict(DEFAULTS))


class Exporting(Part[ExportingState]):
    def __init__(self, app: Host):
        super().__init__(app, ExportingState)
        self.exporter = Exporter(app.case, app.opened.series)
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
        self.make(job.packed_name, lambda path: export.write_packed(job, path))

    def scene(self, path: Path) -> None:
        """Scan, teeth and views as a scene of 3D Slicer."""
        if not self.app.slicer.io_manager.write_scene(path):
            raise TeethSegError(_("The scene cannot be written: is the disk of the temporary folder full?"))

    def make(
        self, name: str, work: Callable[[Path], str | None], compute: Compute | None = None, note: str = ""
    ) -> None:
        """Make a file, and let the browser save it.

        Parameters
        ----------
        name : str
            Of the file, behind that of the scan.
        work : callable
            Given its path, makes it, and returns what there is to say.
        compute : Compute, optional
            `at_once` if it uses the scene; beside what the user does next unless given.
        note : str
            What there is to say beside that.
        """
        if self.data.busy:
            raise TeethSegError(_("Another file is being made: wait for it."))
        key = secrets.token_urlsafe(12)
        folder = self.app.recovery.passing / key
        folder.mkdir()
        self.data.busy, self.data.note = _("Making {name} …").format(name=name), ""
        address = f"{DOWNLOAD}/{key}/{quote(f'{self.app.opened.source.stem}-{name}')}"

        def done(said: str | None) -> None:
            self.data.busy, self.data.note = "", "\n".join(filter(None, (said, note)))
            self._files[key], self.data.ready = folder / name, address

        def failed(error: Exception) -> None:
            shutil.rmtree(folder, ignore_errors=True)
            self.data.busy = ""
            if isinstance(error, OSError):
                text = _("The file cannot be made ({reason}): free some space.")
                error = TeethSegError(text.format(reason=error.strerror))
            self.app.case.tell(error)

        (compute or self.app.case.compute)(lambda: work(folder / name), done, failed)

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
                act = self.app.on(lambda name=name, work=work: self.make(name, work, at_once))
                button(text, icon, act, f"export-{name.partition('.')[2]}", **wide)
            html.Div("{{ " + n.busy + " }}", v_if=(n.busy,), classes="text-body-2 mt-2")
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
