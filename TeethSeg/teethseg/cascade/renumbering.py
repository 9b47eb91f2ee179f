"""FDI numbers for teeth that were segmented by hand or by another program."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..boxes import bounding_box
from ..errors import InputError
from ..resampling import crop, labels_on_grid
from ..volume import Volume
from .coarse import CoarseResult, coarse_information, run_coarse
from .dentition import Dentition, objects_text
from .field_of_view import has_data
from .fine import run_fine
from .head_pose import straightened
from .inference import InferenceConfig, fallbacks, run_with_fallbacks
from .instance_features import InstanceEvidence, gather_evidence
from .instances import MOST_TEETH
from .number_choice import NumberedTooth
from .numbering import MidlinePrior, midline_of_field, number_teeth
from .orientation import CUBE_MM, Orientation, OrientationDecision, decide
from .predictions import FineMaps
from .region import Region
from .tooth_properties import describe, measure
from .weights import Weights

_MARGIN = 4.0  # mm round the outlines, within the region of stage 2


def number_instances(scan: Volume, instances: Volume, weights: Weights, device: str = "auto") -> Dentition:
    """Number segmented teeth by the outputs of both networks in their voxels.

    Parameters
    ----------
    scan : Volume
        Checked by `io.scan_checks.check_scan`.
    instances : Volume
        Label map on the scan's grid: any positive value stands for one tooth, 0 for none.
    weights : Weights
        Of both networks.
    device : {'auto', 'cpu', 'cuda', 'mps'}

    Returns
    -------
    Dentition
        The same voxels under FDI numbers.

    Raises
    ------
    InputError
        If the label map lies on another grid than the scan, or has more values than a mouth has teeth.
    OutOfMemoryError
        If no inference configuration fits into memory.
    """
    if instances.array.shape != scan.array.shape or not np.allclose(instances.affine, scan.affine, atol=1e-3):
        raise InputError("The outlines lie on another grid than the scan: save them on the scan's grid.")
    values, compact = np.unique(instances.array, return_inverse=True)
    values = values.tolist()
    if 0 not in values:
        raise InputError("The outlines fill the whole scan: give a label map in which 0 is no tooth.")
    compact = (compact.reshape(scan.array.shape) - values.index(0)).astype(np.int32)
    if compact.min() < 0:
        raise InputError("The outlines have negative values: give a label map with one positive value for each tooth.")
    if len(values) - 1 > MOST_TEETH:
        raise InputError(
            f"The outlines have {len(values) - 1} values, more than a mouth has teeth: give one value for each tooth."
        )
    warnings = list(scan.warnings)
    if not compact.any():
        return Dentition(
            scan.with_array(np.zeros(scan.array.shape, np.uint8)), (), (*warnings, "No tooth is outlined.")
        )

    reading = _read(scan, compact, weights, device, warnings)
    decision = _decision(reading, weights)
    if not decision.best.as_filed:
        reading = _read(decision.best.turned(reading.volume), compact, weights, device, warnings)
    numbered = decision.numbers(reading.numbered)
    lookup = np.zeros(len(values), np.uint8)
    for tooth in numbered:
        lookup[tooth.label] = tooth.fdi
    left_out = len(values) - 1 - np.count_nonzero(lookup)
    if left_out:
        warnings.append(f"Left out: {objects_text(left_out)} without a place in the arches.")
    if decision.warning is not None:
        warnings.append(decision.warning)
    labels = scan.with_array(lookup[compact])
    teeth = describe(numbered, measure(labels, has_data(scan)))
    return Dentition(labels, teeth, tuple(dict.fromkeys(warnings)))


@dataclass(frozen=True)
class _Reading:
    volume: Volume  # with the axes of a straight head
    config: InferenceConfig
    coarse: CoarseResult
    evidence: tuple[InstanceEvidence, ...]
    midline: MidlinePrior | None
    numbered: tuple[NumberedTooth, ...]


def _read(scan: Volume, instances: np.ndarray, weights: Weights, device: str, notes: list[str]) -> _Reading:
    """Evidence of both networks for given outlines, and the numbers from it."""

    def run(config: InferenceConfig) -> tuple[Volume, CoarseResult, FineMaps]:
        straight, coarse = straightened(scan, lambda volume: run_coarse(volume, weights.coarse, config))
        seen = replace(coarse, box=_box(straight, instances))
        return straight, coarse, run_fine(straight, seen, weights.fine, config)

    config, (straight, coarse, maps) = run_with_fallbacks(fallbacks(device), run, notes.append)
    on_region = labels_on_grid(
        straight.with_array(instances), Region(maps.origin, maps.spacing, maps.tooth.shape).volume(maps.tooth)
    )
    edge = np.zeros(maps.tooth.shape, bool)
    evidence = tuple(one for one in gather_evidence(on_region.array, maps, edge) if one.volume_mm3 > 0)
    midline = midline_of_field(straight)
    return _Reading(straight, config, coarse, evidence, midline, tuple(number_teeth(evidence, midline)))


def _decision(reading: _Reading, weights: Weights) -> OrientationDecision:
    image = reading.coarse.likely_tooth_cube(CUBE_MM)

    def look(way: Orientation) -> float:
        return coarse_information(way.array(image), weights.coarse, reading.config)

    return decide(reading.evidence, reading.numbered, reading.midline, look)


def _box(scan: Volume, instances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest LPS corner (x, y, z) of all outlines and a margin, within the scan."""
    box = bounding_box(instances > 0)
    assert box is not None  # without an outlined tooth, `number_instances` has already returned
    corners = crop(scan, box).corners
    low, high = scan.extent
    return np.maximum(corners.min(axis=0) - _MARGIN, low), np.minimum(corners.max(axis=0) + _MARGIN, high)
