"""Grey windows, outlines and the crosshair, on a real scene without any window."""

from __future__ import annotations

import numpy as np
import pytest

from browser_cases import ball_case
from teethseg.application.case import Case
from teethseg.application.relabelling import Relabelling
from teethseg.application.review_queue import ReviewQueue
from teethseg.application.scan_display import ScanDisplay, window_titles
from teethseg.application.view_navigation import ViewNavigation
from teethseg.cascade.dentition import Dentition
from teethseg.mrml import views, volumes
from teethseg.mrml.teeth import write_teeth
from teethseg.window_level import WINDOWS


@pytest.fixture
def shown(slicer_scene):
    """A case with its display, and the node of its scan."""
    slicer_scene.scene.Clear(0)
    for name, kind in (("Red", "Axial"), ("Yellow", "Sagittal"), ("Green", "Coronal")):
        node = slicer_scene.scene.AddNewNodeByClass("vtkMRMLSliceNode", name)
        node.SetLayoutName(name)
        node.SetOrientation(kind)
    slicer_scene.scene.AddNewNodeByClass("vtkMRMLCrosshairNode")
    scan, labels = ball_case()
    case = Case(slicer_scene.scene)
    navigation = ViewNavigation(case, ReviewQueue(case, Relabelling(case)))
    display = ScanDisplay(case, navigation)
    volume = volumes.node_of(slicer_scene.scene, scan, "balls")
    case.show(volume, write_teeth(slicer_scene.scene, Dentition(labels), volume))
    return case, navigation, display


def black_and_white(case) -> tuple[float, float]:
    display = case.volume_node.GetDisplayNode()
    return display.GetWindowLevelMin(), display.GetWindowLevelMax()


def test_every_grey_window_has_a_title_and_the_one_that_was_chosen_stays_for_the_next_scan(shown, slicer_scene):
    case, _look, display = shown
    assert tuple(sorted(window_titles())) == tuple(sorted(WINDOWS))
    whole = (case.scan().array.min(), case.scan().array.max())
    display.show_window("Whole range")
    assert np.allclose(black_and_white(case), whole)
    display.show_window("Soft tissue")
    assert black_and_white(case)[1] < whole[1] / 2
    darker = ball_case()[0]
    case.show(volumes.node_of(slicer_scene.scene, darker.with_array(darker.array - 3000), "darker"), None)
    assert black_and_white(case)[1] < -1000


def test_teeth_are_outlines_in_slices_also_after_they_are_replaced(shown, slicer_scene):
    case, _look, display = shown
    assert case.teeth_node.GetDisplayNode().GetVisibility2DFill()
    display.show_outlines_only(True)
    assert not case.teeth_node.GetDisplayNode().GetVisibility2DFill()
    assert case.teeth_node.GetDisplayNode().GetVisibility2DOutline()
    case.show(case.volume_node, write_teeth(slicer_scene.scene, Dentition(ball_case()[1]), case.volume_node))
    assert not case.teeth_node.GetDisplayNode().GetVisibility2DFill()


def test_the_crosshair_is_where_the_views_look(shown, slicer_scene):
    _case, navigation, display = shown
    (node,) = views.nodes_of(slicer_scene.scene, "vtkMRMLCrosshairNode")
    navigation.through((5.0, -7.0, 3.0))
    display.show_crosshair(True)
    assert node.GetCrosshairMode() == node.ShowBasic
    assert np.allclose(node.GetCrosshairRAS(), (5.0, -7.0, 3.0), atol=1e-3)
    navigation.through((-18.0, 2.0, 6.0))
    assert np.allclose(node.GetCrosshairRAS(), (-18.0, 2.0, 6.0), atol=1e-3)
    display.show_crosshair(False)
    assert node.GetCrosshairMode() == node.NoCrosshair
