"""Merges a new result with an earlier one of the same scan: some teeth are replaced, the others stay."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from .dentition import Dentition, FoundTooth
from .findings import numbers_text
from .tooth_properties import measure

# A new tooth is a kept one found again if more than this share of its voxels lies in kept teeth.
SAME_TOOTH = 0.5


def merged_result(
    old: np.ndarray, new: Dentition, keep: Collection[int], take: Collection[int], requested: Collection[int] = ()
) -> Dentition:
    """Merge the new result with some teeth of the old one.

    Parameters
    ----------
    old : ndarray of uint8, shape of the new labels
        FDI numbers of the earlier result.
    new : Dentition
    keep : collection of int
        FDI numbers that stay as in `old`; a user has checked them, so their confidence is 1.
    take : collection of int
        FDI numbers to take from `new`. A tooth that is also in `keep`, or lies mostly in a kept tooth, is not taken.
    requested : collection of int, optional
        FDI numbers that the user asked for. Warnings name those of `keep` among them that `new` has elsewhere, and those in
        neither collection, as the user removed or renumbered the teeth that had them.

    Returns
    -------
    Dentition
        On the new grid. Old teeth in neither collection are removed.
    """
    labels = np.where(np.isin(old, list(keep)), old, 0).astype(np.uint8)
    covered = np.bincount(new.labels.array[labels > 0], minlength=256)
    sizes = np.bincount(new.labels.array.ravel(), minlength=256)
    others = [found for found in new.teeth if covered[found.fdi] <= SAME_TOOTH * sizes[found.fdi]]
    taken = {found.fdi: found for found in others if found.fdi in take and found.fdi not in keep}
    in_place = np.bincount(labels[labels == new.labels.array], minlength=256)
    again = in_place > SAME_TOOTH * np.bincount(labels.ravel(), minlength=256)
    elsewhere = [found.fdi for found in others if found.fdi in keep and found.fdi in requested and not again[found.fdi]]
    given_up = [found.fdi for found in others if found.fdi in requested and found.fdi not in {*keep, *take}]
    for left_out, reason in (
        (elsewhere, "your teeth with these numbers lie in other places"),
        (given_up, "you have removed or renumbered the teeth that had these numbers"),
    ):
        if left_out:
            text = f"Left out: newly found {numbers_text(left_out)} (FDI), as {reason}."
            new = replace(new, warnings=(*new.warnings, text))
    room = (labels == 0) & np.isin(new.labels.array, list(taken))
    labels[room] = new.labels.array[room]
    volume = new.labels.with_array(labels)
    teeth = tuple(
        FoundTooth(
            fdi,
            taken[fdi].confidence if fdi in taken else 1.0,
            measures.volume_mm3,
            measures.centroid_lps_mm,
            taken[fdi].second_fdi if fdi in taken else None,
            measures.touches_border,
            taken[fdi].flags if fdi in taken else (),
        )
        for fdi, measures in sorted(measure(volume).items())
    )
    return Dentition(volume, teeth, new.warnings)
