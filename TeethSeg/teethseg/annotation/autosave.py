"""Autosave: labels and worklist in one file, so that neither is ever newer than the other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..io.nrrd import read_nrrd, write_nrrd
from ..volume import Volume
from .worklist import Worklist

_FIELD = "TeethSeg_Worklist"
_SUFFIX = ".autosave.nrrd"


@dataclass(frozen=True)
class Saved:
    """Work found again: `labels` (uint8 FDI numbers, (K, J, I)), `worklist`, and when it was saved (epoch seconds)."""

    labels: np.ndarray
    worklist: Worklist
    saved: float


class Autosave:
    """Unfinished work on scans, kept in a folder; one file a scan, an NRRD label map that Slicer opens too.

    Parameters
    ----------
    folder : path
        Made when first needed.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)

    def save(self, volume: Volume, labels: np.ndarray, worklist: Worklist) -> Path:
        """Keep the present state; takes the place of what was kept of this scan.

        Raises
        ------
        TeethSegError
            If it cannot be written; what was kept before is still there then.
        """
        path = self._path(volume)
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = volume.with_array(np.asarray(labels, np.uint8))
        write_nrrd(path, kept, {_FIELD: worklist.to_json()})
        return path

    def latest(self, volume: Volume) -> Saved | None:
        """What was kept of this scan; None if nothing, or if the file is damaged."""
        path = self._path(volume)
        if not path.is_file():
            return None
        try:
            kept, header = read_nrrd(path)
            worklist = Worklist.from_json(header.get(_FIELD, ""))
        except InputError:
            return None
        if kept.array.shape != volume.array.shape:
            return None
        return Saved(kept.array.astype(np.uint8, copy=False), worklist, path.stat().st_mtime)

    def forget(self, volume: Volume) -> None:
        """Remove what was kept of this scan, once it is saved elsewhere or not wanted."""
        self._path(volume).unlink(missing_ok=True)

    def _path(self, volume: Volume) -> Path:
        """A name that tells the scan by its geometry and voxels, and nothing about the patient."""
        key = hashlib.sha256(volume.affine.round(4).tobytes() + repr(volume.array.shape).encode())
        # Every 7th plane is enough to tell scans of one device apart, and takes a tenth of a second.
        key.update(np.ascontiguousarray(volume.array[::7]).tobytes())
        return self.folder / f"{key.hexdigest()[:24]}{_SUFFIX}"
