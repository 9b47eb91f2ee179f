"""Changes of teeth by other tools, above all Slicer's Segment Editor, as steps of the one history.

The editor writes into the label maps and does not tell which voxels it changed. A snapshot of the teeth is compared with their
present state: the differences become a step, and voxels that were painted over protected teeth are given back to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import slicer

from ..boxes import Box, bounding_box, union
from ..volume import Volume
from . import content, layers
from .history import Patch, Rows, Step, history_of
from .segments import teeth_of
from .volumes import grid_of

Node: TypeAlias = slicer.vtkMRMLSegmentationNode
VolumeNode: TypeAlias = slicer.vtkMRMLScalarVolumeNode
_EMPTY: Box = (slice(0, 0),) * 3


@dataclass(frozen=True)
class Snapshot:
    """The teeth of a segmentation at one moment.

    Attributes
    ----------
    grid : Volume
        The scan's grid, in the segmentation's own coordinates.
    box : (slice, slice, slice)
        Of the grid, around all teeth.
    labels : ndarray of uint8
        FDI numbers in the box.
    rows : mapping of int to vtkSegment
        Name, colour and tags of each tooth.
    ids : dict of str to int
        FDI number by segment id.
    """

    grid: Volume
    box: Box
    labels: np.ndarray
    rows: Rows
    ids: dict[str, int]

    def at(self, box: Box) -> np.ndarray:
        """FDI numbers in another box of the grid."""
        result = np.zeros([side.stop - side.start for side in box], np.uint8)
        start = tuple(side.start for side in self.box)
        inside, outside = layers.overlap(box, start, self.labels.shape)
        result[inside] = self.labels[outside]
        return result


@dataclass(frozen=True)
class Stroke:
    """Voxels that were painted.

    Attributes
    ----------
    gained, lost : tuple of int
        Teeth that won or lost voxels.
    gone, come : tuple of int
        Those among them that have vanished, and those that are new.
    given_back : int
        Voxels of other teeth that were painted over, and that these have again.
    """

    gained: tuple[int, ...]
    lost: tuple[int, ...]
    gone: tuple[int, ...]
    come: tuple[int, ...]
    given_back: int


def snapshot(node: Node, volume_node: VolumeNode) -> Snapshot:
    """The teeth as they are now.

    Raises
    ------
    InputError
        If the scan cannot be used (`volumes.grid_of`).
    """
    grid = grid_of(volume_node, node)
    box = _covered(node, grid)
    labels = content.read(node, grid, box)
    tight = bounding_box(labels)
    if tight is not None:
        labels = labels[tight].copy()
        box = tuple(slice(a.start + b.start, a.start + b.stop) for a, b in zip(box, tight, strict=True))
    else:
        labels, box = np.zeros((0, 0, 0), np.uint8), _EMPTY
    segmentation = node.GetSegmentation()
    return Snapshot(grid, box, labels, content.rows(segmentation), teeth_of(segmentation))


def absorb(node: Node, known: Snapshot, now: Snapshot, protect: bool, name: Callable[[Stroke], str]) -> Stroke | None:
    """Make a step of the changes since `known`.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode
    known, now : Snapshot
    protect : bool
        Whether a tooth may not take voxels of another one. A tooth that has got another number takes none.
    name : callable
        Name of the step.

    Returns
    -------
    Stroke or None
        None if no voxel has changed.
    """
    if known.grid.array.shape != now.grid.array.shape:
        return None
    boxes = [one.box for one in (known, now) if one.labels.size]
    if not boxes:
        return None
    whole = union(boxes)
    before, after = known.at(whole), now.at(whole)
    tight = bounding_box(before != after)
    if tight is None:
        return None
    box = tuple(slice(a.start + b.start, a.start + b.stop) for a, b in zip(whole, tight, strict=True))
    before, after = before[tight].copy(), after[tight].copy()
    taken = _taken(before, after, known, now) if protect else np.zeros(before.shape, bool)
    robbed = sorted({*np.unique(before[taken]).tolist(), *np.unique(after[taken]).tolist()})
    after[taken] = before[taken]
    if robbed:
        rows = {fdi: now.rows.get(fdi) or known.rows.get(fdi) for fdi in robbed}
        content.change(node, content.settled(node, now.grid), now.grid, box, after, rows)
    differs = before != after
    lost, gained = (tuple(fdi for fdi in np.unique(one[differs]).tolist() if fdi) for one in (before, after))
    rows_now = content.rows(node.GetSegmentation())
    gone, come = (
        tuple(fdi for fdi in row if fdi not in there) for row, there in ((lost, rows_now), (gained, known.rows))
    )
    stroke = Stroke(gained, lost, gone, come, int(taken.sum()))
    if differs.any():
        touched = {*lost, *gained}
        old, new = ({fdi: rows.get(fdi) for fdi in touched} for rows in (known.rows, rows_now))
        history_of(node).add(Step(name(stroke), Patch(now.grid, box, before, after), old, new))
    return stroke


def _taken(before: np.ndarray, after: np.ndarray, known: Snapshot, now: Snapshot) -> np.ndarray:
    """Voxels that a tooth took of another one, which a tooth that has only got its number did not."""
    renamed = {fdi for _, fdi in known.ids.items() ^ now.ids.items()}
    takers = [fdi for fdi in known.ids.values() if fdi not in renamed]
    return (before != after) & (before > 0) & np.isin(after, takers)


def _covered(node: Node, grid: Volume) -> Box:
    """A box of the grid that holds all teeth."""
    boxes = []
    for image, _ in content.tooth_layers(node):
        start, shape = layers.start_on(image, grid), layers.view(image).shape
        if start is None:
            return tuple(slice(0, size) for size in grid.array.shape)
        sides = [
            slice(max(first, 0), max(min(first + size, whole), first, 0))
            for first, size, whole in zip(start, shape, grid.array.shape, strict=True)
        ]
        if all(side.stop > side.start for side in sides):
            boxes.append(tuple(sides))
    return union(boxes) if boxes else _EMPTY
