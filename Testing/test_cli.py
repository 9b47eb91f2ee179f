"""The documented behaviour of the command line, with real files and, where necessary, real processes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from labelled_cases import labelled_scan
from teethseg import NOTICE, __version__
from teethseg.anatomy import tooth
from teethseg.cascade.dentition import UNCERTAIN_NUMBER, Dentition, FoundTooth
from teethseg.cascade.findings import EXTRA, Finding
from teethseg.cascade.model_card import DEFAULT_NAME
from teethseg.cli.app import run
from teethseg.errors import OutOfMemoryError
from teethseg.io.case_folder import write_case_folder
from teethseg.io.files import read_labels, read_scan, write_labels, write_scan
from teethseg.report import report_of
from teethseg.resampling import crop
from teethseg.volume import Volume

TEETHSEG = Path(sys.executable).with_name("teethseg")
REPORT_KEYS = {"findings", "teeth", "warnings", "seconds", "peak_memory_mb", "device", "weights", "version", "notice"}
TOOTH_KEYS = {
    "fdi",
    "universal",
    "palmer",
    "position",
    "jaw",
    "confidence",
    "volume_mm3",
    "centroid_lps_mm",
    "touches_border",
    "second_fdi",
    "flags",
}


def teethseg(*arguments: object) -> subprocess.CompletedProcess:
    """Run the installed command in a process of its own."""
    return subprocess.run([TEETHSEG, *map(str, arguments)], capture_output=True, encoding="utf-8", timeout=600)


def call(*arguments: object) -> int:
    """Run a command line in this process; its exit status."""
    return run([str(argument) for argument in arguments])


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def assert_one_line(text: str, *words: str) -> None:
    """The error is the last line, and the only one besides the names of steps."""
    lines = [line for line in text.splitlines() if not re.match(r" *[\d.]+ s  ", line)]
    assert len(lines) == 1, text
    assert lines[0].startswith("teethseg: ")
    for word in words:
        assert word in lines[0]


@pytest.fixture
def scan(tmp_path) -> Path:
    """A file that can be read and has the size of a scan, without any teeth."""
    array = np.random.default_rng(0).integers(0, 1000, (40, 44, 48)).astype(np.int16)
    path = tmp_path / "scan.nrrd"
    write_scan(path, Volume(array, (0.5, 0.5, 0.5), (-12.0, 5.0, 30.0), np.diag([-1.0, -1.0, 1.0])))
    return path


@pytest.fixture
def numbers(tmp_path, scan) -> Path:
    """Two teeth of different size on the grid of `scan`."""
    grid = read_scan(scan)
    array = np.zeros(grid.array.shape, np.uint8)
    array[5:25, 6:18, 8:22] = 26
    array[6:30, 20:36, 30:44] = 16
    path = tmp_path / "numbers.nrrd"
    write_labels(path, grid.with_array(array))
    return path


# --- wrong usage and bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("segmnt", ["segmnt", "segment"]),
        ("segment", ["SCAN", "teethseg segment --help"]),
        ("segment {scan}", ["--output"]),
        ("segment {scan} --output {here}/o.nrrd --fast", ["--fast"]),
        ("segment {scan} --output {here}/o.nrrd --labels all", ["--labels", "position"]),
        ("segment {scan} --output {here}/o.nrrd --device abacus", ["--device", "cuda"]),
        ("segment {scan} --output {here}/o.nrrd --notation roman", ["--notation", "palmer"]),
        ("segment {scan} --output {here}/o.txt", ["o.txt", ".seg.nrrd"]),
        ("segment {scan} --output {here}/no/o.nrrd", ["does not exist"]),
        ("segment {scan} --output {scan}", ["same file"]),
        ("segment {scan} --output {here}/o.nrrd --report {here}/o.nrrd", ["same file"]),
        ("segment {scan} --output {here}/o.nrrd --report {here}/no/r.json", ["does not exist"]),
        ("segment {scan} --output {here}/o.nrrd --stl {here}", ["holds files", "overwriting"]),
        ("segment {scan} --output {here}/o.nrrd --stl {scan}", ["not a folder"]),
        ("surfaces {labels} {here}", ["holds files", "overwriting"]),
        ("surfaces {labels} {here} --overwrite", ["no earlier run"]),
        ("picture {scan} {labels} {here}/o.jpg", [".png"]),
        ("picture {scan} {labels} {here}/no/o.png", ["does not exist"]),
        ("evaluate {labels}", ["REFERENCE"]),
        ("evaluate {labels} {labels} --json {here}/no/f.json", ["does not exist"]),
        ("simulate {here}/new --count 0", ["--count"]),
        ("simulate {here}/new --spacing 0.01", ["--spacing"]),
        ("simulate {here}/new --view foot", ["--view", "jaws"]),
        ("train middle {here} {here} --run {here}/run", ["STAGE", "coarse"]),
        ("train fine {here} {here}", ["--run"]),
        ("train fine {here} {here} --run {here}/run --patch 50", ["--patch", "48"]),
        ("model summary gpt", ["coarse"]),
        ("model summary --dimensions 4", ["--dimensions"]),
        ("model summary fine --levels 3", ["fine"]),
        ("model export {scan} {scan} {here}/o.pt --card {scan}", [".safetensors"]),
    ],
)
def test_wrong_usage(tmp_path, scan, numbers, capsys, arguments, words):
    before = tree(tmp_path)
    places = {"scan": scan, "labels": numbers, "here": tmp_path}
    assert call(*(part.format(**places) for part in arguments.split())) == 2
    printed = capsys.readouterr()
    assert_one_line(printed.err, *words)
    assert printed.out == ""
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("segment {here}/none.nrrd --output {here}/o.nrrd", ["none.nrrd", "does not exist"]),
        ("segment {text} --output {here}/o.nrrd", ["text.txt"]),
        ("segment {flat} --output {here}/o.nrrd", ["2D"]),
        ("segment {constant} --output {here}/o.nrrd --report {here}/r.json --stl {here}/stl", ["same value"]),
        ("segment {cut} --output {here}/o.nrrd", ["cut.nrrd"]),
        ("segment {case} --output {here}/o.nrrd", ["DICOM"]),
        ("surfaces {here}/none.nrrd {here}/stl", ["does not exist"]),
        ("surfaces {scan} {here}/stl", ["scan"]),
        ("surfaces {jaws} {here}/stl", ["jaws.nrrd", "no FDI numbers (3)", "--labels-are universal"]),
        ("surfaces {jaws} {here}/stl --labels-are dentalsegmentator", ["no single teeth"]),
        ("picture {here}/none.nrrd {labels} {here}/o.png", ["does not exist"]),
        ("picture {constant} {labels} {here}/o.png", ["same value"]),
        ("picture {scan} {scan} {here}/o.png", ["is it a scan?"]),
        ("evaluate {here}/none.nrrd {labels}", ["does not exist"]),
        ("evaluate {jaws} {labels}", ["jaws.nrrd", "no FDI numbers (3)", "--labels-are universal"]),
        ("evaluate {elsewhere} {labels}", ["elsewhere.nrrd", "no place in common"]),
        ("picture {scan} {elsewhere} {here}/o.png", ["elsewhere.nrrd", "lie outside scan.nrrd"]),
        ("surfaces {elsewhere} {here}/stl --scan {scan}", ["elsewhere.nrrd", "lie outside scan.nrrd"]),
        ("evaluate {labels} {labels} --quality {here}/none.json", ["none.json"]),
        ("evaluate {labels} {labels} --quality {text}", ["no JSON"]),
        ("simulate {here}/new --shapes {here}/none", ["none"]),
        ("train fine {here}/none {here}/none --run {here}/run", ["No training case"]),
        ("train fine {case} {case} --run {here}/run", ["case.json", "patient"]),
        ("model export {here}/a.ckpt {here}/b.ckpt {here}/o.safetensors --card {card}", ["a.ckpt"]),
        ("model export {text} {text} {here}/o.safetensors --card {card}", ["no checkpoint"]),
        ("model export {text} {text} {here}/o.safetensors --card {text}", ["no JSON"]),
    ],
)
def test_unfit_input(tmp_path, scan, numbers, capsys, arguments, words):
    text, cut, card = tmp_path / "text.txt", tmp_path / "cut.nrrd", tmp_path / "card.json"
    text.write_text("these are no teeth\n")
    cut.write_bytes(scan.read_bytes()[:4000])
    card.write_text("{}")
    grid = read_scan(scan)
    flat, constant, jaws, elsewhere = (tmp_path / f"{name}.nrrd" for name in ("flat", "constant", "jaws", "elsewhere"))
    sitk.WriteImage(sitk.Image(50, 60, sitk.sitkInt16), str(flat))
    write_scan(constant, grid.with_array(np.full_like(grid.array, 7)))
    write_labels(jaws, grid.with_array(np.where(grid.array > 900, np.uint8(3), np.uint8(0))))
    write_labels(elsewhere, Volume(read_labels(numbers).array, grid.spacing, (500, 0, 0), grid.direction))
    case = tmp_path / "cases" / "one"
    case.mkdir(parents=True)
    (case / "case.json").write_text('{"name": "no key of a patient"}')
    places = {name: value for name, value in locals().items() if isinstance(value, Path)}
    places |= {"labels": numbers, "here": tmp_path}
    before = tree(tmp_path)
    assert call(*(part.format(**places) for part in arguments.split())) == 3
    printed = capsys.readouterr()
    assert_one_line(printed.err, *words)
    assert printed.out == ""
    assert tree(tmp_path) == before


def test_teeth_of_another_program_are_judged_on_their_own_grid(tmp_path, numbers, capsys):
    """A reference with Universal numbers, cropped as 3D Slicer crops, matches the same teeth with FDI numbers."""
    ours = read_labels(numbers)
    values = np.zeros(256, np.uint8)
    values[[16, 26]] = 3, 14
    box = np.s_[4:31, 5:37, 7:45]
    theirs = Volume(values[ours.array[box]], ours.spacing, tuple(ours.to_lps([4, 5, 7])), ours.direction)
    write_labels(tmp_path / "theirs.nii.gz", theirs)
    arguments = ["evaluate", str(numbers), str(tmp_path / "theirs.nii.gz"), "--json", str(tmp_path / "s.json")]
    assert call(*arguments) == 3 and "--labels-are universal" in capsys.readouterr().err
    assert call(*arguments, "--reference-labels-are", "universal") == 0
    scores = json.loads((tmp_path / "s.json").read_text())
    assert scores["binary"]["dice"] == 1.0 and scores["numbering"]["fdi_accuracy"] == 1.0
    assert call("surfaces", str(tmp_path / "theirs.nii.gz"), str(tmp_path / "stl"), "--labels-are", "universal") == 0
    assert sorted(path.name for path in (tmp_path / "stl").glob("*.stl")) == [
        "FDI_16_upper_right_first_molar.stl",
        "FDI_26_upper_left_first_molar.stl",
    ]


@pytest.mark.parametrize(
    "command", ["segment {scan} --output {here}/o.nrrd --weights {weights}", "model show --weights {weights}"]
)
def test_weights_missing_or_damaged(tmp_path, scan, capsys, command):
    shipped = Path(__file__).resolve().parents[1] / "TeethSeg" / "Resources" / "Weights"
    file = shipped / f"{DEFAULT_NAME}.safetensors"
    missing, damaged, cardless = (tmp_path / f"{name}.safetensors" for name in ("missing", "damaged", "cardless"))
    content = bytearray(file.read_bytes())
    cardless.write_bytes(content)
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    damaged.with_suffix(".json").write_bytes(file.with_suffix(".json").read_bytes())
    before = tree(tmp_path)
    for weights in (missing, damaged, cardless):
        status = call(*(part.format(scan=scan, here=tmp_path, weights=weights) for part in command.split()))
        printed = capsys.readouterr()
        assert status == 5
        assert_one_line(printed.err, weights.stem)
        assert printed.out == ""
    assert tree(tmp_path) == before


def broken(error: Exception):
    def segment(*_, **__):
        raise error

    return segment


@pytest.mark.parametrize("error", [OutOfMemoryError("Memory ran out in every way of running."), MemoryError()])
def test_out_of_memory(tmp_path, scan, capsys, monkeypatch, error):
    monkeypatch.setattr("teethseg.cascade.pipeline.segment", broken(error))
    assert call("segment", scan, "--output", tmp_path / "o.nrrd") == 4
    assert_one_line(capsys.readouterr().err, "Memory ran out")


def test_an_unknown_error_is_one_line_and_a_traceback_only_when_asked_for(tmp_path, scan, capsys, monkeypatch):
    monkeypatch.setattr("teethseg.cascade.pipeline.segment", broken(ZeroDivisionError("three\nlines\nlong")))
    assert call("segment", scan, "--output", tmp_path / "o.nrrd") == 1
    assert_one_line(capsys.readouterr().err, "ZeroDivisionError", "--debug")
    for arguments in (
        ("segment", scan, "--output", tmp_path / "o.nrrd", "--debug"),
        ("--debug", "segment", scan, "--output", tmp_path / "o.nrrd"),
    ):
        assert call(*arguments) == 1
        assert "Traceback" in capsys.readouterr().err
    assert not (tmp_path / "o.nrrd").exists()


@pytest.mark.parametrize(
    "command",
    ["batch LONG OUT", "evaluate LONG LONG --strata", "data check LONG", "simulate LONG", "simulate OUT --shapes LONG"],
)
def test_a_path_that_is_too_long_is_told_in_plain_words(tmp_path, capsys, command):
    long = str(tmp_path / ("x" * 300))
    arguments = [{"LONG": long, "OUT": str(tmp_path / "out")}.get(word, word) for word in command.split()]
    assert run(arguments) != 0
    (told,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("teethseg:"))
    assert "File name too long" in told and long in told and "does not know" not in told


def test_a_failed_run_leaves_what_was_there(tmp_path, scan, capsys, monkeypatch):
    output, report = tmp_path / "o.nrrd", tmp_path / "r.json"
    output.write_text("from before")
    report.write_text("from before")
    monkeypatch.setattr("teethseg.cascade.pipeline.segment", broken(MemoryError()))
    before = tree(tmp_path)
    assert call("segment", scan, "--output", output, "--report", report, "--stl", tmp_path / "stl") == 4
    assert tree(tmp_path) == before
    assert output.read_text() == report.read_text() == "from before"


def test_help_is_for_everybody(capsys):
    assert call("--help") == 0
    printed = capsys.readouterr()
    assert NOTICE in printed.out
    assert printed.err == ""
    for command in ("segment", "surfaces", "picture", "evaluate", "simulate", "train", "model"):
        assert command in printed.out
    for arguments in (["segment"], ["train"], ["model", "export"]):
        assert call(*arguments, "--help") == 0
        assert "Usage" in capsys.readouterr().out
    assert call() == 2
    assert "Usage" in capsys.readouterr().out


def test_help_on_a_console_without_special_signs():
    shown = subprocess.run([TEETHSEG, "segment", "--help"], capture_output=True, env={"PYTHONIOENCODING": "ascii"})
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert b"palmer" in shown.stdout


def test_version(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out.strip() == __version__


def test_the_command_itself_gives_these_statuses(tmp_path):
    run_ = teethseg("segment", tmp_path / "none.nrrd", "--output", tmp_path / "o.nrrd")
    assert (run_.returncode, run_.stdout) == (3, "")
    assert_one_line(run_.stderr, "none.nrrd")
    assert teethseg("segment", "--nonsense").returncode == 2


# --- output files, with known teeth instead of predicted ones --------------------------------------------------------


@pytest.fixture
def known_teeth(monkeypatch, numbers) -> Dentition:
    """The cascade finds the teeth of `numbers`, whatever the scan."""
    from teethseg.cascade.pipeline import Segmentation

    labels = read_labels(numbers)
    teeth = []
    for fdi in (26, 16):
        index = np.argwhere(labels.array == fdi)
        centre = labels.affine @ np.array([*index.mean(axis=0)[::-1], 1.0])
        flags = (UNCERTAIN_NUMBER,) if fdi == 26 else ()
        teeth.append(FoundTooth(fdi, 0.9, len(index) * labels.voxel_volume, tuple(centre[:3]), flags=flags))
    dentition = Dentition(labels, tuple(teeth), ("Something is odd.",))

    def segment(volume, weights, device="auto", progress=lambda *_: None, *, keep_maps=False):
        progress("find arches", 1, 1)
        return Segmentation(replace(dentition, labels=volume.with_array(labels.array)), {"find arches": 0.25}, "cpu")

    monkeypatch.setattr("teethseg.cascade.pipeline.segment", segment)
    return dentition


@pytest.mark.parametrize("suffix", [".seg.nrrd", ".nrrd", ".nii.gz"])
@pytest.mark.parametrize(
    ("labelling", "values"), [("fdi", {16: 16, 26: 26}), ("position", {16: 6, 26: 6}), ("binary", {16: 1, 26: 1})]
)
def test_every_kind_of_output_lies_on_the_grid_of_the_scan(
    tmp_path, scan, known_teeth, capsys, suffix, labelling, values
):
    output = tmp_path / f"teeth{suffix}"
    assert call("segment", scan, "--output", output, "--labels", labelling) == 0
    assert capsys.readouterr().out == ""
    image, written = sitk.ReadImage(str(scan)), sitk.ReadImage(str(output))
    assert written.GetSize() == image.GetSize()
    for place in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(written, place)() == pytest.approx(getattr(image, place)(), abs=1e-5)
    expected = np.zeros(known_teeth.labels.array.shape, np.uint8)
    for fdi, value in values.items():
        expected[known_teeth.labels.array == fdi] = value
    # Read by its place in the patient: files may store the axes in another order.
    assert np.array_equal(
        sitk.GetArrayFromImage(sitk.Resample(written, image, sitk.Transform(), sitk.sitkNearestNeighbor)), expected
    )


def test_a_dicom_seg_out_and_in(tmp_path, scan, known_teeth, capsys):
    output = tmp_path / "teeth.dcm"
    assert call("segment", scan, "--output", output) == 0
    dataset = pydicom.dcmread(output)
    codes = {item.SegmentedPropertyTypeCodeSequence[0].CodeValue for item in dataset.SegmentSequence}
    assert codes == {tooth(16).code, tooth(26).code} and "scan.nrrd" in dataset.StudyDescription
    write_labels(tmp_path / "truth.nrrd", known_teeth.labels)
    assert call("evaluate", output, tmp_path / "truth.nrrd", "--json", tmp_path / "s.json") == 0
    scores = json.loads((tmp_path / "s.json").read_text())
    assert scores["binary"]["dice"] == 1.0 and scores["numbering"]["fdi_accuracy"] == 1.0
    assert call("surfaces", output, tmp_path / "stl") == 0
    assert len(list((tmp_path / "stl").glob("*.stl"))) == 2
    assert call("segment", scan, "--output", tmp_path / "p.dcm", "--labels", "position") == 2
    assert "leave out --labels position" in capsys.readouterr().err
    assert call("segment", output, "--output", tmp_path / "q.nrrd") == 3
    assert "is a DICOM segmentation, not a scan" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("notation", "name", "file"),
    [("fdi", "Tooth 16", "FDI_16"), ("universal", "Tooth #3", "3.stl"), ("palmer", "Tooth 6⏌", "Palmer_UR6")],
)
def test_notation_names_segments_surfaces_and_summary(tmp_path, scan, known_teeth, capsys, notation, name, file):
    output = tmp_path / "teeth.seg.nrrd"
    assert call("segment", scan, "--output", output, "--stl", tmp_path / "stl", "--notation", notation) == 0
    assert name in output.read_bytes().split(b"\n\n")[0].decode("utf-8")
    assert len(list((tmp_path / "stl").glob(f"{file}*"))) == 1
    assert f"2 teeth: {tooth(16).notation(notation)} {tooth(26).notation(notation)}." in capsys.readouterr().err


@pytest.mark.parametrize(("notation", "head"), [("fdi", "Check: "), ("universal", "Check (FDI numbers): ")])
def test_findings_say_whose_numbers_they_have(tmp_path, scan, known_teeth, capsys, monkeypatch, notation, head):
    """The Universal number 14 is FDI 26."""
    finding = Finding(EXTRA, (14,), "14 may be an extra tooth.")
    monkeypatch.setattr("teethseg.cascade.findings.find", lambda teeth: (finding,))
    assert call("segment", scan, "--output", tmp_path / "o.nrrd", "--notation", notation) == 0
    assert f"{head}{finding.text}" in capsys.readouterr().err


def test_report_says_all_that_is_promised(tmp_path, scan, known_teeth, capsys):
    report = tmp_path / "r.json"
    assert call("segment", scan, "--output", tmp_path / "o.nrrd", "--report", report) == 0
    assert "Warning: Something is odd." in capsys.readouterr().err
    content = json.loads(report.read_text(encoding="utf-8"))
    assert set(content) == REPORT_KEYS
    right, left = content["teeth"]
    assert set(right) == set(left) == TOOTH_KEYS
    assert (right["fdi"], right["universal"], right["palmer"], right["position"], right["jaw"]) == (
        16,
        "3",
        "6⏌",
        6,
        "upper",
    )
    assert left["flags"] == [UNCERTAIN_NUMBER] and right["flags"] == []
    labels = known_teeth.labels
    voxels = np.argwhere(labels.array == 26)
    assert left["volume_mm3"] == pytest.approx(len(voxels) * 0.125, abs=0.01)
    place = labels.affine @ np.array([*voxels.mean(axis=0)[::-1], 1.0])
    assert left["centroid_lps_mm"] == pytest.approx(place[:3].tolist(), abs=0.01)
    assert content["warnings"] == ["Something is odd."]
    assert list(content["seconds"]) == ["read scan", "load networks", "find arches", "write segmentation"]
    assert content["seconds"]["find arches"] == 0.25
    assert content["device"] == "cpu"
    assert len(content["weights"]["sha256"]) == 64 and content["weights"]["name"]
    assert content["version"] == __version__
    assert 50 < content["peak_memory_mb"] < 50_000


def test_report_and_terminal_tell_the_checks_of_the_surfaces(tmp_path, scan, known_teeth, capsys):
    report = tmp_path / "r.json"
    output = tmp_path / "o.nrrd"
    assert call("segment", scan, "--output", output, "--report", report, "--stl", tmp_path / "stl") == 0
    content = json.loads(report.read_text(encoding="utf-8"))
    assert set(content) == REPORT_KEYS | {"surfaces"}
    assert "Surfaces: 2 of 2 surfaces closed, manifold and free of crossings" in capsys.readouterr().err
    assert {mesh["fdi"] for mesh in content["surfaces"]["meshes"]} == {16, 26}
    for mesh in content["surfaces"]["meshes"]:
        assert (tmp_path / "stl" / mesh["file"]).exists()
        check = mesh["check"]
        assert check["ok"] and check["open_edges"] == check["self_intersections"] == 0 and check["components"] == 1
        assert check["label_distance_p95_mm"] < 0.5 and check["triangles"] > 100 and len(check["size_mm"]) == 3


def test_existing_files_are_replaced_and_surfaces_only_when_asked(tmp_path, scan, known_teeth, capsys):
    output, folder = tmp_path / "o.nrrd", tmp_path / "stl"
    output.write_text("from before")
    arguments = ("segment", scan, "--output", output, "--stl", folder)
    assert call(*arguments) == 0
    assert set(np.unique(read_labels(output).array)) == {0, 16, 26}
    before = tree(tmp_path)
    capsys.readouterr()
    assert call(*arguments) == 2
    assert_one_line(capsys.readouterr().err, "overwriting")
    assert call(*arguments, "--overwrite") == 0
    assert tree(tmp_path) == before


def test_an_empty_dentition_is_a_report_too(tmp_path, scan):
    volume = read_scan(scan)
    empty = Dentition(volume.with_array(np.zeros_like(volume.array, np.uint8)), (), ("No tooth was found.",))
    content = report_of(empty, {"find arches": np.float64(1.23456)}, 10.0, "cpu", "name", "0" * 64)
    assert content["teeth"] == [] and content["warnings"] == ["No tooth was found."]
    assert json.loads(json.dumps(content))["seconds"] == {"find arches": 1.235}


# --- the other commands ---------------------------------------------------------------------------------------------


def test_surfaces_of_an_existing_segmentation(tmp_path, numbers, capsys):
    folder = tmp_path / "stl"
    assert call("surfaces", numbers, folder) == 0
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert {entry["fdi"] for entry in manifest["teeth"]} == {16, 26}
    for entry in manifest["teeth"]:
        assert (folder / entry["file"]).stat().st_size > 1000
        assert entry["check"]["ok"]
        voxels = np.count_nonzero(read_labels(numbers).array == entry["fdi"])
        assert entry["volume_mm3"] == pytest.approx(voxels * 0.125, rel=0.02)


def test_surfaces_as_asked_for(tmp_path, scan, numbers, capsys):
    folder, table = tmp_path / "out", tmp_path / "teeth.csv"
    options = "--format ply --parts jaw --space RAS --smoothing strong --triangles 500 --gap 0.1 --notation universal"
    assert call("surfaces", numbers, folder, *options.split(), "--table", table) == 0
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["files"] == ["upper_teeth.ply"] and manifest["space"] == "RAS" and manifest["gap_mm"] == 0.1
    assert all(entry["check"]["ok"] and entry["check"]["triangles"] <= 500 for entry in manifest["teeth"])
    assert len(table.read_text(encoding="utf-8-sig").splitlines()) == 3
    assert "1 PLY files" in capsys.readouterr().err
    assert call("surfaces", numbers, tmp_path / "wide", "--gap", "2") == 2
    assert "0 to 0.3" in capsys.readouterr().err
    assert call("surfaces", numbers, tmp_path / "hollow", "--hollow", "--scan", scan) == 0
    assert call("surfaces", numbers, tmp_path / "bone", "--parts", "bone") == 2
    assert "give the scan" in capsys.readouterr().err
    assert not (tmp_path / "bone").exists()


def test_pictures(tmp_path, scan, numbers, capsys):
    from PIL import Image

    slices, meshes = tmp_path / "slices.png", tmp_path / "meshes.png"
    assert call("picture", scan, numbers, slices, "--reference", numbers, "--meshes", meshes) == 0
    for path in (slices, meshes):
        picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
        assert min(picture.shape[:2]) > 200
        # The teeth are in colour; everything else is grey.
        assert (np.ptp(picture, axis=2) > 60).sum() > 100


def test_evaluation_as_a_table_and_as_json(tmp_path, numbers, capsys):
    other = tmp_path / "other.nrrd"
    labels = read_labels(numbers)
    array = labels.array.copy()
    array[array == 26] = 27
    write_labels(other, labels.with_array(array))
    scores, quality = tmp_path / "scores.json", tmp_path / "quality.json"
    quality.write_text('{"number_tolerance": {"26": [26, 27]}}')
    assert call("evaluate", other, numbers, "--json", scores) == 0
    printed = capsys.readouterr()
    assert "wrong number" in printed.out and "Dice" in printed.out
    content = json.loads(scores.read_text())
    assert content["binary"]["dice"] == 1.0
    assert content["numbering"]["fdi_f1"] == 0.5
    assert call("evaluate", other, numbers, "--json", scores, "--quality", quality) == 0
    assert json.loads(scores.read_text())["numbering"]["fdi_f1"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        ("unet2d", "7,702,721"),
        ("unet3d", "22,400,321"),
        ("--dimensions 3 --levels 3 --filters 18", "430,075"),
        ("unet3d-9", "108,036"),
        ("unet3d-18 --filters 9 --out 9", "108,036"),
    ],
)
def test_layer_tables(capsys, arguments, count):
    assert call("model", "summary", *arguments.split()) == 0
    printed = capsys.readouterr().out
    assert f"{count} parameters in all" in printed
    assert "96 x 96" in printed
    own = [int(number.replace(",", "")) for number in re.findall(r"│ +([\d,]+) │$", printed, re.MULTILINE)]
    assert sum(own) == int(count.replace(",", ""))


def test_overview_of_networks(capsys):
    assert call("model", "summary") == 0
    printed = capsys.readouterr().out
    for text in ("coarse", "fine", "7,702,721", "22,400,321", "430,075", "108,036"):
        assert text in printed


def test_shipped_weights_show_their_card(capsys):
    assert call("model", "show") == 0
    printed = capsys.readouterr().out
    shipped = Path(__file__).resolve().parents[1] / "TeethSeg" / "Resources" / "Weights"
    card = shipped / f"{DEFAULT_NAME}.json"
    assert json.loads(card.read_text(encoding="utf-8"))["sha256"] in printed.replace("\n", "")


def test_checkpoints_become_weights(tmp_path, capsys):
    import torch

    from teethseg.training.fit import StageModule

    paths = {}
    for stage in ("coarse", "fine"):
        torch.manual_seed(len(stage))
        module = StageModule(stage, 10)
        paths[stage] = tmp_path / f"{stage}.ckpt"
        torch.save({"hyper_parameters": {"stage": stage}, "state_dict": module.state_dict()}, paths[stage])
    card, output = tmp_path / "card.json", tmp_path / "own.safetensors"
    card.write_text('{"training": "none at all", "sha256": "an old one"}')
    assert call("model", "export", paths["fine"], paths["coarse"], output, "--card", card) == 2
    assert_one_line(capsys.readouterr().err, "coarse")
    assert not output.exists()
    assert call("model", "export", paths["coarse"], paths["fine"], output, "--card", card) == 0
    capsys.readouterr()
    assert call("model", "show", "--weights", output) == 0
    assert "none at all" in capsys.readouterr().out


def test_a_stage_that_was_not_trained_comes_from_the_weights_it_started_from(tmp_path):
    import torch

    from teethseg.cascade.weights import load_weights, weights_folder
    from teethseg.training.fit import StageModule

    shipped = load_weights()
    file = weights_folder() / f"{shipped.name}.safetensors"
    module, checkpoint, card = StageModule("fine", 10), tmp_path / "fine.ckpt", tmp_path / "card.json"
    torch.save({"hyper_parameters": {"stage": "fine"}, "state_dict": module.state_dict()}, checkpoint)
    card.write_text("{}", encoding="utf-8")
    output = tmp_path / "own.safetensors"
    assert call("model", "export", file, checkpoint, output, "--card", card) == 0
    made, coarse = load_weights(output), shipped.coarse.state_dict()
    assert all(torch.equal(value, coarse[key]) for key, value in made.coarse.state_dict().items())
    assert made.fine.architecture == module.network.architecture


def test_simulated_cases_are_whole_and_never_overwritten(tmp_path, capsys):
    folder = tmp_path / "cases"
    assert call("simulate", folder, "--count", 1, "--seed", 4, "--spacing", 1.5, "--clean") == 0
    assert capsys.readouterr().out == ""
    case = folder / "case-00004"
    assert {path.name for path in case.iterdir()} == {"image.nrrd", "labels.seg.nrrd", "tissues.nrrd", "case.json"}
    assert [path.name for path in folder.iterdir()] == ["case-00004"]
    written = (case / "image.nrrd").read_bytes()
    assert call("simulate", folder, "--count", 3, "--seed", 3, "--spacing", 1.5) == 2
    assert_one_line(capsys.readouterr().err, "exists already")
    assert [path.name for path in folder.iterdir()] == ["case-00004"]
    assert (case / "image.nrrd").read_bytes() == written


def test_patients_in_training_and_validation_are_refused(tmp_path, capsys):
    for folder in ("a", "b"):
        write_case_folder(tmp_path / folder / "case", *labelled_scan(), "Miller")
    assert call("train", "fine", tmp_path / "a", tmp_path / "b", "--run", tmp_path / "run") == 2
    assert_one_line(capsys.readouterr().err, "Miller")


# --- a whole run, with the weights that ship ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def case(tmp_path_factory, upper_jaw) -> Path:
    folder, (scan, labels) = tmp_path_factory.mktemp("simulated"), upper_jaw
    write_scan(folder / "image.nrrd", scan)
    write_labels(folder / "labels.seg.nrrd", labels)
    return folder


@pytest.fixture(scope="module")
def segmented(case, tmp_path_factory) -> Path:
    """A folder with all that `segment` writes for the case."""
    folder = tmp_path_factory.mktemp("segmented")
    done = teethseg(
        *("segment", case / "image.nrrd", "--output", folder / "teeth.seg.nrrd"),
        *("--report", folder / "report.json", "--stl", folder / "stl"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    for step in ("read scan", "find arches", "outline teeth", "number teeth", "write segmentation", "write surfaces"):
        assert f"s  {step}" in done.stderr
    return folder


@pytest.mark.slow
def test_report_labels_and_surfaces_tell_the_same_teeth(case, segmented):
    report = json.loads((segmented / "report.json").read_text(encoding="utf-8"))
    labels = read_labels(segmented / "teeth.seg.nrrd")
    manifest = json.loads((segmented / "stl" / "manifest.json").read_text(encoding="utf-8"))
    counts = np.bincount(labels.array.ravel(), minlength=100)
    found = {entry["fdi"]: entry for entry in report["teeth"]}
    assert set(found) == set(np.flatnonzero(counts)) - {0}
    assert set(found) == {entry["fdi"] for entry in manifest["teeth"]}
    for fdi, entry in found.items():
        assert entry["volume_mm3"] == pytest.approx(counts[fdi] * labels.voxel_volume, rel=0.01)
        centre = labels.affine @ np.array([*np.argwhere(labels.array == fdi).mean(axis=0)[::-1], 1.0])
        assert entry["centroid_lps_mm"] == pytest.approx(centre[:3].tolist(), abs=0.02)
        # The patient's left is positive x in LPS, and the simulated head looks straight ahead.
        assert (centre[0] > 0) == (tooth(fdi).side == "left")
    assert sum(report["seconds"].values()) > 0.5
    assert tree(segmented) == {"teeth.seg.nrrd", "report.json", "stl"} | {
        f"stl/{path.name}" for path in (segmented / "stl").iterdir()
    }


@pytest.mark.slow
def test_most_teeth_of_a_clean_simulated_scan_are_found_and_numbered(case, segmented, tmp_path):
    scores = tmp_path / "scores.json"
    assert call("evaluate", segmented / "teeth.seg.nrrd", case / "labels.seg.nrrd", "--json", scores) == 0
    content = json.loads(scores.read_text())
    assert content["binary"]["dice"] > 0.85
    assert content["numbering"]["fdi_f1"] > 0.8


@pytest.mark.slow
def test_a_scan_stored_another_way_round_has_the_same_teeth(case, segmented, tmp_path):
    """As NIfTI, which also rounds positions to 1e-6 mm."""
    scan = sitk.ReadImage(str(case / "image.nrrd"))
    turned = sitk.Flip(sitk.PermuteAxes(scan, [2, 0, 1]), [True, False, True])
    path, report = tmp_path / "turned.nii.gz", tmp_path / "report.json"
    sitk.WriteImage(turned, str(path))
    assert call("segment", path, "--output", tmp_path / "teeth.nrrd", "--report", report) == 0
    written = sitk.ReadImage(str(tmp_path / "teeth.nrrd"))
    assert sorted(written.GetSize()) == sorted(scan.GetSize()) != list(scan.GetSize())
    before = {t["fdi"]: t for t in json.loads((segmented / "report.json").read_text(encoding="utf-8"))["teeth"]}
    after = {t["fdi"]: t for t in json.loads(report.read_text(encoding="utf-8"))["teeth"]}
    assert before and set(before) == set(after)
    for fdi, entry in before.items():
        assert after[fdi]["centroid_lps_mm"] == pytest.approx(entry["centroid_lps_mm"], abs=0.2)
        assert after[fdi]["volume_mm3"] == pytest.approx(entry["volume_mm3"], rel=0.03)


@pytest.mark.slow
def test_no_teeth_is_a_result(tmp_path, capsys):
    # A ball of water in air, with noise.
    z, y, x = np.ogrid[-24:24, -30:30, -30:30]
    array = np.where(z**2 + y**2 + x**2 < 22**2, 0, -1000) + np.random.default_rng(0).normal(0, 20, (48, 60, 60))
    scan, output, report = (tmp_path / name for name in ("ball.nrrd", "o.seg.nrrd", "r.json"))
    write_scan(scan, Volume(array.astype(np.int16), (1.0, 1.0, 1.0)))
    assert call("segment", scan, "--output", output, "--report", report, "--stl", tmp_path / "stl") == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Warning: No tooth" in printed.err
    assert not read_labels(output).array.any()
    assert json.loads(report.read_text())["teeth"] == []
    assert [path.name for path in (tmp_path / "stl").iterdir()] == ["manifest.json"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopping_leaves_nothing_behind(upper_jaw, tmp_path_factory, tmp_path, sent, status):
    front, scan = tmp_path_factory.mktemp("front") / "front.nrrd", upper_jaw[0]
    write_scan(front, crop(scan, np.s_[0:, 0 : scan.array.shape[1] // 2, 0:]))
    arguments = ["segment", front, "--output", tmp_path / "o.nrrd", "--stl", tmp_path / "stl"]
    process = subprocess.Popen(
        [TEETHSEG, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    for line in process.stderr:
        if "outline teeth" in line:
            break
    process.send_signal(sent)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert out == "" and "Traceback" not in errors
    assert tree(tmp_path) == set()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_stopping_a_simulation_leaves_whole_cases_only(tmp_path):
    arguments = ["simulate", tmp_path, "--count", 50, "--spacing", 1.5, "--clean"]
    process = subprocess.Popen([TEETHSEG, *map(str, arguments)], stderr=subprocess.PIPE, encoding="utf-8")
    for line in process.stderr:
        if "Written" in line:
            break
    time.sleep(0.5)  # in the middle of the second case
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    cases = list(tmp_path.iterdir())
    assert 1 <= len(cases) < 50
    for case in cases:
        assert case.name.startswith("case-")
        assert len(list(case.iterdir())) == 4
