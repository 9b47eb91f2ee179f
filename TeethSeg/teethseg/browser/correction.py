"""Correcting teeth: brushes in the views, one-click tools, undo."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import slicer
from trame.widgets import html
from trame.widgets import vuetify3 as v3
from trame_slicer.segmentation import (
    BrushDiameterMode,
    ModificationMode,
    SegmentationEffect,
    SegmentationEffectDraw,
    SegmentationEffectErase,
    SegmentationEffectNoTool,
    SegmentationEffectPaint,
    SegmentationEffectScissors,
    SegmentationEffectThreshold,
)

from ..annotation.threshold import keep_range, start_threshold
from ..boxes import Box, bounding_box
from ..correction.edit import Edit
from ..correction.morphology import fill_pulp, remove_islands, smooth_tooth
from ..correction.relabel import merge_teeth, remove_tooth
from ..correction.splitting import cut_contact
from ..errors import UsageError
from ..mrml import layers, teeth
from ..padding import patient_greys
from .component import Host, Part, test_id

LARGEST_BRUSH = 15.0  # mm


@dataclass(frozen=True)
class Brush:
    """A tool of trame-slicer.

    Attributes
    ----------
    adds : bool
        Whether it puts voxels to the tooth rather than taking some away.
    sized : bool
        Whether it has a size.
    """

    label: str
    icon: str
    effect: type[SegmentationEffect]
    adds: bool
    sized: bool


BRUSHES = {
    "paint": Brush("Paint", "mdi-brush", SegmentationEffectPaint, True, True),
    "draw": Brush("Draw an outline", "mdi-draw", SegmentationEffectDraw, True, False),
    "erase": Brush("Erase", "mdi-eraser", SegmentationEffectErase, False, True),
    "scissors": Brush("Cut away with scissors", "mdi-content-cut", SegmentationEffectScissors, False, False),
    "threshold": Brush(
        "Keep what is as bright as teeth (threshold)", "mdi-brightness-6", SegmentationEffectThreshold, False, False
    ),
}


@dataclass
class CorrectingState:
    brush: str = ""  # key of BRUSHES; empty for none
    size: float = 2.0  # mm
    sphere: bool = True
    bright_only: bool = True  # paint only voxels that are bright as teeth are
    range: list[float] = field(default_factory=list)  # lowest and highest grey value that counts as tooth
    darkest: float = 0.0  # of the scan
    brightest: float = 1.0
    step: float = 1.0
    can_undo: bool = False
    can_redo: bool = False
    busy: bool = False


class Correcting(Part[CorrectingState]):
    def __init__(self, app: Host):
        super().__init__(app, CorrectingState)
        # It takes surfaces away that it was not told to show.
        app.slicer.segmentation_editor.set_surface_representation_enabled(True)
        app.case.scan_changed.connect(self._on_scan_changed)
        app.case.teeth_changed.connect(self._on_teeth_changed)
        app.chart.selection.changed.connect(self._on_selected)
        self.on_change(self.name.brush, self._on_brush)
        for name in (self.name.size, self.name.sphere, self.name.range):
            self.on_change(name, lambda _: self._set_up())

    @property
    def wants_clicks(self) -> bool:
        """Whether clicks in the views are for a tool and select nothing."""
        return bool(self.data.brush or self.app.pointing.data.tool)

    async def choose(self, brush: str) -> None:
        """Take a brush, or put it down if it is the one in use.

        Raises
        ------
        UsageError
            If no tooth is selected.
        """
        if brush and self.app.chart.selected is None:
            raise UsageError("No tooth is selected: click one in the chart first.")
        if brush in ("paint", "draw", "threshold") and not self.data.range:
            await self._find_range()
        self.data.brush = "" if brush == self.data.brush else brush

    async def keep(self) -> None:
        """Leave the selected tooth only what is as bright as teeth."""
        low, high = self.data.range
        await self.use(keep_range, self.app.case.volume.array, self.app.chart.selected, low, high)

    def undo(self) -> None:
        self.app.case.undo()

    def redo(self) -> None:
        self.app.case.redo()

    async def use(self, tool: Callable, *arguments, **options) -> None:
        """Use a tool of the library on the teeth; the page shows that it is at work."""
        if self.data.busy:
            raise UsageError("Another tool is at work: wait for it.")
        with self.app.server.state:
            self.data.busy = True
        await asyncio.sleep(0.05)
        try:
            labels = self.app.case.labels()
            edit = await asyncio.to_thread(tool, labels, *arguments, **options)
            with self.app.server.state:
                if not self.app.case.apply(edit):
                    raise UsageError("The tool finds nothing to change here.")
        finally:
            with self.app.server.state:
                self.data.busy = False

    def build_undo(self) -> None:
        for label, icon, handler, can in (
            ("Undo", "mdi-undo", self.undo, self.name.can_undo),
            ("Redo", "mdi-redo", self.redo, self.name.can_redo),
        ):
            v3.VBtn(
                icon=icon,
                size="small",
                variant="text",
                disabled=(f"!{can}",),
                click=self.app.on(handler),
                raw_attrs=[f'title="{label}"', *test_id(label.lower())],
            )

    def build(self) -> None:
        n, selected = self.name, self.app.chart.name.selected
        with html.Div(classes="px-4 pb-4"):
            html.Div(
                "Select a tooth in the chart or with a click on it; the tools change that tooth only.",
                v_if=(f"!{selected}",),
                classes="ts-notice my-2",
            )
            html.Div("Brushes", classes="ts-section")
            with html.Div(classes="d-flex", style="gap: 6px"):
                for key, brush in BRUSHES.items():
                    v3.VBtn(
                        icon=brush.icon,
                        size="small",
                        rounded="lg",
                        variant=(f"{n.brush} === '{key}' ? 'flat' : 'tonal'",),
                        color=(f"{n.brush} === '{key}' ? 'primary' : undefined",),
                        disabled=(f"!{selected}",),
                        click=(self.app.on(self.choose), f"['{key}']"),
                        raw_attrs=[f'title="{brush.label}"', f":aria-pressed=\"{n.brush} === '{key}'\"", *test_id(key)],
                    )
            sized = " || ".join(f"{n.brush} === '{key}'" for key, brush in BRUSHES.items() if brush.sized)
            with html.Div(v_if=(sized,), classes="mt-2"):
                v3.VSlider(
                    v_model=(n.size,),
                    min=0.5,
                    max=LARGEST_BRUSH,
                    step=0.5,
                    label="Size",
                    hide_details=True,
                    density="compact",
                    thumb_label=True,
                    raw_attrs=test_id("brush-size"),
                )
                v3.VCheckbox(v_model=(n.sphere,), label="In all slices (a ball)", density="compact", hide_details=True)
            v3.VCheckbox(
                v_if=(f"{n.brush} === 'paint' || {n.brush} === 'draw'",),
                v_model=(n.bright_only,),
                label="Only what is as bright as teeth",
                density="compact",
                hide_details=True,
                raw_attrs=test_id("bright-only"),
            )
            self._build_range()
            html.Div("One click", classes="ts-section")
            with html.Div(style="display: grid; grid-template-columns: 1fr 1fr; gap: 6px"):
                self._tool("Remove islands", "mdi-scatter-plot", self._islands, "islands")
                self._tool("Smooth", "mdi-blur", self._smooth, "smooth")
                self._tool("Fill the pulp", "mdi-format-color-fill", self._fill, "fill")
                self._tool("Not a tooth", "mdi-delete-outline", self._remove, "remove")
                self._tool_with_tooth("Merge with", "mdi-call-merge", self._merge, "merge")
                self._tool_with_tooth("Border with", "mdi-vector-line", self._cut, "cut")
            self.app.pointing.build()
            v3.VProgressLinear(v_if=(n.busy,), indeterminate=True, color="primary", height=4, classes="mt-2")

    def _build_range(self) -> None:
        """Which grey values count as tooth."""
        n = self.name
        painting = f"({n.brush} === 'paint' || {n.brush} === 'draw') && {n.bright_only}"
        with html.Div(v_if=(f"{n.range}.length && ({n.brush} === 'threshold' || {painting})",), classes="mt-1"):
            v3.VRangeSlider(
                v_model=(n.range,),
                min=(n.darkest,),
                max=(n.brightest,),
                step=(n.step,),
                hide_details=True,
                density="compact",
                thumb_size=14,
                track_size=3,
                raw_attrs=['aria-label="Grey values of teeth"', *test_id("range")],
            )
            with html.Div(classes="d-flex align-center"):
                html.Span(
                    "Grey values {{ Math.round(" + n.range + "[0]) }} to {{ Math.round(" + n.range + "[1]) }}",
                    classes="ts-notice",
                    raw_attrs=test_id("range-text"),
                )
                v3.VSpacer()
                v3.VBtn(
                    "As teeth have",
                    size="x-small",
                    variant="text",
                    click=self.app.on(self._find_range),
                    raw_attrs=test_id("range-default"),
                )
                v3.VBtn(
                    "Apply",
                    v_if=(f"{n.brush} === 'threshold'",),
                    size="small",
                    color="primary",
                    disabled=(n.busy,),
                    click=self.app.on(self.keep),
                    raw_attrs=['title="The selected tooth keeps only what blinks"', *test_id("range-apply")],
                )

    def _tool(self, label: str, icon: str, handler: Callable, mark: str) -> None:
        v3.VBtn(
            label,
            prepend_icon=icon,
            size="small",
            variant="tonal",
            disabled=(f"!{self.app.chart.name.selected} || {self.name.busy}",),
            click=self.app.on(handler),
            raw_attrs=test_id(mark),
        )

    def _tool_with_tooth(self, label: str, icon: str, handler: Callable, mark: str) -> None:
        """A tool that needs another tooth too."""
        selected = self.app.chart.name.selected
        with v3.VMenu(max_height=300):
            with v3.Template(v_slot_activator="{ props }"):
                v3.VBtn(
                    label,
                    v_bind="props",
                    prepend_icon=icon,
                    append_icon="mdi-menu-down",
                    size="small",
                    variant="tonal",
                    disabled=(f"!{selected} || {self.name.busy}",),
                    raw_attrs=test_id(mark),
                )
            with v3.VList(density="compact"):
                v3.VListItem(
                    v_for=f"t in [].concat(...{self.app.chart.name.rows}).filter(t => t && t.present && t.fdi !== {selected})",
                    key="t.fdi",
                    title=("t.title",),
                    click=(self.app.on(handler), "[t.fdi]"),
                    raw_attrs=test_id(mark + "-${t.fdi}"),
                )

    async def _islands(self) -> None:
        await self.use(remove_islands, self.app.chart.selected)

    async def _smooth(self) -> None:
        await self.use(smooth_tooth, self._spacing, self.app.chart.selected)

    async def _fill(self) -> None:
        await self.use(fill_pulp, self.app.case.volume.array, self._spacing, self.app.chart.selected)

    async def _remove(self) -> None:
        await self.use(remove_tooth, self.app.chart.selected)

    async def _merge(self, give: int) -> None:
        await self.use(merge_teeth, self.app.chart.selected, int(give))

    async def _cut(self, other: int) -> None:
        await self.use(cut_contact, self.app.case.volume.array, self._spacing, self.app.chart.selected, int(other))

    @property
    def _spacing(self) -> tuple[float, float, float]:
        """Of the scan, in the order of its array's axes."""
        return self.app.case.volume.spacing[::-1]

    def _on_brush(self, key: str) -> None:
        editor = self.app.slicer.segmentation_editor
        if key:
            self.app.pointing.stop()
        editor.set_active_effect_type(BRUSHES[key].effect if key in BRUSHES else SegmentationEffectNoTool)
        self._set_up()

    def _set_up(self) -> None:
        """Give the brush in use its size, and the tooth that it is for."""
        brush, editor = BRUSHES.get(self.data.brush), self.app.slicer.segmentation_editor
        fdi = self.app.chart.selected
        if brush is None or fdi is None:
            return
        editor.set_active_segment_id(teeth.segment_of(self.app.case.teeth_node, fdi))
        effect = editor.get_effect(brush.effect)
        if self.data.brush == "threshold" and self.data.range:
            effect.set_threshold_min_max_values(self.data.range)
        if brush.sized:
            effect.set_brush_diameter(self.data.size, BrushDiameterMode.Absolute)
            effect.set_use_sphere_brush(self.data.sphere)

    def _paint(
        self,
        painted: slicer.vtkOrientedImageData,
        *,
        modification_mode: ModificationMode | None = None,
        modifier_extent: Sequence[int] | None = None,
        **_,
    ) -> None:
        """What a brush does at the end of a stroke, in place of trame-slicer's own way.

        Slicer's masks ("outside of all segments") make a label map of each segment first, which takes seconds.

        Parameters
        ----------
        painted : vtkOrientedImageData
            On the scan's grid; not 0 where the brush was, or, with the mode Set, where the tooth is to be.
        modification_mode : ModificationMode, optional
        modifier_extent : sequence of int, optional
            Bounds (i, i, j, j, k, k) of the stroke.
        """
        case, fdi, brush = self.app.case, self.app.chart.selected, BRUSHES.get(self.data.brush)
        voxels = layers.view(painted)
        if brush is None or fdi is None or voxels.shape != case.volume.array.shape:
            return
        if modification_mode is ModificationMode.Set and not brush.adds:
            voxels = (case.labels() == fdi) & (voxels == 0)
        box = _box(modifier_extent, voxels.shape) or bounding_box(voxels > 0)
        if box is None:
            return
        labels, touched = case.labels(box), voxels[box] > 0
        if brush.adds:
            touched &= labels == 0
            if self.data.bright_only:
                low, high = self.data.range
                touched &= (case.volume.array[box] >= low) & (case.volume.array[box] <= high)
            labels[touched] = fdi
        else:
            labels[touched & (labels == fdi)] = 0
        with self.app.server.state:
            case.apply(Edit(box, labels))

    async def _find_range(self) -> None:
        """Grey values as the teeth of this scan have them, or, while there are none, as teeth mostly have."""
        case = self.app.case
        image, padding = case.volume.array, case.volume.padding
        found = await asyncio.to_thread(start_threshold, image, self._spacing, case.labels(), padding)
        greys = await asyncio.to_thread(patient_greys, image, padding)
        darkest, brightest = greys.darkest, greys.brightest
        with self.app.server.state:
            self.data.darkest, self.data.brightest = darkest, brightest
            self.data.step = min(1.0, (brightest - darkest) / 1000)
            self.data.range = list(found)

    def _on_selected(self) -> None:
        if self.app.chart.selected is None:
            self.data.brush = ""
        self._set_up()

    def _on_scan_changed(self) -> None:
        self.data.brush, self.data.can_undo, self.data.can_redo = "", False, False
        self.data.range = []

    def _on_teeth_changed(self) -> None:
        case, editor = self.app.case, self.app.slicer.segmentation_editor
        if editor.active_segmentation_node is not case.teeth_node:
            editor.set_active_segmentation(case.teeth_node, case.volume_node)
            editor.active_segment_modifier.apply_labelmap = self._paint
        self.data.can_undo, self.data.can_redo = teeth.can_undo(case.teeth_node), teeth.can_redo(case.teeth_node)


def _box(extent: Sequence[int] | None, shape: tuple[int, int, int]) -> Box | None:
    """Bounds as Slicer gives them, as slices (z, y, x) within the scan; None if there are none."""
    if extent is None:
        return None
    pairs = [(int(extent[2 * axis]), int(extent[2 * axis + 1])) for axis in (2, 1, 0)]
    box = tuple(slice(max(low, 0), min(high + 1, size)) for (low, high), size in zip(pairs, shape, strict=True))
    return box if all(side.start < side.stop for side in box) else None
