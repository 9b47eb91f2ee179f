"""What an annotator is doing: the worklist of a scan, kept with its segmentation."""

from __future__ import annotations

from collections.abc import Iterable

from ..anatomy import PERMANENT
from ..annotation.worklist import Worklist
from ..application.i18n import _
from ..errors import InputError

WORKLIST = "TeethSeg.worklist"  # attribute of the segmentation node


def worklist_of(teeth, states: dict[int, str], missing: Iterable[int]) -> Worklist:
    """The worklist of a segmentation: the one that it carries, or a new one in which finished teeth are finished.

    Parameters
    ----------
    teeth : vtkMRMLSegmentationNode
    states : dict of int to str
        State of the teeth there are, by FDI number.
    missing : iterable of int
        Teeth that the patient does not have.
    """
    try:
        worklist = Worklist.from_json(teeth.GetAttribute(WORKLIST) or "")
    except InputError:
        worklist = Worklist(fdi for fdi in PERMANENT if fdi not in set(missing))
    for fdi, state in states.items():
        worklist.add(fdi)
        if state in ("completed", "flagged"):
            worklist.set_state(fdi, state)
    return worklist


def clock_text(seconds: float) -> str:
    """'2:05'."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def summary(worklist: Worklist) -> str:
    """How far the work is and how long a tooth takes, in one line."""
    counts = worklist.counts()
    finished = counts["completed"] + counts["flagged"]
    text = _("{done} of {all} done").format(done=finished, all=len(worklist.teeth))
    if counts["flagged"]:
        text += " · " + _("{count} flagged").format(count=counts["flagged"])
    times = [worklist.seconds(fdi) for fdi in worklist.teeth if worklist.state(fdi) in ("completed", "flagged")]
    if times:
        text += " · " + _("{time} a tooth").format(time=clock_text(sum(times) / len(times)))
    return text


def next_case_name(names: Iterable[str]) -> str:
    """The first of case_001, case_002 ... that is not among the names."""
    taken = set(names)
    return next(name for n in range(1, 10**6) if (name := f"case_{n:03d}") not in taken)
