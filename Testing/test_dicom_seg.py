"""DICOM SEG written and read, by pydicom alone and by highdicom: the same voxels and codes, the right references."""

from __future__ import annotations

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicom_series import write_series
from grids import GRIDS, rotation
from teethseg.anatomy import TEETH, tooth
from teethseg.errors import InputError, UsageError
from teethseg.io.dicom_references import source_series
from teethseg.io.dicom_seg import is_dicom_seg, write_dicom_seg
from teethseg.io.files import read_labels, read_scan, read_teeth, write_labels, write_scan
from teethseg.resampling import labels_on_grid
from teethseg.structures import structure
from teethseg.volume import Volume

OBLIQUE = rotation() @ np.diag([1, -1, -1])
BOXES = {13: np.s_[2:6, 3:5, 4:7], 36: np.s_[7:10, 8:13, 10:16], 61: np.s_[5:7, 9:11, 2:4]}


def labels(direction: np.ndarray | None = None, boxes=BOXES) -> Volume:
    """Three unlike, asymmetric boxes; rows and columns do not fill whole bytes."""
    array = np.zeros((12, 15, 18), np.uint8)
    for value, box in boxes.items():
        array[box] = value
    return Volume(array, (0.3, 0.4, 0.5), (-20, 31, 7.5), direction)


def places_by_pydicom(dataset: Dataset) -> dict[int, set[tuple[float, ...]]]:
    """LPS positions of every segment's voxels by segment number, from the standard's attributes alone."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    rows, columns = (float(part) for part in shared.PixelMeasuresSequence[0].PixelSpacing)
    orientation = [float(part) for part in shared.PlaneOrientationSequence[0].ImageOrientationPatient]
    found: dict[int, set] = {}
    for frame, group in zip(dataset.pixel_array, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        position = np.array([float(part) for part in group.PlanePositionSequence[0].ImagePositionPatient])
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        assert frame.any()
        for row, column in np.argwhere(frame):
            point = position + np.array(orientation[:3]) * columns * column + np.array(orientation[3:]) * rows * row
            found.setdefault(number, set()).add(tuple(np.round(point, 3) + 0.0))
    return found


def places_of(volume: Volume, value: int) -> set[tuple[float, ...]]:
    return {tuple(point) for point in np.round(volume.to_lps(np.argwhere(volume.array == value)), 3) + 0.0}


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
def test_the_same_voxels_for_pydicom_and_for_us(tmp_path, direction):
    volume = labels(direction)
    write_labels(tmp_path / "t.dcm", volume)
    dataset = pydicom.dcmread(tmp_path / "t.dcm")
    found = places_by_pydicom(dataset)
    values = [13, 36, 61]
    assert {values[number - 1]: places for number, places in found.items()} == {
        value: places_of(volume, value) for value in values
    }
    read = read_teeth(tmp_path / "t.dcm")
    assert np.array_equal(labels_on_grid(read, volume).array, volume.array) and read.array.dtype == np.uint8
    assert {value: places_of(read, value) for value in values} == {value: places_of(volume, value) for value in values}


def test_codes_names_and_colours(tmp_path):
    write_labels(tmp_path / "t.dcm", labels(OBLIQUE), notation="palmer", edited=[36])
    dataset = pydicom.dcmread(tmp_path / "t.dcm")
    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4" and dataset.SegmentationType == "BINARY"
    for item, fdi in zip(dataset.SegmentSequence, (13, 36, 61), strict=True):
        kind = item.SegmentedPropertyTypeCodeSequence[0]
        assert (kind.CodingSchemeDesignator, kind.CodeValue, kind.CodeMeaning) == (
            "SCT",
            tooth(fdi).code,
            tooth(fdi).meaning,
        )
        assert item.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "123037004"
        assert item.SegmentLabel == f"Tooth {tooth(fdi).palmer}"
        assert item.SegmentAlgorithmType == ("SEMIAUTOMATIC" if fdi == 36 else "AUTOMATIC")
        shown = highdicom.color.CIELabColor.from_dicom_value(item.RecommendedDisplayCIELabValue).to_rgb()
        assert np.abs(np.array(shown) - 255 * np.array(tooth(fdi).colour)).max() < 4


def test_every_tooth_comes_back_by_its_code_alone(tmp_path):
    array = np.zeros((6, 10, 12), np.uint8)
    array.reshape(-1)[: 2 * len(TEETH) : 2] = sorted(TEETH)
    volume = Volume(array, (1, 1, 1))
    write_labels(tmp_path / "t.dcm", volume)
    dataset = pydicom.dcmread(tmp_path / "t.dcm")
    for number, item in enumerate(dataset.SegmentSequence):
        item.SegmentLabel, item.TrackingID = f"Segment_{number}", f"s{number}"
    dataset.save_as(tmp_path / "t.dcm")
    assert np.array_equal(labels_on_grid(read_teeth(tmp_path / "t.dcm"), volume).array, array)


def test_other_structures_keep_side_and_region_and_are_kept_apart(tmp_path):
    boxes = {36: BOXES[36], 136: np.s_[8:9, 9:11, 11:13], 203: np.s_[:1, :3, :4], 210: np.s_[11:, :3, :4]}
    write_labels(tmp_path / "t.dcm", labels(boxes=boxes))
    dataset = pydicom.dcmread(tmp_path / "t.dcm")
    pulp, canal, implant = dataset.SegmentSequence[1:]
    assert pulp.AnatomicRegionSequence[0].CodeValue == tooth(36).code
    modifier = canal.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert (modifier.CodeValue, modifier.CodeMeaning) == ("7771000", "Left")
    assert implant.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning == "Physical object"
    read = read_teeth(tmp_path / "t.dcm")
    assert np.array_equal(labels_on_grid(read, labels()).array, labels(boxes={36: BOXES[36]}).array)
    assert any("Left mandibular canal, Implant" in warning for warning in read.warnings)


def test_empty_planes_of_a_segment_are_left_out(tmp_path):
    write_labels(tmp_path / "t.dcm", labels())
    dataset = pydicom.dcmread(tmp_path / "t.dcm")
    assert dataset.NumberOfFrames == 4 + 3 + 2


def test_no_teeth_are_a_file_too(tmp_path):
    write_labels(tmp_path / "t.dcm", labels(boxes={}))
    read = read_teeth(tmp_path / "t.dcm")
    assert read.array.shape[1:] == (15, 18) and not read.array.any()


def test_a_scan_that_is_no_dicom_gets_a_study_that_says_so(tmp_path):
    write_labels(tmp_path / "t.dcm", labels(), scan="somewhere/cbct.nii.gz")
    dataset = pydicom.dcmread(tmp_path / "t.dcm")
    assert dataset.StudyDescription == "Made by TeethSeg of cbct.nii.gz, which is no DICOM"
    assert dataset.SeriesDescription == "TeethSeg teeth of cbct.nii.gz"
    assert dataset.PatientName == "" and dataset.PatientID == ""
    assert "ReferencedSeriesSequence" not in dataset and "SourceImageSequence" not in dataset
    assert not any("DerivationImageSequence" in group for group in dataset.PerFrameFunctionalGroupsSequence)
    write_labels(tmp_path / "u.dcm", labels(), scan="somewhere/cbct.nii.gz")
    other = pydicom.dcmread(tmp_path / "u.dcm")
    assert dataset.StudyInstanceUID != other.StudyInstanceUID and dataset.SOPInstanceUID != other.SOPInstanceUID


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE], ids=["straight", "oblique"])
def test_the_images_of_a_dicom_scan_are_referred_to(tmp_path, direction):
    scan = labels(direction).with_array(np.random.default_rng(0).integers(0, 900, (12, 15, 18)).astype(np.int16))
    patient = {
        "PatientName": "Bärli^Ann",
        "PatientID": "7",
        "SpecificCharacterSet": "ISO_IR 192",
        "StudyDate": "20260102",
    }
    frame = generate_uid()
    files = write_series(tmp_path / "disc", scan, FrameOfReferenceUID=frame, **patient)
    write_series(tmp_path / "disc", Volume(scan.array[:4], (1, 1, 1), (200, 0, 0)), number=2, FrameOfReferenceUID=frame)
    read = read_scan(tmp_path / "disc", "1")
    truth = labels_on_grid(labels(direction), read)
    write_labels(tmp_path / "t.dcm", truth, scan=tmp_path / "disc", series="1")
    dataset = pydicom.dcmread(tmp_path / "t.dcm")
    sources = [pydicom.dcmread(path) for path in files]
    assert dataset.StudyInstanceUID == sources[0].StudyInstanceUID and dataset.FrameOfReferenceUID == frame
    assert dataset.SeriesInstanceUID != sources[0].SeriesInstanceUID
    assert (str(dataset.PatientName), dataset.PatientID, dataset.StudyDate) == ("Bärli^Ann", "7", "20260102")
    (series,) = dataset.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == sources[0].SeriesInstanceUID
    assert {one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence} == {
        one.SOPInstanceUID for one in sources
    }
    # Every frame refers to the image of its own plane.
    positions = {one.SOPInstanceUID: np.array(one.ImagePositionPatient, float) for one in sources}
    for group in dataset.PerFrameFunctionalGroupsSequence:
        (image,) = group.DerivationImageSequence[0].SourceImageSequence
        position = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        assert np.abs(positions[image.ReferencedSOPInstanceUID] - position).max() < 1e-3
    assert np.array_equal(labels_on_grid(read_teeth(tmp_path / "t.dcm"), truth).array, truth.array)


def test_teeth_never_come_into_the_study_of_another_patient(tmp_path):
    """An anonymiser gave the scans of two patients, which lie at the same place, the same UIDs."""
    scan = Volume(np.random.default_rng(0).integers(0, 900, (18, 15, 18)).astype(np.int16), (0.4, 0.4, 0.4))
    for patient in "AB":
        write_series(tmp_path / "disc" / patient, scan, SeriesInstanceUID="1.5", PatientID=patient)
    read = read_scan(tmp_path / "disc", "1-2")
    assert source_series(tmp_path / "disc", read, "1-2") is None
    assert source_series(tmp_path / "disc" / "B", read).about["PatientID"] == "B"


@pytest.mark.parametrize("derived", [False, True])
def test_patients_whose_scans_lie_at_one_place_are_told_apart(tmp_path, derived):
    """One device gives all scans the same grid and number: teeth must never enter the study of another patient."""
    for seed, patient in enumerate("AB"):
        grey = np.random.default_rng(seed).integers(0, 900, (18, 15, 18)).astype(np.int16)
        (tmp_path / "disc").mkdir(exist_ok=True)
        ids = {"PatientID": patient, "StudyInstanceUID": f"1.2.{seed}"}
        if derived and patient == "A":
            ids["ImageType"] = ["DERIVED", "SECONDARY", "AXIAL"]
        for k, file in enumerate(write_series(tmp_path / patient, Volume(grey, (0.4, 0.4, 0.4)), **ids)):
            file.rename(tmp_path / "disc" / f"{patient}{k}.dcm")
    for patient in "AB":
        first = pydicom.dcmread(tmp_path / "disc" / f"{patient}0.dcm")
        (of_key,) = (key for key in ("1-1", "1-2") if _first_plane(tmp_path / "disc", key, first))
        ways = [(tmp_path / "disc", of_key), (tmp_path / "disc" / f"{patient}3.dcm", None)]
        if derived and patient == "B":  # by far the likeliest, so that nobody is asked
            ways.append((tmp_path / "disc", None))
        for path, series in ways:
            teeth = read_scan(path, series)
            teeth = teeth.with_array(np.where(teeth.array > 800, 26, 0).astype(np.uint8))
            write_labels(tmp_path / "t.dcm", teeth, scan=path, series=series)
            written = pydicom.dcmread(tmp_path / "t.dcm")
            assert (written.PatientID, written.StudyInstanceUID) == (patient, first.StudyInstanceUID)


def test_a_file_beside_several_series_refers_to_the_one_at_its_place_and_to_none_if_two_patients_are_there(tmp_path):
    """A conversion of either series, also of one that would not be taken for the scan."""
    scans = {"A": (0.0, ["DERIVED", "SECONDARY", "AXIAL"]), "B": (100.0, ["ORIGINAL", "PRIMARY", "AXIAL"])}
    (tmp_path / "disc").mkdir()
    for seed, (patient, (left, kind)) in enumerate(scans.items()):
        grey = np.random.default_rng(seed).integers(0, 900, (18, 15, 18)).astype(np.int16)
        volume = Volume(grey, (0.4, 0.4, 0.4), (left, 0, 0))
        ids = {"PatientID": patient, "StudyInstanceUID": f"1.2.{seed}", "ImageType": kind}
        for k, file in enumerate(write_series(tmp_path / patient, volume, **ids)):
            file.rename(tmp_path / "disc" / f"{patient}{k}.dcm")
        write_scan(tmp_path / "disc" / f"{patient}.nrrd", volume)
    for patient in "AB":
        file = tmp_path / "disc" / f"{patient}.nrrd"
        assert source_series(file, read_scan(file)).about["PatientID"] == patient
    for file in (tmp_path / "disc").glob("B*.dcm"):
        image = pydicom.dcmread(file)
        image.ImagePositionPatient[0] -= 100
        image.save_as(file)
    file = tmp_path / "disc" / "A.nrrd"
    assert source_series(file, read_scan(file)) is None


def _first_plane(folder, key: str, first: Dataset) -> bool:
    """Whether a series begins with the pixels of an image."""
    return np.array_equal(read_scan(folder, key).array[0], first.pixel_array)


def test_a_scan_with_planes_of_its_own_still_refers_to_its_series(tmp_path):
    scan = labels().with_array(np.random.default_rng(0).integers(0, 900, (12, 15, 18)).astype(np.int16))
    files = write_series(tmp_path / "disc", scan)
    resampled = Volume(np.zeros((9, 14, 17), np.uint8), (0.35, 0.4, 0.6), (-19.9, 31.1, 7.7), rotation((3, 0, 0)))
    source = source_series(tmp_path / "disc", resampled)
    assert len(source.images) > 6 and all(image.plane is None for image in source.images)
    resampled.array[2:5, 3:8, 4:9] = 26
    write_dicom_seg(tmp_path / "t.dcm", resampled, source=source)
    dataset = pydicom.dcmread(tmp_path / "t.dcm")
    assert dataset.ReferencedSeriesSequence[0].SeriesInstanceUID == pydicom.dcmread(files[0]).SeriesInstanceUID
    assert not any("DerivationImageSequence" in group for group in dataset.PerFrameFunctionalGroupsSequence)
    assert dataset.FrameOfReferenceUID  # the files had none
    assert np.array_equal(labels_on_grid(read_teeth(tmp_path / "t.dcm"), resampled).array, resampled.array)


def foreign(tmp_path, array: np.ndarray, names: list[str], kind: str = "BINARY"):
    """A segmentation as another program may write it; the last axis of `array` is the segment."""
    source = Dataset()
    for name in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"):
        setattr(source, name, "")
    source.AccessionNumber, source.Modality, source.Rows, source.Columns = "", "CT", *array.shape[1:3]
    source.StudyInstanceUID, source.SeriesInstanceUID, source.SOPInstanceUID = (generate_uid() for _ in range(3))
    source.SOPClassUID, source.FrameOfReferenceUID = "1.2.840.10008.5.1.4.1.1.2", generate_uid()
    source.PixelSpacing, source.SliceThickness = [1, 1], 1
    source.ImagePositionPatient, source.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    code = highdicom.sr.CodedConcept("38199008", "SCT", "Tooth")
    category = highdicom.sr.CodedConcept("123037004", "SCT", "Anatomical Structure")
    rows = [highdicom.seg.SegmentDescription(n, name, category, code, "MANUAL") for n, name in enumerate(names, 1)]
    affine = np.eye(4)[[2, 1, 0, 3]]
    planes = highdicom.Volume(
        array.copy(), affine, "PATIENT", source.FrameOfReferenceUID, {"SegmentNumber": [*range(1, len(names) + 1)]}
    )
    dataset = highdicom.seg.Segmentation(
        [source],
        planes,
        kind,
        rows,
        generate_uid(),
        1,
        generate_uid(),
        1,
        "M",
        "M",
        "1",
        "1",
        fractional_type="OCCUPANCY",
    )
    dataset.save_as(tmp_path / "theirs.dcm")
    return tmp_path / "theirs.dcm"


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
def test_overlapping_segments_of_another_program(tmp_path, kind):
    array = np.zeros((5, 8, 8, 3), np.uint8)
    array[1:4, 1:5, 1:5, 0], array[:, 2:7, 2:7, 1], array[2, 5:7, 1:3, 2] = 1, 1, 1
    path = foreign(tmp_path, array, ["upper_left_first_molar_fdi26", "Mandible", "Tooth #30"], kind)
    read = read_teeth(path)
    expected = np.select([array[..., 2] == 1, array[..., 0] == 1], [46, 26]).astype(np.uint8)
    grid = Volume(expected, (1, 1, 1))
    assert np.array_equal(labels_on_grid(read, grid).array, expected)
    assert "Left out of theirs.dcm, as these are no teeth: Mandible." in read.warnings


def test_numbers_without_a_mark_need_the_option(tmp_path):
    array = np.zeros((5, 8, 8, 2), np.uint8)
    array[1:4, 1:4, 1:4, 0], array[1:4, 5:7, 5:7, 1] = 1, 1
    path = foreign(tmp_path, array, ["Tooth 3", "Tooth 14"])
    with pytest.raises(InputError, match=r"theirs\.dcm does not tell its teeth, .*--labels-are universal"):
        read_teeth(path)
    assert set(np.unique(read_teeth(path, "universal").array)) == {0, 16, 26}


def test_a_file_that_is_no_dicom_seg_is_refused_with_its_reason(tmp_path):
    scan = labels().with_array(np.random.default_rng(0).integers(0, 900, (12, 15, 18)).astype(np.int16))
    (first, *_) = write_series(tmp_path / "disc", scan)
    with pytest.raises(InputError, match=r"is DICOM, but no segmentation"):
        read_labels(first)
    write_labels(tmp_path / "t.dcm", labels())
    assert is_dicom_seg(tmp_path / "t.dcm") and not is_dicom_seg(first)
    whole = (tmp_path / "t.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[: len(whole) - 60])
    with pytest.raises(InputError) as refusal:
        read_labels(tmp_path / "cut.dcm")
    assert "cut.dcm" in str(refusal.value) and "\n" not in str(refusal.value)
    with pytest.raises(UsageError, match="leave out --labels position"):
        write_labels(tmp_path / "p.dcm", labels(), labelling="position")
    assert not (tmp_path / "p.dcm").exists()


def test_the_codes_of_sides_are_those_of_the_table():
    assert structure(203).modifier.value == "7771000" and structure(204).modifier.value == "24028007"
