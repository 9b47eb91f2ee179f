"""The Segment button: its options, progress and message, and the check of the computer."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from ..application.computer_check import ComputerCheck
from ..application.i18n import _
from ..application.segmentation import (
    DentitionChoice,
    RunOptions,
    Segmentation,
    dentition_options,
    device_options,
    labels_options,
    part_options,
)
from ..worker.client import Run
from . import controls as ui
from .component import App, Component


@dataclass
class SegmentingState:
    """State of `Segmenting` on the page."""

    running: bool = False
    status: str = ""
    percent: int = 0
    message: str = ""
    kind: str = "info"
    details: str = ""
    fields: list[dict] = field(default_factory=list)
    part: str = "all"
    labels: str = "fdi"
    device: str = "auto"
    weights: str = ""  # path of a file; empty for those that ship with TeethSeg
    show_3d: bool = True
    checking: bool = False
    checks: list[dict] = field(default_factory=list)


class Segmenting(Component[SegmentingState]):
    """Starts and follows runs, and checks the computer for them."""

    def __init__(self, app: App):
        super().__init__(app, SegmentingState)
        case = app.case
        self.run = Segmentation(case, app.ask, lambda: True, Run)
        self.computer = ComputerCheck(case)
        self._followed = False
        self.run.changed.connect(self._on_run)
        self.computer.changed.connect(self._show_checks)
        app.findings.again.connect(self._segment_again)
        self.follow(self.run.changed, self.run.ended, case.changed, case.selected_changed)

    def segment(self) -> None:
        """Find the teeth of the scan; asks first if that would replace corrections."""
        chosen: dict[str, Any] = {name: getattr(self.data, name) for name in ("part", "labels", "device", "show_3d")}
        self.run.start(RunOptions(weights=self._weights(), dentition=self.run.dentition, **chosen))

    def _segment_again(self, dentition: DentitionChoice) -> None:
        """Segment all teeth again, by TeethSeg's own networks for a kind of dentition."""
        self.run.dentition = dentition
        self.run.start(RunOptions(device=self.data.device, dentition=dentition, show_3d=self.data.show_3d))

    def _on_run(self) -> None:
        """A run that has begun is followed until it ends."""
        if self.run.running and not self._followed:
            self.app.begin(self.app.while_it_works(lambda: self.run.running, self.run.poll))
        self._followed = self.run.running

    def choose(self, key: str, value: Any) -> None:
        """Set an option."""
        if key == "dentition":
            self.run.dentition = value
        elif key in {one["key"] for one in self.data.fields}:
            setattr(self.data, key, value)
        self.show()

    def close(self) -> None:
        """End a run that is under way."""
        self.run.cancel()

    def show(self) -> None:
        """Show the options, the progress of the run, and its message."""
        data, run = self.data, self.run
        data.running, data.status, data.percent = run.running, run.status, round(100 * run.fraction)
        data.message, data.kind, data.details = run.message
        data.fields = [
            ui.choice("part", _("Find"), part_options(self.app.case), data.part, self.app.case.teeth_node is None),
            ui.choice("labels", _("Result"), labels_options(), data.labels),
            ui.choice("dentition", _("Dentition"), dentition_options(), run.dentition),
            ui.choice("device", _("Run on"), device_options(), data.device),
        ]

    def _show_checks(self) -> None:
        self.data.checking = self.computer.checking
        self.data.checks = [
            {"ok": one.ok, "name": one.name, "text": f"{one.text} {'' if one.ok else one.remedy}"}
            for one in self.computer.checks
        ]

    def build(self) -> None:
        """Build the button with its options, or the progress of the run, and the message below."""
        n, run = self.name, self.run
        with html.Div(classes="pa-4 pb-2"):
            big, idle = {"size": "large", "block": True, **ui.PRIMARY}, (f"!{n.running}",)
            ui.button(_("Segment teeth"), "mdi-auto-fix", self.app.on(self.segment), "segment", v_if=idle, **big)
            with html.Details(v_if=idle, classes="mt-2 text-body-2"):
                html.Summary(_("Options"), raw_attrs=ui.test_id("run-options"))
                self._build_options()
            with html.Div(v_if=(n.running,), raw_attrs=ui.test_id("progress")):
                ui.progress(n.percent, height=8, rounded=True)
                ui.button(_("Cancel"), "", self.app.on(run.cancel), "cancel", classes="mt-2", block=True)
            ui.line(n.status, "summary")
            closed = {"classes": "mt-3", "closable": True, "click_close": self.app.on(run.dismiss)}
            with ui.notice(n.message, n.message, "failure", (n.kind,), **closed):
                ui.details(n.details)

    def _build_options(self) -> None:
        n = self.name
        ui.choices(n.fields, self.app.on(self.choose))
        label = _("Weights (.safetensors on this computer), if not TeethSeg's own")
        ui.text_field(n.weights, label, "weights", v_if=(str(self.app.local).lower(),), classes="mt-2")
        ui.checkbox(n.show_3d, _("Show surfaces in 3D"), "show-3d")
        check = self.app.on(lambda: self.computer.check(self._weights()))
        ui.button(_("Check this computer"), "mdi-stethoscope", check, "check", loading=(n.checking,))
        with html.Div(v_for=f"one in {n.checks}", key="one.name", classes="mt-1", raw_attrs=ui.test_id("check-result")):
            icon, colour = ("one.ok ? 'mdi-check' : 'mdi-alert'",), ("one.ok ? 'primary' : 'warning'",)
            v3.VIcon(icon=icon, color=colour, size="small", classes="mr-1")
            html.Span("<b>{{ one.name }}</b>: {{ one.text }}")

    def _weights(self) -> str:
        given = self.data.weights.strip().strip("\"'")
        return os.path.expanduser(given)  # noqa: PTH111 - as in `loading`
