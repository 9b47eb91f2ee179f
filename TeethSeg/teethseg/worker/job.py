"""The worker's side: takes the job from its folder, runs the cascade, and reports its progress.

It lives no longer than its caller: when that has died, it removes the folder and ends.
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
from .eta import Forecast
from .failure_messages import failure_of
from .files import LABELS, MAPS, MESSAGES, ORDER, RESULT, SCAN
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
    """Says messages to the caller; from any thread."""

    def __init__(self, file: BinaryIO):
        self._file = file  # unbuffered
        self._lock = threading.Lock()
        self._forecast = Forecast()
        self._progress: Progress | None = None
        self._noticed: set[str] = set()

    def say(self, message: Message) -> None:
        """Write one message, whole."""
        with self._lock:
            self._file.write(encode(message).encode("utf-8"))

    def stage(self, name: str) -> None:
        """Tell that a stage begins."""
        self._progress = None
        self.say(Stage(name))

    def progress(self, stage: str, done: int, total: int) -> None:
        """Say how far a step of the cascade is; a new name begins a new step."""
        now = time.monotonic()
        if self._progress is None or self._progress.stage != stage:
            self.stage(stage)
        self._forecast.tell(stage, done, total, now)
        self._progress = Progress(stage, done, total, self._forecast.seconds_left(now))
        self.say(self._progress)

    def notice(self, text: str) -> None:
        """Warn the user, once."""
        if text not in self._noticed:
            self._noticed.add(text)
            self.say(Notice(text))

    def pulse(self, memory_free: int) -> None:
        """Say that the worker is alive, and how long it still takes."""
        self.say(Heartbeat(memory_free))
        progress, left = self._progress, self._forecast.seconds_left(time.monotonic())
        if progress is not None and left is not None:
            self.say(replace(progress, seconds_left=left))


def main(folder: Path, work: Callable[[Path, MessageWriter], None] | None = None) -> None:
    """Do the job in a folder and end the process; never returns. It is a segmentation, unless other `work` is given."""
    faulthandler.enable()
    with (folder / MESSAGES).open("ab", buffering=0) as file:
        voice = MessageWriter(file)
        try:
            (work or _work)(folder, voice)
            voice.say(Result())
            status = 0
        except BaseException as error:
            failure = failure_of(error, str(folder.parent))
            status = EXIT_CODES[failure.code]
            with suppress(OSError):
                traceback.print_exc()
            with suppress(OSError):
                voice.say(failure)
    # All is written, and the ends of GPU libraries may hang or crash.
    os._exit(status)


def _work(folder: Path, voice: MessageWriter) -> None:
    order = from_json((folder / ORDER).read_text(encoding="utf-8"), JobRequest)
    live_with(order.caller, folder, voice)

    array = np.load(folder / SCAN, allow_pickle=False)
    direction = np.reshape(order.direction, (3, 3))
    volume = Volume(array, order.spacing, order.origin, direction, order.warnings, order.padding)
    volume = with_numbers(volume)
    volume = replace(volume, warnings=check_scan(volume))

    import torch  # takes seconds, and an unfit scan is known before

    from ..cascade.inference import fallbacks
    from ..cascade.pipeline import segment
    from ..cascade.weights import load_weights
    from ..report import peak_memory_mb

    _hear_notices(voice)
    voice.say(Hello(__version__, platform.python_version(), torch.__version__, next(fallbacks(order.device)).name))
    for warning in volume.warnings:
        voice.notice(warning)
    voice.stage("load networks")
    weights = load_weights(order.weights)
    found = segment(volume, weights, order.device, voice.progress, keep_maps=True)
    voice.stage("hand over")
    for warning in found.dentition.warnings:
        voice.notice(warning)
    np.save(folder / LABELS, found.dentition.labels.array, allow_pickle=False)
    if found.maps is not None:
        found.maps.save(folder / MAPS)
    record = JobResult(
        found.dentition.teeth,
        found.dentition.warnings,
        found.seconds,
        found.device,
        weights.name,
        weights.sha256,
        peak_memory_mb(),
    )
    (folder / RESULT).write_text(to_json(record), encoding="utf-8")


def _hear_notices(voice: MessageWriter) -> None:
    """Say at once what the fallbacks decide; in the result's warnings it comes when all is over."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            voice.notice(record.getMessage())

    log = logging.getLogger("teethseg.cascade.inference")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(Handler())


def live_with(caller: int, folder: Path, voice: MessageWriter) -> None:
    """Say once a second that the process is alive, and end with the one that it works for."""
    import psutil

    try:
        # A launcher between caller and worker may die alone.
        needed = [psutil.Process(caller), psutil.Process(os.getppid())]
    except psutil.NoSuchProcess:
        _abandon(folder)

    def lives(process: psutil.Process) -> bool:
        try:
            return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True

    def beat() -> None:
        while all(map(lives, needed)):
            try:
                voice.pulse(psutil.virtual_memory().available)
            except OSError:
                os._exit(EXIT_CODES["disk-full"])
            time.sleep(PULSE)
        _abandon(folder)

    threading.Thread(target=beat, daemon=True).start()


def _abandon(folder: Path) -> None:
    """Nobody waits for a result: leave nothing behind."""
    for output in (1, 2):  # Windows removes no open files
        os.close(output)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(EXIT_CODES["other"])
