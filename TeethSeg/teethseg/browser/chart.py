"""The tooth chart: which teeth there are, select and centre, hide, renumber, and what to look at."""

from __future__ import annotations

from dataclasses import dataclass, field

from trame.widgets import html
from trame.widgets import vuetify3 as v3
from undo_stack import Signal, SignalContainer

from ..anatomy import PERMANENT, Notation, tooth
from ..cascade import dentition
from ..correction.relabel import renumber, shift_numbers
from ..mrml import teeth, views
from ..mrml.chart import ChartTooth, chart
from .component import Host, Part, test_id
from .picking import Place, on_click, voxel_at

NOTATIONS = {"fdi": "FDI", "universal": "Universal", "palmer": "Palmer"}
DOUBTS = {
    dentition.UNCERTAIN_NUMBER: "The number is uncertain.",
    dentition.TOUCHES_BORDER: "The scan ends inside this tooth.",
    dentition.UNUSUAL_VOLUME: "Its volume is unusual: are parts missing, or two teeth merged?",
    dentition.GAP_BEFORE: "There is room for a tooth between this one and its neighbour towards the midline.",
    dentition.MAYBE_EXTRA: "No place of the arch was left for it: is it an extra tooth?",
    dentition.UNERUPTED: "It has not erupted: a germ, or an impacted tooth.",
}


@dataclass
class ChartState:
    rows: list[list] = field(default_factory=list)  # of tooth places, one row for each jaw; null stands for the midline
    present: int = 0
    doubtful: int = 0
    notation: str = "fdi"
    selected: int = 0  # FDI number; 0 for none
    name: str = ""
    number: str = ""
    doubts: list[str] = field(default_factory=list)
    confidence: str = ""
    second: int = 0  # next best number; 0 for none
    visible: bool = True
    done: bool = False
    numbers: list[dict] = field(default_factory=list)  # to choose from
    all_visible: bool = True


class Selection(SignalContainer):
    """`changed` comes with another selected tooth, and with anything else that the chart shows anew."""

    changed = Signal()


class Chart(Part[ChartState]):
    def __init__(self, app: Host):
        super().__init__(app, ChartState)
        self.selection = Selection()
        app.case.scan_changed.connect(self._on_scan_changed)
        app.case.teeth_changed.connect(self.refresh)
        self.on_change(self.name.notation, self._on_notation)
        for view in app.views.slices + app.views.threes:
            on_click(view, app.told(self._on_click))
        self._show()

    @property
    def selected(self) -> int | None:
        """FDI number of the selected tooth."""
        return self.data.selected or None

    def number(self, fdi: int) -> str:
        """A tooth's number in the notation that was chosen."""
        return tooth(fdi).notation(self.data.notation)

    def select(self, fdi: int, centre: bool = True) -> None:
        """Make a tooth the one that tools work on, and show it in all views."""
        self.data.selected = int(fdi)
        self.refresh()
        if centre and self.app.case.teeth_node is not None:
            self.app.views.centre(teeth.centre_ras(self.app.case.teeth_node, int(fdi)))

    def close_to(self, fdi: int) -> None:
        """Show a tooth as large as fits."""
        self.select(fdi, centre=False)
        self.app.views.fit_teeth(self.app.case.teeth_node, int(fdi))

    def set_visible(self, fdi: int, visible: bool) -> None:
        node = self.app.case.teeth_node
        node.GetDisplayNode().SetSegmentVisibility(teeth.segment_of(node, fdi), visible)
        self.refresh()

    def toggle_visible(self) -> None:
        self.set_visible(self.selected, not self.data.visible)

    def toggle_all(self) -> None:
        """Show all teeth, or, if all are shown, only the selected one."""
        node = self.app.case.teeth_node
        display = node.GetDisplayNode()
        show_all = not self.data.all_visible
        for one in chart(node):
            if one.present:
                display.SetSegmentVisibility(teeth.segment_of(node, one.fdi), show_all or one.fdi == self.selected)
        self.refresh()

    def renumber(self, new: int) -> None:
        """Give the selected tooth another number; the tooth that has it gets the old one in exchange."""
        old, new = self.selected, int(new)
        present = {one.fdi for one in chart(self.app.case.teeth_node) if one.present}
        numbers = {old: new, new: old} if new in present else {old: new}
        self.app.case.edit(renumber, numbers)
        self.select(new, centre=False)

    def shift(self, step: int) -> None:
        """Renumber the selected tooth and all behind it in its quadrant."""
        old = self.selected
        self.app.case.edit(shift_numbers, old, step)
        self.select(old + step, centre=False)

    def toggle_done(self) -> None:
        """Mark the selected tooth as reviewed, or as not."""
        teeth.set_state(self.app.case.teeth_node, self.selected, "in_progress" if self.data.done else "completed")
        self.app.case.teeth_changed()

    def next_doubt(self) -> None:
        """Select the next tooth that should be looked at, in the order of the chart."""
        doubtful = [one.fdi for one in chart(self.app.case.teeth_node) if one.flags and not one.done]
        if not doubtful:
            self.app.tell("No tooth is in doubt.", error=False)
            return
        behind = doubtful.index(self.selected) + 1 if self.selected in doubtful else 0
        self.select(doubtful[behind % len(doubtful)])

    def refresh(self) -> None:
        """Show the teeth as they are."""
        self._show()
        if self.app.case.teeth_node is not None:
            views.mark(self.app.case.teeth_node, self.selected)
        self.selection.changed()

    def build(self) -> None:
        n = self.name
        with html.Div(classes="px-4"):
            with html.Div(classes="d-flex align-center justify-space-between"):
                html.Span("{{ " + n.present + " }} teeth", classes="text-body-2", raw_attrs=test_id("count"))
                v3.VBtn(
                    text=(f"{n.doubtful} + ' to look at'",),
                    v_if=(n.doubtful,),
                    prepend_icon="mdi-help-circle",
                    size="small",
                    variant="tonal",
                    color="warning",
                    click=self.app.on(self.next_doubt),
                    raw_attrs=test_id("next-doubt"),
                )
                with v3.VBtnToggle(
                    v_model=(n.notation,), mandatory=True, density="compact", variant="outlined", divided=True
                ):
                    for notation, label in NOTATIONS.items():
                        v3.VBtn(
                            label, value=notation, size="x-small", height=24, raw_attrs=test_id(f"notation-{notation}")
                        )
            with html.Div(classes="ts-jaw mt-2"):
                html.Span("Right")
                html.Span("upper")
                html.Span("Left")
            for row, css in ((0, "ts-upper"), (1, "ts-lower")):
                with (
                    html.Div(classes="ts-chart mb-1"),
                    v3.Template(v_for=f"t in {n.rows}[{row}]", key="t ? t.fdi : 0"),
                ):
                    html.Span(v_if=("!t",))
                    html.Button(
                        "{{ t.number }}",
                        v_else=True,
                        type="button",
                        classes=(
                            f"['ts-tooth', '{css}', {{'ts-missing': !t.present, 'ts-hidden': t.present && !t.visible,"
                            f" 'ts-selected': t.fdi === {n.selected}, 'ts-doubt': t.doubt && !t.done, 'ts-done': t.done}}]",
                        ),
                        style=("{background: t.colour}",),
                        disabled=("!t.present",),
                        click=(self.app.on(self.select), "[t.fdi]"),
                        raw_attrs=[
                            ':title="t.title"',
                            f"@dblclick=\"trigger('{self.app.trigger(self.close_to)}', [t.fdi])\"",
                            f':aria-pressed="t.fdi === {n.selected}"',
                            *test_id("tooth-${t.fdi}"),
                        ],
                    )
            html.Div("lower", classes="ts-jaw justify-center")
            self._build_selected()

    def _build_selected(self) -> None:
        n = self.name
        with v3.VCard(
            v_if=(n.selected,), variant="tonal", classes="pa-3 mt-2", rounded="lg", raw_attrs=test_id("selected")
        ):
            with html.Div(classes="d-flex align-center"):
                html.Span("{{ " + n.number + " }}", classes="text-h6 mr-3", raw_attrs=test_id("selected-number"))
                html.Span("{{ " + n.name + " }}", classes="text-body-2")
                v3.VSpacer()
                self._button("mdi-eye", "mdi-eye-off", n.visible, "Hide or show", self.toggle_visible, "hide")
                self._button(
                    "mdi-image-filter-none",
                    "mdi-image-multiple",
                    n.all_visible,
                    "This tooth alone, or all",
                    self.toggle_all,
                    "alone",
                )
                self._button(
                    "mdi-check-circle", "mdi-check-circle-outline", n.done, "Reviewed", self.toggle_done, "done"
                )
            html.Div("{{ " + n.confidence + " }}", v_if=(n.confidence,), classes="ts-notice")
            with html.Div(v_for=f"doubt in {n.doubts}", key="doubt", classes="d-flex align-start mt-1 text-body-2"):
                v3.VIcon("mdi-help-circle", color="warning", size="small", classes="mr-2 mt-1")
                html.Span("{{ doubt }}")
            with html.Div(classes="d-flex align-center mt-2", style="gap: 6px"):
                with v3.VMenu(max_height=360):
                    with v3.Template(v_slot_activator="{ props }"):
                        v3.VBtn(
                            "Renumber",
                            v_bind="props",
                            size="small",
                            variant="tonal",
                            append_icon="mdi-menu-down",
                            raw_attrs=test_id("renumber"),
                        )
                    with v3.VList(density="compact"):
                        v3.VListItem(
                            v_for=f"one in {n.numbers}",
                            key="one.fdi",
                            title=("one.title",),
                            click=(self.app.on(self.renumber), "[one.fdi]"),
                            raw_attrs=test_id("to-${one.fdi}"),
                        )
                v3.VBtn(
                    text=(f"'It is ' + ({n.numbers}.find(one => one.fdi === {n.second}) || {{}}).number",),
                    v_if=(n.second,),
                    size="small",
                    variant="tonal",
                    color="warning",
                    click=(self.app.on(self.renumber), f"[{n.second}]"),
                    raw_attrs=test_id("second"),
                )
                v3.VSpacer()
                for step, icon, title in ((-1, "mdi-chevron-left", "towards"), (1, "mdi-chevron-right", "away from")):
                    v3.VBtn(
                        icon=icon,
                        size="x-small",
                        variant="text",
                        click=(self.app.on(self.shift), f"[{step}]"),
                        raw_attrs=[
                            f'title="This tooth and all behind it one number {title} the midline"',
                            *test_id(f"shift{step}"),
                        ],
                    )

    def _button(self, on: str, off: str, state: str, title: str, handler, mark: str) -> None:
        v3.VBtn(
            icon=(f"{state} ? '{on}' : '{off}'",),
            size="x-small",
            variant="text",
            click=self.app.on(handler),
            raw_attrs=[f'title="{title}"', f':aria-pressed="{state}"', *test_id(mark)],
        )

    def _on_scan_changed(self) -> None:
        self.data.selected = 0
        self.refresh()

    def _on_click(self, place: Place) -> None:
        """A click on a tooth selects it, as long as no tool waits for clicks."""
        case = self.app.case
        if self.app.panorama.take_point(place) or case.teeth_node is None or self.app.correcting.wants_clicks:
            return
        voxel = voxel_at(case.volume, place)
        fdi = int(case.labels(tuple(slice(at, at + 1) for at in voxel)).item()) if voxel else 0
        if fdi:
            with self.app.server.state:
                self.select(fdi, centre=False)
                self.app.views.go_to(place)

    def _on_notation(self, notation: Notation) -> None:
        if self.app.case.teeth_node is not None:
            teeth.rename(self.app.case.teeth_node, notation)
        self.refresh()

    def _show(self) -> None:
        data, node = self.data, self.app.case.teeth_node
        places = chart(node)
        present = [one for one in places if one.present]
        if data.selected not in [one.fdi for one in present]:
            data.selected = 0
        data.present, data.doubtful = len(present), sum(bool(one.flags) and not one.done for one in present)
        data.all_visible = all(one.visible for one in present)
        rows = [
            _with_midline([self._drawn(one) for one in places if tooth(one.fdi).jaw == jaw])
            for jaw in ("upper", "lower")
        ]
        data.rows = rows
        for one in present:
            if one.fdi == data.selected:
                self._show_selected(one, {other.fdi for other in present})

    def _show_selected(self, one: ChartTooth, present: set[int]) -> None:
        data = self.data
        data.name, data.number = tooth(one.fdi).name.capitalize(), self.number(one.fdi)
        data.doubts = [DOUBTS.get(flag, flag) for flag in one.flags]
        data.confidence = "" if one.confidence is None else f"Confidence in the number: {_percent(one.confidence)}"
        data.second = one.second_fdi or 0 if dentition.UNCERTAIN_NUMBER in one.flags else 0
        data.visible, data.done = one.visible, one.done
        data.numbers = [
            {
                "fdi": fdi,
                "number": self.number(fdi),
                "title": f"{self.number(fdi)}  {tooth(fdi).name}" + (" (exchange the two)" if fdi in present else ""),
            }
            for fdi in PERMANENT
            if fdi != one.fdi
        ]

    def _drawn(self, one: ChartTooth) -> dict:
        colour = "#" + "".join(f"{round(255 * part):02x}" for part in one.colour)
        name = f"{self.number(one.fdi)}: {tooth(one.fdi).name}"
        return {
            "fdi": one.fdi,
            "number": self.number(one.fdi),
            "present": one.present,
            "visible": one.visible,
            "done": one.done,
            "doubt": bool(one.flags),
            "colour": colour,
            "title": " ".join([name if one.present else f"{name} (not found)", *(DOUBTS.get(f, f) for f in one.flags)]),
        }


def _with_midline(row: list[dict]) -> list:
    return [*row[:8], None, *row[8:]]


def _percent(share: float) -> str:
    """Nothing that is computed is 100 % sure."""
    return "over 99 %" if share > 0.99 else f"{100 * share:.0f} %"
