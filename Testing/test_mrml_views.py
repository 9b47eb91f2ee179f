"""Where slices and cameras look: at the teeth, at one of them, at the whole scan."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import slicer

from arch_phantom import COARSE, TURNED, phantom
from teethseg.anatomy import tooth
from teethseg.application.case import Case
from teethseg.application.relabelling import Relabelling
from teethseg.application.review_queue import ReviewQueue
from teethseg.application.view_navigation import ViewNavigation
from teethseg.arch_views.frame import tooth_voxels
from teethseg.cascade.dentition import UNCERTAIN_NUMBER, Dentition, FoundTooth
from teethseg.mrml import views, volumes

VIEWS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
SIZE = (420, 300)  # pixels of a slice view


@pytest.fixture
def navigation(slicer_scene):
    """A turned head in a scene with three slices and a camera, its teeth found by a run."""
    scene = slicer_scene.scene
    scene.Clear(0)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    for name, orientation in VIEWS.items():
        node = scene.CreateNodeByClass("vtkMRMLSliceNode")
        node.UnRegister(None)
        node.SetName(name)
        node.SetLayoutName(name)
        node = scene.AddNode(node)
        node.SetOrientation(orientation)
        node.SetDimensions(*SIZE, 1)
    scene.AddNewNodeByClass("vtkMRMLViewNode", "View1")
    scene.AddNewNodeByClass("vtkMRMLCameraNode", "Camera")
    head = phantom(TURNED, step=COARSE)
    case = Case(scene)
    review = ReviewQueue(case, Relabelling(case))
    navigation = ViewNavigation(case, review)
    navigation.case, navigation.review, navigation.head = case, review, head
    navigation.volume = volumes.node_of(scene, head.scan, "scan")
    case.show(navigation.volume, None)
    return navigation


def run(navigation, doubtful=()) -> None:
    """As a run ends."""
    voxels = tooth_voxels(navigation.head.labels)
    found = [
        FoundTooth(one.fdi, 0.9, 1.0, tuple(one.centre), None, flags=(UNCERTAIN_NUMBER,) if one.fdi in doubtful else ())
        for one in voxels
    ]
    navigation.case.take_result(
        Dentition(navigation.head.labels, tuple(found)),
        navigation.volume,
        None,
        {one.fdi for one in voxels},
        (),
        "fdi",
        True,
    )


def corners(head, fdi=None) -> np.ndarray:
    """RAS corners of the box around teeth."""
    points = np.concatenate([one.points for one in tooth_voxels(head.labels) if fdi in (None, one.fdi)])
    return np.array(list(product(*np.array([points.min(axis=0), points.max(axis=0)]).T))) * (-1, -1, 1)


def slices(navigation) -> list:
    return views.nodes_of(navigation.case.scene, "vtkMRMLSliceNode")


def in_view(node, points: np.ndarray) -> np.ndarray:
    """Where RAS points lie in a slice view: pixels (N, 2) from the lower left."""
    matrix = np.linalg.inv(volumes.to_numpy(node.GetXYToRAS()))
    return (np.column_stack([points, np.ones(len(points))]) @ matrix.T)[:, :2]


def filled(node, points: np.ndarray) -> float:
    """How much of a view's width or height a box takes, whichever is more; all of it must be in sight."""
    places = in_view(node, points)
    assert (places >= -1).all() and (places <= np.array(SIZE) + 1).all()
    return float((np.ptp(places, axis=0) / SIZE).max())


def camera(navigation):
    return views.nodes_of(navigation.case.scene, "vtkMRMLCameraNode")[0]


def test_after_a_run_the_views_are_at_the_teeth(navigation):
    run(navigation)
    points = corners(navigation.head)
    for node in slices(navigation):
        assert filled(node, points) > 0.6
    view = views.nodes_of(navigation.case.scene, "vtkMRMLViewNode")[0]
    assert not view.GetBoxVisible() and not view.GetAxisLabelsVisible()
    position, focus = np.array(camera(navigation).GetPosition()), np.array(camera(navigation).GetFocalPoint())
    assert np.linalg.norm(focus - points.mean(axis=0)) < 3
    assert position[1] - focus[1] > 50 and np.abs(position - focus)[[0, 2]].max() < 1e-6  # from the front
    assert tuple(camera(navigation).GetViewUp()) == (0, 0, 1)
    slope = np.abs(points - focus)[:, [0, 2]].max(axis=1) / np.abs(points - position)[:, 1]
    assert 0.5 < slope.max() / np.tan(np.radians(camera(navigation).GetViewAngle() / 2)) < 1


def test_after_a_run_the_first_question_is_chosen_and_the_slices_go_through_it(navigation):
    run(navigation, doubtful=(36,))
    assert navigation.case.selected == 36
    middle = corners(navigation.head, 36).mean(axis=0)
    for node in slices(navigation):
        matrix = volumes.to_numpy(node.GetSliceToRAS())
        assert abs((middle - matrix[:3, 3]) @ matrix[:3, 2]) < 2
        filled(node, corners(navigation.head))


def test_a_chosen_tooth_is_centred_and_a_second_click_goes_close(navigation, monkeypatch):
    monkeypatch.setattr("teethseg.application.view_navigation.TWICE_S", 1e6)  # a slow computer is not a slow user
    run(navigation)
    before = slices(navigation)[0].GetFieldOfView()
    navigation.choose(46)
    points = corners(navigation.head, 46)
    for node in slices(navigation):
        np.testing.assert_allclose(in_view(node, points.mean(axis=0)[None])[0], np.array(SIZE) / 2, atol=12)
    assert slices(navigation)[0].GetFieldOfView() == before
    navigation.choose(46)
    for node in slices(navigation):
        assert filled(node, points) > 0.4
    navigation.choose(11)
    assert navigation.case.selected == 11


def test_the_chosen_tooth_stands_out(navigation):
    run(navigation)
    display = navigation.case.teeth_node.GetDisplayNode()

    def bright() -> set[int]:
        ids = navigation.case.teeth_node.GetSegmentation().GetSegmentIDs()
        return {
            int(one[6:]) for one in ids if display.GetSegmentOpacity3D(one) == display.GetSegmentOpacity2DFill(one) == 1
        }

    everything = set(navigation.case.present())
    assert bright() == everything
    navigation.case.select(21)
    assert bright() == {21}
    navigation.case.select(22)
    assert bright() == {22}
    navigation.case.select(None)
    assert bright() == everything


def test_what_a_user_has_set_stays_while_no_tooth_is_chosen(navigation):
    run(navigation)
    display = navigation.case.teeth_node.GetDisplayNode()
    display.SetSegmentOpacity3D("tooth_11", 0.4)
    navigation.case.changed.emit()
    assert display.GetSegmentOpacity3D("tooth_11") == pytest.approx(0.4)


def test_the_whole_scan_comes_back(navigation):
    run(navigation)
    navigation.close_to(11)
    navigation.at_scan()
    bounds = np.array(views.box_of_volume(navigation.volume))
    for node in slices(navigation):
        assert filled(node, np.array(list(product(*bounds.T)))) > 0.95


def test_everything_goes_along_with_a_transform(navigation):
    run(navigation)
    matrix = np.eye(4)
    matrix[:3, 3] = (40, -25, 60)
    transform = navigation.case.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(volumes.to_vtk(matrix))
    for node in (navigation.volume, navigation.case.teeth_node):
        node.SetAndObserveTransformNodeID(transform.GetID())
    navigation.at_teeth()
    for node in slices(navigation):
        assert filled(node, corners(navigation.head) + matrix[:3, 3]) > 0.6


@pytest.mark.parametrize(("fdi", "absent", "near"), [(45, (45,), 2.0), (47, (47, 48), 9.0), (11, (11,), 4.0)])
def test_a_tooth_that_is_not_there_yet_is_looked_for_where_it_should_be(navigation, fdi, absent, near):
    there = [one for one in tooth_voxels(navigation.head.labels) if one.fdi in absent]
    navigation.head = phantom(TURNED, without=absent, step=COARSE)
    run(navigation)
    place = np.array(views.likely_place(navigation.case.teeth_node, fdi)) * (-1, -1, 1)
    middle = next(one.centre for one in there if one.fdi == fdi)
    assert np.linalg.norm(place - middle) < near + 8.0 * (tooth(fdi).position == 7)


def test_nothing_is_moved_where_there_is_nothing(navigation):
    before = [node.GetFieldOfView() for node in slices(navigation)]
    navigation.at_teeth()
    navigation.at_tooth(11)
    navigation.at_tooth(None)
    navigation.close_to(11)
    assert [node.GetFieldOfView() for node in slices(navigation)] == before
    navigation.at_scan()
    assert [node.GetFieldOfView() for node in slices(navigation)] != before


def test_another_scan_shows_itself_and_its_teeth_alone(navigation):
    run(navigation)
    first = navigation.case.teeth_node
    other = volumes.node_of(navigation.case.scene, navigation.head.scan, "another")
    navigation.case.show(other, None)
    navigation.case.take_result(Dentition(navigation.head.labels), other, None, (), (), "fdi", True)
    second = navigation.case.teeth_node
    composite = navigation.case.scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode", "Red")
    navigation.case.show(navigation.volume, first)
    assert first.GetDisplayNode().GetVisibility() and not second.GetDisplayNode().GetVisibility()
    assert composite.GetBackgroundVolumeID() == navigation.volume.GetID()
    navigation.case.show(other, second)
    assert second.GetDisplayNode().GetVisibility() and not first.GetDisplayNode().GetVisibility()
    assert composite.GetBackgroundVolumeID() == other.GetID()
