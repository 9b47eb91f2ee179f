"""A user who never pauses, in a process to be killed: one change a second by the clock of the autosave.

Every third change is a voxel, a mark as done, a mark as missing; each is printed on standard output once it is made.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from browser_cases import ball_case
from slicer_scene import SlicerScene
from teethseg.application.autosave import Autosave
from teethseg.application.case import Case
from teethseg.application.source import Source
from teethseg.cascade.dentition import Dentition
from teethseg.correction.edit import Edit
from teethseg.mrml.teeth import write_teeth
from teethseg.mrml.volumes import node_of

TEETH = (16, 11, 26, 36, 41)
ABSENT = (18, 28, 38, 48)


def edited(n: int):
    """The change that puts voxel number n of a row to tooth 16."""
    return lambda labels, scan: Edit((slice(0, 1), slice(0, 1), slice(n, n + 1)), np.full((1, 1, 1), 16, np.uint8))


def main(root: Path) -> None:
    seconds = 0.0
    scan, labels = ball_case()
    scene = SlicerScene().scene
    case = Case(scene)
    volume = node_of(scene, scan, "balls")
    autosave = Autosave(case, root, lambda: Source("balls", Path("balls.nrrd")), clock=lambda: seconds)
    case.show(volume, write_teeth(scene, Dentition(labels), volume))
    for n in range(10_000):
        if n % 3 == 0:
            case.edit(edited(n // 3 % labels.array.shape[2]), "voxel")
        elif n % 3 == 1:
            case.set_state(TEETH[n // 3 % len(TEETH)], "completed")
        else:
            case.set_missing(ABSENT[n // 3 % len(ABSENT)], True)
        print(n, flush=True)
        seconds += 1.0
        autosave.tick()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
