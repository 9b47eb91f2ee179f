"""DICOM folders from discs and archives: unordered, mixed, damaged, or with several series to choose from."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.fileset import FileSet
from pydicom.uid import generate_uid

from dicom_series import change, image, nested, orientation, position, write_picture, write_series
from grids import GRIDS, marked_volume, marker_lps, rotation
from teethseg.errors import SeveralSeries
from teethseg.io.dicom.choice import scan_score
from teethseg.io.dicom.series import find_series
from teethseg.io.dicom.sniff import files_in
from teethseg.io.files import read_scan
from teethseg.io.scan_checks import check_scan
from teethseg.volume import Volume
from test_dicom_geometry import only, refusal, same, stack

RIGHT_HANDED = {name: matrix for name, matrix in GRIDS.items() if np.linalg.det(matrix) > 0}


@pytest.mark.parametrize("direction", RIGHT_HANDED.values(), ids=RIGHT_HANDED)
def test_files_in_any_order_make_the_scan(tmp_path, direction):
    volume = marked_volume(direction)
    write_series(tmp_path, volume)
    read = read_scan(tmp_path)
    same(read, volume)
    assert read.array.dtype == np.int16 and read.warnings == ()
    np.testing.assert_allclose(marker_lps(read), marker_lps(volume), atol=1e-6)


def test_slices_stacked_the_other_way_are_the_same_patient(tmp_path):
    volume = marked_volume(rotation() @ np.diag([1, 1, -1]))  # left-handed: from top to bottom
    write_series(tmp_path, volume)
    read = read_scan(tmp_path)
    assert np.array_equal(read.array, volume.array[::-1])
    np.testing.assert_allclose(marker_lps(read), marker_lps(volume), atol=1e-6)


# --- other files in the folder --------------------------------------------------------------------------------------


def test_subfolders_other_files_and_objects_without_a_picture(tmp_path, capfd):
    volume = stack()
    paths = write_series(tmp_path / "b" / "c", volume)
    (tmp_path / "a").mkdir()
    for path in paths[::3]:
        path.rename(tmp_path / "a" / f"{path.name}.dcm")
    (tmp_path / "readme.txt").write_text("Viewer: start me.exe")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "broken").write_bytes(bytes(128) + b"DICM" + b"\xff" * 50)
    (tmp_path / "._1-000").write_bytes(bytes(128) + b"DICM" + b"\xff" * 50)
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
    read = read_scan(tmp_path)
    same(read, volume)
    assert capfd.readouterr().err == ""
    damaged, left_out = read.warnings
    assert "1 file cannot be read: broken" in damaged and "scout" in left_out


def test_colour_reports_scouts_and_captures_are_never_offered(tmp_path):
    volume = stack()
    write_series(tmp_path, volume, 2)
    write_series(tmp_path, stack(3), 1, "scout", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    for number in range(20):
        write_picture(tmp_path / f"picture{number}", volume)
        dose = image(volume, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SeriesInstanceUID="1.2.10", SeriesNumber=11)
        dose.PixelData = bytes(60)
        dose.save_as(tmp_path / f"dose{number}", enforce_file_format=True)
    read = read_scan(tmp_path)
    same(read, volume)
    assert "Of 4 DICOM series, 2 'CBCT': 5 x 6, 24 slices, 0.3 x 0.4 x 0.5 mm was taken" in only(read.warnings)
    assert "is in colour" in refusal(tmp_path, "9")
    assert "does not say how large its pixels are" in refusal(tmp_path, "11")


def test_colour_in_the_scans_own_series(tmp_path):
    volume = stack()
    write_series(tmp_path, volume, SeriesInstanceUID="1.2.7")
    write_picture(tmp_path / "page", volume, SeriesInstanceUID="1.2.7", StudyInstanceUID="1.2.3")
    read = read_scan(tmp_path)
    same(read, volume)
    assert "is in colour: page" in only(read.warnings)


def test_only_what_is_no_scan(tmp_path):
    write_picture(tmp_path / "page", stack())
    text = refusal(tmp_path)
    assert "There is no DICOM scan" in text and "series 9 is in colour" in text


def test_nothing_there(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    assert "holds no scan (1 .txt): give a folder with DICOM files, or a file .nrrd" in refusal(tmp_path)
    (tmp_path / "empty").mkdir()
    assert "holds no scan (it is empty)" in refusal(tmp_path / "empty")


@pytest.mark.parametrize("modality", ["MR", "PT", "US"])
def test_what_is_no_x_ray_is_named(tmp_path, modality):
    """Its voxels look like any scan's, and teeth would be found in it without a word."""
    volume = scan()
    write_series(tmp_path / "a", volume, 1, "Dental volume", Modality=modality)
    assert f"({modality}), not CT or CBCT" in only(read_scan(tmp_path).warnings)
    write_series(tmp_path / "b", volume, 2, "Bone", Modality="OT")  # as some CBCT scanners write
    read = read_scan(tmp_path)
    assert only(read.warnings).startswith("Of 2 DICOM series, 2 'Bone'")


def test_only_a_segmentation(tmp_path):
    volume = stack()
    mask = image(volume, SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", Modality="SEG", PixelData=bytes(60))
    mask.save_as(tmp_path / "mask.dcm", enforce_file_format=True)
    for path in (tmp_path, tmp_path / "mask.dcm"):
        assert "a DICOM segmentation" in (text := refusal(path)) and "give the scan itself" in text


# --- files as they are ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", ["no preamble", "no preamble and no meta", "preamble and no meta", "implicit and no meta"]
)
def test_without_preamble_or_meta(tmp_path, how):
    volume = stack()
    for path in write_series(tmp_path, volume):
        if how.startswith("implicit"):
            dataset = pydicom.dcmread(path)
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
            dataset.save_as(path, implicit_vr=True, little_endian=True)
        content = path.read_bytes()
        meta = 132 + 12 + int.from_bytes(content[140:144], "little")
        start = content[:132] if how.startswith("preamble") else b""
        path.write_bytes(start + content[132 if how == "no preamble" else meta :])
    same(read_scan(tmp_path), volume)
    same(read_scan(next(tmp_path.iterdir())), volume)


def patched(path: Path, tag: bytes, value: str) -> None:
    """Replace the text of an element with one that pydicom would not write."""
    content = path.read_bytes()
    at = content.index(tag)
    length = int.from_bytes(content[at + 6 : at + 8], "little")
    written = value.encode().ljust(len(value) + len(value) % 2)
    path.write_bytes(content[: at + 6] + len(written).to_bytes(2, "little") + written + content[at + 8 + length :])


def test_decimal_commas(tmp_path):
    volume = stack(direction=np.eye(3))
    for k, path in enumerate(write_series(tmp_path, volume)):
        patched(path, b"\x28\x00\x30\x00DS", "0,4\\0,3 ")
        patched(path, b"\x20\x00\x32\x00DS", f"-31,5\\12,25\\{70.125 + 0.5 * k}".replace(".", ","))
        patched(path, b"\x20\x00\x37\x00DS", "1,0\\0\\0\\0\\1,0\\0")
    same(read_scan(tmp_path), volume)


def test_commas_between_values(tmp_path):
    volume = stack()
    for path in write_series(tmp_path, volume):
        patched(path, b"\x28\x00\x30\x00DS", "0.4,0.3")
    same(read_scan(tmp_path), volume)


@pytest.mark.parametrize("empty", ["BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "Modality"])
def test_missing_tags_that_can_be_inferred(tmp_path, empty):
    volume = stack().with_array(np.abs(stack().array))
    write_series(tmp_path, volume, without=[empty, "PhotometricInterpretation", "StudyInstanceUID"])
    same(read_scan(tmp_path), volume)


def test_one_slice_given_means_its_series(tmp_path):
    volume = stack()
    paths = write_series(tmp_path, volume, 2)
    write_series(tmp_path, stack(18), 3)
    read = read_scan(paths[7])
    same(read, volume)
    assert f"{paths[7].name} is one slice of a series: all its 24 slices were read." == only(read.warnings)


@pytest.mark.parametrize("folders", [3, 24])
def test_one_slice_given_means_its_series_in_all_folders(tmp_path, folders):
    volume = stack()
    paths = write_series(tmp_path / "scan", volume)
    for k, path in enumerate(paths):
        folder = tmp_path / "disc" / f"DIR{k % folders}"
        folder.mkdir(parents=True, exist_ok=True)
        paths[k] = path.rename(folder / f"IMG{k}")
    write_series(tmp_path / "disc" / "other", stack(18), 3)
    read = read_scan(paths[7])
    same(read, volume)
    assert only(read.warnings) == "IMG7 is one slice of a series: all its 24 slices were read."


def test_a_copy_in_the_folder_beside_adds_nothing(tmp_path):
    paths = write_series(tmp_path / "one", stack())
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert "all its 24 slices" in only(read_scan(paths[7]).warnings)


def test_another_scan_of_the_same_uid_in_the_folder_beside_is_not_joined(tmp_path):
    """Some anonymisers give all scans one UID and remove the patient ID."""
    volume = stack()
    paths = write_series(tmp_path / "one", volume, SeriesInstanceUID="1.5")
    write_series(tmp_path / "two", replace(volume, origin=tuple(position(volume, 24))), SeriesInstanceUID="1.5")
    read = read_scan(paths[7])
    same(read, volume)
    assert "all its 24 slices" in only(read.warnings)


def test_patients_under_one_uid_are_never_one_scan(tmp_path):
    """Some anonymisers give the scans of all patients the same UIDs; here their slices lie half a step apart."""
    volume = stack(direction=np.eye(3))
    other = replace(volume, array=volume.array + 500, origin=tuple(position(volume, 0.5)))
    above = replace(volume, array=volume.array + 900, origin=tuple(position(volume, 24)))
    for name, one in (("A", volume), ("B", other), ("C", above)):
        write_series(tmp_path / name, one, SeriesInstanceUID="1.5", PatientID=name)
    with pytest.raises(SeveralSeries) as caught:
        read_scan(tmp_path)
    same(read_scan(tmp_path, "1-1"), volume)
    same(read_scan(tmp_path, "1-2"), other)
    same(read_scan(tmp_path, "1-3"), above)
    assert all(f"patient {n} of 3" in str(caught.value.choices[f"1-{n}"]) for n in (1, 2, 3))


def test_patient_numbers_of_every_file_are_no_patients(tmp_path):
    volume = stack()
    write_series(tmp_path, volume, each={"PatientID": [f"anonymous {k}" for k in range(24)]})
    same(read_scan(tmp_path), volume)


def test_raw_projections_are_no_scan(tmp_path):
    """A picture for every angle, as some devices export beside the scan; there can be very many."""
    volume, angles = stack(130), np.radians(np.arange(130.0) * 2.5)
    each = {"ImageOrientationPatient": [[np.cos(a), np.sin(a), 0, 0, 0, -1] for a in angles]}
    write_series(tmp_path / "raw", volume, 7, each=each)
    assert "series 7 shows pictures of more than 100 directions or sizes" in refusal(tmp_path)
    write_series(tmp_path / "scan", stack(), 3)
    read = read_scan(tmp_path)
    same(read, stack())
    assert "the only one that is a volume" in only(read.warnings)


def test_pictures_of_a_palette_are_no_greys(tmp_path):
    write_series(tmp_path, stack(), PhotometricInterpretation="PALETTE COLOR")
    assert "is in colour" in refusal(tmp_path)


def test_one_slice_is_no_scan(tmp_path):
    paths = write_series(tmp_path, stack())
    for path in paths[1:]:
        path.unlink()
    assert "flat" in refusal(tmp_path)
    assert "flat" in refusal(paths[0])


def test_a_dicomdir(tmp_path):
    volume = stack()
    files = FileSet()
    for path in write_series(tmp_path / "source", volume, PatientName="A", PatientID="1", StudyDate="20240101"):
        dataset = pydicom.dcmread(path)
        dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber = "101010", "1", ""
        files.add(dataset)
    files.write(tmp_path / "disc")
    for path in (tmp_path / "disc", tmp_path / "disc" / "DICOMDIR"):
        same(read_scan(path), volume)


def test_each_slice_with_a_series_uid_of_its_own(tmp_path):
    volume = stack()
    write_series(tmp_path, volume, each={"SeriesInstanceUID": [generate_uid() for _ in range(24)]})
    write_picture(tmp_path / "page", volume)
    read = read_scan(tmp_path)
    same(read, volume)
    assert any("Each of 24 slices has a series UID of its own" in text for text in read.warnings)
    same(read_scan(sorted(tmp_path.glob("1-*"))[3]), volume)


@pytest.mark.parametrize("series_too", [False, True])
def test_each_slice_with_a_study_uid_of_its_own(tmp_path, series_too):
    """Some anonymisers do not preserve which files belong together."""
    volume = stack()
    each = {
        name: [generate_uid() for _ in range(24)] for name in ["StudyInstanceUID"] + ["SeriesInstanceUID"] * series_too
    }
    write_series(tmp_path, volume, each=each, PatientID="anonymous")
    read = read_scan(tmp_path)
    same(read, volume)
    assert len(read.warnings) == series_too


@pytest.mark.parametrize("name", ["SeriesDescription", "SeriesNumber"])
def test_what_is_different_in_each_slice_parts_nothing_but_what_many_share_does(tmp_path, name):
    volume = stack()
    other = volume.with_array(volume.array + 500)
    uids = [generate_uid() for _ in range(24)]
    values = range(1, 25) if name == "SeriesNumber" else [f"slice {k}" for k in range(24)]
    write_series(tmp_path / "each", volume, each={"SeriesInstanceUID": uids, name: list(values)})
    same(read_scan(tmp_path / "each"), volume)
    for n, one in enumerate((volume, other)):
        write_series(
            tmp_path / "two", one, n + 1, "AB"[n], each={"SeriesInstanceUID": [generate_uid() for _ in range(24)]}
        )
    with pytest.raises(SeveralSeries) as caught:
        read_scan(tmp_path / "two")
    assert len(caught.value.choices) == 2


def test_slices_of_two_studies_are_not_joined(tmp_path):
    for study in ("1.2.3", "1.2.4"):
        uids = [generate_uid() for _ in range(24)]
        write_series(tmp_path / study, stack(), each={"SeriesInstanceUID": uids}, StudyInstanceUID=study)
    with pytest.raises(SeveralSeries) as caught:
        read_scan(tmp_path)
    assert len(caught.value.choices) == 2


def test_pipes_links_and_folders_that_may_not_be_read(tmp_path):
    volume = stack()
    write_series(tmp_path, volume)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "up").symlink_to(tmp_path)
    same(read_scan(tmp_path), volume)


def test_deeply_nested_sequences(tmp_path, capfd):
    volume = stack()
    paths = write_series(tmp_path, volume)
    deep = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 20_000
    content = paths[0].read_bytes()
    at = content.index(b"\x18\x00") if b"\x18\x00" in content[:400] else content.index(b"\x20\x00\x0d\x00UI")
    (tmp_path / "deep").write_bytes(content[:at] + deep + content[at:])
    shallow = pydicom.dcmread(paths[1])
    shallow.ReferencedSeriesSequence = nested(40)
    shallow.save_as(paths[1])
    read = read_scan(tmp_path)
    same(read, volume)
    assert "1 file cannot be read: deep" in only(read.warnings)
    assert capfd.readouterr().err == ""


# --- choosing a series ----------------------------------------------------------------------------------------------


def test_several_volumes_are_a_question(tmp_path):
    first, second = stack(), stack(18)
    write_series(tmp_path, first, 2, "CBCT 0.3", SeriesDate="20240305", ConvolutionKernel="H60s")
    write_series(tmp_path, second, 10, "sharp")
    with pytest.raises(SeveralSeries) as caught:
        read_scan(tmp_path)
    assert caught.value.choices == {
        "2": "2 'CBCT 0.3': 5 x 6, 24 slices, 0.3 x 0.4 x 0.5 mm, 2024-03-05, kernel H60s",
        "10": "10 'sharp': 5 x 6, 18 slices, 0.3 x 0.4 x 0.5 mm",
    }
    assert "choose one by its number (series): 2; 10." in refusal(tmp_path)
    same(read_scan(tmp_path, "2"), first)
    same(read_scan(tmp_path, "10"), second)
    uid = str(pydicom.dcmread(next(tmp_path.glob("10-*"))).SeriesInstanceUID)
    same(read_scan(tmp_path, uid), second)
    assert "no series 3" in refusal(tmp_path, "3")


def test_series_of_one_number_have_keys_of_their_own(tmp_path):
    write_series(tmp_path / "a", stack(), 4, SeriesInstanceUID="1.2.1")
    write_series(tmp_path / "b", stack(20), 4, SeriesInstanceUID="1.2.2")
    assert "choose one of 4-1; 4-2" in refusal(tmp_path, "4")
    same(read_scan(tmp_path, "4-2"), stack(20))


def test_many_series_are_no_line_of_kilobytes(tmp_path):
    volume = stack(16)
    for number in range(1, 15):
        write_series(tmp_path / str(number), volume, number, "Bone 0.5 Hr60 " + "x" * 60)
    with pytest.raises(SeveralSeries) as caught:
        read_scan(tmp_path)
    assert len(str(caught.value)) < 300 and len(caught.value.choices) == 12
    assert all(len(text) < 200 for text in caught.value.choices.values())


def scan(size: int = 100, slices: int = 16, spacing: float = 0.4) -> Volume:
    return Volume(np.zeros((slices, size, size), np.int16), (spacing, spacing, 2.0))


@pytest.mark.parametrize(
    ("best", "other"),
    [
        ({}, {"description": "MIP thick", "ImageType": ["DERIVED", "SECONDARY", "MIP"]}),
        ({}, {"description": "topogram"}),
        ({"spacing": 1.0, "slices": 40}, {"spacing": 2.9}),
        ({"size": 90}, {"size": 20, "slices": 17}),
    ],
)
def test_one_clear_best_is_taken_and_named(tmp_path, best, other):
    def write(folder: str, number: int, **what) -> Volume:
        sizes = {name: what.pop(name) for name in ("size", "slices", "spacing") if name in what}
        volume = scan(**sizes)
        k, j, i = np.indices(volume.array.shape)
        volume = Volume((k + 2 * j + 3 * i + number).astype(np.int16), (*volume.spacing[:2], sizes.get("spacing", 2.0)))
        write_series(tmp_path / folder, volume, number, **what)
        return volume

    write("a", 1, **other)
    volume = write("b", 2, **best)
    read = read_scan(tmp_path)
    same(read, volume)
    assert only(read.warnings).startswith("Of 2 DICOM series, 2 '") and "by far the likeliest" in read.warnings[0]


def test_likely_series_come_first(tmp_path):
    volume = scan()
    write_series(tmp_path / "a", volume, 1, "MPR", ImageType=["DERIVED", "SECONDARY", "MPR"])
    write_series(tmp_path / "b", volume, 2, "Volume")
    write_series(tmp_path / "c", volume, 3, "Scout")
    found = find_series(files_in(tmp_path)).series
    assert max(found, key=scan_score).key == "2"


def test_sagittal_and_coronal_pictures_under_one_uid(tmp_path):
    volume = stack()
    write_series(tmp_path / "a", volume, SeriesInstanceUID="1.2.7")
    turned = Volume(stack(20).array, direction=rotation((80.0, 5.0, 3.0)))
    write_series(tmp_path / "b", turned, SeriesInstanceUID="1.2.7")
    with pytest.raises(SeveralSeries) as caught:
        read_scan(tmp_path)
    assert list(caught.value.choices) == ["1-1", "1-2"] and "another orientation" in caught.value.choices["1-2"]
    same(read_scan(tmp_path, "1-2"), turned)


def test_a_whole_scan_passes_the_checks(tmp_path):
    array = np.random.default_rng(1).integers(0, 3000, (20, 32, 40)).astype(np.int16)
    write_series(tmp_path, Volume(array, (0.5, 0.5, 0.5)))
    assert check_scan(read_scan(tmp_path)) == ()


def test_second_copies_of_files_do_not_matter(tmp_path):
    volume = stack()
    paths = write_series(tmp_path, volume)
    shutil.copytree(tmp_path, tmp_path / "copy", ignore=lambda *_: [path.name for path in paths[5:]])
    same(read_scan(tmp_path), volume)


def test_the_folder_is_left_as_it_was(tmp_path):
    paths = write_series(tmp_path, stack())
    change(paths[0], ImageOrientationPatient=orientation(stack()))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    read_scan(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
