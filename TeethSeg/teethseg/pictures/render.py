"""Renderings of the surfaces of a dentition from five sides, without a window (EGL or OSMesa if there is no screen)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  # registers the drawing backend
from PIL import Image
from scipy.ndimage import distance_transform_edt
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkLogger
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkRenderingCore import (
    vtkActor,
    vtkLight,
    vtkPolyDataMapper,
    vtkRenderer,
    vtkRenderWindow,
    vtkWindowToImageFilter,
)

from ..anatomy import Tooth, tooth
from ..surfaces.triangles import arrays
from .canvas import save_png, write

OVERSAMPLING = 2
MOST_PIXELS_PER_MM = 25.0
MARGIN_MM = 3.0  # around each view
CAPTION = 26  # height in pixels
WHITE, INK, GREY = (255, 255, 255), (30, 30, 30), (110, 110, 110)
LIGHTS = (((-0.6, 0.8, 1.0), 0.75), ((0.9, 0.1, 0.8), 0.35), ((0.0, -0.6, 1.0), 0.15))  # seen from the camera


@dataclass(frozen=True)
class Side:
    """Viewing direction: LPS directions to the eye and upwards, and the jaws and sides of the teeth shown."""

    title: str
    eye: tuple[int, int, int]
    up: tuple[int, int, int]
    shown: frozenset[str]

    def shows(self, one: Tooth) -> bool:
        """Whether a tooth is shown."""
        return {one.jaw, one.side} <= self.shown

    @property
    def axes(self) -> np.ndarray:
        """Unit vectors in rows: to the right of the picture, upwards, to the eye."""
        return np.array([np.cross(self.up, self.eye), self.up, self.eye], dtype=float)


_ALL = frozenset({"upper", "lower", "right", "left"})
# By row of the picture. The right of the patient is on the left of the picture where both sides are shown.
SIDES = (
    (
        Side("right", (-1, 0, 0), (0, 0, 1), _ALL - {"left"}),
        Side("front", (0, -1, 0), (0, 0, 1), _ALL),
        Side("left", (1, 0, 0), (0, 0, 1), _ALL - {"right"}),
    ),
    (
        Side("upper", (0, 0, -1), (0, -1, 0), _ALL - {"lower"}),
        Side("lower", (0, 0, 1), (0, 1, 0), _ALL - {"upper"}),
    ),
)


def render_surfaces(
    surfaces: Mapping[int, vtkPolyData],
    path: str | os.PathLike,
    size: tuple[int, int] = (1200, 1000),
    *,
    numbers: bool = True,
) -> None:
    """Write a PNG of the teeth from the right, the front and the left, and of each jaw from its occlusal side.

    Parameters
    ----------
    surfaces : mapping of FDI number to vtkPolyData
        In LPS millimetres; may be empty.
    path : path
        The PNG file.
    size : (int, int)
        Width and largest height of the picture in pixels; all views have the same scale, as large as fits.
    numbers : bool
        Whether FDI numbers are written on the teeth.

    Raises
    ------
    TeethSegError
        If the file cannot be written.
    """
    points = {fdi: arrays(poly)[0] for fdi, poly in surfaces.items()}
    rows = [[_Place.of(side, points) for side in row if any(side.shows(tooth(fdi)) for fdi in points)] for row in SIDES]
    rows = [row for row in rows if row]
    if not rows:
        save_png(Image.new("RGB", size, WHITE), path)
        return
    width_mm = max(sum(place.size[0] for place in row) for row in rows)
    height_mm = sum(max(place.size[1] for place in row) for row in rows)
    scale = min(size[0] / width_mm, (size[1] - CAPTION * len(rows)) / height_mm, MOST_PIXELS_PER_MM)
    actors = {fdi: _actor(poly, tooth(fdi)) for fdi, poly in surfaces.items()}
    window = _window()
    strips = [_strip([_drawn(window, place, scale, actors, numbers) for place in row], size[0]) for row in rows]
    picture = Image.new("RGB", (size[0], sum(strip.height for strip in strips)), WHITE)
    top = 0
    for strip in strips:
        picture.paste(strip, (0, top))
        top += strip.height
    save_png(picture, path)


@dataclass(frozen=True)
class _Place:
    """The teeth shown from one side, and centre and size in mm of the box around them in the axes of the view."""

    side: Side
    teeth: tuple[int, ...]
    middle: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, side: Side, points: Mapping[int, np.ndarray]) -> _Place:
        teeth = tuple(fdi for fdi in points if side.shows(tooth(fdi)))
        seen = np.concatenate([points[fdi] for fdi in teeth]) @ side.axes.T
        low, high = seen.min(axis=0), seen.max(axis=0)
        return cls(side, teeth, (low + high) / 2, high - low + 2 * MARGIN_MM)


def _strip(views: list[Image.Image], width: int) -> Image.Image:
    """Views side by side, aligned at the bottom."""
    height = max(view.height for view in views)
    strip = Image.new("RGB", (width, height), WHITE)
    gap = (width - sum(view.width for view in views)) / (len(views) + 1)
    left = gap
    for view in views:
        strip.paste(view, (round(left), height - view.height))
        left += view.width + gap
    return strip


def _drawn(
    window: vtkRenderWindow, place: _Place, scale: float, actors: Mapping[int, vtkActor], numbers: bool
) -> Image.Image:
    """One view with numbers and caption, at a scale in pixels per mm."""
    size = round(place.size[0] * scale), round(place.size[1] * scale)
    renderer = _renderer(place, [actors[fdi] for fdi in place.teeth])
    pixels = _shot(window, renderer, (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING))
    view = Image.new("RGB", (size[0], size[1] + CAPTION), WHITE)
    view.paste(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    if numbers:
        with _flat({fdi: actors[fdi] for fdi in place.teeth}):
            number_of_pixel = _shot(window, renderer, size)[..., 0]
        for fdi in place.teeth:
            # In the middle of the visible part of the tooth, if it is large enough.
            room = distance_transform_edt(np.pad(number_of_pixel == fdi, 1))
            row, column = np.unravel_index(room.argmax(), room.shape)
            if room[row, column] >= 7:
                write(view, (column, row), str(fdi), size=13, colour=INK, halo=WHITE)
    write(view, (size[0] / 2, size[1]), place.side.title, size=15, colour=GREY, anchor="mt")
    return view


def _window() -> vtkRenderWindow:
    verbosity = vtkLogger.GetCurrentVerbosityCutoff()
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)  # VTK warns of a missing screen although it works without one
    window = vtkRenderWindow()
    vtkLogger.SetStderrVerbosity(verbosity)
    window.SetOffScreenRendering(True)
    window.SetMultiSamples(0)
    return window


def _actor(poly: vtkPolyData, one: Tooth) -> vtkActor:
    mapper = vtkPolyDataMapper()
    mapper.SetInputData(poly)
    mapper.ScalarVisibilityOff()
    actor = vtkActor()
    actor.SetMapper(mapper)
    look = actor.GetProperty()
    look.SetColor(*(0.8 * np.array(one.colour) + 0.2))
    look.SetAmbient(0.15)
    look.SetDiffuse(0.85)
    look.SetSpecular(0.15)
    look.SetSpecularPower(25)
    return actor


@contextmanager
def _flat(actors: Mapping[int, vtkActor]) -> Iterator[None]:
    """Render each tooth in a flat grey level equal to its number, so that pixels identify the teeth."""
    looks = {fdi: actor.GetProperty() for fdi, actor in actors.items()}
    colours = {fdi: look.GetColor() for fdi, look in looks.items()}
    for fdi, look in looks.items():
        look.LightingOff()
        look.SetColor(fdi / 255, fdi / 255, fdi / 255)
    yield
    for fdi, look in looks.items():
        look.LightingOn()
        look.SetColor(*colours[fdi])


def _renderer(place: _Place, actors: list[vtkActor]) -> vtkRenderer:
    renderer = vtkRenderer()
    renderer.SetBackground(1, 1, 1)
    for actor in actors:
        renderer.AddActor(actor)
    for position, intensity in LIGHTS:
        light = vtkLight()
        light.SetLightTypeToCameraLight()
        light.SetPosition(position)
        light.SetIntensity(intensity)
        renderer.AddLight(light)
    camera = renderer.GetActiveCamera()
    focus = place.middle @ place.side.axes
    camera.SetFocalPoint(focus)
    camera.SetPosition(focus + 500 * np.array(place.side.eye))
    camera.SetViewUp(place.side.up)
    camera.ParallelProjectionOn()
    camera.SetParallelScale(place.size[1] / 2)
    renderer.ResetCameraClippingRange()
    return renderer


def _shot(window: vtkRenderWindow, renderer: vtkRenderer, size: tuple[int, int]) -> np.ndarray:
    """Pixels (rows, columns, 3), uint8, of a rendering."""
    window.AddRenderer(renderer)
    window.SetSize(*size)
    window.Render()
    grab = vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.ShouldRerenderOff()
    grab.Update()
    window.RemoveRenderer(renderer)
    pixels = vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars())
    return np.ascontiguousarray(pixels.reshape(size[1], size[0], 3)[::-1])
