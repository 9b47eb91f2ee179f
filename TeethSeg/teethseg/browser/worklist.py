"""The worklist of an annotator: which tooth is next, which are done, how long each took, and the training case at the end."""

from __future__ import annotations

from dataclasses import dataclass

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from ..anatomy import PERMANENT, tooth
from ..annotation.worklist import State
from ..annotation.worklist import Worklist as List
from ..errors import UsageError
from ..mrml import teeth
from .component import Host, Part, test_id


@dataclass
class WorklistState:
    working: bool = False
    current: str = ""  # the tooth being worked on, in words
    counts: str = ""


class Worklist(Part[WorklistState]):
    def __init__(self, app: Host):
        super().__init__(app, WorklistState)
        self.list = List()
        app.case.scan_changed.connect(self._on_scan_changed)
        app.chart.selection.changed.connect(self._show)  # numbers may be in another notation now
        self._show()

    @property
    def current(self) -> int | None:
        """FDI number of the tooth being worked on."""
        return self.list.current

    @property
    def begun(self) -> bool:
        """Whether somebody has worked by the list."""
        return self.list.counts()["not_started"] < len(PERMANENT)

    def begin(self) -> None:
        """Annotate by hand a scan that has no teeth yet, or go through those that it has."""
        case = self.app.case
        if case.teeth_node is None:
            case.begin(self.app.chart.data.notation)
        self.app.page.data.tab = "worklist"
        self._move_to(self.list.current or self.list.next())

    def resume(self, text: str) -> None:
        """Go on with a list that was kept.

        Raises
        ------
        InputError
            If the text is no worklist.
        """
        self.list = List.from_json(text)
        self._show()

    def leave(self, state: State) -> None:
        """Leave the current tooth in a state, and go to the next one.

        Raises
        ------
        UsageError
            If no tooth is left.
        """
        current = self._current()
        self.list.set_state(current, state)
        if self._is_there(current):
            teeth.set_state(self.app.case.teeth_node, current, state)
        self._move_to(self.list.next(current))
        self.app.case.teeth_changed()

    def missing(self) -> None:
        """Take the current tooth off the list: this patient has none."""
        current = self._current()
        following = self.list.next(current)
        self.list.drop(current)
        self._move_to(None if following == current else following)

    def build_entry(self) -> None:
        v3.VBtn(
            "Annotate by hand",
            prepend_icon="mdi-format-list-checks",
            variant="text",
            block=True,
            click=self.app.on(self.begin),
            raw_attrs=test_id("annotate"),
        )

    def build(self) -> None:
        n = self.name
        with html.Div(classes="px-4 pb-4"):
            html.Div("{{ " + n.current + " }}", classes="text-subtitle-1 mt-3", raw_attrs=test_id("work-current"))
            html.Div("{{ " + n.counts + " }}", classes="ts-notice mb-2", raw_attrs=test_id("work-counts"))
            v3.VBtn(
                "Start",
                v_if=(f"!{n.working}",),
                prepend_icon="mdi-play",
                size="small",
                color="primary",
                click=self.app.on(self.begin),
                raw_attrs=test_id("work-start"),
            )
            with html.Div(v_if=(n.working,), classes="d-flex flex-wrap", style="gap: 6px"):
                leave = self.app.on(self.leave)
                done, flag = (leave, "['completed']"), (leave, "['flagged']")
                small = {"size": "small", "variant": "tonal"}
                v3.VBtn("Done", prepend_icon="mdi-check", click=done, raw_attrs=test_id("work-done"), **small)
                v3.VBtn(
                    "Doubtful", prepend_icon="mdi-flag-outline", click=flag, raw_attrs=test_id("work-flag"), **small
                )
                v3.VBtn(
                    "Missing",
                    prepend_icon="mdi-close",
                    click=self.app.on(self.missing),
                    raw_attrs=test_id("work-missing"),
                    **small,
                )
            self.app.exporting.build_case()

    def _current(self) -> int:
        if self.list.current is None:
            raise UsageError("No tooth is being worked on: press Start.")
        return self.list.current

    def _move_to(self, fdi: int | None) -> None:
        """Work on a tooth: it is selected if it is there; if not, clicks grow it."""
        self.app.pointing.stop()
        if fdi is None:
            self.list.pause()
        else:
            self.list.start(fdi)
            if self._is_there(fdi):
                self.app.chart.select(fdi)
            else:
                self.app.pointing.start("grow", fdi)
        self._show()

    def _is_there(self, fdi: int) -> bool:
        node = self.app.case.teeth_node
        return node is not None and teeth.segment_of(node, fdi) is not None

    def _on_scan_changed(self) -> None:
        self.list = List()
        self._show()

    def _show(self) -> None:
        fdi, counts = self.list.current, self.list.counts()
        self.data.working = fdi is not None
        left = counts["not_started"] + counts["in_progress"]
        self.data.current = (
            f"{self.app.chart.number(fdi)}, {tooth(fdi).name}"
            if fdi is not None
            else ("The worklist is done." if not left else "Tooth by tooth")
        )
        minutes = sum(self.list.seconds(one) for one in self.list.teeth) / 60
        self.data.counts = f"{counts['completed']} done, {counts['flagged']} doubtful, {left} left; {minutes:.0f} min"
