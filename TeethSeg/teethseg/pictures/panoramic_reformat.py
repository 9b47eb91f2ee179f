"""The panoramic view as data for a page: grey values, outlines of the teeth, and the way from a pixel to the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..padding import patient_greys
from ..volume import Volume
from .panorama import panoramic_view
from .slices import MARGIN_MM, grey_levels, tooth_outlines, window_of
from .views import View, mean_greys, placed_teeth


@dataclass(frozen=True)
class Unrolled:
    """Both arches unrolled, from the patient's right to the left.

    Attributes
    ----------
    grey : ndarray of uint8, shape (rows, columns)
        From above downwards; the mean over the depth of the slab, 0 where nothing was imaged.
    outlines : dict of int to list of ndarray (N, 2)
        Outlines as (column, row) by FDI number.
    view : View
        Where its pixels lie.
    """

    grey: np.ndarray
    outlines: dict[int, list[np.ndarray]]
    view: View

    def place(self, column: float, row: float) -> tuple[float, float, float]:
        """The middle of the slab under a pixel, in LPS mm."""
        depth, rows, columns, _ = self.view.points.shape
        at = (depth // 2, int(np.clip(row, 0, rows - 1)), int(np.clip(column, 0, columns - 1)))
        return tuple(self.view.points[at].tolist())


def unrolled(scan: Volume, labels: Volume) -> Unrolled | None:
    """The panoramic view of a scan along its teeth; None where there are too few to see an arch.

    Parameters
    ----------
    scan : Volume
        Any intensities, spacing and direction.
    labels : Volume
        FDI numbers; need not be on the grid of the scan.
    """
    teeth = placed_teeth(labels)
    if not teeth:
        return None
    heights = np.concatenate([tooth.corners[:, 2] for tooth in teeth])
    view = panoramic_view(teeth, [labels], heights.min() - MARGIN_MM, heights.max() + MARGIN_MM)
    if view is None:
        return None
    mean = mean_greys(scan, view, patient_greys(scan.array, scan.padding))
    return Unrolled(grey_levels(mean, window_of(mean, 99.8)), tooth_outlines(labels, view), view)
