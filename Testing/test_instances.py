"""Instances from maps of analytic teeth: touching teeth are separated, and each tooth stays whole."""

from __future__ import annotations

import time
from dataclasses import replace

import cc3d
import edt
import numpy as np
import pytest
from scipy import ndimage

from teethseg.cascade.instances import find_instances
from teethseg.cascade.predictions import FineMaps

SPACING = 0.4
ORIGIN = (-12.0, 7.0, 100.0)


def rod(shape, start, stop, radii):
    """Signed depth (mm, > 0 inside) of a tapered rod from `start` to `stop` (z, y, x mm) with two radii."""
    zyx = np.stack(np.meshgrid(*[np.arange(n) * SPACING for n in shape], indexing="ij"), axis=-1)
    start, along = np.asarray(start), np.subtract(stop, start)
    t = np.clip((zyx - start) @ along / (along @ along), 0, 1)
    distance = np.linalg.norm(zyx - start - t[..., None] * along, axis=-1)
    return radii[0] + t * (radii[1] - radii[0]) - distance


def single_rooted(shape, crown, up=1, radius=3.5):
    """A crown with one tapering root; `up` = 1: root towards larger z, as an upper tooth."""
    apex = np.add(crown, (up * 12.0, 0, 0))
    return rod(shape, crown, apex, (radius, 1.0))


def molar(shape, crown, up=1, half_gap=3.0):
    """A wide crown on two roots that diverge directly at the crown."""
    z, y, x = crown
    body = rod(shape, (z, y - 2, x), (z, y + 2, x), (3.6, 3.6))
    roots = [
        rod(shape, (z + up * 2, y + s * half_gap, x), (z + up * 11, y + s * (half_gap + 1), x), (2.0, 0.9))
        for s in (-1, 1)
    ]
    return np.maximum.reduce([body, *roots])


def labelled(depths):
    """Label map of teeth given as depths: every voxel gets the label of the tooth in which it is deepest."""
    depths = np.stack(depths)
    return np.where(depths.max(axis=0) > 0, depths.argmax(axis=0) + 1, 0).astype(np.uint16)


def maps_of(labels, positions, upper, noise=0.6, seed=0, core_depth=0.7):
    """The maps of a network that predicts this label map correctly, with noisy offsets."""
    rng = np.random.default_rng(seed)
    tooth = ndimage.gaussian_filter((labels > 0).astype(np.float32), 0.4)
    core = np.zeros(labels.shape, np.float32)
    half = labels[::2, ::2, ::2]
    offset = rng.normal(0, noise, (3, *half.shape)).astype(np.float32)
    position = np.full((8, *half.shape), np.log(0.2 / 7), np.float32)
    jaw = np.full(half.shape, 0.5, np.float32)
    place = np.stack(np.meshgrid(*[(2 * np.arange(n) + 0.5) * SPACING for n in half.shape], indexing="ij"))
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        wide = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
        mine = labels[wide] == label
        core[wide][edt.edt(mine, black_border=False) * SPACING > core_depth] = 0.95
        centre = (np.argwhere(mine).mean(axis=0) + [s.start for s in wide]) * SPACING
        here = half == label
        offset[:, here] += (centre[:, None, None, None] - place)[:, here]
        position[positions[label - 1] - 1, here] = np.log(0.8)
        jaw[here] = 0.97 if upper[label - 1] else 0.03
    return FineMaps(tooth, core, offset, position, jaw, ORIGIN, SPACING)


def assert_same_teeth(found, truth, least=0.93):
    """Every true tooth has one instance that overlaps it with at least this Dice; there are no other instances."""
    assert found.max() == truth.max()
    partners = set()
    for label in range(1, truth.max() + 1):
        mine = truth == label
        partner = np.bincount(found[mine], minlength=2)[1:].argmax() + 1
        theirs = found == partner
        assert 2 * (mine & theirs).sum() / (mine.sum() + theirs.sum()) > least
        partners.add(partner)
    assert len(partners) == truth.max()


def assert_one_piece_each(labels):
    for label in range(1, labels.max() + 1):
        assert cc3d.connected_components(labels == label, connectivity=6).max() == 1


def test_touching_neighbours_come_apart():
    shape = (60, 40, 70)
    truth = labelled([single_rooted(shape, (5, 8, x)) for x in (6.0, 12.5, 19.0)])
    assert cc3d.connected_components(truth > 0, connectivity=6).max() == 1
    instances = find_instances(maps_of(truth, [1, 2, 3], [True] * 3))
    assert_same_teeth(instances.labels, truth)
    assert_one_piece_each(instances.labels)


def test_evidence_is_in_patient_millimetres():
    shape = (60, 40, 60)
    truth = labelled([single_rooted(shape, (5, 8, 6.0)), single_rooted(shape, (5, 8, 16.0), radius=2.5)])
    instances = find_instances(maps_of(truth, [4, 2], [True, False]))
    for tooth in instances.evidence:
        mine = truth == (1 if tooth.centroid_lps[0] < ORIGIN[0] + 11 else 2)
        z, y, x = np.argwhere(mine).mean(axis=0) * SPACING
        assert tooth.centroid_lps == pytest.approx([ORIGIN[0] + x, ORIGIN[1] + y, ORIGIN[2] + z], abs=0.1)
        assert tooth.volume_mm3 == pytest.approx(mine.sum() * SPACING**3, rel=0.05)
        assert (instances.labels == tooth.label).sum() * SPACING**3 == pytest.approx(tooth.volume_mm3)
        assert np.exp(tooth.position_log_probs).sum() == pytest.approx(1)
        left = tooth.centroid_lps[0] > ORIGIN[0] + 11
        assert tooth.position_log_probs.argmax() + 1 == (2 if left else 4)
        assert tooth.upper_probability == pytest.approx(0.03 if left else 0.97, abs=0.1)
        assert not tooth.touches_border


def test_antagonists_in_contact_come_apart():
    shape = (90, 40, 50)
    truth = labelled([single_rooted(shape, (20.5, 8, 9)), single_rooted(shape, (14.0, 8, 10), up=-1)])
    assert cc3d.connected_components(truth > 0, connectivity=6).max() == 1
    instances = find_instances(maps_of(truth, [4, 4], [True, False]))
    assert_same_teeth(instances.labels, truth)
    above, below = sorted(instances.evidence, key=lambda tooth: -tooth.centroid_lps[2])
    assert above.upper_probability > 0.8 > 0.2 > below.upper_probability


def test_molar_whose_core_falls_apart_stays_one():
    shape = (60, 56, 60)
    truth = labelled([molar(shape, (5, 11, 7)), molar(shape, (5, 11, 15))])
    maps = maps_of(truth, [6, 7], [True, True])
    maps.core[20:22] = 0.0  # crown and roots have cores of their own now
    assert cc3d.connected_components(maps.core > 0.5, connectivity=6).max() >= 6
    instances = find_instances(maps)
    assert_same_teeth(instances.labels, truth)
    assert_one_piece_each(instances.labels)


def test_one_core_over_several_teeth_comes_apart_where_the_network_is_less_sure():
    shape = (60, 40, 70)
    truth = labelled([single_rooted(shape, (5, 8, x)) for x in (6.0, 12.0, 18.0)])
    maps = maps_of(truth, [1, 2, 3], [True] * 3)
    maps.core[:] = np.where(edt.edt(truth > 0) * SPACING > 0.7, 0.9, 0.0)
    maps.core[edt.edt(truth) * SPACING > 0.9] = 0.96
    assert cc3d.connected_components(maps.core > 0.5, connectivity=6).max() == 1
    assert_same_teeth(find_instances(maps).labels, truth, least=0.9)


@pytest.fixture
def bridged():
    """Eight teeth in a row and their maps; the second and the third share a core with high probability throughout."""
    shape = (60, 40, 150)
    places = [(5, 8, x) for x in (8.0, 16.0, 21.5, 29.0, 37.0, 45.0, 53.0, 61.0)]
    truth = labelled([single_rooted(shape, place) for place in places])
    maps = maps_of(truth, [1, 2, 3, 1, 2, 3, 1, 2], [True] * 8)
    maps.core[(edt.edt((truth == 2) | (truth == 3)) * SPACING) > 0.7] = 0.95
    assert cc3d.connected_components(maps.core > 0.5, connectivity=6).max() == 7
    return truth, maps


def test_tooth_without_any_core_is_an_instance_if_it_is_large_and_nothing_if_not():
    shape = (40, 40, 40)
    for radius, found in ((3.5, 1), (0.7, 0)):
        depth = rod(shape, (8, 8, 8), (9, 8, 8), (radius, radius))
        maps = maps_of(labelled([depth]), [6], [True], core_depth=99)
        assert not maps.core.any()
        assert len(find_instances(maps).evidence) == found


def test_what_is_too_large_for_a_tooth_is_parted_by_its_votes(bridged):
    truth, maps = bridged
    instances = find_instances(maps)
    assert_same_teeth(instances.labels, truth, least=0.9)
    assert_one_piece_each(instances.labels)
    assert [one.label for one in instances.evidence] == list(range(1, 9))


def test_what_votes_for_one_centre_stays_one_however_large(bridged):
    truth, maps = bridged
    pair = (truth == 2) | (truth == 3)
    half = pair[::2, ::2, ::2]
    middle = (np.argwhere(pair).mean(axis=0)) * SPACING
    place = (2 * np.argwhere(half) + 0.5) * SPACING
    maps.offset[:, half] = (middle - place).T
    assert find_instances(maps).labels.max() == 7


def test_tooth_without_core():
    shape = (60, 40, 60)
    truth = labelled([single_rooted(shape, (5, 8, 6.0)), single_rooted(shape, (5, 8, 17.0), radius=2.0)])
    maps = maps_of(truth, [1, 2], [True] * 2)
    maps.core[truth == 2] = 0
    assert_same_teeth(find_instances(maps).labels, truth, least=0.9)


def test_useless_offsets_do_not_break_teeth():
    shape = (60, 40, 70)
    truth = labelled([single_rooted(shape, (5, 8, x)) for x in (6.0, 12.5, 19.0)])
    maps = maps_of(truth, [1, 2, 3], [True] * 3)
    maps.offset[:] = np.random.default_rng(1).normal(0, 1, maps.offset.shape)  # every voxel votes for itself
    assert_same_teeth(find_instances(maps).labels, truth)


def test_predictions_of_the_later_heads_are_reported_and_absent_without_them():
    shape = (60, 40, 60)
    truth = labelled([single_rooted(shape, (3, 8, 6.0)), single_rooted(shape, (3, 8, 17.0))])
    maps = maps_of(truth, [1, 2], [True] * 2)
    assert [(t.deciduous_probability, t.germ_probability) for t in find_instances(maps).evidence] == [(None, None)] * 2
    half = truth[::2, ::2, ::2]
    heads = {"deciduous": np.where(half == 2, 0.9, 0.1), "unerupted": np.where(half == 1, 0.8, 0.05)}
    evidence = find_instances(replace(maps, **heads)).evidence
    first, second = sorted(evidence, key=lambda tooth: tooth.centroid_lps[0])
    assert (first.deciduous_probability, first.germ_probability) == pytest.approx((0.1, 0.8), abs=0.1)
    assert (second.deciduous_probability, second.germ_probability) == pytest.approx((0.9, 0.05), abs=0.1)


def test_speckles_go_and_small_teeth_at_the_border_stay():
    shape = (60, 40, 60)
    # The first tooth lies almost wholly below the region: 4 mm of its root end are left.
    truth = labelled([single_rooted(shape, (-8, 8, 6.0)), single_rooted(shape, (5, 8, 17.0))])
    assert 25 < (truth == 1).sum() * SPACING**3 < 60
    maps = maps_of(truth, [1, 2], [True] * 2)
    maps.tooth[50:55, 30:35, 30:35] = 0.9  # 8 mm³ of false tooth
    maps.core[50:55, 30:35, 30:35] = 0.9
    instances = find_instances(maps)
    assert_same_teeth(instances.labels, truth, least=0.85)
    assert sorted(tooth.touches_border for tooth in instances.evidence) == [False, True]
    # The same remnant away from every border is not a tooth.
    moved = FineMaps(
        np.pad(maps.tooth, ((4, 0), (0, 0), (0, 0))),
        np.pad(maps.core, ((4, 0), (0, 0), (0, 0))),
        np.pad(maps.offset, ((0, 0), (2, 0), (0, 0), (0, 0))),
        np.pad(maps.position, ((0, 0), (2, 0), (0, 0), (0, 0))),
        np.pad(maps.upper, ((2, 0), (0, 0), (0, 0))),
        ORIGIN,
        SPACING,
    )
    assert len(find_instances(moved).evidence) == 1


def test_edge_of_the_data_counts_as_border():
    shape = (60, 40, 60)
    truth = labelled([single_rooted(shape, (5, 8, 6.0)), single_rooted(shape, (5, 8, 17.0))])
    inside = np.ones(shape, bool)
    inside[:, :, 45:] = False  # x >= 18 mm lies outside the scan, within the second tooth
    maps = maps_of(np.where(inside, truth, 0), [1, 2], [True] * 2)
    touches = {round(t.centroid_lps[0]): t.touches_border for t in find_instances(maps, inside).evidence}
    assert [touches[x] for x in sorted(touches)] == [False, True]


def test_detached_bits_go_to_the_neighbour_or_vanish():
    shape = (60, 40, 60)
    truth = labelled([single_rooted(shape, (5, 8, 6.0)), single_rooted(shape, (5, 8, 13.0))])
    maps = maps_of(truth, [1, 2], [True] * 2)
    maps.tooth[2:6, 32:36, 40:44] = 0.8  # attached to nothing, too small to be a tooth
    instances = find_instances(maps)
    assert_one_piece_each(instances.labels)
    assert_same_teeth(instances.labels, truth)
    assert not instances.labels[2:6, 32:36, 40:44].any()


def test_a_sheet_between_the_voxels_of_the_half_grid_does_no_harm():
    labels = np.zeros((40, 44, 48), np.uint16)
    labels[11, 2:-2, 2:-2] = 1
    maps = maps_of(labels, [6], [True])
    maps.tooth[11, 2:-2, 2:-2] = maps.core[11, 2:-2, 2:-2] = 0.95
    found = find_instances(maps).labels
    assert set(np.unique(found)) <= {0, 1}


def test_nothing_is_a_result():
    shape = (20, 24, 28)
    maps = maps_of(np.zeros(shape, np.uint16), [], [])
    instances = find_instances(maps)
    assert instances.labels.shape == shape and not instances.labels.any()
    assert instances.evidence == ()


def test_maps_that_do_not_fit_are_refused():
    maps = maps_of(np.zeros((20, 24, 28), np.uint16), [], [])
    with pytest.raises(ValueError, match="do not belong"):
        FineMaps(maps.tooth[:-2], maps.core, maps.offset, maps.position, maps.upper, ORIGIN, SPACING)


@pytest.mark.slow
def test_full_arches_in_seconds():
    shape = (160, 190, 200)
    zyx = np.indices(shape, dtype=np.float32) * SPACING
    truth = np.zeros(shape, np.uint16)
    angles = np.radians(np.linspace(-105, 105, 15))
    deepest = np.zeros(shape, np.float32)
    for label, (row, angle) in enumerate([(row, a) for row in (0, 1) for a in angles], 1):
        y, x = 42 - 32 * np.cos(angle), 40 + 26 * np.sin(angle)
        distance = np.hypot(zyx[1] - y, zyx[2] - x)
        along = (zyx[0] - 32) * (1 if row else -1)
        depth = np.where((along > 0) & (along < 20), 3.6 - 0.11 * along - distance, -1)
        truth[depth > deepest] = label
        deepest = np.maximum(deepest, depth)
    maps = maps_of(truth, [1] * 30, [False] * 15 + [True] * 15)
    start = time.process_time()  # wall time would include the other work of this computer
    instances = find_instances(maps)
    seconds = time.process_time() - start
    assert_same_teeth(instances.labels, truth, least=0.9)
    assert seconds < 4, f"{seconds:.1f} s"
