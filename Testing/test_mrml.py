"""Teeth and scans in a Slicer scene, with Slicer's own classes and no window."""

from __future__ import annotations

import json
import runpy
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import slicer
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import reference, vtkPoints
from vtkmodules.vtkCommonTransforms import vtkThinPlateSplineTransform

from grids import GRIDS, marked_volume, marker_lps, rotation
from slicer_scene import SlicerScene
from teethseg.anatomy import PERMANENT, tooth
from teethseg.cascade.dentition import UNCERTAIN_NUMBER, UNUSUAL_VOLUME, Dentition, FoundTooth
from teethseg.correction.edit import Edit
from teethseg.correction.relabel import remove_tooth, renumber
from teethseg.errors import InputError, UsageError
from teethseg.io.files import read_labels, read_scan, write_labels, write_scan
from teethseg.io.seg_nrrd import codes_of_entry, terminology_entry
from teethseg.mrml import chart, tables, teeth, terminology, volumes
from teethseg.mrml.segments import CONFIDENCE
from teethseg.structures import STRUCTURES
from teethseg.volume import Volume

REPOSITORY = Path(__file__).resolve().parents[1]
LPS_RAS = np.array([-1, -1, 1])
OBLIQUE = rotation() @ np.diag([1, -1, -1])
LEFT_HANDED = rotation((5, 30, -15)) @ np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1.0]])

# Unlike boxes far from symmetry: upper right canine, lower left first molar, upper left milk incisor.
BOXES = {
    13: (slice(2, 6), slice(3, 5), slice(4, 7)),
    36: (slice(7, 10), slice(8, 13), slice(10, 16)),
    61: (slice(5, 7), slice(9, 11), slice(2, 4)),
}


@pytest.fixture
def scene(new_slicer_scene):
    return new_slicer_scene.scene


def label_map(direction: np.ndarray | None = None) -> Volume:
    array = np.zeros((12, 15, 18), np.uint8)
    for fdi, box in BOXES.items():
        array[box] = fdi
    return Volume(array, (0.3, 0.4, 0.5), (-20, 31, 7.5), direction)


def dentition_of(labels: Volume) -> Dentition:
    found = [
        FoundTooth(13, 0.98, 3.0, (0, 0, 0)),
        FoundTooth(36, 0.61, 9.0, (0, 0, 0), second_fdi=37, flags=(UNCERTAIN_NUMBER, UNUSUAL_VOLUME)),
        FoundTooth(61, 0.8, 1.0, (0, 0, 0)),
    ]
    return Dentition(labels, tuple(one for one in found if (labels.array == one.fdi).any()))


def case(scene, direction=None, **options):
    """A scan in the scene, and its teeth."""
    labels = label_map(direction)
    scan = volumes.node_of(scene, labels.with_array(labels.array.astype(np.int16) * 30), "scan")
    return scan, teeth.write_teeth(scene, dentition_of(labels), scan, **options)


def segments(node) -> dict:
    segmentation = node.GetSegmentation()
    return {one: segmentation.GetSegment(one) for one in segmentation.GetSegmentIDs()}


def tag(segment, name) -> str:
    value = reference("")
    return str(value) if segment.GetTag(name, value) else ""


def terminology_of(segment) -> str:
    return tag(segment, slicer.vtkSegment.GetTerminologyEntryTagName())


def surface(node, identity):
    return node.GetClosedSurfaceInternalRepresentation(identity)


def middle_of(labels: Volume, fdi: int) -> np.ndarray:
    """RAS mm, from the affine alone."""
    index = np.mean(np.argwhere(labels.array == fdi), axis=0)[::-1]
    return (labels.affine @ [*index, 1])[:3] * LPS_RAS


def put_under(scene, node, matrix: np.ndarray):
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(volumes.to_vtk(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def bent(scene, node):
    spline, source, target = vtkThinPlateSplineTransform(), vtkPoints(), vtkPoints()
    for point in ((0, 0, 0), (30, 0, 0), (0, 30, 0), (0, 0, 30), (9, 9, 9)):
        source.InsertNextPoint(point)
        target.InsertNextPoint(np.add(point, (0, point[0] ** 2 / 50, 0)))
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode")
    transform.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(transform.GetID())


def moved(degrees=(0, 0, 90), by=(5.0, -7.0, 11.0), scale=1.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = scale * rotation(degrees)
    matrix[:3, 3] = by
    return matrix


def paint(scene, node, scan, identity: str, box, overlap: bool = False) -> None:
    """A brush stroke of Slicer's Segment Editor."""
    editor = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    editor.SetOverwriteMode(editor.OverwriteNone if overlap else editor.OverwriteAllSegments)
    logic = slicer.vtkSlicerSegmentEditorLogic()
    logic.SetMRMLScene(scene)
    logic.SetSegmentEditorNode(editor)
    logic.SetSegmentationNode(node)
    logic.SetSourceVolumeNode(scan)
    logic.UpdateReferenceGeometryImage()
    logic.ResetModifierLabelmapToDefault()
    stroke = logic.GetModifierLabelmap()
    vtk_to_numpy(stroke.GetPointData().GetScalars()).reshape(stroke.GetDimensions()[::-1])[box] = 1
    whole = [0, -1, 0, -1, 0, -1]
    logic.ModifySegmentByLabelmap(node, identity, stroke, logic.ModificationModeAdd, whole, True, False)


# Scans


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
def test_scan_to_the_scene_and_back(scene, direction):
    volume = marked_volume(direction)
    node = volumes.node_of(scene, volume, "scan")
    back = volumes.volume_of(node)
    assert np.array_equal(back.array, volume.array) and back.array.dtype == volume.array.dtype
    np.testing.assert_allclose(back.affine, volume.affine, atol=1e-9)
    bounds = np.zeros(6)
    node.GetRASBounds(bounds)
    assert (bounds[::2] <= marker_lps(volume) * LPS_RAS).all() and (marker_lps(volume) * LPS_RAS <= bounds[1::2]).all()


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE, LEFT_HANDED], ids=["straight", "oblique", "left-handed"])
def test_slicer_and_we_read_the_same_file_alike(new_slicer_scene, tmp_path, direction):
    write_scan(tmp_path / "scan.nrrd", marked_volume(direction))
    node = new_slicer_scene.modules.volumes.logic().AddArchetypeVolume(str(tmp_path / "scan.nrrd"), "scan", 0)
    ours, theirs = read_scan(tmp_path / "scan.nrrd"), volumes.volume_of(node)
    for index in ((0, 0, 0), (16, 0, 0), (0, 13, 0), (0, 0, 10), (9, 5, 2)):  # Slicer turns left-handed grids over
        place = ours.affine @ [*index, 1]
        i, j, k = np.round(np.linalg.solve(theirs.affine, place)[:3]).astype(int)
        assert theirs.array[k, j, i] == ours.array[index[::-1]]
        np.testing.assert_allclose(theirs.affine @ [i, j, k, 1], place, atol=1e-5)


def test_scan_under_a_linear_transform_is_where_it_is_shown(scene):
    volume = marked_volume(OBLIQUE)
    node = volumes.node_of(scene, volume, "scan")
    matrix = moved((10, 20, 90), scale=1.5)
    put_under(scene, node, matrix)
    shown = matrix @ [*(marker_lps(volume) * LPS_RAS), 1]
    np.testing.assert_allclose(marker_lps(volumes.volume_of(node)), shown[:3] * LPS_RAS)
    np.testing.assert_allclose(volumes.volume_of(node).spacing, 1.5 * np.array(volume.spacing))


def test_a_scan_keeps_the_age_of_its_patient_or_asks_slicers_dicom_database(scene, monkeypatch):
    child = replace(marked_volume(), patient_age=8.25)
    assert volumes.volume_of(volumes.node_of(scene, child, "child")).patient_age == 8.25
    node = volumes.node_of(scene, marked_volume(), "of the DICOM module")
    assert volumes.volume_of(node).patient_age is None
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    assert volumes.volume_of(node).patient_age is None
    told = {("1.2.3", "0010,0030"): "20100301", ("1.2.3", "0008,0020"): "20180301"}
    database = SimpleNamespace(instanceValue=lambda uid, tag: told.get((uid, tag), ""))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    assert volumes.volume_of(node).patient_age == pytest.approx(8, abs=0.01)


def test_scans_that_cannot_be_used_are_named(scene):
    node = volumes.node_of(scene, marked_volume(), "CBCT 7")
    bent(scene, node)
    with pytest.raises(InputError, match="'CBCT 7' is under a non-linear transform: harden it"):
        volumes.volume_of(node)
    shear = np.eye(4)
    shear[0, 1] = 0.3
    put_under(scene, node, shear)
    with pytest.raises(InputError, match="'CBCT 7' are not perpendicular"):
        volumes.volume_of(node)
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "nothing")
    with pytest.raises(InputError, match="'nothing' has no voxels"):
        volumes.volume_of(empty)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.float32, np.float64])
def test_kinds_of_voxels(scene, dtype):
    volume = Volume((np.arange(24).reshape(2, 3, 4) % 2).astype(dtype))
    assert np.array_equal(volumes.volume_of(volumes.node_of(scene, volume, "scan")).array, volume.array)


# Writing and reading teeth


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
def test_teeth_lie_where_they_are(scene, direction):
    labels = label_map(direction)
    scan, node = case(scene, direction)
    assert np.array_equal(teeth.read_labels(node, scan), labels.array)
    for fdi in BOXES:
        middle = middle_of(labels, fdi)
        np.testing.assert_allclose(teeth.centre_ras(node, fdi), middle, atol=1e-6)
        points = vtk_to_numpy(surface(node, f"tooth_{fdi}").GetPoints().GetData())
        np.testing.assert_allclose(points.mean(axis=0), middle, atol=0.15)


def test_one_layer_with_values_names_colours_and_codes(scene):
    _, node = case(scene)
    segmentation = node.GetSegmentation()
    assert segmentation.GetNumberOfLayers() == 1
    assert list(segments(node)) == ["tooth_13", "tooth_36", "tooth_61"]
    for identity, segment in segments(node).items():
        fdi = teeth.fdi_of(identity)
        assert segment.GetLabelValue() == fdi
        assert segment.GetName() == f"Tooth {fdi}"
        assert segment.GetColor() == pytest.approx(tooth(fdi).colour)
        assert f"~SCT^{tooth(fdi).code}^{tooth(fdi).meaning}~" in terminology_of(segment)
        assert surface(node, identity).GetNumberOfPolys() > 20
    assert node.GetName() == "scan teeth"


def test_only_the_room_of_the_teeth_is_kept(scene):
    _, node = case(scene)
    assert segments(node)["tooth_13"].GetRepresentation("Binary labelmap").GetExtent() == (2, 15, 3, 12, 2, 9)


def test_no_teeth_give_an_empty_segmentation(scene):
    labels = label_map()
    scan = volumes.node_of(scene, labels, "scan")
    node = teeth.write_teeth(scene, Dentition(labels.with_array(np.zeros_like(labels.array))), scan)
    assert not segments(node) and not teeth.read_labels(node, scan).any()
    assert not any(place.present for place in chart.chart(node))
    teeth.apply_edit(node, scan, Edit((slice(3, 6),) * 3, np.full((3, 3, 3), 21, np.uint8)))
    assert (teeth.read_labels(node, scan) == 21).sum() == 27
    assert surface(node, "tooth_21").GetNumberOfPolys() > 0


def test_teeth_of_another_scan_are_refused(scene):
    other = volumes.node_of(scene, marked_volume(), "other")
    with pytest.raises(UsageError, match="not of 'other'"):
        teeth.write_teeth(scene, dentition_of(label_map()), other)


@pytest.mark.parametrize(
    ("notation", "names"),
    [
        ("universal", {"tooth_13": "Tooth #6", "tooth_36": "Tooth #19", "tooth_61": "Tooth #F"}),
        ("palmer", {"tooth_13": "Tooth 3⏌", "tooth_36": "Tooth ⎾6", "tooth_61": "Tooth ⎿A"}),
        ("fdi", {"tooth_13": "Tooth 13", "tooth_36": "Tooth 36", "tooth_61": "Tooth 61"}),
    ],
)
def test_notation_names_but_ids_stay(scene, notation, names):
    scan, node = case(scene, notation=notation)
    assert {identity: segment.GetName() for identity, segment in segments(node).items()} == names
    assert np.array_equal(teeth.read_labels(node, scan), label_map().array)
    scan, other = case(scene)
    segments(other)["tooth_36"].SetName("My molar")
    teeth.rename(other, notation)
    renamed = {identity: segment.GetName() for identity, segment in segments(other).items()}
    assert renamed == names | {"tooth_36": "My molar"}
    assert np.array_equal(teeth.read_labels(other, scan), label_map().array)


def test_positions_as_segments(scene):
    scan, node = case(scene, labels="position")
    assert {one: (s.GetName(), s.GetLabelValue()) for one, s in segments(node).items()} == {
        "position_1": ("Position 1", 1),
        "position_3": ("Position 3", 3),
        "position_6": ("Position 6", 6),
    }
    assert all("~SCT^38199008^Tooth~" in terminology_of(segment) for segment in segments(node).values())
    image = segments(node)["position_6"].GetRepresentation("Binary labelmap")
    voxels = vtk_to_numpy(image.GetPointData().GetScalars())
    assert {n: int((voxels == n).sum()) for n in (1, 3, 6)} == {1: 8, 3: 24, 6: 90}
    assert teeth.ignored(node) == ("Position 1", "Position 3", "Position 6")
    assert not teeth.read_labels(node, scan).any()


def test_teeth_of_a_transformed_scan_lie_on_it(scene):
    labels = label_map(OBLIQUE)
    scan = volumes.node_of(scene, labels, "scan")
    matrix = moved()
    put_under(scene, scan, matrix)
    shown = volumes.volume_of(scan)
    node = teeth.write_teeth(scene, dentition_of(shown.with_array(labels.array)), scan)
    assert node.GetParentTransformNode() is scan.GetParentTransformNode()
    np.testing.assert_allclose(teeth.centre_ras(node, 36), middle_of(shown, 36), atol=1e-6)
    assert np.linalg.norm(middle_of(shown, 36) - middle_of(labels, 36)) > 5
    assert np.array_equal(teeth.read_labels(node, scan), labels.array)
    teeth.apply_edit(node, scan, renumber(labels.array, {36: 37}))
    np.testing.assert_allclose(teeth.centre_ras(node, 37), middle_of(shown, 36), atol=1e-6)


def test_teeth_of_a_bent_scan_can_be_read_where_both_are_bent(scene):
    scan, node = case(scene)
    bent(scene, scan)
    with pytest.raises(InputError, match="non-linear"):
        teeth.read_labels(node, scan)
    node.SetAndObserveTransformNodeID(scan.GetTransformNodeID())
    assert np.array_equal(teeth.read_labels(node, scan), label_map().array)


def test_teeth_moved_against_the_scan_are_read_where_they_are_now(scene):
    scan, node = case(scene, np.eye(3))
    put_under(scene, node, moved((0, 0, 0), (-2 * 0.3, 0, 0.5)))  # two voxels to the left, one up
    expected = np.zeros_like(label_map().array)
    expected[1:, :, 2:] = label_map().array[:-1, :, :-2]
    assert np.array_equal(teeth.read_labels(node, scan), expected)


def test_a_segmentation_on_a_finer_grid_is_read_at_the_nearest_voxels(scene):
    fine = label_map(OBLIQUE)
    fine = Volume(
        fine.array.repeat(2, 0).repeat(2, 1).repeat(2, 2),
        tuple(np.array(fine.spacing) / 2),
        tuple((fine.affine @ [-0.25, -0.25, -0.25, 1])[:3]),
        fine.direction,
    )
    node = teeth.write_teeth(scene, dentition_of(fine), volumes.node_of(scene, fine, "fine"))
    scan = volumes.node_of(scene, label_map(OBLIQUE), "coarse")
    assert np.array_equal(teeth.read_labels(node, scan), label_map().array)
    teeth.apply_edit(node, scan, remove_tooth(label_map().array, 13))
    assert sorted(segments(node)) == ["tooth_36", "tooth_61"]
    assert (teeth.read_labels(node, scan) == 36).sum() == 90


def test_hierarchy_has_the_teeth_beside_the_scan(scene):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    labels = label_map()
    scan = volumes.node_of(scene, labels, "scan")
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
    hierarchy.CreateItem(study, scan)
    node = teeth.write_teeth(scene, dentition_of(labels), scan)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study


# Edits


def test_an_edit_reshapes_one_tooth_and_leaves_the_others_alone(scene):
    scan, node = case(scene)
    before = {one: surface(node, one) for one in segments(node)}
    stamps = {one: poly.GetMTime() for one, poly in before.items()}
    grown = np.zeros((3, 5, 3), np.uint8)
    grown[...] = 36
    touched = teeth.apply_edit(node, scan, Edit((slice(9, 12), slice(8, 13), slice(15, 18)), grown))  # to the border
    assert touched == (36,)
    expected = label_map().array
    expected[9:12, 8:13, 15:18] = 36
    assert np.array_equal(teeth.read_labels(node, scan), expected)
    for one in ("tooth_13", "tooth_61"):
        assert surface(node, one) is before[one] and surface(node, one).GetMTime() == stamps[one]
    right = max(point[0] for point in vtk_to_numpy(surface(node, "tooth_36").GetPoints().GetData()) * LPS_RAS)
    assert right > -20 + 16.5 * 0.3
    assert teeth.evidence_of(node, 36).second_fdi == 37


def test_no_surfaces_are_made_where_3d_is_off(scene):
    scan, node = case(scene)
    node.RemoveClosedSurfaceRepresentation()
    teeth.apply_edit(node, scan, renumber(label_map().array, {36: 37}))
    assert surface(node, "tooth_37") is None and surface(node, "tooth_13") is None
    assert (teeth.read_labels(node, scan) == 37).sum() == 90


def test_views_and_the_save_dialog_hear_of_an_edit(scene, tmp_path):
    scan, node = case(scene)
    heard = []
    for event in ("SourceRepresentationModified", "RepresentationModified", "SegmentAdded", "SegmentRemoved"):
        node.AddObserver(getattr(slicer.vtkSegmentation, event), lambda *_, event=event: heard.append(event))
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(str(tmp_path / "teeth.seg.nrrd"))
    assert node.GetStorageNode().WriteData(node) and not node.GetModifiedSinceRead()
    smaller = label_map().array[BOXES[36]].copy()
    smaller[1, 2, 3] = 0
    teeth.apply_edit(node, scan, Edit(BOXES[36], smaller))
    assert {"SourceRepresentationModified", "RepresentationModified"} <= set(heard)
    assert node.GetModifiedSinceRead()


def test_an_edit_that_changes_nothing_is_no_step(scene):
    scan, node = case(scene)
    assert teeth.apply_edit(node, scan, Edit(BOXES[13], label_map().array[BOXES[13]])) == ()
    assert not teeth.can_undo(node) and not teeth.undo(node)


def test_numbers_that_are_no_teeth_are_refused(scene):
    scan, node = case(scene)
    with pytest.raises(UsageError, match="99 is no tooth"):
        teeth.apply_edit(node, scan, Edit(BOXES[13], np.full((4, 2, 3), 99, np.uint8)))
    assert np.array_equal(teeth.read_labels(node, scan), label_map().array)


def test_renumbering_changes_everything_that_says_so(scene):
    scan, node = case(scene, notation="universal")
    teeth.set_state(node, 36, "completed")
    assert teeth.apply_edit(node, scan, renumber(label_map().array, {36: 37})) == (36, 37)
    assert list(segments(node)) == ["tooth_13", "tooth_37", "tooth_61"]
    segment = segments(node)["tooth_37"]
    assert segment.GetName() == "Tooth #18"
    assert segment.GetLabelValue() == 37
    assert segment.GetColor() == pytest.approx(tooth(37).colour)
    assert tooth(37).code in terminology_of(segment)
    assert teeth.states(node)[37] == "completed"
    known = teeth.evidence_of(node, 37)
    assert (known.confidence, known.second_fdi, known.flags) == (None, None, (UNUSUAL_VOLUME,))
    assert surface(node, "tooth_37").GetNumberOfPolys() > 0


def test_swapping_two_numbers(scene):
    scan, node = case(scene)
    teeth.set_state(node, 13, "flagged")
    teeth.apply_edit(node, scan, renumber(label_map().array, {13: 36, 36: 13}))
    labels = teeth.read_labels(node, scan)
    assert (labels[BOXES[13]] == 36).all() and (labels[BOXES[36]] == 13).all()
    assert teeth.states(node) == {13: "not_started", 36: "flagged", 61: "not_started"}
    assert teeth.evidence_of(node, 36).confidence is None
    np.testing.assert_allclose(teeth.centre_ras(node, 13), middle_of(label_map(), 36), atol=1e-6)


def test_undo_and_redo_bring_back_voxels_segments_and_what_was_known(scene):
    scan, node = case(scene)
    maps = [teeth.read_labels(node, scan)]
    for edit in (
        Edit((slice(0, 2), slice(3, 5), slice(4, 7)), np.full((2, 2, 3), 13, np.uint8)),
        remove_tooth(maps[0], 36),
        Edit((slice(0, 3),) * 3, np.full((3, 3, 3), 48, np.uint8)),
    ):
        teeth.apply_edit(node, scan, edit)
        maps.append(teeth.read_labels(node, scan))
    assert list(segments(node)) == ["tooth_13", "tooth_48", "tooth_61"]
    for labels in maps[-2::-1]:
        assert teeth.undo(node)
        assert np.array_equal(teeth.read_labels(node, scan), labels)
    assert not teeth.can_undo(node)
    assert list(segments(node)) == ["tooth_13", "tooth_36", "tooth_61"]
    assert teeth.evidence_of(node, 36).confidence == 0.61
    assert surface(node, "tooth_36").GetNumberOfPolys() > 0
    for labels in maps[1:]:
        assert teeth.redo(node)
        assert np.array_equal(teeth.read_labels(node, scan), labels)
    assert not teeth.can_redo(node)
    teeth.undo(node)
    teeth.apply_edit(node, scan, remove_tooth(teeth.read_labels(node, scan), 61))
    assert not teeth.can_redo(node)


def test_undo_does_not_take_a_later_brush_stroke_along(scene):
    scan, node = case(scene)
    teeth.apply_edit(node, scan, remove_tooth(label_map().array, 36))
    paint(scene, node, scan, "tooth_13", (slice(8, 9), slice(9, 10), slice(11, 13)))
    teeth.undo(node)
    labels = teeth.read_labels(node, scan)
    assert (labels[8, 9, 11:13] == 13).all()
    assert (labels == 36).sum() == 90 - 2


@pytest.mark.slow
def test_writing_28_teeth_and_editing_one_is_quick(scene):
    array = np.zeros((150, 140, 260), np.uint8)
    z, y, x = np.ogrid[-34:35, -14:15, -14:15]
    ball = (x / 13) ** 2 + (y / 13) ** 2 + (z / 34) ** 2 <= 1
    for fdi in (fdi for fdi in PERMANENT if fdi % 10 < 8):
        one = tooth(fdi)
        side = -1 if one.side == "right" else 1
        angle = 0.22 * (one.position - 0.5)
        at = (
            110 if one.jaw == "upper" else 40,
            16 + round(110 * (1 - np.cos(angle))),
            130 + round(side * 110 * np.sin(angle)),
        )
        part = array[
            tuple(slice(middle - half, middle + half + 1) for middle, half in zip(at, (34, 14, 14), strict=True))
        ]
        part[ball & (part == 0)] = fdi
    labels = Volume(array, (0.3, 0.3, 0.3))
    found = tuple(FoundTooth(fdi, 0.9, 1.0, (0, 0, 0)) for fdi in np.unique(array)[1:].tolist())
    assert len(found) == 28
    scan = volumes.node_of(scene, labels, "scan")
    # Processor time: wall time would include other work of this computer.
    start = time.process_time()
    node = teeth.write_teeth(scene, Dentition(labels, found), scan)
    written = time.process_time() - start
    edit = remove_tooth(array, 16)
    edit.labels[:, :, :5] = np.where(array[edit.box][:, :, :5] == 16, 16, edit.labels[:, :, :5])
    start = time.process_time()
    assert teeth.apply_edit(node, scan, edit) == (16,)
    edited = time.process_time() - start
    assert written < 2.0 and edited < 0.4


# Painting by users, and segmentations of other programs


@pytest.mark.parametrize("overlap", [False, True])
def test_brush_strokes_are_read_and_kept(scene, overlap):
    scan, node = case(scene)
    box = (slice(7, 9), slice(8, 10), slice(10, 12))  # within tooth 36
    paint(scene, node, scan, "tooth_13", box, overlap)
    assert node.GetSegmentation().GetNumberOfLayers() == (2 if overlap else 1)
    expected = label_map().array
    expected[box] = 13
    assert np.array_equal(teeth.read_labels(node, scan), expected)
    teeth.apply_edit(node, scan, remove_tooth(expected, 61))
    expected[BOXES[61]] = 0
    assert np.array_equal(teeth.read_labels(node, scan), expected)
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    assert teeth.evidence_of(node, 13).confidence == 0.98
    teeth.undo(node)
    expected[BOXES[61]] = 61
    assert np.array_equal(teeth.read_labels(node, scan), expected)


def test_segments_of_the_user_stay(scene):
    scan, node = case(scene)
    node.GetSegmentation().AddEmptySegment("jaw", "Mandible")
    jaw = (slice(8, 12), slice(2, 9), slice(9, 14))  # over a part of tooth 36
    paint(scene, node, scan, "jaw", jaw, overlap=True)
    assert teeth.ignored(node) == ("Mandible",)
    teeth.apply_edit(node, scan, renumber(teeth.read_labels(node, scan), {13: 14}))
    teeth.write_teeth(scene, dentition_of(label_map()), scan, node=node)
    assert np.array_equal(teeth.read_labels(node, scan), label_map().array)
    image = slicer.vtkOrientedImageData()
    assert node.GetBinaryLabelmapRepresentation("jaw", image)
    assert (vtk_to_numpy(image.GetPointData().GetScalars()) > 0).sum() == 4 * 7 * 5
    assert surface(node, "jaw").GetNumberOfPolys() > 0


def test_segments_that_share_the_layer_of_the_teeth_get_their_own(scene):
    scan, node = case(scene)
    for identity, first in (("jaw", 10), ("canal", 0)):
        node.GetSegmentation().AddEmptySegment(identity, identity)
        paint(scene, node, scan, identity, (slice(first, first + 2), slice(2, 5), slice(3, 14)))
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    teeth.apply_edit(node, scan, remove_tooth(label_map().array, 13))
    assert node.GetSegmentation().GetNumberOfLayers() == 2
    values = {segments(node)[one].GetLabelValue() for one in ("jaw", "canal")}
    voxels = vtk_to_numpy(segments(node)["jaw"].GetRepresentation("Binary labelmap").GetPointData().GetScalars())
    assert [int((voxels == value).sum()) for value in values] == [2 * 3 * 11] * 2
    assert set(np.unique(voxels)) == {0, *values}  # no leftover values of teeth
    assert (teeth.read_labels(node, scan) == 36).sum() == 90


def foreign(scene, rows: dict[str, tuple[str, int]]):
    """A segmentation of another program: a segment per tooth, its own id, name and label value; a scan beside it."""
    labels = label_map(OBLIQUE)
    scan = volumes.node_of(scene, labels, "scan")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "theirs")
    node.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    for (identity, (name, value)), fdi in zip(rows.items(), BOXES, strict=True):
        taken = slicer.vtkSlicerSegmentationsModuleLogic.CreateOrientedImageDataFromVolumeNode(scan)
        taken.UnRegister(None)
        voxels = vtk_to_numpy(taken.GetPointData().GetScalars()).reshape(labels.array.shape)
        voxels[...] = value * (labels.array == fdi)
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetLabelValue(value)
        segment.AddRepresentation("Binary labelmap", taken)
        node.GetSegmentation().AddSegment(segment, identity)
    return scan, node


@pytest.mark.parametrize(
    "rows",
    [
        {"Segment_1": ("Tooth 13", 1), "Segment_2": ("tooth_36", 1), "Segment_3": ("61", 1)},
        {"a": ("Tooth #6", 1), "b": ("Tooth #19", 2), "c": ("Tooth #F", 3)},
        {"a": ("3⏌", 1), "b": ("⎾6", 2), "c": ("⎿A", 3)},
        {"a": ("jake", 13), "b": ("elwood", 36), "c": ("gato", 61)},
        {
            "upper_right_canine_fdi13": ("Canine tooth, right", 13),
            "lower_left_first_molar_fdi36": ("Molar tooth, left", 32),
            "x": ("Upper-left central incisor (baby)", 38),
        },
    ],
    ids=["fdi", "universal", "palmer", "values", "other programs"],
)
def test_teeth_that_others_made(scene, rows):
    scan, node = foreign(scene, rows)
    assert np.array_equal(teeth.read_labels(node, scan), label_map().array)
    assert teeth.ignored(node) == ()
    assert teeth.corrected(node) == (13, 36, 61)
    names = [name for name, _ in rows.values()]
    teeth.apply_edit(node, scan, remove_tooth(label_map().array, 13))
    assert {one: (s.GetName(), s.GetLabelValue()) for one, s in segments(node).items()} == {
        "tooth_36": (names[1], 36),
        "tooth_61": (names[2], 61),
    }
    assert tooth(36).code in terminology_of(segments(node)["tooth_36"])
    assert (teeth.read_labels(node, scan) == 36).sum() == 90
    assert node.GetSegmentation().GetNumberOfLayers() == 1


def test_doubts_about_teeth_that_others_made(scene):
    _, own = case(scene)
    assert teeth.numbering_warnings(own) == ()
    for third in ("elwood", "Mandible"):
        _, node = foreign(scene, {"a": ("Tooth 6", 1), "b": ("Tooth 19", 2), "c": (third, 3)})
        (line,) = teeth.numbering_warnings(node)
        assert "does not tell its teeth, as numbers in its names are no FDI numbers (6, 19)" in line
        assert "'Tooth #14' (Universal)" in line
    assert teeth.ignored(node) == ("Tooth 6", "Tooth 19", "Mandible")
    # The second box lies to the patient's left of the first one.
    _, node = foreign(scene, {"a": ("Tooth 23", 1), "b": ("Tooth 13", 2), "c": ("Tooth 46", 3)})
    (line,) = teeth.numbering_warnings(node)
    assert "do not fit where its teeth lie" in line and "--labels-are" not in line


def test_only_the_user_can_tell_how_some_teeth_are_numbered(scene):
    _, own = case(scene)
    assert teeth.numberings(own) == ()
    scan, node = foreign(scene, {"a": ("Tooth 6", 1), "b": ("Tooth 19", 2), "c": ("Tooth 30", 3)})
    before = [teeth.layers.view(image).copy() for image, _ in teeth.layers.layers(node.GetSegmentation())]
    assert teeth.numberings(node) == ("universal",)
    teeth.number_as(node, "universal")
    assert [one.GetName() for one in segments(node).values()] == ["Tooth 13", "Tooth 36", "Tooth 46"]
    assert tooth(46).code in terminology_of(segments(node)["c"])
    assert teeth.numberings(node) == () and "does not tell" not in "".join(teeth.numbering_warnings(node))
    assert set(np.unique(teeth.read_labels(node, scan))) == {0, 13, 36, 46}
    after = [teeth.layers.view(image) for image, _ in teeth.layers.layers(node.GetSegmentation())]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    # A running index without names is TotalSegmentator's. Its first 8 numbers are those of FDI and need no question.
    _, node = foreign(scene, {"a": ("x", 40), "b": ("y", 41), "c": ("z", 20)})
    assert "totalsegmentator" in teeth.numberings(node)
    # Jaws alone are no teeth, however they are numbered.
    _, node = foreign(scene, {"a": ("Mandible", 1), "b": ("Maxilla", 2), "c": ("Skull", 3)})
    assert teeth.numberings(node) == ()


def test_a_tooth_that_the_user_starts_to_paint(scene):
    scan, node = case(scene)
    identity = node.GetSegmentation().AddEmptySegment("Segment_1", "Tooth 48")
    assert next(place for place in chart.chart(node) if place.fdi == 48).present
    with pytest.raises(UsageError, match="Nothing is left of tooth 48"):
        teeth.centre_ras(node, 48)
    teeth.apply_edit(node, scan, remove_tooth(label_map().array, 13))
    assert list(segments(node)) == ["tooth_36", "tooth_48", "tooth_61"]
    paint(scene, node, scan, "tooth_48", (slice(0, 2),) * 3)
    assert identity and (teeth.read_labels(node, scan) == 48).sum() == 8
    teeth.apply_edit(node, scan, renumber(teeth.read_labels(node, scan), {48: 47}))
    assert surface(node, "tooth_47").GetNumberOfPolys() > 0


def test_segments_that_tell_no_tooth_are_left_out(scene):
    scan, node = foreign(scene, {"a": ("Mandible", 1), "b": ("Tooth 36", 2), "c": ("Canal", 3)})
    labels = teeth.read_labels(node, scan)
    assert np.array_equal(labels, np.where(label_map().array == 36, 36, 0))
    assert teeth.ignored(node) == ("Mandible", "Canal")
    with pytest.raises(UsageError, match="no tooth 13 in 'theirs'"):
        teeth.centre_ras(node, 13)


def test_a_tooth_that_the_user_gave_another_name_is_that_tooth(scene):
    scan, node = case(scene)
    segments(node)["tooth_36"].SetName("Tooth 46")
    assert set(np.unique(teeth.read_labels(node, scan))) == {0, 13, 46, 61}
    assert teeth.corrected(node) == (36,)
    teeth.apply_edit(node, scan, remove_tooth(teeth.read_labels(node, scan), 61))
    assert sorted(segments(node)) == ["tooth_13", "tooth_46"]
    assert tooth(46).code in terminology_of(segments(node)["tooth_46"])
    assert segments(node)["tooth_46"].GetColor() == pytest.approx(tooth(46).colour)


def test_teeth_that_came_as_surfaces(scene):
    scan, node = case(scene)
    theirs = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "surfaces")
    theirs.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    theirs.GetSegmentation().SetSourceRepresentationName("Closed surface")
    assert theirs.AddSegmentFromClosedSurfaceRepresentation(surface(node, "tooth_36"), "Tooth 36", [1, 0, 0], "x")
    found = teeth.read_labels(theirs, scan) == 36
    true = label_map().array == 36
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.6  # Slicer's conversions shrink so small a body
    teeth.apply_edit(theirs, scan, Edit(BOXES[13], label_map().array[BOXES[13]]))
    assert (teeth.read_labels(theirs, scan) == 13).sum() == 24


# Work of the user or of the program


def test_work_of_the_user_is_known(scene):
    scan, node = case(scene)
    assert teeth.corrected(node) == ()
    teeth.apply_edit(node, scan, renumber(label_map().array, {13: 14}))
    assert teeth.corrected(node) == (13, 14)
    teeth.undo(node)
    assert teeth.corrected(node) == ()
    paint(scene, node, scan, "tooth_61", (slice(0, 1), slice(0, 1), slice(0, 2)))
    assert teeth.corrected(node) == (61,)
    node.GetSegmentation().RemoveSegment("tooth_13")
    assert teeth.corrected(node) == (13, 61)


def test_running_again_replaces_the_teeth_and_can_be_undone(scene):
    scan, node = case(scene)
    teeth.set_state(node, 13, "completed")
    teeth.apply_edit(node, scan, remove_tooth(label_map().array, 36))
    by_hand = teeth.read_labels(node, scan)
    node.GetDisplayNode().SetSegmentVisibility("tooth_13", False)
    assert teeth.write_teeth(scene, dentition_of(label_map()), scan, node=node) is node
    assert np.array_equal(teeth.read_labels(node, scan), label_map().array)
    assert teeth.corrected(node) == () and teeth.states(node)[13] == "not_started"
    assert not node.GetDisplayNode().GetSegmentVisibility("tooth_13")
    teeth.undo(node)
    assert np.array_equal(teeth.read_labels(node, scan), by_hand)
    assert list(segments(node)) == ["tooth_13", "tooth_61"]
    teeth.write_teeth(scene, dentition_of(label_map()), scan, node=node, labels="position")
    assert list(segments(node)) == ["position_1", "position_3", "position_6"]
    assert not teeth.can_undo(node)


def test_states_are_those_of_slicers_segment_table(scene):
    _, node = case(scene)
    teeth.set_state(node, 36, "flagged")
    teeth.set_state(node, 13, "completed")
    assert tag(segments(node)["tooth_36"], "Segmentation.Status") == "flagged"
    slicer.vtkSlicerSegmentationsModuleLogic.SetSegmentStatus(segments(node)["tooth_61"], 1)
    assert teeth.states(node) == {13: "completed", 36: "flagged", 61: "in_progress"}
    teeth.set_state(node, 13, "not_started")
    assert teeth.states(node)[13] == "not_started"


# Files


def described(node) -> dict:
    return {
        identity: (
            segment.GetName(),
            segment.GetLabelValue(),
            tuple(np.round(segment.GetColor(), 4)),
            terminology_of(segment),
            teeth.evidence_of(node, teeth.fdi_of(identity)),
        )
        for identity, segment in segments(node).items()
    }


@pytest.mark.parametrize("direction", [OBLIQUE, LEFT_HANDED], ids=["oblique", "left-handed"])
@pytest.mark.parametrize("cropped", [False, True])
def test_seg_nrrd_keeps_everything(new_slicer_scene, scene, tmp_path, direction, cropped):
    scan, node = case(scene, direction, notation="palmer")
    teeth.set_state(node, 36, "flagged")
    expected = described(node)
    node.AddDefaultStorageNode()
    storage = node.GetStorageNode()
    storage.SetCropToMinimumExtent(cropped)
    storage.SetFileName(str(tmp_path / "teeth.seg.nrrd"))
    assert storage.WriteData(node)
    logic = new_slicer_scene.modules.segmentations.logic()
    again = logic.LoadSegmentationFromFile(str(tmp_path / "teeth.seg.nrrd"), True)
    assert described(again) == expected
    assert np.array_equal(teeth.read_labels(again, scan), label_map().array)
    assert teeth.states(again)[36] == "flagged" and teeth.corrected(again) == ()
    teeth.apply_edit(again, scan, remove_tooth(label_map().array, 13))
    assert (teeth.read_labels(again, scan) == 36).sum() == 90
    ours = read_labels(tmp_path / "teeth.seg.nrrd")  # our own reader, without Slicer
    assert sorted(np.unique(ours.array)) == [0, 13, 36, 61]
    np.testing.assert_allclose(middle_of(ours, 36), middle_of(label_map(direction), 36), atol=1e-6)


def test_seg_nrrd_of_the_command_line(new_slicer_scene, scene, tmp_path):
    labels = label_map(LEFT_HANDED)
    write_labels(tmp_path / "teeth.seg.nrrd", labels)
    scan = volumes.node_of(scene, labels, "scan")
    logic = new_slicer_scene.modules.segmentations.logic()
    node = logic.LoadSegmentationFromFile(str(tmp_path / "teeth.seg.nrrd"), True)
    assert np.array_equal(teeth.read_labels(node, scan), labels.array)
    assert [place.fdi for place in chart.chart(node) if place.present] == [13, 36, 61]


def test_mrb_keeps_everything(scene, tmp_path):
    scan, node = case(scene, OBLIQUE, notation="universal")
    transform = put_under(scene, scan, moved())
    node.SetAndObserveTransformNodeID(transform.GetID())
    teeth.set_state(node, 36, "completed")
    teeth.apply_edit(node, scan, remove_tooth(label_map().array, 61))
    expected, labels, place = described(node), teeth.read_labels(node, scan), teeth.centre_ras(node, 36)
    assert scene.WriteToMRB(str(tmp_path / "case.mrb"))
    other = SlicerScene()
    assert other.scene.ReadFromMRB(str(tmp_path / "case.mrb"), True)
    again = other.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    scan = other.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    assert described(again) == expected
    assert np.array_equal(teeth.read_labels(again, scan), labels)
    np.testing.assert_allclose(teeth.centre_ras(again, 36), place, atol=1e-4)
    assert teeth.states(again) == {13: "not_started", 36: "completed"}
    assert teeth.corrected(again) == (61,)


# Chart, tables, terminology


def test_chart_is_in_the_dentists_order(scene):
    _, node = case(scene)
    teeth.set_state(node, 13, "completed")
    node.GetDisplayNode().SetSegmentVisibility("tooth_36", False)
    places = chart.chart(node)
    order = [place.fdi for place in places]
    assert order[:16] == [18, 17, 16, 15, 14, 13, 12, 11, 21, 22, 23, 24, 25, 26, 27, 28]
    assert order[16:32] == [48, 47, 46, 45, 44, 43, 42, 41, 31, 32, 33, 34, 35, 36, 37, 38]
    assert order[32:] == [61]
    by_fdi = {place.fdi: place for place in places}
    assert by_fdi[13] == chart.ChartTooth(
        13, True, pytest.approx(tooth(13).colour), (), 0.98, None, done=True, visible=True
    )
    molar = by_fdi[36]
    assert (molar.flags, molar.confidence, molar.second_fdi) == ((UNCERTAIN_NUMBER, UNUSUAL_VOLUME), 0.61, 37)
    assert (molar.done, molar.visible) == (False, False)
    assert not by_fdi[37].present and by_fdi[37].colour == tooth(37).colour


def test_chart_of_nothing():
    assert [place.present for place in chart.chart(None)] == [False] * 32


def test_tags_that_somebody_spoilt_are_no_evidence(scene):
    _, node = case(scene)
    segments(node)["tooth_13"].SetTag(CONFIDENCE, "high")
    assert teeth.evidence_of(node, 13).confidence is None


def test_table_of_teeth(scene):
    rows = [
        {"fdi": 13, "universal": "6", "volume_mm3": 300.5, "flags": [], "centre": [1.5, 2.0], "sound": True},
        {"fdi": 36, "universal": "19", "volume_mm3": None, "flags": ["a", "b"], "centre": [3.0, 4.0]},
    ]
    node = tables.tooth_table(scene, rows)
    table = node.GetTable()
    assert [node.GetColumnName(n) for n in range(table.GetNumberOfColumns())] == list(rows[0])
    assert [node.GetCellText(1, n) for n in (0, 1, 3, 4, 5)] == ["36", "19", "a, b", "3.0, 4.0", ""]
    assert table.GetColumn(2).GetValue(0) == 300.5 and np.isnan(table.GetColumn(2).GetValue(1))
    assert tables.tooth_table(scene, rows[:1], node=node) is node and node.GetNumberOfRows() == 1


def test_slicer_knows_the_terminology(new_slicer_scene):
    logic = new_slicer_scene.modules.terminologies.logic()
    terminology.load(logic)
    terminology.load(logic)
    assert logic.IsTerminologyContextLoaded("TeethSeg")
    seen = set()
    for one in STRUCTURES.values():
        # Of several with one code (bridge and crown, extra teeth of four quadrants) the terminology has the first.
        first = one.code not in seen
        if one.kind != "pulp" and one.modifier is None and first:
            seen.add(one.code)
            entry = slicer.vtkSlicerTerminologyEntry()
            assert logic.FindTypeInTerminologyBy3dSlicerLabel("TeethSeg", one.key, entry)
            assert entry.GetTypeObject().GetCodeValue() == one.code.value
            assert entry.GetTypeObject().GetCodeMeaning() == one.code.meaning


@pytest.mark.parametrize("value", [16, 55, 116, 201, 203, 206, 209, 210])
def test_slicer_reads_the_entry_of_every_kind_of_structure(new_slicer_scene, value):
    logic = new_slicer_scene.modules.terminologies.logic()
    terminology.load(logic)
    one, entry = STRUCTURES[value], slicer.vtkSlicerTerminologyEntry()
    assert logic.DeserializeTerminologyEntry(terminology_entry(one), entry)
    assert entry.GetTypeObject().GetCodeValue() == one.code.value
    assert entry.GetTypeModifierObject().GetCodeMeaning() == (one.modifier.meaning if one.modifier else None)
    assert entry.GetRegionObject().GetCodeValue() == (one.region.value if one.region else None)
    if one.region is None:
        assert logic.UpdateEntryFromLoadedTerminologies(entry, ["TeethSeg"], [])
    segment = slicer.vtkSegment()
    segment.SetTag(segment.GetTerminologyEntryTagName(), terminology_entry(one))
    assert codes_of_entry(segment.GetTerminology()) == {
        "code": one.code, "modifier": one.modifier, "region": one.region
    }  # fmt: skip


def test_entries_of_our_segments_are_in_the_terminology(new_slicer_scene, scene):
    logic = new_slicer_scene.modules.terminologies.logic()
    terminology.load(logic)
    _, node = case(scene)
    for segment in segments(node).values():
        entry = slicer.vtkSlicerTerminologyEntry()
        assert logic.DeserializeTerminologyEntry(terminology_of(segment), entry)
        assert logic.UpdateEntryFromLoadedTerminologies(entry, ["TeethSeg"], [])


def test_terminology_file_is_what_the_script_writes():
    written = runpy.run_path(str(REPOSITORY / "scripts" / "terminology.py"))["text"]()
    assert terminology.file().read_text(encoding="utf-8") == written
    category, objects = json.loads(written)["SegmentationCodes"]["Category"]
    assert {one["CodeMeaning"] for one in objects["Type"]} == {"Implant", "Dental Prosthesis"}
    codes = [one["CodeValue"] for one in category["Type"]]
    assert len(codes) == len(set(codes))
    ours = {one["CodeValue"]: one["CodeMeaning"] for one in category["Type"] if "cid" in one}
    dicom = {}
    for cid in (4018, 4019):
        for keyword in cid_concepts[cid]["SCT"]:
            dicom |= {code: text for code, (text, lists) in concepts["SCT"][keyword].items() if cid in lists}
    assert ours == dicom
