"""Two label maps of the same patient on one grid, so that they can be compared voxel by voxel."""

from __future__ import annotations

import numpy as np

from ..errors import InputError
from ..resampling import displacement, inside, labelled_places, labels_on_grid, same_lattice
from ..volume import Volume
from .metrics import GRID_TOLERANCE


def on_common_grid(
    prediction: Volume, reference: Volume, names: tuple[str, str] = ("the prediction", "the reference")
) -> tuple[Volume, Volume, tuple[str, ...]]:
    """Resample two label maps to the grid of the reference, enlarged to hold the labels of both.

    Label maps that are cropped or have another order of axes keep their voxels exactly. On any other grid the nearest voxels
    are used.

    Parameters
    ----------
    prediction, reference : Volume
        Label maps; 0 is background.
    names : (str, str)
        Their names in messages.

    Returns
    -------
    prediction, reference : Volume
        On one grid.
    warnings : tuple of str
        Notes for the user, one line each.

    Raises
    ------
    InputError
        If the two do not overlap.
    """
    if _same(prediction, reference):
        return prediction, reference, ()
    found, expected = labelled_places(prediction), labelled_places(reference)
    if len(found) and len(expected) and not (inside(reference, found).any() or inside(prediction, expected).any()):
        raise InputError(f"{names[0]} and {names[1]} have no place in common: give two segmentations of the same scan.")
    grid = _covering(reference, found)
    warnings = []
    if not same_lattice(prediction, reference, GRID_TOLERANCE):
        warnings.append(
            f"{names[0]} ({_text(prediction.spacing)} mm) lies on another grid than {names[1]} ({_text(reference.spacing)} "
            "mm): its nearest voxels are compared, which moves outlines by up to half a voxel."
        )
    beyond = ~inside(reference, found)
    if beyond.any():
        warnings.append(
            f"{100 * beyond.mean():.2g} % of the teeth of {names[0]} lie outside the grid of {names[1]}: they count as wrong."
        )
    if not inside(prediction, expected).all():
        share = 100 * (1 - inside(prediction, expected).mean())
        warnings.append(
            f"{share:.2g} % of the teeth of {names[1]} lie outside the grid of {names[0]}: they count as missed."
        )
    return labels_on_grid(prediction, grid), labels_on_grid(reference, grid), tuple(warnings)


def _same(first: Volume, second: Volume) -> bool:
    tolerance = GRID_TOLERANCE * min(second.spacing)
    return first.array.shape == second.array.shape and displacement(first, second) <= tolerance


def _covering(reference: Volume, places: np.ndarray) -> Volume:
    """The grid of the reference, enlarged to hold some points (N, 3) in LPS mm; takes no memory for voxels."""
    low, high = np.zeros(3, int), np.array(reference.array.shape) - 1
    if len(places):
        indices = np.rint(reference.to_index(places)).astype(int)
        low, high = np.minimum(low, indices.min(axis=0)), np.maximum(high, indices.max(axis=0))
    voxels = np.broadcast_to(np.uint8(0), tuple((high - low + 1).tolist()))
    return Volume(voxels, reference.spacing, tuple(reference.to_lps(low)), reference.direction)


def _text(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{part:.3g}" for part in spacing)
