"""Simulated scans cut to the upper teeth: half the work for the networks, and all that tests of a whole run look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from teethseg.boxes import bounding_box, widened
from teethseg.io.files import read_labels, read_scan, write_labels, write_scan
from teethseg.resampling import crop
from teethseg.volume import Volume

MARGIN_MM = 4.0


def upper_teeth(scan: Volume, labels: Volume) -> tuple[Volume, Volume]:
    """The part of a scan, and of its labels (FDI numbers), around the teeth of the upper jaw."""
    box = bounding_box((labels.array > 0) & (labels.array < 30))
    box = widened(box, MARGIN_MM, labels.spacing_zyx, labels.array.shape)
    parts = [crop(volume, box) for volume in (scan, labels)]
    return parts[0], parts[1].with_array(np.where(parts[1].array < 30, parts[1].array, 0).astype(np.uint8))


def cut_to_upper_teeth(case: Path) -> Path:
    """Cut the scan and the labels of a simulated case; returns its folder."""
    scan, labels = upper_teeth(read_scan(case / "image.nrrd"), read_labels(case / "labels.seg.nrrd"))
    write_scan(case / "image.nrrd", scan)
    write_labels(case / "labels.seg.nrrd", labels)
    return case
