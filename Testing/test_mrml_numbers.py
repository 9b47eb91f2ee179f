"""Numbers beside the teeth, in slices and in 3D."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import slicer

from arch_phantom import COARSE, TURNED, phantom
from slicer_scene import SlicerScene
from teethseg.application.case import Case
from teethseg.application.tooth_numbers import ToothNumbers
from teethseg.arch_views.frame import tooth_voxels
from teethseg.cascade.dentition import Dentition, FoundTooth
from teethseg.mrml import numbers, volumes
from teethseg.mrml.teeth import write_teeth
from teethseg.mrml.views import nodes_of


class Later:
    """Stands in for a window that draws once the events of the scene are over; here, a test calls `run`."""

    def __init__(self):
        self._due: dict[int, partial] = {}

    def __call__(self, handler):
        return lambda *_event: self._due.__setitem__(id(handler), handler)

    def run(self) -> int:
        due, self._due = list(self._due.values()), {}
        for handler in due:
            handler()
        return len(due)


@pytest.fixture
def case(slicer_scene):
    """Teeth in a turned head, an axial and a sagittal slice through it, and a 3D view."""
    scene = slicer_scene.scene
    scene.Clear(0)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    for name, orientation in (("Red", "Axial"), ("Yellow", "Sagittal")):
        node = scene.CreateNodeByClass("vtkMRMLSliceNode")
        node.UnRegister(None)
        node.SetLayoutName(name)
        scene.AddNode(node).SetOrientation(orientation)
    scene.AddNewNodeByClass("vtkMRMLViewNode", "View1")
    case = Case(scene)
    case.head = phantom(TURNED, step=COARSE)
    volume = volumes.node_of(scene, case.head.scan, "scan")
    found = tuple(FoundTooth(one.fdi, 0.9, 1.0, tuple(one.centre)) for one in tooth_voxels(case.head.labels))
    case.show(volume, write_teeth(scene, Dentition(case.head.labels, found), volume))
    case.later = Later()
    case.numbers = ToothNumbers(case, case.later, case.later)
    case.numbers.show(True)
    case.later.run()
    yield case
    case.numbers.close()


def slice_of(case, name: str):
    return next(one for one in nodes_of(case.scene, "vtkMRMLSliceNode") if one.GetLayoutName() == name)


def written(case, view) -> dict[str, np.ndarray]:
    """Texts of a view and where they stand, RAS mm."""
    for markups in nodes_of(case.scene, "vtkMRMLMarkupsFiducialNode"):
        if view.GetID() in markups.GetDisplayNode().GetViewNodeIDs():
            count = markups.GetNumberOfControlPoints()
            return {
                markups.GetNthControlPointLabel(n): np.array(markups.GetNthControlPointPosition(n))
                for n in range(count)
            }
    return {}


def label_at(case, ras: np.ndarray) -> int:
    index = np.rint(case.head.labels.to_index(ras * (-1, -1, 1))).astype(int)
    return int(case.head.labels.array[tuple(index)])


def test_a_slice_has_the_numbers_of_the_teeth_that_it_cuts(case):
    red = slice_of(case, "Red")
    red.JumpSliceByCentering(*(case.head.lps([0.0, -18.0, 9.0]) * (-1, -1, 1)))
    case.later.run()
    found = written(case, red)
    assert {"11", "21"} <= set(found) and "41" not in found
    for text, place in found.items():
        assert label_at(case, place) == int(text)
        assert abs(place[2] - red.GetSliceToRAS().GetElement(2, 3)) < 1e-3  # in the plane
    assert set(written(case, slice_of(case, "Yellow"))) != set(found)


def test_numbers_follow_the_slice(case):
    red = slice_of(case, "Red")
    red.JumpSliceByCentering(*(case.head.lps([0.0, -18.0, 9.0]) * (-1, -1, 1)))
    case.later.run()
    upper = set(written(case, red))
    red.JumpSliceByCentering(*(case.head.lps([0.0, -18.0, -9.0]) * (-1, -1, 1)))
    case.later.run()
    assert {"31", "41"} <= set(written(case, red)) and not set(written(case, red)) & {"11", "21"} & upper
    red.JumpSliceByCentering(0, 0, 500)
    case.later.run()
    assert not written(case, red)


def test_scrolling_does_not_wait_for_numbers(case):
    """They are written once the user has paused; those of another slice are off the plane, so none is shown meanwhile."""
    case.numbers.close()
    at_rest = Later()
    numbers = ToothNumbers(case, case.later, at_rest)
    numbers.show(True)
    case.later.run()
    red = slice_of(case, "Red")
    for height in (9.0, 8.0, 7.0, -9.0):
        red.JumpSliceByCentering(*(case.head.lps([0.0, -18.0, height]) * (-1, -1, 1)))
        case.later.run()
    assert not {"31", "41"} & set(written(case, red))
    assert at_rest.run() == 1 and {"31", "41"} <= set(written(case, red))
    numbers.close()


def test_all_teeth_are_numbered_in_3d_outside_of_the_arch(case):
    found = written(case, nodes_of(case.scene, "vtkMRMLViewNode")[0])
    assert len(found) == 28
    centres = {str(one.fdi): one.centre * (-1, -1, 1) for one in tooth_voxels(case.head.labels)}
    middle = np.mean(list(centres.values()), axis=0)
    for text, place in found.items():
        assert np.linalg.norm((place - middle)[:2]) > np.linalg.norm((centres[text] - middle)[:2]) + 5
        assert np.linalg.norm(centres[text] - place) < 10


def test_they_follow_notation_and_hiding_and_can_be_switched_off(case):
    view = nodes_of(case.scene, "vtkMRMLViewNode")[0]
    case.rename("universal")
    case.later.run()
    assert "#8" in written(case, view) and "11" not in written(case, view)
    case.show_teeth({11: False})
    case.later.run()
    assert "#8" not in written(case, view)
    case.numbers.show(False)
    case.later.run()
    assert not nodes_of(case.scene, "vtkMRMLMarkupsFiducialNode")


def test_a_slice_that_only_zooms_is_not_written_again(case, monkeypatch):
    calls = []
    monkeypatch.setattr(numbers, "show_in_slice", lambda *arguments: calls.append(arguments))
    red = slice_of(case, "Red")
    red.SetFieldOfView(50, 50, 1)
    case.later.run()
    assert not calls
    red.SetSliceOffset(red.GetSliceOffset() + 1.0)
    case.later.run()
    assert len(calls) == 1


def test_they_lie_on_teeth_under_a_transform(case):
    matrix = np.eye(4)
    matrix[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    matrix[:3, 3] = (5, 6, 7)
    transform = case.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(volumes.to_vtk(matrix))
    case.teeth_node.SetAndObserveTransformNodeID(transform.GetID())
    red = slice_of(case, "Red")
    place = matrix[:3, :3] @ (case.head.lps([0.0, -18.0, 9.0]) * (-1, -1, 1)) + matrix[:3, 3]
    red.JumpSliceByCentering(*place)
    case.later.run()
    found = written(case, red)
    assert "11" in found
    for text, at in found.items():
        assert label_at(case, matrix[:3, :3].T @ (at - matrix[:3, 3])) == int(text)


def test_the_data_module_and_saved_scenes_know_nothing_of_them(case, slicer_scene, tmp_path):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(case.scene)
    for markups in nodes_of(case.scene, "vtkMRMLMarkupsFiducialNode"):
        assert not hierarchy.GetItemByDataNode(markups)
    assert case.scene.WriteToMRB(str(tmp_path / "case.mrb"))
    other = SlicerScene()
    assert other.scene.ReadFromMRB(str(tmp_path / "case.mrb"), True)
    assert not nodes_of(other.scene, "vtkMRMLMarkupsFiducialNode")
    other.close()
