"""Pictures of panorama, cross-sections and arches with outlines, numbers, curves, marks and measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from ..arch_views.outlines import Outlines, label_place
from .canvas import BLACK, GREY, WHITE, Lines, Window, grey_levels, tooth_colour, write

YELLOW = (255, 214, 64)
CHOSEN = 3.2  # width of the chosen tooth's outline, pixels


@dataclass(frozen=True)
class Measure:
    """A measured line through points (N, 2) as (column, row), and its text."""

    points: np.ndarray
    text: str


@dataclass(frozen=True)
class Overlay:
    """Overlay of a view; all points are (column, row) in its pixels.

    Attributes
    ----------
    outlines : dict of int to list of ndarray (N, 2)
    texts : mapping of int to str
        Text at the outlines.
    chosen : int or None
        Tooth with a thicker outline.
    lines : sequence of ndarray (N, 2)
        Curves and places of sections.
    dots : ndarray, shape (N, 2)
        Points that can be dragged.
    here : (float, float) or None
        Crosshair of the slice views.
    measures : sequence of Measure
    """

    outlines: Outlines = field(default_factory=dict)
    texts: Mapping[int, str] = field(default_factory=dict)
    chosen: int | None = None
    lines: Sequence[np.ndarray] = ()
    dots: np.ndarray | None = None
    here: tuple[float, float] | None = None
    measures: Sequence[Measure] = ()


def picture(grey: np.ndarray, window: Window, scale: float, overlay: Overlay | None = None) -> Image.Image:
    """A view as an RGB image.

    Parameters
    ----------
    grey : ndarray, shape (rows, columns)
    window : (float, float)
    scale : float
        Image pixels per pixel of the view.
    overlay : Overlay, optional
    """
    size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
    image = Image.fromarray(grey_levels(grey, window)).resize(size, Image.Resampling.BILINEAR).convert("RGB")
    if overlay is not None:
        _draw(image, scale, overlay)
    return image


def side_by_side(images: Sequence[Image.Image], titles: Sequence[str], gap: int = 4) -> Image.Image:
    """Images in a row, each with a title below."""
    height = max(image.height for image in images)
    strip = Image.new("RGB", (sum(image.width + gap for image in images) - gap, height + 18), BLACK)
    left = 0
    for image, title in zip(images, titles, strict=True):
        strip.paste(image, (left, 0))
        write(strip, (left + image.width / 2, height + 9), title, size=12, colour=GREY)
        left += image.width + gap
    return strip


def _draw(image: Image.Image, scale: float, overlay: Overlay) -> None:
    lines = Lines(image.size)
    for fdi, outlines in overlay.outlines.items():
        for outline in outlines:
            lines.line(outline * scale, tooth_colour(fdi), width=CHOSEN if fdi == overlay.chosen else 1.4)
    for line in overlay.lines:
        lines.line(np.asarray(line) * scale, YELLOW, width=1.2)
    for measure in overlay.measures:
        lines.line(measure.points * scale, WHITE, width=1.6)
    for dot in [] if overlay.dots is None else overlay.dots:
        turn = np.linspace(0, 2 * np.pi, 24)[:, None]
        lines.line(dot * scale + 4 * np.hstack([np.cos(turn), np.sin(turn)]), YELLOW, width=2)
    if overlay.here is not None:
        x, y = np.multiply(overlay.here, scale)
        for ends in (
            ((x - 9, y), (x - 3, y)),
            ((x + 3, y), (x + 9, y)),
            ((x, y - 9), (x, y - 3)),
            ((x, y + 3), (x, y + 9)),
        ):
            lines.line(np.array(ends), WHITE, width=1.4)
    lines.lay_on(image)
    for fdi, outlines in overlay.outlines.items():
        if fdi in overlay.texts:
            x, y = np.multiply(label_place(outlines), scale)
            write(image, (x, y), overlay.texts[fdi], size=13, colour=tooth_colour(fdi), halo=BLACK)
    for measure in overlay.measures:
        x, y = measure.points.mean(axis=0) * scale
        write(image, (x, y - 10), measure.text, size=13, colour=WHITE, halo=BLACK)
