"""DICOM folders as they come from discs and archives: unordered, mixed, incomplete, compressed, multi-frame."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from dicom_series import image, write_series
from grids import GRIDS, marked_volume, marker_lps, rotation
from teethseg.errors import InputError
from teethseg.io.files import read_scan
from teethseg.io.scan_checks import check_scan
from teethseg.volume import Volume


def right_handed() -> dict[str, np.ndarray]:
    """Directions that a stack of DICOM slices can have when sorted along its normal."""
    return {name: matrix for name, matrix in GRIDS.items() if np.linalg.det(matrix) > 0}


def change(path: Path, **attributes) -> None:
    dataset = pydicom.dcmread(path)
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


def stack(slices: int = 20) -> Volume:
    return Volume(np.random.default_rng(1).integers(-1000, 3000, (slices, 6, 5)).astype(np.int16), (0.3, 0.4, 0.5))


def refusal(folder: Path, series: str | None = None) -> str:
    """The error on reading, which must be one line with the cause, a colon and a way out."""
    with pytest.raises(InputError) as caught:
        read_scan(folder, series)
    text = str(caught.value)
    assert "\n" not in text and ": " in text and text.endswith(".")
    return text


@pytest.mark.parametrize("direction", right_handed().values(), ids=right_handed())
def test_files_in_any_order_make_the_scan(tmp_path, direction):
    volume = marked_volume(direction)
    write_series(tmp_path, volume)
    read = read_scan(tmp_path)
    assert np.array_equal(read.array, volume.array) and read.array.dtype == np.int16
    np.testing.assert_allclose(read.affine, volume.affine, atol=1e-6)
    np.testing.assert_allclose(marker_lps(read), marker_lps(volume), atol=1e-6)
    assert read.warnings == ()


def test_slices_stacked_the_other_way_are_the_same_patient(tmp_path):
    volume = marked_volume(rotation() @ np.diag([1, 1, -1]))  # left-handed: from top to bottom
    write_series(tmp_path, volume)
    read = read_scan(tmp_path)
    assert np.array_equal(read.array, volume.array[::-1])
    np.testing.assert_allclose(marker_lps(read), marker_lps(volume), atol=1e-6)


def test_subfolders_other_files_and_objects_without_a_picture(tmp_path, capfd):
    volume = stack()
    paths = write_series(tmp_path / "b" / "c", volume)
    (tmp_path / "a").mkdir()
    for path in paths[::3]:
        path.rename(tmp_path / "a" / f"{path.name}.dcm")
    (tmp_path / "readme.txt").write_text("Viewer: start me.exe")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "broken").write_bytes(bytes(128) + b"DICM" + b"\xff" * 50)
    report = image(volume, Modality="SR", SeriesInstanceUID=generate_uid())
    del report.Rows, report.Columns
    report.save_as(tmp_path / "report", enforce_file_format=True)
    mask = image(volume, Modality="SEG", SeriesInstanceUID=generate_uid(), PixelData=volume.array.tobytes())
    mask.save_as(tmp_path / "mask", enforce_file_format=True)
    scout = pydicom.dcmread(tmp_path / "a" / f"{paths[0].name}.dcm")
    scout.ImageType, scout.SOPInstanceUID = ["ORIGINAL", "PRIMARY", "LOCALIZER"], generate_uid()
    scout.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    scout.save_as(tmp_path / "scout")
    capfd.readouterr()
    assert np.array_equal(read_scan(tmp_path).array, volume.array)
    assert capfd.readouterr().err == ""


def test_second_copies_of_files_do_not_matter(tmp_path):
    volume = stack()
    paths = write_series(tmp_path, volume)
    shutil.copytree(tmp_path, tmp_path / "copy", ignore=lambda *_: [path.name for path in paths[5:]])
    assert np.array_equal(read_scan(tmp_path).array, volume.array)


def test_rescaling(tmp_path):
    volume = stack()
    write_series(tmp_path / "whole", volume, RescaleSlope=2, RescaleIntercept=-1000)
    read = read_scan(tmp_path / "whole").array
    assert read.dtype.kind == "i" and np.array_equal(read, volume.array.astype(int) * 2 - 1000)
    write_series(tmp_path / "fraction", volume, RescaleSlope=0.25, RescaleIntercept=-0.5)
    read = read_scan(tmp_path / "fraction").array
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, volume.array * 0.25 - 0.5)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_pixels(tmp_path, syntax):
    if syntax == JPEGLSLossless:
        pytest.importorskip("jpeg_ls", reason="no encoder to make the test's files with")
    volume = Volume(np.random.default_rng(1).integers(-1000, 3000, (4, 64, 48)).astype(np.int16))
    for path in write_series(tmp_path, volume):
        dataset = pydicom.dcmread(path)
        dataset.compress(syntax)
        dataset.save_as(path)
    assert np.array_equal(read_scan(tmp_path).array, volume.array)


# --- several series ------------------------------------------------------------------------------------------------


def test_several_volumes_are_a_question(tmp_path):
    first, second = stack(), stack(18)
    write_series(tmp_path, first, 2, "CBCT 0.3")
    write_series(tmp_path, second, 10, "sharp")
    text = refusal(tmp_path)
    assert "2 'CBCT 0.3' (5 x 6 x 20); 10 'sharp' (5 x 6 x 18)" in text
    assert np.array_equal(read_scan(tmp_path, "2").array, first.array)
    assert np.array_equal(read_scan(tmp_path, "10").array, second.array)
    uid = str(pydicom.dcmread(next(tmp_path.glob("10-*"))).SeriesInstanceUID)
    assert np.array_equal(read_scan(tmp_path, uid).array, second.array)
    assert "no series 3" in refusal(tmp_path, "3")


def test_the_only_volume_among_scouts_and_screenshots_is_taken(tmp_path):
    volume = stack()
    write_series(tmp_path, volume, 2)
    write_series(tmp_path, stack(3), 1, "scout")
    for number in range(20):
        picture = image(volume, SOPClassUID=SecondaryCaptureImageStorage, SeriesInstanceUID="1.2.9", SeriesNumber=9)
        picture.SamplesPerPixel, picture.PhotometricInterpretation, picture.PlanarConfiguration = 3, "RGB", 0
        picture.BitsAllocated = picture.BitsStored = 8
        picture.HighBit, picture.PixelRepresentation, picture.PixelData = 7, 0, bytes(5 * 6 * 3)
        picture.save_as(tmp_path / f"picture{number}", enforce_file_format=True)
    read = read_scan(tmp_path)
    assert np.array_equal(read.array, volume.array)
    assert "Of 3 DICOM series, 2 'CBCT' (5 x 6 x 20) was taken" in read.warnings[0]
    assert "colour" in refusal(tmp_path, "9")


def test_series_of_one_number_are_told_apart_by_uid(tmp_path):
    write_series(tmp_path / "a", stack(), 4)
    write_series(tmp_path / "b", stack(), 4)
    assert "by its UID" in refusal(tmp_path, "4")


# --- what makes up no volume ---------------------------------------------------------------------------------------


def test_nothing_there(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    assert "no DICOM image" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("missing", "count"), [([7], "1 slice is"), ([7, 8], "2 slices are"), ([3, 11, 12], "3 slices are")]
)
def test_missing_slices_are_named(tmp_path, missing, count):
    paths = write_series(tmp_path, stack())
    for k in missing:
        paths[k].unlink()
    text = refusal(tmp_path)
    assert f"{count} missing" in text
    before = paths[missing[0] - 1].name
    after = next(path.name for k, path in enumerate(paths) if k > missing[0] and k not in missing)
    assert f"between {before} (" in text and f"{after} (" in text


def test_two_scans_under_one_uid(tmp_path):
    paths = write_series(tmp_path, stack())
    shutil.copy(paths[4], tmp_path / "again")
    change(tmp_path / "again", SOPInstanceUID=generate_uid())
    text = refusal(tmp_path)
    assert "1 slice too many" in text and "again" in text


def test_uneven_spacing(tmp_path):
    paths = write_series(tmp_path, stack())
    change(paths[19], ImagePositionPatient=[0, 0, 19 * 0.5 + 0.2])
    text = refusal(tmp_path)
    assert "not evenly spaced (mostly 0.5 mm, but 0.7 mm" in text and paths[19].name in text


@pytest.mark.parametrize(
    ("attributes", "cause"),
    [
        ({"PixelSpacing": [0.4, 0.35]}, "pixel spacing"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0.98, 0.199]}, "orientation"),
        ({"Rows": 5, "Columns": 6}, "size"),
    ],
)
def test_mixed_slices_are_named(tmp_path, attributes, cause):
    paths = write_series(tmp_path, stack())
    change(paths[9], **attributes)
    text = refusal(tmp_path)
    assert f"differ in {cause}" in text and paths[9].name in text


def test_slices_without_a_place(tmp_path):
    for path in write_series(tmp_path, stack()):
        dataset = pydicom.dcmread(path)
        del dataset.ImagePositionPatient
        dataset.save_as(path)
    assert "does not say where it lies" in refusal(tmp_path)


def test_a_tilted_gantry(tmp_path):
    for k, path in enumerate(write_series(tmp_path, stack())):
        change(path, ImagePositionPatient=[0, 0.15 * k, 0.5 * k])
    assert "tilted gantry" in refusal(tmp_path)


def test_one_slice_is_no_scan(tmp_path):
    paths = write_series(tmp_path, stack())
    assert "flat" in refusal(paths[0])  # a single file of the folder
    for path in paths[1:]:
        path.unlink()
    assert "flat" in refusal(tmp_path)


def test_pixels_cut_off(tmp_path, capfd):
    paths = write_series(tmp_path, stack())
    paths[8].write_bytes(paths[8].read_bytes()[:-30])
    assert "cannot be read" in refusal(tmp_path)
    assert capfd.readouterr().err == ""


def test_rounded_positions_are_even(tmp_path):
    volume = Volume(stack(40).array, (0.3, 0.3, 1 / 3))
    for k, path in enumerate(write_series(tmp_path, volume)):
        change(path, ImagePositionPatient=[0, 0, round(k / 3, 2)])
    assert read_scan(tmp_path).spacing[2] == pytest.approx(1 / 3, abs=1e-3)


# --- multi-frame ---------------------------------------------------------------------------------------------------


def write_multiframe(path: Path, volume: Volume, order: np.ndarray, slope: float = 1.0, intercept: float = 0.0) -> None:
    """An Enhanced CT object whose frames are kept in any order."""

    def item(**attributes) -> Dataset:
        dataset = Dataset()
        for name, value in attributes.items():
            setattr(dataset, name, value)
        return dataset

    dataset = image(volume, SOPClassUID=EnhancedCTImageStorage, SeriesInstanceUID=generate_uid(), SeriesNumber=1)
    dataset.NumberOfFrames = len(order)
    orientation = volume.direction[:, :2].T.ravel().tolist()
    dataset.SharedFunctionalGroupsSequence = [
        item(
            PixelMeasuresSequence=[item(PixelSpacing=[volume.spacing[1], volume.spacing[0]])],
            PlaneOrientationSequence=[item(ImageOrientationPatient=orientation)],
            PixelValueTransformationSequence=[item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")],
        )
    ]
    positions = [(volume.affine @ [0, 0, k, 1])[:3].tolist() for k in order]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionSequence=[item(ImagePositionPatient=position)]) for position in positions
    ]
    dataset.PixelData = volume.array[order].astype("<i2").tobytes()
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("direction", list(right_handed().values())[:4], ids=list(right_handed())[:4])
@pytest.mark.parametrize("shuffled", [False, True])
def test_multiframe(tmp_path, direction, shuffled):
    volume = marked_volume(direction)
    order = np.arange(len(volume.array))
    write_multiframe(tmp_path / "scan.dcm", volume, np.random.default_rng(0).permutation(order) if shuffled else order)
    for path in (tmp_path, tmp_path / "scan.dcm"):
        read = read_scan(path)
        assert np.array_equal(read.array, volume.array)
        np.testing.assert_allclose(read.affine, volume.affine, atol=1e-6)


def test_multiframe_rescaled(tmp_path):
    volume = stack()
    write_multiframe(tmp_path / "scan.dcm", volume, np.arange(20)[::-1], 0.5, 3)
    np.testing.assert_allclose(read_scan(tmp_path).array, volume.array * 0.5 + 3)


def test_multiframe_without_places(tmp_path):
    volume = stack()
    dataset = image(volume, NumberOfFrames=20, SeriesInstanceUID=generate_uid(), PixelData=volume.array.tobytes())
    dataset.save_as(tmp_path / "scan.dcm", enforce_file_format=True)
    assert "does not say where it lies" in refusal(tmp_path)


def test_a_whole_scan_passes_the_checks(tmp_path):
    array = np.random.default_rng(1).integers(0, 3000, (20, 32, 40)).astype(np.int16)
    write_series(tmp_path, Volume(array, (0.5, 0.5, 0.5)))
    assert check_scan(read_scan(tmp_path)) == ()
