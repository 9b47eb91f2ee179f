"""Large fillings that stage 2 took for brackets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from teethseg.cascade.predictions import FineMaps
from teethseg.cascade.restorations import with_fillings

SPACING = 0.4


@pytest.fixture
def tooth():
    """A ball of 4 mm radius, number 36, without metal, and its maps."""
    z, y, x = np.ogrid[-16:16, -16:16, -16:16]
    ball = z**2 + y**2 + x**2 < 100
    half = (16, 16, 16)
    maps = FineMaps(
        ball.astype(np.float32),
        ball.astype(np.float32),
        np.zeros((3, *half), np.float32),
        np.zeros((8, *half), np.float32),
        np.zeros(half, np.float32),
        (0.0, 0.0, 0.0),
        SPACING,
        np.zeros(ball.shape, bool),
    )
    return maps, np.where(ball, 36, 0).astype(np.uint8)


def without(maps, owner, metal):
    """Output of stage 2 for a tooth and metal: no metal is tooth."""
    tooth = np.where(metal, np.float32(0.1), maps.tooth)
    return replace(maps, tooth=tooth, metal=metal), np.where(metal, 0, owner).astype(owner.dtype)


def hollow(whole):
    """Room for a filling out to the surface of a tooth."""
    cavity = np.zeros(whole.shape, bool)
    cavity[12:22, 12:20, 19:24] = True
    return cavity & (whole > 0)


def test_a_filling_that_reaches_the_surface_is_given_to_its_tooth(tooth):
    maps, whole = tooth
    cavity = hollow(whole)
    part, owner = without(maps, whole, cavity)
    filled, after = with_fillings(part, owner)
    assert np.count_nonzero(after[cavity] == 36) > 0.9 * np.count_nonzero(cavity)
    assert np.array_equal(after[~cavity], owner[~cavity])
    assert np.all(filled.tooth[after > 0] > 0.5)
    assert np.all(part.tooth[cavity] < 0.5), "the maps given are left as they are"


def test_a_bracket_on_the_tooth_is_not(tooth):
    maps, whole = tooth
    bracket = np.zeros(whole.shape, bool)
    bracket[13:20, 13:20, 23:30] = True  # sits in a little pit, as outlines beside metal have them
    part, owner = without(maps, whole, bracket)
    filled, after = with_fillings(part, owner)
    assert np.array_equal(after, owner)
    assert np.array_equal(filled.tooth, part.tooth)


def test_a_filling_goes_to_its_own_tooth_and_takes_nothing_of_the_neighbour(tooth):
    maps, whole = tooth
    part, owner = without(maps, whole, hollow(whole))
    owner[14:18, 14:18, 22:26] = 37
    after = with_fillings(part, owner)[1]
    assert np.array_equal(after == 37, owner == 37)
    assert np.count_nonzero(after == 36) > np.count_nonzero(owner == 36)


def test_specks_and_scans_without_metal_change_nothing(tooth):
    maps, owner = tooth
    speck = np.zeros(owner.shape, bool)
    speck[16, 16, 16:19] = True
    part, pierced = without(maps, owner, speck)
    assert np.array_equal(with_fillings(part, pierced)[1], pierced)
    assert with_fillings(replace(maps, metal=None), owner)[1] is owner
    assert np.array_equal(with_fillings(maps, owner)[1], owner)


def test_a_flat_tooth_has_no_hull(tooth):
    maps, owner = tooth
    flat = np.zeros_like(owner)
    flat[16, 8:24, 8:24] = 11
    metal = np.zeros(owner.shape, bool)
    metal[16:20, 14:18, 14:18] = True
    part, flat = without(maps, flat, metal)
    assert np.array_equal(with_fillings(part, flat)[1], flat)
