"""Panorama, cross-sections and the arches from above beneath the views, linked with slices, 3D and chart."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path

from trame.widgets import html

from ..application import arch_options
from ..application.arch_follower import ArchFollower
from ..application.arch_viewer import ArchViewer
from ..application.export import pack
from ..application.i18n import _
from ..application.placed_points import GOLD
from ..errors import UsageError
from . import controls as ui
from .component import Component, Host

REST = 0.2  # seconds after which a slice that was moved counts as at rest
PAUSE = 1.0  # seconds without a change of the teeth after which they are outlined anew
WIDE, PLAN = 900, 230  # pixels of the pictures
VIEWS = ("plan", "panorama", "section")
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
    """Shows the pictures of `ArchViewer`, and hands on the mouse."""

    def __init__(self, app: Host):
        super().__init__(app, PanoramaState)
        case = app.case
        self.viewer = ArchViewer(case.scene, case.number, app.navigation.through, case.select, case.compute)
        self.clicks = app.clicks.points("arch", GOLD)
        self._follower = ArchFollower(case, self.viewer, self.clicks)
        self._follow_teeth = app.later(self._follower.teeth, PAUSE)
        self._follow_slices = app.later(self._follower.slices, REST)
        self.viewer.changed.connect(self.show)
        self.viewer.said.connect(self._say)
        case.scan_changed.connect(self._on_scan_changed)
        case.changed.connect(self._on_teeth_changed)
        case.selected_changed.connect(self._follower.chosen)
        self.on_change(self.name.shown, self._on_shown)
        for view in app.views.slices:
            view.get_view_node().AddObserver("ModifiedEvent", self._on_slice)
        self._forget()

    def press(self, view: str, x: float, y: float) -> None:
        """Take the mouse button down at a pixel of a picture."""
        self.viewer.press(view, float(x), float(y))

    def move(self, x: float, y: float) -> None:
        """Take a move of the mouse with the button down."""
        self.viewer.move(float(x), float(y))

    def release(self, x: float, y: float) -> None:
        """Take the mouse button up."""
        self.viewer.release(float(x), float(y))

    def set(self, key: str, value) -> None:
        """Set an option."""
        self.data.values = {**self.data.values, key: value}
        self.viewer.set(**{key: value})

    def act(self, key: str) -> None:
        """Press a button."""
        self._follower.act(key)

    def files(self, path: Path) -> None:
        """Write pictures, DICOM and a page to print, packed into one file."""
        if not self.viewer.ready:
            self._open()
            raise UsageError(_("The panorama is being made: open it with its button above the views, and try again."))
        self.viewer.export_all(path.with_name("panorama"), self.app.opened.source.stem)
        pack(path.with_name("panorama"), path)

    def build(self) -> None:
        """Build the pictures and their controls."""
        n = self.name
        with html.Div(v_if=(n.shown,), classes="ts-panorama", raw_attrs=ui.test_id("panorama")):
            self._build_bar()
            ui.line(n.reason, "panorama-reason", classes="ts-notice pa-4")
            press, move, release = map(self.app.trigger, (self.press, self.move, self.release))
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
        set_ = self.app.on(self.set)
        with html.Div(classes="ts-arch-bar"):
            for key, titles in arch_options.choices().items():
                value, chosen = (f"{values}.{key}",), (set_, f"['{key}', $event]")
                ui.one_of(titles, f"arch-{key}", model_value=value, update_modelValue=chosen)
            for one in arch_options.lengths():
                html.Span(one.label, classes="ts-notice")
                within = f"Math.min({one.most}, Math.max({one.least}, Number($event.target.value) || {one.least}))"
                limits = {"type": "number", "min": one.least, "max": one.most, "step": one.step, "classes": "ts-number"}
                marks = [f':value="{values}.{one.key}"', f'title="{one.tip}"', *ui.test_id(f"arch-{one.key}")]
                html.Input(change=(set_, f"['{one.key}', {within}]"), raw_attrs=marks, **limits)
            html.Span("mm", classes="ts-notice")
            for one in arch_options.actions():
                act, colour = (
                    (self.app.on(self.act), f"['{one.key}']"),
                    f"{n.pressed} === '{one.key}' ? 'primary' : undefined",
                )
                ui.icon_button(ICONS[one.key], one.tip, act, f"arch-{one.key}", color=(colour,))

    def _on_shown(self, shown: bool) -> None:
        if shown and not self.viewer.ready and not self.viewer.busy:
            self._open()

    def _open(self) -> None:
        if self.app.case.volume_node is not None:
            self.data.reason = _("The scan is being laid along the arches …")
            self._follower.open()

    def _on_scan_changed(self) -> None:
        self._follower.close()
        self._forget()

    def _on_teeth_changed(self) -> None:
        if not self.data.shown:
            if self.viewer.ready:
                self.viewer.close()
            return
        self._follow_teeth()

    def _on_slice(self, *_event) -> None:
        """Mark where the slices meet, once the one that moves rests."""
        if self.viewer.ready and self.data.shown:
            self._follow_slices()

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
        data.pressed = self._follower.pressed
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
