"""`teethseg batch`: folders of scans in, numbered teeth of each out."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from ..errors import TeethSegError, UsageError
from .options import DeviceChoice, NetworksChoice, NotationChoice, WeightsPath
from .progress import Steps


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
    """Segment every scan of a folder; the same command again does the remaining ones.

    Of a DICOM study the likeliest series is taken, which the table names. A scan that fails is named and the others go on;
    then the status at the end is 1.
    """
    from ..batch.run import BatchOptions, run_batch

    if scheduler is not None and jobs is not None:
        raise UsageError("--jobs is for this computer; a cluster has as many as it has workers: leave one of both out.")
    execute = None
    if scheduler is not None:
        from ..batch.cluster import cluster_outcomes

        execute = functools.partial(cluster_outcomes, address=scheduler)
    with Steps("Stopped. Scans that are done stay; the same command does the others.") as steps:
        options = BatchOptions(folder, output, device, weights, dentition, notation, stl, jobs)
        done = run_batch(options, steps.show, steps.tell, execute)
    if done.failed:
        table = output / "batch.csv"
        raise TeethSegError(f"{done.failed} of {done.scans} scans failed: {table} says why.")
