"""Autosaves of TeethSeg 1, one file for each scan, become saved work of today."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

import numpy as np

from ..annotation.worklist import Worklist
from ..errors import InputError
from ..volume import Volume
from . import saved_work
from .saved_work import CASE, SavedWork
from .source import Source

_FIELD = "TeethSeg_Worklist"
_SUFFIX = ".autosave.nrrd"
_STATUS = {"completed": "completed", "flagged": "flagged"}  # of a worklist, as Slicer's segment table spells it


def take_over(folder: Path, scan: Volume, source: Source, root: Path) -> None:
    """Make saved work below `root` of the autosave that TeethSeg 1 made of a scan, if there is one; the old file moves there.

    Raises
    ------
    TeethSegError, OSError
        If it cannot be written; the old file stays where it is then.
    """
    from ..io.nrrd import read_nrrd
    from ..io.seg_nrrd import write_segmentation

    path = folder / file_name(scan)
    if not path.is_file():
        return
    try:
        kept, header = read_nrrd(path)
        worklist = Worklist.from_json(header.get(_FIELD, ""))
    except InputError:
        return
    if kept.array.shape != scan.array.shape or not kept.array.any():
        return
    saved, target = path.stat().st_mtime, saved_work.new_folder(root)
    file = f"teeth-{secrets.token_hex(6)}.seg.nrrd"
    states = {fdi: worklist.state(fdi) for fdi in worklist.teeth}
    tags = {fdi: {"Segmentation.Status": _STATUS.get(state, "inprogress")} for fdi, state in states.items()}
    write_segmentation(target / file, kept.with_array(kept.array.astype(np.uint8)), tags=tags)
    saved_work.write_case(
        SavedWork(
            target,
            source.name,
            str(source.path),
            False,
            None,
            worklist=worklist.to_json(),
            file=file,
            scan=saved_work.fingerprint(scan),
            start=(0, 0, 0),
            by_hand=True,
        )
    )
    os.utime(target / CASE, (saved, saved))
    path.replace(target / path.name)
    saved_work.release(target)


def file_name(scan: Volume) -> str:
    """The file's name in TeethSeg 1, a key of the scan's geometry and voxels."""
    key = hashlib.sha256(scan.affine.round(4).tobytes() + repr(scan.array.shape).encode())
    key.update(np.ascontiguousarray(scan.array[::7]).tobytes())
    return f"{key.hexdigest()[:24]}{_SUFFIX}"
