"""A page to print: panorama, sections and measures of a tooth, at true size or with the scale stated."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from .. import NOTICE
from ..io.atomic_write import written_whole
from .canvas import write

PAGE_MM = (297.0, 210.0)  # A4, landscape
MARGIN_MM, GAP_MM = 12.0, 4.0
DPI = 200
INK, GREY, PAPER = (20, 20, 20), (110, 110, 110), (255, 255, 255)


Placed = tuple[Image.Image, float, str]  # picture, its width in the patient in mm, caption


def arch_sheet(
    path: str | os.PathLike, title: str, upper: Sequence[Placed], lower: Sequence[Placed], lines: Sequence[str]
) -> None:
    """Write a PDF of one A4 page, whole or not at all.

    Parameters
    ----------
    path : path
    title : str
    upper, lower : sequence of (Image, float, str)
        Pictures of two rows, each with its width in mm and a caption. They are scaled down to the width of the page, and
        the scale is stated below.
    lines : sequence of str
        Measures and remarks, one line each.

    Raises
    ------
    TeethSegError
        If the file cannot be written.
    """
    pixels = DPI / 25.4
    page = Image.new("RGB", (round(PAGE_MM[0] * pixels), round(PAGE_MM[1] * pixels)), PAPER)
    write(page, (MARGIN_MM * pixels, MARGIN_MM * pixels), title, size=44, colour=INK, anchor="lt")
    top, room = MARGIN_MM + 9, PAGE_MM[0] - 2 * MARGIN_MM
    top += _row(page, upper, top, room)[1] + 4
    right, _ = _row(page, lower, top, room * 0.74)
    for n, line in enumerate(lines):
        write(page, ((right + 4) * pixels, (top + 5.0 * n) * pixels), line, size=26, colour=INK, anchor="lt")
    write(page, (MARGIN_MM * pixels, (PAGE_MM[1] - 6) * pixels), NOTICE, size=22, colour=GREY, anchor="ls")
    with written_whole(path) as draft:
        page.save(draft, "PDF", resolution=DPI, title=title, producer="TeethSeg")


def _row(page: Image.Image, pictures: Sequence[Placed], top: float, room: float) -> tuple[float, float]:
    """Put pictures side by side; returns their right end and their height in mm."""
    gaps = GAP_MM * max(len(pictures) - 1, 0)
    scale = min(1.0, (room - gaps) / max(sum(width for _, width, _ in pictures), 1e-6))
    left, height = MARGIN_MM, 0.0
    for image, width, caption in pictures:
        height = max(height, _placed(page, image, width, left, top, scale, caption))
        left += width * scale + GAP_MM
    return left, height


def _placed(
    page: Image.Image, image: Image.Image, width_mm: float, left: float, top: float, scale: float, caption: str
) -> float:
    """Put an image at a position in mm from the upper left corner of the page; returns its height with caption, mm."""
    pixels = DPI / 25.4
    size = np.array([width_mm, width_mm * image.height / image.width]) * scale
    page.paste(
        image.resize(tuple(np.maximum(np.rint(size * pixels), 1).astype(int).tolist()), Image.Resampling.LANCZOS),
        (round(left * pixels), round(top * pixels)),
    )
    size_text = "true size" if scale == 1.0 else f"scale 1:{1 / scale:.2f}"
    write(
        page,
        (left * pixels, (top + size[1] + 1) * pixels),
        f"{caption}, {size_text}",
        size=20,
        colour=GREY,
        anchor="lt",
    )
    return float(size[1]) + 5.0
