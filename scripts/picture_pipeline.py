#!/usr/bin/env python3
"""Draws docs/pictures/pipeline.png: the output of each step of the pipeline for one axial slice of a scan.

    python scripts/picture_pipeline.py SCAN OUT.png [--height MM]

The height is counted in mm from the lowest tooth voxel upwards; without it, the slice with most tooth is drawn.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from teethseg.anatomy import TEETH
from teethseg.api import read_scan
from teethseg.cascade.coarse import run_coarse, sample
from teethseg.cascade.fine import run_fine
from teethseg.cascade.inference import fallbacks
from teethseg.cascade.instances import find_instances
from teethseg.cascade.pipeline import segment
from teethseg.cascade.region import Region
from teethseg.cascade.weights import load_weights
from teethseg.pictures.canvas import font, write
from teethseg.resampling import labels_on_grid, resample_to_region
from teethseg.volume import Volume

TITLES = (
    "1  the scan, region of the arches",
    "2  stage 1: upper (red), lower (blue)",
    "3  stage 2: tooth",
    "4  stage 2: position 1 to 8",
    "5  instances",
    "6  FDI numbers",
)
POSITIONS = np.array(
    [
        (230, 60, 60),
        (240, 140, 50),
        (240, 210, 60),
        (120, 200, 80),
        (60, 190, 190),
        (70, 120, 230),
        (150, 90, 220),
        (230, 110, 190),
    ]
)
WIDTH = 420


def panels(scan: Volume, height: float | None) -> tuple[list[np.ndarray], np.ndarray]:
    """The six pictures, uint8 (Y, X, 3), and the FDI numbers (Y, X) of the last one."""
    weights, config = load_weights(), next(fallbacks("cpu"))
    coarse = run_coarse(scan, weights.coarse, config)
    maps = run_fine(scan, coarse, weights.fine, config)
    region = Region(maps.origin, maps.spacing, maps.tooth.shape)
    level = np.argmax(np.count_nonzero(maps.tooth > 0.5, axis=(1, 2)))
    if height is not None:
        lowest = np.flatnonzero((maps.tooth > 0.5).any(axis=(1, 2)))[0]
        level = int(lowest + height / maps.spacing)
    image = resample_to_region(scan, region.origin, region.spacing, region.shape, float(scan.array.min()))[level]
    low, high = np.percentile(image, (2, 99.7))
    grey = np.repeat(np.clip(255 * (image - low) / (high - low), 0, 255)[..., None], 3, axis=2)

    upper, lower = (sample(part, coarse.region, region)[level] for part in (coarse.upper, coarse.lower))
    instances = find_instances(maps).labels[level]
    position = np.repeat(np.repeat(maps.position[:, level // 2], 2, axis=1), 2, axis=2).argmax(axis=0)
    found = segment(scan, weights, "cpu").dentition.labels
    numbers = labels_on_grid(found, region.volume(maps.tooth)).array[level]
    colours = np.random.default_rng(3).integers(60, 240, (int(instances.max()) + 1, 3))
    tooth_colours = np.zeros((256, 3))
    for fdi, one in TEETH.items():
        tooth_colours[fdi] = np.multiply(one.colour, 255)
    shares = (
        (upper[..., None] * (230, 60, 60) + lower[..., None] * (70, 120, 230), np.clip(upper + lower, 0, 1) * 0.8),
        (np.full(grey.shape, (120, 220, 120)), maps.tooth[level] * 0.75),
        (POSITIONS[position], (maps.tooth[level] > 0.5) * 0.75),
        (colours[instances], (instances > 0) * 0.75),
        (tooth_colours[numbers], (numbers > 0) * 0.75),
    )
    pictures = [grey, *(grey * (1 - share[..., None]) + colour * share[..., None] for colour, share in shares)]
    return [picture.astype(np.uint8) for picture in pictures], numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scan", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--height", type=float)
    options = parser.parse_args()
    pictures, numbers = panels(read_scan(options.scan), options.height)
    scale = WIDTH / pictures[0].shape[1]
    size = (WIDTH, round(pictures[0].shape[0] * scale))
    sheet = Image.new("RGB", (3 * WIDTH + 40, 2 * (size[1] + 34) + 10), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (title, picture) in enumerate(zip(TITLES, pictures, strict=True)):
        left, top = 10 + place % 3 * (WIDTH + 10), 30 + place // 3 * (size[1] + 34)
        sheet.paste(Image.fromarray(picture).resize(size, Image.BICUBIC), (left, top))
        draw.text((left, top - 24), title, fill="black", font=font(17))
        if place == 5:
            for fdi in np.unique(numbers[numbers > 0]).tolist():
                y, x = ndimage.center_of_mass(numbers == fdi)
                at = (left + x * scale, top + y * scale)
                write(sheet, at, str(fdi), size=15, colour="white", halo="black")
    sheet.save(options.out, optimize=True)


if __name__ == "__main__":
    main()
