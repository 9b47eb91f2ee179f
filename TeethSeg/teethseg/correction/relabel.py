"""Numbers of teeth: renumber, swap, shift a quadrant, merge, remove. Voxels stay where they are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..anatomy import TEETH, tooth
from ..boxes import Box
from ..errors import ToothError, UsageError
from .edit import Edit, check_number, numbers_in, tooth_box


def renumber(labels: np.ndarray, numbers: Mapping[int, int]) -> Edit:
    """Give teeth other numbers, all at once: `{16: 17, 17: 16}` swaps two.

    Parameters
    ----------
    labels : ndarray of uint8, shape (Z, Y, X)
    numbers : mapping of int to int
        New FDI number by old one.

    Raises
    ------
    UsageError
        If a tooth is not there, a number is no tooth's, or two teeth would end up with one number.
    """
    numbers = {old: new for old, new in numbers.items() if old != new}
    if not numbers:
        raise UsageError("The number stays the same: choose another one.")
    for new in numbers.values():
        check_number(new)
    box = tooth_box(labels, numbers)
    present = numbers_in(labels)
    for new in numbers.values():
        if new in present and new not in numbers:
            raise ToothError("There is a tooth {new} already: swap the two, or merge them.", new=new)
        if list(numbers.values()).count(new) > 1:
            raise ToothError("Two teeth cannot both be {new}: give each its own number.", new=new)
    return _relabelled(labels, box, numbers)


def shift_numbers(labels: np.ndarray, fdi: int, step: int = 1) -> Edit:
    """Shift a tooth and all distal ones of its quadrant `step` numbers away from the midline (towards it if negative).

    Raises
    ------
    UsageError
        If the tooth is not there, a number would fall off the end of the quadrant, or is taken.
    """
    tooth_box(labels, fdi)
    row = [n for n in numbers_in(labels) if n in TEETH and n // 10 == fdi // 10 and n >= fdi]
    last = 5 if tooth(fdi).deciduous else 8
    end = row[-1] if step > 0 else row[0]
    if not 1 <= end % 10 + step <= last:
        place = "behind" if step > 0 else "before"
        raise ToothError(f"Tooth {{end}} has no number {place} it: renumber or remove tooth {{end}} first.", end=end)
    return renumber(labels, {number: number + step for number in row})


def merge_teeth(labels: np.ndarray, keep: int, give: int) -> Edit:
    """Make tooth `give` a part of tooth `keep`.

    Raises
    ------
    UsageError
        If one of them is not there, or both are the same.
    """
    if keep == give:
        raise UsageError("A tooth cannot be merged with itself: choose two teeth.")
    tooth_box(labels, keep)
    return _relabelled(labels, tooth_box(labels, give), {give: keep})


def remove_tooth(labels: np.ndarray, fdi: int) -> Edit:
    """Not a tooth: its voxels become background.

    Raises
    ------
    UsageError
        If it is not there.
    """
    return _relabelled(labels, tooth_box(labels, fdi), {fdi: 0})


def _relabelled(labels: np.ndarray, box: Box, numbers: Mapping[int, int]) -> Edit:
    table = np.arange(256, dtype=np.uint8)
    for old, new in numbers.items():
        table[old] = new
    return Edit(box, table[labels[box]])
