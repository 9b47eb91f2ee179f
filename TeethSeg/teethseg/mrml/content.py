"""Content of a segmentation: reads teeth from any layers, brings them into one layer, and changes that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias
from zlib import crc32

import numpy as np
import slicer
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..anatomy import TEETH, Notation, tooth
from ..boxes import Box, label_boxes
from ..io.seg_nrrd import segment_name
from ..io.segment_names import fdi_of_name
from ..volume import Volume
from . import layers
from .hierarchy import follow
from .history import Rows
from .segments import (
    LABELMAP,
    SURFACE,
    copied,
    fdi_of,
    ids,
    made_tooth,
    notation_of,
    segment_id,
    set_tag,
    tag,
    teeth_of,
)
from .surfaces import renew

Image: TypeAlias = slicer.vtkOrientedImageData

_AS_IT_IS = {fdi: fdi for fdi in TEETH}


def read(node: slicer.vtkMRMLSegmentationNode, grid: Volume, box: Box | None = None) -> np.ndarray:
    """FDI numbers in a box of a grid (all of it unless given), uint8; where teeth overlap, the painted one counts."""
    box = box or tuple(slice(0, size) for size in grid.array.shape)
    segmentation = node.GetSegmentation()
    result = None
    for image, teeth in tooth_layers(node):
        meaning = {segmentation.GetSegment(identity).GetLabelValue(): fdi for identity, fdi in teeth.items()}
        layer = layers.read(image, grid, box, meaning)
        if result is None:
            result = layer
        else:
            np.copyto(result, layer, where=layer > 0)
    return np.zeros([side.stop - side.start for side in box], np.uint8) if result is None else result


def tooth_layers(node: slicer.vtkMRMLSegmentationNode) -> list[tuple[Image, dict[str, int]]]:
    """The label maps that teeth lie in, with the FDI number by segment id; those that most teeth share come first.

    A tooth that is painted over others gets a label map of its own.
    """
    segmentation = node.GetSegmentation()
    teeth = teeth_of(segmentation)
    if teeth and not segmentation.ContainsRepresentation(LABELMAP):
        node.CreateBinaryLabelmapRepresentation()  # came as surfaces
    found = []
    for image, sharing in layers.layers(segmentation):
        here = {identity: teeth[identity] for identity in sharing if identity in teeth}
        if here:
            found.append((image, here))
    return sorted(found, key=lambda layer: -len(layer[1]))


def rows(segmentation: slicer.vtkSegmentation) -> Rows:
    """Copies of each tooth's name, colour and tags."""
    result: Rows = {}
    for identity, fdi in teeth_of(segmentation).items():
        result.setdefault(fdi, copied(segmentation.GetSegment(identity)))
    return result


def rebuild(
    node: slicer.vtkMRMLSegmentationNode,
    image: Image,
    segments: Iterable[tuple[str, slicer.vtkSegment]],
    replaced: Iterable[str],
    surfaces: bool = True,
) -> None:
    """Give a segmentation new segments that share `image`, in place of the `replaced` ones.

    It is put together apart from the scene: views would redraw with every single segment.
    """
    old, new = node.GetSegmentation(), slicer.vtkSegmentation()
    new.SetSourceRepresentationName(LABELMAP)
    new.CopyConversionParameters(old)
    bare = []
    for identity, segment in segments:
        segment.AddRepresentation(LABELMAP, image)
        if surfaces and segment.GetRepresentation(SURFACE) is None:
            segment.AddRepresentation(SURFACE, vtkPolyData())  # else Slicer makes it by itself, see `surfaces`
            bare.append(identity)
        new.AddSegment(segment, identity)
    others = [identity for identity in ids(old) if identity not in set(replaced)]
    images = _copies(old, others)
    for identity in others:
        segment = old.GetSegment(identity)
        new.AddSegment(copied(segment, images.get(identity), segment.GetRepresentation(SURFACE)), identity)
    node.SetAndObserveSegmentation(new)
    renew(node, bare)
    follow(node)


def settled(node: slicer.vtkMRMLSegmentationNode, grid: Volume) -> Image:
    """The one label map of all teeth, cut from `grid`, with FDI numbers as values; made so if it is not.

    It is not after a user has painted over other segments, and where others made the segmentation.
    """
    segmentation = node.GetSegmentation()
    found = tooth_layers(node)
    if not found:
        return layers.image_of(np.zeros(grid.array.shape, np.uint8), grid)
    if len(found) == 1 and _is_ours(segmentation, *found[0], grid):
        return found[0][0]
    labels = read(node, grid)
    image = layers.image_of(labels, grid)
    notation, surfaces = notation_of(segmentation), _surfaces(segmentation)
    adopted: dict[int, slicer.vtkSegment] = {}
    replaced: list[str] = []
    for old, teeth in found:
        replaced += teeth
        for identity, fdi in teeth.items():
            if fdi not in adopted:
                segment = segmentation.GetSegment(identity)
                adopted[fdi] = _adopted(segment, identity, fdi, notation)
                if identity in surfaces and _same_voxels(old, segment.GetLabelValue(), image, fdi, grid):
                    adopted[fdi].AddRepresentation(SURFACE, surfaces[identity])
    rebuild(node, image, [(segment_id(fdi), adopted[fdi]) for fdi in sorted(adopted)], replaced, bool(surfaces))
    return image


def read_settled(image: Image, grid: Volume, box: Box) -> np.ndarray:
    """FDI numbers in a box of a settled label map (a copy)."""
    return layers.read(image, grid, box, _AS_IT_IS)


def reaches_out(image: Image, grid: Volume, box: Box, fdi: int) -> bool:
    """Whether a tooth of a settled label map has voxels outside a box."""
    inside = np.count_nonzero(read_settled(image, grid, box) == fdi)
    return bool(np.count_nonzero(layers.view(image) == fdi) > inside)


def change(
    node: slicer.vtkMRMLSegmentationNode, image: Image, grid: Volume, box: Box, labels: np.ndarray, known: Rows
) -> None:
    """Write into the settled label map; segments and surfaces of the teeth that `known` names follow.

    Surfaces are made where there were some, or no segments yet: a user may have switched 3D off.

    Parameters
    ----------
    labels : ndarray of uint8
        The new content of the box.
    known : dict of int to vtkSegment or None
        Name, colour and tags of every tooth that gains or loses voxels; a tooth without gets the usual ones.
    """
    segmentation = node.GetSegmentation()
    notation = notation_of(segmentation)
    surfaces = _surfaces(segmentation)
    shown = bool(surfaces) or not segmentation.GetNumberOfSegments()
    layers.write(image, grid, box, labels)
    voxels = layers.view(image)
    altered = []
    for fdi in sorted(known):
        identity = segment_id(fdi)
        segment = segmentation.GetSegment(identity)
        if not (voxels == fdi).any():
            if segment is not None:
                segmentation.RemoveSegment(identity)
            continue
        row = copied(known[fdi] or made_tooth(fdi, notation))
        if fdi_of_name(row.GetName()):
            row.SetName(segment_name(tooth(fdi), notation))
        if segment is None:
            row.AddRepresentation(LABELMAP, image)
            if shown:
                row.AddRepresentation(SURFACE, vtkPolyData())  # else Slicer makes it by itself
            segmentation.AddSegment(row, identity, _next_id(segmentation, fdi))
        else:
            segment.DeepCopyMetadata(row)
        altered.append(identity)
    _restore(segmentation, surfaces)
    if shown:
        renew(node, altered)
    # Slicer was not told of the voxels, as it would throw away all surfaces then. Views and the save dialog want to know.
    segmentation.InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)
    for identity in altered:
        segmentation.InvokeEvent(slicer.vtkSegmentation.RepresentationModified, identity)


def digests(image: Image, values: Iterable[int]) -> dict[int, str]:
    """A fingerprint of the shape of each of these label values; the same wherever it lies."""
    voxels = layers.view(image)
    boxes = label_boxes(voxels)
    result = {}
    for value in values:
        box = boxes.get(value)
        if box is not None:
            mask = voxels[box] == value
            result[value] = f"{crc32(np.packbits(mask).tobytes(), crc32(str(mask.shape).encode())):08x}"
    return result


def _surfaces(segmentation: slicer.vtkSegmentation) -> dict:
    """The surfaces that there are, by segment id."""
    surfaces = {
        identity: segmentation.GetSegment(identity).GetRepresentation(SURFACE) for identity in ids(segmentation)
    }
    return {identity: surface for identity, surface in surfaces.items() if surface is not None}


def _restore(segmentation: slicer.vtkSegmentation, surfaces: dict) -> None:
    """Give surfaces back to segments that lost theirs."""
    for identity, surface in surfaces.items():
        segment = segmentation.GetSegment(identity)
        if segment is not None and segment.GetRepresentation(SURFACE) is None:
            segment.AddRepresentation(SURFACE, surface)


def _is_ours(segmentation: slicer.vtkSegmentation, image: Image, teeth: dict[str, int], grid: Volume) -> bool:
    return (
        segmentation.GetSourceRepresentationName() == LABELMAP
        and layers.view(image).dtype == np.uint8
        and layers.start_on(image, grid) is not None
        and set(segmentation.GetSegmentIDsForDataObject(image, LABELMAP)) == set(teeth)
        and all(
            identity == segment_id(fdi) and segmentation.GetSegment(identity).GetLabelValue() == fdi
            for identity, fdi in teeth.items()
        )
    )


def _same_voxels(old: Image, value: int, new: Image, fdi: int, grid: Volume) -> bool:
    """Whether a tooth has in a new label map, where it may only have lost or gained voxels, what it had in an old one."""
    return layers.start_on(old, grid) is not None and (
        np.count_nonzero(layers.view(old) == value) == np.count_nonzero(layers.view(new) == fdi)
    )


def _adopted(segment: slicer.vtkSegment, identity: str, fdi: int, notation: Notation) -> slicer.vtkSegment:
    """A tooth's segment as TeethSeg makes it, in place of one that may lack code and value."""
    row = copied(segment)
    if identity != segment_id(fdi):
        usual = made_tooth(fdi, notation)
        entry = slicer.vtkSegment.GetTerminologyEntryTagName()
        set_tag(row, entry, tag(usual, entry))
        if fdi_of(identity):  # a user gave one of ours another number
            row.SetColor(usual.GetColor())
    row.SetLabelValue(fdi)
    return row


def _next_id(segmentation: slicer.vtkSegmentation, fdi: int) -> str:
    """The segment before which a tooth belongs, so that teeth stay in order; empty for the end."""
    behind = {number: identity for identity, number in teeth_of(segmentation).items() if number > fdi}
    return behind[min(behind)] if behind else ""


def _copies(segmentation: slicer.vtkSegmentation, wanted: list[str]) -> dict[str, Image]:
    """Label maps with nothing but these segments in them, shared as before, by segment id.

    Copies, because a segmentation that Slicer throws away clears its segments out of the label maps they share.
    """
    result: dict[str, Image] = {}
    for image, sharing in layers.layers(segmentation):
        here = [identity for identity in sharing if identity in wanted]
        if here:
            copy = slicer.vtkOrientedImageData()
            copy.DeepCopy(image)
            voxels = layers.view(copy)
            values = [segmentation.GetSegment(identity).GetLabelValue() for identity in here]
            voxels[~np.isin(voxels, values)] = 0
            result |= dict.fromkeys(here, copy)
    return result
