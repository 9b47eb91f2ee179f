"""Drawing for all pictures: grey levels, text, smooth lines, PNG files."""

from __future__ import annotations

import os
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..anatomy import TEETH
from ..io.atomic_write import written_whole

OVERSAMPLING = 3  # lines are drawn larger and scaled down, which makes their edges smooth
Window = tuple[float, float]  # grey values shown as black and white
WHITE, BLACK, GREY = (255, 255, 255), (0, 0, 0), (170, 170, 170)


def tooth_colour(value: int) -> tuple[int, int, int]:
    """The colour of a tooth, lightened for contrast with grey; white for other values."""
    if value not in TEETH:
        return WHITE
    red, green, blue = TEETH[value].colour
    scale = 255 * 0.8 / max(red, green, blue)
    return round(scale * red + 51), round(scale * green + 51), round(scale * blue + 51)


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of Pillow, the same on every computer."""
    return ImageFont.load_default(size)


def write(
    image: Image.Image, at: tuple[float, float], text: str, *, size: int, colour, halo=None, anchor: str = "mm"
) -> None:
    """Write text with a halo on an image, in place; `at` (x, y) is its centre or another Pillow anchor."""
    stroke = 0 if halo is None else max(1, round(size / 8))
    ImageDraw.Draw(image).text(
        at, text, fill=colour, font=font(size), anchor=anchor, stroke_width=stroke, stroke_fill=halo
    )


class Lines:
    """A transparent layer of smooth lines for an image of `size` (width, height); points are (x, y) in its pixels."""

    def __init__(self, size: tuple[int, int]):
        self._size = size
        self._layer = Image.new("RGBA", (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING))
        self._draw = ImageDraw.Draw(self._layer)

    def line(self, points: np.ndarray, colour: tuple[int, int, int], width: float, dash: float | None = None) -> None:
        """Draw an open or closed line (N, 2); `dash` is the length of a dash and of the gap after it."""
        # Pixel centres lie on whole numbers in arrays and on halves in drawings.
        points = (np.asarray(points) + 0.5) * OVERSAMPLING
        for piece in [points] if dash is None else _dashes(points, dash * OVERSAMPLING):
            self._draw.line([tuple(p) for p in piece], (*colour, 255), round(width * OVERSAMPLING), joint="curve")

    def lay_on(self, image: Image.Image) -> None:
        """Draw the layer over an image of the same size, in place."""
        layer = self._layer.resize(self._size, Image.Resampling.BOX)
        image.paste(layer, (0, 0), layer)


def save_png(image: Image.Image, path: str | os.PathLike) -> None:
    """Write an image as PNG, whole or not at all.

    Raises
    ------
    TeethSegError
        If the file cannot be written.
    """
    with written_whole(path) as draft:
        image.save(draft, "PNG", optimize=True)


def few_colours(image: Image.Image) -> Image.Image:
    """Convert an RGB image of grey values and coloured lines to a palette image, a third of the size on disk.

    128 grey levels look smooth; the other half of the palette is for the colours.
    """
    pixels = np.asarray(image)
    coloured = np.ptp(pixels, axis=-1) > 0
    places = pixels[..., 0] // 2
    palette = np.repeat(np.arange(128, dtype=np.uint8)[:, None] * 2 + 1, 3, axis=1)
    if coloured.any():
        colours = Image.fromarray(pixels[coloured][None]).quantize(128, Image.Quantize.MEDIANCUT)
        places[coloured] = 128 + np.asarray(colours)[0]
        palette = np.concatenate([palette, np.array(colours.getpalette(), dtype=np.uint8).reshape(-1, 3)])
    small = Image.fromarray(places)
    small.putpalette(palette.tobytes())
    return small


def grey_window(grey: np.ndarray, upper: float = 99.8) -> Window:
    """Window of grey values for one view or several: 2nd and `upper`th percentile of the values that are not NaN."""
    seen = grey[~np.isnan(grey)]
    if not seen.size:
        return 0.0, 1.0
    low, high = np.percentile(seen, (2, upper)).tolist()
    return low, high


def grey_levels(grey: np.ndarray, window: Window) -> np.ndarray:
    """Grey values of a view as uint8; 0 where nothing was imaged (NaN)."""
    low, high = window
    return (np.clip((np.nan_to_num(grey, nan=low) - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)


def _dashes(points: np.ndarray, length: float) -> list[np.ndarray]:
    place = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    steps = np.arange(0, place[-1], length / 4)
    line = np.stack([np.interp(steps, place, points[:, axis]) for axis in (0, 1)], axis=1)
    return [line[start : start + 5] for start in range(0, len(line), 8) if len(line) - start > 1]
