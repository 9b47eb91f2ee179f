"""Label maps within a segmentation: images cropped to their content, anywhere on a grid."""

from __future__ import annotations

from itertools import product

import numpy as np
import slicer
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..boxes import Box, bounding_box, label_boxes, union
from ..resampling import labels_on_grid
from ..volume import Volume
from .segments import LABELMAP
from .volumes import LPS_RAS, placed, to_numpy, to_vtk

SAME_GRID = 0.01  # voxels by which the corners of two grids may differ


def image_of(labels: np.ndarray, grid: Volume) -> slicer.vtkOrientedImageData:
    """The part of a label map (uint8, the grid's shape) that is not empty, as Slicer keeps label maps."""
    image = slicer.vtkOrientedImageData()
    image.SetGeometryFromImageToWorldMatrix(to_vtk(LPS_RAS @ grid.affine))
    box = bounding_box(labels) or (slice(0, 0),) * 3
    _fill(image, labels[box], [side.start for side in box])
    return image


def shrink(image: slicer.vtkOrientedImageData) -> None:
    """Crop a label map to its labelled voxels, because work on it takes as long as it is large."""
    array = view(image)
    box = bounding_box(array)
    if box is not None:
        first = [begin + side.start for begin, side in zip(image.GetExtent()[::2][::-1], box, strict=True)]
        _fill(image, array[box], first)


def view(image: slicer.vtkOrientedImageData) -> np.ndarray:
    """The voxels (k, j, i) of a label map; writing to them changes it."""
    scalars = image.GetPointData().GetScalars()
    shape = image.GetDimensions()[::-1]
    return np.zeros(shape, np.uint8) if scalars is None else vtk_to_numpy(scalars).reshape(shape)


def start_on(image: slicer.vtkOrientedImageData, grid: Volume) -> tuple[int, int, int] | None:
    """Where on a grid (z, y, x) the first voxel of a label map lies; None if its voxels are not the grid's."""
    to_grid = grid.inverse_affine @ LPS_RAS @ _matrix(image)
    extent = np.reshape(image.GetExtent(), (3, 2))
    corners = np.array([(*corner, 1) for corner in product(*extent)])
    shift = np.round(to_grid[:3, 3])
    if np.abs((corners @ to_grid.T - corners)[:, :3] - shift).max() > SAME_GRID:
        return None
    return tuple((extent[:, 0] + shift).astype(int)[::-1].tolist())


def read(image: slicer.vtkOrientedImageData, grid: Volume, box: Box, meaning: dict[int, int]) -> np.ndarray:
    """Values of a label map in a box of the grid; those of the nearest voxels if it has another grid.

    Parameters
    ----------
    meaning : dict of int to int
        The number to read each label value as; other values are read as 0.

    Returns
    -------
    ndarray of uint8, shape of `box`
    """
    array, start = view(image), start_on(image, grid)
    if start is None:
        matrix = _matrix(image)
        matrix[:3, 3] = (matrix @ [*image.GetExtent()[::2], 1])[:3]
        return labels_on_grid(placed(_looked_up(meaning, array), matrix, "segmentation"), grid).array[box]
    result = np.zeros([side.stop - side.start for side in box], np.uint8)
    inside, outside = overlap(box, start, array.shape)
    result[inside] = _looked_up(meaning, array[outside])
    return result


def write(image: slicer.vtkOrientedImageData, grid: Volume, box: Box, labels: np.ndarray) -> None:
    """Put new content into a box of the grid; the label map, which must be cut from that grid, grows if need be.

    If it grows, Slicer throws away the surfaces of all segments that share it; otherwise it notices nothing.
    """
    start = start_on(image, grid)
    assert start is not None, "the label map is not cut from this grid"
    filled = bounding_box(labels)
    if filled is not None:
        filled = tuple(
            slice(side.start + part.start, side.start + part.stop) for side, part in zip(box, filled, strict=True)
        )
        has = tuple(slice(first, first + size) for first, size in zip(start, view(image).shape, strict=True))
        needed = union([has, filled]) if view(image).size else filled
        if needed != has:
            larger = np.zeros([side.stop - side.start for side in needed], np.uint8)
            inside, outside = overlap(needed, start, view(image).shape)
            larger[inside] = view(image)[outside]
            _fill(image, larger, _index_in(image, start, [side.start for side in needed]))
            start = tuple(side.start for side in needed)
    array = view(image)
    inside, outside = overlap(box, start, array.shape)
    array[outside] = labels[inside]
    image.GetPointData().GetScalars().Modified()


def boxes(image: slicer.vtkOrientedImageData) -> dict[int, Box]:
    """The smallest box around the voxels of each label value, within the array of a label map."""
    return label_boxes(view(image))


def centre(image: slicer.vtkOrientedImageData, value: int) -> np.ndarray | None:
    """Mean place (3,) of the voxels with a label value, RAS mm within the segmentation; None if there are none."""
    box = bounding_box(view(image) == value)
    return centre_in(image, value, box) if box is not None else None


def centre_in(image: slicer.vtkOrientedImageData, value: int, box: Box) -> np.ndarray:
    """As `centre`, where the box around these voxels is known (`boxes`)."""
    inside = np.nonzero(view(image)[box] == value)
    index = [np.mean(at) + side.start for at, side in zip(inside, box, strict=True)]
    return place(image, np.array([index]))[0]


def place(image: slicer.vtkOrientedImageData, index: np.ndarray) -> np.ndarray:
    """RAS mm (N, 3) within the segmentation of array indices (N, 3) in the order (k, j, i)."""
    matrix = _matrix(image)
    return (index[:, ::-1] + image.GetExtent()[::2]) @ matrix[:3, :3].T + matrix[:3, 3]


def index(image: slicer.vtkOrientedImageData, places: np.ndarray) -> np.ndarray:
    """Array indices (N, 3), whole numbers in the order (k, j, i), nearest to places (N, 3), RAS mm; they may lie outside."""
    inverse = np.linalg.inv(_matrix(image))
    found = places @ inverse[:3, :3].T + inverse[:3, 3] - image.GetExtent()[::2]
    return np.rint(found[:, ::-1]).astype(int)


def _matrix(image: slicer.vtkOrientedImageData) -> np.ndarray:
    matrix = vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return to_numpy(matrix)


def piece(image: slicer.vtkOrientedImageData, box: Box, value: int) -> slicer.vtkOrientedImageData:
    """One label value, as 1, in a box of a label map's array; it lies where it lay."""
    result = slicer.vtkOrientedImageData()
    result.SetGeometryFromImageToWorldMatrix(to_vtk(_matrix(image)))
    first = [begin + side.start for begin, side in zip(image.GetExtent()[::2][::-1], box, strict=True)]
    _fill(result, (view(image)[box] == value).astype(np.uint8), first)
    return result


def layers(segmentation: slicer.vtkSegmentation) -> list[tuple[slicer.vtkOrientedImageData, tuple[str, ...]]]:
    """The label maps of a segmentation, each with the ids of the segments that share it."""
    return [
        (segmentation.GetLayerDataObject(n, LABELMAP), tuple(segmentation.GetSegmentIDsForLayer(n, LABELMAP)))
        for n in range(segmentation.GetNumberOfLayers(LABELMAP))
    ]


def _looked_up(meaning: dict[int, int], array: np.ndarray) -> np.ndarray:
    table = np.zeros(int(array.max(initial=0)) + 1, np.uint8)
    for value, number in meaning.items():
        if 0 < value < len(table):
            table[value] = number
    result = np.empty(array.shape, np.uint8)
    for plane, values in zip(result, array, strict=True):  # numpy makes 64-bit integers of indices
        plane[...] = table[values]
    return result


def _fill(image: slicer.vtkOrientedImageData, array: np.ndarray, first: list[int]) -> None:
    """New voxels for an image, whose first one has the index `first` (k, j, i) there."""
    extent = [(int(a), int(a) + size - 1) for a, size in zip(first, array.shape, strict=True)][::-1]
    image.SetExtent([end for side in extent for end in side])
    scalars = numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True)
    scalars.SetName("ImageScalars")  # the name that Slicer's own readers give
    image.GetPointData().SetScalars(scalars)


def _index_in(image: slicer.vtkOrientedImageData, start: tuple[int, int, int], point: list[int]) -> list[int]:
    """The image's own index of a grid point, where its first voxel lies at `start` on the grid."""
    return [first + at - begin for first, at, begin in zip(image.GetExtent()[::2][::-1], point, start, strict=True)]


def overlap(box: Box, start: tuple[int, int, int], shape: tuple[int, ...]) -> tuple[Box, Box]:
    """Overlap of a box with an array that starts at `start`, as slices within the box and within the array."""
    inside, outside = [], []
    for side, begin, size in zip(box, start, shape, strict=True):
        low, high = max(side.start, begin), min(side.stop, begin + size)
        high = max(low, high)
        inside.append(slice(low - side.start, high - side.start))
        outside.append(slice(low - begin, high - begin))
    return tuple(inside), tuple(outside)
