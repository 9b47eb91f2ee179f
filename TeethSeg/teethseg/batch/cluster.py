"""Segments many scans on a cluster: a Dask scheduler distributes them to its workers, and again when a worker dies."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

from ..errors import TeethSegError
from .work import ScanOutcome, Task, segment_one

_TIMEOUT = 20  # seconds for the scheduler to answer


def cluster_outcomes(tasks: Sequence[Task], address: str) -> Iterator[ScanOutcome]:
    """Outcomes in the order of completion; the folders of scans and results must have the same path on all computers.

    Raises
    ------
    TeethSegError
        If Dask is not installed, or the scheduler does not answer or goes away.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise TeethSegError(
            "A cluster needs Dask, which is not installed: run pip install 'teethseg[batch]'."
        ) from error
    try:
        client = Client(address, timeout=_TIMEOUT)
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        raise TeethSegError(
            f"No Dask scheduler answers at {address}: start one with 'dask scheduler', and workers with 'dask worker "
            f"{address}'."
        ) from error
    with client:
        run = secrets.token_hex(4)  # unique keys, so that the scheduler does not reuse outcomes of another run
        running = {
            client.submit(segment_one, task, key=f"teethseg-{run}-{task.scan.name}", pure=False): task for task in tasks
        }
        for future in as_completed(running):
            task = running.pop(future)
            if future.cancelled():
                raise TeethSegError(f"The Dask scheduler at {address} went away: start it, and this command, again.")
            failure = future.exception()
            if failure is None:
                yield future.result()
            else:
                yield ScanOutcome(
                    task.scan.name,
                    "failed",
                    f"Workers died of it or cannot run it ({type(failure).__name__}): see their logs.",
                )
