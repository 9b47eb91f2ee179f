"""FDI numbers for teeth that somebody else has outlined: by hand, or another program."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..resampling import labels_on_grid
from ..volume import Volume
from .coarse import run_coarse
from .dentition import Dentition
from .field_of_view import has_data
from .fine import run_fine
from .inference import InferenceConfig, fallbacks, first_that_fits
from .instance_features import gather_evidence
from .numbering import midline_of_field, number_teeth
from .predictions import FineMaps
from .region import Region, extent
from .tooth_properties import describe, measure
from .weights import Weights

_MARGIN = 4.0  # mm round the outlines that stage 2 sees


def number_instances(scan: Volume, instances: Volume, weights: Weights, device: str = "auto") -> Dentition:
    """Number outlined teeth by what both networks say of their voxels.

    Parameters
    ----------
    scan : Volume
        Checked by `io.scan_checks.check_scan`.
    instances : Volume
        Label map on the scan's grid: any positive value stands for one tooth, 0 for none.
    weights : Weights
    device : {'auto', 'cpu', 'cuda', 'mps'}

    Returns
    -------
    Dentition
        The same voxels under FDI numbers.

    Raises
    ------
    InputError
        If the label map lies on another grid than the scan.
    OutOfMemoryError
        If no way of running fits into memory.
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
    warnings = list(scan.warnings)
    if not compact.any():
        return Dentition(
            scan.with_array(np.zeros(scan.array.shape, np.uint8)), (), (*warnings, "No tooth is outlined.")
        )

    _, maps = first_that_fits(fallbacks(device), _predictions(scan, compact, weights), warnings.append)
    on_region = labels_on_grid(
        scan.with_array(compact), Region(maps.origin, maps.spacing, maps.tooth.shape).volume(maps.tooth)
    )
    edge = np.zeros(maps.tooth.shape, bool)
    evidence = [one for one in gather_evidence(on_region.array, maps, edge) if one.volume_mm3 > 0]
    low, high = extent(scan)
    numbered = number_teeth(evidence, midline_of_field(low[0], high[0]))
    lookup = np.zeros(len(values), np.uint8)
    for tooth in numbered:
        lookup[tooth.label] = tooth.fdi
    left_out = len(values) - 1 - np.count_nonzero(lookup)
    if left_out:
        warnings.append(f"Left out: {left_out} outlined object(s) that fit no place of the arches.")
    labels = scan.with_array(lookup[compact])
    return Dentition(labels, describe(numbered, measure(labels, has_data(scan))), tuple(warnings))


def _predictions(scan: Volume, instances: np.ndarray, weights: Weights):
    """What stage 2 says round all outlines, as a function of the way to run."""

    def run(config: InferenceConfig) -> FineMaps:
        coarse = run_coarse(scan, weights.coarse, config)
        return run_fine(scan, replace(coarse, box=_box(scan, instances)), weights.fine, config)

    return run


def _box(scan: Volume, instances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest LPS corner (x, y, z) of all outlines and a margin, within the scan."""
    (box,) = ndimage.find_objects((instances > 0).astype(np.uint8))
    corners = scan.to_lps(list(product(*((side.start, side.stop - 1) for side in box))))
    low, high = extent(scan)
    return np.maximum(corners.min(axis=0) - _MARGIN, low), np.minimum(corners.max(axis=0) + _MARGIN, high)
