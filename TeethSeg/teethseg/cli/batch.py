"""`teethseg batch`: folders of scans in, numbered teeth of each out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError, TeethSegError, UsageError, WeightsError
from .options import DeviceChoice, NetworksChoice, NotationChoice, WeightsPath
from .progress import Steps

_OFTEN = 20.0  # seconds between two writings of the table and the page


def batch(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            help="Folder with scans, in any sub-folders: files, zips, DICOM of many patients and studies.",
        ),
    ],
    output: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder for results: one for each scan, batch.csv, index.html.")
    ],
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", min=1, help="Processes at a time; as many as cores and memory allow unless given."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler", metavar="ADDRESS", help="A Dask scheduler (tcp://HOST:8786) whose workers do the work."
        ),
    ] = None,
    stl: Annotated[bool, typer.Option("--stl", help="Also write one STL file per tooth.")] = False,
    notation: NotationChoice = "fdi",
    device: DeviceChoice = "auto",
    weights: WeightsPath = None,
    dentition: NetworksChoice = "auto",
) -> None:
    """Segment every scan of a folder; the same command again does what is left.

    Of a DICOM study the likeliest series is taken, which the table names. A scan that fails is named and the others go on;
    then the status at the end is 1.
    """
    from ..batch.pool import pool_outcomes, usual_jobs
    from ..batch.scans import find_scans
    from ..batch.summary import write_summary
    from ..batch.work import Outcome, Settings, Task, is_done
    from ..cascade.model_card import check_card, shipped
    from ..cascade.network_choice import NOT_INSTALLED

    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name the one that holds the scans.")
    if scheduler is not None and jobs is not None:
        raise UsageError("--jobs is for this computer; a cluster has as many as it has workers: leave one of both out.")
    card, mixed = check_card(weights), shipped("mixed")
    if dentition == "mixed" and weights is None and mixed is None:
        raise WeightsError(NOT_INSTALLED)
    mixed_sha256 = check_card(mixed).sha256 if mixed is not None and weights is None else ""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TeethSegError(
            f"{output} cannot be made ({error.strerror}): choose another folder for results."
        ) from error
    with Steps() as steps:
        with steps.timed("look for scans"):
            found = find_scans(folder, output)
        if not found.scans:
            raise InputError(f"No scan in {folder}: name the folder that holds them.")
        if found.labels:
            steps.tell(
                f"Passed over, as their names are those of labels: {len(found.labels)} files ({found.labels[0]} ...)."
            )
        jobs = min(jobs or usual_jobs(device), len(found.scans))
        threads = None if scheduler else max(1, usual_jobs("cpu") // jobs)
        own = None if weights is None else str(weights.resolve())
        settings = Settings(device, own, card.sha256, mixed_sha256, dentition, notation, stl, threads)
        tasks = [Task(scan, output.resolve(), settings) for scan in found.scans]
        outcomes = {task.scan.name: Outcome(task.scan.name, "kept") for task in tasks if is_done(task)}
        left = [task for task in tasks if task.scan.name not in outcomes]
        if outcomes:
            steps.tell(f"{len(outcomes)} of {len(tasks)} scans are done from before.")
        if scheduler is None:
            coming = pool_outcomes(left, jobs)
        else:
            from ..batch.cluster import cluster_outcomes

            coming = cluster_outcomes(left, scheduler)
        steps.show("segment", len(outcomes), len(tasks))
        written = time.monotonic()
        try:
            for outcome in coming:
                outcomes[outcome.name] = outcome
                steps.show("segment", len(outcomes), len(tasks))
                steps.tell(f"{outcome.name}: {outcome.error or 'done'}")
                if time.monotonic() > written + _OFTEN:
                    write_summary(output, found.scans, outcomes)
                    written = time.monotonic()
        finally:
            rows = write_summary(output, found.scans, outcomes)
        failed = sum(row.status == "failed" for row in rows)
        steps.tell(f"Written: {output / 'index.html'}, {output / 'batch.csv'}")
        if failed:
            raise TeethSegError(f"{failed} of {len(rows)} scans failed: {output / 'batch.csv'} says why.")
