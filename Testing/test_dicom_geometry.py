"""Positions of DICOM slices: rounded, missing, doubled, interleaved, uneven, tilted, or not stated at all.

Each test makes its own files; the right volume is known, asymmetric, and in most tests oblique.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from dicom_series import change, orientation, position, write_series
from grids import rotation
from teethseg.errors import InputError, SeveralSeries
from teethseg.io.files import read_scan
from teethseg.volume import Volume

OBLIQUE = rotation()


def stack(slices: int = 24, spacing: tuple[float, float, float] = (0.3, 0.4, 0.5), direction=OBLIQUE) -> Volume:
    """Noise on a slope in each direction, which reveals every swap and shift."""
    k, j, i = np.indices((slices, 6, 5))
    array = 40 * k + 7 * j - 3 * i + np.random.default_rng(1).integers(0, 9, k.shape)
    return Volume(array.astype(np.int16), spacing, (-31.5, 12.25, 70.125), direction)


def smooth(slices: int, spacing=(0.5, 0.5, 0.5), direction=None, size: tuple[int, int] = (24, 20)) -> Volume:
    """Values linear in x, y and z of the patient: correct resampling preserves them."""
    volume = Volume(np.zeros((slices, *size), np.int16), spacing, (5.0, -7.0, 11.0), direction)
    return volume.with_array(linear(volume))


def linear(volume: Volume, places: np.ndarray | None = None) -> np.ndarray:
    k, j, i = np.indices(volume.array.shape)
    places = volume.affine @ np.stack([i.ravel(), j.ravel(), k.ravel(), np.ones(i.size)]) if places is None else places
    x, y, z = places[:3]
    return np.rint(20 * x + 33 * y - 12 * z).astype(np.int16).reshape(volume.array.shape)


def same(read: Volume, volume: Volume, tolerance: float = 1e-6) -> None:
    assert np.array_equal(read.array, volume.array)
    np.testing.assert_allclose(read.affine, volume.affine, atol=tolerance)


def refusal(folder: Path, series: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_scan(folder, series)
    text = str(caught.value)
    assert "\n" not in text and ": " in text and text.endswith(".") and len(text) < 700
    return text


def only(warnings: tuple[str, ...]) -> str:
    assert len(warnings) == 1, warnings
    return warnings[0]


# --- every omitted slice is counted ---------------------------------------------------------------------------------


@pytest.mark.parametrize("uids", ["repeat after half", "in pairs", "all the same"])
def test_slices_are_distinguished_by_place_and_not_by_uid(tmp_path, uids):
    volume = stack()
    number = {"repeat after half": lambda k: k % 12, "in pairs": lambda k: k // 2, "all the same": lambda k: 0}[uids]
    write_series(tmp_path, volume, each={"SOPInstanceUID": [f"1.2.3.{number(k)}" for k in range(24)]})
    read = read_scan(tmp_path)
    same(read, volume)
    assert read.warnings == ()


def test_exact_copies_are_left_out_with_a_count(tmp_path):
    volume = stack()
    paths = write_series(tmp_path, volume)
    (tmp_path / "copy").mkdir()
    for path in paths[5:9]:
        shutil.copy(path, tmp_path / "copy")
        change(tmp_path / "copy" / path.name, SOPInstanceUID=generate_uid())  # another UID, the same pixels
    read = read_scan(tmp_path)
    same(read, volume)
    assert only(read.warnings).startswith("4 exact copies of slices were left out")


def test_alike_slices_at_other_places_are_no_copies(tmp_path):
    volume = stack()
    volume.array[10:14] = -1000  # air
    write_series(tmp_path, volume, SOPInstanceUID="1.2.3.4")
    same(read_scan(tmp_path), volume)


def test_a_damaged_slice_is_named_and_filled_in(tmp_path):
    volume = smooth(60)
    paths = write_series(tmp_path, volume)
    paths[8].write_bytes(paths[8].read_bytes()[:-30])
    read = read_scan(tmp_path)
    left, filled = read.warnings
    assert paths[8].name in left and "cut off" in left
    assert "1 missing slice was filled in" in filled
    np.testing.assert_allclose(read.array, volume.array, atol=1)


# --- spacing comes from positions, as they are written --------------------------------------------------------------


@pytest.mark.parametrize("step", [0.08, 0.125, 0.15, 0.25, 0.3, 1 / 3, 0.4])
@pytest.mark.parametrize("decimals", [1, 2])
def test_rounded_positions_are_even(tmp_path, step, decimals):
    volume = stack(40, (0.3, 0.3, step), np.eye(3))
    places = [[-31.5, 12.25, round(70.125 + k * step, decimals)] for k in range(40)]
    write_series(tmp_path, volume, each={"ImagePositionPatient": places})
    read = read_scan(tmp_path)
    assert np.array_equal(read.array, volume.array) and read.warnings == ()
    assert read.spacing[2] == pytest.approx(step, abs=0.1**decimals / 39)


@pytest.mark.parametrize("step", [0.15, 0.3, 1.0])
def test_jitter_of_hundredths_is_even(tmp_path, step):
    volume = stack(40, (0.3, 0.4, step))
    jitter = np.random.default_rng(2).uniform(-0.03, 0.03, 40)
    write_series(
        tmp_path, volume, each={"ImagePositionPatient": [position(volume, k + jitter[k] / step) for k in range(40)]}
    )
    read = read_scan(tmp_path)
    assert np.array_equal(read.array, volume.array) and read.warnings == ()
    assert read.spacing[2] == pytest.approx(step, abs=0.003)


# --- missing and stray slices ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", [OBLIQUE, rotation() @ np.diag([1, -1, -1])], ids=["oblique", "turned"])
@pytest.mark.parametrize("missing", [[50], [33, 80], [57, 58]])
def test_a_few_missing_slices_are_filled_in(tmp_path, missing, direction):
    volume = smooth(100, (0.4, 0.4, 0.4), direction, size=(6, 5))
    paths = write_series(tmp_path, volume, keep=[k for k in range(100) if k not in missing])
    read = read_scan(tmp_path)
    np.testing.assert_allclose(read.affine, volume.affine, atol=1e-4)
    np.testing.assert_allclose(read.array, volume.array, atol=1)
    text = only(read.warnings)
    assert f"{len(missing)} missing slice" in text and paths[missing[0] - 1].name in text


def test_a_missing_slice_is_seen_at_the_finest_voxels(tmp_path):
    volume = smooth(60, (0.08, 0.08, 0.08), size=(6, 5))
    write_series(tmp_path, volume, keep=[k for k in range(60) if k != 37])
    read = read_scan(tmp_path)
    assert read.array.shape == volume.array.shape and read.spacing[2] == pytest.approx(0.08)
    assert "1 missing slice" in only(read.warnings)


@pytest.mark.parametrize(
    ("missing", "count", "why"),
    [
        ([7], "1 slice is", "4.8% are too many"),
        ([7, 8], "2 slices are", "too many"),
        ([3, 11, 12], "3 slices are", "too many"),
    ],
)
def test_many_missing_slices_are_refused(tmp_path, missing, count, why):
    paths = write_series(tmp_path, stack(21), keep=[k for k in range(21) if k not in missing])
    text = refusal(tmp_path)
    assert f"{count} missing" in text and why in text
    assert f"between {paths[missing[0] - 1].name} (" in text and f"{paths[missing[0]].name} (" in text


def test_a_wide_gap_is_refused(tmp_path):
    write_series(tmp_path, stack(60), keep=[k for k in range(60) if not 30 <= k < 34])
    text = refusal(tmp_path)
    assert "4 slices are missing" in text and "2.5 mm is too wide a gap" in text


def test_no_slice_of_a_thick_stack_may_be_missing(tmp_path):
    write_series(tmp_path, stack(50, (0.5, 0.5, 2.0)), keep=[k for k in range(50) if k != 25])
    assert "4 mm is too wide a gap" in refusal(tmp_path)


@pytest.mark.parametrize("end", [0, -1])
def test_a_stray_slice_at_an_end_is_left_out(tmp_path, end):
    volume = stack(direction=np.eye(3))
    at = range(24)[end]
    places = [position(volume, k) for k in range(24)]
    places[at][2] += 8.0 if end else -8.0
    paths = write_series(tmp_path, volume, each={"ImagePositionPatient": places})
    read = read_scan(tmp_path)
    assert np.array_equal(read.array, np.delete(volume.array, at, 0))
    assert read.spacing[2] == pytest.approx(0.5)
    assert paths[at].name in only(read.warnings) and "8.5 mm from the others" in read.warnings[0]


# --- several acquisitions in a series -------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["AcquisitionNumber", "ImageType", "ConvolutionKernel", "AcquisitionTime"])
def test_interleaved_slices_of_another_acquisition_are_parted(tmp_path, mark):
    volume = stack(100)
    values = {"AcquisitionNumber": (1, 3), "ConvolutionKernel": ("H60", "H30"), "AcquisitionTime": ("101500", "103000")}
    first, second = values.get(mark, (["ORIGINAL", "PRIMARY", "AXIAL"], ["DERIVED", "SECONDARY", "MPR"]))
    write_series(tmp_path, volume, **{mark: first})
    uid = pydicom.dcmread(next(tmp_path.iterdir())).SeriesInstanceUID
    other = replace(volume, origin=tuple(position(volume, 0.37)), array=volume.array[::-1].copy())
    paths = write_series(tmp_path / "b", other, keep=[20, 40, 60, 80], SeriesInstanceUID=uid, **{mark: second})
    read = read_scan(tmp_path)
    same(read, volume)
    text = only(read.warnings)
    assert "Left out" in text and paths[0].name in text and "and 1 more" in text


def test_two_whole_acquisitions_in_a_series_are_a_question(tmp_path):
    volume = stack()
    write_series(tmp_path / "a", volume, AcquisitionNumber=1, SeriesInstanceUID="1.2.7")
    second = volume.with_array(volume.array + np.int16(500))
    write_series(tmp_path / "b", second, AcquisitionNumber=2, SeriesInstanceUID="1.2.7")
    assert "1-1; 1-2" in refusal(tmp_path)
    assert np.array_equal(read_scan(tmp_path, "1-1").array, volume.array)
    assert np.array_equal(read_scan(tmp_path, "1-2").array, second.array)


def test_two_passes_that_only_their_numbers_tell_apart(tmp_path):
    volume = stack()
    write_series(tmp_path / "a", volume, SeriesInstanceUID="1.2.7")
    second = volume.with_array(volume.array + np.int16(500))
    numbers = list(range(25, 49))
    write_series(tmp_path / "b", second, SeriesInstanceUID="1.2.7", each={"InstanceNumber": numbers})
    assert "1-1; 1-2" in refusal(tmp_path)
    assert np.array_equal(read_scan(tmp_path, "1-2").array, second.array)


def test_two_scans_that_nothing_tells_apart_are_refused(tmp_path):
    write_series(tmp_path / "a", stack(), SeriesInstanceUID="1.2.7")
    write_series(tmp_path / "b", stack().with_array(stack().array + np.int16(5)), SeriesInstanceUID="1.2.7")
    assert "24 slices too many" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("mark", "values"),
    [
        ("TriggerTime", (0, 250)),
        ("NominalPercentageOfCardiacPhase", (30, 70)),
        ("KVP", (80, 140)),
        ("SeriesNumber", (4, 5)),
        ("ContentTime", ("101010", "101020")),
    ],
)
def test_phases_without_numbers_of_their_own_are_a_question(tmp_path, mark, values):
    volume = stack()
    for value, added in zip(values, (0, 400), strict=True):
        one = volume.with_array(volume.array + np.int16(added))
        write_series(
            tmp_path / str(value), one, without=["InstanceNumber"], **{"SeriesInstanceUID": "1.5", mark: value}
        )
    with pytest.raises(SeveralSeries) as caught:
        read_scan(tmp_path)
    read = [read_scan(tmp_path, key).array for key in caught.value.choices]
    assert {int(array.min() - volume.array.min()) for array in read} == {0, 400}
    assert all(np.array_equal(array - array.min(), volume.array - volume.array.min()) for array in read)


def test_a_scan_taken_in_several_goes_stays_one(tmp_path):
    volume = stack(30)
    write_series(tmp_path, volume, each={"AcquisitionNumber": [k // 10 for k in range(30)]})
    same(read_scan(tmp_path), volume)


def test_a_few_slices_between_the_others_are_left_out(tmp_path):
    volume = stack(100)
    write_series(tmp_path, volume, SeriesInstanceUID="1.2.7")
    other = replace(volume, origin=tuple(position(volume, 0.4)))
    write_series(tmp_path / "b", other, keep=[20, 60, 80], SeriesInstanceUID="1.2.7")
    read = read_scan(tmp_path)
    same(read, volume)
    assert "3 slices between or on the places of the others were left out" in only(read.warnings)


# --- uneven steps and tilt ------------------------------------------------------------------------------------------


def test_uneven_steps_are_made_even(tmp_path):
    heights = np.cumsum([0.0, *[1.1] * 19, *[4.2] * 10, *[7.4] * 5])
    volume = smooth(len(heights), (0.5, 0.5, 1.0), OBLIQUE)
    places = [position(volume, height) for height in heights]
    arrays = []
    for height in heights:
        moved = replace(volume, origin=tuple(position(volume, height)), array=volume.array[:1])
        arrays.append(linear(moved)[0])
    write_series(tmp_path, volume.with_array(np.array(arrays)), each={"ImagePositionPatient": places})
    read = read_scan(tmp_path)
    assert "1.1 to 7.4 mm" in only(read.warnings) and read.spacing[2] == pytest.approx(1.1)
    assert read.array.shape[0] == round(heights[-1] / 1.1) + 1
    inside = read.array[: int(heights[-1] / 1.1)]
    np.testing.assert_allclose(inside, linear(read)[: len(inside)], atol=2)


@pytest.mark.parametrize("way", ["rows", "columns", "both"])
@pytest.mark.parametrize("degrees", [18.5, -11.0])
def test_a_tilted_gantry_is_made_upright(tmp_path, degrees, way):
    volume = smooth(40, direction=OBLIQUE)
    lean = np.tan(np.radians(degrees)) * volume.spacing[2]
    across = {"rows": (lean, 0), "columns": (0, lean), "both": (lean / 2, -lean)}[way]
    places = [np.add(position(volume, k), k * (volume.direction[:, :2] @ across)).tolist() for k in range(40)]
    arrays = [linear(replace(volume, origin=tuple(place), array=volume.array[:1]))[0] for place in places]
    write_series(tmp_path, volume.with_array(np.array(arrays)), each={"ImagePositionPatient": places})
    read = read_scan(tmp_path)
    angle = np.degrees(np.arctan(np.hypot(*across) / volume.spacing[2]))
    assert f"tilted by {angle:.1f} degrees" in only(read.warnings)
    np.testing.assert_allclose(read.direction, volume.direction, atol=1e-6)
    # Each place in the patient has its value; places outside the image are padding.
    low, high = read.padding
    imaged = (read.array < low) | (read.array > high)
    assert imaged.mean() > 0.4 and np.array_equal(imaged, read.array > low)
    np.testing.assert_allclose(read.array[imaged], linear(read)[imaged], atol=2)
    assert np.count_nonzero(imaged) > 0.85 * volume.array.size


def test_padding_is_not_mixed_into_a_tilted_scan(tmp_path):
    volume = smooth(40)
    places = [np.add(position(volume, k), [0, 0.17 * k, 0]).tolist() for k in range(40)]
    padded = volume.array.copy()
    padded[:, :, :6] = -2000
    write_series(tmp_path, volume.with_array(padded), each={"ImagePositionPatient": places}, PixelPaddingValue=-2000)
    read = read_scan(tmp_path)
    assert read.padding == (-2000.0, -2000.0)
    values = read.array[read.array != -2000]
    assert values.min() >= volume.array.min() and (read.array[:, :, :6] == -2000).all()


def test_slices_at_odd_places_are_refused(tmp_path):
    volume = stack()
    places = [np.add(position(volume, k), [5.0 * (k % 3), 0, 0]).tolist() for k in range(24)]
    write_series(tmp_path, volume, each={"ImagePositionPatient": places})
    assert "shifted against each other" in refusal(tmp_path) or "missing" in refusal(tmp_path)


# --- information that is missing in the files ----------------------------------------------------------------------


def test_same_position_in_every_file_but_slice_locations(tmp_path):
    volume = replace(stack(direction=np.eye(3)), origin=(1.0, 2.0, 0.0))
    locations = [12.5 + 0.5 * k for k in range(24)]
    write_series(
        tmp_path, volume, ImagePositionPatient=[1, 2, 0], each={"SliceLocation": locations}, without=["InstanceNumber"]
    )
    read = read_scan(tmp_path)
    same(read, replace(volume, origin=(1.0, 2.0, 12.5)))
    assert "slice locations" in only(read.warnings) and "from bottom to top" in read.warnings[0]


def test_slice_locations_rise_with_the_patient_whichever_way_the_plane_faces(tmp_path):
    volume = stack(direction=np.diag([-1.0, 1.0, -1.0]))  # the normal points down
    locations = [0.5 * k for k in range(24)]
    write_series(tmp_path, volume, ImagePositionPatient=[0, 0, 0], each={"SliceLocation": locations})
    read = read_scan(tmp_path)
    assert np.array_equal(read.array, volume.array[::-1])
    top = read.affine @ [0, 0, 0, 1]
    assert top[2] == pytest.approx(11.5)  # the first voxel of the volume is the highest


@pytest.mark.parametrize("given", ["SpacingBetweenSlices", "SliceThickness"])
@pytest.mark.parametrize("same_position", [True, False])
def test_only_instance_numbers_and_a_step(tmp_path, given, same_position):
    volume = replace(stack(), origin=(0.0, 0.0, 0.0))
    write_series(tmp_path, volume, ImagePositionPatient=[0, 0, 0] if same_position else None, **{given: 0.5})
    read = read_scan(tmp_path)
    same(read, volume)
    assert "instance numbers" in only(read.warnings)


def test_nothing_says_where_the_slices_lie(tmp_path):
    write_series(tmp_path, stack(), without=["ImagePositionPatient", "InstanceNumber"])
    assert "does not say where it lies" in refusal(tmp_path)


@pytest.mark.parametrize(
    "direction",
    [np.eye(3), [[1, 0, 0], [0, 0, 1], [0, -1, 0]], [[0, 0, -1], [1, 0, 0], [0, -1, 0]]],
    ids=["a", "c", "s"],
)
def test_orientation_from_the_way_the_positions_go(tmp_path, direction):
    volume = stack(direction=np.array(direction, float))
    write_series(tmp_path, volume, without=["ImageOrientationPatient"])
    read = read_scan(tmp_path)
    same(read, volume)
    assert "check that left and right are not swapped" in only(read.warnings)


def test_one_slice_lacks_what_its_neighbours_say(tmp_path):
    volume = stack()
    paths = write_series(tmp_path, volume)
    change(paths[3], PixelSpacing=None)
    change(paths[10], ImageOrientationPatient=None)
    change(paths[15], ImagePositionPatient=None)
    same(read_scan(tmp_path), volume, 1e-5)


def test_spacing_of_the_detector_is_used_with_a_warning(tmp_path):
    volume = stack()
    write_series(tmp_path, volume, ImagerPixelSpacing=[0.4, 0.3], without=["PixelSpacing"])
    read = read_scan(tmp_path)
    same(read, volume)
    assert "magnification" in only(read.warnings)


def test_spacing_from_the_diameter(tmp_path):
    volume = stack(spacing=(0.3, 0.3, 0.5))
    write_series(tmp_path, volume, ReconstructionDiameter=1.5, without=["PixelSpacing"])
    read = read_scan(tmp_path)
    same(read, volume)
    assert "Reconstruction Diameter" in only(read.warnings)


def test_no_pixel_spacing_at_all(tmp_path):
    write_series(tmp_path, stack(), without=["PixelSpacing"])
    assert "does not say how large its pixels are" in refusal(tmp_path)


@pytest.mark.parametrize("spacing", [[0, 0], [-0.3, 0.3], [float("nan"), 0.3]])
def test_spacing_that_cannot_be_is_none(tmp_path, spacing):
    write_series(tmp_path, stack(), PixelSpacing=spacing)
    assert "does not say how large its pixels are" in refusal(tmp_path)


def test_rounded_orientation(tmp_path):
    volume = stack(20, (0.3, 0.4, 0.5))
    write_series(tmp_path, volume, ImageOrientationPatient=np.round(orientation(volume), 3).tolist())
    read = read_scan(tmp_path)
    np.testing.assert_allclose(read.direction.T @ read.direction, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(read.affine, volume.affine, atol=1e-3)


def test_sheared_axes_are_refused(tmp_path):
    write_series(tmp_path, stack(), ImageOrientationPatient=[1, 0, 0, 0.2, 0.98, 0])
    assert "axes" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("attributes", "cause"),
    [
        ({"PixelSpacing": [0.4, 0.35]}, "pixel spacing 0.4 x 0.35"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0.98, 0.199]}, "another orientation"),
        ({"Rows": 5, "Columns": 6}, "size 6 x 5"),
    ],
)
def test_a_slice_of_another_kind_is_named(tmp_path, attributes, cause):
    volume = smooth(60, size=(6, 5))
    paths = write_series(tmp_path, volume)
    change(paths[9], **attributes)
    read = read_scan(tmp_path)
    np.testing.assert_allclose(read.array, volume.array, atol=1)
    assert cause in read.warnings[0] and paths[9].name in read.warnings[0]
    assert "1 missing slice was filled in" in read.warnings[1]


def test_many_reasons_make_one_short_line(tmp_path):
    paths = write_series(tmp_path, stack(60))
    for k in range(5, 45):
        paths[k].write_bytes(paths[k].read_bytes()[: -k - 1])  # each cut off at another byte
    text = refusal(tmp_path)
    assert f"as each is cut off: {', '.join(sorted(path.name for path in paths[5:45])[:3])} and 37 more." in text
    assert "20.5 mm" in text and f"between {paths[4].name} (" in text
