"""Axial, coronal, sagittal and 3D view: arrangement, grey values, crosshair, and where they look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import slicer
from trame.widgets import html
from trame.widgets import vuetify3 as v3
from trame_slicer.app.logic.slice_view_logic import connect_slice_view_slider_to_state
from trame_slicer.core import LayoutManager
from trame_slicer.rca_view import RemoteViewFactory
from trame_slicer.views import Layout, LayoutDirection, SliceView, ThreeDView, ViewLayoutDefinition, ViewType
from trame_slicer.views.render_scheduler import NoScheduleRendering

from ..application.i18n import _
from ..application.tooth_numbers import ToothNumbers
from ..mrml import views
from ..mrml.level_of_detail import ReducedWhileMoving
from ..mrml.volumes import colour_rendering, show_through_padding
from ..padding import PatientGreys, patient_greys
from ..window_level import DEFAULT_WINDOW, WINDOWS, grey_windows
from .component import Host, Part, button, icon_button, test_id, toggle

FOUR = "All"
AXIAL, CORONAL, SAGITTAL, THREE_D = "Axial", "Coronal", "Sagittal", "Surfaces"  # trame makes variables of these names
ARRANGEMENTS = (FOUR, AXIAL, CORONAL, SAGITTAL, THREE_D)
COLOURS = {AXIAL: "#F34A33", CORONAL: "#6DAD4A", SAGITTAL: "#EFD64D"}  # as everywhere in 3D Slicer
# What lies at the left, right, upper and lower edge of a slice, seen as radiologists do.
EDGES = {AXIAL: "RLAP", CORONAL: "RLSI", SAGITTAL: "APSI"}


@dataclass
class ViewsState:
    arrangement: str = FOUR
    window: str = DEFAULT_WINDOW
    titles: dict[str, str] = field(default_factory=dict)  # of the grey windows
    crosshair: bool = False
    outlines_only: bool = False
    numbers: bool = True
    rendering: bool = False
    straight: bool = False


class Views(Part[ViewsState]):
    def __init__(self, app: Host):
        super().__init__(app, ViewsState)
        self._windows: dict[str, tuple[float, float]] = {}
        self.data.titles = {name: _title(name) for name in WINDOWS}
        self._greys = PatientGreys(0.0, 1.0)
        for view, kind, build in (
            (SliceView, ViewType.SLICE_VIEW, self._build_slice_controls),
            (ThreeDView, ViewType.THREE_D_VIEW, self._build_3d_controls),
        ):
            factory = RemoteViewFactory(
                app.server, _silent(view), kind, populate_view_ui_f=build, blur_fps=10.0, rca_event_throttle_s=0.03
            )
            app.slicer.view_manager.register_factory(factory)
        self._layouts = LayoutManager(app.slicer.scene, app.slicer.view_manager, app.server)
        self._layouts.register_layout_dict(_layouts())
        self._layouts.set_layout(FOUR)
        self.on_change(self.name.arrangement, self._layouts.set_layout)
        self.on_change(self.name.window, self._show_window)
        self.on_change(self.name.crosshair, self._show_crosshair)
        self.on_change(self.name.outlines_only, lambda _wanted: self.show())
        self.on_change(self.name.rendering, self._show_rendering)
        self.on_change(self.name.numbers, self._show_numbers)
        for view in self.slices + self.threes:
            _lighten(view)
        # Every slice is a model too, and each view would draw itself again when another one's is moved.
        manager = "vtkMRMLModelSliceDisplayableManager"
        slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance().UnRegisterDisplayableManager(manager)
        self._moving = [
            ReducedWhileMoving(view.interactor(), view.first_renderer(), view.schedule_render) for view in self.threes
        ]
        case = app.case
        self._numbers = ToothNumbers(case, later)
        self._numbers.show(self.data.numbers)
        app.look.moved.connect(self._on_moved)
        case.scan_changed.connect(self.show_scan)
        case.selected_changed.connect(self.draw)
        self.follow(case.changed)

    @property
    def slices(self) -> list[SliceView]:
        return self.app.slicer.view_manager.get_slice_views()

    @property
    def threes(self) -> list[ThreeDView]:
        return self.app.slicer.view_manager.get_threed_views()

    def show_scan(self) -> None:
        """Show the case's scan in all views, from its middle."""
        case = self.app.case
        if case.volume_node is None:
            return
        scan = case.scan()
        self.app.slicer.display_manager.show_volume_in_slice_background(case.volume_node)
        self._windows = grey_windows(scan.array, scan.padding)
        self._greys = patient_greys(scan.array, scan.padding)
        show_through_padding(case.volume_node, self._greys)
        self._show_window(self.data.window)
        self.data.rendering = False
        self._show_crosshair(self.data.crosshair)
        self._reset(self.slices + self.threes)

    def show(self) -> None:
        """Teeth in slices as outlines alone, or filled too; whether the head is straight."""
        case = self.app.case
        if case.teeth_node is not None and case.teeth_node.GetDisplayNode() is not None:
            case.teeth_node.GetDisplayNode().SetVisibility2DFill(not self.data.outlines_only)
        self.data.straight = case.straight

    def draw(self) -> None:
        """Draw all views once more."""
        for view in self.slices + self.threes:
            view.schedule_render()

    def _reset(self, shown: list[SliceView | ThreeDView]) -> None:
        for view in shown:
            view.reset_view()

    def _on_moved(self, place: tuple[float, float, float] | None) -> None:
        if place is not None:
            self._crosshair().SetCrosshairRAS(*place)
        self.draw()

    def _show_numbers(self, shown: bool) -> None:
        self._numbers.show(shown)
        self.draw()

    def _straighten(self) -> None:
        self.app.case.straighten(not self.app.case.straight)
        self.app.look.at_teeth()

    def build_grid(self, layout) -> None:
        self._layouts.initialize_layout_grid(layout)

    def build_tools(self) -> None:
        """The controls in the bar above the views."""
        n = self.name
        with v3.VBtnToggle(
            v_model=(n.arrangement,),
            mandatory=True,
            density="compact",
            variant="outlined",
            divided=True,
            classes="mx-2",
        ):
            for name in ARRANGEMENTS:
                with v3.VBtn(value=name, size="small", raw_attrs=test_id(f"arrange-{name}")):
                    v3.VIcon("mdi-view-grid") if name == FOUR else html.Span(_title(name))
        with v3.VMenu():
            with v3.Template(v_slot_activator="{ props }"):
                text = (f"{n.titles}[{n.window}]",)
                down = {"v_bind": "props", "append_icon": "mdi-menu-down", "variant": "text"}
                button(text, "mdi-contrast-circle", None, "window", **down)
            with v3.VList(density="compact"):
                v3.VListItem(
                    v_for=f"(title, name) in {n.titles}",
                    key="name",
                    title=("title",),
                    active=(f"name === {n.window}",),
                    click=f"{n.window} = name",
                )
        toggle(n.crosshair, "mdi-crosshairs", _("Crosshair: hold Shift and move the mouse to place it"), "crosshair")
        toggle(n.outlines_only, "mdi-vector-polyline", _("Outlines only"), "outlines")
        toggle(n.numbers, "mdi-numeric", _("Numbers at the teeth"), "numbers")
        toggle(n.rendering, "mdi-cube-scan", _("Volume rendering (slow without a graphics card)"), "rendering")
        level = _("Level the occlusal plane and turn the midline forwards, or turn the head back")
        on, has = (f"{n.straight} ? 'primary' : undefined",), (f"!{self.app.page.name.has_teeth}",)
        straighten = self.app.on(self._straighten)
        icon_button("mdi-angle-obtuse", level, straighten, "straighten", size="small", color=on, disabled=has)
        whole = self.app.on(self.app.look.at_scan)
        icon_button("mdi-fit-to-page-outline", _("The whole scan"), whole, "whole", size="small")

    def _build_slice_controls(self, server, _view_id: str, view: SliceView) -> None:
        name = view.get_singleton_tag()
        slider = connect_slice_view_slider_to_state(server, view)
        self._build_caption(name, COLOURS[name])
        for edge, letter in zip(("left", "right", "top", "bottom"), EDGES[name], strict=True):
            html.Div(letter, classes=f"ts-edge ts-edge-{edge}")
        v3.VSlider(
            v_model=(slider.name.value,),
            min=(slider.name.min_value,),
            max=(slider.name.max_value,),
            step=(slider.name.step,),
            hide_details=True,
            density="compact",
            thumb_size=12,
            track_size=2,
            color=COLOURS[name],
            classes="ts-slice-slider",
            raw_attrs=[f'aria-label="{_title(name)}"', *test_id(f"slider-{name}")],
        )

    def _build_3d_controls(self, _server, _view_id: str, _view: ThreeDView) -> None:
        self._build_caption(THREE_D, "#9AA7B4")

    def _build_caption(self, name: str, colour: str) -> None:
        arrangement = self.name.arrangement
        with html.Div(classes="ts-caption"):
            html.Span(classes="ts-dot", style=f"background:{colour}")
            html.Span(_title(name))
        with html.Div(classes="ts-view-buttons"):
            fit = self.app.on(lambda: self._reset(self.threes if name == THREE_D else self.slices + self.threes))
            icon_button("mdi-image-filter-center-focus", _("Everything in sight"), fit, f"fit-{name}")
            icon_button(
                (f"{arrangement} === '{FOUR}' ? 'mdi-arrow-expand' : 'mdi-arrow-collapse'",),
                _("This view alone, or all four"),
                f"{arrangement} = {arrangement} === '{FOUR}' ? '{name}' : '{FOUR}'",
                f"expand-{name}",
            )

    def _show_window(self, name: str) -> None:
        node = self.app.case.volume_node
        if node is None or name not in self._windows:
            return
        low, high = self._windows[name]
        display = node.GetDisplayNode()
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(low, high)

    def _show_crosshair(self, shown: bool) -> None:
        node = self._crosshair()
        mode = slicer.vtkMRMLCrosshairNode.ShowBasic if shown else slicer.vtkMRMLCrosshairNode.NoCrosshair
        node.SetCrosshairMode(mode)
        node.SetCrosshairBehavior(slicer.vtkMRMLCrosshairNode.OffsetJumpSlice)
        place = views.crossing(self.app.slicer.scene)
        if shown and self.app.case.volume_node is not None and place is not None:
            node.SetCrosshairRAS(*place)

    def _crosshair(self) -> slicer.vtkMRMLCrosshairNode:
        return self.app.slicer.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")

    def _show_rendering(self, shown: bool) -> None:
        node, rendering = self.app.case.volume_node, self.app.slicer.volume_rendering
        if node is None:
            return
        if not rendering.has_vr_display_node(node):
            if not shown:
                return
            display = rendering.create_display_node(node, "CT-Bones")
            colour_rendering(display, self._windows["Teeth"], self._greys)
        rendering.get_vr_display_node(node).SetVisibility(shown)
        for view in self.threes:
            view.schedule_render()


def _title(name: str) -> str:
    """A view or a grey window in the user's language."""
    titles = {
        AXIAL: _("Axial"),
        CORONAL: _("Coronal"),
        SAGITTAL: _("Sagittal"),
        THREE_D: _("Surfaces"),
        "Bone and teeth": _("Bone and teeth"),
        "Teeth": _("Teeth"),
        "Soft tissue": _("Soft tissue"),
        "Whole range": _("Whole range"),
    }
    return titles[name]


def later(handler: Callable[[], object]) -> Callable:
    """A function that has a handler called once the events of the scene are over, however often it is called."""
    due: list[asyncio.Handle] = []

    def run() -> None:
        due.clear()
        handler()

    def call(*_event) -> None:
        if not due:
            due.append(asyncio.get_event_loop().call_soon(run))

    return call


def _layouts() -> dict[str, Layout]:
    axial, coronal, sagittal = (
        ViewLayoutDefinition.slice_view(name, label=name, color=COLOURS[name]) for name in (AXIAL, CORONAL, SAGITTAL)
    )
    three = ViewLayoutDefinition.threed_view(name=THREE_D, label=THREE_D, background_color=("#11161B", "#2A333C"))
    rows = [
        Layout(LayoutDirection.Horizontal, [axial, three]),
        Layout(LayoutDirection.Horizontal, [coronal, sagittal]),
    ]
    single = {AXIAL: axial, CORONAL: coronal, SAGITTAL: sagittal, THREE_D: three}
    return {FOUR: Layout(LayoutDirection.Vertical, rows)} | {
        name: Layout(LayoutDirection.Vertical, [view]) for name, view in single.items()
    }


def _silent(view: type[SliceView | ThreeDView]) -> Callable[..., SliceView | ThreeDView]:
    """A view that draws nothing while it is set up, which it would do dozens of times; then its factory says when."""
    return partial(view, scheduled_render_strategy=NoScheduleRendering())


def _lighten(view: SliceView | ThreeDView) -> None:
    """Leave away what costs most where the processor draws, and what opaque teeth do not need."""
    view.render_window().SetMultiSamples(0)
    for renderer in view.renderers():
        renderer.SetUseDepthPeeling(False)
        renderer.SetUseFXAA(isinstance(view, ThreeDView))
