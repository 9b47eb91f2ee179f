"""Padding: grey values of voxels that were not imaged, and so are no part of the patient.

Most devices reconstruct a cylinder and store a box around it. The corners hold any value from -32768 to 65535, below or above
every tissue. Some files declare this value, most do not. Padding must be removed before grey values are used: it outweighs
all tissues in a mean or a percentile, and beside a tooth it is darker than air or brighter than metal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SAMPLES = 1_000_000
_LEAST_SHARE = 0.01  # of all voxels; the corners outside a cylinder are 0.21 of its box
_LEAST_GAP = 0.1  # between padding and the patient's values, as a share of the range of the patient's values ...
_LEAST_DECLARED_GAP = 0.02  # ... for padding that the file declares; nearer padding has the effect of air
_FEWEST_VALUES = 8  # an image with fewer different values is a phantom or a mask, and has no padding
_STRAYS = 0.5  # percent of outliers at either end: metal, noise
_MIXED = 2.0  # percent of values that resampling may have interpolated between patient and padding
_LEAST_CORNERS = 4  # corners of the box, of eight, that bright padding fills; saturated metal lies inside the box
_MOST_VALUES = 3  # padding values; a box with padding may have been padded again

Interval = tuple[float, float]
_NO_NUMBERS: tuple[Interval, ...] = ((-np.inf, -np.inf), (np.inf, np.inf))


@dataclass(frozen=True)
class PatientGreys:
    """The range of the patient's grey values in a scan.

    Attributes
    ----------
    darkest, brightest : float
        Ends of the patient's values. `darkest` also replaces padding.
    padding : tuple of (float, float)
        Intervals of values, ends included, that are padding; empty if there is none.
    """

    darkest: float
    brightest: float
    padding: tuple[Interval, ...] = ()

    def covers(self, values: np.ndarray) -> np.ndarray:
        """Whether each value is the patient's: bool, the same shape."""
        inside = np.ones(np.shape(values), bool)
        # NaN is neither below an interval nor above it.
        for low, high in self.padding:
            inside &= (values < low) | (values > high)
        return inside

    def filled(self, values: np.ndarray) -> np.ndarray:
        """The same values with `darkest` in place of padding; the array itself where there is none."""
        return np.where(self.covers(values), values, values.dtype.type(self.darkest)) if self.padding else values


def patient_greys(image: np.ndarray, declared: Interval | None = None) -> PatientGreys:
    """Distinguish the patient's grey values from padding.

    Padding is one value that fills much of the scan, at either end of the histogram, with a gap to the rest. Bright padding
    must also fill corners of the box, because saturated metal has a value and a gap of its own too.

    Parameters
    ----------
    image : ndarray, shape (Z, Y, X)
        Grey values of any type. NaN and infinity are padding in every format.
    declared : (float, float), optional
        Lowest and highest value that the file declares as padding (`Volume.padding`). They may be rare. They are ignored
        amid the other values: some files declare a value that tissues have.
    """
    ends = float(image.min()), float(image.max())
    finite = bool(np.isfinite(ends).all())
    step = max(1, round((image.size / _SAMPLES) ** (1 / 3)))
    # float64 holds every value of 32-bit integers.
    sample = image[::step, ::step, ::step].astype(np.float64).ravel()
    if not finite:
        sample = sample[np.isfinite(sample)]
        if not sample.size:
            return PatientGreys(0.0, 0.0, _NO_NUMBERS)
    corners = image[np.ix_(*((0, -1),) * image.ndim)].astype(np.float64).ravel()
    dark = _dark_padding(sample, corners, declared, least_corners=0)
    # Bright padding is found as dark padding of the negated values.
    rest = -sample[PatientGreys(0, 0, dark).covers(sample)]
    bright = _dark_padding(rest, -corners, None if declared is None else (-declared[1], -declared[0]), _LEAST_CORNERS)
    padding = dark + tuple((-high, -low) for low, high in bright)
    if finite and not padding:
        return PatientGreys(*ends)
    padding += () if finite else _NO_NUMBERS
    greys = PatientGreys(0, 0, padding)
    # A percentile, because values interpolated with padding are no end of the patient's range.
    darkest = np.percentile(sample[greys.covers(sample)], _STRAYS, method="higher")
    brightest = max(plane[inside].max() for plane in image if (inside := greys.covers(plane)).any())
    return PatientGreys(float(darkest), float(brightest), padding)


def _dark_padding(
    sample: np.ndarray, corners: np.ndarray, declared: Interval | None, least_corners: int
) -> tuple[Interval, ...]:
    found: list[Interval] = []
    while sample.size and len(found) < _MOST_VALUES:
        lowest = value = np.percentile(sample, _STRAYS, method="lower")
        is_declared = declared is not None and declared[0] <= value and bool(np.any(_within(sample, *declared)))
        if is_declared and declared is not None:
            lowest, value = declared
        rest = sample[sample > value]
        if np.unique(rest).size < _FEWEST_VALUES:
            break
        start, end = np.percentile(rest, (_MIXED, 100 - _STRAYS))
        if start - value < (_LEAST_DECLARED_GAP if is_declared else _LEAST_GAP) * (end - start):
            break
        # Padding at the very end of the histogram includes the values that resampling interpolated with it.
        alone = lowest <= sample.min()
        low, high = (-np.inf, (value + start) / 2) if alone else (lowest, value)
        fills = np.count_nonzero(_within(corners, low, high))
        if not is_declared and (np.mean(sample == value) < _LEAST_SHARE or fills < least_corners):
            break
        found.append((float(low), float(high)))
        sample = sample[~_within(sample, low, high)]
    return tuple(found)


def _within(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return (values >= low) & (values <= high)
