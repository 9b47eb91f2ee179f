"""The caller's side: start the worker, listen to it without waiting, take its result, or end it.

Nothing here blocks for longer than it takes to write a piece of a scan to disk, and there are no threads: a timer calls
`Run.poll`.
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
from .failure_messages import cause_of_death, disk_full, is_disk_full
from .files import ERRORS, LABELS, MAPS, MESSAGES, ORDER, RESULT, SCAN
from .processes import PATIENCE, end_family, start_family
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

SILENCE = 60.0  # seconds without a heartbeat after which the user is told
LONGEST_DETAILS = 1 << 18  # bytes
PIECE = 64 << 20  # bytes that are handed over at a time

ProcessState = Literal["running", "done", "failed", "cancelled"]
P = TypeVar("P", bound="Process")


@dataclass(frozen=True)
class Job:
    """A scan to segment, with weights and device.

    Attributes
    ----------
    volume : Volume
        The scan; the worker checks whether it is fit.
    device : {"auto", "cpu", "cuda", "mps"}
    weights : Path, optional
        The `.safetensors` file; without it the weights that ship with TeethSeg.
    dentition : {"auto", "permanent", "mixed"}
        Which of those that ship; see `cascade.network_choice`.
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
        For `ToothMaps.load`, there until the run is closed; None if no tooth was found.
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
    """A process at work on what lies in its private folder, from its start to `close`; leaving the `with` block closes it too.

    Parameters
    ----------
    hand_over : callable
        Writes what is to be done into the folder, `ORDER` among it, and gives steps to be gone through: the first ones at
        once, one more with each `poll`, until it is all written and the process starts.
    module : str
        Module to run, with the folder as its argument; it sends messages by `job.MessageWriter`.
    python : path
        The interpreter to run; `PythonSlicer` inside 3D Slicer.

    Raises
    ------
    TeethSegError
        If the job cannot be handed over (folder not writable, disk full) or the interpreter cannot be started.
    """

    def __init__(self, hand_over: Callable[[Path], Iterator[None]], module: str, python: str | Path = sys.executable):
        self.state: ProcessState = "running"
        self._folder = _private_folder()
        self._steps, self._command = hand_over(self._folder), (str(python), "-m", module, str(self._folder))
        self._started: list[subprocess.Popen] = []  # the process, once it has all that it needs
        # Also when this object is forgotten, or the caller's Python ends.
        self._end = weakref.finalize(self, _end, self._started, self._folder)
        try:
            self._go_on()
        except BaseException:
            self._end()
            raise
        self._heard = time.monotonic()
        self._read = 0  # bytes of the message file
        self._verdict: Result | Failure | None = None
        self._memory_free: int | None = None
        self._details = ""
        self._pending: list[Message] = []

    @property
    def started(self) -> bool:
        """Whether all is handed over, and the process runs."""
        return bool(self._started)

    @property
    def pid(self) -> int:
        """Number of the worker's process, once it has started."""
        return self._started[0].pid

    @property
    def folder(self) -> Path:
        """Where caller and worker exchange files; gone once the run is closed."""
        return self._folder

    def __enter__(self: P) -> P:  # noqa: PYI019 - Python 3.10 has no Self
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def poll(self) -> list[Message]:
        """The worker's messages since the last call, in order; returns at once.

        The last message of a run is a `Result` or a `Failure`; `state` tells the same.
        """
        if self.state == "running" and not self._started:
            try:
                self._go_on()
            except TeethSegError as error:
                self._verdict = Failure("other", str(error))
                self._conclude(None)
        if self.state == "running" and self._started:
            status = self._started[0].poll()  # asked before reading, so that its last words are heard
            self._listen()
            if isinstance(self._verdict, Failure) or status is not None:
                self._conclude(status)
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
        """Hand over a bit more; start once that is done."""
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

    def _listen(self) -> None:
        with suppress(FileNotFoundError), (self._folder / MESSAGES).open("rb") as file:
            file.seek(self._read)
            gained = file.read()
            lines = gained[: gained.rfind(b"\n") + 1]  # the worker may be in the midst of another one
            self._read += len(lines)
            if lines:
                self._heard = time.monotonic()
            for line in lines.decode("utf-8", "replace").splitlines():
                try:
                    self._take(decode(line))
                except ProtocolError as error:
                    self._verdict = Failure("other", str(error))
        if time.monotonic() - self._heard > SILENCE:
            self._heard = float("inf")  # said once
            self._pending.append(
                Notice(
                    f"The worker has not answered for {SILENCE:.0f} s; memory may be short: wait, or cancel and close "
                    "other programs."
                )
            )

    def _take(self, message: Message) -> None:
        if isinstance(message, Heartbeat):
            self._memory_free = message.memory_free
        elif isinstance(message, Result | Failure):
            self._verdict = self._verdict or message
        elif isinstance(message, Hello) and message.version != __version__:
            self._verdict = Failure(
                "other", f"The worker is TeethSeg {message.version}, but this is {__version__}: restart the program."
            )
        else:
            self._pending.append(message)

    def _conclude(self, status: int | None) -> None:
        """The worker has ended, or has said something after which it has to."""
        self._details = self._errors()
        verdict = self._verdict
        if verdict is None or (isinstance(verdict, Result) and status):
            told = self._details
            if self._memory_free is not None:
                told += f"\nMemory free at its last heartbeat: {self._memory_free / 2**30:.1f} GiB\n"
            verdict = cause_of_death(status, told, str(self._folder.parent))
            self._details = told
        self.state = "done" if isinstance(verdict, Result) else "failed"
        self._pending.append(verdict)
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


def _write_job(job: Job, folder: Path) -> Iterator[None]:
    # Not NRRD: as plain numbers and JSON the geometry arrives to the last bit, so the result is the same as in process.
    weights, volume = choose_weights(job.volume, job.dentition, job.weights)
    order = JobRequest(
        version=__version__,
        caller=os.getpid(),
        device=job.device,
        weights=str(Path(weights).absolute()) if weights is not None else None,
        spacing=volume.spacing,
        origin=volume.origin,
        direction=tuple(volume.direction.ravel().tolist()),
        warnings=volume.warnings,
        padding=volume.padding,
    )
    (folder / ORDER).write_text(to_json(order), encoding="utf-8")
    yield from array_written(folder / SCAN, volume.array)


def array_written(file: Path, array: np.ndarray) -> Iterator[None]:
    """Write an array as `numpy.save` does, with a step before each further piece, so that no window waits for all of it."""
    planes = max(1, PIECE // max(array[:1].nbytes, 1))
    about = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    with file.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, about)
        for first in range(0, len(array), planes):
            if first:
                yield
            np.ascontiguousarray(array[first : first + planes]).tofile(stream)


def _start(command: tuple[str, ...], folder: Path) -> subprocess.Popen:
    try:
        with (folder / ERRORS).open("wb") as errors:
            return start_family(list(command), errors, errors)
    except OSError as error:
        raise TeethSegError(
            f"{command[0]} cannot be started ({error.strerror or error}): name the Python that TeethSeg runs in."
        ) from error


def _end(started: list[subprocess.Popen], folder: Path) -> None:
    """End a worker with all its processes, those that it left behind included, and remove its folder."""
    for process in started:
        end_family(process)
    _remove(folder)


def _remove(folder: Path) -> None:
    # Windows keeps files for a moment after the end of the process that had them open.
    end = time.monotonic() + PATIENCE
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > end:
            return
        if folder.exists():
            time.sleep(0.02)
