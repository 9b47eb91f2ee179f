"""Measures and flags of found teeth."""

from __future__ import annotations

import numpy as np
import pytest

from teethseg.anatomy import PERMANENT, arch, tooth
from teethseg.cascade.arch_template import VOLUMES, place_centres
from teethseg.cascade.dentition import GAP_BEFORE, TOUCHES_BORDER, UNCERTAIN_NUMBER, UNUSUAL_VOLUME
from teethseg.cascade.numbering import NumberedTooth
from teethseg.cascade.orientation import ORIENTATIONS
from teethseg.cascade.tooth_properties import LabelMeasures, describe, measure, room_before, room_between
from teethseg.volume import Volume


def usual(fdi):
    place = arch(tooth(fdi).jaw).index(fdi)
    lateral, posterior = place_centres(tooth(fdi).jaw)[place]
    return LabelMeasures(
        VOLUMES[tooth(fdi).jaw][fdi % 10 - 1], (lateral, posterior, 9.0 if fdi < 30 else -9.0), touches_border=False
    )


def flags(fdis, changed=None, confidence=0.999):
    measures = {fdi: usual(fdi) for fdi in fdis} | (changed or {})
    numbered = [NumberedTooth(i, fdi, confidence) for i, fdi in enumerate(fdis, 1)]
    return {found.fdi: found.flags for found in describe(numbered, measures) if found.flags}


def test_usual_teeth_have_no_flags():
    assert flags(PERMANENT) == {}


@pytest.mark.parametrize(
    ("gone", "flagged"),
    [
        ((36,), {37}),
        ((11,), {12}),
        ((11, 21), {12, 22}),
        ((31, 32), {33}),
        ((14, 15), {16}),
        ((18, 28, 38, 48), set()),
        ((45, 24), {46, 25}),
    ],
)
def test_gap_is_recognised_by_the_tooth_behind_it(gone, flagged):
    found = flags([fdi for fdi in PERMANENT if fdi not in gone])
    assert found == dict.fromkeys(flagged, (GAP_BEFORE,))


def test_closed_gap_is_none():
    moved = {fdi: LabelMeasures(usual(fdi).volume_mm3, usual(fdi - 1).centroid_lps_mm, False) for fdi in (35, 36, 37)}
    present = [fdi for fdi in PERMANENT if fdi not in (34, 38)]
    # A premolar's room is a premolar wide; behind it everything has moved up by about one tooth.
    assert 35 not in flags(present, moved)


def test_room_is_measured_in_the_occlusal_plane():
    centroids = {fdi: usual(fdi).centroid_lps_mm for fdi in PERMANENT if fdi % 10 < 8}
    straight = room_before(centroids)
    assert max(straight.values()) < 1
    x, y, z = centroids[17]
    assert room_before(centroids | {17: (x, y, z + 9)})[17] < 2  # unerupted, not far behind
    tilt = np.radians(25)
    matrix = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    tilted = room_before({fdi: matrix @ c for fdi, c in centroids.items()})
    assert tilted == pytest.approx(straight, abs=0.3)


def test_flags_of_one_tooth():
    (lower, upper) = describe(
        [NumberedTooth(1, 36, 0.7, 37), NumberedTooth(2, 11, 0.999)],
        {36: LabelMeasures(400.0, (0, 0, 0), False), 11: LabelMeasures(100.0, (0, 0, 20), True)},
    )[::-1]
    assert (lower.fdi, lower.second_fdi, lower.flags) == (36, 37, (UNCERTAIN_NUMBER, UNUSUAL_VOLUME))
    # Small because it is cut: its own flag says so.
    assert (upper.fdi, upper.flags, upper.touches_border) == (11, (TOUCHES_BORDER,), True)


def test_teeth_without_number_or_voxels_are_left_out():
    numbered = [NumberedTooth(1, 0, 0.9), NumberedTooth(2, 11, 0.9), NumberedTooth(3, 12, 0.9)]
    assert [found.fdi for found in describe(numbered, {11: usual(11)})] == [11]
    assert describe([], {}) == ()


def test_measures_in_an_oblique_volume():
    labels = np.zeros((12, 14, 16), np.uint8)
    labels[2:5, 3:7, 4:9] = 23
    labels[8:12, 6:10, 6:10] = 41
    direction = np.array([[0.0, -1, 0], [-1, 0, 0], [0, 0, 1]])
    volume = Volume(labels, (0.5, 0.4, 2.0), (10.0, 20.0, 30.0), direction)
    found = measure(volume)
    assert set(found) == {23, 41}
    assert found[23].volume_mm3 == pytest.approx(3 * 4 * 5 * 0.4)
    # i, j, k of the centre are 6, 4.5, 3; i runs along -y, j along -x.
    assert found[23].centroid_lps_mm == pytest.approx((10 - 4.5 * 0.4, 20 - 6 * 0.5, 30 + 3 * 2.0))
    assert not found[23].touches_border
    assert found[41].touches_border


def test_edge_of_a_round_field_of_view():
    labels = np.zeros((10, 20, 20), np.uint8)
    labels[3:6, 9:12, 1:4] = 17
    labels[3:6, 9:12, 9:12] = 11
    y, x = np.indices((20, 20))
    inside = np.broadcast_to(np.hypot(y - 10, x - 10) < 9.5, labels.shape)
    found = measure(Volume(np.where(inside, labels, 0)), inside)
    assert found[17].touches_border
    assert not found[11].touches_border


@pytest.mark.parametrize("way", ORIENTATIONS, ids=str)
def test_gaps_are_those_of_the_patient_however_the_file_lies(way):
    """Findings ('room between 14 and 17') come from numbers and places alone; no file may turn heights into room."""
    present = [fdi for fdi in PERMANENT if fdi % 10 < 8 and fdi not in (15, 16, 41)]
    straight = {fdi: np.array(usual(fdi).centroid_lps_mm) for fdi in present}
    expected = room_between(straight)
    matrix = np.array(way.matrix, float)
    for file in (matrix, matrix @ np.diag([1, 1, -1.0])):
        found = room_between({fdi: file @ place for fdi, place in straight.items()})
        assert [row[:2] for row in found] == [row[:2] for row in expected]
        np.testing.assert_allclose([row[2] for row in found], [row[2] for row in expected], atol=0.3)
    few = {fdi: np.array(usual(fdi).centroid_lps_mm) for fdi in (36, 37)}
    assert room_between({fdi: matrix @ place for fdi, place in few.items()})[0][2] < 3
