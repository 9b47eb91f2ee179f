"""Padding: grey values that say "nothing was imaged here", and so are no part of the patient.

Most devices reconstruct a cylinder and store a box round it. The corners hold any value from -32768 to 65535, below or above
every tissue. Some files declare this value, most do not. Code that uses grey values removes padding first: padding outweighs
all tissues in a mean or a percentile, and beside a tooth it is darker than air or brighter than metal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SAMPLES = 1_000_000
_LEAST_SHARE = 0.01  # of all voxels; the corners that a cylinder leaves in a box are 0.21
_LEAST_GAP = 0.1  # between padding and the patient, as a part of the spread of the patient's values ...
_LEAST_DECLARED_GAP = 0.02  # ... where the file itself says so; padding nearer than this does what air does
_FEWEST_VALUES = 8  # an image with fewer is a phantom or a mask, and has no padding
_STRAYS = 0.5  # percent of values that may lie beyond an end: metal, noise
_MIXED = 2.0  # percent of values that a resampling may have mixed of patient and padding
_LEAST_CORNERS = 4  # of the box's eight that bright padding fills: metal, which saturates too, lies inside
_MOST_VALUES = 3  # a box may be padded round a box that was

Interval = tuple[float, float]
_NO_NUMBERS: tuple[Interval, ...] = ((-np.inf, -np.inf), (np.inf, np.inf))


@dataclass(frozen=True)
class PatientGreys:
    """Which grey values of a scan are the patient's.

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
        """Which values are the patient's: bool, the same shape."""
        inside = np.ones(np.shape(values), bool)
        # A value that is not a number is neither below an interval nor above it.
        for low, high in self.padding:
            inside &= (values < low) | (values > high)
        return inside

    def filled(self, values: np.ndarray) -> np.ndarray:
        """The same values with `darkest` in place of padding; the array itself where there is none."""
        return np.where(self.covers(values), values, values.dtype.type(self.darkest)) if self.padding else values


def patient_greys(image: np.ndarray, declared: Interval | None = None) -> PatientGreys:
    """Tell the patient's grey values from padding.

    Padding is one value that fills much of the scan, at either end of the histogram with a gap to the rest. Bright padding
    also fills corners of the box: metal that is brighter than the device can store has a value and a gap of its own too.

    Parameters
    ----------
    image : ndarray, shape (Z, Y, X)
        Grey values of any type. NaN and infinity are padding in every format.
    declared : (float, float), optional
        Lowest and highest of the values that the file itself calls padding (`Volume.padding`). They may be rare, but not
        in the midst of the others: there are files that declare a value which their tissues have.
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
    # Seen from the other end, bright padding is dark.
    rest = -sample[PatientGreys(0, 0, dark).covers(sample)]
    bright = _dark_padding(rest, -corners, None if declared is None else (-declared[1], -declared[0]), _LEAST_CORNERS)
    padding = dark + tuple((-high, -low) for low, high in bright)
    if finite and not padding:
        return PatientGreys(*ends)
    padding += () if finite else _NO_NUMBERS
    greys = PatientGreys(0, 0, padding)
    # Resampling mixes padding and patient: such values are no end of the patient's range.
    darkest = np.percentile(sample[greys.covers(sample)], _STRAYS, method="higher")
    brightest = max(plane[inside].max() for plane in image if (inside := greys.covers(plane)).any())
    return PatientGreys(float(darkest), float(brightest), padding)


def _dark_padding(
    sample: np.ndarray, corners: np.ndarray, declared: Interval | None, least_corners: int
) -> tuple[Interval, ...]:
    found: list[Interval] = []
    while sample.size and len(found) < _MOST_VALUES:
        lowest = value = np.percentile(sample, _STRAYS, method="lower")
        said = declared is not None and declared[0] <= value and bool(np.any(_within(sample, *declared)))
        if said and declared is not None:
            lowest, value = declared
        rest = sample[sample > value]
        if np.unique(rest).size < _FEWEST_VALUES:
            break
        start, end = np.percentile(rest, (_MIXED, 100 - _STRAYS))
        if start - value < (_LEAST_DECLARED_GAP if said else _LEAST_GAP) * (end - start):
            break
        # Padding that is alone at its end of the histogram takes the mixed values of a resampling with it.
        alone = lowest <= sample.min()
        low, high = (-np.inf, (value + start) / 2) if alone else (lowest, value)
        fills = np.count_nonzero(_within(corners, low, high))
        if not said and (np.mean(sample == value) < _LEAST_SHARE or fills < least_corners):
            break
        found.append((float(low), float(high)))
        sample = sample[~_within(sample, low, high)]
    return tuple(found)


def _within(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return (values >= low) & (values <= high)
