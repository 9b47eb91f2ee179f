"""The part of a scan that holds data, and the flag of teeth that its border cuts."""

from __future__ import annotations

import numpy as np
import pytest

from teethseg.cascade.field_of_view import columns_with_data, has_data, region_has_data
from teethseg.cascade.region import Region
from teethseg.cascade.tooth_properties import measure
from teethseg.volume import Volume


def _scan(padding: int, axis: int = 0) -> Volume:
    """Noise in an upright cylinder of 15 mm radius round (x 20, y 20), 0.5 mm voxels; `axis` is stored first."""
    rng = np.random.default_rng(0)
    array = rng.integers(100, 900, (40, 80, 80)).astype(np.int16)
    y, x = np.ogrid[:80, :80]
    array[:, np.hypot(y - 40, x - 40) > 30] = padding
    directions = {0: np.eye(3), 2: np.eye(3)[:, [2, 1, 0]]}
    return Volume(np.ascontiguousarray(np.moveaxis(array, 0, axis)), (0.5,) * 3, direction=directions[axis])


@pytest.mark.parametrize("padding", [-1000, 0, 3000])
@pytest.mark.parametrize("axis", [0, 2])
def test_a_cylinder_in_a_box_is_seen(padding, axis):
    scan = _scan(padding, axis)
    assert np.array_equal(has_data(scan), scan.array != padding)
    inside = region_has_data(scan, Region((0.0, 0.0, 0.0), 1.0, (20, 40, 40)), has_data(scan))
    y, x = np.ogrid[:40, :40]
    away = np.abs(np.hypot(y - 20, x - 20) - 15) > 1
    assert np.array_equal(inside[:, away], np.broadcast_to(np.hypot(y - 20, x - 20) < 15, (20, 40, 40))[:, away])


def test_a_box_full_of_data_has_no_padding_nor_has_a_little_clipped_air():
    full = _scan(-1000).array
    assert columns_with_data(np.where(full == -1000, 50, full) + np.arange(80)) is None
    clipped = np.random.default_rng(1).integers(1, 900, (20, 40, 40))
    clipped[:, :4, :4] = clipped[:, -4:, -4:] = clipped[:, :4, -4:] = clipped[:, -4:, :4] = 0
    assert columns_with_data(clipped) is not None
    clipped[10, 0, 0] = 7  # no longer constant along its whole length
    assert columns_with_data(clipped) is None


def test_a_tooth_that_the_cylinder_cuts_is_flagged_and_its_neighbour_is_not():
    scan = _scan(-1000)
    labels = np.zeros(scan.array.shape, np.uint8)
    labels[10:20, 36:44, 60:76] = 36
    labels[10:20, 36:44, 40:52] = 35
    labels[~has_data(scan)] = 0
    found = measure(scan.with_array(labels), has_data(scan))
    assert found[36].touches_border
    assert not found[35].touches_border
