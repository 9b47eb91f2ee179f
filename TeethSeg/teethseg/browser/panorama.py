"""Panorama, cross-sections and the arches from above beneath the views, linked with slices, 3D and chart."""

from __future__ import annotations

import asyncio
import base64
import io
from dataclasses import dataclass
from pathlib import Path

from trame.widgets import html
from trame.widgets import vuetify3 as v3
from trame_server.utils.asynchronous import create_task

from ..application.arch_studio import ArchStudio
from ..errors import UsageError
from ..volume import Volume
from .component import Host, Part, test_id
from .views import toggle

REST = 0.2  # seconds after which a slice that was moved counts as at rest
PAUSE = 1.0  # seconds without a change of the teeth after which they are outlined anew
WIDE, PLAN = 900, 230  # pixels of the pictures
VIEWS = ("plan", "panorama", "section")
JAWS = {"both": "Both arches", "upper": "Upper", "lower": "Lower"}


@dataclass
class PanoramaState:
    shown: bool = False
    plan: str = ""  # pictures as data addresses
    panorama: str = ""
    section: str = ""
    jaws: str = "both"
    projection: str = "mean"
    slab: float = 10.0
    distance: float = 2.0
    thickness: float = 1.0
    measuring: str = ""
    clicking: bool = False  # points along the arch, in a slice
    reason: str = ""  # why there is no picture


class Panorama(Part[PanoramaState]):
    def __init__(self, app: Host):
        super().__init__(app, PanoramaState)
        self.studio = ArchStudio(app.slicer.scene, app.chart.number, app.views.go_to, self._select, self._compute)
        self._waiting: asyncio.Task | None = None
        self._tasks: set[asyncio.Task] = set()
        self._points: list[tuple[float, float, float]] = []
        self.studio.changed.connect(self._show)
        self.studio.said.connect(self._say)
        app.case.scan_changed.connect(self._on_scan_changed)
        app.case.teeth_changed.connect(self._on_teeth_changed)
        app.chart.selection.changed.connect(self._on_selection)
        n = self.name
        self.on_change(n.shown, self._on_shown)
        for field, option in (
            (n.jaws, "jaws"),
            (n.projection, "projection"),
            (n.slab, "slab_mm"),
            (n.distance, "distance_mm"),
            (n.thickness, "thickness_mm"),
        ):
            self.on_change(field, lambda value, option=option: self._set(option, value))
        self._moved: asyncio.Handle | None = None
        for view in app.views.slices:
            view.get_view_node().AddObserver("ModifiedEvent", self._on_slice)
        self._forget()

    def press(self, view: str, x: float, y: float) -> None:
        """The mouse goes down on a picture."""
        self.studio.press(view, float(x), float(y))

    def move(self, x: float, y: float) -> None:
        self.studio.move(float(x), float(y))

    def release(self, x: float, y: float) -> None:
        self.studio.release(float(x), float(y))

    def measure(self, kind: str) -> None:
        """The next clicks measure; pressed again, they no longer do."""
        self.studio.measure("" if self.studio.measuring == kind else kind)

    def click_points(self) -> None:
        """Take the places of the next clicks into slices as points along the arch; pressed again, draw it."""
        if not self.data.clicking:
            self.data.clicking, self._points = True, []
            self.app.tell(
                "Click along the arch in the axial view, from one end to the other; then press again.", error=False
            )
            return
        self.data.clicking = False
        self.studio.draw_arch(self._points)

    def take_point(self, place: tuple[float, float, float]) -> bool:
        """Take a click into a slice as a point of the arch; False if none is waited for."""
        if self.data.clicking:
            self._points.append(place)
        return self.data.clicking

    def files(self, _labels: Volume, path: Path) -> None:
        """Pictures, DICOM and a page to print, packed."""
        from .export import pack

        if not self.studio.ready:
            self._open()
            raise UsageError("The panorama is being made: open it with its button above the views, and try again.")
        folder = path.parent / path.stem
        folder.mkdir()
        self.studio.export_png(folder)
        self.studio.export_dicom(folder)
        self.studio.export_sheet(folder / "panorama.pdf", self.app.case.source.stem)
        pack(folder, path)

    def build(self) -> None:
        n = self.name
        with html.Div(v_if=(n.shown,), classes="ts-panorama", raw_attrs=test_id("panorama")):
            self._build_bar()
            html.Div(
                "{{ " + n.reason + " }}",
                v_if=(n.reason,),
                classes="ts-notice pa-4",
                raw_attrs=test_id("panorama-reason"),
            )
            with html.Div(v_if=(f"!{n.reason}",), classes="ts-arch"):
                for view in VIEWS:
                    press = self.app.trigger(self.press)
                    move, release = self.app.trigger(self.move), self.app.trigger(self.release)
                    at = "utils.teethseg.inside($event)"
                    html.Img(
                        src=(getattr(n, view),),
                        classes=f"ts-arch-{view}",
                        raw_attrs=[
                            'draggable="false"',
                            f"@mousedown=\"trigger('{press}', ['{view}', ...{at}])\"",
                            f"@mousemove=\"$event.buttons === 1 && trigger('{move}', {at})\"",
                            f"@mouseup=\"trigger('{release}', {at})\"",
                            f'alt="{view}"',
                            *test_id(f"arch-{view}"),
                        ],
                    )

    def build_toggle(self) -> None:
        toggle(self.name.shown, "mdi-panorama-wide-angle-outline", "Panorama and cross-sections", "panoramic")

    def _build_bar(self) -> None:
        n = self.name
        with html.Div(classes="ts-arch-bar"):
            for field, choices, mark in (
                (n.jaws, JAWS, "arch-jaws"),
                (n.projection, {"mean": "Mean", "maximum": "Maximum"}, "arch-projection"),
            ):
                with v3.VBtnToggle(
                    v_model=(field,), mandatory=True, density="compact", variant="outlined", divided=True
                ):
                    for value, label in choices.items():
                        v3.VBtn(label, value=value, size="x-small", height=24, raw_attrs=test_id(f"{mark}-{value}"))
            for field, least, most, step, label in (
                (n.slab, 1, 25, 1, "Slab"),
                (n.distance, 0.5, 10, 0.5, "Sections every"),
                (n.thickness, 0.25, 10, 0.25, "thick"),
            ):
                html.Span(label, classes="ts-notice")
                html.Input(
                    type="number",
                    min=least,
                    max=most,
                    step=step,
                    classes="ts-number",
                    raw_attrs=[
                        f':value="{field}"',
                        f'@change="{field} = Math.min({most}, Math.max({least}, Number($event.target.value) || {least}))"',
                        f'aria-label="{label}, mm"',
                        *test_id(f"arch-{label.split()[0].lower()}"),
                    ],
                )
            html.Span("mm", classes="ts-notice")
            for kind, icon, title in (
                ("distance", "mdi-ruler", "Distance: two clicks in the pictures below"),
                ("angle", "mdi-angle-acute", "Angle: three clicks, the corner second"),
            ):
                v3.VBtn(
                    icon=icon,
                    size="x-small",
                    variant="text",
                    color=(f"{n.measuring} === '{kind}' ? 'primary' : undefined",),
                    click=(self.app.on(self.measure), f"['{kind}']"),
                    raw_attrs=[f'title="{title}"', *test_id(f"arch-{kind}")],
                )
            for icon, title, act, mark in (
                ("mdi-eraser", "Take away the measures", self.studio.clear_measures, "clear"),
                ("mdi-vector-curve", "Lay the curves along the teeth again", self.studio.follow_teeth, "follow"),
                ("mdi-dots-hexagon", "Click points along the arch; again to draw it", self.click_points, "points"),
            ):
                v3.VBtn(
                    icon=icon,
                    size="x-small",
                    variant="text",
                    click=self.app.on(act),
                    raw_attrs=[f'title="{title}"', *test_id(f"arch-{mark}")],
                )

    def _compute(self, work, done, failed) -> None:
        """Beside what the user does next."""

        async def run() -> None:
            try:
                result = await asyncio.to_thread(work)
            except Exception as error:
                failed(error)
                return
            with self.app.server.state:
                done(result)

        task = create_task(run())
        self._tasks.add(task)  # the loop itself keeps no hold of tasks
        task.add_done_callback(self._tasks.discard)

    def _select(self, fdi: int) -> None:
        self.app.chart.select(int(fdi), centre=False)

    def _set(self, option: str, value) -> None:
        self.studio.set(**{option: value})

    def _on_shown(self, shown: bool) -> None:
        if shown and not self.studio.ready and not self.studio.busy:
            self._open()

    def _open(self) -> None:
        case = self.app.case
        if case.volume is not None:
            self.data.reason = "The scan is being laid along the arches …"
            self.studio.open(case.volume, self._labels(), case.volume_node)

    def _labels(self) -> Volume | None:
        case = self.app.case
        return case.volume.with_array(case.labels()) if case.has_teeth else None

    def _on_scan_changed(self) -> None:
        self.studio.close()
        self._forget()

    def _on_teeth_changed(self) -> None:
        if not self.data.shown:
            if self.studio.ready:
                self.studio.close()
            return
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = asyncio.get_event_loop().create_task(self._follow_teeth())

    async def _follow_teeth(self) -> None:
        await asyncio.sleep(PAUSE)

        def follow() -> None:
            if self.studio.ready:
                self.studio.teeth_changed(self._labels())
            else:
                self._open()

        with self.app.server.state:
            self.app.told(follow)()

    def _on_selection(self) -> None:
        fdi = self.app.chart.selected
        if self.studio.ready and fdi != self.studio.chosen:
            from ..mrml.teeth import centre_ras

            self.studio.choose(fdi, centre_ras(self.app.case.teeth_node, fdi) if fdi else None)

    def _on_slice(self, *_event) -> None:
        """A slice moves: where they meet is marked once it rests."""
        if self.studio.ready and self.data.shown:
            if self._moved is not None:
                self._moved.cancel()
            self._moved = asyncio.get_event_loop().call_later(REST, self._mark)

    def _mark(self) -> None:
        with self.app.server.state:
            self.studio.slices_at(self.app.views.place())

    def _forget(self) -> None:
        self.data.plan = self.data.panorama = self.data.section = ""
        self.data.clicking = False
        self.data.reason = "The panorama follows the teeth: segment the scan first, or click points along the arch."

    def _say(self, text: str, kind: str) -> None:
        self.data.reason = "" if self.studio.ready else text
        if self.studio.ready:
            self.app.tell(text, error=kind == "error")

    def _show(self) -> None:
        data, studio = self.data, self.studio
        data.measuring = studio.measuring
        if not studio.ready or not data.shown:
            return
        data.reason = ""
        data.plan, data.panorama, data.section = (
            _address(image) for image in (studio.plan(PLAN), studio.panorama(WIDE), studio.strip(WIDE))
        )


def _address(image) -> str:
    if image is None:
        return ""
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(packed.getvalue()).decode("ascii")
