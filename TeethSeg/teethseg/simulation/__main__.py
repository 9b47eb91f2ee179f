"""`python -m teethseg.simulation OUT SEED`: one simulated case, without the packages of the command line.

Slicer runs it in a separate process for its sample data. OUT is a new folder, which appears when it is complete.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..errors import TeethSegError


def main(out: str, seed: str) -> None:
    """Write one simulated case into the folder `out`."""
    from .cases import simulate_case, write_case
    from .sources import shape_source

    # Users try this scan first: it should be quick to make and of good quality.
    case = simulate_case(int(seed), shape_source(), spacing=0.5, artefact_level=0.3)
    write_case(Path(out), case, f"simulated-{seed}", tissues=False)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except TeethSegError as error:
        sys.exit(str(error))
