"""Views of a scan: the points in the patient at which scan and label maps are sampled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import center_of_mass, map_coordinates

from ..boxes import label_boxes
from ..padding import PatientGreys
from ..resampling import crop
from ..volume import Volume

STEP_MM = 0.25  # between the rows and the columns of a view


@dataclass(frozen=True)
class View:
    """A slab to be shown as a picture.

    Attributes
    ----------
    points : ndarray, shape (depth, rows, columns, 3)
        LPS positions in mm; the picture is the mean over the depth.
    title : str
    silhouettes : bool
        Outline of a tooth: its silhouette over the depth, or else where it fills half of the depth.
    """

    points: np.ndarray
    title: str = ""
    silhouettes: bool = False


@dataclass(frozen=True)
class LabelExtent:
    """Centroid (3,) of the voxels of a label and the corners (8, 3) of their bounding box, in LPS mm."""

    value: int
    centre: np.ndarray
    corners: np.ndarray


def label_extents(labels: Volume) -> list[LabelExtent]:
    """The extents of all labels of a label map."""
    teeth = []
    for value, box in label_boxes(labels.array).items():
        centre = np.array(center_of_mass(labels.array[box] == value)) + [axis.start for axis in box]
        teeth.append(LabelExtent(value, labels.to_lps(centre), crop(labels, box).corners))
    return teeth


def axial_view(low: np.ndarray, high: np.ndarray, z: float) -> View:
    """Seen from below: x, to the patient's left, runs to the right, and y, backwards, runs down. 1 mm thick."""
    x, y = (np.arange(low[axis], high[axis], STEP_MM) for axis in (0, 1))
    depth = z + np.array([-0.33, 0, 0.33])[:, None, None]  # the mean reduces noise
    return View(np.stack(np.broadcast_arrays(x, y[:, None], depth), axis=-1), f"z {z:.0f} mm")


def coronal_view(low: np.ndarray, high: np.ndarray, y: float) -> View:
    """Seen from the front: x, to the patient's left, runs to the right, and z, upwards, runs up. 1 mm thick."""
    x, z = np.arange(low[0], high[0], STEP_MM), np.arange(high[2], low[2], -STEP_MM)
    depth = y + np.array([-0.33, 0, 0.33])[:, None, None]
    return View(np.stack(np.broadcast_arrays(x, depth, z[:, None]), axis=-1), f"y {y:.0f} mm")


def sagittal_view(low: np.ndarray, high: np.ndarray, x: float) -> View:
    """Seen from the patient's left: y, backwards, runs to the right, and z, upwards, runs up. 1 mm thick."""
    y, z = np.arange(low[1], high[1], STEP_MM), np.arange(high[2], low[2], -STEP_MM)
    depth = x + np.array([-0.33, 0, 0.33])[:, None, None]
    return View(np.stack(np.broadcast_arrays(depth, y, z[:, None]), axis=-1), f"x {x:.0f} mm")


def mean_greys(volume: Volume, view: View, greys: PatientGreys) -> np.ndarray:
    """Mean grey values of a scan over the depth of a view, linearly interpolated.

    Parameters
    ----------
    volume : Volume
    view : View
    greys : PatientGreys
        Of the scan (`padding.patient_greys`).

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        NaN where the whole depth is padding or outside the scan.
    """
    indices = np.moveaxis(volume.to_index(view.points), -1, 0)
    sizes = np.array(volume.array.shape)[:, None, None, None]
    nearest = np.rint(indices).astype(int)
    seen = ((nearest >= 0) & (nearest < sizes)).all(axis=0)
    if not seen.any():
        return np.full(seen.shape[1:], np.nan, np.float32)
    # Interpolation must not mix padding with the patient, so padding is replaced in the sampled part.
    first = [np.clip(index[seen].min() - 1, 0, None) for index in nearest]
    part = volume.array[tuple(slice(low, index[seen].max() + 2) for low, index in zip(first, nearest, strict=True))]
    offset = np.reshape(first, (3, 1, 1, 1))
    values = map_coordinates(greys.filled(part), indices - offset, output=np.float32, order=1, mode="nearest")
    if greys.padding:
        seen[seen] = greys.covers(part[tuple((nearest - offset)[:, seen])])
    count = seen.sum(axis=0)
    return np.divide(
        values.sum(axis=0, where=seen), count, out=np.full(count.shape, np.nan, np.float32), where=count > 0
    )


def sample_labels(volume: Volume, points: np.ndarray) -> np.ndarray:
    """Labels of the nearest voxels at LPS points (..., 3) in mm; 0 outside the volume."""
    return map_coordinates(
        volume.array, np.moveaxis(volume.to_index(points), -1, 0), output=volume.array.dtype, order=0
    )
