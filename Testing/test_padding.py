"""Padding of a device is distinguished from the patient, and changes no grey level, window or picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from teethseg.annotation import start_threshold
from teethseg.annotation.cases import with_unknown
from teethseg.cascade.coarse import run_coarse
from teethseg.cascade.field_of_view import has_data
from teethseg.cascade.inference import InferenceConfig
from teethseg.cascade.networks.cascade_net import COARSE, CascadeNet
from teethseg.padding import patient_greys
from teethseg.pictures.slices import NOT_IMAGED, slice_sheet
from teethseg.structures import UNKNOWN_VALUE
from teethseg.volume import Volume
from teethseg.window_level import grey_windows

SHAPE = (48, 60, 60)
CENTRE = 29.5


def head(dtype=np.int32) -> np.ndarray:
    """Air, flesh, bone, teeth and a spot of metal, with noise; air is clipped at -1000, as on most devices."""
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    far = np.hypot(y - CENTRE, x - CENTRE) + 0 * z
    image = np.select([far < 8, far < 11, far < 22], [50.0, 1800.0, 1000.0 * (far > 19)], -1000.0)
    image += rng.normal(0, 60, SHAPE)
    image[20:22, 20:22, 28:30] = 9000
    return np.maximum(image, -1000).astype(dtype)


def seen(shape=SHAPE) -> np.ndarray:
    """A cylinder that just holds the head and some air."""
    _, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    return np.broadcast_to(np.hypot(y - CENTRE, x - CENTRE) < 27, shape)


FILLS = [-32768, -5000, 65535, 20000, 2**31 - 1]


@pytest.mark.parametrize("fill", [*FILLS, 3500])  # the last one is darker than metal
def test_one_value_round_a_cylinder_is_padding(fill):
    image = np.where(seen(), head(), fill)
    greys = patient_greys(image)
    assert np.array_equal(greys.covers(image), seen())
    assert (greys.darkest, greys.brightest) == (-1000, 9000)
    assert np.array_equal(greys.filled(image), np.where(seen(), image, -1000))


@pytest.mark.parametrize("fill", [-32768, 65535])
def test_padding_that_was_mixed_with_the_patient_by_resampling_is_padding_all_the_same(fill):
    image = np.where(seen(), head(), fill)[::4].repeat(6, axis=1).repeat(6, axis=2)
    mixed = image.copy()
    mixed[..., 1:] = (image[..., 1:] + image[..., :-1]) // 2
    covered, filled = patient_greys(mixed).covers(mixed), patient_greys(mixed).filled(mixed)
    assert filled.min() > -17_000 and filled.max() < 34_000
    assert not covered[image == fill].any(where=(mixed == fill)[image == fill])
    assert covered[image != fill].mean() > 0.98


def test_a_box_padded_round_a_box_that_was_has_two_values_of_padding():
    image = np.full((60, 60, 60), -32768)
    image[6:54] = np.where(seen(), head(), -5000)
    covered = patient_greys(image).covers(image)
    assert np.array_equal(covered[6:54], seen()) and not covered[:6].any() and not covered[54:].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_a_scan_without_padding_keeps_all_its_values(dtype):
    image = head()
    if dtype == np.uint8:
        image = np.clip((image + 1000) // 12, 0, 255)
    image = image.astype(dtype)
    greys = patient_greys(image)
    assert greys.padding == () and greys.filled(image) is image
    assert (greys.darkest, greys.brightest) == (image.min(), image.max())


def test_metal_beyond_what_a_device_can_store_is_no_padding():
    image = np.minimum(head(), 3071)
    image[10:40, 20:32, 20:32] = 3071  # 6 % of the scan
    assert patient_greys(image).padding == ()


def test_a_phantom_of_few_values_has_no_padding():
    image = np.zeros((20, 20, 20), np.int16)
    image[5:15, 5:15, 5:15] = 1000
    assert patient_greys(image).padding == ()


def test_a_declared_value_may_be_rare_but_no_value_of_tissue():
    image = head()
    image[0, 0, :8] = -2000
    assert patient_greys(image).padding == ()
    declared = patient_greys(image, (-2000, -2000))
    assert np.array_equal(declared.covers(image), image != -2000)
    assert patient_greys(image, (-3000, -1500)).covers(image).sum() == image.size - 8
    assert patient_greys(image, (0, 0)).padding == ()


def test_what_is_not_a_number_or_infinite_is_padding():
    image = head(np.float32)
    image[:, 0], image[0, :, 3], image[5, 30, 30] = np.nan, -np.inf, np.inf
    greys = patient_greys(image)
    assert np.array_equal(greys.covers(image), np.isfinite(image))
    assert np.isfinite(greys.filled(image)).all()
    assert greys.brightest == 9000
    nothing = np.full((4, 4, 4), np.nan)
    assert not patient_greys(nothing).covers(nothing).any()


def levels(image: np.ndarray) -> tuple[float, float]:
    torch.manual_seed(0)
    return run_coarse(
        Volume(image, (1.5,) * 3), CascadeNet(COARSE).eval(), InferenceConfig(torch.device("cpu"), 96)
    ).levels


def test_padding_moves_no_grey_level():
    found = [levels(np.where(seen(), head(), fill)) for fill in (-32768, 65535)]
    assert found[0] == found[1]
    assert found[0] == pytest.approx((50, 1200), abs=100)  # flesh; bone and teeth


def test_the_grid_beyond_the_scan_moves_no_grey_level():
    """Stage 1's grid is larger than the scan, and is filled with the darkest value: in an inverted scan that of metal."""
    soft, hard = levels(-head())
    assert soft == pytest.approx(-50, abs=100)
    assert hard == pytest.approx(1000, abs=200)  # air


@pytest.mark.parametrize("fill", FILLS)
def test_padding_is_in_no_window_and_in_no_painting_range(fill):
    image = np.where(seen(), head(), fill)
    for low, high in grey_windows(image).values():
        assert -1000 <= low < high <= 9000
    low, high = start_threshold(image, (1.5,) * 3)
    assert 200 < low < 1800 and high == 9000
    teeth = np.zeros(SHAPE, np.uint8)
    teeth[10:30, 29:32, 38:41] = 36
    assert 200 < start_threshold(image, (1.5,) * 3, teeth)[0] < 1800


def test_a_cut_that_is_no_cylinder_holds_no_data():
    image = head()
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    inside = z + y + x > 40
    scan = Volume(np.where(inside, image, -32768))
    assert np.array_equal(has_data(scan, patient_greys(scan.array))[:], inside)


@pytest.mark.parametrize("fill", FILLS)
def test_padding_changes_no_unknown_voxel_of_a_training_case(fill):
    image = head()
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:38][image[10:38] > 1500] = 36
    scans = (Volume(values, (1.5,) * 3) for values in (image, np.where(seen(), image, fill)))
    plain, padded = (with_unknown(labels, scan, (37,)) == UNKNOWN_VALUE for scan in scans)
    assert plain[seen()].any() and not plain[seen()].all()
    assert (plain != padded)[seen()].mean() < 0.01


@pytest.mark.parametrize("fill", [-32768, 65535, np.nan])
def test_pictures_show_padding_as_such_and_the_patient_as_without(fill, tmp_path):
    image = head(np.float32)
    for name, values in (("plain", image), ("padded", np.where(seen(), image, np.float32(fill)))):
        slice_sheet(Volume(values, (1.5,) * 3), None, None, tmp_path / f"{name}.png", width=600)
    plain, padded = (
        np.asarray(Image.open(tmp_path / f"{n}.png").convert("RGB")).astype(int) for n in ("plain", "padded")
    )
    tile = (600 - 8) // 3
    middle = np.s_[tile // 2 - 60 : tile // 2 + 60, tile // 2 - 60 : tile // 2 + 60]
    assert np.abs(plain[middle] - padded[middle]).mean() < 4
    corner = np.s_[tile - 18 : tile - 3, tile - 18 : tile - 3]
    assert np.abs(padded[corner] - NOT_IMAGED).max() < 12
    assert np.abs(plain[corner] - NOT_IMAGED).max() > 12
