"""Points that clicks make, on a real scene without any window."""

from __future__ import annotations

import numpy as np
import pytest

from teethseg.application.clicked_points import ClickReceiver
from teethseg.application.placed_points import GREEN, RED


@pytest.fixture
def receiver(slicer_scene):
    slicer_scene.scene.Clear(0)
    return ClickReceiver(slicer_scene.scene)


def test_clicks_go_to_the_list_in_use_and_to_none_without(receiver):
    inside, outside = receiver.points("inside", GREEN), receiver.points("outside", RED)
    assert not receiver.click((1.0, 2.0, 3.0))
    inside.start()
    assert receiver.click((1.0, 2.0, 3.0)) and receiver.click((4.0, 5.0, 6.0))
    outside.start()
    assert (inside.placing, outside.placing) == (False, True)
    assert receiver.click((7.0, 8.0, 9.0))
    assert np.allclose(inside.points(), [(1, 2, 3), (4, 5, 6)]) and np.allclose(outside.points(), [(7, 8, 9)])
    outside.stop()
    assert not receiver.click((0.0, 0.0, 0.0)) and len(outside.points()) == 1


def test_every_change_is_reported_and_cleared_points_leave_the_scene(receiver):
    points, told = receiver.points("seed", GREEN), []
    points.changed.connect(lambda: told.append(len(points.points())))
    points.drop_last()  # there is nothing to drop
    points.start()
    receiver.click((1.0, 2.0, 3.0))
    receiver.click((4.0, 5.0, 6.0))
    points.drop_last()
    assert told == [1, 2, 1]
    assert receiver.scene.GetFirstNodeByName("seed") is not None
    points.clear()
    assert receiver.scene.GetFirstNodeByName("seed") is None and points.points() == [] and not points.placing


def test_a_list_goes_on_after_its_scene_was_cleared(receiver):
    points = receiver.points("seed", GREEN)
    points.start()
    receiver.click((1.0, 2.0, 3.0))
    receiver.scene.Clear(0)
    receiver.click((4.0, 5.0, 6.0))
    assert np.allclose(points.points(), [(4, 5, 6)])
