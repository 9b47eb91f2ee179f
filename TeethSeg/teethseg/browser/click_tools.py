"""Tools that need clicks in the views: grow a tooth, grow it anew, split it, give a piece of it away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import slicer
from trame.widgets import html
from trame.widgets import vuetify3 as v3

from ..boxes import Index
from ..correction.edit import Edit
from ..correction.shape_model_fit import grow_tooth, regrow_tooth
from ..correction.splitting import give_piece, split_tooth
from ..errors import UsageError
from ..volume import Volume
from .component import Host, Part, test_id
from .picking import Place, on_click, voxel_at


@dataclass(frozen=True)
class Tool:
    """A tool and what it asks for.

    Attributes
    ----------
    hint : str
        What to click; {tooth} and {other} stand for numbers.
    clicks : int
        After how many it starts by itself; 0 if the user says when.
    other : {"", "free", "present"}
        Which other tooth is to be chosen first.
    of_selected : bool
        Whether it works on the selected tooth.
    run : callable
        (labels, scan, tooth, other, clicks) to `Edit`.
    """

    label: str
    icon: str
    hint: str
    clicks: int
    other: str
    of_selected: bool
    run: Callable[..., Edit]


def _grow(labels, scan: Volume, _fdi, other, clicks: list[Index]) -> Edit:
    return grow_tooth(labels, scan.array, scan.spacing[::-1], other, clicks, direction=scan.direction)


def _regrow(labels, scan: Volume, fdi, _other, clicks: list[Index]) -> Edit:
    return regrow_tooth(labels, scan.array, scan.spacing[::-1], fdi, clicks, scan.direction)


def _split(labels, scan: Volume, fdi, other, clicks: list[Index]) -> Edit:
    return split_tooth(labels, scan.array, scan.spacing[::-1], fdi, [[click] for click in clicks], [fdi, other])


def _give(labels, scan: Volume, fdi, other, clicks: list[Index]) -> Edit:
    return give_piece(labels, scan.array, scan.spacing[::-1], fdi, other, clicks[0])


_GROW = "Click in the crown of tooth %s first, then in each root."
_SPLIT = "Click once in what stays {tooth}, then once in what becomes {other}."
_GIVE = "Click in the piece of {tooth} that belongs to {other}."
TOOLS = {
    "grow": Tool("Add a tooth", "mdi-plus-circle-outline", _GROW % "{other}", 0, "free", False, _grow),
    "regrow": Tool("Grow anew", "mdi-sprout", _GROW % "{tooth}", 0, "", True, _regrow),
    "split": Tool("Split off", "mdi-call-split", _SPLIT, 2, "free", True, _split),
    "give": Tool("Give a piece to", "mdi-arrow-decision", _GIVE, 1, "present", True, _give),
}


@dataclass
class PointingState:
    tool: str = ""  # key of TOOLS; empty for none
    hint: str = ""
    count: int = 0
    ready: bool = False  # whether the user may say that these are all clicks


class Pointing(Part[PointingState]):
    def __init__(self, app: Host):
        super().__init__(app, PointingState)
        self._fdi = self._other = 0
        self._clicks: list[Index] = []
        self._marks: slicer.vtkMRMLMarkupsFiducialNode | None = None
        for view in app.views.slices + app.views.threes:
            on_click(view, app.told(self._on_click))
        app.case.scan_changed.connect(self.stop)

    def start(self, key: str, other: int = 0) -> None:
        """Begin a tool: from now on clicks in the views are for it.

        Raises
        ------
        UsageError
            If it needs a selected tooth and there is none.
        """
        tool, selected = TOOLS[key], self.app.chart.selected
        if tool.of_selected and selected is None:
            raise UsageError("No tooth is selected: click one in the chart first.")
        self.stop()
        self.app.correcting.data.brush = ""
        self._fdi, self._other = selected or 0, int(other)
        self.data.tool = key
        teeth = {"tooth": self._fdi, "other": self._other}
        self.data.hint = tool.hint.format(**{name: self.app.chart.number(fdi) for name, fdi in teeth.items() if fdi})

    def stop(self) -> None:
        """Put the tool down."""
        self.data.tool, self._clicks = "", []
        self.data.count, self.data.ready = 0, False
        if self._marks is not None:
            self.app.slicer.scene.RemoveNode(self._marks)
            self._marks = None

    async def finish(self) -> None:
        """Use the tool with the clicks so far."""
        tool, clicks, fdi, other = TOOLS[self.data.tool], self._clicks, self._fdi, self._other
        volume = self.app.case.volume
        self.stop()
        before = set(self._present())
        await self.app.correcting.use(lambda labels: tool.run(labels, volume, fdi, other, clicks))
        with self.app.server.state:
            new = set(self._present()) - before
            if new:
                self.app.chart.select(new.pop(), centre=False)

    def build(self) -> None:
        chart = self.app.chart.name
        busy = self.app.correcting.name.busy
        html.Div("With clicks in the views", classes="ts-section")
        with html.Div(style="display: grid; grid-template-columns: 1fr 1fr; gap: 6px"):
            for key, tool in TOOLS.items():
                disabled = (f"{busy} || !{chart.selected}" if tool.of_selected else busy,)
                options = {"size": "small", "variant": "tonal", "prepend_icon": tool.icon, "disabled": disabled}
                if not tool.other:
                    click = (self.app.on(self.start), f"['{key}']")
                    v3.VBtn(tool.label, click=click, raw_attrs=test_id(key), **options)
                    continue
                wanted = "t.present" if tool.other == "present" else "!t.present"
                with v3.VMenu(max_height=300):
                    with v3.Template(v_slot_activator="{ props }"):
                        v3.VBtn(
                            tool.label, v_bind="props", append_icon="mdi-menu-down", raw_attrs=test_id(key), **options
                        )
                    with v3.VList(density="compact"):
                        v3.VListItem(
                            v_for=f"t in [].concat(...{chart.rows}).filter(t => t && {wanted} && t.fdi !== {chart.selected})",
                            key="t.fdi",
                            title=("t.title.replace(' (not found)', '')",),
                            click=(self.app.on(self.start), f"['{key}', t.fdi]"),
                            raw_attrs=test_id(key + "-${t.fdi}"),
                        )

    def build_hint(self) -> None:
        """What to click now; beside all tabs, since the worklist asks for clicks too."""
        n = self.name
        with v3.VCard(
            v_if=(n.tool,), variant="tonal", color="primary", classes="pa-3 mt-3", raw_attrs=test_id("pointing")
        ):
            html.Div("{{ " + n.hint + " }}", classes="text-body-2")
            with html.Div(classes="d-flex align-center mt-2"):
                html.Span(
                    f"{{{{ {n.count} }}}} click{{{{ {n.count} === 1 ? '' : 's' }}}}",
                    classes="ts-notice",
                    raw_attrs=test_id("clicks"),
                )
                v3.VSpacer()
                v3.VBtn("Stop", size="small", variant="text", click=self.app.on(self.stop), raw_attrs=test_id("stop"))
                v3.VBtn(
                    "Apply",
                    v_if=(n.ready,),
                    size="small",
                    color="primary",
                    click=self.app.on(self.finish),
                    raw_attrs=test_id("apply"),
                )

    async def _on_click(self, place: Place) -> None:
        tool = TOOLS.get(self.data.tool)
        voxel = voxel_at(self.app.case.volume, place) if tool is not None else None
        if voxel is None:
            return
        self._clicks.append(voxel)
        self._mark(place)
        with self.app.server.state:
            self.data.count, self.data.ready = len(self._clicks), not tool.clicks
        if len(self._clicks) == tool.clicks:
            await self.finish()

    def _mark(self, place: Place) -> None:
        """A dot where the click was."""
        if self._marks is None:
            self._marks = self.app.slicer.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Clicks")
            self._marks.SetSaveWithScene(False)
            self._marks.SetLocked(True)
            self._marks.CreateDefaultDisplayNodes()
            self._marks.GetDisplayNode().SetPointLabelsVisibility(False)
            self._marks.GetDisplayNode().SetSelectedColor(1.0, 1.0, 1.0)
        self._marks.AddControlPoint(*place)

    def _present(self) -> list[int]:
        return [one["fdi"] for row in self.app.chart.data.rows for one in row if one and one["present"]]
