"""Reads a folder with one mask per structure, as TotalSegmentator writes it, into a label map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..volume import Volume
from .label_maps import LabelMap, overlap_note, put
from .label_schemes import LabelScheme, SegmentInfo, identify

_SAME_PLACE = 1e-3  # mm


def read_masks(
    files: Sequence[Path], folder: Path, read: Callable[[Path], Volume], scheme: LabelScheme | None
) -> LabelMap:
    """Combine masks into a label map; the file names identify the structures (`upper_left_canine_fdi23.nii.gz`).

    Parameters
    ----------
    files : sequence of Path
        Files whose names identify no structure are not read.
    folder : Path
        Their folder, for messages.
    read : callable
        Reads one of them.
    scheme : str or None
        The numbering of numbers without a mark in the names; see `label_schemes.identify`.

    Raises
    ------
    InputError
        If no name identifies a tooth, or the masks lie on different grids.
    """
    segments = [SegmentInfo(path.name.split(".")[0], 255) for path in files]
    found = identify(segments, scheme)
    if not found.has_teeth:
        raise InputError(f"{folder.name} is a folder, and no name in it tells a tooth: give the file with the labels.")
    merged: Volume | None = None
    taken = 0
    for path, one in zip(files, found.structures, strict=True):
        if one is None:
            continue
        mask = read(path)
        if merged is None:
            merged = replace(mask, array=np.zeros(mask.array.shape, np.uint8))  # with what its reader assumed
        if mask.array.shape != merged.array.shape or np.abs(mask.affine - merged.affine).max() > _SAME_PLACE:
            raise InputError(
                f"The masks in {folder.name} lie on different grids: export them of one scan ({path.name})."
            )
        taken += put(merged.array, (mask.array > 0) * np.uint8(one.value))
    assert merged is not None  # one name at least identifies a tooth
    merged = replace(merged, warnings=(*merged.warnings, *overlap_note(taken, folder.name)))
    return LabelMap(merged, tuple(segments), found, folder.name)
