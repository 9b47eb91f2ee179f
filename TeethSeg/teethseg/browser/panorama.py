"""The panoramic view beside the slices: teeth outlined in their colours; a click goes there."""

from __future__ import annotations

import asyncio
import base64
import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from trame.widgets import html

from ..anatomy import tooth
from ..pictures.panoramic_reformat import Unrolled, unrolled
from .component import Host, Part, test_id
from .views import toggle

PAUSE = 1.0  # seconds without a change after which the view is drawn anew


@dataclass
class PanoramaState:
    shown: bool = False
    picture: str = ""  # as a data address
    width: int = 1
    height: int = 1
    teeth: list[dict] = field(default_factory=list)
    reason: str = ""  # why there is no picture
    here: list[float] = field(default_factory=list)  # column and row of the last click


class Panorama(Part[PanoramaState]):
    def __init__(self, app: Host):
        super().__init__(app, PanoramaState)
        self._unrolled: Unrolled | None = None
        self._waiting: asyncio.Task | None = None
        app.case.scan_changed.connect(self._forget)
        app.case.teeth_changed.connect(self._on_teeth_changed)
        app.chart.selection.changed.connect(self._show_numbers)
        self.on_change(self.name.shown, self._on_shown)

    async def draw(self) -> None:
        """Unroll the scan along its teeth as they are now."""
        case = self.app.case
        if case.teeth_node is None:
            return
        labels = case.volume.with_array(case.labels())
        found = await asyncio.to_thread(unrolled, case.volume, labels)
        with self.app.server.state:
            self._show(found)

    def go_to(self, column: float, row: float) -> None:
        """Move the slices to what lies under a pixel."""
        if self._unrolled is None:
            return
        x, y, z = self._unrolled.place(column, row)
        self.app.views.go_to((-x, -y, z))
        self.data.here = [float(column), float(row)]

    def build(self) -> None:
        n = self.name
        with html.Div(v_if=(n.shown,), classes="ts-panorama", raw_attrs=test_id("panorama")):
            html.Div("{{ " + n.reason + " }}", v_if=(n.reason,), classes="ts-notice pa-4")
            html.Div("R", classes="ts-edge ts-edge-left")
            html.Div("L", classes="ts-edge ts-edge-right")
            html.Div(self._svg(), v_if=(f"!{n.reason}",), style="height: 100%")

    def build_toggle(self) -> None:
        toggle(self.name.shown, "mdi-panorama-wide-angle-outline", "Panoramic view along the arches", "panoramic")

    def _svg(self) -> str:
        """The picture, the outlines and the numbers; trame has no widgets for SVG."""
        n, selected = self.name, self.app.chart.name.selected
        go = f"trigger('{self.app.trigger(self.go_to)}', utils.teethseg.pixel($event))"
        select = f"trigger('{self.app.trigger(self._select)}', [t.fdi])"
        return f"""
<svg :viewBox="`0 0 ${{{n.width}}} ${{{n.height}}}`" @click="{go}">
<image :href="{n.picture}" :width="{n.width}" :height="{n.height}"></image>
<path v-for="t in {n.teeth}" :key="t.fdi" :d="t.path" :stroke="t.colour" @click="{select}"
 :fill="t.fdi === {selected} ? t.colour : 'transparent'" fill-opacity="0.25" :stroke-width="t.fdi === {selected} ? 3 : 1.6"
 :data-testid="`outline-${{t.fdi}}`"></path>
<text v-for="t in {n.teeth}" :key="-t.fdi" :x="t.x" :y="t.y" :fill="t.colour">{{{{ t.number }}}}</text>
<circle v-if="{n.here}.length" :cx="{n.here}[0]" :cy="{n.here}[1]" r="5"></circle>
</svg>"""

    def _select(self, fdi: int) -> None:
        self.app.chart.select(int(fdi), centre=False)

    async def _on_shown(self, shown: bool) -> None:
        if shown and self._unrolled is None:
            await self.draw()

    def _on_teeth_changed(self) -> None:
        if not self.data.shown:
            self._unrolled = None
            return
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = asyncio.get_event_loop().create_task(self._draw_later())

    async def _draw_later(self) -> None:
        await asyncio.sleep(PAUSE)
        await self.app.told(self.draw)()

    def _forget(self) -> None:
        self._show(None)
        self.data.reason = "The panoramic view follows the teeth: segment the scan first."

    def _show(self, found: Unrolled | None) -> None:
        data, self._unrolled = self.data, found
        data.here = []
        if found is None:
            data.picture, data.teeth = "", []
            data.reason = "There are too few teeth to see an arch."
            return
        data.reason = ""
        data.height, data.width = found.grey.shape
        data.teeth = [self._drawn(fdi, lines) for fdi, lines in found.outlines.items()]
        packed = io.BytesIO()
        Image.fromarray(found.grey).save(packed, "JPEG", quality=85)
        data.picture = "data:image/jpeg;base64," + base64.b64encode(packed.getvalue()).decode("ascii")

    def _show_numbers(self) -> None:
        """As the chart has them."""
        numbers = {one["fdi"]: self.app.chart.number(one["fdi"]) for one in self.data.teeth}
        if any(one["number"] != numbers[one["fdi"]] for one in self.data.teeth):
            self.data.teeth = [{**one, "number": numbers[one["fdi"]]} for one in self.data.teeth]

    def _drawn(self, fdi: int, lines: list[np.ndarray]) -> dict:
        largest = max(lines, key=len)
        x, y = (largest.min(axis=0) + largest.max(axis=0)) / 2
        red, green, blue = (round(255 * (0.8 * part + 0.2)) for part in tooth(fdi).colour)
        return {
            "fdi": fdi,
            "number": self.app.chart.number(fdi),
            "colour": f"rgb({red}, {green}, {blue})",
            "path": " ".join("M" + " L".join(f"{a:.1f} {b:.1f}" for a, b in line[::2]) + " Z" for line in lines),
            "x": round(float(x), 1),
            "y": round(float(y), 1),
        }
