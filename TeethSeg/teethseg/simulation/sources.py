"""Where the shapes of simulated teeth come from: own parametric teeth, a folder of meshes, or both."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..anatomy import Jaw
from .arch import ShapeSource
from .parametric import parametric_tooth
from .shapes import ToothShape


def shape_source(folder: str | Path | None = None, mesh_share: float = 0.6) -> ShapeSource:
    """A function that draws the shape of a tooth.

    Parameters
    ----------
    folder : path, optional
        Tooth meshes named by FDI number; without it all teeth are parametric.
    mesh_share : float
        Share of teeth drawn from the meshes where there are any.
    """
    meshes: dict = {}
    if folder is not None:
        from .meshes import load_tooth_meshes

        meshes = load_tooth_meshes(folder)

    def draw(jaw: Jaw, position: int, rng: np.random.Generator) -> ToothShape:
        candidates = meshes.get((jaw, position), [])
        if candidates and rng.random() < mesh_share:
            return candidates[rng.integers(len(candidates))]
        return parametric_tooth(jaw, position, rng)

    return draw
