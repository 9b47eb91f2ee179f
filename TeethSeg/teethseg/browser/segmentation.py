"""The Segment button: the cascade in its worker process, with its progress, its end and its reasons."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from ..application.segmentation import device_options
from ..errors import UsageError
from ..io.json_text import json_text
from ..mrml import teeth
from ..report import report_of
from ..worker.client import Job, Run
from ..worker.protocol import Failure, Hello, Message, Notice, Progress, Stage
from .component import Host, Part, test_id

INTERVAL = 0.1  # seconds between two looks at the worker


@dataclass
class SegmentingState:
    running: bool = False
    stage: str = ""
    tiles: str = ""  # done of total, in words
    percent: int = 0  # of the stage
    left: str = ""  # time left, in words
    where: str = ""  # the networks run, in words
    failure: str = ""
    details: str = ""
    notices: list[str] = field(default_factory=list)
    summary: str = ""
    device: str = "auto"
    weights: str = ""  # path of a file; empty for those that ship with TeethSeg
    asking: bool = False  # whether corrections may be replaced
    corrected: str = ""


class Segmenting(Part[SegmentingState]):
    def __init__(self, app: Host):
        super().__init__(app, SegmentingState)
        self._run: Run | None = None
        self._unwanted = False
        app.case.scan_changed.connect(self._on_scan_changed)

    def close(self) -> None:
        """End a run that is under way."""
        if self._run is not None:
            self._run.close()

    async def segment(self, replace: bool = False) -> None:
        """Find the teeth of the open scan; asks first if that would replace corrections, unless told to."""
        case = self.app.case
        if case.volume is None:
            raise UsageError("There is no scan yet: open one first.")
        if self.data.running:
            raise UsageError("The scan is being segmented already: wait for it, or cancel it.")
        if case.teeth_node is not None and not replace:
            changed = teeth.corrected(case.teeth_node)
            if changed:
                self.data.corrected = ", ".join(map(self.app.chart.number, changed))
                self.data.asking = True
                return
        self._reset()
        self._unwanted = False
        self.data.running, self.data.stage = True, "Start"
        self.app.server.state.flush()
        try:
            await asyncio.sleep(INTERVAL)
            if not self._unwanted:  # as a quick user may find
                with Run(self._job()) as self._run:
                    await self._follow(self._run)
        finally:
            self._run = None
            with self.app.server.state:
                self.data.running = False

    def _job(self) -> Job:
        weights = self.data.weights.strip().strip("\"'")
        return Job(self.app.case.volume, self.data.device, Path(weights).expanduser() if weights else None)

    def cancel(self) -> None:
        """End the run; nothing of it stays."""
        self._unwanted = True
        if self._run is not None:
            self._run.cancel()

    def build(self) -> None:
        n = self.name
        with html.Div(classes="pa-4 pb-2"):
            v3.VBtn(
                "Segment teeth",
                v_if=(f"!{n.running}",),
                prepend_icon="mdi-auto-fix",
                color="primary",
                block=True,
                size="large",
                click=self.app.on(self.segment),
                raw_attrs=test_id("segment"),
            )
            with html.Details(v_if=(f"!{n.running}",), classes="mt-2 text-body-2"):
                html.Summary("Options", raw_attrs=test_id("run-options"))
                v3.VSelect(
                    v_model=(n.device,),
                    items=("" + json_text(_devices()).replace('"', "'"),),
                    label="Run on",
                    density="compact",
                    variant="outlined",
                    hide_details=True,
                    classes="mt-2",
                    raw_attrs=test_id("device"),
                )
                v3.VTextField(
                    v_if=(str(self.app.local).lower(),),
                    v_model=(n.weights,),
                    label="Weights (.safetensors on this computer), if not TeethSeg's own",
                    density="compact",
                    variant="outlined",
                    hide_details=True,
                    classes="mt-2",
                    raw_attrs=test_id("weights"),
                )
            with html.Div(v_if=(n.running,), raw_attrs=test_id("progress")):
                with html.Div(classes="d-flex justify-space-between text-body-2 mb-1"):
                    html.Span("{{ " + n.stage + " }}", raw_attrs=test_id("stage"))
                    html.Span("{{ " + n.tiles + " }}", classes="ts-notice", raw_attrs=test_id("tiles"))
                v3.VProgressLinear(
                    model_value=(n.percent,),
                    indeterminate=(f"!{n.percent}",),
                    height=8,
                    rounded=True,
                    color="primary",
                )
                with html.Div(classes="d-flex justify-space-between align-center mt-1"):
                    html.Span("{{ " + n.left + " }}", classes="ts-notice", raw_attrs=test_id("left"))
                    html.Span("{{ " + n.where + " }}", classes="ts-notice")
                    v3.VBtn(
                        "Cancel",
                        size="small",
                        variant="tonal",
                        click=self.app.on(self.cancel),
                        raw_attrs=test_id("cancel"),
                    )
            with v3.VAlert(
                v_if=(n.failure,),
                type="error",
                variant="tonal",
                density="compact",
                classes="mt-3",
                closable=True,
                click_close=f"{n.failure} = ''",
                raw_attrs=test_id("failure"),
            ):
                html.Div("{{ " + n.failure + " }}")
                with html.Details(v_if=(n.details,), classes="mt-2"):
                    html.Summary("Details")
                    html.Pre("{{ " + n.details + " }}", style="max-height: 200px; overflow: auto; font-size: 11px")
            html.Div(
                "{{ " + n.summary + " }}", v_if=(n.summary,), classes="text-body-2 mt-2", raw_attrs=test_id("summary")
            )
            v3.VAlert(
                v_for=f"notice in {n.notices}",
                key="notice",
                text=("notice",),
                type="warning",
                variant="tonal",
                density="compact",
                classes="mt-2",
            )
        self._build_question()

    def _build_question(self) -> None:
        n = self.name
        with (
            v3.VDialog(v_model=(n.asking,), max_width=460),
            v3.VCard(classes="pa-5", rounded="lg", raw_attrs=test_id("question")),
        ):
            html.Div("Replace your corrections?", classes="text-h6 mb-2")
            html.Div(
                "You have changed these teeth: {{ "
                + n.corrected
                + " }}. Segmenting again replaces them; Undo brings them back."
            )
            with html.Div(classes="d-flex justify-end mt-4"):
                v3.VBtn("Keep them", variant="text", click=f"{n.asking} = false", raw_attrs=test_id("keep"))
                v3.VBtn(
                    "Segment again",
                    color="primary",
                    click=self.app.on(self._on_replace),
                    raw_attrs=test_id("replace"),
                )

    async def _on_replace(self) -> None:
        self.data.asking = False
        await self.segment(replace=True)

    async def _follow(self, run: Run) -> None:
        begun = time.monotonic()
        while run.state == "running":
            await asyncio.sleep(INTERVAL)
            messages = run.poll()
            if messages:
                with self.app.server.state:
                    for message in messages:
                        self._hear(message, run)
        if run.state != "done":
            return
        with self.app.server.state:
            self.data.stage, self.data.tiles, self.data.left = "Making surfaces", "", ""
        await asyncio.sleep(INTERVAL)
        outcome = run.result()
        maps = outcome.maps()
        report = report_of(
            outcome.dentition, outcome.seconds, outcome.peak_memory_mb, outcome.device, outcome.weights, outcome.sha256
        )
        with self.app.server.state:
            self.app.case.put_teeth(outcome.dentition, self.app.chart.data.notation, report)
            self.app.case.maps = maps
            count = len(outcome.dentition.teeth)
            self.data.summary = (
                f"{count} teeth in {time.monotonic() - begun:.0f} s" if count else "No teeth were found in this scan."
            )
            self.data.notices = list(outcome.dentition.warnings)

    def _hear(self, message: Message, run: Run) -> None:
        if isinstance(message, Hello):
            self.data.where = {"cpu": "on the processor", "cuda": "on the graphics card"}.get(message.device, "")
        elif isinstance(message, Stage):
            self.data.stage, self.data.tiles, self.data.percent = message.name.capitalize(), "", 0
        elif isinstance(message, Progress):
            self.data.stage = message.stage.capitalize()
            self.data.percent = round(100 * message.done / max(message.total, 1))
            self.data.tiles = f"{message.done} of {message.total}" if message.total > 1 else ""
            self.data.left = _in_words(message.seconds_left)
        elif isinstance(message, Notice):
            self.data.notices = [*self.data.notices, message.text]
        elif isinstance(message, Failure) and message.code != "cancelled":
            self.data.failure, self.data.details = message.text, (message.details or run.details()).strip()

    def _on_scan_changed(self) -> None:
        self.cancel()
        self._reset()

    def _reset(self) -> None:
        data = self.data
        data.stage = data.tiles = data.left = data.where = data.failure = data.details = data.summary = ""
        data.percent, data.notices = 0, []


def _devices() -> list[dict[str, str]]:
    return [{"title": title, "value": value} for value, title in device_options()]


def _in_words(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"about {seconds:.0f} s left" if seconds < 90 else f"about {seconds / 60:.0f} min left"
