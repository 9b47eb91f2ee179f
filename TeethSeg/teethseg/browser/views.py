"""Axial, coronal, sagittal and 3D view: arrangement, grey values, crosshair, and where they look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import slicer
from trame.widgets import html
from trame.widgets import vuetify3 as v3
from trame_slicer.app.logic.slice_view_logic import connect_slice_view_slider_to_state
from trame_slicer.app.ui.slider import Slider
from trame_slicer.core import LayoutManager
from trame_slicer.rca_view import RemoteViewFactory
from trame_slicer.views import Layout, LayoutDirection, SliceView, ThreeDView, ViewLayoutDefinition, ViewType
from trame_slicer.views.render_scheduler import NoScheduleRendering

from ..application.i18n import _
from ..application.scan_display import ScanDisplay, window_titles
from ..mrml.level_of_detail import ReducedWhileMoving
from ..window_level import DEFAULT_WINDOW
from . import controls as ui
from .component import App, Component

FOUR = "All"
AXIAL, CORONAL, SAGITTAL, THREE_D = "Axial", "Coronal", "Sagittal", "Surfaces"  # trame makes variables of these names
ARRANGEMENTS = (FOUR, AXIAL, CORONAL, SAGITTAL, THREE_D)
COLOURS = {AXIAL: "#F34A33", CORONAL: "#6DAD4A", SAGITTAL: "#EFD64D"}  # as everywhere in 3D Slicer
# Letters at the left, right, upper and lower edge of a slice, seen as radiologists do.
EDGES = {AXIAL: "RLAP", CORONAL: "RLSI", SAGITTAL: "APSI"}


@dataclass
class ViewsState:
    """State of `Views` on the page."""

    arrangement: str = FOUR
    window: str = DEFAULT_WINDOW
    titles: dict[str, str] = field(default_factory=dict)  # of the grey windows
    crosshair: bool = False
    outlines_only: bool = False
    numbers: bool = True
    rendering: bool = False
    straight: bool = False


class Views(Component[ViewsState]):
    """Makes the views and the controls in and above them."""

    def __init__(self, app: App):
        super().__init__(app, ViewsState)
        self.data.titles = window_titles()
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
        for view in self.all:
            _lighten(view)
        # Every slice is a model too, and each view would draw itself again when another one's is moved.
        manager = "vtkMRMLModelSliceDisplayableManager"
        slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance().UnRegisterDisplayableManager(manager)
        self._moving = [
            ReducedWhileMoving(view.interactor(), view.first_renderer(), view.schedule_render) for view in self.threes
        ]
        case = app.case
        self._display = ScanDisplay(case, app.navigation)
        app.tooth_numbers.show(self.data.numbers)
        self.on_change(self.name.arrangement, self._layouts.set_layout)
        self.on_change(self.name.window, self._display.show_window)
        self.on_change(self.name.crosshair, self._display.show_crosshair)
        self.on_change(self.name.outlines_only, self._display.show_outlines_only)
        self.on_change(self.name.rendering, self._show_rendering)
        self.on_change(self.name.numbers, self._show_numbers)
        app.navigation.moved.connect(lambda _place: self.draw())
        case.scan_changed.connect(self._on_scan)
        case.selected_changed.connect(self.draw)
        self.follow(case.changed)

    @property
    def slices(self) -> list[SliceView]:
        """The axial, coronal and sagittal view."""
        return self.app.slicer.view_manager.get_slice_views()

    @property
    def threes(self) -> list[ThreeDView]:
        """The 3D view, in a list."""
        return self.app.slicer.view_manager.get_threed_views()

    @property
    def all(self) -> list[SliceView | ThreeDView]:
        """All views."""
        return self.slices + self.threes

    def show(self) -> None:
        """Show whether the head is straight."""
        self.data.straight = self.app.case.straight

    def draw(self) -> None:
        """Draw all views once more."""
        for view in self.all:
            view.schedule_render()

    def _on_scan(self) -> None:
        """Show the case's scan in all views, from its middle."""
        node = self.app.case.volume_node
        if node is not None:
            self.app.slicer.display_manager.show_volume_in_slice_background(node)
            self.data.rendering = False
            self._reset(self.all)

    def _reset(self, shown: list[SliceView | ThreeDView]) -> None:
        for view in shown:
            view.reset_view()

    def _show_numbers(self, shown: bool) -> None:
        self.app.tooth_numbers.show(shown)
        self.draw()

    def _straighten(self) -> None:
        self.app.case.straighten(not self.app.case.straight)
        self.app.navigation.at_teeth()

    def build_grid(self, layout) -> None:
        """Put the views into the page."""
        self._layouts.initialize_layout_grid(layout)

    def build_tools(self) -> None:
        """Build the controls in the bar above the views."""
        n = self.name
        style = {"density": "compact", "variant": "outlined", "divided": True, "mandatory": True, "classes": "mx-2"}
        with v3.VBtnToggle(v_model=(n.arrangement,), **style):
            for name in ARRANGEMENTS:
                with v3.VBtn(value=name, size="small", raw_attrs=ui.test_id(f"arrange-{name}")):
                    v3.VIcon("mdi-view-grid") if name == FOUR else html.Span(_title(name))
        with v3.VMenu():
            with v3.Template(v_slot_activator="{ props }"):
                text = (f"{n.titles}[{n.window}]",)
                down = {"v_bind": "props", "append_icon": "mdi-menu-down", "variant": "text"}
                ui.button(text, "mdi-contrast-circle", None, "window", **down)
            with v3.VList(density="compact"):
                rows = {"v_for": f"(title, name) in {n.titles}", "key": "name", "title": ("title",)}
                v3.VListItem(active=(f"name === {n.window}",), click=f"{n.window} = name", **rows)
        ui.toggle(n.crosshair, "mdi-crosshairs", _("Crosshair: hold Shift and move the mouse to place it"), "crosshair")
        ui.toggle(n.outlines_only, "mdi-vector-polyline", _("Outlines only"), "outlines")
        ui.toggle(n.numbers, "mdi-numeric", _("Numbers at the teeth"), "numbers")
        ui.toggle(n.rendering, "mdi-cube-scan", _("Volume rendering (slow without a graphics card)"), "rendering")
        level = _("Level the occlusal plane and turn the midline forwards, or turn the head back")
        on, has = (f"{n.straight} ? 'primary' : undefined",), (f"!{self.app.page.name.has_teeth}",)
        straighten = self.app.on(self._straighten)
        ui.icon_button("mdi-angle-obtuse", level, straighten, "straighten", size="small", color=on, disabled=has)
        whole = self.app.on(self.app.navigation.at_scan)
        ui.icon_button("mdi-fit-to-page-outline", _("The whole scan"), whole, "whole", size="small")

    def _build_slice_controls(self, server, _view_id: str, view: SliceView) -> None:
        name = view.get_singleton_tag()
        slider = connect_slice_view_slider_to_state(server, view)
        self._build_caption(name, COLOURS[name])
        for edge, letter in zip(("left", "right", "top", "bottom"), EDGES[name], strict=True):
            html.Div(letter, classes=f"ts-edge ts-edge-{edge}")
        marks = [f'aria-label="{_title(name)}"', *ui.test_id(f"slider-{name}")]
        slim = {"density": "compact", "thumb_size": 12, "track_size": 2, "classes": "ts-slice-slider"}
        Slider(slider, color=COLOURS[name], raw_attrs=marks, **slim)

    def _build_3d_controls(self, _server, _view_id: str, _view: ThreeDView) -> None:
        self._build_caption(THREE_D, "#9AA7B4")

    def _build_caption(self, name: str, colour: str) -> None:
        arrangement = self.name.arrangement
        with html.Div(classes="ts-caption"):
            html.Span(classes="ts-dot", style=f"background:{colour}")
            html.Span(_title(name))
        with html.Div(classes="ts-view-buttons"):
            fit = self.app.on(lambda: self._reset(self.threes if name == THREE_D else self.all))
            ui.icon_button("mdi-image-filter-center-focus", _("Everything in sight"), fit, f"fit-{name}")
            ui.icon_button(
                (f"{arrangement} === '{FOUR}' ? 'mdi-arrow-expand' : 'mdi-arrow-collapse'",),
                _("This view alone, or all four"),
                f"{arrangement} = {arrangement} === '{FOUR}' ? '{name}' : '{FOUR}'",
                f"expand-{name}",
            )

    def _show_rendering(self, shown: bool) -> None:
        node, rendering = self.app.case.volume_node, self.app.slicer.volume_rendering
        if node is None:
            return
        if not rendering.has_vr_display_node(node):
            if not shown:
                return
            self._display.colour_rendering(rendering.create_display_node(node, "CT-Bones"))
        rendering.get_vr_display_node(node).SetVisibility(shown)
        self.draw()


def _title(name: str) -> str:
    """A view in the user's language."""
    return {AXIAL: _("Axial"), CORONAL: _("Coronal"), SAGITTAL: _("Sagittal"), THREE_D: _("Surfaces")}[name]


def _layouts() -> dict[str, Layout]:
    kinds = ViewLayoutDefinition
    axial, coronal, sagittal = kinds.axial_view(AXIAL), kinds.coronal_view(CORONAL), kinds.sagittal_view(SAGITTAL)
    three = kinds.threed_view(name=THREE_D, label=THREE_D, background_color=("#11161B", "#2A333C"))
    rows = [
        Layout(LayoutDirection.Horizontal, [axial, three]),
        Layout(LayoutDirection.Horizontal, [coronal, sagittal]),
    ]
    single = {AXIAL: axial, CORONAL: coronal, SAGITTAL: sagittal, THREE_D: three}
    return {FOUR: Layout(LayoutDirection.Vertical, rows)} | {
        name: Layout(LayoutDirection.Vertical, [view]) for name, view in single.items()
    }


def _silent(view: Callable[..., SliceView | ThreeDView]) -> Callable[..., SliceView | ThreeDView]:
    """A view that draws nothing while it is set up, which it would do dozens of times; then its factory says when."""
    return partial(view, scheduled_render_strategy=NoScheduleRendering())


def _lighten(view: SliceView | ThreeDView) -> None:
    """Switch off the effects that cost most where the processor draws, and that opaque teeth do not need."""
    view.render_window().SetMultiSamples(0)
    for renderer in view.renderers():
        renderer.SetUseDepthPeeling(False)
        renderer.SetUseFXAA(isinstance(view, ThreeDView))
