"""What was annotated, as a training case."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import UsageError
from ..io.case_folder import write_case_folder
from ..volume import Volume


def save_case(folder: str | Path, volume: Volume, labels: np.ndarray, patient: str, overwrite: bool = False) -> None:
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

    Raises
    ------
    UsageError
        If nothing is labelled, the labels are of another grid, the key is missing, or the folder may not be replaced.
    TeethSegError
        If it cannot be written.
    """
    if labels.shape != volume.array.shape:
        raise UsageError("The labels lie on another grid than the scan: annotate on this scan.")
    if not labels.any():
        raise UsageError("No tooth is labelled: annotate at least one before saving a training case.")
    write_case_folder(
        folder, volume, volume.with_array(labels.astype(np.uint8)), patient, overwrite=overwrite, simulated=False
    )
