"""`BatchRun`: segments a folder of scans by a process of its own, while the user goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .background_tasks import BackgroundTask, TaskRunner, batch_task
from .failures import Kind
from .i18n import _
from .signals import Signal
from .texts import time_text

if TYPE_CHECKING:
    from ..anatomy import Notation
    from ..cascade.network_choice import DentitionChoice


class BatchRun:
    """See module; the same folders again do what is left. Whoever owns it calls `poll` from a timer.

    Parameters
    ----------
    prepare : callable
        Makes sure that all packages are there; returns whether to go on.
    launch : callable
        Starts the process of a task.

    Attributes
    ----------
    tasks : TaskRunner
        Runs the process.
    changed : Signal
        It has begun, got further, or ended.
    ended : Signal
        All scans have been gone through; given the path of the page with the results.
    message : tuple of str
        What has come of it: text, kind, details; an empty text for nothing.
    """

    def __init__(self, prepare: Callable[[], bool], launch: Callable[[BackgroundTask], Any]):
        self._prepare = prepare
        self.tasks = TaskRunner(launch)
        self._first: tuple[int, float] | None = None  # scans that were done at the start, and when that was
        self.message: tuple[str, Kind, str] = ("", "info", "")
        self.changed = Signal()
        self.ended = Signal()
        self.tasks.changed.connect(self._on_step)

    @property
    def running(self) -> bool:
        """Whether scans are being segmented."""
        return self.tasks.working

    @property
    def fraction(self) -> float:
        """Share of the scans that is done, 0 to 1."""
        return self.tasks.fraction if self._first is not None else 0.0

    @property
    def status(self) -> str:
        """How far it is, in one line; empty if nothing is done."""
        if not self.running:
            return ""
        step = self.tasks.step
        if step is None or self._first is None:
            return _("Looking for scans …")
        text = _("{done} of {count} scans").format(done=step.done, count=step.total)
        done, begun = self._first
        if step.done > done:
            left = (time.monotonic() - begun) * (step.total - step.done) / (step.done - done)
            return text + " · " + _("about {time} left").format(time=time_text(left))
        return text

    def start(
        self,
        folder: str,
        output: str,
        device: str,
        notation: Notation,
        surfaces: bool = False,
        weights: str = "",
        dentition: DentitionChoice = "auto",
    ) -> None:
        """Begin, or go on where the results end.

        Parameters
        ----------
        folder, output : str
            Where the scans are, and where results go.
        device, notation, surfaces, weights, dentition
            As in `batch.run.BatchOptions`; empty weights are those that ship with TeethSeg.

        Raises
        ------
        TeethSegError
            If a folder is missing, or the process cannot be started.
        """
        from ..batch.run import BatchOptions

        if not folder or not Path(folder).is_dir():
            raise UsageError(_("Choose the folder that holds the scans."))
        if not output:
            raise UsageError(_("Choose a folder for the results."))
        if self.running or not self._prepare():
            return
        self._first, self.message = None, ("", "info", "")
        own = Path(weights) if weights else None
        order = BatchOptions(Path(folder), Path(output), device, own, dentition, notation, surfaces, spare=1)
        self.tasks.start(batch_task(order), _("The batch"), self._done, self._say)

    def poll(self) -> None:
        """Take in what the process has said since; never waits."""
        self.tasks.poll()

    def cancel(self) -> None:
        """End the process; what is done stays."""
        self.tasks.cancel()

    def _on_step(self) -> None:
        step = self.tasks.step
        if self._first is None and step is not None and step.stage == "segment":
            self._first = step.done, time.monotonic()
        self.changed.emit()

    def _done(self, result: dict[str, Any]) -> None:
        scans, failed, corrected = result["scans"], result["failed"], result["corrected"]
        text = _("{done} of {count} scans are segmented.").format(done=scans - failed - corrected, count=scans)
        if corrected:
            text += " " + _(
                "{count} are left as corrected: move their folders of results away to segment them again."
            ).format(count=corrected)
        if failed:
            text += " " + _("{count} failed: the page of results says why.").format(count=failed)
        self._say(text, "warning" if failed else "info", "")
        self.ended.emit(result["index"])

    def _say(self, text: str, kind: Kind, details: str) -> None:
        self.message = text, kind, details
        self.changed.emit()
