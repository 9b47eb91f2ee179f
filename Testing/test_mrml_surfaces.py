"""Surfaces in the scene are made one by one while the user works, and kept; label values of Slicer's own exports."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from vtkmodules.util.numpy_support import vtk_to_numpy

from teethseg.application.surface_queue import SurfaceQueue
from teethseg.cascade.dentition import Dentition, FoundTooth
from teethseg.correction import remove_tooth, renumber, shift_numbers
from teethseg.mrml import surfaces, teeth, volumes
from teethseg.mrml.segments import LABELMAP, SURFACE
from teethseg.volume import Volume

PRESENT = (11, 12, 36, 37)


@pytest.fixture
def queue(new_slicer_scene):
    """The window gets its turn when the test calls `queue.turn()`."""
    turns = []
    queue = SurfaceQueue(new_slicer_scene.scene, lambda handler: lambda *_: turns.append(handler))

    def turn() -> None:
        while turns:
            turns.pop()()

    queue.turn = turn
    return queue


def case(new_slicer_scene):
    labels = np.zeros((14, 16, 60), np.uint8)
    for n, fdi in enumerate(PRESENT):
        labels[3 : 9 + n, 4:11, 12 * n + 3 : 12 * n + 11] = fdi
    scan = Volume(labels, (0.5, 0.4, 0.6), (3.0, -7.0, 11.0))
    node = volumes.node_of(new_slicer_scene.scene, scan, "scan")
    found = tuple(FoundTooth(fdi, 0.9, 1.0, (0, 0, 0)) for fdi in PRESENT)
    return node, teeth.write_teeth(new_slicer_scene.scene, Dentition(scan, found), node)


def points(node) -> dict[int, int]:
    """Points of each tooth's surface, 0 for one that is still to be made."""
    segmentation = node.GetSegmentation()
    return {
        int(one.removeprefix("tooth_")): segmentation.GetSegment(one).GetRepresentation(SURFACE).GetNumberOfPoints()
        for one in segmentation.GetSegmentIDs()
    }


def by_slicer(node) -> dict[int, int]:
    """Slicer's own surfaces of the same label map, all segments at once."""
    whole = slicer.vtkSegmentation()
    whole.DeepCopy(node.GetSegmentation())
    whole.RemoveRepresentation(SURFACE)
    whole.CreateRepresentation(SURFACE)
    return {
        int(one.removeprefix("tooth_")): whole.GetSegment(one).GetRepresentation(SURFACE).GetNumberOfPoints()
        for one in whole.GetSegmentIDs()
    }


def test_surfaces_come_later_and_are_those_that_slicer_makes(new_slicer_scene, queue):
    _, node = case(new_slicer_scene)
    assert set(points(node).values()) == {0} and queue.working
    # A 3D view asks for this when it is drawn: it must not make all surfaces at that moment.
    assert node.GetSegmentation().CreateRepresentation(SURFACE)
    assert set(points(node).values()) == {0}
    told, heavy = [], []
    node.AddObserver(slicer.vtkSegmentation.RepresentationModified, lambda *_: told.append(1))
    node.AddObserver(slicer.vtkSegmentation.SegmentModified, lambda *_: heavy.append(1))
    queue.turn()
    assert not queue.working and len(told) == len(PRESENT) and not heavy
    assert points(node) == by_slicer(node) and min(points(node).values()) > 100


def test_they_lie_where_the_teeth_lie(new_slicer_scene, queue):
    _, node = case(new_slicer_scene)
    queue.finish()
    segment = node.GetSegmentation().GetSegment("tooth_37")
    bounds = np.reshape(segment.GetRepresentation(SURFACE).GetBounds(), (3, 2))
    places = np.array([[39, 4, 3], [46, 10, 11]]) * [0.5, 0.4, 0.6] + [3.0, -7.0, 11.0]
    np.testing.assert_allclose(bounds.mean(axis=1), places.mean(axis=0) * [-1, -1, 1], atol=0.05)


def test_only_what_has_another_shape_is_made_again(new_slicer_scene, queue, monkeypatch):
    scan, node = case(new_slicer_scene)
    queue.turn()
    before = points(node)
    made = []
    convert = surfaces.converted
    monkeypatch.setattr(surfaces, "converted", lambda work, whole, one: made.append(1) or convert(work, whole, one))
    labels = teeth.read_labels(node, scan)
    teeth.apply_edit(node, scan, renumber(labels, {11: 21, 36: 37, 37: 36}))
    assert points(node) == {12: before[12], 21: before[11], 36: before[37], 37: before[36]}
    labels = teeth.read_labels(node, scan)
    teeth.apply_edit(node, scan, shift_numbers(labels, 36, 1))
    teeth.undo(node)
    teeth.undo(node)
    assert points(node) == before
    teeth.apply_edit(node, scan, remove_tooth(teeth.read_labels(node, scan), 12))
    teeth.undo(node)
    assert points(node) == before and not queue.working and not made


def test_an_old_surface_stays_until_the_new_one_is_there(new_slicer_scene, queue):
    scan, node = case(new_slicer_scene)
    queue.turn()
    labels = teeth.read_labels(node, scan)
    before = points(node)
    box = (slice(3, 6), slice(4, 11), slice(3, 11))
    teeth.apply_edit(node, scan, teeth.Edit(box, np.zeros_like(labels[box])))
    assert points(node) == before and surfaces.waiting(node) == ("tooth_11",)
    queue.turn()
    assert points(node) == by_slicer(node) and points(node)[11] < before[11]


def test_a_segmentation_that_leaves_the_scene_is_not_waited_for(new_slicer_scene, queue):
    _, node = case(new_slicer_scene)
    new_slicer_scene.scene.RemoveNode(node)
    queue.turn()
    assert not queue.working


def test_without_a_window_surfaces_are_there_at_once(new_slicer_scene):
    _, node = case(new_slicer_scene)
    assert points(node) == by_slicer(node)


def test_slicers_own_label_maps_have_fdi_numbers(new_slicer_scene):
    scan, node = case(new_slicer_scene)
    teeth.rename(node, "universal")
    table = node.GetLabelmapConversionColorTableNode()
    assert table.GetColorName(36) == "Tooth 36"
    out = new_slicer_scene.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "out")
    ids = node.GetSegmentation().GetSegmentIDs()
    assert slicer.vtkSlicerSegmentationsModuleLogic.ExportSegmentsToLabelmapNode(node, ids, out, scan, 0, table)
    values = vtk_to_numpy(out.GetImageData().GetPointData().GetScalars())
    assert set(np.unique(values)) == {0, *PRESENT}
    again = teeth.write_teeth(new_slicer_scene.scene, Dentition(volumes.volume_of(scan), ()), scan)
    assert again.GetLabelmapConversionColorTableNodeID() == table.GetID()  # one table for all


def test_a_saved_segmentation_holds_its_teeth_and_not_the_empty_room_around_them(new_slicer_scene, tmp_path):
    scan, node = case(new_slicer_scene)
    expected = teeth.read_labels(node, scan)
    storage = node.GetStorageNode()
    storage.SetFileName(str(tmp_path / "teeth.seg.nrrd"))
    assert storage.WriteData(node)
    back = new_slicer_scene.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "back")
    back.AddDefaultStorageNode()
    back.GetStorageNode().SetFileName(str(tmp_path / "teeth.seg.nrrd"))
    assert back.GetStorageNode().ReadData(back)
    np.testing.assert_array_equal(teeth.read_labels(back, scan), expected)
    held = back.GetSegmentation().GetSegment("tooth_11").GetRepresentation(LABELMAP)
    assert np.prod(held.GetDimensions()) < expected.size
