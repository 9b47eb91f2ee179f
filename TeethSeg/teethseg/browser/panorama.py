"""Panorama, cross-sections and the arches from above beneath the views, linked with slices, 3D and chart."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from trame.widgets import html

from ..application import arch_options
from ..application.arch_follower import ArchFollower
from ..application.arch_viewer import VIEWS, ArchViewer
from ..application.export import pack
from ..application.i18n import _
from ..application.placed_points import GOLD
from ..errors import UsageError
from . import controls as ui
from .component import App, Component
from .host import REST

PAUSE = 1.0  # seconds without a change of the teeth after which they are outlined anew
WIDE, PLAN = 900, 230  # pixels of the pictures
ICONS = {
    "distance": "mdi-ruler",
    "angle": "mdi-angle-acute",
    "clear": "mdi-eraser",
    "follow": "mdi-vector-curve",
    "points": "mdi-dots-hexagon",
}


@dataclass
class PanoramaState:
    """State of `Panorama` on the page."""

    shown: bool = False
    plan: str = ""  # pictures as data addresses
    panorama: str = ""
    section: str = ""
    values: dict = field(default_factory=lambda: dict(arch_options.DEFAULTS))
    pressed: str = ""  # the button that waits for clicks
    reason: str = ""  # why there is no picture


class Panorama(Component[PanoramaState]):
    """Shows the pictures of `ArchViewer`, and forwards the mouse to it."""

    def __init__(self, app: App):
        super().__init__(app, PanoramaState)
        case = app.case
        self.viewer = ArchViewer(case.scene, case.number, app.navigation.through, case.select, case.compute)
        self.follower = ArchFollower(case, self.viewer, app.clicks.points("arch", GOLD))
        at_rest, later = (partial(app.later, pause=seconds) for seconds in (REST, PAUSE))
        self.follower.watch(at_rest, lambda: self.data.shown, later)
        self.viewer.changed.connect(self.show)
        self.viewer.message.connect(self._say)
        case.scan_changed.connect(self._on_scan_changed)
        self.on_change(self.name.shown, lambda shown: self._update() if shown else None)
        self._forget()

    def set(self, key: str, value) -> None:
        """Set an option."""
        self.data.values = {**self.data.values, key: value}
        self.viewer.set(**{key: value})

    def files(self, path: Path) -> None:
        """Write pictures, DICOM and a page to print, packed into one file."""
        self._update()
        if not self.viewer.ready:
            raise UsageError(_("The panorama is being made: open it with its button above the views, and try again."))
        self.viewer.export_all(path.with_name("panorama"), self.app.opened.stem)
        pack(path.with_name("panorama"), path)

    def build(self) -> None:
        """Build the pictures and their controls."""
        n = self.name
        with html.Div(v_if=(n.shown,), classes="ts-panorama", raw_attrs=ui.test_id("panorama")):
            self._build_bar()
            ui.line(n.reason, "panorama-reason", classes="ts-notice pa-4")
            press, move, release = (
                self.app.trigger(one) for one in (self.viewer.press, self.viewer.move, self.viewer.release)
            )
            at = "utils.teethseg.inside($event)"
            with html.Div(v_if=(f"!{n.reason}",), classes="ts-arch"):
                for view in VIEWS:
                    html.Img(
                        src=(getattr(n, view),),
                        classes=f"ts-arch-{view}",
                        raw_attrs=[
                            'draggable="false"',
                            f"@mousedown=\"trigger('{press}', ['{view}', ...{at}])\"",
                            f"@mousemove=\"$event.buttons === 1 && trigger('{move}', {at})\"",
                            f"@mouseup=\"trigger('{release}', {at})\"",
                            f'alt="{view}"',
                            *ui.test_id(f"arch-{view}"),
                        ],
                    )

    def build_toggle(self) -> None:
        """Build the button that shows all this."""
        ui.toggle(self.name.shown, "mdi-panorama-wide-angle-outline", _("Panorama and cross-sections"), "panoramic")

    def _build_bar(self) -> None:
        n, values = self.name, self.name.values
        set_, act_ = self.app.on(self.set), self.app.on(self.follower.act)
        with html.Div(classes="ts-arch-bar"):
            for key, titles in arch_options.choices().items():
                value, chosen = (f"{values}.{key}",), (set_, f"['{key}', $event]")
                ui.one_of(titles, f"arch-{key}", model_value=value, update_modelValue=chosen)
            for length in arch_options.lengths():
                html.Span(length.label, classes="ts-notice")
                low, high, key = length.least, length.most, length.key
                within = f"Math.min({high}, Math.max({low}, Number($event.target.value) || {low}))"
                limits = {"type": "number", "min": low, "max": high, "step": length.step, "classes": "ts-number"}
                marks = [f':value="{values}.{key}"', f'title="{length.tip}"', *ui.test_id(f"arch-{key}")]
                html.Input(change=(set_, f"['{key}', {within}]"), raw_attrs=marks, **limits)
            html.Span("mm", classes="ts-notice")
            for one in arch_options.actions():
                act, colour = (act_, f"['{one.key}']"), f"{n.pressed} === '{one.key}' ? 'primary' : undefined"
                ui.icon_button(ICONS[one.key], one.tip, act, f"arch-{one.key}", color=(colour,))

    def _update(self) -> None:
        """Draw teeth, choice and scan as they are now."""
        if self.app.case.volume_node is None or self.viewer.busy:
            return
        if not self.viewer.ready:
            self.data.reason = _("The scan is being laid along the arches …")
        self.follower.teeth()

    def _on_scan_changed(self) -> None:
        self.follower.close()
        self._forget()

    def _forget(self) -> None:
        self.data.plan = self.data.panorama = self.data.section = ""
        self.data.reason = _("The panorama follows the teeth: segment the scan first, or click points along the arch.")

    def _say(self, text: str, kind: str) -> None:
        if text and self.viewer.ready:
            self.app.tell(text, kind)
        elif text:
            self.data.reason = text

    def show(self) -> None:
        """Draw the pictures once more."""
        data, viewer = self.data, self.viewer
        data.pressed = self.follower.pressed
        if not viewer.ready or not data.shown:
            return
        data.reason = ""
        data.plan, data.panorama, data.section = (
            _address(image) for image in (viewer.plan(PLAN), viewer.panorama(WIDE), viewer.strip(WIDE))
        )


def _address(image) -> str:
    if image is None:
        return ""
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(packed.getvalue()).decode("ascii")
