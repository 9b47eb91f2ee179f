"""Brushes in the views, which change the chosen tooth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import slicer
from trame.widgets import html
from trame.widgets import vuetify3 as v3
from trame_slicer import segmentation as effects

from ..application.i18n import _
from ..application.painting import Painting
from ..errors import UsageError
from ..mrml import layers, teeth
from . import controls as ui
from .component import App, Component

LARGEST = 15.0  # mm


@dataclass(frozen=True)
class Brush:
    """A tool of trame-slicer.

    Attributes
    ----------
    adds : bool
        Whether it adds voxels to the tooth; else it removes some.
    sized : bool
        Whether it has a size.
    """

    title: str
    icon: str
    effect: type[effects.SegmentationEffect]
    adds: bool = False
    sized: bool = False


def brushes() -> dict[str, Brush]:
    """All brushes, by their keys."""
    bright = _("Keep what is as bright as teeth (threshold)")
    return {
        "paint": Brush(_("Paint"), "mdi-brush", effects.SegmentationEffectPaint, adds=True, sized=True),
        "draw": Brush(_("Draw an outline"), "mdi-draw", effects.SegmentationEffectDraw, adds=True),
        "erase": Brush(_("Erase"), "mdi-eraser", effects.SegmentationEffectErase, sized=True),
        "scissors": Brush(_("Cut away with scissors"), "mdi-content-cut", effects.SegmentationEffectScissors),
        "threshold": Brush(bright, "mdi-brightness-6", effects.SegmentationEffectThreshold),
    }


@dataclass
class BrushesState:
    """State of `Brushes` on the page."""

    brush: str = ""  # key of `brushes`; empty for none
    size: float = 2.0  # mm
    sphere: bool = True
    bright_only: bool = True  # paint only voxels that are bright as teeth are
    range: list[float] = field(default_factory=list)  # lowest and highest grey value that counts as tooth
    range_text: str = ""
    darkest: float = 0.0  # of the scan
    brightest: float = 1.0
    step: float = 1.0
    busy: bool = False
    ready: bool = False  # whether there is a tooth for them


class Brushes(Component[BrushesState]):
    """Lets brushes of trame-slicer change the chosen tooth."""

    def __init__(self, app: App):
        super().__init__(app, BrushesState)
        case, self._tools = app.case, app.correcting.tools
        self.painting = Painting(case)
        # It takes surfaces away that it was not told to show.
        app.slicer.segmentation_editor.set_surface_representation_enabled(True)
        case.changed.connect(self._on_case)
        case.scan_changed.connect(self.put_down)
        app.clicks.changed.connect(self.put_down)
        self.painting.changed.connect(self._show_range)
        self.on_change(self.name.brush, self._on_brush)
        self.on_change(self.name.bright_only, lambda wanted: setattr(self.painting, "bright_only", wanted))
        self.on_change(self.name.range, lambda wanted: self.painting.set_range(*wanted) if wanted else None)
        for name in (self.name.size, self.name.sphere):
            self.on_change(name, lambda _value: self._set_up())
        self.follow(case.changed, case.selected_changed, case.busy_changed)

    def take(self, brush: str) -> None:
        """Take a brush, or put it down if it is the one in use.

        Raises
        ------
        UsageError
            If no tooth is chosen.
        """
        if brush and not self._tools.ready:
            raise UsageError(_("No tooth is chosen: choose one in the chart first."))
        if brush in ("paint", "draw", "threshold") and self.painting.range is None:
            self.painting.find_range()
        self.data.brush = "" if brush == self.data.brush else brush

    def put_down(self) -> None:
        """Use no brush."""
        self.data.brush = ""

    def show(self) -> None:
        """Show whether brushes can be used, and give the one in use its tooth."""
        self.data.ready, self.data.busy = self._tools.ready, self.app.case.busy
        if not self._tools.ready:
            self.put_down()
        self._set_up()

    def build(self) -> None:
        """Build the brushes, and the options of the one in use."""
        n, slim = self.name, {"hide_details": True, "density": "compact"}
        ui.section(_("Brushes"))
        with html.Div(classes="ts-row"):
            for key, brush in brushes().items():
                used, take = f"{n.brush} === '{key}'", (self.app.on(self.take), f"['{key}']")
                looks = {"variant": (f"{used} ? 'flat' : 'tonal'",), "color": (f"{used} ? 'primary' : undefined",)}
                pressed = {"disabled": (f"!{n.ready}",), "raw_attrs": [f':aria-pressed="{used}"']}
                ui.icon_button(brush.icon, brush.title, take, key, size="small", rounded="lg", **looks, **pressed)
        sized = " || ".join(f"{n.brush} === '{key}'" for key, brush in brushes().items() if brush.sized)
        with html.Div(v_if=(sized,), classes="mt-2"):
            size = {"min": 0.5, "max": LARGEST, "step": 0.5, "thumb_label": True, **slim}
            v3.VSlider(v_model=(n.size,), label=_("Size"), raw_attrs=ui.test_id("brush-size"), **size)
            ui.checkbox(n.sphere, _("In all slices (a ball)"), "brush-sphere")
        painting = f"({n.brush} === 'paint' || {n.brush} === 'draw')"
        ui.checkbox(n.bright_only, _("Only what is as bright as teeth"), "bright-only", v_if=(painting,))
        threshold = f"{n.brush} === 'threshold'"
        with html.Div(v_if=(f"{n.range}.length && ({threshold} || {painting} && {n.bright_only})",), classes="mt-1"):
            ends = {"min": (n.darkest,), "max": (n.brightest,), "step": (n.step,), "thumb_size": 14, "track_size": 3}
            marks = [f'aria-label="{_("Grey values of teeth")}"', *ui.test_id("range")]
            v3.VRangeSlider(v_model=(n.range,), raw_attrs=marks, **ends, **slim)
            with html.Div(classes="ts-row"):
                ui.line(n.range_text, "range-text", classes="ts-notice")
                v3.VSpacer()
                small = {"size": "x-small", "variant": "text"}
                ui.button(_("As teeth have"), "", self.app.on(self.painting.find_range), "range-default", **small)
                keep, tip = self.app.on(self.painting.keep_range), _("The chosen tooth keeps only what blinks.")
                shown = {"v_if": (threshold,), "disabled": (n.busy,), "size": "x-small"}
                ui.button(_("Apply"), "", keep, "range-apply", title=tip, **shown, **ui.PRIMARY)

    def _on_brush(self, key: str) -> None:
        if key:
            self._tools.dismiss()
            self.app.clicks.active = None
        editor = self.app.slicer.segmentation_editor
        editor.set_active_effect_type(brushes()[key].effect if key else effects.SegmentationEffectNoTool)
        self._set_up()

    def _set_up(self) -> None:
        """Give the brush in use its size and its tooth."""
        brush, editor, case = brushes().get(self.data.brush), self.app.slicer.segmentation_editor, self.app.case
        if brush is None or case.selected is None or not self._tools.ready:
            return
        editor.set_active_segment_id(teeth.segment_of(case.teeth_node, case.selected))
        effect = editor.get_effect(brush.effect)
        if self.data.brush == "threshold" and self.data.range:
            effect.set_threshold_min_max_values(self.data.range)
        if brush.sized:
            effect.set_brush_diameter(self.data.size, effects.BrushDiameterMode.Absolute)
            effect.set_use_sphere_brush(self.data.sphere)

    def _show_range(self) -> None:
        """Show which grey values count as tooth."""
        data, found = self.data, self.painting.range
        data.range, data.range_text = [], ""
        if found is not None:
            data.darkest, data.brightest, data.step = found.darkest, found.brightest, found.step
            data.range, data.range_text = [found.low, found.high], found.text()
        self._set_up()

    def _on_stroke(
        self,
        painted: slicer.vtkOrientedImageData,
        *,
        modification_mode: effects.ModificationMode | None = None,
        modifier_extent: Sequence[int] | None = None,
        **_options,
    ) -> None:
        """Take a brush stroke that has ended, in place of trame-slicer: Slicer's masks would take seconds.

        `painted`, on the scan's grid, is not 0 where the brush was, or, with the mode Set, where the tooth is to be;
        `modifier_extent` are the bounds (i, i, j, j, k, k) of the stroke.
        """
        brush = brushes().get(self.data.brush)
        if brush is not None and self._tools.ready:
            kept = modification_mode is effects.ModificationMode.Set and not brush.adds
            with self.app.server.state:
                self.painting.stroke(layers.view(painted), modifier_extent, brush.adds, kept)

    def _on_case(self) -> None:
        case, editor = self.app.case, self.app.slicer.segmentation_editor
        if case.editable and editor.active_segmentation_node is not case.teeth_node:
            editor.set_active_segmentation(case.teeth_node, case.volume_node)
            editor.active_segment_modifier.apply_labelmap = self._on_stroke
