"""The public API, as a script uses it: from a file to numbers, surfaces and scores."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import teethseg
from teethseg.errors import InputError
from teethseg.io.files import write_labels, write_scan

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def case(tmp_path_factory, upper_jaw) -> Path:
    """The files of a small simulated scan and its teeth."""
    folder, (scan, labels) = tmp_path_factory.mktemp("api"), upper_jaw
    write_scan(folder / "image.nrrd", scan)
    write_labels(folder / "labels.seg.nrrd", labels)
    return folder


@pytest.fixture(scope="module")
def scan(case) -> teethseg.Volume:
    return teethseg.read_scan(case / "image.nrrd")


@pytest.fixture(scope="module")
def truth(case) -> teethseg.Volume:
    return teethseg.read_labels(case / "labels.seg.nrrd")


def test_every_public_name_is_there_and_documented():
    for name in teethseg.__all__:
        value = getattr(teethseg, name)
        assert isinstance(value, str) or value.__doc__, name
    with pytest.raises(AttributeError, match="nothing"):
        _ = teethseg.nothing


@pytest.mark.parametrize("name", [name for name in teethseg.__all__ if name.islower() and not name.startswith("_")])
def test_every_public_function_has_numpydoc_sections(name):
    function = getattr(teethseg, name)
    signature, documentation = inspect.signature(function), inspect.getdoc(function)
    sections = dict(re.findall(r"^(\w+)\n-+\n(.*?)(?=\n\n\w+\n-+\n|\Z)", documentation, re.DOTALL | re.MULTILINE))
    named = re.findall(r"^(\w+(?:, \w+)*) :", sections["Parameters"], re.MULTILINE)
    assert [one for names in named for one in names.split(", ")] == list(signature.parameters)
    assert "teethseg.errors." in sections["Raises"]
    assert ("Returns" in sections) == (signature.return_annotation != "None")


def test_importing_it_costs_nothing():
    code = "import sys, teethseg; print({'numpy', 'torch', 'SimpleITK', 'vtkmodules'} & set(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        env={"PYTHONPATH": str(REPOSITORY / "TeethSeg")},
    )
    assert run.stdout.strip() == "set()", run.stderr


@pytest.mark.slow
def test_from_a_file_to_surfaces_and_scores(case, scan, truth, tmp_path):
    steps = []
    found = teethseg.segment(case / "image.nrrd", device="cpu", progress=lambda step, done, total: steps.append(step))
    assert isinstance(found, teethseg.Dentition)
    assert found.labels.array.shape == scan.array.shape
    assert "number teeth" in steps
    scores = teethseg.evaluate(found, case / "labels.seg.nrrd")
    assert scores.binary.dice > 0.8

    exported = teethseg.export_surfaces(found, tmp_path / "stl", notation="universal")
    assert len(list((tmp_path / "stl").glob("*.stl"))) == len(found.teeth)
    assert exported.manifest["space"] == "LPS"

    teethseg.write_labels(tmp_path / "teeth.seg.nrrd", found)
    assert np.array_equal(teethseg.read_labels(tmp_path / "teeth.seg.nrrd").array, found.labels.array)


@pytest.mark.slow
def test_outlines_of_another_program_get_numbers(scan, truth):
    """Arbitrary values, on a scan whose left and right teeth differ, are mapped to the right numbers."""
    present = [int(value) for value in np.unique(truth.array) if value]
    shuffled = np.zeros(256, np.uint16)
    shuffled[present] = np.random.default_rng(1).permutation(len(present)) + 300
    found = teethseg.number(scan, truth.with_array(shuffled[truth.array]), device="cpu")
    right = [fdi for fdi in present if (found.labels.array[truth.array == fdi] == fdi).all()]
    assert len(right) >= 0.9 * len(present)
    assert {tooth.fdi for tooth in found.teeth} == set(np.unique(found.labels.array).tolist()) - {0}


def test_outlines_on_another_grid_are_refused(scan, truth):
    with pytest.raises(InputError, match="another grid"):
        teethseg.number(scan, teethseg.Volume(truth.array[1:], truth.spacing, truth.origin, truth.direction))


def test_more_outlines_than_a_mouth_has_teeth_are_refused(scan, truth):
    many = np.arange(truth.array.size, dtype=np.int32).reshape(truth.array.shape) % 100
    with pytest.raises(InputError, match="have 99 values, more than a mouth has teeth"):
        teethseg.number(scan, truth.with_array(many))


def test_no_outline_is_an_empty_dentition(scan, truth):
    found = teethseg.number(scan, truth.with_array(np.zeros_like(truth.array)))
    assert found.teeth == ()
    assert "No tooth is outlined." in found.warnings
