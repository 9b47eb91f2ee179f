"""Undo and redo: one history of a segmentation, in the order in which things were done, each step with a name.

Slicer's vtkSegmentationHistory works without a window too, but it brings back all segments as they were, and knows no
marks. A step here holds the voxels, marks and attributes that it changed, and takes back only those.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import slicer

from ..boxes import Box
from ..volume import Volume

STEPS = 50  # kept
BYTES = 256 << 20  # of voxels, about

Rows = dict[int, "slicer.vtkSegment | None"]
Attributes = dict[str, "str | None"]


@dataclass(frozen=True)
class Patch:
    """Voxels of a step.

    Attributes
    ----------
    grid : Volume
        The grid of `box`, in the segmentation's own coordinates.
    box : (slice, slice, slice)
    before, after : ndarray of uint8
        FDI numbers in the box.
    """

    grid: Volume
    box: Box
    before: np.ndarray
    after: np.ndarray

    def inverse(self) -> Patch:
        """The patch that takes this one back."""
        return Patch(self.grid, self.box, self.after, self.before)

    def over(self, now: np.ndarray) -> np.ndarray:
        """The box after this step, where other voxels of it have changed since."""
        mine = (self.before != self.after) & (now == self.before)
        return np.where(mine, self.after, now)


@dataclass(frozen=True)
class Step:
    """One step: its name and its changes.

    Attributes
    ----------
    name : str
        For the user, e.g. '44 to 43'.
    patch : Patch or None
        None if no voxel changed.
    rows_before, rows_after : mapping of int to vtkSegment or None
        Name, colour and tags of each touched tooth (None: there was no such tooth).
    attributes_before, attributes_after : mapping of str to str or None
        Attributes of the segmentation node (None: it had none).
    """

    name: str
    patch: Patch | None
    rows_before: Rows
    rows_after: Rows
    attributes_before: Attributes = field(default_factory=dict)
    attributes_after: Attributes = field(default_factory=dict)

    def inverse(self) -> Step:
        """The step that takes this one back."""
        patch = None if self.patch is None else self.patch.inverse()
        return Step(self.name, patch, self.rows_after, self.rows_before, self.attributes_after, self.attributes_before)

    @property
    def size(self) -> int:
        """Bytes of its voxels."""
        return 0 if self.patch is None else self.patch.before.nbytes + self.patch.after.nbytes


@dataclass
class History:
    """The steps of one segmentation, the newest last."""

    done: list[Step] = field(default_factory=list)
    undone: list[Step] = field(default_factory=list)

    def add(self, step: Step) -> None:
        """A new step; the oldest ones are forgotten once there are too many or they hold too many voxels."""
        kept, room = [step], BYTES - step.size
        for older in reversed(self.done[-STEPS + 1 :]):
            room -= older.size
            if room < 0:
                break
            kept.append(older)
        self.done, self.undone = kept[::-1], []


def history_of(node: slicer.vtkMRMLSegmentationNode) -> History:
    """The history of a segmentation. It lives as long as the node does and is not saved."""
    if not hasattr(node, "teethseg_history"):
        node.teethseg_history = History()
    return node.teethseg_history
