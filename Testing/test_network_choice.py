"""The networks for a scan are chosen by the user or by the patient's age, and the user sees the choice."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import teethseg
from dicom_series import write_series
from labelled_cases import labelled_scan
from teethseg.anatomy import tooth
from teethseg.cascade import model_card
from teethseg.cascade.arch_template import place_centres
from teethseg.cascade.dentition import GAP_BEFORE, UNCERTAIN_NUMBER, UNERUPTED, Dentition, FoundTooth
from teethseg.cascade.findings import LOOKS_MIXED, find
from teethseg.cascade.model_card import DEFAULT_NAME, shipped, weights_folder
from teethseg.cascade.network_choice import SECOND_RUN, NetworkChoice, choose_weights
from teethseg.cascade.pipeline import Segmentation, segment_chosen
from teethseg.cascade.weights import load_weights, write_card
from teethseg.cli.app import run
from teethseg.errors import OutOfMemoryError, WeightsError
from teethseg.io.dicom.patient_age import patient_age
from teethseg.io.files import read_scan, write_scan
from teethseg.volume import Volume
from teethseg.worker.client import Job, Run, _write_job
from teethseg.worker.job import MessageWriter, _segment

NO_PICTURE = Volume(np.zeros((2, 2, 2), np.int16))


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A folder of weights with those for permanent teeth; gives a function that installs others beside them."""
    folder = tmp_path / "Weights"
    folder.mkdir()
    for ending in (".safetensors", ".json"):
        shutil.copy(weights_folder() / f"{DEFAULT_NAME}{ending}", folder)
    monkeypatch.setattr(model_card, "weights_folder", lambda: folder)

    def install(name: str, **card):
        file = folder / f"{name}.safetensors"
        shutil.copy(folder / f"{DEFAULT_NAME}.safetensors", file)
        about = json.loads((folder / f"{DEFAULT_NAME}.json").read_text(encoding="utf-8"))
        write_card(file.with_suffix(".json"), about | {"name": name} | card)
        return file

    return install


@pytest.mark.parametrize(
    ("age", "born", "scanned", "years"),
    [
        ("008Y", "", "", 8),
        ("8y ", "", "", 8),
        ("090M", "", "", 7.5),
        ("", "20100301", "20180901", 8.5),
        ("", "2010.03.01", "20180901", 8.5),
        ("008Y", "20100301", "20180901", 8),
        ("008Y", "19500101", "20180901", None),  # one of them was made up
        ("000Y", "", "", None),  # as in anonymised files
        ("", "20180901", "20180901", None),
        ("", "20180901", "20100301", None),
        ("", "18500101", "20180901", None),
        ("Y", "2018", "20181301", None),
        ("8", "", "20180901", None),
        ("", "", "", None),
    ],
)
def test_age_from_what_dicom_says(age, born, scanned, years):
    found = patient_age(age, born, scanned)
    assert found is None if years is None else found == pytest.approx(years, abs=0.01)


def test_a_scan_knows_the_age_that_its_files_tell(tmp_path):
    scan, _ = labelled_scan(0)
    write_series(tmp_path / "child", scan, PatientAge="009Y")
    write_series(tmp_path / "adult", scan, PatientBirthDate="19800101", StudyDate="20200101")
    write_series(tmp_path / "nobody", scan)
    ages = [read_scan(tmp_path / name).patient_age for name in ("child", "adult", "nobody")]
    assert ages == [9, pytest.approx(40, abs=0.01), None]


def test_what_ships_for_permanent_teeth_stays_the_default(installed):
    assert shipped("mixed") is None
    installed("teethseg-9-mixed", dentition="mixed")
    installed("teethseg-10")
    newest = installed("teethseg-10-mixed", dentition="mixed")
    assert shipped("permanent").stem == DEFAULT_NAME and load_weights().name == DEFAULT_NAME
    assert shipped("mixed") == newest
    newest.with_suffix(".json").write_text("{", encoding="utf-8")
    assert shipped("mixed").stem == "teethseg-9-mixed"


@pytest.mark.parametrize(
    ("dentition", "age", "mixed", "told"),
    [
        ("auto", None, False, ""),
        ("auto", 14.0, False, ""),
        ("auto", 13.9, True, "networks for mixed dentitions were used"),
        ("permanent", 8.0, False, ""),
        ("mixed", None, True, ""),
        ("mixed", 40.0, True, ""),
    ],
)
def test_choice_of_weights(installed, dentition, age, mixed, told):
    file = installed("teethseg-9-mixed", dentition="mixed")
    scan = replace(NO_PICTURE, patient_age=age, warnings=("It was odd.",))
    chosen = choose_weights(scan, dentition)
    same = chosen.scan
    assert chosen.file == (file if mixed else None)
    assert chosen.if_mixed == (file if dentition == "auto" and not mixed else None)
    assert same.warnings[0] == "It was odd." and same.array is scan.array
    assert len(same.warnings) == 1 + bool(told) and told in same.warnings[-1] and "8" not in same.warnings[-1]
    own = file.with_name("own.safetensors")
    assert choose_weights(scan, dentition, own) == NetworkChoice(scan, own)


def test_without_networks_for_mixed_dentitions_one_sentence_says_so(installed):
    chosen = choose_weights(replace(NO_PICTURE, patient_age=8.0))
    assert chosen.file is None and choose_weights(NO_PICTURE).if_mixed is None
    (warning,) = chosen.scan.warnings
    assert "no networks for that are installed" in warning
    with pytest.raises(WeightsError, match=r"^No networks for mixed dentitions are installed: .*\.$"):
        choose_weights(NO_PICTURE, "mixed")


@pytest.fixture
def runs(monkeypatch):
    """Names of the weights of every run, and the teeth that weights find: none, unless a test gives some."""
    names = []

    def segment(scan, weights, *_, **__):
        names.append(weights.name)
        empty = scan.with_array(np.zeros(scan.array.shape, np.uint8))
        return Segmentation(Dentition(empty, teeth.get(weights.name, ()), scan.warnings), {"find arches": 2.0}, "cpu")

    teeth: dict[str, tuple[FoundTooth, ...]] = {}
    monkeypatch.setattr("teethseg.cascade.pipeline.segment", segment)
    return SimpleNamespace(names=names, teeth=teeth)


def test_command_and_function_take_the_networks_that_are_asked_for(installed, runs, tmp_path, capsys):
    scan, _ = labelled_scan(0)
    write_series(tmp_path / "child", scan, PatientAge="009Y")
    out = tmp_path / "o.nrrd"
    assert run(["segment", str(tmp_path / "child"), "--output", str(out), "--dentition", "mixed"]) == 5
    refused = capsys.readouterr().err.strip().splitlines()[-1]
    assert "No networks for mixed dentitions" in refused and not out.exists()

    installed("teethseg-9-mixed", dentition="mixed")
    assert run(["segment", str(tmp_path / "child"), "--output", str(out)]) == 0
    assert "networks for mixed dentitions were used" in capsys.readouterr().err.replace("\n", " ")
    assert run(["segment", str(tmp_path / "child"), "--output", str(out), "--dentition", "permanent"]) == 0
    assert "mixed" not in capsys.readouterr().err
    warned = teethseg.segment(tmp_path / "child").warnings
    assert any("networks for mixed dentitions were used" in warning for warning in warned)
    teethseg.segment(scan, dentition="mixed")
    assert runs.names == ["teethseg-9-mixed", DEFAULT_NAME, "teethseg-9-mixed", "teethseg-9-mixed"]


def stacked_teeth(germs: bool) -> tuple[FoundTooth, ...]:
    """Whole arches of second premolars' germs beyond first premolars, seen by networks with or without germs."""
    found = []
    for fdi in (11, 12, 13, 14, 16, 21, 22, 23, 24, 26, 31, 32, 33, 34, 36, 41, 42, 43, 44, 46, 15, 25, 35, 45):
        one, germ = tooth(fdi), fdi % 10 == 5
        lateral, posterior = place_centres(one.jaw)[7 + (4 if germ else one.position)]
        height = (1 if one.jaw == "upper" else -1) * (18.0 if germ else 9.0)
        centre = (lateral if one.side == "left" else -lateral, posterior, height)
        found.append(FoundTooth(fdi, 1.0, 400.0, centre, flags=(UNERUPTED,) * (germs and germ)))
    return tuple(found)


@pytest.mark.parametrize(
    ("dentition", "germs", "used"),
    [("auto", True, "teethseg-10-mixed"), ("auto", False, DEFAULT_NAME), ("permanent", True, DEFAULT_NAME)],
)
def test_where_no_age_is_known_the_result_decides(installed, runs, dentition, germs, used):
    """A scan that looks like a mixed dentition is segmented again by the networks for those, and a warning says so."""
    file = installed("teethseg-10-mixed", dentition="mixed")
    runs.teeth[DEFAULT_NAME], runs.teeth[file.stem] = stacked_teeth(False), stacked_teeth(germs)
    choice = choose_weights(NO_PICTURE, dentition)
    steps: list[str] = []
    found, weights = segment_chosen(choice, load_weights(choice.file), progress=lambda step, *_: steps.append(step))
    assert weights.name == used and steps == [SECOND_RUN] * (dentition == "auto")
    told = [warning for warning in found.dentition.warnings if "networks for mixed dentitions were used" in warning]
    assert len(told) == (used != DEFAULT_NAME)
    assert found.seconds["find arches"] == 2.0 * len(runs.names), "what the user waited for"
    # Where neither kind of networks sees germs or deciduous teeth, the user is asked.
    asked = LOOKS_MIXED in [finding.kind for finding in find(found.dentition.teeth)]
    assert asked == (used == DEFAULT_NAME)
    assert len(runs.names) == (2 if dentition == "auto" else 1)


@pytest.mark.parametrize(("deciduous", "used"), [(0, DEFAULT_NAME), (1, DEFAULT_NAME), (2, "teethseg-10-mixed")])
def test_two_teeth_above_others_are_a_child_s_if_two_deciduous_teeth_explain_them(installed, runs, deciduous, used):
    """An adult may have two impacted teeth; an older child two deciduous ones left. The user is not asked."""
    file = installed("teethseg-10-mixed", dentition="mixed")
    few = tuple(one for one in stacked_teeth(False) if one.fdi not in (35, 45))
    first_ones = {14: 54, 24: 64}
    seen = list(first_ones)[:deciduous]
    runs.teeth[DEFAULT_NAME] = few
    runs.teeth[file.stem] = tuple(replace(one, fdi=first_ones[one.fdi]) if one.fdi in seen else one for one in few)
    choice = choose_weights(NO_PICTURE, "auto")
    found, weights = segment_chosen(choice, load_weights(choice.file))
    assert weights.name == used and len(runs.names) == 2
    assert LOOKS_MIXED not in [finding.kind for finding in find(found.dentition.teeth)]


@pytest.mark.parametrize(
    ("germ", "age", "used"),
    [(15, None, "teethseg-10-mixed"), (15, 40.0, DEFAULT_NAME), (18, None, DEFAULT_NAME), (18, 40.0, DEFAULT_NAME)],
)
def test_a_germ_replaces_no_adult_s_result(installed, runs, germ, age, used):
    """Adults may have several impacted teeth, and the germs of third molars."""
    file = installed("teethseg-10-mixed", dentition="mixed")
    runs.teeth[DEFAULT_NAME] = stacked_teeth(False)
    runs.teeth[file.stem] = (
        *stacked_teeth(False)[:8],
        FoundTooth(germ, 1.0, 400.0, (20.0, 20.0, 9.0), flags=(UNERUPTED,)),
    )
    choice = choose_weights(replace(NO_PICTURE, patient_age=age))
    _, weights = segment_chosen(choice, load_weights(choice.file))
    assert weights.name == used and len(runs.names) == 2


@pytest.mark.parametrize(("age", "used"), [(None, "teethseg-10-mixed"), (40.0, DEFAULT_NAME)])
def test_the_worker_knows_an_adult_too(installed, runs, tmp_path, monkeypatch, age, used):
    """3D Slicer and the page give the result that the command line gives."""
    for of_a_process in ("watch_caller", "_forward_notices"):
        monkeypatch.setattr(f"teethseg.worker.job.{of_a_process}", lambda *_: None)
    file = installed("teethseg-10-mixed", dentition="mixed")
    runs.teeth[DEFAULT_NAME] = stacked_teeth(False)
    runs.teeth[file.stem] = (FoundTooth(15, 1.0, 400.0, (20.0, 20.0, 9.0), flags=(UNERUPTED,)),)
    scan = replace(labelled_scan(0)[0], patient_age=age)
    assert list(_write_job(Job(scan, "cpu"), tmp_path)) == []
    _segment(tmp_path, MessageWriter(io.BytesIO()))
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["weights"] == used


def test_networks_that_see_nothing_replace_no_result(installed, runs):
    file = installed("teethseg-10-mixed", dentition="mixed")
    runs.teeth[DEFAULT_NAME], runs.teeth[file.stem] = stacked_teeth(False), ()
    choice = choose_weights(NO_PICTURE, "auto")
    found, weights = segment_chosen(choice, load_weights(choice.file))
    assert weights.name == DEFAULT_NAME and len(found.dentition.teeth) == len(stacked_teeth(False))


@pytest.mark.parametrize("error", [WeightsError("The file is damaged."), OutOfMemoryError("Memory ran out.")])
def test_the_first_result_is_not_lost_if_the_second_run_fails(installed, runs, error):
    installed("teethseg-10-mixed", dentition="mixed")
    runs.teeth[DEFAULT_NAME] = stacked_teeth(False)
    choice = choose_weights(NO_PICTURE, "auto")

    def load(file):
        raise error

    found, weights = segment_chosen(choice, load_weights(choice.file), load=load)
    assert weights.name == DEFAULT_NAME and len(found.dentition.teeth) == len(stacked_teeth(False))
    assert "could not look" in found.dentition.warnings[-1] and str(error) in found.dentition.warnings[-1]


def test_one_tooth_above_another_is_an_adult_s(installed, runs):
    installed("teethseg-10-mixed", dentition="mixed")
    runs.teeth[DEFAULT_NAME] = tuple(one for one in stacked_teeth(False) if one.fdi not in (25, 35, 45))
    choice = choose_weights(NO_PICTURE, "auto")
    _, weights = segment_chosen(choice, load_weights(choice.file))
    assert weights.name == DEFAULT_NAME and len(runs.names) == 1


@pytest.mark.parametrize(
    ("seen", "second", "used", "sure"),
    [
        (75, None, "teethseg-10-mixed", False),
        (35, 75, DEFAULT_NAME, False),
        (35, 36, DEFAULT_NAME, True),
        (35, None, DEFAULT_NAME, True),
        (65, None, DEFAULT_NAME, True),  # elsewhere: a false tooth
    ],
)
@pytest.mark.parametrize("age", [None, 30.0])
def test_an_adult_s_short_tooth_is_looked_at_by_networks_that_know_deciduous_ones(
    installed, runs, monkeypatch, seen, second, used, sure, age
):
    """A retained tooth was called a premolar, and sure. Their result counts if they see one there, else their doubt."""
    file = installed("teethseg-10-mixed", dentition="mixed")
    monkeypatch.setattr("teethseg.cascade.pipeline.short_teeth", lambda dentition: [35])
    some = tuple(one for one in stacked_teeth(False) if one.fdi % 10 != 5)
    runs.teeth[DEFAULT_NAME] = (*some, FoundTooth(35, 1.0, 400.0, (20.0, 20.0, -9.0), flags=(GAP_BEFORE,)))
    runs.teeth[file.stem] = (*some, FoundTooth(seen, 0.9, 400.0, (20.0, 20.0, -9.0), second))
    choice = choose_weights(replace(NO_PICTURE, patient_age=age))
    found, weights = segment_chosen(choice, load_weights(choice.file))
    assert weights.name == used and len(runs.names) == 2
    assert any("seem to be deciduous teeth" in text for text in found.dentition.warnings) == (used != DEFAULT_NAME)
    *_, one = found.dentition.teeth
    if used == DEFAULT_NAME:
        assert (one.fdi, one.confidence == 1.0, UNCERTAIN_NUMBER not in one.flags) == (35, sure, sure)
        assert one.second_fdi == (None if sure else 75) and GAP_BEFORE in one.flags


def test_a_batch_chooses_scan_by_scan_and_notes_what_it_took(installed, runs, tmp_path):
    from teethseg.batch import work

    scan, _ = labelled_scan(0)
    write_series(tmp_path / "in" / "child", scan, PatientAge="009Y", StudyInstanceUID="1.2.1")
    write_scan(tmp_path / "in" / "adult.nrrd", scan)
    installed("teethseg-9-mixed", dentition="mixed")
    command = ["batch", str(tmp_path / "in"), str(tmp_path / "out"), "--jobs", "1"]

    def segment_all(tasks, jobs):  # in this process
        return map(work.segment_one, tasks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("teethseg.batch.pool.pool_outcomes", segment_all)
        assert run(command) == 0
        assert sorted(runs.names) == [DEFAULT_NAME, "teethseg-9-mixed"]
        reports = [json.loads(file.read_text(encoding="utf-8")) for file in (tmp_path / "out").glob("*/report.json")]
        assert sorted(report["weights"]["name"] for report in reports) == [DEFAULT_NAME, "teethseg-9-mixed"]
        assert run(command) == 0 and len(runs.names) == 2  # both scans were done before
        assert run([*command, "--dentition", "permanent"]) == 0
        assert runs.names[2:] == [DEFAULT_NAME] * 2


def test_the_worker_is_given_the_file_and_the_warning(installed):
    file = installed("teethseg-9-mixed", dentition="mixed")
    scan, _ = labelled_scan(0)
    with Run(Job(replace(scan, patient_age=8.0), "cpu")) as one:
        order = json.loads((one.folder / "job.json").read_text(encoding="utf-8"))
    assert order["weights"] == str(file)
    assert "networks for mixed dentitions" in order["warnings"][-1] and order["mixed_weights"] is None
    with Run(Job(scan, "cpu")) as one:
        order = json.loads((one.folder / "job.json").read_text(encoding="utf-8"))
    assert order["weights"] is None and order["mixed_weights"] == str(file)
