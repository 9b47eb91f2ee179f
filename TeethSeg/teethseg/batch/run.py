"""Runs a batch: finds the scans, segments those without a result, and keeps table and page up to date."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..anatomy import Notation
from ..cascade.network_choice import DentitionChoice
from ..errors import InputError, TeethSegError, WeightsError

SUMMARY_INTERVAL = 20.0  # seconds between two updates of the table and the page


@dataclass(frozen=True)
class BatchOptions:
    """Options of a batch.

    Attributes
    ----------
    folder, output : Path
        Folder of the scans, and folder for results: one for each scan, `batch.csv` and `index.html`.
    weights : Path, optional
        A weights file; those that ship with TeethSeg unless given.
    dentition : {'auto', 'permanent', 'mixed'}
        Choice among the weights that ship; see `cascade.network_choice`.
    surfaces : bool
        Also write one STL file per tooth.
    jobs : int, optional
        Number of processes; as many as cores and memory allow unless given.
    spare : int
        Number of these processes to leave out, for a user who goes on working; at least one remains.
    """

    folder: Path
    output: Path
    device: str = "auto"
    weights: Path | None = None
    dentition: DentitionChoice = "auto"
    notation: Notation = "fdi"
    surfaces: bool = False
    jobs: int | None = None
    spare: int = 0


@dataclass(frozen=True)
class BatchResult:
    """Numbers of all scans, of failed ones, of those done before, and of those left as a user corrected them.

    `index` is the page.
    """

    index: Path
    scans: int
    failed: int
    kept: int
    corrected: int


def run_batch(
    options: BatchOptions,
    show: Callable[[str, int, int], None],
    tell: Callable[[str], None],
    execute: Callable[[list], Iterator] | None = None,
) -> BatchResult:
    """Segment every scan of a folder; with the same options again, the remaining ones.

    Parameters
    ----------
    options : BatchOptions
    show : callable
        Called with the name of a step, the number of finished parts and the number of all parts.
    tell : callable
        Called with a line for the user.
    execute : callable, optional
        Returns the outcomes of tasks in the order of completion; unless given, processes of this computer run them.

    Raises
    ------
    TeethSegError
        If there is no scan, or nothing can be written. A scan that fails is a row of the table.
    """
    from ..cascade.model_card import check_card, shipped
    from ..cascade.network_choice import NOT_INSTALLED
    from .pool import pool_outcomes, usual_jobs
    from .scans import find_scans
    from .summary import CSV, INDEX, write_summary
    from .work import ScanOutcome, Settings, Task, is_done

    folder, output = options.folder, options.output
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name the one that holds the scans.")
    card, mixed = check_card(options.weights), shipped("mixed") if options.weights is None else None
    if options.dentition == "mixed" and options.weights is None and mixed is None:
        raise WeightsError(NOT_INSTALLED)
    mixed_sha256 = check_card(mixed).sha256 if mixed is not None else ""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TeethSegError(
            f"{output} cannot be made ({error.strerror}): choose another folder for results."
        ) from error
    show("look for scans", 0, 1)
    listing = find_scans(folder, output)
    show("look for scans", 1, 1)
    if not listing.scans:
        raise InputError(f"No scan in {folder}: name the folder that holds them.")
    if listing.labels:
        tell(f"Passed over, as their names are those of labels: {len(listing.labels)} files ({listing.labels[0]} ...).")
    jobs = min(options.jobs or max(1, usual_jobs(options.device) - options.spare), len(listing.scans))
    threads = None if execute else max(1, usual_jobs("cpu") // jobs)
    weights = None if options.weights is None else str(options.weights.resolve())
    settings = Settings(
        options.device,
        weights,
        card.sha256,
        mixed_sha256,
        options.dentition,
        options.notation,
        options.surfaces,
        threads,
    )
    tasks = [Task(scan, output.resolve(), settings) for scan in listing.scans]
    outcomes = {task.scan.name: ScanOutcome(task.scan.name, "kept") for task in tasks if is_done(task)}
    remaining = [task for task in tasks if task.scan.name not in outcomes]
    kept = len(outcomes)
    if kept:
        tell(f"{kept} of {len(tasks)} scans are done from before.")
    execute = execute or functools.partial(pool_outcomes, jobs=jobs)
    show("segment", kept, len(tasks))
    rows, written = write_summary(output, listing.scans, outcomes), time.monotonic()
    try:
        for outcome in execute(remaining):
            outcomes[outcome.name] = outcome
            show("segment", len(outcomes), len(tasks))
            tell(f"{outcome.name}: {outcome.reason or 'done'}")
            if time.monotonic() > written + SUMMARY_INTERVAL:
                write_summary(output, listing.scans, outcomes)
                written = time.monotonic()
    finally:
        rows = write_summary(output, listing.scans, outcomes)
    failed, corrected = (sum(row.status == status for row in rows) for status in ("failed", "corrected"))
    if corrected:
        tell(
            f"{corrected} of {len(rows)} scans are left as corrected: their teeth are those of another version or other "
            "options. Move their folders away to segment them again."
        )
    tell(f"Written: {output / INDEX}, {output / CSV}")
    return BatchResult(output / INDEX, len(rows), failed, kept, corrected)
