"""Volumes that are no scans are refused in one line with cause and remedy; unusual scans draw a warning."""

from __future__ import annotations

import numpy as np
import pytest

from grids import GRIDS
from teethseg.errors import InputError
from teethseg.io.scan_checks import check_dimensions, check_labels, check_scan, with_numbers
from teethseg.padding import patient_greys
from teethseg.volume import Volume


def scan(shape=(40, 40, 40), spacing=(0.4, 0.4, 0.4), dtype=np.int16, **place) -> Volume:
    return Volume(np.random.default_rng(0).integers(0, 100, shape).astype(dtype), spacing, **place)


def with_values(*values: float) -> Volume:
    volume = scan(dtype=np.float32)
    volume.array.flat[: len(values)] = values
    return volume


def refusal(volume: Volume) -> str:
    """The error, which must be one line with the cause, a colon and a remedy."""
    with pytest.raises(InputError) as caught:
        check_scan(volume)
    text = str(caught.value)
    assert "\n" not in text and ": " in text and text.endswith(".")
    return text


@pytest.mark.parametrize(
    ("volume", "cause"),
    [
        (scan((40, 40)), "flat"),
        (scan((1, 400, 400)), "flat"),
        (scan((400, 400, 1)), "flat"),
        (scan((3, 40, 40, 40)), "4 dimensions"),
        (scan(dtype=bool), "type bool"),
        (scan(dtype=complex), "type complex"),
        (Volume(np.full((40, 40, 40), 7)), "same value (7)"),
        (scan(spacing=(0.4, 0.4, 0.04)), "0.4 x 0.4 x 0.04 mm, outside"),
        (scan(spacing=(0.4, 0.4, 5.1)), "5.1 mm, outside"),
        (scan(spacing=(0.0, 0.4, 0.4)), "0 x 0.4 x 0.4 mm, outside"),
        (scan(spacing=(0.4, -0.4, 0.4)), "-0.4 x 0.4 mm, outside"),
        (scan(spacing=(0.4, np.nan, 0.4)), "position of the scan"),
        (scan(origin=(np.inf, 0, 0)), "position of the scan"),
        (scan((40, 40, 15)), "only 6 x 16 x 16 mm"),
        (scan((300, 40, 40), (0.4, 0.4, 2.1)), "16 x 16 x 630 mm"),
        (scan(direction=[[1, 0, 0], [0, 1, 0.2], [0, 0, 0.98]]), "not perpendicular"),
    ],
)
def test_refused(volume, cause):
    assert cause in refusal(volume)


@pytest.mark.parametrize("background", [0, -1, -1024])
def test_a_label_map_is_no_scan_whatever_its_background(background):
    labels = np.full((40, 40, 40), background, np.int16)
    labels[5:20, 5:20, 5:20], labels[20:35, 5:20, 5:20] = 11, 12
    assert "label map" in refusal(Volume(labels, (0.4, 0.4, 0.4)))


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8, np.float32, np.float64, np.int32])
def test_any_grid_and_grey_type_will_do(direction, dtype):
    assert check_scan(scan(direction=direction, dtype=dtype)) == ()


def test_coarse_slices_draw_a_warning():
    (warning,) = check_scan(scan(spacing=(0.4, 0.4, 3.0)))
    assert "coarse (0.4 x 0.4 x 3 mm)" in warning


def test_what_the_reader_assumed_is_passed_on():
    assert check_scan(scan(warnings=("Left is a guess.",))) == ("Left is a guess.",)


@pytest.mark.parametrize("values", [(np.nan,), (np.inf, np.nan, -np.inf), [np.nan] * 20_000])
def test_what_is_no_number_becomes_padding_with_a_count(values):
    volume = with_values(*values)
    before = volume.array.copy()
    found = with_numbers(volume)
    (warning,) = found.warnings
    assert f"{len(values)} of 64000 voxels" in warning and "outside the patient" in warning
    greys = patient_greys(found.array)
    if len(values) > 1000:  # a single voxel is too small to count as padding, and harmless
        assert np.array_equal(greys.covers(found.array), np.isfinite(before))
    assert np.isfinite(found.array).all()
    assert np.array_equal(found.array[np.isfinite(before)], before[np.isfinite(before)])
    assert check_scan(found) == found.warnings


def test_a_scan_of_numbers_stays_as_it_is():
    volume = scan(dtype=np.float32)
    assert with_numbers(volume) is volume


@pytest.mark.parametrize(("value", "cause"), [(np.nan, "Not one voxel"), (7.0, "same value \\(7\\)")])
def test_nothing_but_what_is_no_number_is_refused(value, cause):
    volume = with_values(np.inf)
    volume.array.flat[1:] = value
    with pytest.raises(InputError, match=cause):
        with_numbers(volume)


@pytest.mark.parametrize(("axes", "values", "cause"), [(4, 1, "4 dimensions"), (2, 1, "flat"), (3, 3, "colour")])
def test_dimensions(axes, values, cause):
    with pytest.raises(InputError, match=cause):
        check_dimensions(axes, values)


def test_labels_shrink_to_the_type_they_need():
    assert check_labels(np.array([0.0, 48.0])).dtype == np.uint8
    assert check_labels(np.array([0, 300], np.int64)).dtype == np.uint16


@pytest.mark.parametrize(
    ("values", "cause"),
    [([0, 1.5], "fractions"), ([0, -1], "lowest value is -1"), ([-1000, 3000], "a scan"), ([0, np.nan], "number")],
)
def test_what_is_no_label_map(values, cause):
    with pytest.raises(InputError, match=cause):
        check_labels(np.array(values))
