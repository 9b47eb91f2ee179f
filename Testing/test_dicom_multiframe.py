"""One file with many frames, in the forms that vendors write; the rules of geometry are those of single files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_series import change, orientation, position, stored, write_enhanced, write_plain_multiframe
from grids import GRIDS, marked_volume, rotation
from teethseg.errors import SeveralSeries
from teethseg.io.files import read_scan
from test_dicom_geometry import only, refusal, same, smooth, stack

RIGHT_HANDED = {name: matrix for name, matrix in GRIDS.items() if np.linalg.det(matrix) > 0}


@pytest.mark.parametrize("direction", list(RIGHT_HANDED.values())[:4], ids=list(RIGHT_HANDED)[:4])
@pytest.mark.parametrize("shuffled", [False, True])
def test_enhanced(tmp_path, direction, shuffled):
    volume = marked_volume(direction)
    order = np.arange(len(volume.array))
    write_enhanced(tmp_path / "scan.dcm", volume, np.random.default_rng(0).permutation(order) if shuffled else order)
    for path in (tmp_path, tmp_path / "scan.dcm"):
        same(read_scan(path), volume)


@pytest.mark.parametrize("spacing", ["frame", "shared", "header"])
@pytest.mark.parametrize("facing", ["frame", "shared", "header"])
def test_groups_in_any_mix(tmp_path, spacing, facing):
    volume = stack()
    write_enhanced(
        tmp_path / "scan.dcm", volume, spacing=spacing, facing=facing, rescale=spacing, slope=2, intercept=-9
    )
    read = read_scan(tmp_path)
    same(read, volume.with_array(volume.array * np.int16(2) - np.int16(9)))
    assert read.warnings == ()


def test_positions_only_and_the_rest_in_the_header(tmp_path):
    volume = stack()
    write_enhanced(tmp_path / "scan.dcm", volume, spacing="header", facing="header", rescale="", Modality="XA")
    same(read_scan(tmp_path), volume)


def test_positions_only_and_no_orientation_anywhere(tmp_path):
    volume = stack(direction=np.eye(3))
    write_enhanced(tmp_path / "scan.dcm", volume, facing="")
    read = read_scan(tmp_path)
    same(read, volume)
    assert "usual axial" in only(read.warnings)


def test_frames_with_fractions(tmp_path):
    volume = stack()
    write_enhanced(tmp_path / "scan.dcm", volume, range(24)[::-1], slope=0.5, intercept=3)
    np.testing.assert_allclose(read_scan(tmp_path).array, volume.array * 0.5 + 3)


def test_frames_obey_the_rules_of_slices(tmp_path):
    volume = smooth(60, size=(6, 5))
    write_enhanced(tmp_path / "scan.dcm", volume, [k for k in range(60) if k != 31])
    read = read_scan(tmp_path)
    np.testing.assert_allclose(read.array, volume.array, atol=1)
    assert "frame 31 of scan.dcm" in only(read.warnings) and "1 missing slice" in read.warnings[0]


@pytest.mark.parametrize("mark", ["TemporalPositionIndex", "StackID", "FrameAcquisitionNumber"])
def test_phases_of_one_file_are_parted(tmp_path, mark):
    """Perfusion and jaw-motion scans store all slices twice: the reader asks, and each answer is one phase alone."""
    volume = stack()
    later = volume.with_array(volume.array + 7)
    path = tmp_path / "scan.dcm"
    write_enhanced(path, volume, [*range(24)] * 2)
    dataset = pydicom.dcmread(path)
    for at, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        content = Dataset()
        setattr(content, mark, str(1 + at // 24) if mark == "StackID" else 1 + at // 24)
        group.FrameContentSequence = [content]
    dataset.PixelData = stored(np.concatenate([volume.array, later.array]))
    dataset.save_as(path)
    with pytest.raises(SeveralSeries) as error:
        read_scan(path)
    keys = list(error.value.choices)
    found = [read_scan(path, key).array for key in keys]
    assert len(found) == 2
    assert {int(array.min()) for array in found} == {int(volume.array.min()), int(later.array.min())}
    assert all(np.array_equal(array - array.min(), volume.array - volume.array.min()) for array in found)


@pytest.mark.parametrize("given", ["SpacingBetweenSlices", "SliceThickness"])
def test_one_position_and_a_step(tmp_path, given):
    volume = stack()
    write_plain_multiframe(tmp_path / "scan.dcm", volume, **{given: 0.5})
    read = read_scan(tmp_path)
    same(read, volume)
    assert "check that the scan is not upside down" in only(read.warnings)
    assert ("0.5 mm apart as they are thick" in only(read.warnings)) == (given == "SliceThickness")


@pytest.mark.parametrize("first", [0.0, 70.125])
def test_offsets_of_the_frames(tmp_path, first):
    volume = stack()
    offsets = [first + 0.5 * k for k in range(24)]
    write_plain_multiframe(tmp_path / "scan.dcm", volume, GridFrameOffsetVector=offsets, SliceThickness=3)
    read = read_scan(tmp_path)
    same(read, volume)
    assert read.warnings == ()


def test_offsets_that_fall(tmp_path):
    volume = stack()
    write_plain_multiframe(tmp_path / "scan.dcm", volume, GridFrameOffsetVector=[-0.5 * k for k in range(24)])
    read = read_scan(tmp_path)
    assert np.array_equal(read.array, volume.array[::-1])
    np.testing.assert_allclose(read.origin, position(volume, -23), atol=1e-6)


@pytest.mark.parametrize("keyword", ["GridFrameOffsetVector", "SliceLocationVector"])
def test_places_of_the_frames_grow_with_the_patient_whichever_way_the_plane_faces(tmp_path, keyword):
    """Offsets go along the normal, but values that do not begin with 0 are coordinates (DICOM PS3.3, C.8.8.3.2)."""
    volume = stack(direction=np.diag([1.0, -1.0, -1.0]))
    heights = [volume.origin[2] + 0.5 * k for k in range(24)]
    write_plain_multiframe(tmp_path / "scan.dcm", volume, **{keyword: heights})
    read = read_scan(tmp_path)
    assert np.array_equal(read.array, volume.array[::-1])  # slices ascend along the normal, which points down
    np.testing.assert_allclose(read.origin, position(volume, -23), atol=1e-6)
    write_plain_multiframe(tmp_path / "scan.dcm", volume, **{keyword: [0.5 * k for k in range(24)]})
    same(read_scan(tmp_path), volume)


@pytest.mark.parametrize("enhanced", [True, False])
def test_a_spacing_below_0_goes_against_the_normal(tmp_path, enhanced):
    """Nuclear medicine writes negative spacings; the reader never uses the slice thickness instead, which may differ."""
    volume = stack(direction=np.eye(3))
    given = {"SpacingBetweenSlices": -0.5, "SliceThickness": 1.5}
    if enhanced:
        write_enhanced(tmp_path / "scan.dcm", volume, positions="shared", **given)
    else:
        write_plain_multiframe(tmp_path / "scan.dcm", volume, **given)
    read = read_scan(tmp_path)
    assert np.array_equal(read.array, volume.array[::-1])
    assert read.spacing == pytest.approx(volume.spacing)
    np.testing.assert_allclose(read.origin, position(volume, -23), atol=1e-6)
    assert "put from top to bottom by their order; check" in only(read.warnings)


def test_a_file_that_says_no_place_but_its_voxels(tmp_path):
    volume = replace(stack(direction=np.eye(3)), origin=(0.0, 0.0, 0.0))
    write_plain_multiframe(
        tmp_path / "scan.dcm", volume, SliceThickness=0.5, ImagePositionPatient=None, ImageOrientationPatient=None
    )
    read = read_scan(tmp_path)
    same(read, volume)
    assert any("left and right" in text for text in read.warnings)


def test_no_step_and_no_positions(tmp_path):
    write_plain_multiframe(tmp_path / "scan.dcm", stack())
    assert "does not give the distance between its frames" in refusal(tmp_path)


def test_no_place_at_all(tmp_path):
    volume = stack()
    write_plain_multiframe(tmp_path / "scan.dcm", volume, PixelSpacing=None, ImagePositionPatient=None)
    assert "does not say how large its pixels are" in refusal(tmp_path)


@pytest.mark.parametrize("enhanced", [True, False])
def test_several_frames_a_file_in_several_files(tmp_path, enhanced):
    volume = stack(30)
    for number, start in enumerate((20, 0, 10)):
        path = tmp_path / f"part{number}"
        own = replace(volume, array=volume.array[start : start + 10], origin=tuple(position(volume, start)))
        if enhanced:
            write_enhanced(path, own, SeriesInstanceUID="1.2.7")
        else:
            write_plain_multiframe(path, own, SpacingBetweenSlices=0.5, SeriesInstanceUID="1.2.7")
    same(read_scan(tmp_path), volume)
    read = read_scan(tmp_path / "part1")  # one file selects the whole series
    same(read, volume)
    assert any("part1 is one slice of a series" in text for text in read.warnings)


def test_all_frames_at_one_place_but_a_step(tmp_path):
    volume = stack()
    still = replace(volume, spacing=(0.3, 0.4, 0.0))
    write_enhanced(tmp_path / "scan.dcm", still, SliceThickness=0.5)
    read = read_scan(tmp_path)
    same(read, volume)
    assert "same position" in only(read.warnings)


def test_more_frames_than_the_pixels_hold(tmp_path):
    write_plain_multiframe(tmp_path / "scan.dcm", stack(), SliceThickness=0.5, NumberOfFrames=1_000_000)
    assert "has fewer pixels than its header says" in refusal(tmp_path)


def test_a_million_compressed_frames(tmp_path):
    path = tmp_path / "scan.dcm"
    write_plain_multiframe(path, stack(), SliceThickness=0.5)
    dataset = pydicom.dcmread(path)
    dataset.compress(pydicom.uid.RLELossless)
    dataset.save_as(path)
    change(path, NumberOfFrames=1_000_000)
    assert "no 1000000 frames as its header says" in refusal(tmp_path)
    with path.open("ab") as file:  # a plausible size for so many frames
        file.truncate(9_000_000)
    assert "has 1000000 frames, more than a scan" in refusal(tmp_path)


def test_the_first_frames_orientation_is_that_of_all(tmp_path):
    volume = stack(direction=rotation((0.0, 30.0, 5.0)))
    write_enhanced(tmp_path / "scan.dcm", volume, facing="frame")
    np.testing.assert_allclose(read_scan(tmp_path).direction[:, :2].T.ravel(), orientation(volume), atol=1e-6)
