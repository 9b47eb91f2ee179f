"""Largest volume of a tooth of one patient: larger than usual if the other teeth are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .instance_features import InstanceEvidence

LARGEST = 1.45  # of a tooth's usual volume, beside the patient's other teeth
LEAST_TEETH = 6  # so many must be there to tell how large they are


def largest_volumes(evidence: Sequence[InstanceEvidence]) -> np.ndarray:
    """Volume in mm³ that each could have as a tooth of its position and of this patient; 0 if too few are there to tell."""
    usual = np.array([one.usual_mm3 for one in evidence])
    ratios = [one.volume_mm3 / one.usual_mm3 for one in evidence if not one.touches_border]
    if len(ratios) < LEAST_TEETH:
        return np.zeros(len(evidence))
    size = min(float(np.percentile(ratios, 70)), 2.0)  # of most teeth; pieces are small
    return LARGEST * size * usual


def too_large(evidence: Sequence[InstanceEvidence]) -> list[int]:
    """Labels of instances that are larger than one tooth of this patient, and so are several teeth."""
    largest = largest_volumes(evidence)
    return [one.label for one, most in zip(evidence, largest, strict=True) if 0 < most < one.volume_mm3]
