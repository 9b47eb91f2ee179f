"""Clicks in views: which of them count, and the point of the patient that each one means."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import slicer
import vtk

from grids import rotation
from teethseg.mrml.level_of_detail import ReducedWhileMoving
from teethseg.mrml.picking import on_click, point_in_slice, point_on_surface

SIDE = 200  # pixels


@pytest.fixture
def interactor():
    made = vtk.vtkGenericRenderWindowInteractor()
    made.SetSize(SIDE, SIDE)
    return made


def mouse(interactor, event: str, x: int, y: int, shift: bool = False) -> None:
    interactor.SetEventInformation(x, y, 0, int(shift))
    interactor.InvokeEvent(event)


def click(interactor, x: int, y: int, moved: int = 0, shift: bool = False) -> None:
    mouse(interactor, "LeftButtonPressEvent", x, y, shift)
    mouse(interactor, "LeftButtonReleaseEvent", x + moved, y, shift)


def test_clicks_count_and_drags_and_clicks_with_shift_do_not(interactor):
    told = []
    tags = on_click(interactor, lambda at: None if at[0] < 10 else (*map(float, at), 0.0), told.append)
    click(interactor, 20, 30)
    click(interactor, 20, 30, moved=2)
    assert told == [(20.0, 30.0, 0.0), (22.0, 30.0, 0.0)]
    click(interactor, 20, 30, moved=10)  # the view was turned or zoomed
    click(interactor, 20, 30, shift=True)  # the view itself uses this click
    click(interactor, 5, 30)  # no point of the patient lies there
    mouse(interactor, "LeftButtonReleaseEvent", 20, 30)
    assert len(told) == 2
    for tag in tags:
        interactor.RemoveObserver(tag)
    click(interactor, 20, 30)
    assert len(told) == 2


def test_a_pixel_of_an_oblique_slice_is_its_point_of_the_patient(interactor):
    node = slicer.vtkMRMLSliceNode()
    node.SetDimensions(SIDE, SIDE, 1)
    node.SetFieldOfView(100.0, 100.0, 1.0)
    turned, place = rotation(), np.array([3.0, -20.0, 7.0])
    matrix = vtk.vtkMatrix4x4()
    for row in range(3):
        for column in range(3):
            matrix.SetElement(row, column, turned[row, column])
        matrix.SetElement(row, 3, place[row])
    node.GetSliceToRAS().DeepCopy(matrix)
    node.UpdateMatrices()
    for at, (right, up) in (((SIDE // 2, SIDE // 2), (0, 0)), ((150, 40), (25.0, -30.0))):
        expected = place + right * turned[:, 0] + up * turned[:, 1]
        assert np.allclose(point_in_slice(node, at), expected, atol=0.6)  # a pixel is 0.5 mm


@pytest.fixture
def ball():
    """A ball of 10 mm in a view from the front, and the view's renderer."""
    sphere, mapper, actor = vtk.vtkSphereSource(), vtk.vtkPolyDataMapper(), vtk.vtkActor()
    sphere.SetCenter(-20.0, 50.0, 5.0)
    sphere.SetRadius(10.0)
    sphere.SetThetaResolution(150)
    sphere.SetPhiResolution(150)
    mapper.SetInputConnection(sphere.GetOutputPort())
    mapper.Update()
    actor.SetMapper(mapper)
    window, renderer = vtk.vtkGenericOpenGLRenderWindow(), vtk.vtkRenderer()
    window.SetSize(SIDE, SIDE)
    window.AddRenderer(renderer)
    renderer.AddActor(actor)
    camera = renderer.GetActiveCamera()
    camera.SetFocalPoint(-20.0, 50.0, 5.0)
    camera.SetPosition(-20.0, 250.0, 5.0)
    camera.SetViewUp(0, 0, 1)
    renderer.ResetCameraClippingRange()
    return window, renderer, mapper


def test_a_click_on_a_surface_means_a_point_close_below_it(ball):
    _window, renderer, _mapper = ball
    point = point_on_surface(renderer, (SIDE // 2, SIDE // 2))
    assert np.allclose(point, (-20.0, 60.0, 5.0), atol=0.6)
    assert np.linalg.norm(np.subtract(point, (-20.0, 50.0, 5.0))) < 9.9
    assert point_on_surface(renderer, (2, 2)) is None


def test_surfaces_have_fewer_triangles_only_while_the_view_moves(ball, interactor):
    _window, renderer, mapper = ball
    drawn = []
    ReducedWhileMoving(interactor, renderer, functools.partial(drawn.append, "again"))

    def triangles() -> int:
        return mapper.GetInputDataObject(0, 0).GetNumberOfPolys()

    whole = triangles()
    mouse(interactor, "LeftButtonPressEvent", 100, 100)
    mouse(interactor, "MouseMoveEvent", 101, 100)
    assert triangles() == whole  # the press may still become a click
    mouse(interactor, "MouseMoveEvent", 120, 100)
    assert triangles() < 0.6 * whole and not drawn
    mouse(interactor, "LeftButtonReleaseEvent", 120, 100)
    assert triangles() == whole and drawn == ["again"]
    mouse(interactor, "MouseMoveEvent", 150, 100)  # no button is down
    assert triangles() == whole
