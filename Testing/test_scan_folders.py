"""Folders and zips with a scan and other files: the scan is read, or the user chooses."""

from __future__ import annotations

import shutil
import zipfile

import nrrd
import numpy as np
import pytest

from dicom_series import write_series
from teethseg.cli.app import run
from teethseg.errors import InputError, SeveralSeries
from teethseg.io.files import read_scan, write_labels, write_scan
from test_dicom_geometry import only, same, stack


@pytest.fixture
def volume():
    return stack()


@pytest.fixture
def teeth(volume):
    array = np.zeros(volume.array.shape, np.uint8)
    array[3:9, 2:4, 1:3] = 16
    return volume.with_array(array)


@pytest.mark.parametrize("name", ["scan.nrrd", "scan.nii.gz", "scan.mha"])
def test_a_folder_with_one_file(tmp_path, volume, name):
    write_scan(tmp_path / name, volume)
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / f"._{name}").write_bytes(b"macOS")
    read = read_scan(tmp_path)
    assert np.array_equal(read.array, volume.array) and read.warnings == ()


@pytest.mark.parametrize("name", ["teeth.seg.nrrd", "labels.nrrd", "labels.nii.gz"])
@pytest.mark.parametrize("form", ["dicom", "file"])
def test_the_segmentation_beside_the_scan_is_never_the_scan(tmp_path, volume, teeth, name, form):
    folder = tmp_path / "disc"
    if form == "dicom":
        write_series(folder, volume)
    else:
        folder.mkdir()
        write_scan(folder / "scan.nrrd", volume)
    write_labels(folder / name, teeth)
    packed = shutil.make_archive(str(tmp_path / "disc"), "zip", folder)
    for path in (folder, packed):
        read = read_scan(path)
        assert np.array_equal(read.array, volume.array)
        assert f"Passed over, as segmentations and no scans: {name}." == only(read.warnings)


def test_a_dicom_scan_and_another_are_a_question(tmp_path, volume):
    write_series(tmp_path / "a", volume)
    other = volume.with_array(volume.array + np.int16(7))
    write_scan(tmp_path / "b.nrrd", other)
    with pytest.raises(SeveralSeries) as caught:
        read_scan(tmp_path)
    assert list(caught.value.choices) == ["dicom", "b.nrrd"] and "5 x 6 x 24 voxels" in caught.value.choices["b.nrrd"]
    same(read_scan(tmp_path, "dicom"), volume)
    assert np.array_equal(read_scan(tmp_path, "b.nrrd").array, other.array)


def test_several_files_are_a_question(tmp_path, volume):
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        write_scan(tmp_path / name / "scan.nrrd", volume)
    with pytest.raises(SeveralSeries) as caught:
        read_scan(tmp_path)
    assert list(caught.value.choices) == ["after/scan.nrrd", "before/scan.nrrd"]
    assert read_scan(tmp_path, "before/scan.nrrd").array.shape == volume.array.shape


def test_nothing_but_a_segmentation(tmp_path, teeth):
    write_labels(tmp_path / "teeth.seg.nrrd", teeth)
    with pytest.raises(InputError, match=r"holds no scan but teeth\.seg\.nrrd, a segmentation"):
        read_scan(tmp_path)


def test_zips_with_series_in_zips(tmp_path, volume):
    write_series(tmp_path / "series", volume)
    inner = shutil.make_archive(str(tmp_path / "inner"), "zip", tmp_path / "series")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as packed:
        packed.write(inner, "export/series.zip")
        packed.writestr("__MACOSX/export/._series.zip", b"clutter")
    same(read_scan(tmp_path / "outer.zip"), volume)


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_in_a_folder_or_zip_is_checked_as_one_that_is_given(tmp_path, packed):
    sheared = np.array([[0.5, 0, 0], [0, 0.5, 0], [0.2, 0, 0.5]])
    noise = np.random.default_rng(0).integers(0, 900, (20, 20, 20)).astype(np.int16)
    header = {"space": "left-posterior-superior", "space directions": sheared, "space origin": np.zeros(3)}
    segment = header | {"space directions": np.eye(3), "Segment0_ID": "x", "Segment0_Name": "Tooth 26"}
    for head, cause in ((header, "not perpendicular"), (segment, "holds no scan but scan.nrrd, a segmentation")):
        (tmp_path / "folder").mkdir(exist_ok=True)
        nrrd.write(str(tmp_path / "folder" / "scan.nrrd"), noise, head)
        with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
            archive.write(tmp_path / "folder" / "scan.nrrd", "scan.nrrd")
        with pytest.raises(InputError, match=cause):
            read_scan(tmp_path / ("scan.zip" if packed else "folder"))


def test_a_folder_with_nothing_but_a_zip(tmp_path, volume):
    write_series(tmp_path / "series", volume)
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "folder" / "Scan.ZIP", "w") as archive:
        for path in (tmp_path / "series").iterdir():
            archive.write(path, f"S1/{path.name}")
    (tmp_path / "folder" / ".DS_Store").write_bytes(b"x")
    assert np.array_equal(read_scan(tmp_path / "folder").array, volume.array)


def test_the_command_line_shows_what_there_is_to_choose(tmp_path, volume, capfd):
    write_series(tmp_path / "a", volume, 2, "Bone", SeriesDate="20240305", ConvolutionKernel="H60s")
    write_series(tmp_path / "b", volume, 3, "Soft")
    assert run(["segment", str(tmp_path), "--output", str(tmp_path / "teeth.nrrd")]) == 3
    *_, first, second, error = capfd.readouterr().err.splitlines()
    assert first == "  2 'Bone': 5 x 6, 24 slices, 0.3 x 0.4 x 0.5 mm, 2024-03-05, kernel H60s"
    assert second == "  3 'Soft': 5 x 6, 24 slices, 0.3 x 0.4 x 0.5 mm"
    assert error.endswith("holds 2 DICOM series that could be the scan: choose one by its number (series): 2; 3.")
    assert not (tmp_path / "teeth.nrrd").exists()


def test_a_damaged_file_beside_the_scan_is_no_reason_to_refuse(tmp_path, volume):
    write_series(tmp_path, volume)
    (tmp_path / "half.nrrd").write_bytes(b"NRRD0004\n")
    read = read_scan(tmp_path)
    same(read, volume)
    assert only(read.warnings) == "Passed over, as it cannot be read: half.nrrd."


def test_many_files_are_not_all_read(tmp_path):
    for number in range(20):
        (tmp_path / f"{number}.nrrd").write_bytes(b"NRRD0004\n")
    with pytest.raises(InputError, match="holds 20 files that could be the scan"):
        read_scan(tmp_path)
