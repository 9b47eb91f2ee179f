"""The structure of a segment, from names, codes, ids and values of TeethSeg and of other programs."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from teethseg.anatomy import DECIDUOUS, PERMANENT, TEETH, tooth
from teethseg.errors import InputError, UnclearNumberingError
from teethseg.io.files import read_labels, read_teeth, write_labels, write_scan
from teethseg.io.label_schemes import (
    LABEL_SCHEMES,
    SCHEME_VALUES,
    SegmentInfo,
    fitting_schemes,
    identify,
    telling_schemes,
)
from teethseg.io.seg_nrrd import segment_name
from teethseg.io.segment_names import fdi_of_name, structures_of_name
from teethseg.structures import STRUCTURES, Code, structure
from teethseg.volume import Volume

# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fdi", TEETH)
def test_every_spelling_tells_its_tooth(fdi):
    one = tooth(fdi)
    spellings = [segment_name(one, notation) for notation in ("fdi", "universal", "palmer")]
    spellings += [
        one.name,
        one.name.upper(),
        one.meaning,
        f"{one.name.replace(' ', '_')}_fdi{fdi}",
        f"#{one.universal}",
    ]
    quadrant = f"{one.jaw[0]}{one.side[0]}".upper()
    spellings += [
        f"{quadrant}{'ABCDE'[one.position - 1] if one.deciduous else one.position}",
        f"{fdi // 10}.{fdi % 10}",
    ]
    assert {spelling: fdi_of_name(spelling) for spelling in spellings} == dict.fromkeys(spellings, fdi)


@pytest.mark.parametrize(
    "name",
    [
        "Tooth 26", "tooth_26", "TOOTH-26", "Tooth26", "tooth no. 26", "T26", "26", "2.6", "FDI 26", "FDI-26", "Zahn 26",
        "dent 26", "Tooth #14", "#14", "Universal 14", "UL6", "upper left 6", "⎿6", "Upper-left first molar",
        "upper left 1st molar", "maxillary left first molar tooth", "first molar, upper left", "Tooth 26 copy",
        "26 - upper left first molar", "Permanent maxillary left first molar tooth", "molar 1 upper left",
        "Tooth 26 (#14)", "FDI 26 / Universal 14", "#14 (26)", "UpperLeftFirstMolar", "toothUL6", "UL first molar",
        "dent n°26", "Dent Nº 26", "tand_26", "ząb 26", "зуб 26", "Diş 26", "pieza 2.6", "牙26", "歯 26", "ZAHN26",
    ],
)  # fmt: skip
def test_names_of_tooth_26(name):
    assert fdi_of_name(name) == 26


@pytest.mark.parametrize(
    "name",
    ["Tooth 16 crown", "Crown 26", "Implant 26", "Bridge 24-26", "Pulp of tooth 26", "upper_left_first_molar_pulp_fdi126",
     "Tooth 26 lesion", "Bone around tooth 26", "no tooth 26", "Segment_26", "Label 26", "26 final", "126", "Tooth 126",
     "Tooth 9", "Upper left first molar (16)", "Upper lower left canine", "Canine tooth, left", "Upper Teeth", "Mandible",
     "Tooth 26 (#13)", "Tooth 14 (26)", "Tooth A", "T", "element 26", "root 26", "Tooth 26_1", "vertebrae_T12",
     "Maxillary left sinus", "Left", "Position 6", "Teeth", "Mandibular canal", ""],
)  # fmt: skip
def test_names_of_no_single_tooth(name):
    assert fdi_of_name(name) is None


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("Mandible", {"mandible"}),
        ("Lower Jawbone", {"mandible"}),
        ("lower_jawbone", {"mandible"}),
        ("Maxilla & Upper Skull", {"skull"}),
        ("Upper Teeth", {"upper_teeth"}),
        ("left_inferior_alveolar_canal", {"mandibular_canal_left"}),
        ("Right Mandibular Incisive Canal", {"incisive_canal_right"}),
        ("Mandibular canal", {"mandibular_canal", "mandibular_canal_left", "mandibular_canal_right"}),
        ("Left Maxillary Sinus", {"maxillary_sinus_left"}),
        ("Upper Left Third Molar (Wisdom Tooth) Pulp", {"pulp_28"}),
        ("Implant 26", {"implant"}),
        ("Canine tooth, left", {"tooth_23", "tooth_33"}),
        ("Bone screw", set()),
    ],
)
def test_names_of_other_structures(name, keys):
    assert {structure(value).key for value in structures_of_name(name)} == keys


# --- one structure for each segment --------------------------------------------------------------------------------


def found(*segments: SegmentInfo, scheme=None) -> list[str | None]:
    return [one and one.key for one in identify(segments, scheme).structures]


def code(value: str, meaning: str = "") -> Code:
    return Code("SCT", value, meaning)


# Running indices, names and codes as TotalSegmentator's extension of 3D Slicer gives them: in DICOM, the
# code that it uses for canines means tooth 54, and the standard names state no jaw.
def total_segmentator(*, standard_names: bool) -> list[tuple[SegmentInfo, int]]:
    names = ["central incisor", "lateral incisor", "canine", "first premolar", "second premolar", "first molar"]
    rows = []
    for index, fdi in enumerate(PERMANENT, start=11):
        one = tooth(fdi)
        key = f"{one.name.replace(' ', '_')}_fdi{fdi}"
        kind = names[min(one.position, 6) - 1].split()[-1]
        name = f"{kind.capitalize()} tooth, {one.side}" if standard_names else key
        its_code = code("17505006", "Canine tooth") if kind == "canine" else None
        rows.append((SegmentInfo(name, index, key, its_code), fdi))
    return rows


@pytest.mark.parametrize("standard_names", [False, True])
def test_total_segmentators_teeth_go_by_name_and_id_not_by_value_or_wrong_code(standard_names):
    rows = total_segmentator(standard_names=standard_names)
    told = identify([row for row, _ in rows])
    assert [one.value for one in told.structures] == [fdi for _, fdi in rows]
    (warning,) = told.warnings
    assert "tooth 54" in warning and "Their names count" in warning


def test_total_segmentators_other_structures_are_none_of_them_teeth():
    others = {"lower_jawbone": 1, "left_inferior_alveolar_canal": 3, "right_maxillary_sinus": 6, "implant": 10}
    others |= {"left_mandibular_incisive_canal_fdi103": 43, "upper_right_central_incisor_pulp_fdi111": 46}
    assert found(*(SegmentInfo(name, value, name) for name, value in others.items())) == [
        "mandible", "mandibular_canal_left", "maxillary_sinus_right", "implant", "incisive_canal_left", "pulp_11",
    ]  # fmt: skip


def test_batch_dental_segs_names():
    rows = {"Upper-right third molar": 18, "Lower-left canine": 33, "Lower-right second molar (baby)": 85}
    assert found(*(SegmentInfo(name, n) for n, name in enumerate(rows, 1))) == [f"tooth_{fdi}" for fdi in rows.values()]


def test_dental_segmentators_five_classes_are_no_single_teeth():
    names = ["Maxilla & Upper Skull", "Mandible", "Upper Teeth", "Lower Teeth", "Mandibular canal"]
    rows = [SegmentInfo(name, n, f"Segment_{n}") for n, name in enumerate(names, 1)]
    assert found(*rows) == ["skull", "mandible", "upper_teeth", "lower_teeth", "mandibular_canal"]
    assert not identify(rows).has_teeth
    assert found(*(SegmentInfo("", n) for n in range(1, 6)), scheme="dentalsegmentator") == found(*rows)


def test_codes_tell_where_names_do_not_and_sides_and_regions_count():
    left, right = Code("SCT", "7771000", "Left"), Code("SCT", "24028007", "Right")
    canal = structure(203).code
    assert found(
        SegmentInfo("a", 1, code=code("866006002")),
        SegmentInfo("b", 2, code=canal, modifier=left),
        SegmentInfo("c", 3, code=canal, modifier=right),
        SegmentInfo("d", 4, code=canal),
        SegmentInfo("e", 5, code=structure(136).code, region=structure(36).code),
        SegmentInfo("f", 6, code=code("38199008", "Tooth")),
    ) == ["tooth_36", "mandibular_canal_left", "mandibular_canal_right", "mandibular_canal", "pulp_36", None]


def test_a_renamed_segment_is_what_its_name_says():
    told = identify([SegmentInfo("Tooth 13", 12, "tooth_12", code(tooth(12).code))])
    assert [one.value for one in told.structures] == [13]
    assert "'Tooth 13' (of tooth 12)" in told.warnings[0]


def test_letters_are_universal_numbering_where_the_option_says_so():
    """Without the option they are ambiguous: 'Tooth A' can be the first of several unnumbered teeth."""
    letters = "ABCDEFGHIJKLMNOPQRST"
    segments = [SegmentInfo(f"Tooth {letter}", value) for value, letter in enumerate(letters, 1)]
    told = identify(segments, "universal")
    assert [one.universal for one in map(tooth, (one.value for one in told.structures))] == list(letters)
    assert not identify(segments).has_teeth and "universal" in telling_schemes(segments)


def test_two_segments_of_one_tooth_are_reported():
    assert (
        "Tooth 16 has 2 segments (16, Tooth 16)"
        in identify([SegmentInfo("16", 1), SegmentInfo("Tooth 16", 2)]).warnings[0]
    )


def test_numbers_in_names_are_universal_where_codes_say_so():
    coded = SegmentInfo("Tooth 14", 1, code=code(tooth(26).code))
    assert found(coded, SegmentInfo("Tooth 3", 2), SegmentInfo("Tooth 12", 3)) == ["tooth_26", "tooth_16", "tooth_24"]


def test_one_number_that_is_no_fdi_number_makes_the_others_doubtful():
    rows = [SegmentInfo("Tooth 14", 14), SegmentInfo("Tooth 30", 30)]  # Universal: 26 and 46; by FDI the first were 14
    told = identify(rows)
    assert told.structures == (None, None)
    assert told.doubt == "numbers in its names are no FDI numbers (30)"
    assert told.remedy.startswith("say how they are numbered: --labels-are universal")
    assert found(*rows, scheme="universal") == ["tooth_26", "tooth_46"]


def test_own_teeth_stay_what_they_are_beside_a_strange_number():
    own = [SegmentInfo(f"Tooth {fdi}", fdi, f"tooth_{fdi}", code(tooth(fdi).code)) for fdi in (14, 26)]
    assert found(*own, SegmentInfo("Tooth 9", 200, "Segment_1")) == ["tooth_14", "tooth_26", None]


def test_values_are_fdi_numbers_only_if_nothing_contradicts_it():
    assert found(SegmentInfo("jake", 13), SegmentInfo("elwood", 36)) == ["tooth_13", "tooth_36"]
    assert found(SegmentInfo("", 13), SegmentInfo("", 201)) == ["tooth_13", "mandible"]
    for rows in (
        [SegmentInfo("jake", 13), SegmentInfo("elwood", 19)],
        [SegmentInfo("jake", 13), SegmentInfo("elwood", 13)],
        [SegmentInfo("jake", 13), SegmentInfo("Canine tooth, left", 21)],
        [SegmentInfo("jake", 201)],
    ):
        told = identify(rows)
        assert told.structures == (None,) * len(rows) and told.doubt


@pytest.mark.parametrize("scheme", LABEL_SCHEMES)
def test_schemes_know_their_values(scheme):
    known = SCHEME_VALUES[scheme]
    assert set(known.values()) <= STRUCTURES.keys() and len(set(known.values())) == len(known)


@pytest.mark.parametrize(
    ("scheme", "value", "key"),
    [
        ("universal", 1, "tooth_18"), ("universal", 14, "tooth_26"), ("universal", 30, "tooth_46"),
        ("totalsegmentator", 23, "tooth_25"), ("totalsegmentator", 42, "tooth_48"), ("totalsegmentator", 1, "mandible"),
        ("totalsegmentator", 77, "pulp_48"), ("totalsegmentator", 44, "incisive_canal_right"),
        ("toothfairy", 23, "tooth_23"), ("toothfairy", 3, "mandibular_canal_left"), ("toothfairy", 10, "implant"),
        ("toothfairy", 105, "lingual_canal"), ("toothfairy", 148, "pulp_48"),
        ("batchdentalseg", 14, "tooth_26"), ("batchdentalseg", 33, "tooth_55"), ("batchdentalseg", 52, "tooth_85"),
        ("batchdentalseg", 53, "mandible"), ("fdi", 85, "tooth_85"), ("fdi", 255, "unknown"),
    ],
)  # fmt: skip
def test_values_of_other_programs(scheme, value, key):
    assert found(SegmentInfo("", value), scheme=scheme) == [key]


def test_the_schemes_that_fit_are_named():
    assert fitting_schemes([1, 14, 30]) == ("universal", "totalsegmentator", "batchdentalseg")
    assert fitting_schemes([1, 11, 46]) == ("toothfairy", "totalsegmentator", "batchdentalseg")
    assert fitting_schemes([1, 2, 3, 4, 5]) == ("universal", "batchdentalseg", "dentalsegmentator")
    assert fitting_schemes([11, 111, 148]) == ("fdi", "toothfairy")
    assert fitting_schemes([300]) == ()


# --- files ---------------------------------------------------------------------------------------------------------


def label_map(values: dict[int, tuple[slice, ...]], dtype=np.uint8) -> Volume:
    array = np.zeros((12, 15, 18), dtype)
    for value, box in values.items():
        array[box] = value
    return Volume(array, (0.3, 0.4, 0.5), (-20, 31, 7.5))


FRONT, BACK, JAW = np.s_[2:6, 3:5, 4:7], np.s_[7:10, 8:13, 10:16], np.s_[:2]


def test_a_plain_map_of_fdi_numbers_is_taken_as_it_is_and_jaws_are_kept_apart(tmp_path):
    write_labels(tmp_path / "t.nii.gz", label_map({13: FRONT, 36: BACK, 201: JAW}))
    read = read_teeth(tmp_path / "t.nii.gz")
    assert np.array_equal(read.array, label_map({13: FRONT, 36: BACK}).array) and read.array.dtype == np.uint8
    assert read.warnings == ("Left out of t.nii.gz, as these are no teeth: mandible.",)


def test_a_plain_map_of_other_numbers_is_refused_until_its_scheme_is_named(tmp_path):
    path = tmp_path / "t.nrrd"
    write_labels(path, label_map({1: JAW, 13: FRONT, 29: BACK}))
    with pytest.raises(UnclearNumberingError) as refusal:
        read_teeth(path)
    assert refusal.value.schemes == ("universal", "totalsegmentator") and refusal.value.exit_code == 3
    assert "t.nrrd" in str(refusal.value) and "values are no FDI numbers (1, 29)" in str(refusal.value)
    assert "--labels-are universal or totalsegmentator or batchdentalseg" in str(refusal.value)
    read = read_teeth(path, "totalsegmentator")
    assert np.array_equal(read.array, label_map({13: FRONT, 33: BACK}).array)
    assert read.warnings == ("Left out of t.nrrd, as these are no teeth: mandible.",)
    assert np.array_equal(read_teeth(path, "universal").array, label_map({18: JAW, 25: FRONT, 45: BACK}).array)
    assert np.array_equal(read_labels(path).array, label_map({1: JAW, 13: FRONT, 29: BACK}).array)  # for viewing


def test_a_value_that_the_scheme_does_not_know_is_reported(tmp_path):
    write_labels(tmp_path / "t.nrrd", label_map({3: FRONT, 40: BACK}))
    read = read_teeth(tmp_path / "t.nrrd", "universal")
    assert np.array_equal(read.array, label_map({16: FRONT}).array)
    assert read.warnings == ("Left out of t.nrrd, as nothing tells which teeth these are: value 40.",)


def test_all_teeth_of_a_jaw_in_one_are_refused_by_name(tmp_path):
    write_labels(tmp_path / "t.nrrd", label_map({3: FRONT, 4: BACK, 2: JAW}))
    with pytest.raises(InputError, match=r"t\.nrrd holds no single teeth, only mandible, upper teeth, lower teeth"):
        read_teeth(tmp_path / "t.nrrd", "dentalsegmentator")


@pytest.mark.parametrize("suffix", ["nrrd", "nii.gz", "mha"])
def test_negative_values_are_refused_by_the_name_of_the_file(tmp_path, suffix):
    """-1 may be background or unknown: a guess would be learned, or judged."""
    labels = label_map({13: FRONT, 36: BACK})
    values = labels.array.astype(np.int16)
    values[values == 0] = -1
    write_scan(tmp_path / f"t.{suffix}", labels.with_array(values))
    with pytest.raises(InputError, match=rf"t\.{suffix}: .*lowest value is -1.*0 for the background"):
        read_teeth(tmp_path / f"t.{suffix}")
    with pytest.raises(InputError, match="lowest value is -1"):
        read_labels(tmp_path / f"t.{suffix}")


def test_a_pulp_belongs_to_its_tooth(tmp_path):
    inside = np.s_[8:9, 9:11, 11:13]
    write_labels(tmp_path / "t.nrrd", label_map({36: BACK, 136: inside, 111: FRONT, 7: JAW}))
    read = read_teeth(tmp_path / "t.nrrd", "toothfairy")
    assert np.array_equal(read.array, label_map({36: BACK}).array)  # without a hole
    assert any("1 pulps" in warning for warning in read.warnings)
    assert any("pulp of upper right central incisor" in warning and "pharynx" in warning for warning in read.warnings)


def test_no_labels_at_all_is_no_teeth(tmp_path):
    write_labels(tmp_path / "t.nrrd", label_map({}))
    assert not read_teeth(tmp_path / "t.nrrd").array.any()


def write_named_nifti(path, volume: Volume, names: dict[int, str]) -> None:
    """A NIfTI file with the label table that TotalSegmentator (--ml) keeps in its extended header."""
    import gzip
    import struct

    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing)
    plain = path.with_name("plain.nii")
    sitk.WriteImage(image, str(plain))
    raw = plain.read_bytes()
    labels = "\n".join(
        f'<Label Key="{v}" Red="1" Green="0" Blue="0" Alpha="1"><![CDATA[{n}]]></Label>' for v, n in names.items()
    )
    table = f'<?xml version="1.0"?><CaretExtension><VolumeInformation><LabelTable>{labels}</LabelTable>'.encode()
    table += b" " * (-(len(table) + 8) % 16)
    header = bytearray(raw[:352])
    header[108:112] = struct.pack("<f", 352 + 8 + len(table))
    header[348:352] = b"\1\0\0\0"
    content = bytes(header) + struct.pack("<ii", 8 + len(table), 0) + table + raw[352:]
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_names_in_the_extended_header_of_a_nifti_file_count(tmp_path, suffix):
    path = tmp_path / f"teeth{suffix}"
    names = {1: "lower_jawbone", 21: "upper_left_canine_fdi23", 32: "lower_left_first_molar_fdi36", 40: "not_there"}
    write_named_nifti(path, label_map({21: FRONT, 32: BACK, 1: JAW}), names)
    read = read_teeth(path)
    assert np.array_equal(read.array, label_map({23: FRONT, 36: BACK}).array)
    assert read.warnings[-1] == f"Left out of teeth{suffix}, as these are no teeth: lower_jawbone."


def test_deciduous_teeth_have_their_own_place_in_every_scheme_that_has_them():
    known = SCHEME_VALUES["batchdentalseg"]
    assert [known[33 + n] for n in range(20)] == sorted(DECIDUOUS, key=lambda fdi: tooth(fdi).universal)


def test_a_folder_of_masks_that_are_named_by_their_structures(tmp_path):
    """TotalSegmentator writes them by default."""
    folder = tmp_path / "segmentations"
    folder.mkdir()
    inside = np.s_[8:9, 9:11, 11:13]
    masks = {"upper_left_canine_fdi23": FRONT, "lower_left_first_molar_fdi36": BACK, "lower_jawbone": JAW}
    hollow = label_map({1: BACK}).array
    hollow[inside] = 0
    for name, box in masks.items():
        write_labels(folder / f"{name}.nii.gz", label_map({1: box}))
    write_labels(folder / "lower_left_first_molar_fdi36.nii.gz", label_map({}).with_array(hollow))
    write_labels(folder / "lower_left_first_molar_pulp_fdi136.nii.gz", label_map({1: inside}))
    (folder / "._lower_jawbone.nii.gz").write_bytes(b"clutter")
    read = read_teeth(folder)
    assert np.array_equal(read.array, label_map({23: FRONT, 36: BACK}).array)
    assert "Left out of segmentations, as these are no teeth: lower_jawbone." in read.warnings
    write_labels(folder / "upper_left_canine_fdi23.nii.gz", Volume(np.ones((3, 4, 5), np.uint8), (1, 1, 1)))
    with pytest.raises(InputError, match="lie on different grids"):
        read_teeth(folder)
    other = tmp_path / "other"
    other.mkdir()
    for name in ("before.nrrd", "after.nrrd"):
        write_labels(other / name, label_map({23: FRONT}))
    with pytest.raises(InputError, match="other is a folder, and no name in it tells a tooth"):
        read_teeth(other)


def test_masks_that_do_not_say_which_side_is_left_warn_as_one_file_does(tmp_path):
    """Values from NIfTI files without sform and qform: left and right may be swapped."""
    file = tmp_path / "upper_left_canine_fdi23.nii"
    write_labels(file, label_map({1: FRONT}))
    content = bytearray(file.read_bytes())
    content[252:256] = bytes(4)  # qform_code, sform_code
    for name in (file.name, "lower_left_first_molar_fdi36.nii"):
        (tmp_path / name).write_bytes(content)
    assert any("check that left and right are not swapped" in line for line in read_teeth(tmp_path).warnings)


def test_a_folder_with_one_file_of_labels(tmp_path):
    write_labels(tmp_path / "teeth.seg.nrrd", label_map({23: FRONT}))
    (tmp_path / "report.json").write_text("{}")
    assert np.array_equal(read_teeth(tmp_path).array, label_map({23: FRONT}).array)
