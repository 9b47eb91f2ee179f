"""Measures for planning on simulated jaws with teeth of known shapes and places; docs/figures.md has their bounds."""

from __future__ import annotations

import numpy as np
import pytest

import benchmark_measures


@pytest.fixture(scope="module")
def errors() -> dict[tuple[str, str], np.ndarray]:
    """By truth and measure, of an upper jaw sampled at 0.5 mm."""
    rows = benchmark_measures.errors_of(1000, 0.5, ("upper",))
    return {key: np.array([row[3] for row in rows if row[1:3] == key]) for key in {row[1:3] for row in rows}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("measure", "median", "p90"),
    [
        ("length, mm", 0.6, 0.9),
        ("crown width, mm", 0.15, 0.4),
        ("crown breadth, mm", 0.15, 0.4),
        ("volume, %", 1.0, 5.0),  # overlapping teeth share the voxels that both claim
        ("long axis, degrees", 0.5, 1.5),
        ("angulation, degrees", 0.6, 1.5),
        ("inclination, degrees", 0.6, 1.5),
        ("gap to a neighbour, mm", 0.15, 0.4),
    ],
)
def test_errors_against_the_exact_shapes(errors, measure, median, p90):
    found = np.abs(errors["shape", measure])
    assert len(found) >= 8
    assert np.median(found) < median and np.quantile(found, 0.9) < p90


@pytest.mark.slow
def test_angles_follow_how_the_teeth_were_built(errors):
    """Roots may lean and bend from a tooth's axis by the tolerance. A wrong sign or side is off by twice the angle."""
    assert np.median(errors["building", "long axis, degrees"]) < 6
    for measure in ("angulation, degrees", "inclination, degrees"):
        found = errors["building", measure]
        assert abs(np.median(found)) < 6 and np.quantile(np.abs(found), 0.9) < 10


def test_the_built_angles_are_those_of_a_tooth_that_is_tipped():
    from teethseg.simulation.arch import ArchCurve, PlacedTooth, SimulatedDentition
    from teethseg.simulation.parametric import parametric_tooth

    curve = ArchCurve(200, 1, 3)  # nearly straight
    shape = parametric_tooth("upper", 1, np.random.default_rng(0))
    tip, lean = np.radians(12), np.radians(20)
    for fdi, mesial in ((11, 1.0), (21, -1.0)):  # mesial of the right tooth is the patient's left, +x
        matrix = np.eye(4)
        matrix[:3, 2] = (-mesial * np.tan(tip), np.tan(lean), 1)  # the crown, below, to mesial and to the lip, -y
        matrix[:3, 3] = (-mesial * 4, 0, 0)
        one = benchmark_measures.Exact(PlacedTooth(fdi, shape, matrix))
        dentition = SimulatedDentition({"upper": curve, "lower": curve}, {}, ())
        assert benchmark_measures.built_angles(one, dentition) == pytest.approx((12, 20), abs=1.0)
