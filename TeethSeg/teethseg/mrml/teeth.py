"""Teeth as a segmentation of Slicer: written, read, edited, undone.

All teeth share one label map whose values are FDI numbers. Segmentations that others made, and label maps that a user
has painted into other layers, are read as they are; the first edit gives the teeth among them that form.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np
import slicer

from ..anatomy import Notation, tooth
from ..boxes import bounding_box
from ..cascade.dentition import TOUCHES_BORDER, UNCERTAIN_NUMBER, Dentition, FoundTooth
from ..correction.edit import Edit, check_number, numbers_in
from ..errors import UsageError
from ..io.label_places import equal_scheme, other_scheme, place_doubt
from ..io.label_schemes import Identified, LabelScheme, telling_schemes
from ..io.seg_nrrd import Labelling, relabel, segment_name, segment_table
from ..io.segment_names import fdi_of_name
from . import content, layers
from .hierarchy import follow, put_beside
from .history import Attributes, History, Patch, Rows, Step, history_of
from .label_values import put_values
from .segments import (
    DIGEST,
    SURFACE,
    Evidence,
    ToothState,
    evidence,
    fdi_of,
    identified,
    ids,
    infos,
    made,
    made_tooth,
    notation_of,
    put_state,
    put_tags,
    segment_id,
    set_evidence,
    set_tag,
    state_of,
    tag,
    tags_of,
    teeth_of,
)
from .volumes import grid_of, volume_of

__all__ = [
    "ToothState",
    "apply_edit",
    "can_redo",
    "can_undo",
    "centre_ras",
    "corrected",
    "evidence_of",
    "fdi_of",
    "found_teeth",
    "ignored",
    "marking",
    "number_as",
    "numbering_warnings",
    "numberings",
    "prepare",
    "read_labels",
    "redo",
    "redo_name",
    "rename",
    "restore",
    "segment_id",
    "segment_of",
    "set_state",
    "show_labels",
    "states",
    "undo",
    "undo_name",
    "write_teeth",
]

Node: TypeAlias = slicer.vtkMRMLSegmentationNode
VolumeNode: TypeAlias = slicer.vtkMRMLScalarVolumeNode

WRITTEN = "TeethSeg.written"  # attribute of the node: the teeth that were found


def write_teeth(
    scene: slicer.vtkMRMLScene,
    dentition: Dentition,
    volume_node: VolumeNode,
    notation: Notation = "fdi",
    labels: Labelling = "fdi",
    node: Node | None = None,
    name: str = "",
) -> Node:
    """Put the teeth that were found into the scene, with surfaces, beside the scan and under the same transform.

    Parameters
    ----------
    scene : vtkMRMLScene
    dentition : Dentition
        On the grid of the scan.
    volume_node : vtkMRMLScalarVolumeNode
        The scan.
    notation : {'fdi', 'universal', 'palmer'}
        How teeth are named.
    labels : {'fdi', 'position', 'binary'}
        A segment for each tooth, for each position 1-8 counted from the midline, or one for all teeth.
    node : vtkMRMLSegmentationNode, optional
        A segmentation whose teeth are replaced (`corrected` tells whose work would be lost, `undo` brings it back); its
        other segments stay. Unless given, a new one.
    name : str
        Of the step to undo.

    Returns
    -------
    vtkMRMLSegmentationNode

    Raises
    ------
    UsageError
        If the dentition is not of this scan.
    InputError
        If the scan cannot be used (`volumes.grid_of`).
    """
    grid = grid_of(volume_node, volume_node if node is None else node)
    if grid.array.shape != dentition.labels.array.shape:
        raise UsageError(f"These teeth are not of '{volume_node.GetName()}': choose the volume that was segmented.")
    before: np.ndarray | None = None
    known: Rows = {}
    if node is None:
        node = _new_node(scene, volume_node, labels)
    else:
        before, known = content.read(node, grid), content.rows(node.GetSegmentation())
    array = relabel(dentition.labels, labels).array
    image = layers.image_of(array, grid)
    segments = _segments(dentition, notation, labels, content.digests(image, set(numbers_in(layers.view(image)))))
    teeth = teeth_of(node.GetSegmentation())
    content.rebuild(node, image, segments, [one for one in ids(node.GetSegmentation()) if one in teeth or _ours(one)])
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    node.SetAttribute(WRITTEN, " ".join(str(found.fdi) for found in dentition.teeth) if labels == "fdi" else "")
    if labels == "fdi":
        put_values(scene, node)
    if before is None:
        put_beside(scene, node, volume_node)
    elif labels == "fdi":
        box = bounding_box(before != array)
        if box is not None:
            after = content.rows(node.GetSegmentation())
            touched = {*known, *after}
            old, new = ({fdi: table.get(fdi) for fdi in touched} for table in (known, after))
            patch = Patch(grid, box, before[box].copy(), array[box].copy())
            history_of(node).add(Step(name, patch, old, new))
    else:
        node.teethseg_history = History()  # positions cannot be taken back to teeth
    return node


def prepare(node: Node) -> None:
    """Make a segmentation that was read from a file quick to work with, and give it surfaces.

    Files hold label maps as large as the scan, and Slicer goes through all of it for every segment.
    """
    segmentation = node.GetSegmentation()
    node.SetAndObserveSegmentation(slicer.vtkSegmentation())  # views would redraw with every single tooth
    for image, _ in layers.layers(segmentation):
        layers.shrink(image)
    segmentation.CreateRepresentation(SURFACE)
    node.SetAndObserveSegmentation(segmentation)
    follow(node)


def show_labels(
    scene: slicer.vtkMRMLScene, labels: np.ndarray, volume_node: VolumeNode, notation: Notation = "fdi"
) -> Node:
    """Put teeth that TeethSeg did not find into the scene, as `write_teeth` does; `corrected` names them all.

    Parameters
    ----------
    labels : ndarray of uint8, shape of the scan
        FDI numbers, 0 elsewhere.

    Raises
    ------
    UsageError
        If the labels are not of this scan, or hold a number that is no tooth's.
    InputError
        If the scan cannot be used (`volumes.grid_of`).
    """
    nothing = Dentition(volume_of(volume_node).with_array(np.broadcast_to(np.uint8(0), labels.shape)))
    node = write_teeth(scene, nothing, volume_node, notation)
    box = bounding_box(labels)
    if box is not None:
        apply_edit(node, volume_node, Edit(box, labels[box]))
        node.teethseg_history = History()
    return node


def read_labels(node: Node, volume_node: VolumeNode) -> np.ndarray:
    """The teeth of a segmentation as a label map on the grid of a scan, whoever made or painted them.

    Where teeth overlap, the one that was painted over the others counts. Other segments are left out; see `ignored`.

    Returns
    -------
    ndarray of uint8, shape of the scan
        FDI numbers, 0 elsewhere.

    Raises
    ------
    InputError
        If the scan cannot be used (`volumes.grid_of`).
    """
    return content.read(node, grid_of(volume_node, node))


def numbering_warnings(node: Node) -> tuple[str, ...]:
    """Warnings about the teeth of a segmentation that another program made, one line each for the user.

    They tell of conflicting names and codes, of numbers that do not fit the positions of the teeth, and of teeth without names.
    """
    if node.GetAttribute(WRITTEN):
        return ()
    found = identified(node.GetSegmentation())
    name, lines = f"'{node.GetName()}'", list(found.warnings)
    if found.doubt:
        lines.append(
            f"{name} does not tell its teeth, as {found.doubt}: name segments 'Tooth 26' (FDI) or 'Tooth #14' (Universal)."
        )
    places = _centres(node)
    other = _other_numbering(found, places)
    if other:
        lines.append(
            f"The teeth of {name} are told by numbers alone, which were taken for FDI numbers, but may be those of {other}."
        )
    elif doubt := place_doubt(places, name):
        lines.append(doubt)
    return tuple(lines)


def numberings(node: Node) -> tuple[LabelScheme, ...]:
    """How the teeth of a segmentation that others made may be numbered, where only the user can tell; else nothing."""
    if node.GetAttribute(WRITTEN):
        return ()
    found = identified(node.GetSegmentation())
    if found.doubt:
        return telling_schemes(infos(node.GetSegmentation()))
    other = _other_numbering(found, _centres(node))
    return ("fdi", other) if other else ()


def number_as(node: Node, scheme: LabelScheme) -> None:
    """Name all segments, and give them their codes, by the numbering that the user chose."""
    segmentation = node.GetSegmentation()
    notation = notation_of(segmentation)
    for identity, one in zip(ids(segmentation), identified(segmentation, scheme).structures, strict=True):
        if one is not None:
            (row,) = segment_table([one.value], notation=notation)
            segment = segmentation.GetSegment(identity)
            segment.SetName(row.name)
            segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), row.terminology)


def _other_numbering(found: Identified, places: Mapping[int, np.ndarray]) -> LabelScheme | None:
    """The scheme that bare numbers taken for FDI's may be of, by where the teeth lie."""
    other = other_scheme(places) if found.by_numbers else None
    return other or (equal_scheme(places) if found.by_values else None)


def _centres(node: Node) -> dict[int, np.ndarray]:
    """Centres of the teeth in the segmentation's own LPS mm, by FDI number."""
    segmentation = node.GetSegmentation()
    found: dict[int, np.ndarray] = {}
    for image, held in content.tooth_layers(node):
        boxes = layers.boxes(image)
        for identity, fdi in held.items():
            value = segmentation.GetSegment(identity).GetLabelValue()
            if value in boxes:
                found[fdi] = layers.centre_in(image, value, boxes[value]) * [-1, -1, 1]
    return found


def found_teeth(node: Node) -> tuple[FoundTooth, ...]:
    """The teeth with the remaining flags of their numbers, for `cascade.findings`; volumes are not measured."""
    teeth = []
    for fdi, centre in sorted(_centres(node).items()):
        known = evidence_of(node, fdi)
        sure = 1.0 if known.confidence is None else known.confidence
        cut = TOUCHES_BORDER in known.flags
        teeth.append(FoundTooth(fdi, sure, float("nan"), tuple(centre.tolist()), known.second_fdi, cut, known.flags))
    return tuple(teeth)


def ignored(node: Node) -> tuple[str, ...]:
    """Names of the segments of which neither name, code, id nor label value tells a tooth."""
    segmentation = node.GetSegmentation()
    teeth = teeth_of(segmentation)
    return tuple(segmentation.GetSegment(one).GetName() for one in ids(segmentation) if one not in teeth)


def apply_edit(
    node: Node, volume_node: VolumeNode, edit: Edit, name: str = "", attributes: Attributes | None = None
) -> tuple[int, ...]:
    """Put an edit into the segmentation: segments appear and vanish with their teeth, touched surfaces are made anew.

    A tooth stays the same one while it keeps some of its voxels. One that moves to another number takes its state along,
    but not how sure the cascade was of the number that it had.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode
    volume_node : vtkMRMLScalarVolumeNode
        The scan.
    edit : Edit
        On the grid of the scan.
    name : str
        Name of the step, for Undo.
    attributes : mapping of str to str or None, optional
        Attributes of the segmentation that are set along with it.

    Returns
    -------
    tuple of int
        FDI numbers of the touched teeth; empty if nothing changed.

    Raises
    ------
    UsageError
        If the edit holds a number that is no tooth's.
    InputError
        If the scan cannot be used (`volumes.grid_of`).
    """
    for number in numbers_in(edit.labels):
        check_number(number)
    grid = grid_of(volume_node, node)
    image = content.settled(node, grid)
    before, after = content.read_settled(image, grid, edit.box), edit.labels
    differs = before != after
    touched = sorted({*np.unique(before[differs]).tolist(), *np.unique(after[differs]).tolist()} - {0})
    if not touched:
        return ()
    known = content.rows(node.GetSegmentation())
    notation = notation_of(node.GetSegmentation())
    old = {fdi: known.get(fdi) for fdi in touched}
    new = {}
    stays = {
        fdi
        for fdi in touched
        if ((before == fdi) & (after == fdi)).any() or content.reaches_out(image, grid, edit.box, fdi)
    }
    for fdi in touched:
        new[fdi] = old[fdi] if fdi in stays else _renumbered(fdi, before[after == fdi], known, notation, stays)
    content.change(node, image, grid, edit.box, after, new)
    attributes = attributes or {}
    had = {one: node.GetAttribute(one) for one in attributes}
    _put_attributes(node, attributes)
    history_of(node).add(Step(name, Patch(grid, edit.box, before, after.copy()), old, new, had, dict(attributes)))
    return tuple(touched)


def restore(
    node: Node,
    volume_node: VolumeNode,
    labels: np.ndarray,
    tags: Mapping[int, Mapping[str, str]],
    attributes: Attributes,
    name: str,
) -> None:
    """Put back teeth that were kept, with all that is known of them, as one step to undo.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode
    volume_node : vtkMRMLScalarVolumeNode
        The scan.
    labels : ndarray of uint8, shape of the scan
        FDI numbers.
    tags : mapping of int to mapping of str to str
        As `segments.tags_of` reads them, by FDI number.
    attributes : mapping of str to str or None
        Attributes of the segmentation.
    name : str
        Of the step.

    Raises
    ------
    UsageError, InputError
        As `apply_edit`.
    """
    before = content.rows(node.GetSegmentation())
    had = {one: node.GetAttribute(one) for one in attributes}
    whole = tuple(slice(0, size) for size in labels.shape)
    changed = apply_edit(node, volume_node, Edit(whole, labels), name)
    patch = history_of(node).done.pop().patch if changed else None
    for fdi, tooth_tags in tags.items():
        identity = segment_of(node, fdi)
        if identity is not None:
            put_tags(node.GetSegmentation().GetSegment(identity), tooth_tags)
    _put_attributes(node, attributes)
    after = content.rows(node.GetSegmentation())
    old, new = ({fdi: rows.get(fdi) for fdi in {*before, *after}} for rows in (before, after))
    history_of(node).add(Step(name, patch, old, new, had, dict(attributes)))


@contextmanager
def marking(node: Node, name: str, teeth: Iterable[int] = (), attributes: Iterable[str] = ()) -> Iterator[None]:
    """Make one step to undo of the block's changes of these teeth's tags and of the node's attributes.

    Parameters
    ----------
    node : vtkMRMLSegmentationNode
    name : str
        Of the step.
    teeth : iterable of int
        FDI numbers; those without a segment are passed over.
    attributes : iterable of str
        Names of attributes.
    """
    numbers, names = set(teeth), tuple(attributes)
    rows, values = _rows_of(node, numbers), {one: node.GetAttribute(one) for one in names}
    yield
    after = {one: node.GetAttribute(one) for one in names}
    history_of(node).add(Step(name, None, rows, _rows_of(node, numbers), values, after))


def undo(node: Node) -> bool:
    """Take back the last edit, but not the user's strokes since; False if there is none."""
    history = history_of(node)
    if not history.done:
        return False
    step = history.done.pop()
    _go(node, step.inverse())
    history.undone.append(step)
    return True


def redo(node: Node) -> bool:
    """Make the edit again that was taken back last; False if there is none."""
    history = history_of(node)
    if not history.undone:
        return False
    step = history.undone.pop()
    _go(node, step)
    history.done.append(step)
    return True


def can_undo(node: Node) -> bool:
    """Whether there is a step to undo."""
    return bool(history_of(node).done)


def can_redo(node: Node) -> bool:
    """Whether there is a step to redo."""
    return bool(history_of(node).undone)


def undo_name(node: Node) -> str:
    """Name of the step that `undo` would take back; empty if there is none."""
    return history_of(node).done[-1].name if can_undo(node) else ""


def redo_name(node: Node) -> str:
    """Name of the step that `redo` would make again; empty if there is none."""
    return history_of(node).undone[-1].name if can_redo(node) else ""


def corrected(node: Node) -> tuple[int, ...]:
    """Teeth that are not as TeethSeg wrote them: edited, painted, renumbered, removed, or made by somebody else."""
    segmentation = node.GetSegmentation()
    found, present = set(), set()
    for image, teeth in content.tooth_layers(node):
        value_of = {fdi: segmentation.GetSegment(identity).GetLabelValue() for identity, fdi in teeth.items()}
        shapes = content.digests(image, value_of.values())
        present |= {fdi for fdi, value in value_of.items() if value in shapes}
        found |= {
            fdi
            for identity, fdi in teeth.items()
            if shapes.get(value_of[fdi]) != tag(segmentation.GetSegment(identity), DIGEST)
        }
    written = {int(number) for number in (node.GetAttribute(WRITTEN) or "").split()}
    return tuple(sorted(found | (written - present)))


def rename(node: Node, notation: Notation) -> None:
    """Name the teeth in another notation; ids stay, and so do names that a user made up."""
    segmentation = node.GetSegmentation()
    for identity, fdi in teeth_of(segmentation).items():
        segment = segmentation.GetSegment(identity)
        if fdi_of_name(segment.GetName()):
            segment.SetName(segment_name(tooth(fdi), notation))


def segment_of(node: Node, fdi: int) -> str | None:
    """The id of a tooth's segment in this segmentation, whoever made it."""
    teeth = teeth_of(node.GetSegmentation())
    return next((identity for identity, number in teeth.items() if number == fdi), None)


def states(node: Node) -> dict[int, ToothState]:
    """How far the review of each tooth is, by FDI number: the state that Slicer's segment table shows."""
    segmentation = node.GetSegmentation()
    return {fdi: state_of(segmentation.GetSegment(identity)) for identity, fdi in teeth_of(segmentation).items()}


def set_state(node: Node, fdi: int, state: ToothState) -> None:
    """Set the state of a tooth's review.

    Raises
    ------
    UsageError
        If there is no such tooth.
    """
    put_state(_segment(node, fdi), state)


def evidence_of(node: Node, fdi: int) -> Evidence:
    """The cascade's confidence in a tooth's number, and its flags.

    Raises
    ------
    UsageError
        If there is no such tooth.
    """
    return evidence(_segment(node, fdi))


def centre_ras(node: Node, fdi: int) -> tuple[float, float, float]:
    """The centre of a tooth's voxels in the scene, in mm, to move views to.

    Raises
    ------
    UsageError
        If there is no such tooth, or nothing of it.
    """
    value, identity = _segment(node, fdi).GetLabelValue(), segment_of(node, fdi)
    image = next(image for image, held in content.tooth_layers(node) if identity in held)
    place = layers.centre(image, value)
    if place is None:
        raise UsageError(f"Nothing is left of tooth {fdi} in '{node.GetName()}': paint it, or remove its segment.")
    centre = [0.0, 0.0, 0.0]
    node.TransformPointToWorld(place, centre)
    return centre[0], centre[1], centre[2]


def _segment(node: Node, fdi: int) -> slicer.vtkSegment:
    identity = segment_of(node, fdi)
    if identity is None:
        raise UsageError(f"There is no tooth {fdi} in '{node.GetName()}': choose one that it shows.")
    return node.GetSegmentation().GetSegment(identity)


def _go(node: Node, step: Step) -> None:
    if step.patch is None:
        _put_rows(node, step.rows_after)
    else:
        grid, box = step.patch.grid, step.patch.box
        image = content.settled(node, grid)
        now = content.read_settled(image, grid, box)
        content.change(node, image, grid, box, step.patch.over(now), step.rows_after)
    _put_attributes(node, step.attributes_after)


def _rows_of(node: Node, numbers: set[int]) -> Rows:
    return {fdi: row for fdi, row in content.rows(node.GetSegmentation()).items() if fdi in numbers}


def _put_rows(node: Node, rows: Rows) -> None:
    """Give segments back their tags; names stay, as the notation may be another one now."""
    for fdi, row in rows.items():
        identity = segment_of(node, fdi)
        if identity is not None and row is not None:
            segment = node.GetSegmentation().GetSegment(identity)
            put_tags(segment, tags_of(row))


def _put_attributes(node: Node, attributes: Attributes) -> None:
    for name, value in attributes.items():
        if value is None:
            node.RemoveAttribute(name)
        else:
            node.SetAttribute(name, value)


def _renumbered(
    fdi: int, sources: np.ndarray, known: content.Rows, notation: Notation, stays: set[int]
) -> slicer.vtkSegment:
    """A tooth under a number that is new to it; `sources` are the numbers that its voxels had.

    A part that was split off a tooth that `stays` is another tooth: nobody has looked at it yet.
    """
    segment = made_tooth(fdi, notation)
    number = int(np.bincount(sources).argmax()) if sources.size else 0
    source = None if number in stays else known.get(number)
    if source is not None:
        put_state(segment, state_of(source))
        flags = tuple(flag for flag in evidence(source).flags if flag != UNCERTAIN_NUMBER)
        set_evidence(segment, Evidence(flags=flags))
    return segment


def _segments(
    dentition: Dentition, notation: Notation, labels: Labelling, digests: dict[int, str]
) -> list[tuple[str, slicer.vtkSegment]]:
    """Segments without voxels, by id."""
    found = {one.fdi: one for one in dentition.teeth}
    result = []
    for row in segment_table(found, labels, notation):
        segment = made(row)
        if labels == "fdi":
            set_evidence(segment, found[row.value])
            set_tag(segment, DIGEST, digests.get(row.value, ""))
        result.append((row.id, segment))
    return result


def _ours(identity: str) -> bool:
    """Whether TeethSeg gives segments that id."""
    return bool(fdi_of(identity)) or identity in _OTHER_IDS


_OTHER_IDS = {row.id for labels in ("position", "binary") for row in segment_table(range(11, 19), labels)}


_CALLED = {"fdi": "teeth", "position": "tooth classes", "binary": "teeth as one"}  # after the scan's name


def _new_node(scene: slicer.vtkMRMLScene, volume_node: VolumeNode, labels: Labelling) -> Node:
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{volume_node.GetName()} {_CALLED[labels]}")
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    node.CreateDefaultDisplayNodes()
    # Else Slicer packs all the scan's room around them when it saves, for seconds. Its save dialog can switch it off.
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetCropToMinimumExtent(True)
    return node
