"""From stored pixels to grey values: unused bits, rescaling, padding, and which end is bright.

References
----------
DICOM PS3.5, 8.1.1 (bits), PS3.3, C.11.1 (rescaling), C.7.5.1.1.2 (padding), C.7.6.3.1.2 (photometric interpretation).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .frames import Frame
from .headers import Layout, has_overlay_bits
from .values import number, raw_bytes, text

_TYPES = (np.uint8, np.int16, np.uint16, np.int32, np.uint32)
_AIR_HU = (-1100, -800)
_AIR_SHARE = 0.005
_SAMPLES = 1_000_000
_END_PERCENT = 0.1
_PLANES = 16  # that are looked at for signs

_NO_RESCALING = (1.0, 0.0)

Interval = tuple[float, float]


def grey_values(pixels: np.ndarray, frames: Sequence[Frame]) -> tuple[np.ndarray, Interval | None, tuple[str, ...]]:
    """Grey values of frames from their stored pixels, which are overwritten where that saves memory.

    Returns
    -------
    ndarray, shape of `pixels`
        Integers of the smallest type that holds them, or float32 where the rescaling has fractions.
    (float, float), optional
        Grey values that the files declare as padding, if there are any.
    tuple of str
        Notes for the user.
    """
    layout = frames[0].header.layout
    if pixels.dtype.kind == "u" and number(frames[0].header.dataset, "PixelRepresentation") is None:
        pixels, layout = _with_a_sign_if_it_wraps(pixels, layout)
    pixels, notes = _without_unused_bits_of_each(pixels, layout, frames)
    rules = [frame.rescaling or _NO_RESCALING for frame in frames]
    notes += _rescaling_note(frames)
    paddings = _stored_paddings(frames, layout)
    present = any(one and _within(plane, one).any() for plane, one in zip(pixels, paddings, strict=True))
    padding, hidden = None, None
    if present and len({*zip(rules, paddings, strict=True)}) > 1:  # one stored value, many grey values; or many of both
        hidden = [
            np.flatnonzero(_within(plane, one)) if one else np.empty(0, np.intp)
            for plane, one in zip(pixels, paddings, strict=True)
        ]
    array = _rescaled(pixels, rules)
    if hidden:
        array, padding = _hide(array, hidden)
    elif present and paddings[0]:
        slope, intercept = rules[0]
        low, high = sorted(slope * value + intercept for value in paddings[0])
        padding = float(array.dtype.type(low)), float(array.dtype.type(high))
    return _with_teeth_bright(array, padding, frames, notes)


def _rescaling_note(frames: Sequence[Frame]) -> tuple[str, ...]:
    missing = sum(frame.rescaling is None for frame in frames)
    if missing in (0, len(frames)):
        return ()
    text = (
        f"{missing} of {len(frames)} slices do not say how their grey values are rescaled, and the others differ: the "
        "stored values of these were taken; look whether they fit."
    )
    return (text,)


def _with_teeth_bright(
    array: np.ndarray, padding: Interval | None, frames: Sequence[Frame], notes: tuple[str, ...]
) -> tuple[np.ndarray, Interval | None, tuple[str, ...]]:
    negative = [text(frame.header.dataset, "PhotometricInterpretation").upper() == "MONOCHROME1" for frame in frames]
    if all(negative):
        array, note = _upright_greys(array, padding)
        notes += (note,)
    elif any(negative):
        note = (
            f"{sum(negative)} of {len(negative)} slices ask for a negative picture (MONOCHROME1), the others do not: all were "
            "taken as stored; look whether some are inverted."
        )
        notes += (note,)
    return array, padding, notes


def _within(values: np.ndarray, interval: Interval) -> np.ndarray:
    return (values >= interval[0]) & (values <= interval[1])


def _ends(array: np.ndarray) -> tuple[float, float]:
    """Lowest and highest value, plane by plane as a mask of all would cost memory."""
    planes = [(plane.min(), plane.max()) for plane in array]
    return min(low for low, _ in planes), max(high for _, high in planes)


def _with_a_sign_if_it_wraps(pixels: np.ndarray, layout: Layout) -> tuple[np.ndarray, Layout]:
    """Pixels of which the files do not say whether they have a sign: with the sign if that makes the smoother picture.

    Where a sign is overlooked, values just below 0 become the largest there are, beside those just above 0.
    """
    signed = pixels.view(pixels.dtype.str.replace("u", "i"))
    half = 1 << (8 * pixels.itemsize - 1)
    step = max(1, len(pixels) // _PLANES)

    def wraps(values: np.ndarray) -> int:
        return sum(int(np.count_nonzero(np.abs(np.diff(plane.astype(np.int64))) >= half)) for plane in values[::step])

    without, with_sign = wraps(pixels), wraps(signed)
    return (signed, replace(layout, signed=True)) if with_sign < without else (pixels, layout)


def _without_unused_bits_of_each(
    pixels: np.ndarray, layout: Layout, frames: Sequence[Frame]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """As `_without_unused_bits`, also where files of one series store their pixels in different bits."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for at, frame in enumerate(frames):
        groups[_bits(frame.header.layout)].append(at)
    if len(groups) == 1:
        return _without_unused_bits(pixels, layout, frames)
    notes: tuple[str, ...] = ()
    for own in groups.values():
        some = [frames[at] for at in own]
        pixels[own], remarks = _without_unused_bits(pixels[own], some[0].header.layout, some)
        notes += remarks
    return pixels, tuple(dict.fromkeys(notes))


def _without_unused_bits(
    pixels: np.ndarray, layout: Layout, frames: Sequence[Frame]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Pixels without the bits above those that the header says are stored, and their sign from the highest of these."""
    bits, stored, shift = layout.bits_allocated, layout.bits_stored, layout.high_bit + 1 - layout.bits_stored
    if layout.real or stored == bits:
        pass
    elif shift:
        for plane in pixels:
            plane[:] = _signed(plane >> shift, stored) if layout.signed else (plane >> shift) & ((1 << stored) - 1)
    else:
        low, high = _ends(pixels)
        top = 1 << (stored - 1 if layout.signed else stored)
        if (-top if layout.signed else 0) <= low and high < top:
            pass
        elif has_overlay_bits(frames[0].header) or (layout.signed and low >= 0 and high < 1 << stored):
            for plane in pixels:
                plane[:] = _signed(plane, stored) if layout.signed else plane & ((1 << stored) - 1)
        else:
            return pixels, (
                (
                    f"The pixels have more bits than the {stored} that the header says are stored: all were taken; check the "
                    "grey values."
                ),
            )
    return pixels, ()


def _bits(layout: Layout) -> tuple[int, ...]:
    return layout.bits_allocated, layout.bits_stored, layout.high_bit, layout.signed


def _signed(plane: np.ndarray, stored: int) -> np.ndarray:
    """Two's complement of the lowest bits."""
    values = plane & ((1 << stored) - 1)
    return np.where(values >> (stored - 1), values - (1 << stored), values)


def _stored_paddings(frames: Sequence[Frame], first: Layout) -> list[Interval | None]:
    """The declared padding of each frame; where some frames declare none, that of the others if these agree."""
    seen = first is not frames[0].header.layout  # the sign, in the pixels
    found = [_stored_padding(frame, first if seen else frame.header.layout) for frame in frames]
    told = set(found) - {None}
    return list(told) * len(found) if len(told) == 1 else found


def _stored_padding(frame: Frame, layout: Layout) -> Interval | None:
    ends = [
        _padding_value(raw_bytes(frame.header.dataset, keyword), layout)
        for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")
    ]
    if ends[0] is None:
        return None
    low, high = sorted((ends[0], ends[0] if ends[1] is None else ends[1]))
    return low, high


def _padding_value(written: bytes, layout: Layout) -> int | None:
    """Written signed or not, whatever the pixels are; so it is taken as the pixels are."""
    if len(written) not in (2, 4):
        return None
    value = int.from_bytes(written, "little")
    if not layout.signed:
        return value
    bits = min(8 * len(written), layout.bits_allocated)
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _rescaled(pixels: np.ndarray, rules: Sequence[tuple[float, ...]]) -> np.ndarray:
    if all(rule == (1.0, 0.0) for rule in rules):
        return pixels
    if pixels.dtype.kind == "f" or not all(float(value).is_integer() for rule in rules for value in rule):
        target = np.dtype(np.float64 if pixels.dtype == np.float64 else np.float32)
    else:
        target = _smallest(pixels, rules)
    # In place where the size allows it, as each value is read before it is written.
    array = pixels.view(target) if target.itemsize == pixels.itemsize else np.empty(pixels.shape, target)
    for plane, out, (slope, intercept) in zip(pixels, array, rules, strict=True):
        if target.kind == "f":
            out[:] = plane * np.float64(slope) + intercept
        elif slope == 1 and target.itemsize == pixels.itemsize:
            # Modulo the type, whose range holds the result.
            np.add(out, np.array(int(intercept)).astype(target), out=out)
        else:
            out[:] = plane.astype(np.int64) * int(slope) + int(intercept)
    return array


def _smallest(pixels: np.ndarray, rules: Sequence[tuple[float, float]]) -> np.dtype:
    """The smallest type of integers, no smaller than that of the pixels, that holds all grey values; else float64."""
    values = [
        slope * float(end) + intercept
        for plane, (slope, intercept) in zip(pixels, rules, strict=True)
        for end in (plane.min(), plane.max())
    ]
    for kind in (pixels.dtype.type, *_TYPES):
        info = np.iinfo(kind)
        if np.dtype(kind).itemsize >= pixels.itemsize and info.min <= min(values) and max(values) <= info.max:
            return np.dtype(kind)
    return np.dtype(np.float64)


def _hide(array: np.ndarray, hidden: Sequence[np.ndarray]) -> tuple[np.ndarray, Interval]:
    """Give padding that has another grey value in each frame one that nothing else has."""
    low, high = _ends(array)
    value = float(low) - max(1.0, 0.1 * (float(high) - float(low)))
    if array.dtype.kind != "f":
        value = np.floor(value)
        array = array.astype(np.promote_types(array.dtype, np.min_scalar_type(int(value))), copy=False)
    for plane, at in zip(array, hidden, strict=True):
        plane.ravel()[at] = value
    return array, (float(value), float(value))


def _upright_greys(array: np.ndarray, padding: Interval | None) -> tuple[np.ndarray, str]:
    """Bright teeth from MONOCHROME1, which shows the lowest value as white.

    Scanners write it over values that are Hounsfield units, or like them, all the same.
    """
    step = max(1, round((array.size / _SAMPLES) ** (1 / 3)))
    sample = array[::step, ::step, ::step].ravel()
    if padding:
        sample = sample[~_within(sample, padding)]
    air = np.mean(_within(sample, _AIR_HU)) if sample.size else 1.0
    if air >= _AIR_SHARE or _tail_is_bright(sample):
        return array, (
            "The files ask for a negative picture (MONOCHROME1), but their values rise with density: they were taken as "
            "stored."
        )
    low, high = _ends(array) if not padding else _ends_without(array, padding)
    for plane in array:
        inside = slice(None) if not padding else ~_within(plane, padding)
        plane[inside] = (int(low) + int(high) if array.dtype.kind != "f" else low + high) - plane[inside].astype(
            np.float64 if array.dtype.kind == "f" else np.int64
        )
    return array, "The files hold a negative picture (MONOCHROME1, teeth dark): the grey values were turned round."


def _ends_without(array: np.ndarray, padding: Interval) -> tuple[float, float]:
    planes = [plane[~_within(plane, padding)] for plane in array]
    return min(plane.min() for plane in planes if plane.size), max(plane.max() for plane in planes if plane.size)


def _tail_is_bright(sample: np.ndarray) -> bool:
    """Whether the few dense voxels (teeth, bone) lie at the upper end of the values."""
    low, middle, high = np.percentile(sample, (_END_PERCENT, 50, 100 - _END_PERCENT))
    return high - middle >= middle - low
