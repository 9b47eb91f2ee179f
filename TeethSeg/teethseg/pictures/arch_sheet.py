"""One page to print: the panorama, the sections of a tooth and its measures, at true size or a scale that is told."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from .. import NOTICE
from ..io.atomic_write import written_whole
from .canvas import write

PAGE_MM = (297.0, 210.0)  # A4, lying
MARGIN_MM = 12.0
DPI = 200
INK, GREY, PAPER = (20, 20, 20), (110, 110, 110), (255, 255, 255)


def arch_sheet(
    path: str | os.PathLike,
    title: str,
    panorama: Image.Image,
    panorama_mm: float,
    sections: Sequence[tuple[Image.Image, float, str]],
    lines: Sequence[str],
) -> None:
    """Write a PDF of one A4 page, whole or not at all.

    Parameters
    ----------
    path : path
    title : str
    panorama : Image
    panorama_mm : float
        How wide it is in the patient; it is shrunk if the page is narrower, and the scale is written beside it.
    sections : sequence of (Image, float, str)
        Each with its width in mm and a caption.
    lines : sequence of str
        Measures and remarks, one line each.

    Raises
    ------
    TeethSegError
        If the file cannot be written.
    """
    pixels = DPI / 25.4
    page = Image.new("RGB", tuple(round(side * pixels) for side in PAGE_MM), PAPER)
    room = PAGE_MM[0] - 2 * MARGIN_MM
    y = MARGIN_MM
    write(page, (MARGIN_MM * pixels, y * pixels), title, size=44, colour=INK, anchor="lt")
    y += 9
    y += _placed(page, panorama, panorama_mm, MARGIN_MM, y, min(1.0, room / panorama_mm), "Panorama") + 4
    left, lowest = MARGIN_MM, y
    widths = [width for _, width, _ in sections]
    scale = min(1.0, (room * 0.72 - 3 * max(len(widths) - 1, 0)) / sum(widths)) if widths else 1.0
    for image, width, caption in sections:
        lowest = max(lowest, y + _placed(page, image, width, left, y, scale, caption))
        left += width * scale + 3
    text_left = max(left + 4, MARGIN_MM + room * 0.74) if widths else MARGIN_MM
    for n, line in enumerate(lines):
        write(page, (text_left * pixels, (y + 5.0 * n) * pixels), line, size=26, colour=INK, anchor="lt")
    foot = (MARGIN_MM * pixels, (PAGE_MM[1] - 6) * pixels)
    write(page, foot, NOTICE, size=22, colour=GREY, anchor="ls")
    with written_whole(path) as draft:
        page.save(draft, "PDF", resolution=DPI, title=title, producer="TeethSeg")


def _placed(
    page: Image.Image, image: Image.Image, width_mm: float, left: float, top: float, scale: float, caption: str
) -> float:
    """Put an image on the page, mm from its upper left corner; returns the height that it took."""
    pixels = DPI / 25.4
    size = np.array([width_mm, width_mm * image.height / image.width]) * scale
    page.paste(
        image.resize(tuple(np.maximum(np.rint(size * pixels), 1).astype(int).tolist()), Image.Resampling.LANCZOS),
        (round(left * pixels), round(top * pixels)),
    )
    told = "true size" if scale == 1.0 else f"scale 1:{1 / scale:.2f}"
    write(
        page,
        (left * pixels, (top + size[1] + 1) * pixels),
        f"{caption}, {told}",
        size=20,
        colour=GREY,
        anchor="lt",
    )
    return float(size[1]) + 5.0
