"""Simulated scans cut to the upper teeth: half the work for the networks, and enough for tests of a whole run."""

from __future__ import annotations

import numpy as np

from teethseg.boxes import bounding_box, widened
from teethseg.resampling import crop
from teethseg.volume import Volume

MARGIN_MM = 4.0


def upper_teeth(scan: Volume, labels: Volume) -> tuple[Volume, Volume]:
    """The part of a scan, and of its labels (FDI numbers), around the teeth of the upper jaw."""
    box = bounding_box((labels.array > 0) & (labels.array < 30))
    box = widened(box, MARGIN_MM, labels.spacing_zyx, labels.array.shape)
    parts = [crop(volume, box) for volume in (scan, labels)]
    return parts[0], parts[1].with_array(np.where(parts[1].array < 30, parts[1].array, 0).astype(np.uint8))
