"""Usual shapes of teeth, for growing a tooth from clicks: mean signed distances and their modes of variation.

    python scripts/tooth_shapes.py DUNDEE    writes TeethSeg/Resources/Shapes/teeth.npz

DUNDEE is the folder of tooth meshes that NOTICE names. Every type of tooth combines own parametric shapes with the
meshes of that type, scaled to one width, depth and length. Principal components describe the remaining differences.

References
----------
Tsai et al.: A shape-based approach to the segmentation of medical imagery using level sets (TMI 2003).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "TeethSeg"))

from teethseg.anatomy import Jaw
from teethseg.io.atomic_write import written_whole
from teethseg.simulation.meshes import load_tooth_meshes
from teethseg.simulation.parametric import parametric_tooth
from teethseg.simulation.shapes import ToothShape, signed_distance

TARGET = Path(__file__).resolve().parents[1] / "TeethSeg" / "Resources" / "Shapes" / "teeth.npz"
SPACING = 0.7  # mm
MARGIN = 2.1  # mm of room around a tooth
FAR = 2.0  # mm; larger distances are clipped
DRAWN, MESH_WEIGHT = 40, 6.0  # parametric shapes of a type, and how many of them a mesh counts for
MODES, LEVELS = 6, 20  # modes of a type, and steps of grey in which they are stored


def resampled(shape: ToothShape, size: np.ndarray, axes: list[np.ndarray]) -> np.ndarray:
    """Signed distance (Z, Y, X) of a shape that is scaled to `size` (width, depth, length) on common `axes` (x, y, z)."""
    scale = np.array([shape.width, shape.depth, shape.length]) / size
    at = [(axis * s - start) / shape.spacing for axis, s, start in zip(axes, scale, shape.origin, strict=True)]
    grid = np.meshgrid(*at[::-1], indexing="ij")
    values = ndimage.map_coordinates(shape.sdf, grid, order=1, mode="nearest")
    return np.clip(signed_distance(values / scale.prod() ** (1 / 3), SPACING), -FAR, FAR)


def model(shapes: list[ToothShape], weights: np.ndarray) -> dict[str, np.ndarray]:
    """Parameters of `correction.tooth_model` for one type of tooth."""
    weights = weights / weights.sum()
    sizes = np.array([[shape.width, shape.depth, shape.length] for shape in shapes])
    size = weights @ sizes
    corners = []
    for shape, own in zip(shapes, sizes, strict=True):
        inside = np.argwhere(shape.sdf < 0)[:, ::-1] * shape.spacing + shape.origin
        corners.append(np.percentile(inside * (size / own), [0.2, 99.8], axis=0))
    low, high = np.min(corners, axis=0)[0] - MARGIN, np.max(corners, axis=0)[1] + MARGIN
    axes = [np.arange(a, b + SPACING, SPACING) for a, b in zip(low, high, strict=True)]
    fields = np.stack([resampled(shape, size, axes) for shape in shapes])
    mean = np.tensordot(weights, fields, 1)
    apart = (fields - mean).reshape(len(fields), -1) * np.sqrt(weights)[:, None]
    _, deviations, directions = np.linalg.svd(apart, full_matrices=False)
    modes = (deviations[:MODES, None] * directions[:MODES]).reshape(MODES, *mean.shape)
    steps = np.append(FAR / 120, np.abs(modes).max(axis=(1, 2, 3)) / LEVELS)
    return {
        "fields": np.round(np.stack([mean, *modes]) / steps[:, None, None, None]).astype(np.int8),
        "steps": steps,
        "corner": low,
        "size": size,
        "spread": np.cov(np.log(sizes / size).T, aweights=weights),
    }


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    meshes = load_tooth_meshes(sys.argv[1])
    arrays: dict[str, np.ndarray] = {"spacing": np.array(SPACING)}
    jaws: tuple[Jaw, ...] = ("upper", "lower")
    for jaw in jaws:
        for position in range(1, 9):
            rng = np.random.default_rng([position, jaw == "upper"])
            drawn = [parametric_tooth(jaw, position, rng) for _ in range(DRAWN)]
            given = meshes.get((jaw, position), [])
            weights = np.array([1.0] * len(drawn) + [MESH_WEIGHT] * len(given))
            for name, values in model([*drawn, *given], weights).items():
                arrays[f"{jaw}_{position}_{name}"] = values if values.dtype == np.int8 else values.astype(np.float32)
    TARGET.parent.mkdir(exist_ok=True)
    with written_whole(TARGET) as part:
        np.savez_compressed(part, **arrays)
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
