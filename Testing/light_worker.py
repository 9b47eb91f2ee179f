"""Loaded by Dask workers in tests (--preload): a scan takes half a second, no network, and leaves a file when begun."""

from __future__ import annotations

import os
import time

import numpy as np

from teethseg.batch import work
from teethseg.io.atomic_write import draft_folder, replace_folder
from teethseg.io.json_text import json_text
from teethseg.io.seg_nrrd import write_segmentation

REPORT = {"teeth": [], "findings": [], "warnings": [], "seconds": {"all": 1.0}, "device": "cpu"}


def segment(task: work.Task) -> None:
    volume = work.read(task.scan)
    begun = task.out.parent / "begun"
    begun.mkdir(exist_ok=True)
    (begun / f"{task.scan.name}.{os.getpid()}").touch()
    time.sleep(0.5)
    with draft_folder(task.out) as draft:
        new = draft / "new"
        new.mkdir()
        write_segmentation(new / work.TEETH, volume.with_array(np.zeros(volume.array.shape, np.uint8)), [])
        (new / work.REPORT).write_text(json_text(REPORT), encoding="utf-8")
        stamp = {"fingerprint": task.scan.fingerprint, **task.settings.stamp}
        (new / work.STAMP).write_text(json_text(stamp), encoding="utf-8")
        replace_folder(new, task.folder, draft)


work.segment_into_folder = segment
