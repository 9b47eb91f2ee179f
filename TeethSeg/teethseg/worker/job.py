"""The worker's side: reads the request from its folder, runs the cascade, and reports its progress.

It does not outlive its caller: when the caller has died, it removes the folder and ends.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import platform
import shutil
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .. import __version__
from ..io.scan_checks import check_scan, with_numbers
from ..volume import Volume
from .eta import RemainingTime
from .failure_messages import failure_of
from .files import LABELS, MAPS, MESSAGES, REQUEST, RESULT, SCAN
from .protocol import (
    EXIT_CODES,
    Heartbeat,
    Hello,
    JobRequest,
    JobResult,
    Message,
    Notice,
    Progress,
    Result,
    Stage,
    encode,
    from_json,
    to_json,
)

PULSE = 1.0  # seconds between heartbeats


class MessageWriter:
    """Sends messages to the caller, from any thread."""

    def __init__(self, file: BinaryIO):
        self._file = file  # unbuffered
        self._lock = threading.Lock()
        self._remaining_time = RemainingTime()
        self._progress: Progress | None = None
        self._noticed: set[str] = set()

    def send(self, message: Message) -> None:
        """Write one message, whole."""
        with self._lock:
            self._file.write(encode(message).encode("utf-8"))

    def stage(self, name: str) -> None:
        """Report the start of a stage."""
        self._progress = None
        self.send(Stage(name))

    def progress(self, stage: str, done: int, total: int) -> None:
        """Report the progress of a stage; a new name begins a new stage."""
        now = time.monotonic()
        if self._progress is None or self._progress.stage != stage:
            self.stage(stage)
        self._remaining_time.update(stage, done, total, now)
        self._progress = Progress(stage, done, total, self._remaining_time.seconds_left(now))
        self.send(self._progress)

    def notice(self, text: str) -> None:
        """Warn the user, once."""
        if text not in self._noticed:
            self._noticed.add(text)
            self.send(Notice(text))

    def pulse(self, memory_free: int) -> None:
        """Send a heartbeat, and the remaining time."""
        self.send(Heartbeat(memory_free))
        progress, left = self._progress, self._remaining_time.seconds_left(time.monotonic())
        if progress is not None and left is not None:
            self.send(replace(progress, seconds_left=left))


def main(folder: Path, work: Callable[[Path, MessageWriter], None] | None = None) -> None:
    """Do the work for the request in a folder (a segmentation unless `work` is given) and end the process; never returns."""
    faulthandler.enable()
    with (folder / MESSAGES).open("ab", buffering=0) as file:
        writer = MessageWriter(file)
        try:
            (work or _segment)(folder, writer)
            writer.send(Result())
            status = 0
        except BaseException as error:
            failure = failure_of(error, str(folder.parent))
            status = EXIT_CODES[failure.code]
            with suppress(OSError):
                traceback.print_exc()
            with suppress(OSError):
                writer.send(failure)
    # All is written. A normal exit would unload GPU libraries, which may hang or crash.
    os._exit(status)


def _segment(folder: Path, writer: MessageWriter) -> None:
    request = from_json((folder / REQUEST).read_text(encoding="utf-8"), JobRequest)
    watch_caller(request.caller, folder, writer)

    array = np.load(folder / SCAN, allow_pickle=False)
    direction = np.reshape(request.direction, (3, 3))
    place = request.spacing, request.origin, direction
    volume = Volume(array, *place, request.warnings, request.padding, request.patient_age)
    volume = with_numbers(volume)
    volume = replace(volume, warnings=check_scan(volume))

    import torch  # takes seconds, so unfit scans are refused before

    from ..cascade.inference import fallbacks
    from ..cascade.network_choice import NetworkChoice
    from ..cascade.pipeline import segment_chosen
    from ..cascade.weights import load_weights
    from ..report import peak_memory_mb

    _forward_notices(writer)
    writer.send(Hello(__version__, platform.python_version(), torch.__version__, next(fallbacks(request.device)).name))
    for warning in volume.warnings:
        writer.notice(warning)
    writer.stage("load networks")
    weights = load_weights(request.weights)
    mixed = None if request.mixed_weights is None else Path(request.mixed_weights)
    choice = NetworkChoice(volume, if_mixed=mixed)
    result, weights = segment_chosen(choice, weights, request.device, writer.progress, keep_maps=True)
    writer.stage("hand over")
    for warning in result.dentition.warnings:
        writer.notice(warning)
    np.save(folder / LABELS, result.dentition.labels.array, allow_pickle=False)
    if result.maps is not None:
        result.maps.save(folder / MAPS)
    record = JobResult(
        result.dentition.teeth,
        result.dentition.warnings,
        result.seconds,
        result.device,
        weights.name,
        weights.sha256,
        peak_memory_mb(),
    )
    (folder / RESULT).write_text(to_json(record), encoding="utf-8")


def _forward_notices(writer: MessageWriter) -> None:
    """Forward the notes of `run_with_fallbacks` at once; the result's warnings repeat them only at the end."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            writer.notice(record.getMessage())

    log = logging.getLogger("teethseg.cascade.inference")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(Handler())


def watch_caller(caller: int, folder: Path, writer: MessageWriter) -> None:
    """Send a heartbeat every second, and end the process when its caller has ended."""
    import psutil

    try:
        # A launcher between caller and worker may end by itself.
        watched = [psutil.Process(caller), psutil.Process(os.getppid())]
    except psutil.NoSuchProcess:
        _abandon(folder)

    def is_alive(process: psutil.Process) -> bool:
        try:
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True

    def send_heartbeats() -> None:
        while all(map(is_alive, watched)):
            try:
                writer.pulse(psutil.virtual_memory().available)
            except OSError:
                os._exit(EXIT_CODES["disk-full"])
            time.sleep(PULSE)
        _abandon(folder)

    threading.Thread(target=send_heartbeats, daemon=True).start()


def _abandon(folder: Path) -> None:
    """Remove the folder and end the process, because the caller has ended."""
    for stream in (1, 2):  # Windows does not remove open files
        os.close(stream)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(EXIT_CODES["other"])
