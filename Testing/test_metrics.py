"""Scores against hand-computed values, a brute-force surface distance, and panoptica."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist

from teethseg.anatomy import PERMANENT
from teethseg.errors import InputError
from teethseg.evaluation.metrics import (
    are_mirrored,
    are_neighbours,
    check_same_grid,
    evaluate,
    match_teeth,
    overlap_counts,
)
from teethseg.evaluation.report import print_report, to_json
from teethseg.evaluation.surface_distance import surface, surface_distances
from teethseg.volume import Volume

SPACING = (0.3, 0.4, 0.7)  # (i, j, k): no two alike, so that swapped axes show


def volume(array, spacing=SPACING, **place):
    return Volume(np.asarray(array, dtype=np.uint8), spacing, **place)


def blocks(*teeth, shape=(20, 30, 40)):
    """Label map with boxes: (number, z slice, y slice, x slice)."""
    array = np.zeros(shape, np.uint8)
    for number, *place in teeth:
        array[tuple(slice(*p) for p in place)] = number
    return array


def row_of_teeth(numbers, width=5):
    """Equal boxes side by side along x, from the patient's right to the left."""
    return blocks(
        *((n, (5, 15), (5, 15), (width * i, width * (i + 1))) for i, n in enumerate(numbers)),
        shape=(20, 20, width * len(numbers)),
    )


def random_teeth(seed, shape=(24, 30, 36)):
    """A label map of ellipsoids, and another one made from it by moving, growing, dropping and renumbering them."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    reference, prediction = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    numbers = rng.permutation([11, 12, 13, 21, 22, 31, 36, 41, 46, 47])
    for number in numbers[:8]:
        centre, radius = rng.uniform(3, np.array(shape) - 3), rng.uniform(2.5, 6, 3)
        reference[(((grid - centre) / radius) ** 2).sum(-1) < 1] = number
        if rng.random() < 0.85:
            centre, radius = centre + rng.normal(0, 0.6, 3), radius * rng.uniform(0.85, 1.15, 3)
            called = number if rng.random() < 0.7 else rng.choice(numbers)
            prediction[(((grid - centre) / radius) ** 2).sum(-1) < 1] = called
    return reference, prediction


def brute_force_distances(first, second, spacing):
    """Every surface voxel against every other one; surfaces by erosion."""
    points = [np.argwhere(m & ~binary_erosion(m)) * np.asarray(spacing) for m in (first, second)]
    table = cdist(*points)
    return table.min(axis=1), table.min(axis=0)


# Surface distances


@pytest.mark.parametrize("seed", range(4))
def test_surface_distances_equal_brute_force(seed):
    reference, prediction = random_teeth(seed)
    spacing = SPACING[::-1]
    distances = surface_distances(prediction > 0, reference > 0, spacing)
    there, back = brute_force_distances(prediction > 0, reference > 0, spacing)
    np.testing.assert_allclose(distances.first_to_second, there, atol=1e-9)
    np.testing.assert_allclose(distances.second_to_first, back, atol=1e-9)
    both = np.concatenate([there, back])
    assert distances.average() == pytest.approx(both.mean())
    assert distances.hausdorff_95() == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert distances.normalised_surface_dice(0.5) == pytest.approx((both <= 0.5 + 1e-6).mean())


def test_surface_of_noise_and_at_the_edge_of_the_array():
    mask = np.random.default_rng(0).random((9, 8, 7)) < 0.8
    np.testing.assert_array_equal(surface(mask), mask & ~binary_erosion(mask))
    assert surface(np.ones((3, 3, 3), bool)).sum() == 26


def test_a_distance_equal_to_the_tolerance_is_within_it():
    mask = np.zeros((3, 3, 30), bool)
    first, second = mask.copy(), mask.copy()
    first[1, 1, 3], second[1, 1, 8] = True, True  # 5 voxels of 0.1 mm: not exactly 0.5 in floating point
    distances = surface_distances(first, second, (1, 1, 0.1))
    assert distances.normalised_surface_dice(0.5) == 1
    assert distances.normalised_surface_dice(0.49) == 0


def test_shifted_cube_by_hand():
    # 10 x 10 x 10 voxels of 1 mm, moved by 2 along x: 800 of 1000 voxels are common.
    reference = blocks((11, (5, 15), (5, 15), (5, 15)))
    prediction = blocks((11, (5, 15), (5, 15), (7, 17)))
    result = evaluate(volume(prediction, (1, 1, 1)), volume(reference, (1, 1, 1)))
    assert result.binary.dice == pytest.approx(0.8)
    assert result.instances.sq == pytest.approx(800 / 1200)
    assert result.instances.sq_dice == pytest.approx(0.8)
    assert result.teeth[0].volume_error_percent == pytest.approx(0)
    # A cube has 488 surface voxels. Its four sides along x share 8 of 10 rows of 36 with the other cube's sides; of the
    # voxels of its two ends, all are at least 1 mm away. No voxel is farther than 2 mm.
    assert result.binary.nsd_05 == pytest.approx(288 / 488)
    assert result.binary.hd95_mm == pytest.approx(2)


def test_spacing_is_used_along_the_right_axis():
    reference = blocks((11, (5, 15), (5, 15), (5, 15)))
    for axis, spacing in enumerate(SPACING[::-1]):
        moved = np.roll(reference, 1, axis)
        result = evaluate(volume(moved), volume(reference))
        assert result.binary.hd95_mm == pytest.approx(spacing)


def test_volume_error_has_a_sign():
    reference = blocks((11, (5, 15), (5, 15), (5, 15)))
    smaller = blocks((11, (5, 15), (5, 15), (5, 14)))
    assert evaluate(volume(smaller), volume(reference)).teeth[0].volume_error_percent == pytest.approx(-10)
    assert evaluate(volume(reference), volume(smaller)).teeth[0].volume_error_percent == pytest.approx(100 / 9)


# Against panoptica


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(6))
def test_instances_equal_panoptica(seed):
    panoptica = pytest.importorskip("panoptica")
    reference, prediction = random_teeth(seed)
    oracle = panoptica.Panoptica_Evaluator(
        expected_input=panoptica.InputType.UNMATCHED_INSTANCE,
        instance_matcher=panoptica.NaiveThresholdMatching(panoptica.Metric.IOU, 0.5),
        instance_metrics=[panoptica.Metric.IOU, panoptica.Metric.DSC, panoptica.Metric.RVD],
        global_metrics=[panoptica.Metric.DSC],
    ).evaluate(prediction, reference, voxelspacing=SPACING[::-1])["ungrouped"]
    result = evaluate(volume(prediction), volume(reference))
    scores = result.instances
    assert scores.matched >= 2
    assert (scores.reference, scores.predicted, scores.matched) == (
        oracle.n_ref_instances,
        oracle.n_pred_instances,
        oracle.tp,
    )
    assert scores.f1 == pytest.approx(oracle.rq)
    assert scores.precision == pytest.approx(oracle.prec)
    assert scores.recall == pytest.approx(oracle.rec)
    assert (scores.sq, scores.pq) == pytest.approx((oracle.sq, oracle.pq))
    assert (scores.sq_dice, scores.pq_dice) == pytest.approx((oracle.sq_dsc, oracle.pq_dsc))
    assert result.binary.dice == pytest.approx(oracle.global_bin_dsc)
    errors = [t.volume_error_percent / 100 for t in result.teeth if t.iou is not None]
    assert np.mean(errors) == pytest.approx(oracle.sq_rvd)


@pytest.mark.filterwarnings("ignore")
def test_assd_equals_panoptica():
    # panoptica takes the mean of the two directions' means, TeethSeg the mean over both surfaces pooled. The two values
    # are equal where both surfaces have the same number of voxels, as after a move.
    panoptica = pytest.importorskip("panoptica")
    reference = np.zeros((24, 30, 36), np.uint8)
    for number, (z, y, x), radius in ((11, (8, 9, 9), 6), (21, (12, 20, 25), 7)):
        k, j, i = np.ogrid[:24, :30, :36]
        reference[(k - z) ** 2 + (j - y) ** 2 + (i - x) ** 2 < radius**2] = number
    prediction = np.roll(reference, (1, -1, 2), (0, 1, 2))
    oracle = panoptica.Panoptica_Evaluator(
        expected_input=panoptica.InputType.MATCHED_INSTANCE, instance_metrics=[panoptica.Metric.ASSD]
    ).evaluate(prediction, reference, voxelspacing=SPACING[::-1])["ungrouped"]
    result = evaluate(volume(prediction), volume(reference))
    assert np.mean([t.assd_mm for t in result.teeth]) == pytest.approx(oracle.sq_assd)
    assert result.teeth[0].assd_mm > 0.1


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_a_tooth_equal_brute_force(seed):
    reference, prediction = random_teeth(seed)
    judged = [t for t in evaluate(volume(prediction), volume(reference)).teeth if t.iou is not None]
    for tooth in judged:
        there, back = brute_force_distances(prediction == tooth.predicted_fdi, reference == tooth.fdi, SPACING[::-1])
        both = np.concatenate([there, back])
        assert tooth.assd_mm == pytest.approx(both.mean())
        assert tooth.nsd_05 == pytest.approx((both <= 0.5 + 1e-6).mean())
    assert len(judged) >= 2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("shift", "growth", "by_area"),
    [((0.4, 0.3, 0.0), 0.2, 0.946), ((0.0, 0.0, 0.0), 0.6, 0.636), ((0.5, 0.5, 0.5), -0.3, 0.669)],
)
def test_nsd_equals_monais_and_is_stricter_than_one_weighted_by_area(shift, growth, by_area):
    """Ellipsoids as large as a tooth, in voxels of 0.4 mm; `by_area` is MONAI's value with `use_subvoxels`."""
    import torch
    from monai.metrics import compute_surface_dice

    z, y, x = np.meshgrid(*(0.4 * np.arange(count) for count in (64, 40, 36)), indexing="ij")

    def ellipsoid(centre, more):
        return sum(((a - c) / (r + more)) ** 2 for a, c, r in zip((z, y, x), centre, (10, 4.5, 4), strict=True)) < 1

    middle = np.array([12.5, 7.8, 7.0])
    reference, prediction = ellipsoid(middle, 0.0), ellipsoid(middle + shift, growth)
    ours = surface_distances(prediction, reference, (0.4,) * 3).normalised_surface_dice(0.5)
    masks = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (prediction, reference)]
    theirs = {
        weighted: float(
            compute_surface_dice(*masks, [0.5], include_background=True, spacing=(0.4,) * 3, use_subvoxels=weighted)
        )
        for weighted in (False, True)
    }
    assert ours == pytest.approx(theirs[False], abs=1e-6)
    assert theirs[True] == pytest.approx(by_area, abs=0.01)
    assert ours < by_area


# Numbers


def test_a_perfect_prediction():
    reference = volume(row_of_teeth([13, 12, 11, 21, 22]))
    result = evaluate(reference, reference)
    assert result.binary.dice == result.binary.nsd_05 == result.instances.pq == result.numbering.fdi_f1 == 1
    assert result.binary.hd95_mm == 0
    assert result.numbering.arches_right == {"upper": True}
    assert (result.missed, result.unmatched) == ((), ())


def test_sides_swapped():
    numbers = [13, 12, 22, 23, 24]
    called = [23, 22, 12, 13, 14]
    result = evaluate(volume(row_of_teeth(called)), volume(row_of_teeth(numbers))).numbering
    assert (result.swapped_sides, result.shifted_by_one) == (5, 0)
    assert (result.position_accuracy, result.jaw_accuracy, result.fdi_accuracy, result.fdi_f1) == (1, 1, 0, 0)
    assert result.arches_right == {"upper": False}


def test_shifted_by_one_also_across_the_midline():
    numbers = [43, 42, 41, 31, 32]
    called = [44, 43, 42, 41, 31]
    result = evaluate(volume(row_of_teeth(called)), volume(row_of_teeth(numbers))).numbering
    assert result.shifted_by_one == 5
    assert result.swapped_sides == 1  # 31 labelled 41 is both errors
    assert result.position_accuracy == pytest.approx(1 / 5)


def test_wrong_jaw():
    result = evaluate(volume(row_of_teeth([46, 45])), volume(row_of_teeth([16, 15]))).numbering
    assert (result.jaw_accuracy, result.position_accuracy, result.fdi_accuracy) == (0, 1, 0)
    assert (result.shifted_by_one, result.swapped_sides) == (0, 0)


def test_one_wrong_number_spoils_its_arch_only():
    reference = row_of_teeth([17, 16, 15, 46, 45])
    prediction = row_of_teeth([18, 16, 15, 46, 45])
    result = evaluate(volume(prediction), volume(reference))
    assert result.numbering.arches_right == {"upper": False, "lower": True}
    assert result.numbering.fdi_accuracy == pytest.approx(0.8)
    assert result.numbering.fdi_f1 == pytest.approx(0.8)
    assert result.instances.f1 == 1
    tolerant = evaluate(volume(prediction), volume(reference), {"number_tolerance": {"17": [17, 18]}})
    assert tolerant.numbering.fdi_f1 == tolerant.numbering.position_accuracy == 1
    assert tolerant.numbering.arches_right == {"upper": True, "lower": True}
    assert tolerant.numbering.shifted_by_one == 0


def test_an_extra_tooth_spoils_its_arch():
    reference = row_of_teeth([12, 11, 0, 46])
    prediction = row_of_teeth([12, 11, 21, 46])
    result = evaluate(volume(prediction), volume(reference))
    assert result.numbering.arches_right == {"upper": False, "lower": True}
    assert result.unmatched == (21,)
    assert result.instances.precision == pytest.approx(0.75)
    assert result.instances.recall == 1
    assert result.numbering.fdi_f1 == pytest.approx(6 / 7)


@pytest.mark.parametrize(
    ("first", "second", "neighbours", "mirrored"),
    [
        (11, 12, True, False),
        (18, 17, True, False),
        (11, 21, True, True),
        (31, 41, True, True),
        (51, 61, True, True),
        (16, 26, False, True),
        (54, 64, False, True),
        (11, 13, False, False),
        (12, 21, False, False),
        (11, 41, False, False),
        (54, 14, False, False),
        (54, 24, False, False),
        (55, 14, False, False),
    ],
)
def test_neighbours_and_mirrors(first, second, neighbours, mirrored):
    assert are_neighbours(first, second) is are_neighbours(second, first) is neighbours
    assert are_mirrored(first, second) is are_mirrored(second, first) is mirrored


# Merges, splits, matching


def test_merged_teeth():
    reference, prediction = row_of_teeth([12, 11, 21]), row_of_teeth([12, 12, 21])
    result = evaluate(volume(prediction), volume(reference))
    assert (result.instances.merges, result.instances.splits) == (1, 0)
    # The merged object is exactly twice as large as each tooth: its IoU is 0.5 with both. It is matched with the tooth
    # that has its number.
    assert result.missed == (11,)
    assert result.teeth[1].predicted_fdi == 12 and result.teeth[1].number_right


def test_split_tooth():
    reference = blocks((16, (5, 15), (5, 15), (5, 15)), (15, (5, 15), (5, 15), (20, 30)))
    prediction = reference.copy()
    prediction[5:12, 5:15, 5:15] = 17
    result = evaluate(volume(prediction), volume(reference))
    assert (result.instances.merges, result.instances.splits) == (0, 1)
    assert {t.fdi: t.predicted_fdi for t in result.teeth} == {15: 15, 16: 17}
    assert result.unmatched == (16,)
    prediction = reference.copy()
    prediction[5:6, 5:15, 5:14] = 17  # 9 % of the tooth: a fleck, no split
    assert evaluate(volume(prediction), volume(reference)).instances.splits == 0


def test_two_halves_at_exactly_one_half_prefer_the_accepted_number():
    reference = row_of_teeth([17, 17])
    counts = overlap_counts(reference, row_of_teeth([16, 18]))
    assert match_teeth(counts) == {17: 16}
    assert match_teeth(counts, {17: {17, 18}}) == {17: 18}
    just_less = reference.copy()
    just_less[5, 5, :] = 0
    assert match_teeth(overlap_counts(reference, np.where(row_of_teeth([1, 0]), just_less, 0))) == {}


# Left-out teeth, empty label maps


def test_grade_c_is_found_and_numbered_but_its_outline_is_not_judged():
    reference = row_of_teeth([37, 36, 35])
    prediction = reference.copy()
    prediction[5:9][prediction[5:9] == 36] = 0  # 40 % of 36 missing
    quality = {"teeth": {"36": {"grade": "C"}, "37": {"grade": "A"}}}
    everything = evaluate(volume(prediction), volume(reference))
    judged = evaluate(volume(prediction), volume(reference), quality)
    assert everything.instances.sq == pytest.approx(2.6 / 3)
    assert judged.instances.sq == judged.per_tooth["dice"].median == judged.per_tooth["dice"].tail == 1
    assert judged.binary == everything.binary
    assert judged.binary.dice == pytest.approx(2 * 2.6 / 5.6)
    assert judged.instances.f1 == judged.numbering.fdi_f1 == 1
    left_out = judged.teeth[1]
    assert (left_out.fdi, left_out.predicted_fdi, left_out.dice, left_out.left_out) == (36, 36, None, True)
    assert evaluate(volume(prediction), volume(reference), quality, leave_out=()).instances == everything.instances


def test_both_empty():
    empty = volume(np.zeros((4, 5, 6)))
    result = evaluate(empty, empty)
    assert (result.binary.dice, result.binary.nsd_05, result.binary.nsd_10) == (1, 1, 1)
    assert result.binary.hd95_mm is None
    assert (result.instances.f1, result.instances.pq, result.numbering.fdi_f1) == (1, 1, 1)
    assert (result.instances.precision, result.instances.recall, result.instances.sq) == (None, None, None)
    assert result.numbering.fdi_accuracy is None
    assert result.numbering.arches_right == {}
    assert result.teeth == ()
    assert result.per_tooth["dice"].median is None


@pytest.mark.parametrize("lost", ["prediction", "reference"])
def test_one_empty(lost):
    teeth, empty = volume(row_of_teeth([11, 46])), volume(row_of_teeth([0, 0]))
    result = evaluate(empty, teeth) if lost == "prediction" else evaluate(teeth, empty)
    assert (result.binary.dice, result.binary.nsd_05, result.binary.hd95_mm) == (0, 0, None)
    assert (result.instances.f1, result.instances.pq, result.numbering.fdi_f1) == (0, 0, 0)
    if lost == "prediction":
        assert (result.instances.recall, result.instances.precision) == (0, None)
        assert result.missed == (11, 46)
        assert result.numbering.arches_right == {"upper": False, "lower": False}
    else:
        assert (result.instances.recall, result.instances.precision) == (None, 0)
        assert result.unmatched == (11, 46)
        assert result.numbering.arches_right == {}


# Bad input


def test_grids_that_differ_are_named():
    array = row_of_teeth([11, 12])
    reference = volume(array)
    mirror = np.diag([-1.0, 1.0, 1.0])
    for other, cause in (
        (volume(array[:-1]), "10 x 20 x 19 voxels.*10 x 20 x 20"),
        (volume(array, (0.3, 0.4, 0.8)), "0.3 x 0.4 x 0.8 mm against 0.3 x 0.4 x 0.7 mm"),
        (volume(array, origin=(0, 0.3, 0)), "0.3 mm away"),
        (volume(array, direction=mirror), "axes"),
    ):
        with pytest.raises(InputError, match=cause) as error:
            evaluate(other, reference)
        assert "\n" not in str(error.value)
    check_same_grid(volume(array, origin=(1e-4, 0, 0)), reference)  # a text header rounds this away


@pytest.mark.parametrize("value", [1, 19, 99, 56])
def test_values_that_are_no_fdi_number_are_named(value):
    array = row_of_teeth([11, 12])
    wrong = np.where(array == 12, value, array)
    with pytest.raises(InputError, match=f"prediction holds the value {value},"):
        evaluate(volume(wrong), volume(array))
    with pytest.raises(InputError, match=f"reference holds the value {value},"):
        evaluate(volume(array), volume(wrong))


def test_fractions_and_nan_are_no_numbers_but_whole_floats_are():
    array = row_of_teeth([11, 12])
    reference = volume(array)
    assert evaluate(reference.with_array(array.astype(float)), reference).binary.dice == 1
    for value in (11.5, np.nan):
        with pytest.raises(InputError, match="no FDI"):
            evaluate(reference.with_array(np.where(array == 12, value, array.astype(float))), reference)


@pytest.mark.parametrize(
    "quality",
    [{"number_tolerance": [17]}, {"teeth": {"first": {}}}, {"number_tolerance": {"17": [99]}}, ["C"], {"teeth": None}],
)
def test_a_quality_file_of_another_form_is_named(quality):
    teeth = volume(row_of_teeth([11]))
    with pytest.raises(InputError, match="quality file"):
        evaluate(teeth, teeth, quality)


def test_a_whole_scan_of_two_full_arches():
    reference = np.zeros((330, 360, 360), np.uint8)
    k, j, i = np.ogrid[-22:23, -9:10, -9:10]
    root = (k / 22) ** 2 + (j / 8) ** 2 + (i / 8) ** 2 < 1
    for n, fdi in enumerate(PERMANENT):
        z, x = (150 if n < 16 else 200), 20 + 20 * (n % 16)
        reference[z - 22 : z + 23, 90:109, x - 9 : x + 10][root] = fdi
    prediction = np.roll(reference, (1, 1, 0), (0, 1, 2))
    result = evaluate(volume(prediction, (0.5,) * 3), volume(reference, (0.5,) * 3))
    assert result.numbering.fdi_f1 == 1
    assert len(result.teeth) == 32


# Reports


def test_json_holds_every_score():
    reference, prediction = random_teeth(1)
    result = evaluate(volume(prediction), volume(reference))
    report = json.loads(to_json(result))
    assert report["binary"]["dice"] == result.binary.dice
    assert report["instances"]["pq"] == result.instances.pq
    assert report["numbering"]["fdi_f1"] == result.numbering.fdi_f1
    assert [t["fdi"] for t in report["teeth"]] == sorted(set(reference.flat) - {0})
    assert report["missed"] == list(result.missed)
    empty = volume(np.zeros((3, 3, 3)))
    assert json.loads(to_json(evaluate(empty, empty)))["binary"]["hd95_mm"] is None


def test_printed_report_of_nothing():
    empty = volume(np.zeros((3, 3, 3)))
    text = io.StringIO()
    print_report(evaluate(empty, empty), Console(file=text, width=100))
    assert "0 / 0 / 0" in text.getvalue()


def test_printed_report():
    reference = row_of_teeth([17, 16, 36, 0])
    prediction = row_of_teeth([18, 16, 0, 21])
    result = evaluate(volume(prediction), volume(reference), {"teeth": {"16": {"grade": "C"}}})
    text = io.StringIO()
    print_report(result, Console(file=text, width=100))
    lines = {line.split("│")[1].strip(): line for line in text.getvalue().splitlines() if "│" in line}
    assert "wrong number" in lines["17"] and " 18 " in lines["17"]
    assert "not judged" in lines["16"]
    assert "not found" in lines["36"]
    assert f"{result.numbering.fdi_f1:.3f}" in lines["FDI instance F1"]
    assert "upper no, lower no" in lines["arches all right"]
    assert "match none: 21" in text.getvalue()


def test_what_nobody_has_judged_is_not_judged():
    reference, prediction = np.zeros((10, 10, 20), np.uint8), np.zeros((10, 10, 20), np.uint8)
    reference[2:8, 2:8, 2:6], reference[:, :, 10:] = 16, 255
    prediction[2:8, 2:8, 2:6], prediction[2:8, 2:8, 12:16], prediction[2:8, 2:8, 7:9] = 16, 26, 36
    scores = evaluate(Volume(prediction), Volume(reference))
    assert scores.unmatched == (36,) and scores.missed == () and scores.instances.predicted == 2
