"""The whole pipeline, from a scan to its `Dentition`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.special import log_softmax

from ..boxes import triple
from ..errors import OutOfMemoryError, WeightsError
from ..volume import Volume
from .coarse import CoarseResult, coarse_information, run_coarse, sample
from .dentition import UNCERTAIN_NUMBER, UNERUPTED, Dentition, FoundTooth, objects_text
from .field_of_view import PatientMask, has_data, region_has_data
from .findings import MANY_STACKED, is_deciduous, stacked_pairs
from .fine import run_fine, run_fine_enlarged
from .head_pose import straightened
from .inference import InferenceConfig, fallbacks, run_with_fallbacks
from .instance_features import InstanceEvidence
from .instances import Instances, find_instances
from .network_choice import LOOKED_MIXED, NOT_LOOKED_MIXED, SECOND_RUN, NetworkChoice
from .normalisation import inverted, inverted_image
from .numbering import MidlinePrior, NumberedTooth, midline_of_field, number_teeth
from .orientation import AS_FILED, CUBE_MM, OrientationDecision, better_inverted, decide, in_doubt
from .predictions import FineMaps, ToothMaps
from .region import Region
from .restorations import with_fillings
from .second_look import Look, part_fused_teeth, without_unseen
from .short_teeth import short_teeth
from .tooth_properties import SURE, describe, measure
from .turns import turn_between, turned_maps
from .weights import Weights, load_weights

Progress = Callable[[str, int, int], None]

COARSE_SHARE = 0.5  # weight of stage 1 in the evidence for a tooth's position
# Another orientation is accepted only if this share of the teeth is found in it too.
LEAST_KEPT = 0.5
FEW_STACKED = 2  # pairs of teeth above one another, from which on the networks for mixed dentitions look too


@dataclass(frozen=True)
class Segmentation:
    """Result of `segment`.

    Attributes
    ----------
    dentition : Dentition
        Teeth and their label map on the scan's grid.
    seconds : dict of str to float
        Wall time of each step.
    device : str
        Where the networks ran: "cpu", "cuda" or "mps".
    maps : ToothMaps or None
        Probabilities for sub-voxel surfaces; None unless requested, and without teeth.
    looks : int
        Number of runs of stage 1: one, unless the head is tilted, the orientation was in doubt or no tooth was found.
    look_voxels : int
        Number of voxels of stage 1 in all these runs.
    """

    dentition: Dentition
    seconds: dict[str, float]
    device: str
    maps: ToothMaps | None = None
    looks: int = 1
    look_voxels: int = 0


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
        The scan, checked by `io.scan_checks.check_scan`.
    weights : Weights
        Both networks.
    device : {"auto", "cpu", "cuda", "mps"}
    progress : callable
        Called with the name of the step, the number of finished parts and the number of all parts.
    keep_maps : bool
        Whether the result holds `Segmentation.maps`.

    Raises
    ------
    OutOfMemoryError
        If no configuration fits into memory.
    """
    run = _Run(weights, device, progress)
    reading = run.read(volume)
    # A reading is large, so each one is released before the next.
    if in_doubt(reading.numbered) and run.is_inverted(reading):
        del reading
        reading = run.read(inverted(volume))
    decision = run.decision(reading)
    if not decision.best.as_filed:
        filed, teeth_as_filed = reading.volume, len(reading.evidence)
        del reading
        reading = run.read(decision.best.turned(filed))
        if len(reading.evidence) < LEAST_KEPT * teeth_as_filed:  # stage 2 does not confirm the teeth of stage 1
            del reading
            decision = OrientationDecision(AS_FILED, decision.best)
            reading = run.read(filed)
    reading = run.seen_again(reading)
    if decision.warning is not None:
        run.notes.append(decision.warning)
    with run.timed("write back"):
        dentition, maps = _written(reading, decision, volume)
    # Without teeth, a warning about the orientation has no basis.
    notes = [note for note in run.notes if dentition.teeth or note != decision.warning]
    warnings = tuple(dict.fromkeys((*volume.warnings, *notes, *reading.notes, *dentition.warnings)))
    dentition = replace(dentition, warnings=warnings)
    device = reading.config.name
    return Segmentation(dentition, run.seconds, device, maps if keep_maps else None, run.looks, run.look_voxels)


def segment_chosen(
    choice: NetworkChoice,
    weights: Weights,
    device: str = "auto",
    progress: Progress = lambda step, done, total: None,
    *,
    keep_maps: bool = False,
    load: Callable[[Path], Weights] = load_weights,
) -> tuple[Segmentation, Weights]:
    """Segment a scan, and again by the networks for mixed dentitions if there seem to be deciduous teeth.

    Parameters
    ----------
    choice : NetworkChoice
    weights : Weights
        Those of `choice.file`.
    device, progress, keep_maps :
        As for `segment`.
    load : callable
        Loads `choice.if_mixed`.

    Returns
    -------
    result : Segmentation
        With a warning if it is that of the second run; `seconds` are those of all runs. If the second run does not confirm
        that a short tooth is deciduous, but is not sure either, its number in the first result is unsure.
    weights : Weights
        The weights of that run.
    """
    first = segment(choice.scan, weights, device, progress, keep_maps=keep_maps)
    if choice.if_mixed is None:
        return first, weights
    pairs, short = len(stacked_pairs(first.dentition.teeth)), short_teeth(first.dentition)
    if pairs < FEW_STACKED and not short:
        return first, weights
    progress(SECOND_RUN, 0, 1)
    scan = replace(choice.scan, warnings=(*choice.scan.warnings, LOOKED_MIXED))
    try:
        mixed = load(choice.if_mixed)
        second = segment(scan, mixed, device, progress, keep_maps=keep_maps)
    except (WeightsError, OutOfMemoryError) as error:  # the first result is not lost
        warnings = (*first.dentition.warnings, NOT_LOOKED_MIXED.format(reason=error))
        return replace(first, dentition=replace(first.dentition, warnings=warnings)), weights
    seconds = {step: first.seconds.get(step, 0.0) + spent for step, spent in second.seconds.items()}
    teeth = {one.fdi: one for one in second.dentition.teeth}
    confirmed = {fdi for fdi, one in teeth.items() if is_deciduous(one)} & {fdi + 40 for fdi in short}
    is_adult = choice.scan.patient_age is not None  # a child's age would have decided
    if confirmed or (pairs >= FEW_STACKED and _explains(second.dentition.teeth, pairs, is_adult)):
        return replace(second, seconds=seconds), mixed
    doubted = {fdi: teeth[fdi] for fdi in short if fdi in teeth and teeth[fdi].second_fdi == fdi + 40}
    return replace(first, seconds=seconds, dentition=_with_doubts(first.dentition, doubted)), weights


def _with_doubts(dentition: Dentition, others: Mapping[int, FoundTooth]) -> Dentition:
    """A dentition with the lower confidences and the second readings that other networks have of some teeth."""

    def doubted(one: FoundTooth) -> FoundTooth:
        other = others.get(one.fdi)
        if other is None or other.confidence >= min(SURE, one.confidence):
            return one
        flags = (UNCERTAIN_NUMBER, *(flag for flag in one.flags if flag != UNCERTAIN_NUMBER))
        return replace(one, confidence=other.confidence, second_fdi=other.second_fdi, flags=flags)

    return replace(dentition, teeth=tuple(map(doubted, dentition.teeth)))


def _explains(teeth: Sequence[FoundTooth], pairs: int, is_adult: bool) -> bool:
    """Whether the networks for mixed dentitions see what `pairs` teeth above one another lead to expect.

    With many pairs, any deciduous tooth or germ is enough, but for third molars' germs, which adults have too; if there is
    none, a finding asks the user. Few pairs, or those of a patient known as an adult, may be impacted teeth above permanent
    ones: then each must be explained by a deciduous tooth.
    """
    if pairs >= MANY_STACKED and not is_adult:
        return any(is_deciduous(one) or (UNERUPTED in one.flags and one.tooth.position < 8) for one in teeth)
    return sum(map(is_deciduous, teeth)) >= pairs


@dataclass(frozen=True)
class _Reading:
    """Result for one orientation of a scan; `volume` has the axes of a straight head.

    `maps` and `instances` are None if stage 1 found no tooth.
    """

    volume: Volume
    config: InferenceConfig
    coarse: CoarseResult
    data: np.ndarray | PatientMask | None = None
    maps: FineMaps | None = None
    instances: Instances | None = None
    numbered: tuple[NumberedTooth, ...] = ()

    def with_numbers(self, instances: Instances) -> _Reading:
        """The same with instances of these maps, and their numbers."""
        return replace(self, instances=instances, numbered=tuple(number_teeth(instances.evidence, self.midline)))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, for the user."""
        found = self.instances
        if found is None:
            return ()
        far = self.coarse.far_objects
        texts = {
            f"{objects_text(found.metal)} of metal, such as implants.": found.metal,
            f"{objects_text(found.doubtful)} like a tooth, but probably none: check that no tooth is missing.": found.doubtful,
            f"{objects_text(found.surplus)}, as no mouth has that many teeth: the networks may not fit it.": found.surplus,
            f"{objects_text(far)} like a tooth, far from the others: if it is one, segment a scan that is cropped to it.": far,
        }
        return tuple(f"Left out: {text}" for text, count in texts.items() if count)

    @property
    def evidence(self) -> tuple[InstanceEvidence, ...]:
        return () if self.instances is None else self.instances.evidence

    @property
    def midline(self) -> MidlinePrior | None:
        return midline_of_field(self.volume)


class _Run:
    """State of one run: notes for the user, and the time of each step."""

    def __init__(self, weights: Weights, device: str, progress: Progress):
        self.weights, self.device, self.progress = weights, device, progress
        self.seconds: dict[str, float] = {}
        self.notes: list[str] = []
        self.looks = self.look_voxels = 0

    @contextmanager
    def timed(self, step: str):
        self.progress(step, 0, 1)
        start = time.perf_counter()
        yield lambda done, total: self.progress(step, done, total)
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start

    def read(self, filed: Volume) -> _Reading:
        """Run both stages, and find and number the instances; the head is straightened if it is tilted or turned."""

        def networks(config: InferenceConfig):
            with self.timed("find arches") as tell:
                straight, coarse = straightened(filed, lambda scan: self._first_look(scan, config, tell))
            if coarse.box is None:
                return straight, coarse, None
            with self.timed("outline teeth") as tell:
                return straight, coarse, run_fine(straight, coarse, self.weights.fine, config, tell)

        config, (volume, coarse, maps) = run_with_fallbacks(fallbacks(self.device), networks, self.notes.append)
        if maps is None:
            return _Reading(volume, config, coarse)

        with self.timed("part teeth"):
            region = Region(maps.origin, maps.spacing, maps.tooth.shape)
            data = has_data(volume, coarse.greys)
            inside = region_has_data(volume, region, data)
            seen = sample(coarse.upper + coarse.lower, coarse.region, region.half())
            decisions = self.weights.decisions
            instances = find_instances(maps, inside, seen, decisions)
            instances = part_fused_teeth(instances, maps, inside, self._looks(volume, coarse), decisions)
            instances = _with_coarse_positions(instances, seen, coarse, region.half())
        reading = _Reading(volume, config, coarse, data, maps, instances)
        with self.timed("number teeth"):
            return reading.with_numbers(instances)

    def seen_again(self, reading: _Reading) -> _Reading:
        """A reading without the small objects of unsure number that stage 2 does not see enlarged."""
        if reading.maps is None or reading.instances is None:
            return reading
        with self.timed("number teeth"):
            doubted = {tooth.label for tooth in reading.numbered if not tooth.fdi or tooth.confidence < SURE}
            look = self._looks(reading.volume, reading.coarse)
            instances = without_unseen(reading.instances, reading.maps, doubted, look)
            return reading if instances is reading.instances else reading.with_numbers(instances)

    def _looks(self, volume: Volume, coarse: CoarseResult) -> Look:
        """Second looks of stage 2 at boxes of a scan."""

        def look(low: np.ndarray, high: np.ndarray, zoom: float) -> FineMaps:
            def enlarged(config: InferenceConfig) -> FineMaps:
                return run_fine_enlarged(volume, coarse, (low, high), zoom, self.weights.fine, config)

            return run_with_fallbacks(fallbacks(self.device), enlarged, self.notes.append)[1]

        return look

    def is_inverted(self, reading: _Reading) -> bool:
        """Whether stage 1 has more information on the teeth in the inverted image."""
        known = self._look(inverted_image(reading.coarse.image), reading)
        is_inverted = better_inverted(reading.coarse.information, known)
        if is_inverted:
            self.notes.append(
                "The grey values of this scan are inverted (teeth darker than flesh): dark and bright were exchanged; "
                "check the result."
            )
        return is_inverted

    def decision(self, reading: _Reading) -> OrientationDecision:
        """Decide the orientation; stage 1 runs again only if the header is in doubt."""
        image = reading.coarse.likely_tooth_cube(CUBE_MM)
        return decide(
            reading.evidence, reading.numbered, reading.midline, lambda way: self._look(way.array(image), reading)
        )

    def _look(self, image: np.ndarray, reading: _Reading) -> float:
        """Information of stage 1 on another image, in nats."""
        self._count(image)
        with self.timed("find arches"):
            return coarse_information(image, self.weights.coarse, reading.config)

    def _first_look(self, volume: Volume, config: InferenceConfig, tell: Callable[[int, int], None]) -> CoarseResult:
        coarse = run_coarse(volume, self.weights.coarse, config, tell)
        self._count(coarse.image)
        return coarse

    def _count(self, image: np.ndarray) -> None:
        self.looks += 1
        self.look_voxels += image.size


def _written(reading: _Reading, decision: OrientationDecision, scan: Volume) -> tuple[Dentition, ToothMaps | None]:
    """Labels on the scan's grid, and teeth and maps on the file's axes; the warnings concern the numbers only."""
    empty = np.zeros(scan.array.shape, np.uint8)
    nothing = Dentition(scan.with_array(empty), (), ("No tooth was found in this scan.",))
    maps, instances = reading.maps, reading.instances
    if maps is None or instances is None:
        return nothing, None
    lookup = np.zeros(int(instances.labels.max()) + 1, np.uint8)
    for one in reading.numbered:
        lookup[one.label] = one.fdi
    left_out = sum(one.fdi == 0 for one in reading.numbered)
    text = f"Left out: {objects_text(left_out)} without a place in the arches: look for supernumerary teeth."
    warnings = (text,) * bool(left_out)
    maps, owner = with_fillings(maps, lookup[instances.labels])
    kept = ToothMaps.around(maps, owner)
    if kept is None:
        return replace(nothing, warnings=(*warnings, *nothing.warnings)), None
    back = turn_between(reading.volume, scan)
    kept = turned_maps(kept, back)
    # The labels are made from the maps in the result, so that a caller can compare both to find later changes.
    labels = scan.with_array(kept.labels(scan))
    # Measured in the turned scan, whose voxels are the same but whose axes are those of an upright head.
    upright = measure(reading.volume.with_array(labels.array), reading.data)
    teeth = tuple(
        replace(tooth, centroid_lps_mm=triple(back @ tooth.centroid_lps_mm))
        for tooth in describe(decision.numbers(reading.numbered), upright)
    )
    warnings += nothing.warnings if not teeth else ()
    return Dentition(labels, teeth, warnings), kept


def _with_coarse_positions(instances: Instances, seen: np.ndarray, coarse: CoarseResult, half: Region) -> Instances:
    """Combine both stages' evidence of the positions of instances.

    Stage 2 resolves the shape of a tooth, stage 1 its place in the whole arch; their log-probabilities are averaged. Voxels
    count in proportion to stage 1's tooth probability (`seen`, on the grid `half`).
    """
    if not instances.evidence:
        return instances
    small = instances.labels[::2, ::2, ::2]
    there = np.nonzero(small)
    source = coarse.region.half()
    place = half.spacing * np.array(there) + np.subtract(half.origin, source.origin)[::-1, None]
    votes = (ndimage.map_coordinates(one, place / source.spacing, order=1, mode="nearest") for one in coarse.position)
    sums = [np.bincount(small[there], seen[there] * vote, len(instances.evidence) + 1) for vote in (1.0, *votes)]
    far = (np.array(sums[1:]) / np.maximum(sums[0], 1e-6)).T[1:]
    evidence = tuple(
        replace(
            one, position_log_probs=log_softmax((1 - COARSE_SHARE) * one.position_log_probs + COARSE_SHARE * positions)
        )
        for one, positions in zip(instances.evidence, far, strict=True)
    )
    return replace(instances, evidence=evidence)
