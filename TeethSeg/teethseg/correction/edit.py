"""`Edit`: a change of a label map by a tool. The caller applies it; its inverse takes it back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..anatomy import TEETH
from ..boxes import Box, Index, label_boxes, union
from ..errors import ToothError, UsageError


@dataclass(frozen=True)
class Edit:
    """New content of a part of a label map.

    Attributes
    ----------
    box : (slice, slice, slice)
        The part, along (z, y, x).
    labels : ndarray of uint8
        FDI numbers in it, 0 = no tooth.
    """

    box: Box
    labels: np.ndarray

    def apply(self, labels: np.ndarray) -> Edit:
        """Write into `labels`; returns the edit that takes this one back."""
        inverse = Edit(self.box, labels[self.box].copy())
        labels[self.box] = self.labels
        return inverse

    def applied(self, labels: np.ndarray) -> np.ndarray:
        """A changed copy of `labels`."""
        changed = labels.copy()
        self.apply(changed)
        return changed

    def touched(self, labels: np.ndarray) -> tuple[int, ...]:
        """FDI numbers of the teeth that would gain or lose voxels, ascending; `labels` is the map before the edit."""
        before = labels[self.box]
        change = before != self.labels
        return tuple(sorted({*np.unique(before[change]).tolist(), *np.unique(self.labels[change]).tolist()} - {0}))


def check_number(fdi: int) -> None:
    """Refuse a number that is no tooth's.

    Raises
    ------
    UsageError
    """
    if fdi not in TEETH:
        raise UsageError(
            f"{fdi} is no tooth's FDI number: use 11-18, 21-28, 31-38 or 41-48 (51-85 for deciduous teeth)."
        )


def numbers_in(labels: np.ndarray) -> list[int]:
    """Values other than 0 that occur in a label map, ascending."""
    return sorted(label_boxes(labels))


def tooth_box(labels: np.ndarray, numbers: int | Iterable[int]) -> Box:
    """The smallest box around one or several teeth.

    Raises
    ------
    UsageError
        If one of them is not in the map.
    """
    numbers = [numbers] if isinstance(numbers, int) else list(numbers)
    found = label_boxes(labels)
    for number in numbers:
        if number not in found:
            raise ToothError("There is no tooth {number} here: choose one that the scan shows.", number=number)
    return union(found[number] for number in numbers)


def voxels_in(box: Box, seeds: Iterable[Index], shape: Index) -> np.ndarray:
    """Voxel indices (N, 3) counted from the corner of `box`.

    Raises
    ------
    UsageError
        If one lies outside the array.
    """
    points = np.array([tuple(seed) for seed in seeds], int).reshape(-1, 3)
    if ((points < 0) | (points >= np.array(shape))).any():
        raise UsageError("A click lies outside the scan: click inside the tooth.")
    return points - [side.start for side in box]
