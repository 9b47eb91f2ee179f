"""From stored pixels to grey values: unused bits, rescaling, padding, and inverted (MONOCHROME1) images.

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
_PLANES = 16  # planes that are searched for wrapped signs

_NO_RESCALING = (1.0, 0.0)

Interval = tuple[float, float]


def grey_values(pixels: np.ndarray, frames: Sequence[Frame]) -> tuple[np.ndarray, Interval | None, tuple[str, ...]]:
    """Grey values of frames from their stored pixels; the pixels are overwritten where that saves memory.

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
        pixels, layout = _with_sign_if_wrapped(pixels, layout)
    pixels, notes = _without_unused_bits_of_each(pixels, layout, frames)
    rescalings = [frame.rescaling or _NO_RESCALING for frame in frames]
    notes += _rescaling_note(frames)
    paddings = _stored_paddings(frames, layout)
    present = any(one and _within(plane, one).any() for plane, one in zip(pixels, paddings, strict=True))
    padding, padding_voxels = None, None
    # Rescaling gives padding several grey values if frames differ in padding or rescaling.
    if present and len({*zip(rescalings, paddings, strict=True)}) > 1:
        padding_voxels = [
            np.flatnonzero(_within(plane, one)) if one else np.empty(0, np.intp)
            for plane, one in zip(pixels, paddings, strict=True)
        ]
    array = _rescaled(pixels, rescalings)
    if padding_voxels:
        array, padding = _with_uniform_padding(array, padding_voxels)
    elif present and paddings[0]:
        slope, intercept = rescalings[0]
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
        array, note = _with_monochrome1_inverted(array, padding)
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


def _value_range(array: np.ndarray) -> tuple[float, float]:
    """Lowest and highest value."""
    planes = [(plane.min(), plane.max()) for plane in array]
    return min(low for low, _ in planes), max(high for _, high in planes)


def _with_sign_if_wrapped(pixels: np.ndarray, layout: Layout) -> tuple[np.ndarray, Layout]:
    """Reinterpret pixels as signed if that makes a smoother image; for files without Pixel Representation.

    Signed pixels that are read as unsigned wrap: values just below 0 become the largest ones, beside values just above 0.
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
    """As `_without_unused_bits`, also where files of one series have different bit layouts."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, frame in enumerate(frames):
        groups[_bit_layout(frame.header.layout)].append(index)
    if len(groups) == 1:
        return _without_unused_bits(pixels, layout, frames)
    notes: tuple[str, ...] = ()
    for indices in groups.values():
        group = [frames[index] for index in indices]
        pixels[indices], bit_notes = _without_unused_bits(pixels[indices], group[0].header.layout, group)
        notes += bit_notes
    return pixels, tuple(dict.fromkeys(notes))


def _without_unused_bits(
    pixels: np.ndarray, layout: Layout, frames: Sequence[Frame]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Remove the bits above the stored ones, and take the sign from the highest stored bit."""
    bits, stored, shift = layout.bits_allocated, layout.bits_stored, layout.high_bit + 1 - layout.bits_stored
    if layout.real or stored == bits:
        pass
    elif shift:
        for plane in pixels:
            plane[:] = (
                _sign_extended(plane >> shift, stored) if layout.signed else (plane >> shift) & ((1 << stored) - 1)
            )
    else:
        low, high = _value_range(pixels)
        top = 1 << (stored - 1 if layout.signed else stored)
        if (-top if layout.signed else 0) <= low and high < top:
            pass
        elif has_overlay_bits(frames[0].header) or (layout.signed and low >= 0 and high < 1 << stored):
            for plane in pixels:
                plane[:] = _sign_extended(plane, stored) if layout.signed else plane & ((1 << stored) - 1)
        else:
            return pixels, (
                (
                    f"The pixels have more bits than the {stored} that the header says are stored: all were taken; check the "
                    "grey values."
                ),
            )
    return pixels, ()


def _bit_layout(layout: Layout) -> tuple[int, ...]:
    return layout.bits_allocated, layout.bits_stored, layout.high_bit, layout.signed


def _sign_extended(plane: np.ndarray, stored: int) -> np.ndarray:
    """The lowest `stored` bits as two's complement."""
    values = plane & ((1 << stored) - 1)
    return np.where(values >> (stored - 1), values - (1 << stored), values)


def _stored_paddings(frames: Sequence[Frame], first: Layout) -> list[Interval | None]:
    """The declared padding of each frame; frames that declare none share that of the others if these agree."""
    sign_recovered = first is not frames[0].header.layout  # see `_with_sign_if_wrapped`
    paddings = [_stored_padding(frame, first if sign_recovered else frame.header.layout) for frame in frames]
    declared = {padding for padding in paddings if padding is not None}
    return [*declared] * len(paddings) if len(declared) == 1 else paddings


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
    """Interpret a padding value with the sign of the pixels; files write it signed or unsigned regardless of them."""
    if len(written) not in (2, 4):
        return None
    value = int.from_bytes(written, "little")
    if not layout.signed:
        return value
    bits = min(8 * len(written), layout.bits_allocated)
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _rescaled(pixels: np.ndarray, rescalings: Sequence[tuple[float, float]]) -> np.ndarray:
    if all(rescaling == (1.0, 0.0) for rescaling in rescalings):
        return pixels
    if pixels.dtype.kind == "f" or not all(
        float(value).is_integer() for rescaling in rescalings for value in rescaling
    ):
        target = np.dtype(np.float64 if pixels.dtype == np.float64 else np.float32)
    else:
        target = _smallest(pixels, rescalings)
    # In place where the item sizes are equal: each value is read before it is overwritten.
    array = pixels.view(target) if target.itemsize == pixels.itemsize else np.empty(pixels.shape, target)
    for plane, out, (slope, intercept) in zip(pixels, array, rescalings, strict=True):
        if target.kind == "f":
            out[:] = plane * np.float64(slope) + intercept
        elif slope == 1 and target.itemsize == pixels.itemsize:
            # Integer overflow is harmless: the type's range holds the result.
            np.add(out, np.array(int(intercept)).astype(target), out=out)
        else:
            out[:] = plane.astype(np.int64) * int(slope) + int(intercept)
    return array


def _smallest(pixels: np.ndarray, rescalings: Sequence[tuple[float, float]]) -> np.dtype:
    """The smallest integer type, no smaller than that of the pixels, that holds all grey values; else float64."""
    values = [
        slope * float(end) + intercept
        for plane, (slope, intercept) in zip(pixels, rescalings, strict=True)
        for end in (plane.min(), plane.max())
    ]
    for dtype in (pixels.dtype.type, *_TYPES):
        info = np.iinfo(dtype)
        if np.dtype(dtype).itemsize >= pixels.itemsize and info.min <= min(values) and max(values) <= info.max:
            return np.dtype(dtype)
    return np.dtype(np.float64)


def _with_uniform_padding(array: np.ndarray, padding_voxels: Sequence[np.ndarray]) -> tuple[np.ndarray, Interval]:
    """Give padding the same grey value in all frames, below every other value."""
    low, high = _value_range(array)
    value = float(low) - max(1.0, 0.1 * (float(high) - float(low)))
    if array.dtype.kind != "f":
        value = np.floor(value)
        array = array.astype(np.promote_types(array.dtype, np.min_scalar_type(int(value))), copy=False)
    for plane, index in zip(array, padding_voxels, strict=True):
        plane.ravel()[index] = value
    return array, (float(value), float(value))


def _with_monochrome1_inverted(array: np.ndarray, padding: Interval | None) -> tuple[np.ndarray, str]:
    """Invert MONOCHROME1 images, whose lowest value is white, unless their values already rise with density.

    Some scanners declare MONOCHROME1 although their values are Hounsfield units or resemble them.
    """
    step = max(1, round((array.size / _SAMPLES) ** (1 / 3)))
    sample = array[::step, ::step, ::step].ravel()
    if padding:
        sample = sample[~_within(sample, padding)]
    air = np.mean(_within(sample, _AIR_HU)) if sample.size else 1.0
    if air >= _AIR_SHARE or _dense_voxels_are_bright(sample):
        return array, (
            "The files ask for a negative picture (MONOCHROME1), but their values rise with density: they were taken as "
            "stored."
        )
    low, high = _value_range(array) if not padding else _value_range_without(array, padding)
    for plane in array:
        inside = slice(None) if not padding else ~_within(plane, padding)
        plane[inside] = (int(low) + int(high) if array.dtype.kind != "f" else low + high) - plane[inside].astype(
            np.float64 if array.dtype.kind == "f" else np.int64
        )
    return array, "The files hold a negative picture (MONOCHROME1, teeth dark): the grey values were turned round."


def _value_range_without(array: np.ndarray, padding: Interval) -> tuple[float, float]:
    planes = [plane[~_within(plane, padding)] for plane in array]
    return min(plane.min() for plane in planes if plane.size), max(plane.max() for plane in planes if plane.size)


def _dense_voxels_are_bright(sample: np.ndarray) -> bool:
    """Whether the dense voxels (teeth, bone), which are few, form the upper tail of the histogram."""
    low, middle, high = np.percentile(sample, (_END_PERCENT, 50, 100 - _END_PERCENT))
    return high - middle >= middle - low
