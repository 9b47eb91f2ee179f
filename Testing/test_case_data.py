"""Labelled cases from folders, DICOM and scenes; checks that list every problem at once; prepared cases on disk."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicom_series import write_series
from labelled_cases import labelled_scan, prepare
from slicer_scene import SlicerScene
from teethseg.annotation.cases import save_case
from teethseg.annotation.worklist import Worklist
from teethseg.cascade.dentition import Dentition, FoundTooth
from teethseg.cli.app import run
from teethseg.errors import InputError, TeethSegError
from teethseg.io.case_folder import write_case_folder
from teethseg.io.case_sources import find_cases
from teethseg.io.files import read_scan, read_teeth, write_labels, write_scan
from teethseg.mrml import teeth, volumes
from teethseg.resampling import labels_on_grid
from teethseg.structures import UNKNOWN_VALUE
from teethseg.training.cases import CaseStore, load_case
from teethseg.training.data import FineSamples, _Cases
from teethseg.volume import Volume


def write_cases(folder: Path, count: int = 3) -> Path:
    for number in range(count):
        scan, labels = labelled_scan(number)
        write_case_folder(folder / f"case-{number}", scan, labels, f"patient-{number}")
    return folder


def checked(folder: Path, capsys) -> tuple[int, list[str]]:
    status = run(["data", "check", str(folder)])
    return status, capsys.readouterr().out.splitlines()


def test_good_cases_have_no_problems(tmp_path, capsys):
    assert checked(write_cases(tmp_path / "cases"), capsys) == (0, [])


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are text there")
def test_a_folder_whose_name_is_no_utf_8_is_a_case(tmp_path, capsys):
    scan, labels = labelled_scan(0)
    write_case_folder(tmp_path / os.fsdecode(b"M\xfcller"), scan, labels, "one")
    assert checked(tmp_path, capsys) == (0, [])


def test_every_problem_is_listed_at_once(tmp_path, capsys):
    folder = write_cases(tmp_path / "cases", 2)
    scan, labels = labelled_scan(0)

    def case(name, scan, labels, patient, **about):
        write_case_folder(folder / name, scan, labels, patient, **about)

    other = labelled_scan(7)
    case("copied", scan, labels, "somebody-else")
    case("empty", other[0], labels.with_array(np.zeros_like(labels.array)), "p-empty")
    moved = Volume(labels.array, labels.spacing, (500.0, 0.0, 0.0), labels.direction)
    (folder / "moved").mkdir()
    write_scan(folder / "moved" / "image.nrrd", labelled_scan(8)[0])
    write_labels(folder / "moved" / "labels.nrrd", moved)
    (folder / "moved" / "case.json").write_text(json.dumps({"patient": "p-moved"}), encoding="utf-8")
    case("second-scan", labelled_scan(9)[0], labels, "patient-1")
    (folder / "unknown").mkdir()
    write_scan(folder / "unknown" / "image.nrrd", labelled_scan(10)[0])
    odd = labels.array.copy()
    odd[odd == 36] = 77
    write_labels(folder / "unknown" / "labels.nrrd", labels.with_array(odd), numbers=[])
    (folder / "unknown" / "case.json").write_text(json.dumps({"patient": "p-u", "labels_are": "fdi"}), encoding="utf-8")
    (folder / "no-patient").mkdir()
    write_scan(folder / "no-patient" / "image.nrrd", labelled_scan(11)[0])
    (folder / "no-patient" / "case.json").write_text("{}", encoding="utf-8")
    half = folder / "half"
    write_case_folder(half, labelled_scan(12)[0], labels, "p-half", teeth={"11": "completed", "21": "in_progress"})

    status, lines = checked(folder, capsys)
    assert status == 3
    for case_name, severity, words in [
        ("copied", "error", "The same scan as case-0, under another patient"),
        ("empty", "error", "No tooth is labelled"),
        ("moved", "error", "lie outside"),
        ("case-1", "note", "Of one patient with second-scan"),
        ("unknown", "note", "77"),
        ("no-patient", "error", "names no patient"),
        ("half", "error", "Not finished (21)"),
    ]:
        assert [line for line in lines if line.startswith(f"{severity}: {case_name}: ") and words in line], (
            words,
            lines,
        )
    assert not [line for line in lines if line.startswith(("error: case-", "error: second-scan"))]


def test_an_unfinished_case_says_what_is_open(tmp_path, capsys):
    scan, labels = labelled_scan(3)
    worklist = Worklist([11, 21, 36, 46])
    for fdi in (11, 21, 46):
        worklist.set_state(fdi, "completed")
    save_case(tmp_path / "cases" / "a", scan, labels.array, "p", worklist=worklist, unfinished=True)
    status, lines = checked(tmp_path / "cases", capsys)
    assert status == 0
    assert lines == ["note: a: Not finished, so unknown (255) and not learned from: 36."]


@pytest.mark.parametrize("named", [False, True])
def test_a_scan_without_teeth_that_was_judged_in_part_is_a_case(named, tmp_path, capsys):
    """The background of a real head is training data without teeth; the unlabelled jaws are unknown (255)."""
    scan, labels = labelled_scan(3)
    folder = tmp_path / "cases" / "head"
    write_case_folder(folder, scan, labels, "p")
    for file in folder.glob("labels*"):
        file.unlink()
    unjudged = labels.with_array(np.where(labels.array > 0, UNKNOWN_VALUE, 0).astype(np.uint8))
    write_labels(folder / ("labels.seg.nrrd" if named else "labels.nrrd"), unjudged, [UNKNOWN_VALUE])
    status, lines = checked(tmp_path / "cases", capsys)
    assert status == 0, lines
    assert ["No tooth is labelled: training learns that there are none outside" in line for line in lines] == [True], (
        lines
    )
    assert set(np.unique(load_case(folder, 0.4).labels)) == {0, UNKNOWN_VALUE}


def test_a_case_whose_open_teeth_are_not_marked_is_not_trained_with(tmp_path, caplog):
    """The rule also holds for a case prepared earlier, before its case.json marked them as open."""
    folder = write_cases(tmp_path / "cases", 2)
    about = folder / "case-1" / "case.json"
    cases = _Cases(folder, CaseStore(1.0, tmp_path / "cache"))
    assert all(cases.get(source) is not None for source in cases.listed())
    content = {**json.loads(about.read_text(encoding="utf-8")), "teeth": {"11": "completed", "48": "in_progress"}}
    about.write_text(json.dumps(content), encoding="utf-8")
    cases = _Cases(folder, CaseStore(1.0, tmp_path / "cache"))
    assert [cases.get(source) is None for source in cases.listed()] == [False, True]
    assert "Left out: case-1. Not finished (48)" in caplog.text


def test_the_same_scan_is_known_in_whatever_type_it_is_stored(tmp_path, capsys):
    folder = write_cases(tmp_path / "cases", 1)
    scan, labels = labelled_scan(0)
    write_case_folder(folder / "copy", scan.with_array(scan.array.astype(np.float32)), labels, "another")
    status, lines = checked(folder, capsys)
    assert status == 3 and any("copy: The same scan as case-0" in line for line in lines)


def test_dicom_folders_with_segmentations_are_cases(tmp_path, capsys):
    """Scan and DICOM SEG in separate folders, as archives export them, with another series of the patient."""
    scan, labels = labelled_scan(1)
    study = tmp_path / "export" / "patient" / "study"
    write_series(study / "scan", scan, PatientID="Doe^1234", FrameOfReferenceUID="1.2.9")
    write_series(study / "other", labelled_scan(2)[0], number=2, PatientID="Doe^1234")
    (study / "seg").mkdir()
    write_labels(study / "seg" / "teeth.dcm", labels, scan=study / "scan")
    (case,), problems = find_cases(tmp_path / "export")
    assert not problems
    assert case.image == study / "scan" and "1234" not in case.patient  # a pseudonymous key, not the patient's identity
    again = read_scan(case.image, case.series)
    assert np.array_equal(np.sort(again.array, axis=None), np.sort(scan.array, axis=None))
    own = load_case(case, 1.0)
    values, counts = np.unique(own.labels, return_counts=True)
    assert values.tolist() == [0, 11, 21, 36, 46] and counts[1:].min() > 80
    assert own.image[own.labels > 0].mean() > 1000 > 500 > own.image[own.labels == 0].mean()
    status, lines = checked(tmp_path / "export", capsys)
    assert (status, [line for line in lines if "lie on" in line or "error" in line]) == (0, []), lines
    (study / "scan").rename(tmp_path / "elsewhere")
    status, lines = checked(tmp_path / "export", capsys)
    assert status == 3 and "a series that is not in this folder" in lines[0]


def test_a_dicom_folder_with_another_segmentation_beside_it_is_a_case(tmp_path):
    scan, labels = labelled_scan(1)
    write_series(tmp_path / "one" / "dicom", scan, PatientID="7")
    write_labels(tmp_path / "one" / "teeth.seg.nrrd", labels)
    (case,), problems = find_cases(tmp_path)
    assert not problems and case.patient.startswith("dicom-")
    assert (load_case(case, 1.0).labels == 21).any()


@pytest.mark.parametrize("spacing", [1.0, None])
def test_labels_beside_their_scan_are_not_learned_as_no_teeth(tmp_path, spacing):
    """Training reads cases that nobody has run the check on."""
    scan, labels = labelled_scan(1)
    beside = Volume(labels.array, labels.spacing, tuple(-500 + np.array(labels.origin)), labels.direction)
    write_case_folder(tmp_path / "case", scan, beside, "one")
    with pytest.raises(InputError, match=r"teeth of labels.seg.nrrd lie outside image.nrrd"):
        load_case(tmp_path / "case", spacing)


@pytest.mark.parametrize("packed", [True, False])
def test_scenes_of_slicer_are_cases(tmp_path, capsys, packed):
    scene = SlicerScene()
    scan, labels = labelled_scan(4)
    node = volumes.node_of(scene.scene, scan, "CBCT")
    found = tuple(FoundTooth(fdi, 0.9, 100.0, (0, 0, 0)) for fdi in (11, 21, 36, 46))
    teeth.write_teeth(scene.scene, Dentition(labels, found), node)
    folder = tmp_path / "scenes"
    folder.mkdir()
    if packed:
        assert scene.scene.WriteToMRB(str(folder / "case.mrb"))
    else:
        (folder / "case").mkdir()
        assert scene.scene.SaveSceneToSlicerDataBundleDirectory(str(folder / "case"), None)
    (case,), problems = find_cases(folder)
    assert not problems
    assert np.array_equal(np.unique(load_case(case, 1.0).labels), [0, 11, 21, 36, 46])
    with case.opened() as files:
        drawn = labels_on_grid(read_teeth(files.labels), scan)  # the scene stores the part of the grid that has teeth
        assert np.array_equal(drawn.array > 0, labels.array > 0)
    status, lines = checked(folder, capsys)
    assert status == 0 and "case.json" in lines[0]  # no file names the patient


def test_prepared_cases_are_made_once_mapped_and_made_anew_when_a_file_changes(tmp_path, monkeypatch):
    folder = write_cases(tmp_path / "cases", 1) / "case-0"
    (source,), _ = find_cases(folder.parent)
    made = []

    def load(source, spacing):
        made.append(spacing)
        return load_case(source, spacing)

    def entries():
        return sorted(one.name for one in (tmp_path / "cache").iterdir() if one.name != "contents")

    first = CaseStore(1.0, tmp_path / "cache").get(source, load)
    again = CaseStore(1.0, tmp_path / "cache").get(source, load)  # another process, another epoch
    assert made == [1.0] and isinstance(again.image, np.memmap)
    plain = load_case(source, 1.0)
    assert np.array_equal(again.image, plain.image) and np.array_equal(again.labels, plain.labels)
    assert np.array_equal(again.places, plain.places) and (again.soft, again.darkest) == (plain.soft, plain.darkest)
    assert plain.nbytes == plain.image.size * 5  # float32 and one byte of label
    assert first.image.shape == again.image.shape
    CaseStore(0.8, tmp_path / "cache").get(source, load)
    assert made == [1.0, 0.8] and len(entries()) == 2
    os.utime(folder / "image.nrrd", (1, 1))  # touched, not changed
    CaseStore(1.0, tmp_path / "cache").get(source, load)
    assert len(made) == 2
    write_scan(folder / "image.nrrd", labelled_scan(5)[0])
    changed = CaseStore(1.0, tmp_path / "cache").get(source, load)
    assert len(made) == 3 and not np.array_equal(changed.image, again.image)


def test_an_interrupted_preparation_leaves_nothing_that_is_taken_for_a_case(tmp_path, monkeypatch):
    (source,), _ = find_cases(write_cases(tmp_path / "cases", 1))
    store = CaseStore(1.0, tmp_path / "cache")
    saved, calls = np.save, []

    def full(file, array, **options):
        calls.append(file)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        saved(file, array, **options)

    monkeypatch.setattr("teethseg.training.cases.np.save", full)
    with pytest.raises(TeethSegError, match="free some space"):
        store.get(source)
    assert [one.name for one in (tmp_path / "cache").iterdir()] == ["contents"]
    monkeypatch.undo()
    assert np.array_equal(store.get(source).labels, load_case(source, 1.0).labels)


KILLED = """
import os, signal, sys
from pathlib import Path
from teethseg.io.case_sources import find_cases
from teethseg.training import cases
save, calls = cases.np.save, []
def dies(file, array, **options):
    calls.append(file)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    save(file, array, **options)
cases.np.save = dies
cases.CaseStore(1.0, Path(sys.argv[2])).get(find_cases(sys.argv[1])[0][0])
"""


@pytest.mark.slow
def test_what_a_killed_process_began_is_never_taken_for_a_case(tmp_path):
    folder = write_cases(tmp_path / "cases", 1)
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(tmp_path / "cache")])
    assert done.returncode != 0 and not list((tmp_path / "cache").glob("*/about.json"))
    (source,), _ = find_cases(folder)
    again = CaseStore(1.0, tmp_path / "cache").get(source)
    plain = load_case(source, 1.0)
    assert np.array_equal(again.image, plain.image) and np.array_equal(again.labels, plain.labels)
    assert len(list((tmp_path / "cache").glob("*/about.json"))) == 1


def test_processes_share_what_is_prepared(tmp_path):
    folder = write_cases(tmp_path / "cases", 2)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=prepare, args=(folder, tmp_path / "cache")) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(list((tmp_path / "cache").glob("*/about.json"))) == 2
    assert not list((tmp_path / "cache").glob(".teethseg*"))


def test_a_broken_case_names_itself_once_and_the_others_go_on(tmp_path, caplog):
    folder = write_cases(tmp_path / "cases", 3)
    (folder / "case-1" / "image.nrrd").write_bytes(b"NRRD0004\nnonsense")
    cases = _Cases(folder, CaseStore(1.0, tmp_path / "cache"))
    rng = np.random.default_rng(0)
    drawn = {cases.draw(rng).patient for _ in range(20)}
    assert drawn == {"patient-0", "patient-2"}
    assert sum("case-1" in record.message for record in caplog.records) == 1


def test_samples_are_the_same_with_and_without_prepared_cases(tmp_path):
    folder = write_cases(tmp_path / "cases", 2)
    plain, kept = FineSamples(folder, 4, 1, 32), FineSamples(folder, 4, 1, 32, cache=tmp_path / "cache")
    for index in range(3):
        assert np.array_equal(plain[index]["image"], kept[index]["image"])


def test_sheets_show_outlines_of_cases_and_of_samples(tmp_path, capsys):
    folder = write_cases(tmp_path / "cases", 2)
    (tmp_path / "cases" / "bad").mkdir()
    (tmp_path / "cases" / "bad" / "case.json").write_text("{}", encoding="utf-8")
    assert run(["data", "sheet", str(folder), str(tmp_path / "sheet.png")]) == 0
    assert "bad: " in capsys.readouterr().err
    assert run(["data", "check", str(folder), "--sheet", str(tmp_path / "checked.png")]) == 3  # because of the bad case
    assert (tmp_path / "checked.png").read_bytes() == (tmp_path / "sheet.png").read_bytes()
    assert run(["data", "sheet", str(folder), str(tmp_path / "drawn.png"), "--augmented", "--count", "2"]) == 0
    for name in ("sheet.png", "drawn.png"):
        with Image.open(tmp_path / name) as image:
            pixels = np.asarray(image.convert("RGB")).astype(int)
        rows = np.array_split(pixels, 2)
        assert all((np.ptp(row, axis=-1) > 60).sum() > 200 for row in rows), name  # coloured lines in each row
