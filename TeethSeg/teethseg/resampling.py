"""Resampling between the grid of a scan and the region grids of the networks.

A region grid is axis-aligned in LPS: array axes (z, y, x), x grows to the patient's left, y to the back, z upwards, and the
voxels are cubes. No other module has to know the axis order, flips or tilt of a scan.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from .boxes import Box, label_boxes, union, widened
from .errors import InputError
from .padding import PatientGreys
from .volume import Volume, from_sitk, to_sitk

Point = tuple[float, float, float]
_FULL = 200  # a mask's inside as uint8: the sum of several labels' shares, each rounded, still fits


def resample_to_region(
    volume: Volume,
    origin: Point,
    spacing: float,
    shape: tuple[int, int, int],
    background: float,
    greys: PatientGreys | None = None,
) -> np.ndarray:
    """Sample a scan on a region grid, linearly.

    Where the region's voxels are at least twice as large as the scan's, these are averaged in boxes first. Only the
    part of the scan that lies in the region is touched, and the scan is never copied as floats.

    Parameters
    ----------
    volume : Volume
        The scan; any axis order, flips and oblique directions.
    origin : (float, float, float)
        LPS position (x, y, z) in mm of the centre of voxel (0, 0, 0).
    spacing : float
        Edge of the region's voxels in mm.
    shape : (int, int, int)
        Number of voxels (Z, Y, X).
    background : float
        Value where the scan does not reach.
    greys : PatientGreys, optional
        Tells padding, which is not mixed with the patient's values: it is replaced first.

    Returns
    -------
    ndarray of float32, shape (Z, Y, X)
    """
    return scan_on_grid(volume, _region(origin, spacing, shape), background, greys)


def scan_on_grid(volume: Volume, like: Volume, background: float, greys: PatientGreys | None = None) -> np.ndarray:
    """A scan on another grid of cubic voxels, linearly; see `resample_to_region`.

    Parameters
    ----------
    volume : Volume
        The scan; any axis order, flips and oblique directions.
    like : Volume
        Any direction; only its grid is used.
    background : float
        Value where the scan does not reach.
    greys : PatientGreys, optional
        As for `resample_to_region`.

    Returns
    -------
    ndarray of float32, shape of `like.array`
    """
    # Boxes are counted from the same corner of the patient, however the file counts.
    volume, spacing = volume.oriented(), like.spacing[0]
    # Box averages and linear interpolation at the region's rim need this margin.
    box = covered_box(volume, like, margin=2 * spacing)
    if box is None:
        return np.full(like.array.shape, background, np.float32)
    part = crop(volume, box)
    factors = tuple(max(1, int(spacing / s * (1 + 1e-6))) for s in part.spacing_zyx)
    if max(factors) > 1:
        part = _box_averaged(part, factors, greys)
    elif greys is not None:
        part = part.with_array(greys.filled(part.array))
    return _resample(part, like, sitk.sitkLinear, sitk.sitkFloat32, background).array


def region_to_grid(
    labels: np.ndarray, origin: Point, spacing: float, like: Volume, tooth: np.ndarray | None = None
) -> np.ndarray:
    """Put labels from a region grid onto the grid of a scan, with surfaces as smooth as that grid allows.

    Each label's mask, or the probability of tooth in and beside it, is interpolated linearly. A voxel belongs to a tooth
    where the shares of all labels reach one half, and to the label with the largest share: touching teeth stay closed
    against each other.

    Parameters
    ----------
    labels : ndarray of uint8, shape (Z, Y, X)
        Label map on the region grid, 0 elsewhere.
    origin, spacing :
        The region grid, as for `resample_to_region`.
    like : Volume
        The scan; only its grid is used.
    tooth : ndarray of uint8, shape (Z, Y, X), optional
        Probability of tooth, 255 for 1: where between two voxels a surface lies. Labels decide wherever it is against them.

    Returns
    -------
    ndarray of uint8, shape of `like.array`
    """
    result = np.zeros(like.array.shape, np.uint8)
    if tooth is not None:
        tooth, labels = _shares(labels, tooth)
    region = Volume(labels, (spacing,) * 3, origin)
    parts = {}
    for value, box in label_boxes(labels).items():
        grown = widened(box, 1, (1, 1, 1), labels.shape)
        mask = crop(region, grown)
        place = covered_box(like, mask)
        if place is not None:
            share = np.uint8(_FULL) if tooth is None else tooth[grown]
            mask = mask.with_array(np.where(mask.array == value, share, np.uint8(0)))
            parts[value] = place, _resample(mask, crop(like, place), sitk.sitkLinear, sitk.sitkUInt8).array
    if not parts:
        return result
    # Shares are kept only where there are teeth, as bytes.
    whole = union(place for place, _ in parts.values())
    covered = result[whole]
    total, best = np.zeros(covered.shape, np.uint8), np.zeros(covered.shape, np.uint8)
    for value, (place, share) in parts.items():
        here = tuple(
            slice(side.start - first.start, side.stop - first.start) for side, first in zip(place, whole, strict=True)
        )
        total[here] += share
        larger = share > best[here]
        best[here][larger] = share[larger]
        covered[here][larger] = value
    covered[total < _FULL // 2] = 0
    return result


def _shares(labels: np.ndarray, tooth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of tooth in every voxel, `_FULL` for all of it, and labels that reach a voxel beyond their masks."""
    share = np.rint(tooth * np.float32(_FULL / 255)).astype(np.uint8)
    half = np.uint8(_FULL // 2)
    share = np.where(labels > 0, np.maximum(share, half + 1), np.where(share > half, 0, share))
    return share.astype(np.uint8), np.where(labels > 0, labels, ndimage.maximum_filter(labels, 3))


def labels_on_grid(labels: Volume, like: Volume) -> Volume:
    """A label map on another grid, by nearest neighbour: exact where the grids are cut from one another.

    3D Slicer crops a segmentation to its segments; this function brings it back to the scan's grid.
    """
    return _resample(labels, like, sitk.sitkNearestNeighbor)


def labelled_places(labels: Volume, most: int = 1_000_000) -> np.ndarray:
    """LPS positions (N, 3) in mm of the centres of labelled voxels; of more than `most`, an evenly spread part."""
    indices = np.argwhere(labels.array > 0)
    return labels.to_lps(indices[:: max(1, len(indices) // most)])


def inside(grid: Volume, places: np.ndarray) -> np.ndarray:
    """For each position (N, 3), LPS mm: whether it lies in a grid."""
    indices = grid.to_index(places)
    return np.all((indices > -0.501) & (indices < np.array(grid.array.shape) - 0.499), axis=1)


def check_lies_in(labels: Volume, grid: Volume, name: str, scan: str) -> tuple[str, ...]:
    """Refuse labels that lie outside a scan; warn if a part of them does.

    Raises
    ------
    InputError
        If there are labels, but none in the scan. `name` and `scan` are the files to name.
    """
    places = labelled_places(labels)
    within = inside(grid, places)
    if not len(places) or within.all():
        return ()
    if not within.any():
        raise InputError(f"The teeth of {name} lie outside {scan}: give labels of this very scan.")
    share = 100 * (1 - within.mean())
    return (f"{share:.2g} % of the teeth of {name} lie outside {scan}: they were left out.",)


def same_lattice(first: Volume, second: Volume, tolerance: float = 0.05) -> bool:
    """Whether the voxels of two grids lie on the same points wherever both are, in any order of axes."""
    steps = (second.inverse_affine @ first.affine)[:3, :3]
    whole = np.rint(steps)
    # Corners alone may meet by chance: those of 4 voxels of 0.4 mm and of 5 of 0.3 mm do.
    drift = np.abs(steps - whole) @ (np.array(first.size) - 1)
    indices = second.to_index(first.corners)
    turned = (np.abs(whole).sum(axis=0) == 1).all() and (np.abs(whole).sum(axis=1) == 1).all()
    return bool(turned and max(drift.max(), np.abs(indices - np.rint(indices)).max()) <= tolerance)


def displacement(first: Volume, second: Volume) -> float:
    """Largest distance in mm between corresponding voxels of two grids of the same shape."""
    return float(np.linalg.norm(first.corners - second.corners, axis=1).max())


def region_indices(volume: Volume, origin: Point, spacing: float, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Fractional indices of a region's voxels along each axis (k, j, i) of a volume's array; float64 each.

    Their shapes broadcast to (Z, Y, X): an index does not have the axes on which it does not depend. That and the separate
    sums make this much faster than `Volume.to_index` of every voxel.
    """
    z, y, x = (first + spacing * np.arange(count) for first, count in zip(reversed(origin), shape, strict=True))
    for row in reversed(volume.inverse_affine[:3]):
        places = ((row[2], z[:, None, None]), (row[1], y[:, None]), (row[0], x))
        yield np.asarray(sum(step * place for step, place in places if step) + row[3])


def _region(origin: Point, spacing: float, shape: tuple[int, int, int]) -> Volume:
    return Volume(np.broadcast_to(np.uint8(0), shape), (spacing,) * 3, origin)


def covered_box(volume: Volume, target: Volume, margin: float = 0.0) -> Box | None:
    """The part of `volume`'s array (k, j, i) that `target` and a margin in mm cover, one voxel more; None if none."""
    ends = np.array([(-0.5, n - 0.5) for n in target.array.shape])
    ends += np.array([-margin, margin]) / np.array(target.spacing_zyx)[:, None]
    indices = volume.to_index(target.to_lps(list(product(*ends))))
    first = np.maximum(np.floor(indices.min(axis=0)), 0).astype(int)
    stop = np.minimum(np.ceil(indices.max(axis=0)) + 1, volume.array.shape).astype(int)
    return tuple(map(slice, first, stop)) if (stop > first).all() else None


def crop(volume: Volume, box: Box) -> Volume:
    """A view of a part of a volume."""
    origin = volume.to_lps([side.start for side in box])
    return Volume(volume.array[box], volume.spacing, tuple(origin), volume.direction, padding=volume.padding)


def _box_averaged(volume: Volume, factors: tuple[int, ...], greys: PatientGreys | None = None) -> Volume:
    """Means of boxes of `factors` (k, j, i) voxels, float32; the last boxes of an axis repeat its end to be full.

    Not by SimpleITK's `BinShrink`, which knows no padding and drops the last boxes where they are not full.
    """
    array = volume.array
    counts = tuple(np.ceil(np.divide(array.shape, factors)).astype(int))
    padding = [(0, count * factors[axis] - array.shape[axis]) for axis, count in enumerate(counts)][1:]
    _, f_j, f_i = factors
    means = np.empty(counts, np.float32)
    for index in range(counts[0]):
        # A slab of boxes at a time, so that no float copy of the scan is made.
        slab = array[index * factors[0] : (index + 1) * factors[0]]
        slab = (slab if greys is None else greys.filled(slab)).mean(axis=0, dtype=np.float32)
        slab = np.pad(slab, padding, mode="edge")
        slab = slab.reshape(counts[1], f_j, -1).mean(axis=1)
        means[index] = sum(slab[:, i::f_i] for i in range(f_i)) / f_i
    origin = volume.to_lps((np.array(factors) - 1) / 2)
    spacing = np.array(factors[::-1]) * volume.spacing
    return Volume(means, tuple(spacing), tuple(origin), volume.direction)


def _resample(
    volume: Volume, grid: Volume, interpolator: int, pixel_type: int = sitk.sitkUnknown, background: float = 0.0
) -> Volume:
    """Values of `volume` at the voxel centres of `grid`."""
    image = sitk.Resample(
        to_sitk(volume),
        size=grid.size,  # type: ignore[arg-type]  # its stubs know numbers only
        transform=sitk.Transform(3, sitk.sitkIdentity),
        interpolator=interpolator,
        outputOrigin=grid.origin,
        outputSpacing=grid.spacing,
        outputDirection=grid.direction.ravel().tolist(),
        defaultPixelValue=background,
        outputPixelType=pixel_type,
    )
    return from_sitk(image)
