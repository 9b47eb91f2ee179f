"""Numbers on simulated arches: order, sides, jaws, gaps, tilt, small fields of view, and honest confidences."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from grids import rotated_teeth
from teethseg.anatomy import PERMANENT, TEETH, arch, fdi_number, tooth
from teethseg.cascade.arch_poses import ArchRow, Poses, all_readings
from teethseg.cascade.arch_steps import closing_shares
from teethseg.cascade.arch_template import VOLUMES, place_centres
from teethseg.cascade.instance_features import InstanceEvidence
from teethseg.cascade.jaw_assignment import split_jaws
from teethseg.cascade.missing_teeth import arch_priors, mouth_prior
from teethseg.cascade.numbering import MidlinePrior, midline_of_field, number_teeth
from teethseg.cascade.numbering_parameters import FITTED
from teethseg.cascade.place_evidence import Slots
from teethseg.cascade.tooth_properties import SURE
from teethseg.simulation.centroids import simulate_evidence
from teethseg.simulation.mouths import MEAN_CENTRES, SHARES
from teethseg.volume import Volume

WITHOUT_THIRDS = [fdi for fdi in PERMANENT if fdi % 10 < 8]


def centre(fdi):
    """Mean centre of a tooth in a head at the origin: the published means, one row above the other."""
    lateral, posterior = MEAN_CENTRES[tooth(fdi).jaw][fdi % 10 - 1]
    return np.array([lateral if tooth(fdi).side == "left" else -lateral, posterior, 9.0 if fdi < 30 else -9.0])


def evidence(fdi, point=None, looks_like=None, sure=0.7, upper=None, label=None):
    """Evidence of the maps for a tooth; `looks_like` is a position if not its own."""
    position = looks_like or fdi % 10
    probabilities = np.full(8, (1 - sure) / 7)
    probabilities[position - 1] = sure
    return InstanceEvidence(
        label=label or fdi,
        volume_mm3=float("nan"),
        centroid_lps=centre(fdi) if point is None else np.asarray(point, dtype=float),
        position_log_probs=np.log(probabilities),
        upper_probability=(0.9 if fdi < 30 else 0.1) if upper is None else upper,
    )


def numbers(teeth, midline=None):
    return [found.fdi for found in number_teeth(teeth, midline)]


def mirrored_fdi(fdi):
    side = "left" if tooth(fdi).side == "right" else "right"
    return fdi_number(tooth(fdi).jaw, side, fdi % 10)


def test_expected_places_agree_with_published_means():
    for jaw, published in MEAN_CENTRES.items():
        ours = place_centres(jaw)[8:] - [0, place_centres(jaw)[8, 1]]
        assert np.linalg.norm(ours - published, axis=1).max() < 2.1
        np.testing.assert_allclose(place_centres(jaw)[::-1] * [-1, 1], place_centres(jaw))


def test_full_dentition():
    found = number_teeth([evidence(fdi) for fdi in PERMANENT])
    assert [t.fdi for t in found] == list(PERMANENT)
    assert [t.label for t in found] == list(PERMANENT)
    assert min(t.confidence for t in found) > 0.95


def test_left_is_where_x_is_large():
    found = dict(zip([41, 31, 42, 32], numbers([evidence(fdi) for fdi in (41, 31, 42, 32)]), strict=True))
    assert found == {41: 41, 31: 31, 42: 42, 32: 32}
    # The same incisors with x reversed: those on the right are now on the left.
    flipped = [evidence(fdi, centre(fdi) * [-1, 1, 1]) for fdi in (41, 31, 42, 32)]
    assert numbers(flipped) == [31, 41, 32, 42]


@pytest.mark.parametrize("seed", range(5))
def test_mirrored_input_gives_mirrored_numbers(seed):
    case = simulate_evidence(np.random.default_rng(seed), "teeth lost")
    assert set(case.fdi) != {mirrored_fdi(fdi) for fdi in case.fdi}, "not asymmetric"
    straight = number_teeth(case.evidence)
    mirrored = number_teeth([replace(t, centroid_lps=t.centroid_lps * [-1, 1, 1]) for t in case.evidence])
    for a, b in zip(straight, mirrored, strict=True):
        assert b.fdi == (mirrored_fdi(a.fdi) if a.fdi else 0)
        assert b.confidence == pytest.approx(a.confidence, abs=0.02)


def test_neither_order_nor_origin_matter():
    case = simulate_evidence(np.random.default_rng(3), "teeth lost")
    straight = numbers(case.evidence)
    assert numbers(case.evidence[::-1]) == straight[::-1]
    moved = [replace(t, centroid_lps=t.centroid_lps + np.array([300.0, -80.0, 1500.0])) for t in case.evidence]
    assert numbers(moved) == straight


@pytest.mark.parametrize(("axis", "degrees"), [(0, 30), (0, -30), (1, 30), (1, -30), (2, 20), (2, -20)])
def test_tilted_and_turned_head(axis, degrees):
    present = [fdi for fdi in WITHOUT_THIRDS if fdi not in (12, 26, 35, 36)]
    assert numbers(rotated_teeth([evidence(fdi) for fdi in present], degrees, axis)) == present


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("jaw", ["upper", "lower"])
def test_single_jaw_tilted(jaw, axis):
    present = [fdi for fdi in arch(jaw)[1:] if fdi % 10 != 5]
    assert numbers(rotated_teeth([evidence(fdi) for fdi in present], 25, axis)) == present


@pytest.mark.parametrize("gone", [(16,), (11,), (36, 46), (14, 24, 34, 44), (11, 12, 21, 22), (15, 16, 17)])
def test_missing_teeth_whose_gaps_stay(gone):
    present = [fdi for fdi in WITHOUT_THIRDS if fdi not in gone]
    assert numbers([evidence(fdi) for fdi in present]) == present


def test_premolar_taken_out_and_gap_closed():
    def point(fdi):
        # Distal of the missing 34, every tooth stands where its mesial neighbour used to.
        return centre(fdi - 1) if fdi in (35, 36, 37) else centre(fdi)

    present = [fdi for fdi in WITHOUT_THIRDS if fdi != 34]
    assert numbers([evidence(fdi, point(fdi), sure=0.85) for fdi in present]) == present


def seen(fdi, point, position):
    """A tooth whose probabilities fall from a position (fractions allowed), as those of networks do."""
    logs = -2.7 * np.abs(np.arange(1, 9) - position)
    return replace(evidence(fdi, point), position_log_probs=logs - np.log(np.exp(logs).sum()))


@pytest.mark.parametrize("looks", [0.0, 0.5])
def test_transposed_teeth_are_recognised_by_their_looks_and_never_sure_without(looks):
    """`looks`: how far each tooth resembles the owner of its place, as a fraction of one position."""
    places = {13: 14, 14: 13}
    teeth = [
        seen(fdi, centre(places.get(fdi, fdi)), fdi % 10 + looks * (places.get(fdi, fdi) - fdi))
        for fdi in WITHOUT_THIRDS
    ]
    found = {one.label: one for one in number_teeth(teeth)}
    assert {found[13].fdi, found[14].fdi} == {13, 14}
    if looks == 0:
        assert [one.fdi for one in found.values()] == WITHOUT_THIRDS
    else:
        assert max(found[13].confidence, found[14].confidence) < SURE


def test_wrong_looks_do_not_break_the_order():
    wrong = {14: 5, 15: 4, 36: 7, 22: 1, 43: 4}
    found = number_teeth([evidence(fdi, looks_like=wrong.get(fdi)) for fdi in WITHOUT_THIRDS])
    assert [t.fdi for t in found] == WITHOUT_THIRDS


def test_lower_tooth_is_not_numbered_among_upper_ones():
    teeth = [evidence(fdi, upper=0.05 if fdi == 14 else None) for fdi in WITHOUT_THIRDS if fdi < 30]
    assert numbers(teeth) == [fdi for fdi in WITHOUT_THIRDS if fdi < 30]
    tilted = rotated_teeth(
        [evidence(fdi, upper={14: 0.05, 36: 0.9, 41: 0.6}.get(fdi)) for fdi in WITHOUT_THIRDS], 25, axis=0
    )
    assert numbers(tilted) == WITHOUT_THIRDS


def test_jaws_of_open_and_closed_bites():
    for distance in (12.0, 30.0):
        points = np.array([centre(fdi) * [1, 1, distance / 18] for fdi in WITHOUT_THIRDS])
        votes = np.array([0.8 if fdi < 30 else 0.2 for fdi in WITHOUT_THIRDS])
        votes[[3, 20]] = [0.2, 0.8]
        rows = split_jaws(points, votes)
        assert [bool(upper > 0.5) for upper in rows.upper] == [fdi < 30 for fdi in WITHOUT_THIRDS]
        assert rows.normal[2] > 0.99


def test_crowded_canine_outside_its_neighbours():
    def point(fdi):
        return centre(12) + np.array([-4.0, -5.0, 3.0]) if fdi == 13 else centre(fdi)

    present = [fdi for fdi in WITHOUT_THIRDS if fdi < 30]
    assert numbers([evidence(fdi, point(fdi)) for fdi in present]) == present


def test_sure_tooth_without_a_place_is_kept_as_a_possible_extra_tooth():
    teeth = [evidence(fdi) for fdi in WITHOUT_THIRDS]
    teeth.append(evidence(11, centre(11) + np.array([3.5, 8.0, 4.0]), looks_like=1, sure=0.4, label=99))
    found = number_teeth(teeth)
    assert [t.fdi for t in found[:-1]] == WITHOUT_THIRDS
    assert not any(t.extra for t in found[:-1])
    assert found[-1].extra and found[-1].confidence <= 0.5
    assert found[-1].fdi in (51, 61)  # the nearest number that nobody has
    doubted = number_teeth([*teeth[:-1], replace(teeth[-1], tooth_probability=0.5)])
    assert (doubted[-1].fdi, doubted[-1].extra) == (0, False)


def test_impacted_canine_above_a_retained_deciduous_one():
    """Networks for permanent teeth see two canines; the one in the row is much smaller."""

    def mouth(**more):
        others = [replace(evidence(fdi, sure=0.9), volume_mm3=VOLUMES[tooth(fdi).jaw][fdi % 10 - 1]) for fdi in rest]
        small = replace(evidence(13, sure=0.9, label=1), volume_mm3=220.0, **more)
        impacted = replace(evidence(13, centre(13) + np.array([4, 3, 9]), sure=0.9, label=2), volume_mm3=570.0)
        return [*others, small, impacted]

    rest = [fdi for fdi in WITHOUT_THIRDS if fdi != 13]
    small, impacted = number_teeth(mouth())[-2:]
    assert (small.fdi, small.extra, impacted.fdi, impacted.extra) == (53, True, 13, False)
    assert max(small.confidence, impacted.confidence) < SURE
    assert numbers(mouth(touches_border=True))[-2] == 13, "its volume is unknown"


@pytest.mark.parametrize("quadrant", [1, 2, 3, 4])
def test_sextant_without_any_idea_of_the_midline(quadrant):
    present = [10 * quadrant + position for position in (3, 4, 5, 6, 7)]
    found = number_teeth([evidence(fdi) for fdi in present])
    assert [t.fdi for t in found] == present
    assert min(t.confidence for t in found) > 0.6


def test_lone_tooth():
    right = replace(evidence(46), centroid_lps=np.array([-22.0, 24.0, -9.0]))
    (guess,) = number_teeth([right])
    assert {guess.fdi, guess.second_fdi} == {36, 46}
    assert guess.confidence < 0.6  # no evidence of the side
    (known,) = number_teeth([right], MidlinePrior(0.0))
    assert known.fdi == 46
    assert known.second_fdi == 47
    (other,) = number_teeth([right], MidlinePrior(-45.0))
    assert other.fdi == 36


def test_field_of_view_tells_the_midline_only_if_it_holds_both_sides():
    head = Volume(np.zeros((5, 5, 161), np.uint8), origin=(-60.0, 0.0, 0.0))
    assert midline_of_field(head).x == 20.0
    small = Volume(np.zeros((81, 81, 81), np.uint8), origin=(-40.0, -40.0, -40.0))
    assert midline_of_field(small) is None


def test_a_small_field_that_is_turned_is_no_larger():
    turn = Rotation.from_euler("zx", (15, 15), degrees=True).as_matrix()
    small = Volume(np.zeros((81, 81, 81), np.uint8), direction=turn)
    assert np.ptp(small.extent, axis=0)[0] > 90 and midline_of_field(small) is None


def test_doubtful_tooth_names_the_other_number():
    sides = np.log(np.array([0.01, 0.01, 0.01, 0.46, 0.48, 0.01, 0.01, 0.01]))
    (found,) = number_teeth([replace(evidence(14), position_log_probs=sides)], MidlinePrior(0.0))
    assert {found.fdi, found.second_fdi} == {14, 15}
    assert found.confidence < 0.8


def test_volume_tells_a_premolar_from_a_molar():
    unsure = np.log(np.array([0.01, 0.01, 0.01, 0.01, 0.45, 0.45, 0.05, 0.01]))
    for volume, expected in ((500.0, 45), (1100.0, 46)):
        one = replace(evidence(45), position_log_probs=unsure, volume_mm3=volume)
        rest = [replace(evidence(fdi), volume_mm3=v) for fdi, v in ((41, 300.0), (42, 320.0), (43, 500.0))]
        # Halfway between both places, so that only the volume is left to decide.
        one = replace(one, centroid_lps=(centre(45) + centre(46)) / 2)
        assert numbers([*rest, one], MidlinePrior(0.0))[-1] == expected


def with_last_molar(position, lost=(), volume=850.0):
    """A mouth whose last tooth at the lower right stands in the place of 47, but may be 48."""
    present = [fdi for fdi in PERMANENT if fdi not in (47, 48, *lost)]
    last = replace(seen(48, centre(47), position), volume_mm3=volume)
    return number_teeth([*(evidence(fdi, sure=0.9) for fdi in present), last], MidlinePrior(0.0))[-1]


def test_lower_third_molars_look_nearly_like_themselves():
    assert with_last_molar(7.7, volume=700.0).fdi == 48
    assert with_last_molar(7.0, volume=1000.0).fdi == 47


def test_who_has_lost_teeth_has_often_lost_one_more():
    def chance_of_third(found):
        return found.confidence if found.fdi == 48 else 1 - found.confidence

    kept, lost = with_last_molar(7.35), with_last_molar(7.35, lost=(15, 26, 36))
    assert chance_of_third(lost) > 1.5 * chance_of_third(kept)


@pytest.mark.parametrize("jaw", ["upper", "lower"])
def test_last_molar_that_lies_deep_is_an_impacted_third_one(jaw):
    """It has moved to the second one's place, and position and volume do not tell which of the two it is."""
    quadrant = 2 if jaw == "upper" else 4
    seven, eight = 10 * quadrant + 7, 10 * quadrant + 8
    present = [fdi for fdi in PERMANENT if fdi not in (seven, eight)]

    def odds_of_third(deeper):
        point = centre(seven) + np.array([0.0, 0.0, deeper if jaw == "upper" else -deeper])
        last = replace(seen(eight, point, 7.5), volume_mm3=700.0)
        found = number_teeth([*(evidence(fdi, sure=0.9) for fdi in present), last], MidlinePrior(0.0))[-1]
        assert found.fdi in (seven, eight)
        odds = found.confidence / (1 - found.confidence)
        return odds if found.fdi == eight else 1 / odds

    assert odds_of_third(6.0) > 5 * odds_of_third(0.0)
    assert odds_of_third(6.0) > 1, "the third molar is likelier"
    assert odds_of_third(-6.0) < 2 * odds_of_third(0.0), "over-erupted, not impacted"


def test_gaps_of_other_quadrants_tell_which_tooth_is_missing():
    """Lost first molars, or absent laterals, are often lost or absent elsewhere in the mouth too."""

    def chance(fdi, missing, point, looks):
        teeth = [seen(one, centre(one), one % 10) for one in WITHOUT_THIRDS if one not in (fdi - 1, fdi, *missing)]
        found = number_teeth([*teeth, seen(fdi, point, looks)], MidlinePrior(0.0))[-1]
        return found.confidence if found.fdi == fdi else 1 - found.confidence

    # The last tooth is halfway between a first and a second molar.
    between = (centre(46) + centre(47)) / 2
    assert chance(47, (16, 26, 36), between, 6.45) > chance(47, (), between, 6.45) + 0.1
    assert chance(47, (16, 26, 36), between, 6.45) > chance(47, (15, 25, 35), between, 6.45) + 0.1


def test_shares_of_mouths_and_gaps_add_up():
    assert np.exp(mouth_prior(FITTED)).sum() == pytest.approx(1)
    for count in (1, 2, 4):
        for first in range(1, 9):
            shares = np.array(closing_shares(np.array([count]), np.array([first]), FITTED))
            assert shares.sum() == pytest.approx(1) and (shares > 0).all()
            assert shares[-1] < 0.05 or count == 1, "a gap of several teeth has hardly ever closed"


def test_readings_that_share_their_steps_differ_in_their_prior_alone():
    """Steps and errors are computed once for readings with the same `standing`."""
    seen, slots, priors = np.arange(1.0, 8.0), Slots.of("lower", with_deciduous=False), arch_priors("lower", FITTED)
    nothing = np.zeros((7, 16))
    row = ArchRow("lower", np.arange(7), MEAN_CENTRES["lower"][:7], slots, nothing, seen, nothing[:, 0], priors)
    poses = Poses.grid(np.array([-0.1, 0.1]), np.array([0.0]), np.array([0.9, 1.1]))
    readings = all_readings(row, poses, FITTED).with_pulls(FITTED)
    alike, which = readings.different
    assert len(readings.prior) == len(alike.prior) * len(priors)
    for name in ("order", "where", "pull", "log_prior"):
        np.testing.assert_array_equal(getattr(alike, name)[which], getattr(readings, name))
    np.testing.assert_array_equal(alike.poses.table[which], readings.poses.table)


def test_nothing_gives_nothing():
    assert number_teeth([]) == []


@pytest.mark.parametrize("count", [1, 2, 3, 16, 40])
def test_any_number_of_teeth_gets_distinct_numbers(count):
    rng = np.random.default_rng(count)
    teeth = [
        evidence(11, rng.normal(0, 20, 3), looks_like=int(rng.integers(1, 9)), upper=rng.random(), label=i + 1)
        for i in range(count)
    ]
    found = number_teeth(teeth)
    given = [t.fdi for t in found if t.fdi]
    assert len(found) == count
    assert len(set(given)) == len(given)
    assert set(given) <= set(TEETH)
    assert all(0 <= t.confidence <= 1 and t.second_fdi != t.fdi for t in found)


def test_every_kind_of_mouth():
    """Two mouths of each kind; check_numbering.py judges thousands."""
    right, sure = [], []
    for kind in SHARES:
        for seed in (5, 6):
            case = simulate_evidence(np.random.default_rng(seed), kind)
            midline = MidlinePrior(case.midline_x, 10.0) if case.midline_known else None
            found = number_teeth(case.evidence, midline)
            given = [t.fdi for t in found]
            assert 0 not in given, "a tooth was left out"
            assert len(set(given)) == len(given)
            right += [t.fdi == fdi for t, fdi in zip(found, case.fdi, strict=True) if fdi]
            sure += [t.confidence >= SURE for t, fdi in zip(found, case.fdi, strict=True) if fdi]
    right, sure = np.array(right), np.array(sure)
    assert right.mean() >= 0.97
    assert right[sure].mean() >= 0.995
    assert sure.mean() >= 0.85


def shared_cases():
    folder = Path(__file__).resolve().parents[2] / "shared" / "cases" / "numbering"
    return sorted(folder.glob("*.json")) or [None]


@pytest.mark.parametrize("file", shared_cases(), ids=lambda file: file.stem if file else "none")
def test_numbers_of_real_scans(file):
    """Evidence of the networks in real scans, with the numbers that a look at the scan confirms."""
    if file is None:
        pytest.skip("no development data beside this checkout")
    content = json.loads(file.read_text(encoding="utf-8"))
    teeth = [
        InstanceEvidence(
            label,
            one["volume_mm3"],
            np.array(one["centroid_lps_mm"]),
            np.array(one["position_log_probs"]),
            one["upper_probability"],
            one["tooth_probability"],
            one["touches_border"],
        )
        for label, one in enumerate(content["teeth"], 1)
    ]
    found = number_teeth(teeth, MidlinePrior(**content["midline"]) if content["midline"] else None)
    assert [
        (t.fdi, one["right_fdi"])
        for t, one in zip(found, content["teeth"], strict=True)
        if t.fdi not in one["right_fdi"]
    ] == []
