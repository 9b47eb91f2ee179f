"""A run as windows show it: its step, its progress and its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

from ..cascade.network_choice import SECOND_RUN
from ..errors import TeethSegError
from ..worker.protocol import Failure, Notice, Progress, Stage
from .i18n import _
from .signals import Signal
from .texts import stage_text, time_text

RunState = Literal["idle", "running", "done", "failed", "cancelled"]
# Share of the whole at which a stage begins, as long as the worker cannot tell how long it will take.
_BEGINS = {
    "find arches": 0.1,
    "outline teeth": 0.2,
    "part teeth": 0.5,
    "number teeth": 0.9,
    "write back": 0.95,
    "hand over": 0.97,
}
_MOST_BEFORE_THE_END = 0.98
_SECOND_RUN_BEGINS = 0.4  # the bar falls back: nobody knew before that there would be one


class Run(Protocol):
    """The part of `worker.client.Run` that is used here."""

    @property
    def state(self) -> str:
        """One of "running", "done", "failed" and "cancelled"."""

    def poll(self) -> list:
        """Messages that arrived since the last call."""

    def details(self) -> str:
        """The log, for whoever reports a failure."""

    def result(self) -> Any:
        """The result of a finished run."""

    def cancel(self) -> None:
        """End the process."""

    def close(self) -> None:
        """Release the process and its files."""


class RunControl:
    """Starts runs and follows them; whoever owns it calls `poll` from a timer.

    Attributes
    ----------
    changed : Signal
        Something to show has changed.
    ended : Signal
        Emitted once a run with the state that it ended in, after which `outcome` or `failure` is set.
    """

    def __init__(self, start: Callable[[Any], Run]):
        self.launch = start  # begins a run of a job
        self._run: Run | None = None
        self.changed = Signal()
        self.ended = Signal()
        self._reset("idle")

    def _reset(self, state: RunState) -> None:
        self.state: RunState = state
        self.stage = ""
        self.second_run = False  # by the networks for mixed dentitions
        self.fraction = 0.0
        self.seconds_left: float | None = None
        self.notices: list[str] = []
        self.failure: Failure | None = None
        self.details = ""
        self.outcome: Any = None
        self.maps: Any = None
        self._began = time.monotonic()

    @property
    def running(self) -> bool:
        """Whether a run is going on."""
        return self.state == "running"

    @property
    def status(self) -> str:
        """One line for the user."""
        if self.state == "running":
            stage = stage_text(self.stage or "start")
            left = time_text(self.seconds_left) if self.seconds_left is not None else ""
            step = _("{stage} … about {time} left").format(stage=stage, time=left) if left else f"{stage} …"
            return _("Second run, for deciduous teeth · {step}").format(step=step) if self.second_run else step
        return {"cancelled": _("Cancelled. Nothing was changed."), "failed": _("No result.")}.get(self.state, "")

    def report(self) -> dict:
        """The report of the run that has ended, without anything that was done to its teeth."""
        from ..report import report_of

        one = self.outcome
        return report_of(one.dentition, one.seconds, one.peak_memory_mb, one.device, one.weights, one.sha256)

    def forget(self) -> None:
        """Forget the result of the last run."""
        if not self.running:
            self._reset("idle")

    def start(self, job: Any) -> None:
        """Begin a run; one that cannot begin ends as failed at once."""
        if self.running:
            return
        self._reset("running")
        try:
            self._run = self.launch(job)
        except TeethSegError as error:
            self._fail(Failure("other", str(error), ""))
            return
        self.changed.emit()

    def poll(self) -> None:
        """Take in the messages of the worker since the last call; never waits."""
        run = self._run
        if run is None:
            return
        for message in run.poll():
            self._on_message(message)
        if run.state == "done":
            self._finish(run)
        elif run.state == "failed":
            self._fail(self.failure or Failure("died", _("The worker ended without a result: run it again."), ""))
        elif run.state == "cancelled":
            self._end("cancelled")
        else:
            self.changed.emit()

    def cancel(self) -> None:
        """Stop the run, if there is one; returns once its processes are gone."""
        if self._run is not None:
            self._run.cancel()
            self._end("cancelled")

    def _on_message(self, message: Any) -> None:
        if isinstance(message, Stage):
            self.stage = message.name
            if message.name == SECOND_RUN:
                self.second_run, self.fraction = True, _SECOND_RUN_BEGINS
            self._advance(_BEGINS.get(message.name, self.fraction))
        elif isinstance(message, Progress):
            self.stage, self.seconds_left = message.stage, message.seconds_left
            self._advance(self._share(message))
        elif isinstance(message, Notice):
            self.notices.append(message.text)
        elif isinstance(message, Failure):
            self.failure = message

    def _share(self, message: Progress) -> float:
        if message.seconds_left is not None:
            passed = time.monotonic() - self._began
            return passed / (passed + message.seconds_left + 0.1)
        begins = _BEGINS.get(message.stage, self.fraction)
        ends = min((share for share in _BEGINS.values() if share > begins), default=1.0)
        return begins + (ends - begins) * message.done / max(message.total, 1)

    def _advance(self, fraction: float) -> None:
        self.fraction = max(self.fraction, min(fraction, _MOST_BEFORE_THE_END))

    def _finish(self, run: Run) -> None:
        try:
            self.outcome = run.result()
            self.maps = self.outcome.maps()
        except TeethSegError as error:
            self._fail(Failure("other", str(error), ""))
            return
        self._end("done")

    def _fail(self, failure: Failure) -> None:
        self.failure = failure
        self._end("failed")

    def _end(self, state: RunState) -> None:
        if self._run is not None:
            self.details = self._run.details()
            self._run.close()
            self._run = None
        if self.failure and self.failure.details and self.failure.details not in self.details:
            self.details = f"{self.failure.details}\n{self.details}".strip()
        self.state = state
        self.changed.emit()
        self.ended.emit(state)
