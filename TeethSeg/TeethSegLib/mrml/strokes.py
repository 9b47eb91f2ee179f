"""Brush strokes of Slicer's own tools, which change voxels without asking: found afterwards, so that they can be undone."""

from __future__ import annotations

import numpy as np
import slicer

from ..correction.edit import bounding_box
from . import content
from .history import Step, history_of
from .volumes import grid_of


class Strokes:
    """What a segmentation looked like before a stroke.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode
    volume_node : vtkMRMLScalarVolumeNode
        The scan that it is of.
    """

    def __init__(self, node: slicer.vtkMRMLSegmentationNode, volume_node: slicer.vtkMRMLScalarVolumeNode):
        self._node, self._grid = node, grid_of(volume_node, node)
        self._before: np.ndarray | None = None
        self._rows: content.Rows = {}
        self.forget()

    def forget(self) -> None:
        """Take the segmentation as it is now; after every change that was not a stroke."""
        self._before = content.read(self._node, self._grid)
        self._rows = content.rows(self._node.GetSegmentation())

    def record(self) -> tuple[int, ...]:
        """Make what was painted since a step of the history that `teeth.undo` takes back.

        Returns
        -------
        tuple of int
            FDI numbers of the touched teeth, ascending; empty if nothing changed.
        """
        now = content.read(self._node, self._grid)
        differs = now != self._before
        box = bounding_box(differs)
        if box is None:
            return ()
        before, after = self._before[box].copy(), now[box].copy()
        touched = sorted({*np.unique(before[differs[box]]).tolist(), *np.unique(after[differs[box]]).tolist()} - {0})
        rows = content.rows(self._node.GetSegmentation())
        old, new = ({fdi: known.get(fdi) for fdi in touched} for known in (self._rows, rows))
        history_of(self._node).add(Step(self._grid, box, before, after, old, new))
        self._before, self._rows = now, rows
        return tuple(touched)
