"""The head is straightened by a transform, and turned back."""

from __future__ import annotations

import numpy as np
import pytest

from arch_phantom import COARSE, TURNED, phantom, tooth_places
from teethseg.arch_views.arches import arches_of_teeth
from teethseg.arch_views.frame import dentition_frame, tooth_voxels
from teethseg.cascade.dentition import Dentition, FoundTooth
from teethseg.errors import UsageError
from teethseg.mrml import arch_nodes, head, volumes
from teethseg.mrml.teeth import read_labels, write_teeth


@pytest.fixture
def case(slicer_scene):
    slicer_scene.scene.Clear(0)
    turned = phantom(TURNED, step=COARSE)
    volume = volumes.node_of(slicer_scene.scene, turned.scan, "scan")
    found = tuple(FoundTooth(one.fdi, 0.9, 1.0, tuple(one.centre)) for one in tooth_voxels(turned.labels))
    return slicer_scene.scene, volume, write_teeth(slicer_scene.scene, Dentition(turned.labels, found), volume)


def labels(volume, teeth):
    return volumes.volume_of(volume).with_array(read_labels(teeth, volume))


def matrix_of(node) -> np.ndarray:
    matrix = volumes.to_vtk(np.zeros((4, 4)))
    node.GetMatrixTransformToParent(matrix)
    return volumes.to_numpy(matrix)


def tilt(volume, teeth) -> float:
    """Degrees by which the axes of the dentition differ from those of the scanner."""
    frame = dentition_frame(tooth_voxels(labels(volume, teeth)))
    return float(np.degrees(np.arccos(np.clip(np.diag(frame.axes), -1, 1))).max())


def test_the_occlusal_plane_becomes_level_and_the_midline_upright(case):
    scene, volume, teeth = case
    assert tilt(volume, teeth) > 10
    voxels = volume.GetImageData().GetPointData().GetScalars()
    head.straighten(scene, volume, labels(volume, teeth))
    assert tilt(volume, teeth) < 0.5
    assert teeth.GetParentTransformNode() is volume.GetParentTransformNode()
    assert volume.GetImageData().GetPointData().GetScalars() is voxels  # nothing is resampled
    with pytest.raises(UsageError, match="already"):
        head.straighten(scene, volume, labels(volume, teeth))


def test_it_is_turned_back_exactly(case):
    scene, volume, teeth = case
    before = volumes.volume_of(volume).affine
    head.straighten(scene, volume, labels(volume, teeth))
    assert np.abs(volumes.volume_of(volume).affine - before).max() > 1
    head.turn_back(scene, volume)
    np.testing.assert_array_equal(volumes.volume_of(volume).affine, before)
    assert teeth.GetParentTransformNode() is None
    assert not head.is_straight(volume) and scene.GetFirstNodeByClass("vtkMRMLLinearTransformNode") is None


def test_a_transform_that_was_there_is_copied_and_comes_back(case):
    scene, volume, teeth = case
    old = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "old")
    matrix = np.eye(4)
    matrix[:3, 3] = (11, -7, 30)
    old.SetMatrixTransformToParent(volumes.to_vtk(matrix))
    for node in (volume, teeth):
        node.SetAndObserveTransformNodeID(old.GetID())
    head.straighten(scene, volume, labels(volume, teeth))
    assert tilt(volume, teeth) < 0.5
    np.testing.assert_array_equal(matrix_of(old), matrix)
    head.turn_back(scene, volume)
    assert volume.GetParentTransformNode() is old and teeth.GetParentTransformNode() is old


def test_the_arches_go_along_and_other_scans_stay(case):
    scene, volume, teeth = case
    other = volumes.node_of(scene, phantom(step=COARSE).scan, "another patient")
    arches = arches_of_teeth(tooth_voxels(labels(volume, teeth)))
    arch_nodes.write_arches(scene, arches, volume)
    head.straighten(scene, volume, labels(volume, teeth))
    assert other.GetParentTransformNode() is None
    again = arch_nodes.read_arches(scene, volume)
    np.testing.assert_allclose(again.upper.curve.handles, arches.upper.curve.handles, atol=1e-4)
    np.testing.assert_allclose(again.frame.axes, np.eye(3), atol=0.01)
    arch_nodes.write_arches(scene, again, volume)
    once_more = arch_nodes.read_arches(scene, volume)
    np.testing.assert_allclose(once_more.upper.curve.handles, arches.upper.curve.handles, atol=1e-4)


def test_too_few_teeth_say_so(case):
    scene, volume, _teeth = case
    few = phantom(
        TURNED, without=(*tooth_places("upper"), *[fdi for fdi in tooth_places("lower") if fdi != 41]), step=COARSE
    )
    with pytest.raises(UsageError, match="too few teeth"):
        head.straighten(scene, volume, few.labels)
    assert volume.GetParentTransformNode() is None
