"""Tools that draw borders between touching teeth: split one label, cut at the contact, give a piece to the neighbour."""

from __future__ import annotations

from collections.abc import Sequence

import cc3d
import edt
import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from ..boxes import Box, Index, widened
from ..errors import ToothError, UsageError
from .edit import Edit, check_number, numbers_in, tooth_box, voxels_in
from .morphology import Spacing

_CLICK = 0.8  # mm: radius of a click
_BLUR = 0.3  # mm: smoothing of grey values before their valleys are looked for
_GREY = 1.0  # weight of a grey-value valley as deep as the tooth is bright, in parts of the neck's


def split_tooth(
    labels: np.ndarray,
    image: np.ndarray,
    spacing: Spacing,
    fdi: int,
    seeds: Sequence[Sequence[Index]],
    new_fdi: Sequence[int],
) -> Edit:
    """Part a label that holds several teeth, at the neck and the grey-value valley between groups of clicks.

    Parameters
    ----------
    labels, image : ndarray, shape (Z, Y, X)
        FDI numbers (uint8), and the scan.
    spacing : (float, float, float)
        Voxel size (z, y, x) in mm.
    fdi : int
        The label to part.
    seeds : sequence of sequences of (z, y, x)
        Clicks, one group for each tooth; all inside the label.
    new_fdi : sequence of int
        Number of each group's tooth; one of them may be `fdi`.

    Raises
    ------
    UsageError
        If there are fewer than two groups, a click is not in the label or in two groups' reach, or a number is taken.
    """
    if len(seeds) < 2 or not all(len(group) for group in seeds):
        raise UsageError("Splitting needs a click in each of at least two teeth: click once more.")
    if len(new_fdi) != len(seeds) or len(set(new_fdi)) < len(new_fdi):
        raise UsageError("Each of the parts needs a number of its own: choose different numbers.")
    box = tooth_box(labels, fdi)
    taken = set(numbers_in(labels)) - {fdi}
    for number in new_fdi:
        check_number(number)
        if number in taken:
            raise ToothError("There is a tooth {number} already: choose another number for this part.", number=number)
    mine = labels[box] == fdi
    markers = np.zeros(mine.shape, np.int32)
    for part, group in enumerate(seeds, 1):
        for point in voxels_in(box, group, labels.shape):
            _mark(markers, mine, point, part, spacing, fdi)
    if len(np.unique(markers)) <= len(seeds):
        raise UsageError("Two clicks for different teeth lie on the same spot: click farther apart.")
    parts = _part(mine, markers, image[box], spacing)
    numbers = np.array([0, *new_fdi], np.uint8)
    return Edit(box, np.where(mine, numbers[parts], labels[box]))


def cut_contact(labels: np.ndarray, image: np.ndarray, spacing: Spacing, fdi: int, other: int) -> Edit:
    """Move the border of two touching teeth to the neck or grey-value valley between them.

    Voxels farther than 2 mm from the other tooth do not change.

    Raises
    ------
    UsageError
        If one is not there, or they do not touch.
    """
    if fdi == other:
        raise UsageError("A tooth has no contact with itself: choose two teeth.")
    box = tooth_box(labels, [fdi, other])
    around = labels[box]
    first, second = around == fdi, around == other
    if not (ndimage.binary_dilation(first) & second).any():
        raise ToothError("Teeth {fdi} and {other} do not touch: there is nothing to cut.", fdi=fdi, other=other)
    markers = np.zeros(around.shape, np.int32)
    for part, (mine, theirs) in enumerate(((first, second), (second, first)), 1):
        distance = edt.edt(~theirs, anisotropy=spacing, parallel=1)
        # A small tooth may lie wholly within 2 mm of the other: then its far half stays.
        markers[mine & (distance > min(2.0, 0.5 * distance[mine].max()))] = part
    parts = _part(first | second, markers, image[box], spacing)
    numbers = np.array([0, fdi, other], np.uint8)
    return Edit(box, np.where(first | second, numbers[parts], around))


def give_piece(
    labels: np.ndarray, image: np.ndarray, spacing: Spacing, from_fdi: int, to_fdi: int, seed: Index
) -> Edit:
    """Give the clicked part of one tooth to another: a detached piece as a whole, else the part around the click.

    An attached part is cut off at the neck or grey-value valley between the click and the bulk of the tooth.

    Raises
    ------
    UsageError
        If one of the teeth is not there, or the click is not in the first or lies in its bulk.
    """
    if from_fdi == to_fdi:
        raise UsageError("The piece belongs to that tooth already: choose another one.")
    tooth_box(labels, to_fdi)
    box = tooth_box(labels, from_fdi)
    mine = labels[box] == from_fdi
    point = tuple(voxels_in(box, [seed], labels.shape)[0])
    _check_inside(mine, point, from_fdi)
    pieces = cc3d.connected_components(mine.astype(np.uint8), connectivity=6)
    counts = np.bincount(pieces.ravel())
    counts[0] = 0
    if counts.argmax() != pieces[point]:
        given = pieces == pieces[point]
    else:
        depth = edt.edt(mine, anisotropy=spacing, parallel=1, black_border=True)
        markers = np.zeros(mine.shape, np.int32)
        markers[depth > 0.6 * depth.max()] = 1
        if markers[point]:
            raise ToothError(
                "This is the bulk of tooth {from_fdi}: merge the teeth, or click in the part to give.",
                from_fdi=from_fdi,
            )
        _mark(markers, mine & (markers == 0), np.array(point), 2, spacing, from_fdi)
        given = _part(mine, markers, image[box], spacing) == 2
    return Edit(box, np.where(given, to_fdi, labels[box]).astype(np.uint8))


def _part(mask: np.ndarray, markers: np.ndarray, image: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Part number of every voxel of the mask: markers flooded over a landscape whose ridges are necks and dark lines."""
    depth = edt.edt(mask, anisotropy=spacing, parallel=1, black_border=True)
    grey = ndimage.gaussian_filter(image.astype(np.float32), _BLUR / np.asarray(spacing))
    bright = np.percentile(grey[mask], 60)
    dark = min(np.percentile(grey, 5), np.percentile(grey[mask], 2))
    darkness = np.clip((bright - grey) / max(bright - dark, 1e-6), 0, 1)
    landscape = np.where(mask, _GREY * darkness - depth / depth.max(), 0)
    parts = watershed(landscape, markers, mask=mask)
    if (parts[mask] == 0).any():  # pieces without a marker go with the nearest part
        nearest = ndimage.distance_transform_edt(parts == 0, spacing, return_distances=False, return_indices=True)
        parts = np.where(mask, parts[tuple(nearest)], 0)
    return parts


def _mark(markers: np.ndarray, mask: np.ndarray, point: np.ndarray, part: int, spacing: Spacing, fdi: int) -> None:
    """Write a ball around a click into `markers`, where the mask is and no other part has been marked."""
    _check_inside(mask, tuple(point), fdi)
    box: Box = tuple(slice(int(c), int(c) + 1) for c in point)
    box = widened(box, _CLICK, spacing, mask.shape)
    place = np.stack(np.meshgrid(*[np.arange(side.start, side.stop) for side in box], indexing="ij"), axis=-1)
    near = np.linalg.norm((place - point) * np.asarray(spacing), axis=-1) <= _CLICK
    here = markers[box]
    here[near & mask[box] & (here == 0)] = part


def _check_inside(mask: np.ndarray, point: tuple[int, ...], fdi: int) -> None:
    inside = all(0 <= c < n for c, n in zip(point, mask.shape, strict=True))
    if not inside or not mask[tuple(point)]:
        raise ToothError("The click is not in tooth {fdi}: click inside it.", fdi=fdi)
