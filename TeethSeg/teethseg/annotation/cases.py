"""Annotations as training cases; unfinished teeth are unknown voxels, never background."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from ..cascade.normalisation import first_levels, tooth_levels
from ..errors import UsageError
from ..io.case_folder import write_case_folder
from ..padding import patient_greys
from ..structures import UNKNOWN_VALUE
from ..volume import Volume
from .worklist import Worklist

AROUND = 1.5  # mm: margin of unknown voxels around a tooth that is drawn, but not completed
_BRIGHT = 0.25  # from soft tissue (0) to hard tissue (1): from there on it may be a tooth that is not drawn yet
_HOLES, _MARGIN = 2.0, 1.0  # mm: pulps that are closed in bright voxels, and the margin around these


def save_case(
    folder: str | Path,
    volume: Volume,
    labels: np.ndarray,
    patient: str,
    overwrite: bool = False,
    worklist: Worklist | None = None,
    missing: tuple[int, ...] = (),
    unfinished: bool = False,
) -> None:
    """Write a scan and its labels as a training case (`image.nrrd`, `labels.seg.nrrd`, `case.json`).

    Parameters
    ----------
    folder : path
        Appears when it is complete.
    volume : Volume
        The scan.
    labels : ndarray of uint8, shape (K, J, I)
        FDI numbers on the scan's grid.
    patient : str
        A key of the patient, the same for all scans of one; not a name, since it goes where the case goes.
    overwrite : bool
        Whether a case that lies there already may be replaced.
    worklist : Worklist, optional
        How far the teeth are; kept in `case.json`. Without it all teeth are taken as finished.
    missing : tuple of int
        Teeth that the patient does not have.
    unfinished : bool
        Whether a case may have teeth that are not completed; they become unknown then, see `with_unknown`.

    Raises
    ------
    UsageError
        If nothing is labelled, the labels are of another grid, the key is missing, the folder may not be replaced, or teeth
        are not completed and `unfinished` is not set; then they are named.
    TeethSegError
        If it cannot be written.
    """
    if labels.shape != volume.array.shape:
        raise UsageError("The labels lie on another grid than the scan: annotate on this scan.")
    if not labels.any():
        raise UsageError("No tooth is labelled: annotate at least one before saving a training case.")
    about: dict = {"simulated": False}
    if worklist is not None:
        still_open = worklist.unfinished()
        if still_open and not unfinished:
            names = ", ".join(str(fdi) for fdi in still_open)
            raise UsageError(
                f"{len(still_open)} teeth are not completed ({names}): finish them, mark them as missing, or save them "
                "as unknown."
            )
        labels = with_unknown(labels, volume, still_open)
        states = {fdi: worklist.state(fdi) for fdi in worklist.teeth} | dict.fromkeys(missing, "missing")
        about["teeth"] = {str(fdi): states[fdi] for fdi in sorted(states)}
    write_case_folder(folder, volume, volume.with_array(labels.astype(np.uint8)), patient, overwrite=overwrite, **about)


def with_unknown(labels: np.ndarray, volume: Volume, still_open: tuple[int, ...]) -> np.ndarray:
    """Labels in which teeth that are not completed are unknown voxels (255), neither tooth nor background.

    A drawn tooth becomes unknown with a margin of 1.5 mm. The place of a tooth that is not drawn yet is not known: then every
    unlabelled voxel that may be hard tissue by its grey value becomes unknown, with the hollows in it and a margin.

    Parameters
    ----------
    labels : ndarray of uint8, shape (K, J, I)
        FDI numbers.
    volume : Volume
        The scan.
    still_open : tuple of int
        FDI numbers.

    Raises
    ------
    UsageError
        If no tooth is completed.
    """
    if not still_open:
        return labels
    drawn = np.isin(labels, still_open)
    finished = (labels > 0) & ~drawn
    if not finished.any():
        raise UsageError("No tooth is completed: finish at least one before saving a training case.")
    unknown = _grown(drawn, AROUND, volume)
    if set(still_open) - set(np.unique(labels[drawn]).tolist()):
        patient = patient_greys(volume.array, volume.padding).covers(volume.array)
        soft, hard = tooth_levels(volume.array, finished, first_levels(volume.array[patient]), patient)
        bright = patient & (volume.array >= soft + _BRIGHT * (hard - soft))
        closed = _shrunk(_grown(bright, _HOLES, volume), _HOLES, volume)
        unknown |= _grown(closed, _MARGIN, volume)
    return np.where(unknown & ~finished, UNKNOWN_VALUE, labels).astype(np.uint8)


def _grown(mask: np.ndarray, by_mm: float, volume: Volume) -> np.ndarray:
    """A mask dilated by a cube, which is quick on large scans."""
    return _filtered(ndimage.maximum_filter1d, mask, by_mm, volume)


def _shrunk(mask: np.ndarray, by_mm: float, volume: Volume) -> np.ndarray:
    return _filtered(ndimage.minimum_filter1d, mask, by_mm, volume)


def _filtered(step, mask: np.ndarray, by_mm: float, volume: Volume) -> np.ndarray:
    result = mask.astype(np.uint8)
    for axis, size in enumerate(volume.spacing_zyx):
        result = step(result, 2 * int(np.ceil(by_mm / size)) + 1, axis)
    return result.astype(bool)
