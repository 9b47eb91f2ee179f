"""Stage 2: the region of the arches at 0.4 mm. It predicts outlines, cores, offsets to the tooth's centre, position and jaw.

Stage 1 hands over the region and the grey levels only. Predictions of stage 1 as further input made outlines and numbers
worse on unfamiliar kinds of scan. Independent stages also give the numbering two independent observations
(docs/training.md has the figures).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.special import expit, log_softmax

from ..boxes import triple
from ..resampling import resample_to_region
from ..volume import Volume
from .boundary_refinement import at_edges
from .coarse import CoarseResult
from .inference import InferenceConfig, run_tiled
from .networks.cascade_net import LATER_HEADS
from .networks.ensemble import StageNetwork
from .normalisation import normalise
from .predictions import FineMaps
from .region import Region

METAL = 1.7  # grey value, where soft tissue is 0 and tooth 1; enamel seldom exceeds it
OFFSET_UNIT = 10.0  # mm; unit of the network's offsets


def run_fine(
    volume: Volume,
    coarse: CoarseResult,
    network: StageNetwork,
    config: InferenceConfig,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> FineMaps:
    """Run stage 2 on the region in which stage 1 found teeth.

    Raises
    ------
    ValueError
        If stage 1 found none (`coarse.box` is None).
    """
    if coarse.box is None:
        raise ValueError("stage 1 found no tooth")
    region = Region.within(volume, *coarse.box, network.architecture.spacing, network.architecture.divisor)
    greys = coarse.greys
    image = resample_to_region(volume, region.origin, region.spacing, region.shape, greys.darkest, greys)
    image = normalise(image, *coarse.levels)
    logits = run_tiled(network, image, config, progress)
    return FineMaps(
        tooth=expit(at_edges(logits["tooth"][0], image, region.spacing)),
        core=expit(logits["core"][0]),
        offset=logits["offset"] * np.float32(OFFSET_UNIT),
        position=log_softmax(logits["position"], axis=0),
        upper=expit(logits["upper"][0]),
        origin=region.origin,
        spacing=region.spacing,
        metal=image > METAL,
        **{name: expit(logits[name][0]) for name in LATER_HEADS if name in logits},
    )


def run_fine_enlarged(
    volume: Volume,
    coarse: CoarseResult,
    box: tuple[np.ndarray, np.ndarray],
    zoom: float,
    network: StageNetwork,
    config: InferenceConfig,
) -> FineMaps:
    """Run stage 2 on a box (lowest and highest LPS corner in mm) of a scan that is enlarged about the origin of LPS.

    The places in the maps are those of the enlarged scan.
    """
    larger = replace(
        volume, spacing=triple(zoom * np.array(volume.spacing)), origin=triple(zoom * np.array(volume.origin))
    )
    low, high = volume.extent
    box = np.maximum(box[0], low) * zoom, np.minimum(box[1], high) * zoom
    return run_fine(larger, replace(coarse, box=box), network, config)
