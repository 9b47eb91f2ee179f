"""Segments many scans on one computer: a few processes, each of which loads the networks once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from .work import ScanOutcome, Task, segment_one

_MEMORY = 2.5e9  # bytes that a process needs for a scan of usual size
DIED = "The process that segmented it ended twice (killed, or out of memory): crop the scan, or take fewer --jobs."


def usual_jobs(device: str) -> int:
    """Number of processes that cores and memory allow; two with a graphics card, so that one reads while the other computes."""
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = max(1, int(psutil.virtual_memory().available // _MEMORY))
    return min(cores if device == "cpu" else 2, most)


def pool_outcomes(tasks: Sequence[Task], jobs: int) -> Iterator[ScanOutcome]:
    """Outcomes in the order of completion.

    The scans in work when a process dies are segmented again, one at a time, so that only the scan at fault fails.
    """
    waiting = deque(tasks)
    suspects: deque[Task] = deque()
    while waiting or suspects:
        is_retry = not waiting
        queue, width = (deque([suspects.popleft()]), 1) if is_retry else (waiting, jobs)
        for task, outcome in _until_a_process_dies(queue, width):
            if outcome is not None:
                yield outcome
            elif is_retry:
                yield ScanOutcome(task.scan.name, "failed", DIED)
            else:
                suspects.append(task)


def _until_a_process_dies(queue: deque[Task], jobs: int) -> Iterator[tuple[Task, ScanOutcome | None]]:
    """Tasks of a queue with their outcomes; None for the tasks in work when a process died, which ends the iteration."""
    executor = ProcessPoolExecutor(min(jobs, len(queue)), get_context("spawn"), _begin, (os.getpid(),))
    running: dict[Future, Task] = {}
    try:
        while queue or running:
            while queue and len(running) < jobs:  # no more than are worked on, so that waiting tasks are no suspects
                task = queue.popleft()
                running[executor.submit(segment_one, task)] = task
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                yield task, future.result()
    except BrokenProcessPool:
        if task not in running.values():
            yield task, None
        for future, other in running.items():
            whole = future.done() and not future.cancelled() and future.exception() is None
            yield other, future.result() if whole else None
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _begin(caller: int) -> None:
    """Initialise a new process: Ctrl-C ends it silently, and it ends with its caller."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    import psutil

    try:
        process = psutil.Process(caller)
    except psutil.NoSuchProcess:
        os._exit(1)

    def watch() -> None:
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
