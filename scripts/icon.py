"""Draws the icon of the extension and of the module: a dental arch in its colours round a tooth.

python scripts/icon.py          writes Resources/TeethSeg.png (128 x 128, for the catalog) and
                                TeethSeg/Resources/Icons/TeethSeg.png (the same, for the module)
python scripts/icon.py CASE     also writes Simulated.png there, the thumbnail of the simulated sample, from the case that
                                `python -m teethseg.simulation CASE 7` makes
python scripts/icon.py --labels FILE NODE
                                writes NODE.png there, the thumbnail of a public sample: the surfaces of a label map, with FDI
                                numbers, or of jaws and teeth as DentalSegmentator labels them
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from skimage.filters import gaussian
from skimage.io import imsave
from skimage.transform import downscale_local_mean, resize

from teethseg.anatomy import fdi_number, tooth
from teethseg.io.files import read_labels, read_scan

REPOSITORY = Path(__file__).resolve().parents[1]
SIZE, FINE = 128, 8  # pixels; drawn finer and averaged, for smooth edges

# Mesio-distal widths of the upper teeth 1 to 8 in mm (Wheeler), which set how much of the arch each of them takes.
WIDTHS = np.array([8.5, 6.5, 7.5, 7.0, 7.0, 10.0, 9.0, 8.5])


def capsule(x, y, start, end, radius_start, radius_end):
    """Signed distance to a rod with round ends, thicker at one end; negative inside."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    along = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0, 1)
    radius = radius_start + along * (radius_end - radius_start)
    return np.hypot(x - start[0] - along * dx, y - start[1] - along * dy) - radius


def blend(first, second, width):
    """Union of two shapes with a rounded seam (polynomial smooth minimum)."""
    share = np.clip(0.5 + 0.5 * (second - first) / width, 0, 1)
    return second + (first - second) * share - width * share * (1 - share)


def tooth_shape(x, y):
    """A molar with two roots, about 1.2 wide and 1.7 high round the origin, y up."""
    crown = blend(
        capsule(x, y, (-0.30, 0.36), (-0.26, 0.10), 0.29, 0.27),
        capsule(x, y, (0.30, 0.36), (0.26, 0.10), 0.29, 0.27),
        0.16,
    )
    roots = np.minimum(
        capsule(x, y, (-0.30, 0.02), (-0.34, -0.86), 0.23, 0.06),
        capsule(x, y, (0.30, 0.02), (0.34, -0.86), 0.23, 0.06),
    )
    return blend(crown, roots, 0.12)


def paint(image, inside, colour):
    image[inside, :3] = colour
    image[inside, 3] = 1.0


def icon() -> np.ndarray:
    """The icon, (128, 128, 4) uint8."""
    ticks = (np.arange(SIZE * FINE) + 0.5) / (SIZE * FINE) * 2 - 1
    x, y = np.meshgrid(ticks, -ticks)
    image = np.zeros((*x.shape, 4))

    # The arch: half an ellipse that goes on straight. Teeth are sectors of a ring, 8 on each side, mirrored.
    ring = np.where(y > -0.15, np.hypot(x, (y + 0.15) / 1.02), np.abs(x))
    angle = np.where(y > -0.15, np.arctan2(np.abs(x), y + 0.15), np.pi / 2 + (-0.15 - y))
    borders = np.concatenate([[0], np.cumsum(WIDTHS)]) / WIDTHS.sum() * (np.pi / 2 + 0.66)
    for position in range(1, 9):
        start, end = borders[position - 1], borders[position]
        middle, half = (start + end) / 2, (end - start) / 2
        thick = 0.105 if position < 4 else 0.125 if position < 6 else 0.145
        # A rounded rectangle in (angle, ring): the distance to its straightened outline.
        across, along = np.abs(ring - 0.80) - thick, (np.abs(angle - middle) - half) * 0.80 + 0.012
        round_by = 0.05
        outside = np.hypot(np.maximum(across + round_by, 0), np.maximum(along + round_by, 0))
        distance = outside + np.minimum(np.maximum(across, along) + round_by, 0) - round_by
        paint(image, distance < 0, tooth(fdi_number("upper", "right", position)).colour)

    body = tooth_shape(x / 0.50, (y + 0.21) / 0.62)
    paint(image, body < 0.10, (0.13, 0.20, 0.30))
    paint(image, body < 0.0, (0.99, 0.98, 0.94))
    shade = np.clip((x + 0.30) / 0.9, 0, 1)[..., None] * np.array([0.14, 0.12, 0.10])
    image[..., :3] -= np.where((body < 0)[..., None], shade, 0)

    alpha = downscale_local_mean(image[..., 3], (FINE, FINE))
    colour = downscale_local_mean(image[..., :3] * image[..., 3:], (FINE, FINE, 1)) / np.maximum(alpha, 1e-6)[..., None]
    return (np.dstack([colour, alpha]).clip(0, 1) * 255).round().astype(np.uint8)


def thumbnail(case: Path) -> np.ndarray:
    """A simulated case from the front, (210, 280, 3) uint8: the scan as an X-ray, its teeth in their colours."""
    scan = read_scan(case / "image.nrrd").array.astype(float)
    labels = read_labels(case / "labels.seg.nrrd").array
    low, high = np.quantile(scan, (0.02, 0.999))
    grey = (np.clip((scan - low) / (high - low), 0, 1) ** 2).mean(axis=1)
    image = np.repeat((grey / grey.max())[..., None], 3, axis=2) ** 0.7
    # The frontmost tooth on each ray from the front, darker the deeper it lies.
    hit = labels.any(axis=1)
    depth = (labels > 0).argmax(axis=1)
    front = np.take_along_axis(labels, depth[:, None, :], axis=1)[:, 0, :]
    light = 1 - 0.6 * depth / max(depth.max(), 1)
    for fdi in np.unique(front[hit]):
        of_tooth = hit & (front == fdi)
        image[of_tooth] = 0.25 * image[of_tooth] + 0.75 * np.array(tooth(fdi).colour) * light[of_tooth][:, None]
    image = image[::-1]  # z grows to the head
    rows = max(1, round(image.shape[0] * 280 / image.shape[1]))
    image = resize(image, (rows, 280), anti_aliasing=True)
    image = np.pad(image, ((max(0, 210 - rows),) * 2, (0, 0), (0, 0)))
    top = (image.shape[0] - 210) // 2
    return (image[top : top + 210].clip(0, 1) * 255).round().astype(np.uint8)


def label_thumbnail(file: Path) -> np.ndarray:
    """A label map from the front, lit from the viewer, (210, 280, 3) uint8."""
    volume = read_labels(file)
    labels = volume.array
    if labels.max() < 10:  # jaws and teeth; the canal (5) lies within
        colours = {1: (0.80, 0.72, 0.60), 2: (0.86, 0.78, 0.66), 3: (0.97, 0.96, 0.90), 4: (0.97, 0.96, 0.90)}
    else:
        colours = {int(fdi): tooth(int(fdi)).colour for fdi in np.unique(labels) if fdi}
    labels = np.where(np.isin(labels, list(colours)), labels, 0)
    low, high = (np.array(one) for one in zip(*((axis.min(), axis.max()) for axis in np.nonzero(labels)), strict=True))
    labels = labels[tuple(slice(start, stop + 1) for start, stop in zip(low, high, strict=True))]
    hit, depth = labels.any(axis=1), (labels > 0).argmax(axis=1).astype(float)
    front = np.take_along_axis(labels, depth.astype(int)[:, None, :], axis=1)[:, 0, :]
    down, across = np.gradient(gaussian(np.where(hit, depth, depth[hit].max()), 1.0))
    light = (0.35 + 0.65 / np.sqrt(1 + down**2 + across**2)) * (1 - 0.35 * depth / depth[hit].max())
    image = np.full((*front.shape, 3), 0.12)
    for label, colour in colours.items():
        of_label = hit & (front == label)
        image[of_label] = np.array(colour) * light[of_label][:, None]
    image = image[::-1]  # z grows to the head
    scale = min(196 / image.shape[0], 266 / image.shape[1])
    image = resize(image, (round(image.shape[0] * scale), round(image.shape[1] * scale)), anti_aliasing=True)
    whole = np.full((210, 280, 3), 0.12)
    top, left = (210 - image.shape[0]) // 2, (280 - image.shape[1]) // 2
    whole[top : top + image.shape[0], left : left + image.shape[1]] = image
    return (whole.clip(0, 1) * 255).round().astype(np.uint8)


def main(*arguments: str) -> None:
    icons = REPOSITORY / "TeethSeg" / "Resources" / "Icons"
    if arguments[:1] == ("--labels",):
        _flag, file, node = arguments
        imsave(icons / f"{node}.png", label_thumbnail(Path(file)), check_contrast=False)
        return
    case = arguments[0] if arguments else None
    image = icon()
    for place in (REPOSITORY / "Resources" / "TeethSeg.png", icons / "TeethSeg.png"):
        imsave(place, image, check_contrast=False)
    if case is not None:
        imsave(icons / "Simulated.png", thumbnail(Path(case)), check_contrast=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
