"""`.seg.nrrd`: files written for 3D Slicer, and files read from it and from other programs."""

from __future__ import annotations

import nrrd
import numpy as np
import pytest

from grids import GRIDS, rotation
from teethseg.anatomy import TEETH, tooth
from teethseg.errors import InputError
from teethseg.io.files import read_labels, write_labels
from teethseg.io.seg_nrrd import relabel, segment_name, segment_table, write_segmentation
from teethseg.io.segment_names import fdi_of_name
from teethseg.resampling import labels_on_grid
from teethseg.volume import Volume

OBLIQUE = rotation() @ np.diag([1, -1, -1])


def dentition(direction: np.ndarray | None = None) -> Volume:
    """Three unlike boxes: upper right canine, lower left first molar, deciduous upper left central incisor."""
    array = np.zeros((12, 15, 18), np.uint8)
    array[2:6, 3:5, 4:7] = 13
    array[7:10, 8:13, 10:16] = 36
    array[5:7, 9:11, 2:4] = 61
    return Volume(array, (0.3, 0.4, 0.5), (-20, 31, 7.5), direction)


def rows(path) -> dict[str, dict[str, str]]:
    """The segments of a file by id, as pynrrd reads its header."""
    header = nrrd.read_header(str(path))
    count = sum(key.endswith("_ID") for key in header)
    fields = [
        {key.removeprefix(f"Segment{n}_"): header[key] for key in header if key.startswith(f"Segment{n}_")}
        for n in range(count)
    ]
    return {row["ID"]: row for row in fields}


def test_pynrrd_reads_one_shared_layer_with_names_colours_and_codes(tmp_path):
    labels = dentition(OBLIQUE)
    write_segmentation(tmp_path / "teeth.seg.nrrd", labels)
    array, header = nrrd.read(str(tmp_path / "teeth.seg.nrrd"), index_order="C")
    assert np.array_equal(array, labels.array) and array.dtype == np.uint8
    assert header["space"] == "left-posterior-superior"
    np.testing.assert_allclose(header["space directions"], labels.affine[:3, :3].T)
    np.testing.assert_allclose(header["space origin"], labels.origin)
    assert header["Segmentation_ReferenceImageExtentOffset"] == "0 0 0"
    found = rows(tmp_path / "teeth.seg.nrrd")
    assert set(found) == {"tooth_13", "tooth_36", "tooth_61"}
    canine = found["tooth_13"]
    assert (canine["LabelValue"], canine["Layer"], canine["Name"]) == ("13", "0", "Tooth 13")
    assert canine["Extent"] == "0 17 0 14 0 11"
    np.testing.assert_allclose([float(part) for part in canine["Color"].split()], tooth(13).colour, atol=1e-5)
    assert canine["Tags"] == (
        "Segmentation.Status:inprogress|TerminologyEntry:TeethSeg~SCT^123037004^Anatomical Structure"
        "~SCT^860767006^Permanent maxillary right canine tooth~^^~Anatomic codes - DICOM master list~^^~^^|"
    )


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("notation", ["fdi", "universal", "palmer"])
def test_round_trip(tmp_path, direction, notation):
    labels = dentition(direction)
    write_segmentation(tmp_path / "teeth.seg.nrrd", labels, notation=notation)
    read = read_labels(tmp_path / "teeth.seg.nrrd")
    assert np.array_equal(read.array, labels.array) and read.warnings == ()
    np.testing.assert_allclose(read.affine, labels.affine, atol=1e-9)


def test_an_empty_result_is_a_result(tmp_path):
    labels = dentition()
    write_segmentation(tmp_path / "teeth.seg.nrrd", labels.with_array(np.zeros_like(labels.array)))
    assert rows(tmp_path / "teeth.seg.nrrd") == {}
    read = read_labels(tmp_path / "teeth.seg.nrrd")
    assert read.array.shape == labels.array.shape and not read.array.any()


@pytest.mark.parametrize(
    ("labelling", "values", "names"),
    [
        ("position", {13: 3, 36: 6, 61: 1}, {"Position 1", "Position 3", "Position 6"}),
        ("binary", {13: 1, 36: 1, 61: 1}, {"Teeth"}),
    ],
)
def test_other_labellings(tmp_path, labelling, values, names):
    labels = dentition()
    write_labels(tmp_path / "teeth.seg.nrrd", labels, labelling=labelling)
    assert {row["Name"] for row in rows(tmp_path / "teeth.seg.nrrd").values()} == names
    read = read_labels(tmp_path / "teeth.seg.nrrd").array
    assert all((read[labels.array == fdi] == value).all() for fdi, value in values.items())
    assert np.array_equal(read > 0, labels.array > 0)
    assert np.array_equal(relabel(labels, labelling).array, read)


@pytest.mark.parametrize("fdi", TEETH)
@pytest.mark.parametrize("notation", ["fdi", "universal", "palmer"])
def test_every_name_tells_its_tooth(fdi, notation):
    assert fdi_of_name(segment_name(tooth(fdi), notation)) == fdi


@pytest.mark.parametrize(
    ("name", "fdi"),
    [
        ("tooth_16", 16),
        ("16", 16),
        ("FDI 16", 16),
        ("1.6", 16),
        ("tooth #e", 51),
        ("Tooth 3", None),
        ("Tooth 19", None),
        ("Tooth 116", None),
        ("Segment_11", None),
        ("Implant 11", None),
        ("Mandible", None),
        ("", None),
    ],
)
def test_names_people_give(name, fdi):
    assert fdi_of_name(name) == fdi


def test_ids_are_lasting_and_unique():
    table = segment_table(TEETH)
    assert [row.value for row in table] == sorted(TEETH) and len({row.id for row in table}) == 52
    assert segment_table([16], notation="universal")[0].name == "Tooth #3"
    assert segment_table([16], notation="palmer")[0].name == "Tooth 6⏌"


def write_foreign(path, layers: np.ndarray, *segments: dict[str, str]) -> None:
    """A file as another program may write it; the first axis of `layers` is the layer."""
    header = {"space": "left-posterior-superior", "space origin": np.zeros(3), "encoding": "gzip"}
    header["kinds"] = ["list", "domain", "domain", "domain"] if len(layers) > 1 else ["domain"] * 3
    none = [np.full(3, np.nan)] if len(layers) > 1 else []
    header["space directions"] = np.vstack([*none, np.diag([0.3, 0.4, 0.5])])
    for index, segment in enumerate(segments):
        header |= {f"Segment{index}_{key}": value for key, value in segment.items()}
    array = np.moveaxis(layers, 0, -1) if len(layers) > 1 else layers[0]
    nrrd.write(str(path), np.ascontiguousarray(array), header, index_order="C")


def test_overlapping_layers_with_any_label_values(tmp_path):
    layers = np.zeros((2, 4, 5, 6), np.uint8)
    layers[0, :2, :2] = 1
    layers[0, 3, 3:] = 2
    layers[1, 2, 2:4, 1:3] = 1
    write_foreign(
        tmp_path / "s.seg.nrrd",
        layers,
        {"ID": "a", "Name": "Tooth 47", "LabelValue": "1", "Layer": "0"},
        {"ID": "b", "Name": "Mandible", "LabelValue": "2", "Layer": "0"},
        {"ID": "tooth_11", "Name": "Segment_3", "LabelValue": "1", "Layer": "1"},
    )
    read = read_labels(tmp_path / "s.seg.nrrd")
    assert np.array_equal(read.array == 47, layers[0] == 1)
    assert np.array_equal(read.array == 11, layers[1] == 1)
    assert set(np.unique(read.array)) == {0, 11, 47}
    assert read.spacing == (0.3, 0.4, 0.5)
    assert read.warnings == ("Left out of s.seg.nrrd, as these are no teeth: Mandible.",)


def test_slicer_4_10_gave_each_segment_a_layer_and_did_not_say_so(tmp_path):
    layers = np.zeros((3, 4, 5, 6), np.uint8)
    layers[0, 0], layers[1, 1], layers[2, 2] = 1, 1, 1
    rows = [{"ID": f"Segment_{n}", "Name": f"Tooth {n}", "Extent": "0 5 0 4 0 3"} for n in (47, 11, 36)]
    write_foreign(tmp_path / "s.seg.nrrd", layers, *rows)
    read = read_labels(tmp_path / "s.seg.nrrd")
    assert [set(np.unique(plane)) for plane in read.array] == [{47}, {11}, {36}, {0}]
    assert read.warnings == ()


def test_voxels_of_no_segment_and_overlaps_are_counted(tmp_path):
    layers = np.zeros((2, 4, 5, 6), np.uint8)
    layers[0, 0], layers[0, 3, 0, :2] = 1, 9
    layers[1, 0, 0] = 1
    write_foreign(
        tmp_path / "s.seg.nrrd",
        layers,
        {"ID": "a", "Name": "Tooth 47", "LabelValue": "1", "Layer": "0"},
        {"ID": "b", "Name": "Tooth 46", "LabelValue": "1", "Layer": "1"},
    )
    read = read_labels(tmp_path / "s.seg.nrrd")
    assert np.bincount(read.array.ravel())[[46, 47]].tolist() == [6, 24]
    assert read.warnings == (
        "Left out of s.seg.nrrd, as no segment has their value (9): 2 voxels.",
        "Teeth of s.seg.nrrd overlap: 6 voxels went to the later one.",
    )


@pytest.mark.parametrize(
    ("one", "other", "cause"),
    [
        (("1", "0"), ("1", "0"), "'Tooth 47' and 'Tooth 46' share a label value"),
        (("1", "0"), ("2", "7"), "'Tooth 46' has the value 2 in layer 7 of 2"),
        (("-1", "0"), ("2", "0"), "'Tooth 47' has the value -1"),
        (("0", "0"), ("2", "0"), "'Tooth 47' has the value 0"),
    ],
)
def test_segments_whose_voxels_cannot_be_distinguished_are_refused(tmp_path, one, other, cause):
    layers = np.zeros((2, 4, 5, 6), np.uint8)
    layers[0, 0], layers[0, 1] = 1, 2
    rows = [
        {"ID": name, "Name": name, "LabelValue": value, "Layer": layer}
        for name, (value, layer) in (("Tooth 47", one), ("Tooth 46", other))
    ]
    write_foreign(tmp_path / "s.seg.nrrd", layers, *rows)
    with pytest.raises(InputError, match=cause):
        read_labels(tmp_path / "s.seg.nrrd")


def test_the_code_tells_where_the_name_does_not(tmp_path):
    layers = np.zeros((1, 4, 5, 6), np.uint8)
    layers[0, 1] = 1
    tag = "TerminologyEntry:Some list~SCT^123037004^Anatomical Structure~SCT^866006002^a molar~^^~other~^^~^^|"
    write_foreign(tmp_path / "s.seg.nrrd", layers, {"ID": "x", "Name": "molar", "LabelValue": "1", "Tags": tag})
    assert set(np.unique(read_labels(tmp_path / "s.seg.nrrd").array)) == {0, 36}


def test_a_segment_renamed_in_slicer_is_another_tooth(tmp_path):
    layers = np.zeros((1, 4, 5, 6), np.uint8)
    layers[0, 1] = 12
    write_foreign(tmp_path / "s.seg.nrrd", layers, {"ID": "tooth_12", "Name": "Tooth 13", "LabelValue": "12"})
    read = read_labels(tmp_path / "s.seg.nrrd")
    assert set(np.unique(read.array)) == {0, 13}
    assert "Tooth 13" in read.warnings[0] and "tooth 12" in read.warnings[0]


def test_segments_that_tell_nothing_keep_their_values_or_are_refused(tmp_path):
    layers = np.zeros((2, 4, 5, 6), np.uint8)
    layers[0, 1], layers[1, 2] = 4, 7
    a = {"ID": "a", "Name": "one", "LabelValue": "4", "Layer": "0"}
    write_foreign(tmp_path / "s.seg.nrrd", layers, a, {"ID": "b", "Name": "two", "LabelValue": "7", "Layer": "1"})
    assert set(np.unique(read_labels(tmp_path / "s.seg.nrrd").array)) == {0, 4, 7}
    write_foreign(tmp_path / "s.seg.nrrd", layers, a, {"ID": "b", "Name": "two", "LabelValue": "4", "Layer": "1"})
    with pytest.raises(InputError, match="name them by FDI number"):
        read_labels(tmp_path / "s.seg.nrrd")


# --- with 3D Slicer's own core -------------------------------------------------------------------------------------


@pytest.fixture
def scene():
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    return slicer.vtkMRMLScene()


def load_in_slicer(scene, path):
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    assert storage.ReadData(node) == 1
    return node, storage


def voxels_in_slicer(segment) -> set[tuple[float, float, float]]:
    """Places of a segment's voxels in the patient, as LPS, to a tenth of a micrometre."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    image = segment.GetRepresentation("Binary labelmap")
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    affine = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
    k, j, i = np.nonzero(array == segment.GetLabelValue())
    ras = affine @ np.array([i + i0, j + j0, k + k0, np.ones_like(i)])
    return rounded(ras[:3].T * [-1, -1, 1])


def voxels_of(labels: Volume, fdi: int) -> set[tuple[float, float, float]]:
    k, j, i = np.nonzero(labels.array == fdi)
    return rounded((labels.affine @ np.array([i, j, k, np.ones_like(i)]))[:3].T)


def rounded(points: np.ndarray) -> set[tuple[float, float, float]]:
    return {tuple(point) for point in np.round(points, 4) + 0.0}


@pytest.mark.slow
@pytest.mark.parametrize("notation", ["fdi", "universal", "palmer"])
def test_slicer_shows_the_same_teeth(tmp_path, scene, notation):
    import slicer

    labels = dentition(OBLIQUE)
    write_segmentation(tmp_path / "teeth.seg.nrrd", labels, notation=notation)
    node, _ = load_in_slicer(scene, tmp_path / "teeth.seg.nrrd")
    segmentation = node.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 3
    assert segmentation.GetNumberOfLayers() == 1
    for fdi in (13, 36, 61):
        segment, one = segmentation.GetSegment(f"tooth_{fdi}"), tooth(fdi)
        assert segment.GetName() == segment_name(one, notation)
        assert segment.GetLabelValue() == fdi
        np.testing.assert_allclose(segment.GetColor(), one.colour, atol=1e-5)
        assert voxels_in_slicer(segment) == voxels_of(labels, fdi)
        entry = slicer.vtkSlicerTerminologyEntry()
        logic = slicer.vtkSlicerTerminologiesModuleLogic()
        assert logic.DeserializeTerminologyEntry(segment.GetTerminology(), entry)
        assert entry.GetTypeObject().GetCodeValue() == one.code
        assert entry.GetTypeObject().GetCodeMeaning() == one.meaning
        assert entry.GetCategoryObject().GetCodeValue() == "123037004"


@pytest.mark.slow
def test_slicer_saves_it_cropped_and_we_put_it_back(tmp_path, scene):
    labels = dentition(OBLIQUE)
    write_segmentation(tmp_path / "teeth.seg.nrrd", labels, notation="palmer")
    node, storage = load_in_slicer(scene, tmp_path / "teeth.seg.nrrd")
    storage.SetCropToMinimumExtent(True)
    node.GetSegmentation().GetSegment("tooth_36").SetName("Tooth 37")
    storage.SetFileName(str(tmp_path / "saved.seg.nrrd"))
    assert storage.WriteData(node) == 1
    read = read_labels(tmp_path / "saved.seg.nrrd")
    assert read.array.size < labels.array.size
    back = labels_on_grid(read, labels)
    assert np.array_equal(back.array, np.where(labels.array == 36, 37, labels.array))
