"""Undo and redo of edits.

Slicer's vtkSegmentationHistory works without a window too, but it brings back all segments as they were: a brush stroke
made since would go with the edit. A step here knows which voxels it changed and takes back only those.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import slicer

from ..boxes import Box
from ..volume import Volume

STEPS = 20  # kept

Rows = dict[int, "slicer.vtkSegment | None"]


@dataclass(frozen=True)
class Step:
    """One edit.

    Attributes
    ----------
    grid : Volume
        The grid of `box`, in the segmentation's own coordinates.
    box : (slice, slice, slice)
    before, after : ndarray of uint8
        FDI numbers in the box.
    rows_before, rows_after : mapping of int to vtkSegment or None
        Name, colour and tags of each touched tooth (None: there was no such tooth).
    """

    grid: Volume
    box: Box
    before: np.ndarray
    after: np.ndarray
    rows_before: Rows
    rows_after: Rows

    def inverse(self) -> Step:
        return Step(self.grid, self.box, self.after, self.before, self.rows_after, self.rows_before)

    def over(self, now: np.ndarray) -> np.ndarray:
        """What the box holds after this step, where other voxels of it have changed since."""
        mine = (self.before != self.after) & (now == self.before)
        return np.where(mine, self.after, now)


@dataclass
class History:
    """The steps of one segmentation, the newest last."""

    done: list[Step] = field(default_factory=list)
    undone: list[Step] = field(default_factory=list)

    def add(self, step: Step) -> None:
        self.done = [*self.done, step][-STEPS:]
        self.undone = []


def history_of(node: slicer.vtkMRMLSegmentationNode) -> History:
    """The history of a segmentation. It lives as long as the node does and is not saved."""
    if not hasattr(node, "teethseg_history"):
        node.teethseg_history = History()
    return node.teethseg_history
