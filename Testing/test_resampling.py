"""From a scan's grid to region grids and back, whatever way the scan lies."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from grids import GRIDS, rotation
from teethseg.resampling import labels_on_grid, region_to_grid, resample_to_region
from teethseg.volume import Volume

GRID = pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
ORIGIN = (-14.0, 6.0, 40.0)


def places(volume: Volume) -> np.ndarray:
    """LPS positions of all voxel centres, shape (K, J, I, 3)."""
    k, j, i = np.indices(volume.array.shape)
    return np.stack([i, j, k, np.ones_like(i)], axis=-1) @ volume.affine.T[:, :3]


def region(shape: tuple[int, int, int], spacing: float, origin: tuple[float, float, float] = ORIGIN) -> Volume:
    return Volume(np.zeros(shape, np.uint8), (spacing,) * 3, origin)


def scan_around(
    grid: Volume, direction: np.ndarray, spacing=(0.35, 0.4, 0.5), shape=(64, 70, 60), dtype=np.int16
) -> Volume:
    """An empty scan of that direction whose middle is the middle of `grid`."""
    there = Volume(np.zeros(shape, dtype), spacing, (0, 0, 0), direction)
    return Volume(there.array, spacing, tuple(middle(grid) - middle(there)), direction)


def middle(volume: Volume) -> np.ndarray:
    return (volume.affine @ [*((n - 1) / 2 for n in volume.array.shape[::-1]), 1])[:3]


def ramp(points: np.ndarray) -> np.ndarray:
    """Different along every axis, and reproduced exactly by linear interpolation."""
    return points @ np.array([40.0, -25.0, 12.5])


@GRID
@pytest.mark.parametrize(
    ("spacing", "shape"), [(0.4, (30, 26, 22)), (0.3, (40, 34, 30)), (1.2, (10, 9, 8)), (2.1, (6, 5, 4))]
)
def test_values_come_from_the_same_place_in_the_patient(direction, spacing, shape):
    grid = region(shape, spacing)
    scan = scan_around(grid, direction, dtype=np.float32)
    scan = scan.with_array(ramp(places(scan)).astype(np.float32))
    sampled = resample_to_region(scan, ORIGIN, spacing, shape, -1e6)
    assert sampled.dtype == np.float32 and sampled.shape == shape
    np.testing.assert_allclose(sampled, ramp(places(grid)), atol=0.01)


@GRID
def test_whole_numbers_are_as_good(direction):
    grid = region((30, 26, 22), 0.4)
    scan = scan_around(grid, direction)
    scan = scan.with_array(ramp(places(scan)).round().astype(np.int16))
    sampled = resample_to_region(scan, ORIGIN, 0.4, grid.array.shape, -1000)
    np.testing.assert_allclose(sampled, ramp(places(grid)), atol=0.51)


@GRID
@pytest.mark.parametrize("spacing", [0.4, 1.2])
def test_background_where_the_scan_does_not_reach(direction, spacing):
    grid = region((int(40 / spacing),) * 3, spacing)
    scan = scan_around(grid, direction)
    scan.array[...] = 100
    sampled = resample_to_region(scan, ORIGIN, spacing, grid.array.shape, -7)
    index = places(grid) - scan.origin
    index = index @ np.linalg.inv(scan.affine[:3, :3]).T  # (..., i j k)
    size = np.array(scan.array.shape[::-1])
    inside = ((index > -0.5) & (index < size - 0.5)).all(axis=-1)
    far = ((index < -0.5 - 2 * spacing / 0.35) | (index > size - 0.5 + 2 * spacing / 0.35)).any(axis=-1)
    assert inside.any() and far.any()
    assert (sampled[inside] == 100).all() and (sampled[far] == -7).all()


def test_nothing_in_common():
    scan = Volume(np.ones((20, 20, 20), np.int16), origin=(500, 0, 0))
    assert (resample_to_region(scan, ORIGIN, 0.4, (5, 6, 7), -3) == np.full((5, 6, 7), -3, np.float32)).all()


def test_large_steps_average_and_do_not_skip():
    array = np.zeros((40, 40, 40), np.int16)
    array[::2] = 1000  # a plain sampler would hit every stripe or none
    sampled = resample_to_region(Volume(array, (0.3, 0.3, 0.3)), (3.0, 3.0, 3.0), 1.2, (5, 5, 5), 0)
    np.testing.assert_allclose(sampled, 500)


def test_a_region_within_a_large_scan_costs_little_memory():
    scan = Volume(np.ones((160, 160, 160), np.int16), (0.3, 0.3, 0.3))
    tracemalloc.start()
    resample_to_region(scan, (10.0, 10.0, 10.0), 0.4, (20, 20, 20), 0)
    resample_to_region(scan, (0.0, 0.0, 0.0), 1.5, (32, 32, 32), 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < scan.array.nbytes / 4


def ball(points: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    return np.linalg.norm(points - centre, axis=-1) < radius


@GRID
def test_labels_land_at_the_same_place_with_smooth_surfaces(direction):
    grid = region((60, 50, 45), 0.4)
    points, like = places(grid), scan_around(grid, direction, (0.2, 0.25, 0.3), (80, 90, 85))
    centres = {16: np.array([-9.0, 12.0, 49.0]), 41: np.array([-2.0, 17.0, 54.0])}
    for fdi, centre in centres.items():
        grid.array[ball(points, centre, 3.5)] = fdi
    result = region_to_grid(grid.array, ORIGIN, 0.4, like)
    assert result.dtype == np.uint8 and set(np.unique(result)) == {0, 16, 41}
    nearest = labels_on_grid(grid, like).array
    there = places(like)
    for fdi, centre in centres.items():
        np.testing.assert_allclose(there[result == fdi].mean(axis=0), centre, atol=0.06)
        truth = ball(there, centre, 3.5)
        wrong, wrong_nearest = ((labels == fdi) != truth for labels in (result, nearest))
        assert wrong.sum() < 0.055 * truth.sum()
        assert wrong.sum() < 0.7 * wrong_nearest.sum()


def test_on_its_own_grid_nothing_changes():
    labels = np.random.default_rng(0).choice(np.array([0, 11, 12, 85], np.uint8), (12, 14, 16))
    same = Volume(np.zeros_like(labels), (0.4,) * 3, ORIGIN)
    assert np.array_equal(region_to_grid(labels, ORIGIN, 0.4, same), labels)


@GRID
def test_the_probability_says_where_between_voxels_the_surface_lies(direction):
    grid = region((40, 40, 40), 0.4)
    points, like = places(grid), scan_around(grid, direction, (0.2, 0.25, 0.3), (75, 70, 60))
    centre = points[20, 20, 20] + 0.13
    depth = 4.0 - np.linalg.norm(points - centre, axis=-1)
    tooth = np.rint(255 * np.clip(0.5 + depth, 0, 1)).astype(np.uint8)
    labels = np.where(tooth > 127, 36, 0).astype(np.uint8)
    truth = ball(places(like), centre, 4.0)
    plain, sharp = ((region_to_grid(labels, ORIGIN, 0.4, like, given) == 36) != truth for given in (None, tooth))
    assert sharp.sum() < 0.02 * truth.sum()
    assert sharp.sum() < 0.5 * plain.sum()


def test_labels_stand_against_the_probability():
    grid = region((12, 12, 12), 0.4)
    tooth = np.full((12, 12, 12), 255, np.uint8)  # a wire was cut off here, a tooth filled there
    labels = np.zeros_like(tooth)
    labels[3:9, 3:9, 3:9] = 11
    assert np.array_equal(region_to_grid(labels, ORIGIN, 0.4, grid, tooth), labels)
    assert np.array_equal(region_to_grid(labels, ORIGIN, 0.4, grid, np.zeros_like(tooth)), labels)


@GRID
def test_touching_teeth_stay_closed_and_unmixed(direction):
    grid = region((40, 40, 40), 0.4)
    like = scan_around(grid, direction, (0.3, 0.3, 0.3), (70, 70, 70))
    grid.array[8:32, 8:32, 8:18] = 11
    grid.array[8:32, 8:20, 18:32] = 21
    grid.array[8:32, 20:32, 18:32] = 22
    result = region_to_grid(grid.array, ORIGIN, 0.4, like)
    offset = places(like) - ORIGIN
    whole = ((offset > 8.6 * 0.4) & (offset < 30.4 * 0.4)).all(axis=-1)
    assert (result[whole] > 0).all()  # no gap between them
    x, y = offset[..., 0], offset[..., 1]
    assert (result[whole & (x < 17 * 0.4)] == 11).all()
    assert (result[whole & (x > 18 * 0.4) & (y < 19 * 0.4)] == 21).all()
    assert (result[whole & (x > 18 * 0.4) & (y > 20 * 0.4)] == 22).all()


def test_a_region_that_reaches_beyond_the_scan_is_cut():
    like = Volume(np.zeros((10, 10, 10), np.int16), (0.4,) * 3, ORIGIN)
    labels = np.full((30, 30, 30), 16, np.uint8)
    beyond = (ORIGIN[0] + 2, ORIGIN[1] - 4, ORIGIN[2] - 4)
    result = region_to_grid(labels, beyond, 0.4, like)
    assert (result[:, :, 5:] == 16).all() and (result[:, :, :5] == 0).all()
    assert not region_to_grid(labels, (900.0, 0.0, 0.0), 0.4, like).any()
    assert not region_to_grid(np.zeros_like(labels), ORIGIN, 0.4, like).any()


def test_cropped_labels_come_back_to_the_scan():
    labels = Volume(np.zeros((12, 14, 16), np.uint8), (0.3, 0.4, 0.5), ORIGIN, rotation())
    labels.array[3:6, 4:9, 5:11] = 27
    first = labels.affine @ [4, 3, 2, 1]
    cropped = Volume(labels.array[2:8, 3:10, 4:13], labels.spacing, tuple(first[:3]), labels.direction)
    back = labels_on_grid(cropped, labels)
    assert np.array_equal(back.array, labels.array) and back.array.dtype == np.uint8


@pytest.mark.slow
@pytest.mark.parametrize("direction", [np.eye(3), rotation()], ids=["straight", "oblique"])
def test_a_whole_dentition_goes_there_and_back(direction):
    grid = region((200, 180, 220), 0.4, (0.0, 0.0, 0.0))
    like = scan_around(grid, direction, (0.3, 0.3, 0.3), (300, 400, 400))
    k, j, i = np.indices((40, 30, 30))
    tooth = ((k - 20) / 19) ** 2 + ((j - 15) / 12) ** 2 + ((i - 15) / 12) ** 2 < 1
    for number in range(28):
        angle = np.pi * (number % 14) / 13
        x, y = int(110 + 80 * np.cos(angle)) - 15, int(20 + 120 * np.sin(angle))
        z = 50 if number < 14 else 100
        grid.array[z : z + 40, y : y + 30, x : x + 30][tooth] = 11 + number
    result = like.with_array(region_to_grid(grid.array, grid.origin, 0.4, like))
    assert len(np.unique(result.array)) == 29
    marked = resample_to_region(
        result.with_array((result.array == 12).astype(np.float32)), grid.origin, 0.4, grid.array.shape, 0
    )
    there, back = (ndimage.center_of_mass(mask) for mask in (grid.array == 12, marked > 0.5))
    assert np.allclose(there, back, atol=0.3)
