"""Background tasks: exports, tables, training cases and batches, each in a process of its own while the user goes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import __version__
from ..boxes import bounding_box
from ..errors import TeethSegError
from ..io.json_text import json_text, read_json
from ..volume import Volume
from ..worker.client import Process, array_written
from ..worker.files import MAPS, REQUEST, RESULT
from ..worker.protocol import Failure, Notice, Progress
from .failures import Kind
from .i18n import _
from .signals import Signal

if TYPE_CHECKING:
    from ..batch.run import BatchOptions
    from ..cascade.predictions import ToothMaps
    from .annotation_session import CaseWriter
    from .export import ExportJob, Written

PROCESS = "teethseg.application.task_process"


@dataclass(frozen=True)
class BackgroundTask:
    """An order for another process.

    Attributes
    ----------
    kind : {'files', 'rows', 'case', 'batch'}
        Write the files of an export, measure the teeth, write a training case, or segment a folder of scans.
    arguments : mapping
        Further facts that `task_process` needs, ready for JSON.
    labels, scan : Volume or None
    maps : ToothMaps or None
    place : Path or None
        The folder that it writes into, for tidying up when it is cancelled.
    cancelled : str
        What there is to say then, if something is left that was written.
    """

    kind: Literal["files", "rows", "case", "batch"]
    arguments: Mapping[str, Any]
    labels: Volume | None = None
    scan: Volume | None = None
    maps: ToothMaps | None = None
    place: Path | None = None
    cancelled: str = ""


def export_task(job: ExportJob, folder: Path, overwrite: bool) -> BackgroundTask:
    """Write an export's files."""
    return BackgroundTask(
        "files", {**_arguments(job), "folder": str(folder), "overwrite": overwrite}, **_data(job), place=folder
    )


def measurement_task(job: ExportJob) -> BackgroundTask:
    """Measure the teeth; the result's 'rows' are those of `export.measured_rows`."""
    return BackgroundTask("rows", _arguments(job), job.labels, maps=job.maps)


def training_case_task(case: CaseWriter, folder: Path) -> BackgroundTask:
    """Write a training case into a folder that does not exist yet."""
    arguments = {
        "patient": case.patient,
        "worklist": case.worklist,
        "missing": list(case.missing),
        "folder": str(folder),
    }
    return BackgroundTask("case", arguments, case.scan.with_array(case.labels), case.scan, place=folder.parent)


def batch_task(order: BatchOptions) -> BackgroundTask:
    """Segment a folder of scans; the result has the fields of `BatchResult`."""
    arguments = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(order).items()}
    text = _("Cancelled. The scans that are done stay; the same folders again do the others.")
    return BackgroundTask("batch", arguments, place=order.output, cancelled=text)


def written_of(result: Mapping[str, Any]) -> Written:
    """The result of an `export_task`."""
    from ..surfaces.mesh_quality import Summary
    from .export import Written

    summary = Summary(**result["summary"]) if result["summary"] else None
    return Written(tuple(map(Path, result["files"])), tuple(result["warnings"]), summary, result["images"])


def _arguments(job: ExportJob) -> dict[str, Any]:
    source = asdict(job.source) if job.source is not None else None
    return {
        "values": dict(job.values),
        "notation": job.notation,
        "stem": job.stem,
        "rows": list(job.rows),
        "report": job.report,
        "corrected": sorted(job.corrected),
        "source": source,
        "source_files": list(job.source_files),
    }


def _data(job: ExportJob) -> dict[str, Any]:
    """The scan goes along only where it is looked at: it is large."""
    wanted = job.values["inside"] == "hollow" or job.values["parts"] == "bone"
    return {"labels": job.labels, "scan": job.scan if wanted else None, "maps": job.maps}


class TaskProcess(Process):
    """A process that runs a task; see `Process`."""

    def __init__(self, task: BackgroundTask, python: str | Path = sys.executable):
        super().__init__(lambda folder: hand_over(task, folder), PROCESS, python)

    def result(self) -> dict[str, Any]:
        """The result, once `state` is "done" and until the run is closed.

        Raises
        ------
        TeethSegError
            If it is damaged.
        """
        try:
            return read_json(self.folder / RESULT)
        except (OSError, ValueError) as error:
            raise TeethSegError(_("The result cannot be read ({reason}): try again.").format(reason=error)) from error


def hand_over(task: BackgroundTask, folder: Path) -> Iterator[None]:
    """Write all that the process needs, in steps."""
    arrays, about = {}, {}
    for name, volume in (("labels", task.labels), ("scan", task.scan)):
        if volume is None:
            continue
        box = bounding_box(volume.array) if name == "labels" else None  # beside the teeth there is nothing to tell
        box = box or tuple(slice(0, size) for size in volume.array.shape)
        arrays[name] = volume.array[box]
        about[name] = {
            "shape": list(volume.array.shape),
            "start": [side.start for side in box],
            "spacing": list(volume.spacing),
            "origin": list(volume.origin),
            "direction": volume.direction.ravel().tolist(),
            "padding": volume.padding,
        }
    order = {"version": __version__, "caller": os.getpid(), "kind": task.kind, "volumes": about, **task.arguments}
    (folder / REQUEST).write_text(json_text(order), encoding="utf-8")
    if task.maps is not None:
        task.maps.save(folder / MAPS, compressed=False)
    for name, array in arrays.items():
        yield from array_written(folder / f"{name}.npy", array)


@dataclass
class _RunningTask:
    """The task that is being run."""

    task: BackgroundTask
    name: str
    run: Any
    done: Callable[[dict[str, Any]], None]
    failed: Callable[[str, Kind, str], None]
    notices: list[str] = field(default_factory=list)


class TaskRunner:
    """Runs one task at a time; whoever owns it calls `poll` from a timer.

    Attributes
    ----------
    changed : Signal
        A task has begun, got further, or ended.
    fraction : float
        How far it is, 0 to 1.
    step : Progress or None
        The step that it is at, once it has told one.
    """

    def __init__(self, launch: Callable[[BackgroundTask], Any] = TaskProcess):
        self.launch = launch
        self.changed = Signal()
        self.fraction = 0.0
        self.step: Progress | None = None
        self._running: _RunningTask | None = None

    @property
    def working(self) -> bool:
        """Whether a process is at work."""
        return self._running is not None

    @property
    def name(self) -> str:
        """The name of the thing that is being made; empty for none."""
        return self._running.name if self._running is not None else ""

    def start(
        self,
        task: BackgroundTask,
        name: str,
        done: Callable[[dict[str, Any]], None],
        failed: Callable[[str, Kind, str], None],
    ) -> None:
        """Begin a task.

        Parameters
        ----------
        task : BackgroundTask
        name : str
            Of the thing that is made, for the user.
        done : callable
            Called with the result.
        failed : callable
            Called with line, kind and details if there is none.

        Raises
        ------
        TeethSegError
            If another one is being run, or the process cannot be started.
        """
        if self.working:
            raise TeethSegError(_("{name}: wait until that is done, or cancel it.").format(name=self.name))
        self.fraction, self.step = 0.0, None
        self._running = _RunningTask(task, name, self.launch(task), done, failed)
        self.changed.emit()
        self.poll()

    def poll(self) -> None:
        """Take in the messages of the process; never waits."""
        running = self._running
        if running is None:
            return
        failure = None
        for message in running.run.poll():
            if isinstance(message, Progress):
                self.step, self.fraction = message, message.done / max(message.total, 1)
            elif isinstance(message, Notice):
                running.notices.append(message.text)
            elif isinstance(message, Failure):
                failure = message
        if running.run.state == "running":
            self.changed.emit()
            return
        try:
            result = running.run.result() if running.run.state == "done" else None
        except TeethSegError as error:
            result, failure = None, Failure("other", str(error))
        details = running.run.details()
        self._end()
        if result is not None:
            running.done(result)
        elif failure is not None:
            running.failed(failure.text, "error", details if failure.code in ("other", "died") else "")

    def cancel(self) -> None:
        """End the task, and remove its unfinished files."""
        running = self._running
        if running is None:
            return
        running.run.cancel()
        self._end()
        if running.task.place is not None:
            from ..io.atomic_write import remove_left_drafts

            remove_left_drafts(running.task.place)
        running.failed(running.task.cancelled or _("Cancelled. Nothing was written."), "info", "")

    def _end(self) -> None:
        if self._running is not None:
            self._running.run.close()
            self._running = None
        self.changed.emit()
