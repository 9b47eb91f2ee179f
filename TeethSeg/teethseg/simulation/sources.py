"""Sources of tooth shapes for the simulation: parametric teeth, a folder of meshes, or both."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..anatomy import Jaw
from .arch import ShapeSource
from .parametric import LOOKS_LIKE, parametric_tooth, random_size
from .shapes import ToothShape, resized


def shape_source(folder: str | Path | None = None, mesh_share: float = 0.6) -> ShapeSource:
    """A function that draws the shape of a tooth.

    Parameters
    ----------
    folder : path, optional
        Tooth meshes named by FDI number; without it all teeth are parametric.
    mesh_share : float
        Share of teeth that are drawn from the meshes.
    """
    meshes: dict = {}
    if folder is not None:
        from .meshes import load_tooth_meshes

        meshes = load_tooth_meshes(folder)

    def draw(jaw: Jaw, position: int, rng: np.random.Generator, deciduous: bool = False) -> ToothShape:
        # There are no meshes of deciduous teeth: permanent teeth of similar shape are scaled down.
        candidates = meshes.get((jaw, LOOKS_LIKE[position] if deciduous else position), [])
        if candidates and rng.random() < mesh_share:
            mesh = candidates[rng.integers(len(candidates))]
            if not deciduous:
                return mesh
            flare = rng.uniform(0.2, 0.6) if position > 3 else 0.0
            return resized(mesh, position, random_size(jaw, position, rng, True), flare)
        return parametric_tooth(jaw, position, rng, deciduous)

    return draw
