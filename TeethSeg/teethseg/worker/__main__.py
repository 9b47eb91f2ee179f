"""`python -m teethseg.worker FOLDER`: the process that `client.Run` starts."""

import sys
from pathlib import Path

from .job import main

main(Path(sys.argv[1]))
