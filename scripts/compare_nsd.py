#!/usr/bin/env python3
"""The NSD of TeethSeg beside the values of a reference implementation (MONAI).

    python scripts/compare_nsd.py [PREDICTION REFERENCE ...]

The arguments are pairs of label maps; without any, the masks are ellipsoids as large as a tooth in voxels of 0.4 mm. MONAI has
two definitions: by voxel centres, as TeethSeg, and by the area of the triangulated surface (`use_subvoxels`, as DeepMind's
`surface-distance`), which is less strict with thin errors.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from monai.metrics import compute_surface_dice

from teethseg.boxes import bounding_box
from teethseg.evaluation.common_grid import on_common_grid
from teethseg.evaluation.surface_distance import surface_distances
from teethseg.io.files import read_teeth

TOLERANCES = (0.5, 1.0)  # mm
ELLIPSOIDS = {"0.5 mm aside, 0.2 mm too large": ((0.4, 0.3, 0.0), 0.2), "0.6 mm too large": ((0, 0, 0), 0.6)}
ELLIPSOIDS["0.9 mm aside, 0.3 mm too small"] = ((0.5, 0.5, 0.5), -0.3)

Masks = tuple[str, np.ndarray, np.ndarray, tuple[float, float, float]]


def ellipsoids() -> Iterator[Masks]:
    z, y, x = np.meshgrid(*(0.4 * np.arange(count) for count in (64, 40, 36)), indexing="ij")
    middle = np.array([12.5, 7.8, 7.0])

    def mask(centre: np.ndarray, growth: float) -> np.ndarray:
        sides = zip((z, y, x), centre, (10, 4.5, 4), strict=True)
        return np.sum([((a - c) / (r + growth)) ** 2 for a, c, r in sides], axis=0) < 1

    for name, (shift, growth) in ELLIPSOIDS.items():
        yield name, mask(middle + shift, growth), mask(middle, 0.0), (0.4, 0.4, 0.4)


def files(paths: list[Path]) -> Iterator[Masks]:
    for prediction, reference in zip(paths[::2], paths[1::2], strict=True):
        found, expected, _ = on_common_grid(read_teeth(prediction), read_teeth(reference))
        box = bounding_box((found.array > 0) | (expected.array > 0))
        yield prediction.name, found.array[box] > 0, expected.array[box] > 0, expected.spacing_zyx


def by_monai(found: np.ndarray, expected: np.ndarray, spacing: tuple, tolerance: float, area: bool) -> float:
    masks = [torch.from_numpy(np.pad(mask, 2)[None, None].astype(np.float32)) for mask in (found, expected)]
    return float(
        compute_surface_dice(*masks, [tolerance], include_background=True, spacing=spacing, use_subvoxels=area)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path, nargs="*", metavar="PREDICTION REFERENCE")
    paths = parser.parse_args().labels
    print(
        "| masks | tolerance, mm | TeethSeg | MONAI, voxel centres | MONAI, by area |\n| --- | --- | --- | --- | --- |"
    )
    for name, found, expected, spacing in files(paths) if paths else ellipsoids():
        distances = surface_distances(found, expected, spacing)
        for tolerance in TOLERANCES:
            theirs = [by_monai(found, expected, spacing, tolerance, area) for area in (False, True)]
            values = [distances.normalised_surface_dice(tolerance), *theirs]
            print(f"| {name} | {tolerance} | " + " | ".join(f"{value:.3f}" for value in values) + " |")


if __name__ == "__main__":
    main()
