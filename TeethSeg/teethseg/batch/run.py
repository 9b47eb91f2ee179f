"""A whole batch: scans are looked for, what is left is done, and table and page are kept up to date."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..anatomy import Notation
from ..cascade.network_choice import DentitionChoice
from ..errors import InputError, TeethSegError, WeightsError

OFTEN = 20.0  # seconds between two writings of the table and the page


@dataclass(frozen=True)
class BatchOrder:
    """What a user asks for.

    Attributes
    ----------
    folder, output : Path
        Where the scans are, and where results go: a folder for each scan, `batch.csv` and `index.html`.
    weights : Path, optional
        A weights file; those that ship with TeethSeg unless given.
    dentition : {'auto', 'permanent', 'mixed'}
        Which of the weights that ship; see `cascade.network_choice`.
    surfaces : bool
        Also write one STL file per tooth.
    jobs : int, optional
        Processes at a time; as many as cores and memory allow unless given.
    spare : int
        Processes fewer than that, for whoever goes on working; one is left in any case.
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
    """How many scans there are, how many of them failed and how many were done before; `index` is the page."""

    index: Path
    scans: int
    failed: int
    kept: int


def run_batch(
    order: BatchOrder,
    show: Callable[[str, int, int], None],
    tell: Callable[[str], None],
    spread: Callable[[list], Iterator] | None = None,
) -> BatchResult:
    """Segment every scan of a folder; the same order again does what is left.

    Parameters
    ----------
    order : BatchOrder
    show : callable
        Called with a step and how many of its parts are done.
    tell : callable
        Called with a line for the user.
    spread : callable, optional
        Gives the outcomes of tasks as they come; by processes of this computer unless given.

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
    from .work import Outcome, Settings, Task, is_done

    folder, output = order.folder, order.output
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name the one that holds the scans.")
    card, mixed = check_card(order.weights), shipped("mixed") if order.weights is None else None
    if order.dentition == "mixed" and order.weights is None and mixed is None:
        raise WeightsError(NOT_INSTALLED)
    mixed_sha256 = check_card(mixed).sha256 if mixed is not None else ""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TeethSegError(
            f"{output} cannot be made ({error.strerror}): choose another folder for results."
        ) from error
    show("look for scans", 0, 1)
    found = find_scans(folder, output)
    show("look for scans", 1, 1)
    if not found.scans:
        raise InputError(f"No scan in {folder}: name the folder that holds them.")
    if found.labels:
        tell(f"Passed over, as their names are those of labels: {len(found.labels)} files ({found.labels[0]} ...).")
    jobs = min(order.jobs or max(1, usual_jobs(order.device) - order.spare), len(found.scans))
    threads = None if spread else max(1, usual_jobs("cpu") // jobs)
    weights = None if order.weights is None else str(order.weights.resolve())
    settings = Settings(
        order.device, weights, card.sha256, mixed_sha256, order.dentition, order.notation, order.surfaces, threads
    )
    tasks = [Task(scan, output.resolve(), settings) for scan in found.scans]
    outcomes = {task.scan.name: Outcome(task.scan.name, "kept") for task in tasks if is_done(task)}
    left = [task for task in tasks if task.scan.name not in outcomes]
    kept = len(outcomes)
    if kept:
        tell(f"{kept} of {len(tasks)} scans are done from before.")
    spread = spread or functools.partial(pool_outcomes, jobs=jobs)
    show("segment", kept, len(tasks))
    rows, written = write_summary(output, found.scans, outcomes), time.monotonic()
    try:
        for outcome in spread(left):
            outcomes[outcome.name] = outcome
            show("segment", len(outcomes), len(tasks))
            tell(f"{outcome.name}: {outcome.error or 'done'}")
            if time.monotonic() > written + OFTEN:
                write_summary(output, found.scans, outcomes)
                written = time.monotonic()
    finally:
        rows = write_summary(output, found.scans, outcomes)
    tell(f"Written: {output / INDEX}, {output / CSV}")
    return BatchResult(output / INDEX, len(rows), sum(row.status == "failed" for row in rows), kept)
