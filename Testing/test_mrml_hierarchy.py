"""The teeth in Slicer's Data module."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from slicer_scene import SlicerScene
from teethseg.cascade.dentition import Dentition, FoundTooth
from teethseg.correction.relabel import remove_tooth, renumber, shift_numbers
from teethseg.mrml import teeth, volumes
from teethseg.volume import Volume

PRESENT = (11, 17, 21, 36, 45, 46)


def dentition(numbers=PRESENT) -> Dentition:
    labels = np.zeros((8, 8, 4 * len(PRESENT)), np.uint8)
    for n, fdi in enumerate(numbers):
        labels[2:6, 2:6, 4 * n : 4 * n + 3] = fdi
    found = tuple(FoundTooth(fdi, 0.9, 1.0, (0, 0, 0)) for fdi in numbers)
    return Dentition(Volume(labels, (0.5, 0.5, 0.5), (0, 0, 0)), found)


@pytest.fixture
def case(new_slicer_scene):
    scan = volumes.node_of(new_slicer_scene.scene, dentition().labels, "scan")
    return new_slicer_scene, scan, teeth.write_teeth(new_slicer_scene.scene, dentition(), scan)


def shown(core: SlicerScene, node) -> list[str]:
    """Names below the segmentation; they must be those of its segments."""
    segmentation = node.GetSegmentation()
    found = core.hierarchy.children(node)
    assert found == {one: segmentation.GetSegment(one).GetName() for one in segmentation.GetSegmentIDs()}
    return [name.removeprefix("Tooth ").lstrip("#") for name in found.values()]


def test_teeth_are_there_at_once_in_dental_order(case):
    core, _, node = case
    assert shown(core, node) == ["11", "17", "21", "36", "45", "46"]


def test_the_segmentation_stands_beside_its_scan(new_slicer_scene):
    scan = volumes.node_of(new_slicer_scene.scene, dentition().labels, "scan")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(new_slicer_scene.scene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(scan), study)
    node = teeth.write_teeth(new_slicer_scene.scene, dentition(), scan)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study
    assert shown(new_slicer_scene, node) == ["11", "17", "21", "36", "45", "46"]


def test_edits_undo_and_redo_keep_the_order(case):
    core, scan, node = case

    def labels():
        return teeth.read_labels(node, scan)

    teeth.apply_edit(node, scan, remove_tooth(labels(), 21))
    assert shown(core, node) == ["11", "17", "36", "45", "46"]
    teeth.apply_edit(node, scan, renumber(labels(), {36: 14}))
    assert shown(core, node) == ["11", "14", "17", "45", "46"]
    teeth.apply_edit(node, scan, renumber(labels(), {45: 46, 46: 45}))
    assert shown(core, node) == ["11", "14", "17", "45", "46"]
    teeth.apply_edit(node, scan, shift_numbers(labels(), 45, 1))
    assert shown(core, node) == ["11", "14", "17", "46", "47"]
    for _ in range(4):
        teeth.undo(node)
    assert shown(core, node) == ["11", "17", "21", "36", "45", "46"]
    for _ in range(4):
        teeth.redo(node)
    assert shown(core, node) == ["11", "14", "17", "46", "47"]


def test_names_follow_the_notation(case):
    core, _, node = case
    teeth.rename(node, "universal")
    assert shown(core, node) == ["8", "2", "9", "19", "29", "30"]


def test_a_second_run_replaces_the_teeth_and_keeps_what_is_hidden(case):
    core, scan, node = case
    node.GetDisplayNode().SetSegmentVisibility("tooth_17", False)
    again = dentition((12, 17, 22, 35, 45, 48))
    assert teeth.write_teeth(core.scene, again, scan, node=node) is node
    assert shown(core, node) == ["12", "17", "22", "35", "45", "48"]
    assert not node.GetDisplayNode().GetSegmentVisibility("tooth_17")
    teeth.undo(node)
    assert shown(core, node) == ["11", "17", "21", "36", "45", "46"]


def test_other_segments_stay_below_the_teeth(case):
    core, scan, node = case
    node.GetSegmentation().AddEmptySegment("mine", "Jaw bone")
    teeth.write_teeth(core.scene, dentition((12, 36)), scan, node=node)
    assert shown(core, node) == ["12", "36", "Jaw bone"]


def test_teeth_that_others_made_are_put_in_order_by_the_first_edit(new_slicer_scene):
    scan = volumes.node_of(new_slicer_scene.scene, dentition().labels, "scan")
    ours = teeth.write_teeth(new_slicer_scene.scene, dentition(), scan)
    theirs = new_slicer_scene.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "theirs")
    theirs.CreateDefaultDisplayNodes()
    for name in reversed(ours.GetSegmentation().GetSegmentIDs()):
        theirs.GetSegmentation().CopySegmentFromSegmentation(ours.GetSegmentation(), name)
        segment = theirs.GetSegmentation().GetSegment(name)
        theirs.GetSegmentation().RemoveSegment(name)
        theirs.GetSegmentation().AddSegment(segment, f"theirs_{name}")
    assert shown(new_slicer_scene, theirs) == ["46", "45", "36", "21", "17", "11"]
    teeth.apply_edit(theirs, scan, remove_tooth(teeth.read_labels(theirs, scan), 36))
    assert shown(new_slicer_scene, theirs) == ["11", "17", "21", "45", "46"]


def test_a_read_segmentation_shows_its_teeth(case, tmp_path):
    core, _, node = case
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(str(tmp_path / "teeth.seg.nrrd"))
    assert node.GetStorageNode().WriteData(node)
    logic = core.modules.segmentations.logic()
    read = logic.LoadSegmentationFromFile(str(tmp_path / "teeth.seg.nrrd"), True, "read")
    teeth.prepare(read)
    assert shown(core, read) == ["11", "17", "21", "36", "45", "46"]


def test_a_saved_scene_shows_them_again(case, tmp_path):
    core, scan, node = case
    teeth.apply_edit(node, scan, remove_tooth(teeth.read_labels(node, scan), 11))
    teeth.undo(node)
    assert core.scene.WriteToMRB(str(tmp_path / "case.mrb"))
    other = SlicerScene()
    assert other.scene.ReadFromMRB(str(tmp_path / "case.mrb"), True)
    again = other.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    scan = other.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    assert shown(other, again) == ["11", "17", "21", "36", "45", "46"]
    teeth.apply_edit(again, scan, remove_tooth(teeth.read_labels(again, scan), 17))
    assert shown(other, again) == ["11", "21", "36", "45", "46"]
    assert not other.complaints()
    other.close()


def test_the_stand_in_complains_as_slicer_does(new_slicer_scene):
    """The stand-in once lacked this rule: the Data module misses a segmentation that is replaced without an event."""
    node = new_slicer_scene.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "teeth")
    new = slicer.vtkSegmentation()
    new.AddEmptySegment("one", "One")
    node.SetAndObserveSegmentation(new)
    assert new_slicer_scene.hierarchy.children(node) == {}
    new.RemoveSegment("one")
    assert "unable to find subject hierarchy item for segment one" in new_slicer_scene.complaints()[0]
    new_slicer_scene.forgive()
    # Removing an item removes its segment.
    new.AddEmptySegment("two", "Two")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(new_slicer_scene.scene)
    hierarchy.RemoveItem(hierarchy.GetItemByName("Two"))
    assert not new.GetNumberOfSegments()
