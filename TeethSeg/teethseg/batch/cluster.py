"""Many scans on a cluster: a Dask scheduler shares them out among its workers, and again when a worker dies."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

from ..errors import TeethSegError
from .work import Outcome, Task, segment_one

_PATIENCE = 20  # seconds for the scheduler to answer


def cluster_outcomes(tasks: Sequence[Task], address: str) -> Iterator[Outcome]:
    """Outcomes as they come; the folders of scans and results must have the same path on all computers.

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
        client = Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        raise TeethSegError(
            f"No Dask scheduler answers at {address}: start one with 'dask scheduler', and workers with 'dask worker "
            f"{address}'."
        ) from error
    with client:
        run = secrets.token_hex(4)  # an outcome that the scheduler remembers of another run is none of this one
        named = {
            client.submit(segment_one, task, key=f"teethseg-{run}-{task.scan.name}", pure=False): task for task in tasks
        }
        for future in as_completed(named):
            task = named.pop(future)
            if future.cancelled():
                raise TeethSegError(f"The Dask scheduler at {address} went away: start it, and this command, again.")
            error = future.exception()
            if error is None:
                yield future.result()
            else:
                yield Outcome(
                    task.scan.name,
                    "failed",
                    f"Workers died of it or cannot run it ({type(error).__name__}): see their logs.",
                )
