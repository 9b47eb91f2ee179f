"""Panorama and cross-sections have the right positions, and measurements in them are true."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.ndimage import center_of_mass, label

from arch_phantom import TURNED, along, phantom, tooth_places
from teethseg.arch_views import measures
from teethseg.arch_views.arches import arches_of_points, arches_of_teeth
from teethseg.arch_views.box import label_box, scan_box
from teethseg.arch_views.curve import along_teeth, through
from teethseg.arch_views.frame import dentition_frame, tooth_voxels
from teethseg.arch_views.outlines import label_place, panorama_outlines, section_outlines
from teethseg.arch_views.panorama import PanoramaOptions, panorama
from teethseg.arch_views.sections import SectionOptions, around, place_of, planes, sections

ERROR_MM = 0.2

# Beads of the head: on the arches, before and behind them, high and low.
BEADS = (
    (*along("upper", -24.0), 9.0),
    (*along("upper", 3.0), 15.0),
    (*along("upper", 21.0), 4.0),
    (*np.add(along("lower", -20.0), (-2.0, -2.5)), -6.0),
    (*np.add(along("lower", 1.0), (0.0, 3.5)), -14.0),
    (*along("lower", 27.0), -9.0),
)


@pytest.fixture(scope="module", params=[(0.0, 0.0, 0.0), TURNED], ids=["straight", "turned"])
def beaded(request):
    return phantom(request.param, BEADS)


@pytest.fixture(scope="module")
def arches(beaded):
    return arches_of_teeth(tooth_voxels(beaded.labels))


@pytest.fixture(scope="module")
def box(beaded, arches):
    return scan_box(beaded.scan, arches)


def bright(picture: np.ndarray) -> list[tuple[float, float]]:
    """Column and row of the middle of each bead in a picture."""
    height = np.clip(picture - 2500, 0, None)
    marks, count = label(height > 0)
    return [tuple(one[::-1]) for one in center_of_mass(height, marks, range(1, count + 1))]


def assert_beads(found: np.ndarray, beads: np.ndarray) -> None:
    """Every distance between beads and every angle is the true one, whichever bead is which."""
    order = [int(np.linalg.norm(found - bead, axis=1).argmin()) for bead in beads]
    assert len(set(order)) == len(beads)
    found = found[order]
    for a, b in combinations(range(len(beads)), 2):
        assert abs(measures.distance(found[a], found[b]) - measures.distance(beads[a], beads[b])) < ERROR_MM
    for a, b, c in combinations(range(len(beads)), 3):
        assert abs(measures.angle(found[a], found[b], found[c]) - measures.angle(beads[a], beads[b], beads[c])) < 1.0


def test_the_frame_is_that_of_the_head(beaded):
    frame = dentition_frame(tooth_voxels(beaded.labels))
    angles = np.degrees(np.arccos(np.clip((frame.axes * beaded.axes).sum(axis=0), -1, 1)))
    assert angles.max() < 1.0
    assert np.abs((frame.origin - beaded.origin) @ beaded.axes)[[0, 2]].max() < 0.5


def test_distances_and_angles_in_the_panorama_are_true(beaded, box, arches):
    view = panorama(box, arches, PanoramaOptions("both", 20.0, "maximum"))
    assert_beads(np.array([view.lps(*pixel) for pixel in bright(view.grey)]), beaded.beads)


@pytest.mark.parametrize(("jaws", "mine"), [("upper", BEADS[:3]), ("lower", BEADS[3:])])
def test_distances_in_the_panorama_of_one_jaw_are_true(beaded, box, arches, jaws, mine):
    view = panorama(box, arches, PanoramaOptions(jaws, 12.0, "maximum"))
    assert_beads(np.array([view.lps(*pixel) for pixel in bright(view.grey)]), beaded.lps(mine))


def test_distances_in_a_section_are_true():
    place = 12.0
    foot = along("lower", place)
    ahead = np.subtract(*along("lower", np.array([place + 0.1, place - 0.1])))
    back = np.array([-ahead[1], ahead[0]]) / np.linalg.norm(ahead)
    beads = ((*(foot - 5 * back), -5.0), (*(foot + 6 * back), -8.0), (*foot, -20.0))
    beaded = phantom(TURNED, beads)
    arches = arches_of_teeth(tooth_voxels(beaded.labels))
    options = SectionOptions("lower", thickness_mm=1.5)
    at = place_of(arches, "lower", beaded.beads.mean(axis=0))
    cut = sections(scan_box(beaded.scan, arches), arches, np.array([at]), options)[0]
    found = np.concatenate([cut.plane.lps(*pixel) for pixel in bright(cut.grey)])
    assert_beads(found, beaded.beads)


def test_columns_of_the_panorama_are_millimetres_along_the_arch():
    places = np.array([-30.0, -14.0, 2.0, 25.0])
    beads = tuple((*along("upper", place), 2.0) for place in places)
    beaded = phantom(TURNED, beads, without=tuple(tooth_places("upper")))
    clicks = beaded.lps([[*along("upper", place), 2.0] for place in np.linspace(-36, 36, 9)])
    frame = dentition_frame(tooth_voxels(beaded.labels))
    arches = arches_of_points(clicks, frame)
    for projection in ("mean", "maximum"):
        view = panorama(scan_box(beaded.scan, arches), arches, PanoramaOptions("both", 2.0, projection))
        columns = sorted(column for column, _ in bright(view.grey))
        assert np.abs(np.diff(columns) * view.geometry.step - np.diff(places)).max() < ERROR_MM


def test_pixels_lead_into_the_patient_and_back(box, arches):
    rng = np.random.default_rng(5)
    for jaws in ("upper", "lower", "both"):
        place = panorama(box.thinned(4), arches, PanoramaOptions(jaws)).geometry
        column, row = rng.uniform(0, place.columns - 1, 200), rng.uniform(0, len(place.heights) - 1, 200)
        depth = rng.uniform(-5, 5, 200)
        for got, given in zip(place.pixel(place.lps(column, row, depth)), (column, row, depth), strict=True):
            np.testing.assert_allclose(got, given, atol=0.01)
        plane = planes(box, arches, SectionOptions(jaws), [7.0])[0]
        got = plane.pixel(plane.lps(column, row))
        for one, given in zip(got, (column, row, np.zeros(200)), strict=True):
            np.testing.assert_allclose(one, given, atol=1e-6)


def test_a_section_stands_under_its_column_of_the_panorama(box, arches):
    place = panorama(box.thinned(4), arches).geometry
    for at in (-20.0, 0.0, 17.5):
        column = (at - place.first_mm) / place.step
        points = place.lps(np.full(9, column), np.linspace(2, len(place.heights) - 3, 9), np.linspace(-4, 4, 9))
        plane = planes(box, arches, SectionOptions("both"), [at])[0]
        assert np.abs(plane.pixel(points)[2]).max() < 0.01


def test_the_right_of_the_patient_is_on_the_left_and_up_is_up(beaded, box, arches):
    place = panorama(box, arches).geometry
    right, left = place.lps([5, place.columns - 6], [50, 50])
    assert (left - right) @ beaded.axes[:, 0] > 30
    high, low = place.lps([100, 100], [5, len(place.heights) - 6])
    assert (high - low) @ beaded.axes[:, 2] > 20
    plane = planes(box, arches, SectionOptions("upper"), [0.0])[0]
    lips, tongue = plane.lps([0, plane.shape[1] - 1], [30, 30])
    assert (tongue - lips) @ beaded.axes[:, 1] > 20  # lips on the left, as sections of the front teeth are shown


def test_teeth_are_outlined_where_they_are_with_their_numbers(beaded, box, arches):
    labels = label_box(beaded.labels, box)
    view = panorama(box, arches)
    found = panorama_outlines(labels, view.geometry)
    assert set(found) == {*tooth_places("upper"), *tooth_places("lower")}
    for jaw in ("upper", "lower"):
        places = {fdi: label_place(found[fdi])[0] for fdi in tooth_places(jaw)}
        assert sorted(places, key=places.get) == sorted(tooth_places(jaw), key=tooth_places(jaw).get)
    for voxels in tooth_voxels(beaded.labels):
        column, row, _ = view.geometry.pixel(voxels.centre)
        assert np.hypot(*np.subtract(label_place(found[voxels.fdi]), (column[0], row[0]))) * box.step < 1.5
        lines = np.concatenate(found[voxels.fdi])
        assert abs(np.ptp(lines[:, 1]) * box.step - 18.0) < 1.5  # the outline has the tooth's height
    at = place_of(arches, "both", tooth_voxels(beaded.labels)[0].centre)
    cut = planes(box, arches, SectionOptions("both"), [at])[0]
    assert 11 in section_outlines(labels, cut, arches, "both")


def test_a_thin_slab_shows_only_what_is_in_it(beaded, box, arches):
    off = beaded.beads[4]  # 3.5 mm behind the lower arch
    for slab, shown in ((2.0, False), (12.0, True)):
        view = panorama(box, arches, PanoramaOptions("lower", slab, "maximum"))
        column, row, _ = view.geometry.pixel(off)
        assert (view.grey[round(row[0]), round(column[0])] > 4000) == shown


def test_slabs_have_a_least_and_a_greatest_thickness():
    assert PanoramaOptions(slab_mm=0.1).slab_mm == 1.0
    assert PanoramaOptions(slab_mm=90).slab_mm == 25.0


def test_a_dragged_handle_moves_what_is_seen(beaded, box, arches):
    curve = arches.curve("upper")
    moved = arches.with_curve("upper", curve.moved(4, curve.handles[4] + (0.0, 6.0)))
    before, after = (panorama(box, one, PanoramaOptions("upper", 2.0)) for one in (arches, moved))
    middle = before.geometry.pixel(beaded.lps([0.0, -20.0, 9.0]))
    assert before.grey[round(middle[1][0]), round(middle[0][0])] > 900
    middle = after.geometry.pixel(beaded.lps([0.0, -14.0, 9.0]))
    assert abs(middle[2][0]) < 1.0
    assert after.grey[round(middle[1][0]), round(middle[0][0])] < 500  # behind the teeth
    assert moved.lower is arches.lower


def test_sections_lie_on_one_raster():
    arches = arches_of_teeth(tooth_voxels(phantom().labels))
    options = SectionOptions("upper", distance_mm=3.0)
    places = around(arches, options, 10.4, 5)
    np.testing.assert_allclose(places, [3, 6, 9, 12, 15])
    assert max(around(arches, options, 200.0, 5), default=0) <= arches.curve("upper").ends[1] + 15


def test_clicks_may_come_in_either_direction_and_need_three():
    clicks = [[-20, 10, 0], [0, -10, 1], [22, 12, 0]]
    one, other = arches_of_points(clicks), arches_of_points(clicks[::-1])
    np.testing.assert_allclose(one.curve("both").handles, other.curve("both").handles)
    assert arches_of_points(clicks[:2]) is None
    assert through([[0, 0], [0, 0], [5, 5]]) is None


def test_no_arch_without_teeth_and_none_of_a_few():
    assert arches_of_teeth([]) is None
    some = [one for one in tooth_voxels(phantom().labels) if one.fdi in (11, 12, 21)]
    assert arches_of_teeth(some) is None
    assert along_teeth([[0, 0], [1, 0], [2, 0], [3, 0]]) is None


def test_one_jaw_alone_has_its_arch():
    upper = phantom(TURNED, without=tuple(tooth_places("lower")))
    arches = arches_of_teeth(tooth_voxels(upper.labels))
    assert arches.single
    assert arches.heights["both"] == arches.heights["upper"]
    angles = np.degrees(np.arccos(np.clip((arches.frame.axes * upper.axes).sum(axis=0), -1, 1)))
    assert angles.max() < 2.0


def test_a_tooth_far_off_the_arch_does_not_bend_it():
    centres = np.array([along("upper", place) for place in tooth_places("upper").values()])
    straight = along_teeth(centres)
    bent = along_teeth(np.concatenate([centres, [[6.0, 2.0]]]))  # an impacted canine in the palate
    at = np.linspace(-30, 30, 40)
    assert np.abs(straight.at(at) - bent.at(at)).max() < 0.5


def test_distance_angle_and_length():
    assert measures.distance([0, 0, 0], [3, 4, 12]) == 13.0
    assert measures.angle([1, 0, 0], [0, 0, 0], [0, 2, 0]) == pytest.approx(90)
    assert measures.angle([1, 0, 0], [0, 0, 0], [-1, 1e-9, 0]) == pytest.approx(180)
    assert np.isnan(measures.angle([1, 0, 0], [1, 0, 0], [0, 2, 0]))
    assert measures.length([[0, 0, 0], [3, 4, 0], [3, 4, 2]]) == 7.0
