"""Export: surfaces, segmentation, report, scene and training case, as files that the browser saves."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from aiohttp import web
from trame.widgets import client, html
from trame.widgets import vuetify3 as v3

from ..anatomy import PERMANENT
from ..annotation.cases import save_case
from ..application.annotation_session import looks_personal
from ..errors import TeethSegError
from ..io.dicom_references import source_series
from ..io.dicom_seg import write_dicom_seg
from ..io.files import write_labels
from ..io.json_text import json_text
from ..mrml import teeth
from ..surfaces.export import ExportOptions, export
from ..surfaces.measures import write_csv
from ..volume import Volume
from .component import Host, Part, test_id

DOWNLOAD = "/download"
FORMATS = ["stl", "obj", "ply", "glb"]
PARTS = [
    {"title": "One file a tooth", "value": "tooth"},
    {"title": "One file a jaw", "value": "jaw"},
    {"title": "One a jaw, touching teeth joined", "value": "merged"},
    {"title": "One a jaw, with the bone around the roots", "value": "bone"},
]
SMOOTHING = [
    {"title": "No smoothing", "value": "none"},
    {"title": "Light smoothing", "value": "light"},
    {"title": "Strong smoothing", "value": "strong"},
]
GAPS = [{"title": f"{gap} mm of air" if gap else "No gap", "value": gap} for gap in (0, 0.1, 0.2, 0.3)]
INSIDES = [{"title": "Solid", "value": "solid"}, {"title": "Pulp hollow", "value": "hollow"}]
SPACES = [{"title": "LPS (DICOM)", "value": "LPS"}, {"title": "RAS (3D Slicer)", "value": "RAS"}]


@dataclass
class ExportingState:
    busy: str = ""
    note: str = ""  # what there is to say of the last file
    ready: str = ""  # address of a file for the page to fetch
    format: str = "stl"
    parts: str = "tooth"
    smoothing: str = "light"
    space: str = "LPS"
    gap: float = 0
    inside: str = "solid"
    patient: str = ""  # key for a training case


class Exporting(Part[ExportingState]):
    def __init__(self, app: Host):
        super().__init__(app, ExportingState)
        self._files: dict[str, Path] = {}
        self._corrected: tuple[int, ...] = ()  # teeth that were no longer as found when the last file was begun
        app.case.scan_changed.connect(self._on_scan_changed)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get(DOWNLOAD + "/{key}/{name}", self._on_download)

    def surfaces(self, labels: Volume, path: Path) -> str:
        """A zip of the surfaces, made as the page's choices say, and a table of measures; returns what checks found."""
        data = self.data
        apart = data.parts in ("tooth", "jaw")
        options = ExportOptions(
            format=data.format,
            parts=data.parts,
            space=data.space,
            smoothing=data.smoothing,
            gap_mm=float(data.gap) if apart else 0.0,
            pulp=apart and data.inside == "hollow",
            naming=self.app.chart.data.notation,
        )
        folder = path.parent / "surfaces"
        result = export(folder, labels, options, maps=self.app.case.maps, image=self.app.case.volume)
        write_csv(folder / "teeth.csv", result.rows)
        pack(folder, path)
        return "\n".join([f"{result.summary}.".capitalize(), *result.warnings])

    def segmentation(self, labels: Volume, path: Path) -> None:
        """A `.seg.nrrd` on the grid of the scan, for 3D Slicer."""
        write_labels(path, labels, notation=self.app.chart.data.notation)

    def dicom_seg(self, labels: Volume, path: Path) -> str:
        """A DICOM SEG that refers to the images of the scan, if these are DICOM."""
        source = self.app.case.source
        images = source_series(source.path, labels, source.series) if source.path.exists() else None
        write_dicom_seg(path, labels, None, self.app.chart.data.notation, images, source.name, self._corrected)
        if images is None:
            return "The scan was not read from DICOM: the segmentation is a study of its own."
        return f"It refers to the {len(images.images)} DICOM images of the scan."

    def report(self, _labels: Volume, path: Path) -> None:
        """The report of the run, with the teeth as they are now."""
        path.write_text(json_text(self.app.case.current_report(), indent=2), encoding="utf-8")

    def scene(self, _labels: Volume, path: Path) -> None:
        """Scan, teeth and views as a scene of 3D Slicer."""
        if not self.app.slicer.io_manager.write_scene(path):
            raise TeethSegError("The scene cannot be written: is the disk of the temporary folder full?")

    def case(self, labels: Volume, path: Path) -> str:
        """A training case, packed; what is not completed on the worklist is unknown in it, which is told."""
        folder, patient = path.parent / path.stem, self.data.patient
        listed = self.app.worklist.list if self.app.worklist.begun else None
        missing = tuple(fdi for fdi in PERMANENT if fdi not in listed.teeth) if listed is not None else ()
        volume = self.app.case.volume
        save_case(folder, volume, labels.array, patient, worklist=listed, missing=missing, unfinished=True)
        pack(folder, path)
        told = []
        if listed is not None and (still_open := listed.unfinished()):
            names = ", ".join(map(self.app.chart.number, still_open))
            told.append(f"Not completed, so unknown in the case, which teaches nothing of them: {names}.")
        if looks_personal(patient):
            told.append(f"'{patient}' looks like a name or a date of birth: the key goes wherever the case goes.")
        return "\n".join(told)

    def build_case(self) -> None:
        """The control of the training case, which stands elsewhere on the page."""
        n = self.name
        html.Div("Training case", classes="ts-section")
        v3.VTextField(
            v_model=(n.patient,),
            label="Patient key (not a name)",
            density="compact",
            variant="outlined",
            hide_details=True,
            raw_attrs=test_id("patient"),
        )
        self._button(
            "Training case (.zip)", "mdi-school-outline", self.case, "case.zip", "export-case", wanting=f"!{n.patient}"
        )

    def build(self) -> None:
        n = self.name
        client.ClientStateChange(value=n.ready, change=f"utils.teethseg.save({n.ready})")
        with html.Div(classes="px-4 pb-4"):
            html.Div("Surfaces", classes="ts-section")
            with html.Div(style="display: grid; grid-template-columns: 1fr 1fr; gap: 8px"):
                apart = f"['tooth', 'jaw'].includes({n.parts})"
                for name, items, label in (
                    (n.format, [{"title": one.upper(), "value": one} for one in FORMATS], "Format"),
                    (n.parts, PARTS, "Files"),
                    (n.smoothing, SMOOTHING, "Smoothing"),
                    (n.space, SPACES, "Coordinates"),
                    (n.gap, GAPS, "Between teeth"),
                    (n.inside, INSIDES, "Inside"),
                ):
                    v3.VSelect(
                        v_model=(name,),
                        items=("" + json_text(items).replace('"', "'"),),
                        label=label,
                        disabled=(f"!{apart}" if name in (n.gap, n.inside) else "false",),
                        density="compact",
                        variant="outlined",
                        hide_details=True,
                    )
            self._button(
                "Surfaces (.zip)", "mdi-cube-outline", self.surfaces, "surfaces.zip", "export-surfaces", "primary"
            )
            html.Div("Everything else", classes="ts-section")
            self._button(
                "Segmentation (.seg.nrrd)", "mdi-layers-triple", self.segmentation, "teeth.seg.nrrd", "export-labels"
            )
            self._button(
                "DICOM segmentation (.dcm)", "mdi-file-tree-outline", self.dicom_seg, "teeth.dcm", "export-dicom-seg"
            )
            self._button(
                "Report (.json)", "mdi-file-chart-outline", self.report, "report.json", "export-report", apart=False
            )
            self._button(
                "Panorama and sections (.zip)",
                "mdi-panorama-wide-angle-outline",
                lambda labels, path: self.app.panorama.files(labels, path),
                "panorama.zip",
                "export-panorama",
                apart=False,
            )
            self._button(
                "Scene of 3D Slicer (.mrb)",
                "mdi-package-variant-closed",
                self.scene,
                "teeth.mrb",
                "export-scene",
                apart=False,
            )
            html.Div("{{ " + n.busy + " }} …", v_if=(n.busy,), classes="text-body-2 mt-2")
            html.Div(
                "{{ " + n.note + " }}",
                v_if=(f"{n.note} && !{n.busy}",),
                style="white-space: pre-line",
                classes="text-body-2 mt-2",
                raw_attrs=test_id("export-note"),
            )

    def _button(
        self,
        label: str,
        icon: str,
        make: Callable[[Volume, Path], str | None],
        name: str,
        mark: str,
        colour: str | None = None,
        apart: bool = True,
        wanting: str = "false",
    ) -> None:
        """A download, unless something is `wanting` (JavaScript).

        `apart` tells whether it may be made beside the page's own work, as long as it uses nothing of the scene.
        """

        async def on_click() -> None:
            address = await self._make(label, make, name, apart)
            with self.app.server.state:
                self.data.ready = address

        options = {"color": colour} if colour else {"variant": "tonal"}
        v3.VBtn(
            label,
            prepend_icon=icon,
            block=True,
            classes="mt-2",
            disabled=(f"!!{self.name.busy} || {wanting}",),
            click=self.app.on(on_click),
            raw_attrs=test_id(mark),
            **options,
        )

    async def _make(self, label: str, make: Callable[[Volume, Path], str | None], name: str, apart: bool) -> str:
        """Make a file; returns the address that it can be fetched from once."""
        if self.data.busy:
            raise TeethSegError("Another file is being made: wait for it.")
        with self.app.server.state:
            self.data.busy, self.data.note = f"Making {label}", ""
        await asyncio.sleep(0.05)
        key = secrets.token_urlsafe(12)
        folder = self.app.recovery.passing / key
        try:
            folder.mkdir()
            labels = self.app.case.volume.with_array(self.app.case.labels())
            self._corrected = teeth.corrected(self.app.case.teeth_node)
            made = (labels, folder / name)
            note = await asyncio.to_thread(make, *made) if apart else make(*made)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise TeethSegError(f"The file cannot be made ({error.strerror}): free some space.") from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            with self.app.server.state:
                self.data.busy = ""
        with self.app.server.state:
            self.data.note = note or ""
        self._files[key] = folder / name
        return f"{DOWNLOAD}/{key}/{quote(f'{self.app.case.source.stem}-{name}')}"

    def _on_scan_changed(self) -> None:
        self.data.note = self.data.patient = ""
        for path in self._files.values():  # nobody fetches files of another scan
            shutil.rmtree(path.parent, ignore_errors=True)
        self._files.clear()

    async def _on_download(self, request: web.Request) -> web.StreamResponse:
        path = self._files.get(request.match_info["key"])
        if path is None:
            return web.Response(status=404, text="This file is no longer there: export it again.")
        disposition = f"attachment; filename*=UTF-8''{quote(request.match_info['name'])}"
        return web.FileResponse(path, headers={"Content-Disposition": disposition})


def pack(folder: Path, path: Path) -> None:
    """Pack a folder as a zip file."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for file in sorted(folder.rglob("*")):
            packed.write(file, file.relative_to(folder))
