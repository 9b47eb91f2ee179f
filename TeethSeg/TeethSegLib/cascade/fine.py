"""Stage 2: the region of the arches at 0.4 mm. Outlines, cores, offsets to the tooth's centre, position, jaw.

From stage 1 it has the region and the grey levels, and no more: on a kind of scan that stage 1 does not know, hints of where
it saw teeth spoil outlines and numbers alike, and stages that judge apart are two witnesses for the numbering instead of
one (docs/training.md has the figures).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import expit, log_softmax

from ..resampling import resample_to_region
from ..volume import Volume
from .coarse import CoarseResult, sample
from .edges import at_edges
from .inference import Engine, run_tiled
from .maps import FineMaps
from .networks.cascade_net import CascadeNet
from .normalisation import normalise
from .region import Region

OFFSET_UNIT = 10.0  # the network speaks of offsets in units of 10 mm
_CLOSER = 0.9  # voxels of the second look, in those of the first


def run_fine(
    volume: Volume,
    coarse: CoarseResult,
    network: CascadeNet,
    engine: Engine,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> FineMaps:
    """Look closely where stage 1 saw teeth (`coarse.box` is there), twice.

    The second look sees the patient mirrored and a little larger; what both agree on counts (docs/training.md has the figures).
    """
    first = Region.between(*coarse.box, network.architecture.spacing, network.architecture.divisor)
    second = Region.between(*coarse.box, _CLOSER * first.spacing, network.architecture.divisor)
    image = _image(volume, coarse, first)
    logits = run_tiled(network, image, engine, lambda done, total: progress(done, 2 * total))
    mirrored = np.ascontiguousarray(_image(volume, coarse, second)[:, :, ::-1])
    again = run_tiled(network, mirrored, engine, lambda done, total: progress(total + done, 2 * total))
    for name, values in logits.items():
        full = values.shape[1:] == first.shape
        grids = (second, first) if full else (second.half(), first.half())
        for channel, seen in enumerate(again[name]):
            scale = 1.0
            if name == "offset":  # (z, y, x), in millimetres of a patient of usual size
                scale = -_CLOSER if channel == 2 else _CLOSER
            values[channel] += np.float32(scale) * sample(seen[:, :, ::-1], *grids)
        values /= 2
    return FineMaps(
        tooth=expit(at_edges(logits["tooth"][0], image, first.spacing)),
        core=expit(logits["core"][0]),
        offset=logits["offset"] * np.float32(OFFSET_UNIT),
        position=log_softmax(logits["position"], axis=0),
        upper=expit(logits["upper"][0]),
        origin=first.origin,
        spacing=first.spacing,
    )


def _image(volume: Volume, coarse: CoarseResult, region: Region) -> np.ndarray:
    image = resample_to_region(volume, region.origin, region.spacing, region.shape, float(volume.array.min()))
    return normalise(image, *coarse.levels)
