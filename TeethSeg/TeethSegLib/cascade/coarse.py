"""Stage 1: the whole scan at 1.5 mm. Is there a tooth, and where are the arches?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cc3d
import numpy as np
from scipy import ndimage
from scipy.special import log_softmax, softmax

from ..resampling import resample_to_region
from ..volume import Volume
from .inference import Engine, run_tiled
from .networks.cascade_net import CascadeNet
from .normalisation import first_levels, normalise, tooth_levels
from .region import Region, extent

MARGIN = 9.0  # mm of room round what stage 1 calls tooth: thin apices escape it
LEAST_TOOTH = 120.0  # mm³; less than half a lower incisor is no tooth
REACH = 14.0  # mm; pieces nearer to each other than this belong to one dentition
SHARE = 0.12  # of the largest piece; smaller ones elsewhere are not followed


@dataclass(frozen=True)
class CoarseResult:
    """What stage 1 knows.

    Attributes
    ----------
    region : Region
        The grid of the arrays: the whole scan at 1.5 mm.
    upper, lower : ndarray float32, shape (Z, Y, X)
        Probability of tooth, by jaw.
    place : ndarray float32, shape (Z/2, Y/2, X/2)
        Expected position, 1-8.
    levels : (float, float)
        Grey values of soft tissue and of tooth.
    box : (ndarray, ndarray) or None
        Lowest and highest LPS corner (x, y, z) of where stage 2 must look; None if there is no tooth.
    """

    region: Region
    upper: np.ndarray
    lower: np.ndarray
    place: np.ndarray
    levels: tuple[float, float]
    box: tuple[np.ndarray, np.ndarray] | None


def run_coarse(
    volume: Volume, network: CascadeNet, engine: Engine, progress: Callable[[int, int], None] = lambda *_: None
) -> CoarseResult:
    """Look over a whole scan.

    Parameters
    ----------
    volume : Volume
        A scan in any orientation; grey values of any device.
    """
    spacing, divisor = network.architecture.spacing, network.architecture.divisor
    region = Region.covering(volume, spacing, divisor)
    darkest = float(volume.array.min())
    image = resample_to_region(volume, region.origin, spacing, region.shape, darkest)
    levels = first_levels(image)
    logits = run_tiled(network, normalise(image, *levels), None, engine, progress)
    _, upper, lower = softmax(logits["jaw"], axis=0)
    odds = np.exp(log_softmax(logits["position"], axis=0))
    place = np.tensordot(np.arange(1, 9, dtype=np.float32), odds, axes=1)
    tooth = upper + lower
    box = _dentition_box(tooth > 0.5, region)
    if box is not None:
        low, high = extent(volume)
        box = np.maximum(box[0] - MARGIN, low), np.minimum(box[1] + MARGIN, high)
    return CoarseResult(region, upper, lower, place, tooth_levels(image, tooth > 0.8, levels), box)


def _dentition_box(tooth: np.ndarray, region: Region) -> tuple[np.ndarray, np.ndarray] | None:
    """LPS corners of the teeth: the largest group of pieces, and others of size near it; None if it is no tooth."""
    voxel = region.spacing**3
    if np.count_nonzero(tooth) * voxel < LEAST_TOOTH:
        return None
    # Grouping needs no detail: a grid of 2 mm is eight times as quick.
    step = max(1, round(2.0 / region.spacing))
    sparse = tooth[::step, ::step, ::step]
    reach = ndimage.distance_transform_edt(~sparse, sampling=step * region.spacing) < REACH / 2
    groups = cc3d.connected_components(reach, connectivity=26)
    sizes = np.bincount(groups[sparse])
    if sizes.size < 2:
        return None
    kept = [g for g in range(1, sizes.size) if sizes[g] >= SHARE * sizes.max()]
    index = np.argwhere(np.isin(groups, kept) & sparse) * step
    if np.count_nonzero(np.isin(groups, kept) & sparse) * voxel * step**3 < LEAST_TOOTH:
        return None
    origin = np.asarray(region.origin)
    low, high = index.min(axis=0)[::-1], index.max(axis=0)[::-1] + step - 1
    return origin + low * region.spacing, origin + high * region.spacing


def context_of(coarse: CoarseResult, half: Region) -> np.ndarray:
    """What stage 2 is told: shares of upper and of lower tooth, and position / 8 times their sum.

    Parameters
    ----------
    coarse : CoarseResult
    half : Region
        The half-resolution grid of stage 2.

    Returns
    -------
    ndarray float32, shape (3, Z/2, Y/2, X/2)
    """
    upper = sample(coarse.upper, coarse.region, half)
    lower = sample(coarse.lower, coarse.region, half)
    place = sample(coarse.place, coarse.region.half(), half)
    return np.stack([upper, lower, place / 8 * (upper + lower)])


def sample(values: np.ndarray, source: Region, target: Region) -> np.ndarray:
    """An array of one region on the grid of another, linear, edges repeated; float32."""
    step = target.spacing / source.spacing
    offset = (np.asarray(target.origin) - source.origin)[::-1] / source.spacing
    return ndimage.affine_transform(
        values, np.full(3, step), offset, target.shape, order=1, mode="nearest", output=np.float32
    )
