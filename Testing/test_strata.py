"""Scores of many scans, by properties that make a tooth easy or hard."""

from __future__ import annotations

import json

import numpy as np

from teethseg.cli.app import run
from teethseg.evaluation.metrics import evaluate
from teethseg.evaluation.strata import add_case
from teethseg.io.case_folder import write_case_folder
from teethseg.io.files import write_segmentation
from teethseg.simulation.tissues import Tissue
from teethseg.volume import Volume

SPACING = (1.0, 1.0, 1.0)


def case() -> tuple[Volume, np.ndarray]:
    """11, 13, 16 and 18 as cubes of 4 mm; 18 reaches the border, metal sits 2 mm beside 16."""
    array = np.zeros((20, 30, 70), np.uint8)
    for number, x in ((11, 5), (13, 20), (16, 40), (18, 66)):
        array[8:12, 10:14, x : x + 4] = number
    metal = np.zeros_like(array, bool)
    metal[9, 12, 46] = True
    return Volume(array, SPACING), metal


def judged(change) -> dict:
    reference, metal = case()
    found = reference.array.copy()
    change(found)
    report = {"teeth": [{"fdi": n, "flags": ["uncertain-number"] if n == 17 else []} for n in np.unique(found)[1:]]}
    strata = {}
    add_case(strata, evaluate(reference.with_array(found), reference), reference, metal, report)
    return strata


def test_deciduous_and_unerupted_teeth_have_rows_of_their_own_and_extra_teeth_are_not_judged():
    array = np.zeros((20, 20, 40), np.uint8)
    for number, x in ((54, 4), (14, 14), (91, 24)):
        array[8:12, 8:12, x : x + 4] = number
    reference, found = Volume(array, SPACING), array.copy()
    found[found == 91] = 12  # an object in the extra tooth is no mistake
    scores, strata = evaluate(reference.with_array(found), reference), {}
    add_case(strata, scores, reference, unerupted=[14, 91])
    assert {name: strata[name].teeth for name in ("all", "deciduous", "premolars", "not erupted")} == {
        "all": 2, "deciduous": 1, "premolars": 1, "not erupted": 1
    }  # fmt: skip
    assert scores.numbering.fdi_f1 == 1.0


def test_a_tooth_is_counted_by_its_type_the_metal_near_it_the_border_and_the_doubt_stated():
    def change(found):
        found[found == 13] = 0  # missed
        found[found == 16] = 17  # and reported as doubtful

    strata = judged(change)
    assert {name: (s.teeth, s.found, s.right) for name, s in strata.items()} == {
        "all": (4, 3, 2),
        "incisors": (1, 1, 1),
        "canines": (1, 0, 0),
        "molars": (1, 1, 0),
        "third molars": (1, 1, 1),
        "metal within 5 mm": (1, 1, 0),
        "no metal near": (3, 2, 2),
        "cut by the border": (1, 1, 1),
        "whole": (3, 2, 1),
        "small field of view": (4, 3, 2),
        "number called sure": (2, 2, 2),
        "number called unsure": (1, 1, 0),
    }
    assert strata["all"].dice == [1.0, 1.0, 1.0]


def test_without_tissues_and_report_nothing_is_reported_about_metal_and_doubt():
    reference, _ = case()
    strata = {}
    add_case(strata, evaluate(reference, reference), reference)
    assert not [name for name in strata if "metal" in name or "called" in name]


def test_teeth_with_half_their_volume_inside_are_counted_apart_from_slivers_where_the_case_tells_shares():
    reference, _ = case()
    found = reference.array.copy()
    found[np.isin(found, (13, 18))] = 0
    strata = {}
    scores = evaluate(reference.with_array(found), reference)
    add_case(strata, scores, reference, share_inside={11: 1.0, 13: 0.5, 18: 0.49})  # nothing is known of 16
    rows = {name: (one.teeth, one.found, one.right) for name, one in strata.items() if "inside" in name}
    assert rows == {"half or more inside": (2, 1, 1), "less than half inside": (1, 0, 0)}


def test_shares_are_read_from_the_case_old_cases_have_none_and_wrong_ones_are_named(tmp_path, capsys):
    reference, _ = case()
    found, cases = tmp_path / "found", tmp_path / "cases"
    found.mkdir()
    write_segmentation(found / "a.seg.nrrd", reference)
    for about, status, shown, hidden in (
        ({"share_inside": {"11": 1.0, "18": 0.2}}, 0, "less than half inside │ 1", "not erupted"),
        ({}, 0, "third molars", "inside"),
        ({"share_inside": {"11": 20}}, 3, "share_inside", "Strata"),
        ({"share_inside": [11]}, 3, "share_inside", "Strata"),
    ):
        write_case_folder(cases / "a", reference, reference, "a", overwrite=True, **about)
        assert run(["evaluate", str(found), str(cases), "--strata"]) == status
        said = "".join(capsys.readouterr())
        assert shown in said and hidden not in said


def test_a_folder_of_cases_is_judged_by_strata(tmp_path, capsys):
    reference, metal = case()
    tissues = reference.with_array(np.where(metal, Tissue.METAL, Tissue.SOFT).astype(np.uint8))
    write_case_folder(tmp_path / "cases" / "a", reference, reference, "a", tissues)
    found = tmp_path / "found"
    found.mkdir()
    arguments = ["evaluate", str(found), str(tmp_path / "cases"), "--strata", "--json", str(tmp_path / "s.json")]
    assert run(arguments) != 0 and "a.seg.nrrd" in capsys.readouterr().err
    write_segmentation(found / "a.seg.nrrd", reference)
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    assert "third molars" in shown and "metal within 5 mm" in shown
    content = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert content["strata"]["all"]["right"] == 4 and content["cases"]["a"]["binary"]["dice"] == 1.0


def test_cropped_predictions_are_judged_as_without_strata(tmp_path, capsys):
    """11, 13 and 16 whole in the cropped file; 18 lies outside and is missed; the field of view stays the reference's."""
    reference, metal = case()
    tissues = reference.with_array(np.where(metal, Tissue.METAL, Tissue.SOFT).astype(np.uint8))
    write_case_folder(tmp_path / "cases" / "a", reference, reference, "a", tissues)
    found = tmp_path / "found"
    found.mkdir()
    write_segmentation(found / "a.seg.nrrd", Volume(reference.array[5:15, 5:20, 4:50], SPACING, (4.0, 5.0, 5.0)))
    assert run(["evaluate", str(found), str(tmp_path / "cases"), "--strata", "--json", str(tmp_path / "s.json")]) == 0
    assert "25 % of the teeth of a/labels.seg.nrrd lie outside the grid of a.seg.nrrd" in capsys.readouterr().err
    content = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    alone = ["evaluate", str(found / "a.seg.nrrd"), str(tmp_path / "cases" / "a" / "labels.seg.nrrd")]
    assert run([*alone, "--json", str(tmp_path / "one.json")]) == 0
    assert content["cases"]["a"] == json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))
    rows = content["strata"]
    assert rows["all"]["found"] == 3 and rows["third molars"]["found"] == 0 and rows["metal within 5 mm"]["found"] == 1


def test_two_cases_of_one_name_are_not_judged_by_one_result(tmp_path, capsys):
    reference, _ = case()
    (tmp_path / "found").mkdir()
    write_segmentation(tmp_path / "found" / "a.seg.nrrd", reference)
    for folder in ("b", "c"):
        (tmp_path / "cases" / folder).mkdir(parents=True)
        write_case_folder(tmp_path / "cases" / folder / "a", reference, reference, "a")
    assert run(["evaluate", str(tmp_path / "found"), str(tmp_path / "cases"), "--strata"]) == 3
    assert "several folders named a" in capsys.readouterr().err
