"""The surfaces of single segments: made by Slicer's own conversion of a small piece of the label map, and kept.

Slicer converts all segments that lack a surface as soon as 3D is drawn, each by going through the whole label map. So a
segment whose surface is still to be made has the old one, or an empty one. Shapes that come back, by undo or under another
number, have their surface at once.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias
from zlib import crc32

import numpy as np
import slicer
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..boxes import Box
from . import layers
from .background import background_of
from .segments import LABELMAP, SURFACE

Node: TypeAlias = slicer.vtkMRMLSegmentationNode
KEPT = 150  # surfaces of a segmentation, those in use among them


@dataclass
class _Work:
    """The pending surfaces of a segmentation, and those that were made for it."""

    waiting: dict[str, None] = field(default_factory=dict)  # ids, in order
    known: OrderedDict[tuple | None, vtkPolyData] = field(default_factory=OrderedDict)
    boxes: tuple[object, int, dict[int, Box]] = (None, 0, {})  # of a label map, and its time of change


def renew(node: Node, identities: Iterable[str]) -> None:
    """Have the surfaces of segments made anew: at once, or in the background if the scene's window does that.

    No event is sent, as the caller has more to tell; `make_some` sends its own.
    """
    work, tell = _work_of(node), background_of(node.GetScene())
    segmentation = node.GetSegmentation()
    for identity in identities:
        work.waiting.pop(identity, None)
        segment = segmentation.GetSegment(identity)
        if segment is None:
            continue
        surface = work.known.get(_key(work, segmentation, segment))
        if surface is None and tell is None:
            surface = _made(work, segmentation, segment)
        if surface is None:
            work.waiting[identity] = None
        _put(segment, surface)
    if work.waiting and tell is not None:
        tell(node)


def make_some(node: Node, seconds: float) -> bool:
    """Make some of the surfaces that are waited for, at least one; views are told. Returns whether more are waited for.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode
    seconds : float
        After which no further one is begun.
    """
    work, segmentation = _work_of(node), node.GetSegmentation()
    made: list[str] = []
    end = time.monotonic() + seconds
    while work.waiting and (not made or time.monotonic() < end):
        identity = next(iter(work.waiting))
        del work.waiting[identity]
        segment = segmentation.GetSegment(identity)
        if segment is None or segment.GetRepresentation(SURFACE) is None:
            continue  # it is gone, or the user wants no surfaces any more
        _put(segment, _made(work, segmentation, segment))
        made.append(identity)
    for identity in made:
        segmentation.InvokeEvent(slicer.vtkSegmentation.RepresentationModified, identity)
    return bool(work.waiting)


def waiting(node: Node) -> tuple[str, ...]:
    """Ids of the segments whose surfaces are still to be made."""
    return tuple(_work_of(node).waiting)


def _put(segment, surface: vtkPolyData | None) -> None:
    """Give a segment a surface; none leaves it the one that it has, or an empty one.

    Slicer is told that a segment has changed, which is much work, whenever it gets another object for its surface.
    """
    own = segment.GetRepresentation(SURFACE)
    if own is None:
        own = vtkPolyData()
        segment.AddRepresentation(SURFACE, own)
    if surface is not None:
        own.ShallowCopy(surface)


def _work_of(node: Node) -> _Work:
    if not hasattr(node, "teethseg_surfaces"):
        node.teethseg_surfaces = _Work()
    return node.teethseg_surfaces


def _made(work: _Work, segmentation, segment) -> vtkPolyData:
    """The surface of a segment as Slicer makes it with the segmentation's own settings."""
    key = _key(work, segmentation, segment)
    surface = work.known.get(key)
    if surface is None:
        surface = converted(work, segmentation, segment)
        work.known[key] = surface
    work.known.move_to_end(key)
    while len(work.known) > KEPT:
        work.known.popitem(last=False)
    return surface


def converted(work: _Work, segmentation, segment) -> vtkPolyData:
    """The surface of one segment, from its label map."""
    image, value = segment.GetRepresentation(LABELMAP), segment.GetLabelValue()
    box = _boxes(work, image).get(value)
    if box is None:
        return vtkPolyData()
    piece, alone = slicer.vtkSegment(), slicer.vtkSegmentation()
    piece.SetLabelValue(1)
    piece.AddRepresentation(LABELMAP, layers.piece(image, box, value))
    alone.SetSourceRepresentationName(LABELMAP)
    alone.CopyConversionParameters(segmentation)
    alone.AddSegment(piece, "piece")
    alone.CreateRepresentation(SURFACE)
    return alone.GetSegment("piece").GetRepresentation(SURFACE) or vtkPolyData()


def _key(work: _Work, segmentation, segment) -> tuple | None:
    """The same for the same shape at the same place, converted with the same settings."""
    image, value = segment.GetRepresentation(LABELMAP), segment.GetLabelValue()
    box = _boxes(work, image).get(value)
    if box is None:
        return None
    mask = layers.view(image)[box] == value
    place = layers.place(image, np.array([[side.start for side in box]]))[0]
    return (
        crc32(np.packbits(mask).tobytes()),
        int(np.count_nonzero(mask)),
        mask.shape,
        tuple(np.round(place, 3).tolist()),
        segmentation.SerializeAllConversionParameters(),
    )


def _boxes(work: _Work, image) -> dict[int, Box]:
    """The boxes of all label values, looked for once while the label map stays as it is."""
    changed = image.GetPointData().GetScalars().GetMTime() if image.GetPointData().GetScalars() is not None else 0
    if work.boxes[0] is not image or work.boxes[1] != changed:
        work.boxes = image, changed, layers.boxes(image)
    return work.boxes[2]
