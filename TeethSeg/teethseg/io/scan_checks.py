"""Checks whether an image is a scan of teeth, and whether its geometry and values are valid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ..errors import InputError
from ..volume import Volume

# Millimetres. Teeth are 6-12 mm wide and 18-28 mm long; dental CBCT has voxels of 0.08-0.6 mm, head CT slices of up to
# 3 mm. Outside these limits the header is wrong or no tooth can be made out.
SPACING_LIMITS = (0.05, 5.0)
COARSE_SPACING = 3.0
# Cosine between two axes: half a degree, more than the rounding in headers, and less than any gantry tilt.
MOST_SHEAR = 0.01
FIELD_LIMITS = (8.0, 600.0)
_PLANES = 24  # planes that are examined to distinguish labels from grey values
_MOST_LABELS = 256
_MOST_DIFFERING = 0.09  # share of neighbouring label voxels with different values
USE_OF_LABELS = (
    "give the scan itself. Surfaces of labels are made by 'teethseg surfaces LABELS DIR', and 'teethseg serve SCAN --teeth "
    "LABELS' shows them."
)
_BELOW = 0.25  # distance of the padding value below the lowest value, as a share of the range of values


def check_scan(volume: Volume) -> tuple[str, ...]:
    """Refuse an image that is no scan of teeth; warn about odd properties of a usable one.

    Grey values may have any scale and offset; they need not be Hounsfield units.

    Returns
    -------
    tuple of str
        Warnings for the user, one line each; the reader's own (`Volume.warnings`) come first.

    Raises
    ------
    InputError
        If the image is not 3D, is constant, or its voxel size, extent or axes are not plausible for a scan.
    """
    _check_shape(volume.array)
    warnings = volume.warnings + _check_geometry(volume)
    if volume.array.min() == volume.array.max():
        raise InputError(
            f"Every voxel has the same value ({volume.array.flat[0]:g}), the image is empty: export it again."
        )
    if looks_like_labels(volume.array):
        raise InputError(f"The image is a label map, not a scan: {USE_OF_LABELS}")
    return warnings


def looks_like_labels(array: np.ndarray) -> bool:
    """Whether an image is a label map: few whole values in solid regions, the lowest one for the background.

    In a scan neighbouring voxels differ, even with few grey levels. In five real and simulated scans reduced to 8 levels, at
    least 13 % of the neighbours differed; in label maps of teeth, jaws and tissues, less than 7 %.
    """
    if array.dtype.kind not in "biuf" or not array.size:
        return False
    background = min(array.min(), 0)
    values: set[float] = set()
    pairs = differing = 0
    for plane in array[:: max(1, len(array) // _PLANES)]:
        values.update(np.unique(plane).tolist())
        if len(values) > _MOST_LABELS or not all(float(value).is_integer() for value in values):
            return False
        for first, second in ((plane[1:], plane[:-1]), (plane[:, 1:], plane[:, :-1])):
            both = (first != background) & (second != background)
            pairs += int(np.count_nonzero(both))
            differing += int(np.count_nonzero(both & (first != second)))
    return differing <= _MOST_DIFFERING * pairs


def with_numbers(volume: Volume) -> Volume:
    """The same scan with NaN and infinity replaced by padding.

    The padding value lies so far below the patient's values that `padding.patient_greys` detects it. A warning gives the
    number of these voxels.

    Parameters
    ----------
    volume : Volume
        Its array is changed in place.

    Raises
    ------
    InputError
        If no finite voxel remains, or all have one value.
    """
    array = volume.array
    # Minimum and maximum reveal NaN and infinity without a mask of the whole scan.
    if array.dtype.kind != "f" or not array.size or np.isfinite([array.min(), array.max()]).all():
        return volume
    count, ends = 0, []
    for plane in array:
        numbers = plane[np.isfinite(plane)]
        count += plane.size - numbers.size
        if numbers.size:
            ends += [float(numbers.min()), float(numbers.max())]
    if not ends:
        raise InputError("Not one voxel of the image is a number: export it again.")
    lowest, highest = min(ends), max(ends)
    if lowest == highest:
        raise InputError(f"Every voxel has the same value ({lowest:g}) or none, the image is empty: export it again.")
    for plane in array:
        plane[~np.isfinite(plane)] = lowest - _BELOW * (highest - lowest)
    warning = (
        f"{count} of {array.size} voxels are not a number or infinite: they were taken as lying outside the patient; "
        "look whether teeth are missing there."
    )
    return replace(volume, warnings=(*volume.warnings, warning))


def check_dimensions(axes: int, values: int = 1) -> None:
    """Refuse images that are not 3D with one value per voxel; readers call it with the numbers in the header.

    Raises
    ------
    InputError
        If the number of axes (of space and time) is not 3, or a voxel has more than one value.
    """
    if axes > 3:
        raise InputError(f"The image has {axes} dimensions, not 3: export one volume of the series.")
    if axes < 3:
        raise InputError("The image is flat (2D), a single slice or X-ray picture: give the whole 3D scan.")
    if values > 1:
        raise InputError(
            f"The image is in colour ({values} values a voxel): export one value a voxel, grey values or numbers of labels."
        )


def check_place(volume: Volume) -> None:
    """Refuse an image with an invalid geometry, because every measurement in it would be wrong.

    Raises
    ------
    InputError
        If a coordinate is not a number, the voxel size is not above 0, or the axes are not perpendicular.
    """
    if not np.isfinite(volume.affine).all():
        raise InputError("The position of the image in space is not a number: export it again.")
    if min(volume.spacing) <= 0:
        raise InputError(f"The voxel size is {_text(volume.spacing)} mm: correct it, or export the image again.")
    _check_axes(volume)


def _check_axes(volume: Volume) -> None:
    if np.abs(volume.direction.T @ volume.direction - np.eye(3)).max() > MOST_SHEAR:
        raise InputError(
            "The axes of the scan are not perpendicular (tilted gantry): straighten it first "
            "(3D Slicer: Transforms, harden, then Resample Scalar Volume)."
        )


def _text(sizes: Iterable[float]) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes)


def _check_shape(array: np.ndarray) -> None:
    check_dimensions(array.ndim if min(array.shape) > 1 else 2)
    if array.dtype.kind not in "iuf":
        raise InputError(f"The voxels are of type {array.dtype}, not grey values: export the scan in grey values.")


def _check_geometry(volume: Volume) -> tuple[str, ...]:
    spacing = np.asarray(volume.spacing)
    text = _text(spacing)
    if not np.isfinite(volume.affine).all():
        raise InputError("The position of the scan in space is not a number: export the scan again.")
    if spacing.min() < SPACING_LIMITS[0] or spacing.max() > SPACING_LIMITS[1]:
        raise InputError(
            f"The voxel size is {text} mm, outside {SPACING_LIMITS[0]:g} to {SPACING_LIMITS[1]:g} mm: correct it "
            "(3D Slicer: Volumes, Volume Information) or give a finer scan."
        )
    _check_axes(volume)
    field = spacing * volume.size
    size = _text(field)
    if field.min() < FIELD_LIMITS[0]:
        raise InputError(f"The scan is only {size} mm in size, too small to hold a tooth: give the whole scan.")
    if field.max() > FIELD_LIMITS[1]:
        raise InputError(f"The scan is {size} mm in size: correct its voxel size, or crop it to the jaws.")
    if spacing.max() >= COARSE_SPACING:
        return (f"The voxels are coarse ({text} mm): small teeth and roots may be missed or merged.",)
    return ()


def check_labels(array: np.ndarray) -> np.ndarray:
    """The voxels of a label map in the smallest unsigned type that holds them.

    Raises
    ------
    InputError
        If a value is negative or no whole number.
    """
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    if array.dtype.kind not in "biuf" or not (np.isfinite(low) and np.isfinite(high)):
        raise InputError("The image is no label map (a value is not a number): give whole numbers from 0 up.")
    if (low < 0 and float(high) - float(low) >= _MOST_LABELS) or high >= 2**31:
        raise InputError(
            f"The image is no label map (its values are {low:.5g} to {high:.5g}; is it a scan?): give labels."
        )
    if low < 0:  # -1 may stand for background or for unknown: to guess would change what is learned or judged
        raise InputError(
            f"The image is no label map (its lowest value is {low:g}): give whole numbers from 0 up, 0 for the background."
        )
    labels = array.astype(np.min_scalar_type(int(high)), copy=False)
    if array.dtype.kind == "f" and not np.array_equal(labels, array):
        raise InputError("The image is no label map (it has fractions): give whole numbers from 0 up.")
    return labels
