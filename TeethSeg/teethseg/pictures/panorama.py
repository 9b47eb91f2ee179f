"""The panoramic view: a curved reformat along both arches, like a dental panoramic radiograph."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from ..anatomy import TEETH
from ..volume import Volume
from .views import STEP_MM, LabelExtent, View, sample_labels

SLAB_MM = 9.0  # depth of the view, across the arch
REACH_MM = 14.0  # to both sides of the arch in which the view follows the teeth
OVERHANG_MM = 12.0  # past the middle of the last tooth of the longer arch


def panoramic_view(teeth: list[LabelExtent], label_maps: list[Volume], low_z: float, high_z: float) -> View | None:
    """A slab along the arches, from the right of the patient to the left, inclined as the teeth are.

    Parameters
    ----------
    teeth : list of LabelExtent
        With FDI numbers.
    label_maps : list of Volume
        The teeth, for their inclination.
    low_z, high_z : float
        Lower and upper end in LPS mm.

    Returns
    -------
    View or None
        None if no jaw has enough teeth for an arch.
    """
    centre_of = {tooth.value: tooth.centre for tooth in teeth if tooth.value in TEETH}  # two label maps, one arch
    arches = {}
    for jaw in ("lower", "upper"):
        centres = np.array([centre for value, centre in centre_of.items() if TEETH[value].jaw == jaw])
        if len(centres) >= 4 and np.ptp(centres[:, 0]) > 15:
            arches[jaw] = centres
    if not arches:
        return None
    middle = np.mean([(centres[:, 0].min() + centres[:, 0].max()) / 2 for centres in arches.values()])
    lines = {jaw: _arch_line(centres, middle) for jaw, centres in arches.items()}
    half = max(abs(place[[1, -2]]).max() for place, _ in lines.values()) + OVERHANG_MM
    along = np.arange(-half, half, STEP_MM)
    z = np.arange(high_z, low_z, -STEP_MM)

    # The curve goes from the lower arch to the upper arch with z, so neither is magnified where the jaws do not meet.
    lower, upper = (
        np.stack([np.interp(along, place, line[:, axis]) for axis in (0, 1)], axis=-1)
        for place, line in (lines.get("lower") or lines["upper"], lines.get("upper") or lines["lower"])
    )
    heights = [centres[:, 2].mean() for centres in arches.values()]
    share = np.clip((z - heights[0]) / max(heights[-1] - heights[0], 1), 0, 1)
    curve = lower + share[:, None, None] * (upper - lower)
    direction = np.gradient(gaussian_filter1d(curve, 2 / STEP_MM, axis=1, mode="nearest"), axis=1)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    backwards = np.stack([-direction[..., 1], direction[..., 0]], axis=-1)

    def at_depth(depth: np.ndarray) -> np.ndarray:
        """LPS points at depths (D, rows, columns) in mm behind the curve."""
        x, y = (curve[..., axis] + depth * backwards[..., axis] for axis in (0, 1))
        return np.stack(np.broadcast_arrays(x, y, z[:, None]), axis=-1)

    # Mean depth of the teeth near each point; far from teeth, the curve itself.
    depths = np.arange(-REACH_MM, REACH_MM + 1, 2)[:, None, None] * np.ones((1, *curve.shape[:2]))
    is_tooth = np.any([sample_labels(labels, at_depth(depths)) > 0 for labels in label_maps], axis=0)
    total, weight = (gaussian_filter(part.sum(axis=0), 3 / STEP_MM) for part in (depths * is_tooth, 1.0 * is_tooth))
    slab = np.arange(-SLAB_MM / 2, SLAB_MM / 2 + 0.5, 0.5)[:, None, None]
    return View(at_depth(total / (weight + 0.05) + slab), silhouettes=True)


def _arch_line(centres: np.ndarray, middle: float) -> tuple[np.ndarray, np.ndarray]:
    """Points (N, 2) along an arch from right to left, and their distance in mm along it from where x is `middle`."""
    x = centres[:, 0] - middle
    fit = np.polyfit(x, centres[:, 1], 4 if len(centres) >= 10 else 2)
    fine = np.linspace(x.min(), x.max(), 400)
    line = np.stack([fine, np.polyval(fit, fine)], axis=1)
    # Straight extensions beyond the last teeth, where the fit is undefined, long enough for the other arch.
    first, last = line[0] - line[10], line[-1] - line[-11]
    start, end = line[0] + 100 * first / np.linalg.norm(first), line[-1] + 100 * last / np.linalg.norm(last)
    line = np.stack([start, *line, end])
    place = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    return place - np.interp(0, line[:, 0], place), line + np.array([middle, 0])
