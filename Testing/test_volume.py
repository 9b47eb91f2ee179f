"""`Volume`: geometry, orientation, and the way to SimpleITK and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from grids import GRIDS, marked_volume, marker_lps, rotation
from teethseg.resampling import crop
from teethseg.volume import Volume, from_sitk, to_sitk


def test_affine_takes_indices_to_lps():
    volume = Volume(np.zeros((2, 3, 4)), (0.5, 0.6, 0.7), (1, 2, 3), [[0, 0, 1], [-1, 0, 0], [0, 1, 0]])
    # i runs forwards (-P), j upwards, k to the left.
    np.testing.assert_allclose(volume.affine @ [2, 0, 0, 1], [1, 1, 3, 1])
    np.testing.assert_allclose(volume.affine @ [0, 2, 0, 1], [1, 2, 4.2, 1])
    np.testing.assert_allclose(volume.affine @ [0, 0, 2, 1], [2.4, 2, 3, 1])
    assert volume.voxel_volume == pytest.approx(0.21)


@pytest.mark.parametrize(
    ("direction", "letters"),
    [
        (np.eye(3), "LPS"),
        (np.diag([-1, -1, 1]), "RAS"),
        ([[0, 0, 1], [-1, 0, 0], [0, 1, 0]], "ASL"),
        (rotation((25, -20, 30)), "LPS"),
        (rotation((25, -20, 30)) @ [[0, -1, 0], [0, 0, 1], [-1, 0, 0]], "IRP"),
    ],
)
def test_orientation_letters(direction, letters):
    assert Volume(np.zeros((2, 2, 2)), direction=direction).orientation == letters


def test_another_shape_is_another_grid():
    with pytest.raises(ValueError, match="shape"):
        marked_volume().with_array(np.zeros((3, 3, 3)))


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
def test_simpleitk_sees_the_same_patient(direction):
    volume = marked_volume(direction)
    image = to_sitk(volume)
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((9, 5, 2)), marker_lps(volume))
    back = from_sitk(image)
    assert np.array_equal(back.array, volume.array) and back.array.dtype == volume.array.dtype
    np.testing.assert_allclose(back.affine, volume.affine)


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
def test_oriented_moves_no_voxel_and_grows_to_left_posterior_superior(direction):
    volume = marked_volume(direction)
    oriented = volume.oriented()
    assert np.allclose(marker_lps(oriented), marker_lps(volume))
    assert oriented.orientation == "LPS"
    assert np.shares_memory(oriented.array, volume.array)


def test_declared_padding_goes_with_the_voxels():
    volume = replace(marked_volume(np.diag([-1, 1, -1])), padding=(-2000.0, -2000.0))
    assert volume.oriented().padding == crop(volume, np.s_[2:5, 1:9, 3:7]).padding == (-2000.0, -2000.0)
    assert volume.with_array(np.zeros(volume.array.shape)).padding is None  # other voxels


def test_voxels_and_positions_lead_to_each_other_on_an_oblique_grid():
    turn = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, -1.0]])
    volume = Volume(np.zeros((4, 5, 6)), (0.3, 0.4, 0.5), (10.0, -20.0, 30.0), turn)
    assert volume.size == (6, 5, 4)
    assert volume.spacing_zyx == (0.5, 0.4, 0.3)
    # One step along i, the array's last axis, is 0.3 mm along the first column of the direction.
    assert np.allclose(volume.to_lps([0, 0, 1]) - volume.to_lps([0, 0, 0]), [0.24, 0.18, 0.0])
    assert np.allclose(volume.to_lps([2, 0, 0]), [10.0, -20.0, 29.0])
    index = np.random.default_rng(1).uniform(-3, 9, (2, 7, 3))
    assert np.allclose(volume.to_index(volume.to_lps(index)), index)
    assert np.allclose(volume.affine @ volume.inverse_affine, np.eye(4))
