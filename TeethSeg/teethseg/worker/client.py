"""The caller's side: starts the worker, reads its messages without blocking, takes its result, or ends it.

No call blocks for longer than it takes to write a piece of a scan to disk. There are no threads: a timer calls `Run.poll`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from .. import __version__
from ..cascade.dentition import Dentition
from ..cascade.network_choice import DentitionChoice, choose_weights
from ..errors import TeethSegError
from ..io.temporary_folders import new_temporary_folder
from ..volume import Volume
from .failure_messages import disk_full, failure_of_exit, is_disk_full
from .files import ERRORS, LABELS, MAPS, MESSAGES, REQUEST, RESULT, SCAN
from .processes import EXIT_TIMEOUT, end_process_group, start_process_group
from .protocol import (
    Failure,
    Heartbeat,
    Hello,
    JobRequest,
    JobResult,
    Message,
    Notice,
    ProtocolError,
    Result,
    decode,
    from_json,
    to_json,
)

if TYPE_CHECKING:
    from ..cascade.predictions import ToothMaps

SILENCE = 60.0  # seconds without a heartbeat after which the user gets a notice
LONGEST_DETAILS = 1 << 18  # bytes
PIECE = 64 << 20  # bytes of a scan that are written at a time

ProcessState = Literal["running", "done", "failed", "cancelled"]
P = TypeVar("P", bound="Process")


@dataclass(frozen=True)
class Job:
    """A scan to segment, with weights and device.

    Attributes
    ----------
    volume : Volume
        The scan; the worker checks it.
    device : {"auto", "cpu", "cuda", "mps"}
    weights : Path, optional
        The `.safetensors` file; without it the weights that ship with TeethSeg.
    dentition : {"auto", "permanent", "mixed"}
        Choice among the weights that ship; see `cascade.network_choice`.
    """

    volume: Volume
    device: str = "auto"
    weights: Path | None = None
    dentition: DentitionChoice = "auto"


@dataclass(frozen=True)
class Outcome:
    """The result of a run, on the scan's own grid.

    Attributes
    ----------
    dentition : Dentition
    seconds : dict of str to float
        Wall time of each step.
    device : str
        Where the networks ran.
    weights, sha256 : str
        Name and checksum of the weights.
    maps_file : Path or None
        File for `ToothMaps.load`, which exists until the run is closed; None if no tooth was found.
    peak_memory_mb : float
        Of the worker.
    """

    dentition: Dentition
    seconds: dict[str, float]
    device: str
    weights: str
    maps_file: Path | None
    sha256: str
    peak_memory_mb: float

    def maps(self) -> ToothMaps | None:
        """Probabilities for sub-voxel surfaces, read from `maps_file`; None without a tooth, or if the file is unreadable."""
        from ..cascade.predictions import ToothMaps

        try:
            return None if self.maps_file is None else ToothMaps.load(self.maps_file)
        except (OSError, ValueError):
            return None  # surfaces then follow the labels


class Process:
    """A worker process with a private folder, from its start to `close`; leaving the `with` block closes it too.

    Parameters
    ----------
    write_request : callable
        Writes the task into the folder, `REQUEST` among its files. It is a generator: each `poll` continues it by one step
        until all is written; then the process starts.
    module : str
        Module to run, with the folder as its argument; it sends messages by `job.MessageWriter`.
    python : path
        The interpreter to run; `PythonSlicer` inside 3D Slicer.

    Raises
    ------
    TeethSegError
        If the request cannot be written (folder not writable, disk full) or the interpreter cannot be started.
    """

    def __init__(
        self, write_request: Callable[[Path], Iterator[None]], module: str, python: str | Path = sys.executable
    ):
        self.state: ProcessState = "running"
        self._folder = _private_folder()
        self._steps, self._command = write_request(self._folder), (str(python), "-m", module, str(self._folder))
        self._started: list[subprocess.Popen] = []  # the process, once the request is written
        # Runs also when this object is garbage-collected, or the caller's Python ends.
        self._end = weakref.finalize(self, _end, self._started, self._folder)
        try:
            self._go_on()
        except BaseException:
            self._end()
            raise
        self._last_heard = time.monotonic()
        self._read = 0  # bytes of the message file that were read
        self._final: Result | Failure | None = None
        self._memory_free: int | None = None
        self._details = ""
        self._pending: list[Message] = []

    @property
    def started(self) -> bool:
        """Whether the request is written and the process has been started."""
        return bool(self._started)

    @property
    def pid(self) -> int:
        """Number of the worker's process, once it has started."""
        return self._started[0].pid

    @property
    def folder(self) -> Path:
        """Folder in which caller and worker exchange files; removed when the run is closed."""
        return self._folder

    def __enter__(self: P) -> P:  # noqa: PYI019 - Python 3.10 has no Self
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def poll(self) -> list[Message]:
        """The worker's messages since the last call, in order; never blocks.

        The last message of a run is a `Result` or a `Failure`; `state` agrees with it.
        """
        if self.state == "running" and not self._started:
            try:
                self._go_on()
            except TeethSegError as error:
                self._final = Failure("other", str(error))
                self._finish(None)
        if self.state == "running" and self._started:
            status = self._started[0].poll()  # before reading, so that no last message is missed
            self._read_messages()
            if isinstance(self._final, Failure) or status is not None:
                self._finish(status)
        messages, self._pending = self._pending, []
        return messages

    def details(self) -> str:
        """Standard error of the worker, to analyse a failure."""
        if self.state == "running":
            self._details = self._errors()
        return self._details

    def cancel(self) -> None:
        """End the worker with all its processes, and remove its files. After the end of a run the same as `close`."""
        if self.state == "running":
            self._details = self._errors()
            self.state = "cancelled"
            self._pending.append(Failure("cancelled", "The run was cancelled."))
        self._end()

    def close(self) -> None:
        """Remove the run's files; a run that is not over yet is cancelled."""
        self.cancel()

    def _go_on(self) -> None:
        """Write the next part of the request; start the process once it is complete."""
        try:
            for _ in self._steps:
                return
        except OSError as error:
            if is_disk_full(error):
                raise TeethSegError(disk_full(str(self._folder.parent))) from error
            raise TeethSegError(
                f"The scan cannot be handed to the worker ({error.strerror or error}): check the folder "
                f"{self._folder.parent}."
            ) from error
        self._started.append(_start(self._command, self._folder))

    def _read_messages(self) -> None:
        with suppress(FileNotFoundError), (self._folder / MESSAGES).open("rb") as file:
            file.seek(self._read)
            content = file.read()
            lines = content[: content.rfind(b"\n") + 1]  # the worker may be writing the next line
            self._read += len(lines)
            if lines:
                self._last_heard = time.monotonic()
            for line in lines.decode("utf-8", "replace").splitlines():
                try:
                    self._handle(decode(line))
                except ProtocolError as error:
                    self._final = Failure("other", str(error))
        if time.monotonic() - self._last_heard > SILENCE:
            self._last_heard = float("inf")  # one notice is enough
            self._pending.append(
                Notice(
                    f"The worker has not answered for {SILENCE:.0f} s; memory may be short: wait, or cancel and close "
                    "other programs."
                )
            )

    def _handle(self, message: Message) -> None:
        if isinstance(message, Heartbeat):
            self._memory_free = message.memory_free
        elif isinstance(message, Result | Failure):
            self._final = self._final or message
        elif isinstance(message, Hello) and message.version != __version__:
            self._final = Failure(
                "other", f"The worker is TeethSeg {message.version}, but this is {__version__}: restart the program."
            )
        else:
            self._pending.append(message)

    def _finish(self, status: int | None) -> None:
        """Set the final state after the worker has ended or sent its last message."""
        self._details = self._errors()
        final = self._final
        if final is None or (isinstance(final, Result) and status):
            if self._memory_free is not None:
                self._details += f"\nMemory free at its last heartbeat: {self._memory_free / 2**30:.1f} GiB\n"
            final = failure_of_exit(status or 0, self._details, str(self._folder.parent))
        self.state = "done" if isinstance(final, Result) else "failed"
        self._pending.append(final)
        if self.state == "failed":
            self._end()

    def _errors(self) -> str:
        with suppress(OSError), (self._folder / ERRORS).open("rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - LONGEST_DETAILS, 0))
            return file.read().decode("utf-8", "replace")
        return self._details


class Run(Process):
    """A worker that segments a scan; see `Process`.

    Parameters
    ----------
    job : Job
    python : path
    """

    def __init__(self, job: Job, python: str | Path = sys.executable):
        self._volume = job.volume
        super().__init__(lambda folder: _write_job(job, folder), "teethseg.worker", python)

    def result(self) -> Outcome:
        """The result, once `state` is "done" and until the run is closed.

        Raises
        ------
        TeethSegError
            If there is no result, or its files are damaged.
        """
        if self.state != "done" or not self._end.alive:
            raise TeethSegError("The run has no result: wait until it is done, and take it before it is closed.")
        try:
            found = from_json((self._folder / RESULT).read_text(encoding="utf-8"), JobResult)
            labels = self._volume.with_array(np.load(self._folder / LABELS, allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise TeethSegError(f"The result of the worker cannot be read ({error}): run it again.") from error
        maps = self._folder / MAPS
        return Outcome(
            Dentition(labels, found.teeth, found.warnings),
            found.seconds,
            found.device,
            found.weights,
            maps if maps.exists() else None,
            found.sha256,
            found.peak_memory_mb,
        )


def _private_folder() -> Path:
    try:
        return new_temporary_folder()
    except OSError as error:
        raise TeethSegError(
            f"No temporary folder can be made ({error.strerror}): set the variable TMPDIR (Windows: TEMP) to a folder "
            "that you may write to."
        ) from error


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(Path(path).absolute())


def _write_job(job: Job, folder: Path) -> Iterator[None]:
    # Plain arrays and JSON keep the geometry to the last bit, unlike NRRD, so the result is the same as in one process.
    choice = choose_weights(job.volume, job.dentition, job.weights)
    volume = choice.scan
    request = JobRequest(
        version=__version__,
        caller=os.getpid(),
        device=job.device,
        weights=_absolute(choice.file),
        spacing=volume.spacing,
        origin=volume.origin,
        direction=tuple(volume.direction.ravel().tolist()),
        warnings=volume.warnings,
        padding=volume.padding,
        mixed_weights=_absolute(choice.if_mixed),
        patient_age=None if volume.patient_age is None else float(volume.patient_age),
    )
    (folder / REQUEST).write_text(to_json(request), encoding="utf-8")
    yield from array_written(folder / SCAN, volume.array)


def array_written(file: Path, array: np.ndarray) -> Iterator[None]:
    """Write an array as `numpy.save` does, piece by piece, so that no window is blocked; yields before each further piece."""
    planes = max(1, PIECE // max(array[:1].nbytes, 1))
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    with file.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for first in range(0, len(array), planes):
            if first:
                yield
            np.ascontiguousarray(array[first : first + planes]).tofile(stream)


def _start(command: tuple[str, ...], folder: Path) -> subprocess.Popen:
    try:
        with (folder / ERRORS).open("wb") as errors:
            return start_process_group(list(command), errors, errors)
    except OSError as error:
        raise TeethSegError(
            f"{command[0]} cannot be started ({error.strerror or error}): name the Python that TeethSeg runs in."
        ) from error


def _end(started: list[subprocess.Popen], folder: Path) -> None:
    """End a worker with all its child processes, also orphaned ones, and remove its folder."""
    for process in started:
        end_process_group(process)
    _remove(folder)


def _remove(folder: Path) -> None:
    # Windows locks open files for a moment after their process has ended.
    end = time.monotonic() + EXIT_TIMEOUT
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > end:
            return
        if folder.exists():
            time.sleep(0.02)
