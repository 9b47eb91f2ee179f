"""Teeth that are short beside the others of a mouth: deciduous teeth that networks for permanent teeth took for permanent."""

from __future__ import annotations

import numpy as np

from ..boxes import label_boxes
from ..tooth_sizes import TEXTBOOK
from .dentition import MAYBE_EXTRA, TOUCHES_BORDER, UNERUPTED, Dentition

# Least length, by the textbook's, relative to the median of the mouth (docs/training.md).
_SHORT = 0.7
_LEAST_TEETH = 6  # teeth from which on the median tells
_LAST = 5  # the last position of deciduous teeth
_SAMPLES = 3000  # voxels of a tooth whose places are enough for its length


def short_teeth(dentition: Dentition) -> list[int]:
    """FDI numbers of incisors, canines and premolars that are as short as deciduous teeth, beside the others of the mouth.

    Teeth that the border cuts, unerupted and extra ones, and deciduous ones do not count.
    """
    labels = dentition.labels
    boxes = label_boxes(labels.array)
    share = {}
    for one in dentition.teeth:
        kind = one.tooth
        left_out = {TOUCHES_BORDER, UNERUPTED, MAYBE_EXTRA} & set(one.flags)
        if kind.deciduous or kind.position > _LAST or left_out or one.fdi not in boxes:
            continue
        box = boxes[one.fdi]
        places = labels.to_lps(np.argwhere(labels.array[box] == one.fdi) + [side.start for side in box])
        share[one.fdi] = length_mm(places) / TEXTBOOK[kind.jaw, kind.position].length
    if len(share) < _LEAST_TEETH:
        return []
    usual = float(np.median(list(share.values())))
    return [fdi for fdi, of in share.items() if of < _SHORT * usual]


def length_mm(places: np.ndarray) -> float:
    """Length of a tooth along its principal axis, without the outermost hundredths of its places (N, 3), mm."""
    some = places[:: max(1, len(places) // _SAMPLES)]
    along = (some - some.mean(axis=0)) @ np.linalg.eigh(np.cov(some.T))[1][:, -1] if len(some) > 1 else np.zeros(1)
    return float(np.ptp(np.percentile(along, (1, 99))))
