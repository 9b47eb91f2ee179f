"""The whole road: a scan in, its `Dentition` out."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.special import log_softmax

from ..volume import Volume
from .coarse import CoarseResult, run_coarse, sample
from .dentition import Dentition
from .field_of_view import has_data, region_has_data
from .fine import run_fine
from .fragment_merging import lost_roots
from .inference import InferenceConfig, fallbacks, first_that_fits
from .instance_features import InstanceEvidence
from .instance_filter import is_doubtful, is_metal
from .instances import Instances, find_instances
from .numbering import NumberedTooth, midline_of_field, number_teeth
from .predictions import ToothMaps
from .region import Region, extent
from .restorations import with_fillings
from .tooth_properties import describe, measure
from .weights import Weights

Progress = Callable[[str, int, int], None]

# An instance in which stage 1 saw no tooth at all is bone or hardware that looks like one from near by.
LEAST_COARSE_SUPPORT = 0.15
# In every simulated dentition stage 1 is surer than this (0.8 and more) of one tooth at least; dense bone gets 0.5 to 0.7.
LEAST_BEST_SUPPORT = 0.72
# In a small field of view stage 1 may see next to nothing: so many teeth of which stage 2 is so sure stand without it.
SURE_TOOTH, SURE_VOLUME, SURE_TEETH = 0.96, 100.0, 4
COARSE_SHARE = 0.5  # of the evidence for a tooth's position


@dataclass(frozen=True)
class Segmentation:
    """What `segment` returns.

    Attributes
    ----------
    dentition : Dentition
        Teeth and their label map on the scan's grid.
    seconds : dict of str to float
        Wall time of each step.
    device : str
        Where the networks ran: "cpu", "cuda" or "mps".
    maps : ToothMaps or None
        What surfaces finer than the voxels are made from; None unless asked for, and if there is no tooth.
    """

    dentition: Dentition
    seconds: dict[str, float]
    device: str
    maps: ToothMaps | None = None


def segment(
    volume: Volume,
    weights: Weights,
    device: str = "auto",
    progress: Progress = lambda step, done, total: None,
    *,
    keep_maps: bool = False,
) -> Segmentation:
    """Find and number the teeth of a scan.

    Parameters
    ----------
    volume : Volume
        The scan, checked by `checks.check_scan`.
    weights : Weights
        Both networks.
    device : {"auto", "cpu", "cuda", "mps"}
    progress : callable
        Called with the step's name, and how much of how much of it is done.
    keep_maps : bool
        Whether to hand out `Segmentation.maps`.

    Raises
    ------
    OutOfMemoryError
        If no way of running fits into memory.
    """
    warnings: list[str] = list(volume.warnings)
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(step: str):
        progress(step, 0, 1)
        start = time.perf_counter()
        yield lambda done, total: progress(step, done, total)
        seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - start

    def networks(engine: InferenceConfig):
        with timed("find arches") as tell:
            coarse = run_coarse(volume, weights.coarse, engine, tell)
        if coarse.box is None:
            return coarse, None
        with timed("outline teeth") as tell:
            return coarse, run_fine(volume, coarse, weights.fine, engine, tell)

    engine, (coarse, maps) = first_that_fits(fallbacks(device), networks, warnings.append)
    empty = np.zeros(volume.array.shape, np.uint8)
    if maps is None:
        warnings.append("No tooth was found in this scan.")
        return Segmentation(Dentition(volume.with_array(empty), (), tuple(warnings)), seconds, engine.name)

    with timed("part teeth"):
        region = Region(maps.origin, maps.spacing, maps.tooth.shape)
        data = has_data(volume, coarse.greys)
        inside = region_has_data(volume, region, data)
        instances = _joined(find_instances(maps, inside), coarse, region)
        instances, metal = _without(instances, is_metal)
        if metal:
            warnings.append(f"Left out: {metal} object(s) of metal alone, such as implants.")
        instances, doubtful = _without(instances, is_doubtful)
        if doubtful:
            warnings.append(f"Left out: {doubtful} small tooth-like object(s) of which the network is not sure.")
    with timed("number teeth"):
        low, high = extent(volume)
        numbered = number_teeth(instances.evidence, midline_of_field(low[0], high[0]))
        if any(tooth.backward for tooth in numbered):
            warnings.append(
                "The jaws face the back of this scan: its orientation is wrong, and left and right may be swapped. "
                "Check the sides."
            )
        lookup = np.zeros(int(instances.labels.max()) + 1, np.uint8)
        for tooth in numbered:
            lookup[tooth.label] = tooth.fdi
        placed = [0 if tooth.extra else tooth.fdi for tooth in numbered]
        roots = lost_roots(instances.labels, instances.evidence, placed, maps.spacing)
        for root, molar in roots.items():
            lookup[root] = lookup[molar]
        numbered = [tooth for tooth in numbered if tooth.label not in roots]
        warnings += _about_places(numbered)
    with timed("write back"):
        maps, owner = with_fillings(maps, lookup[instances.labels])
        # Labels are made from what is handed out, so that who gets both can tell what was changed since.
        kept = ToothMaps.around(maps, owner)
        labels = empty if kept is None else kept.labels(volume)
        labels = volume.with_array(labels)
        teeth = describe(numbered, measure(labels, data))
    if not teeth:
        warnings.append("No tooth was found in this scan.")
    return Segmentation(Dentition(labels, teeth, tuple(warnings)), seconds, engine.name, kept if keep_maps else None)


def _about_places(numbered: list[NumberedTooth]) -> list[str]:
    """Warnings of objects for which the arches had no place."""
    left_out = sum(tooth.fdi == 0 for tooth in numbered)
    extra = [str(tooth.fdi) for tooth in numbered if tooth.extra]
    found = []
    if left_out:
        found.append(
            f"Left out: {left_out} tooth-like object(s) that fit no place of the arches. Look for extra teeth."
        )
    if extra:
        found.append(f"No place of the arches was left for {', '.join(extra)}: check whether these are extra teeth.")
    return found


def _joined(instances: Instances, coarse: CoarseResult, region: Region) -> Instances:
    """Both stages' evidence together: instances that stage 1 saw too, with what it says of their positions.

    If stage 1 saw no tooth well, stage 2 must be sure of several, or there is none.

    Stage 2 sees a tooth's shape sharply, stage 1 its place in the whole arch; their log-probabilities are averaged.
    """
    if not instances.evidence:
        return instances
    half = region.half()
    tooth = sample(coarse.upper + coarse.lower, coarse.region, half)
    small = instances.labels[::2, ::2, ::2]
    labels = [evidence.label for evidence in instances.evidence]
    support = ndimage.mean(tooth, small, labels)
    if np.nanmax(support) < LEAST_BEST_SUPPORT:
        sure = [e.tooth_probability >= SURE_TOOTH and e.volume_mm3 >= SURE_VOLUME for e in instances.evidence]
        return instances if sum(sure) >= SURE_TEETH else Instances(np.zeros_like(instances.labels), ())
    # Where stage 1 sees no tooth, it has nothing to say of its position.
    places = [sample(channel, coarse.region.half(), half) for channel in coarse.position]
    weight = np.maximum(ndimage.sum(tooth, small, labels), 1e-6)
    seen = np.stack([ndimage.sum(tooth * channel, small, labels) / weight for channel in places], axis=1)
    kept = tuple(
        replace(
            evidence,
            position_log_probs=log_softmax(
                (1 - COARSE_SHARE) * evidence.position_log_probs + COARSE_SHARE * coarse_position
            ),
        )
        for evidence, share, coarse_position in zip(instances.evidence, support, seen, strict=True)
        if share >= LEAST_COARSE_SUPPORT
    )
    return _only(instances, kept)


def _without(instances: Instances, no_tooth: Callable[[InstanceEvidence], bool]) -> tuple[Instances, int]:
    """Instances without those that are no teeth, and how many these were."""
    kept = tuple(evidence for evidence in instances.evidence if not no_tooth(evidence))
    return _only(instances, kept), len(instances.evidence) - len(kept)


def _only(instances: Instances, evidence: tuple[InstanceEvidence, ...]) -> Instances:
    """Instances that are left with this evidence."""
    lookup = np.zeros(int(instances.labels.max()) + 1, instances.labels.dtype)
    for one in evidence:
        lookup[one.label] = one.label
    return Instances(lookup[instances.labels], evidence)
