"""Corrections change only the requested voxels, and can be undone."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import edt
import numpy as np
import pytest
from scipy import ndimage

from teethseg.anatomy import TEETH
from teethseg.correction import (
    cut_contact,
    fill_pulp,
    give_piece,
    grow_tooth,
    merge_teeth,
    regrow_tooth,
    remove_islands,
    remove_tooth,
    renumber,
    shift_numbers,
    smooth_tooth,
    split_tooth,
)
from teethseg.correction.tooth_model import Pose, tooth_axes
from teethseg.errors import UsageError
from teethseg.simulation.parametric import parametric_tooth
from teethseg.tooth_sizes import usual_size

SPACING = (0.5, 0.4, 0.4)
SHAPE = (60, 50, 90)
NEIGHBOUR = 13


def mm():
    return np.stack(np.meshgrid(*[np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)], indexing="ij"), -1)


def tooth_mask(x, y=10.0, radius=3.2, crown=6.0, apex=24.0):
    """A crown whose root tapers upwards (z, mm)."""
    z, dy, dx = np.moveaxis(mm(), -1, 0) - np.array([0, y, x])[:, None, None, None]
    across = np.hypot(dy, dx)
    reach = np.interp(z, [crown - 3, crown - 1, crown + 2, apex], [0.5 * radius, radius, radius, 0.8], left=0, right=0)
    return across < reach


def scene(xs=(9.0, 15.6, 26.0), numbers=(16, 15, NEIGHBOUR), noise=25, seed=0):
    """Teeth (two of them touching), their grey values, and pulp in each."""
    labels = np.zeros(SHAPE, np.uint8)
    image = np.full(SHAPE, 100.0)
    image[mm()[..., 0] > 11] = 450.0  # bone around the roots
    for x, number in zip(xs, numbers, strict=True):
        mask = tooth_mask(x)
        labels[mask & (labels == 0)] = number
    image[labels > 0] = 1300.0
    for x in xs:
        image[tooth_mask(x, radius=0.9, crown=7.0, apex=22.0)] = 250.0
    # The contact is a little darker than the teeth.
    border = np.abs(mm()[..., 2] - 12.3) < 0.3
    image[border & (labels > 0)] -= 350
    return labels, image + np.random.default_rng(seed).normal(0, noise, SHAPE)


def voxel(z, y, x):
    return tuple(round(c / s) for c, s in zip((z, y, x), SPACING, strict=True))


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def assert_only(before, after, *numbers):
    """No voxel of any other tooth has changed."""
    changed = before != after
    assert changed.any()
    assert set(np.unique(before[changed])) | set(np.unique(after[changed])) <= {0, *numbers}


@pytest.fixture
def teeth():
    return scene()


def test_an_edit_is_applied_and_taken_back(teeth):
    labels, _ = teeth
    before = labels.copy()
    edit = remove_tooth(labels, 15)
    copy = edit.applied(labels)
    assert (labels == before).all()
    assert not (copy == 15).any()
    assert edit.touched(labels) == (15,)
    undo = edit.apply(labels)
    assert (labels == copy).all()
    undo.apply(labels)
    assert (labels == before).all()


def test_swap(teeth):
    labels, _ = teeth
    after = renumber(labels, {16: 15, 15: 16}).applied(labels)
    assert ((after == 16) == (labels == 15)).all()
    assert ((after == 15) == (labels == 16)).all()
    assert_only(labels, after, 15, 16)


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ({16: 15}, "already"),
        ({16: 19}, "FDI"),
        ({11: 12}, "no tooth 11"),
        ({16: 17, 15: 17}, "Two"),
        ({16: 16}, "same"),
    ],
)
def test_numbers_that_cannot_be(teeth, numbers, reason):
    with pytest.raises(UsageError, match=reason):
        renumber(teeth[0], numbers)


def test_this_tooth_and_all_behind_it_one_further(teeth):
    labels, _ = teeth
    after = shift_numbers(labels, 15).applied(labels)
    assert ((after == 17) == (labels == 16)).all()
    assert ((after == 16) == (labels == 15)).all()
    assert ((after == NEIGHBOUR) == (labels == NEIGHBOUR)).all()
    back = shift_numbers(after, 16, -1).applied(after)
    assert (back == labels).all()


@pytest.mark.parametrize(("first", "second"), [(18, 17), (48, 47), (55, 54)])
def test_nothing_is_shifted_off_the_end(first, second):
    labels, _ = scene(numbers=(first, second, 31))
    with pytest.raises(UsageError, match=f"Tooth {first} has no number behind"):
        shift_numbers(labels, second)


def test_nothing_is_shifted_over_the_midline_or_onto_another():
    labels, _ = scene(numbers=(42, 41, 31))
    with pytest.raises(UsageError, match="no number before"):
        shift_numbers(labels, 41, -1)
    labels, _ = scene(numbers=(43, 42, 31))
    with pytest.raises(UsageError, match="42 already"):
        shift_numbers(labels, 43, -1)


def test_merge(teeth):
    labels, _ = teeth
    after = merge_teeth(labels, 16, 15).applied(labels)
    assert ((after == 16) == np.isin(labels, (15, 16))).all()
    assert_only(labels, after, 15, 16)


def test_two_teeth_in_one_label_come_apart_at_the_contact(teeth):
    labels, image = teeth
    joined = np.where(labels == 15, 16, labels).astype(np.uint8)
    seeds = [[voxel(8, 10, 8.0), voxel(16, 10, 9)], [voxel(8, 10, 16.4)]]
    after = split_tooth(joined, image, SPACING, 16, seeds, [16, 15]).applied(joined)
    assert dice(after == 16, labels == 16) > 0.98
    assert dice(after == 15, labels == 15) > 0.98
    assert_only(joined, after, 15, 16)


def test_splitting_refuses_what_makes_no_sense(teeth):
    labels, image = teeth
    here, there = voxel(8, 10, 8), voxel(8, 10, 10)
    with pytest.raises(UsageError, match="not in tooth 16"):
        split_tooth(labels, image, SPACING, 16, [[here], [voxel(8, 10, 26)]], [16, 17])
    with pytest.raises(UsageError, match="15 already"):
        split_tooth(labels, image, SPACING, 16, [[here], [there]], [16, 15])
    with pytest.raises(UsageError, match="at least two"):
        split_tooth(labels, image, SPACING, 16, [[here]], [16])
    with pytest.raises(UsageError, match="same spot"):
        split_tooth(labels, image, SPACING, 16, [[here], [here]], [16, 17])


def test_a_wrong_contact_moves_to_the_valley(teeth):
    labels, image = teeth
    wrong = labels.copy()
    wrong[(labels == 16) & (mm()[..., 2] > 11.3)] = 15  # one millimetre has the neighbour's label
    before = dice(wrong == 15, labels == 15)
    after = cut_contact(wrong, image, SPACING, 16, 15).applied(wrong)
    assert dice(after == 15, labels == 15) > max(0.98, before)
    assert ((after > 0) == (wrong > 0)).all()
    assert_only(wrong, after, 15, 16)
    with pytest.raises(UsageError, match="do not touch"):
        cut_contact(labels, image, SPACING, 16, NEIGHBOUR)


def test_a_detached_piece_goes_as_a_whole(teeth):
    labels, image = teeth
    astray = labels.copy()
    piece = (labels == 15) & (mm()[..., 0] > 18)
    astray[piece] = NEIGHBOUR
    after = give_piece(astray, image, SPACING, NEIGHBOUR, 15, voxel(20, 10, 15.6)).applied(astray)
    assert (after == labels).all()


def test_a_piece_that_hangs_on_is_cut_at_the_neck(teeth):
    labels, image = teeth
    spur = labels.copy()
    blob = np.linalg.norm(mm() - [8, 10, 4.6], axis=-1) < 1.6
    spur[blob] = 16
    after = give_piece(spur, image, SPACING, 16, 15, voxel(8, 10, 3.8)).applied(spur)
    assert (after[blob & (labels == 0)] == 15).mean() > 0.6
    assert dice(after == 16, labels == 16) > 0.98


def test_the_bulk_is_not_a_piece(teeth):
    labels, image = teeth
    with pytest.raises(UsageError, match="bulk"):
        give_piece(labels, image, SPACING, 16, 15, voxel(8, 10, 9))


def test_islands(teeth):
    labels, _ = teeth
    spotted = labels.copy()
    spotted[2:4, 2:4, 2:4] = 16
    assert (remove_islands(spotted, 16).applied(spotted) == labels).all()
    with pytest.raises(UsageError, match="one piece"):
        remove_islands(labels, 16)


def test_pulp_open_at_the_apex_is_filled(teeth):
    labels, image = teeth
    canal = (np.hypot(mm()[..., 1] - 10, mm()[..., 2] - 9) < 0.7) & (mm()[..., 0] > 6)
    hollow = labels.copy()
    hollow[canal & (labels == 16)] = 0
    image[canal & (labels == 16)] = 250.0
    after = fill_pulp(hollow, image, SPACING, 16).applied(hollow)
    assert dice(after == 16, labels == 16) > 0.99
    assert_only(hollow, after, 16)
    with pytest.raises(UsageError, match="no hollow"):
        fill_pulp(labels, image, SPACING, 16)


def test_smoothing_keeps_volume_and_neighbours(teeth):
    labels, _ = teeth
    rng = np.random.default_rng(3)
    rough = labels.copy()
    edge = (labels == 16) & (rng.random(SHAPE) < 0.25)
    rough[edge] = 0
    after = smooth_tooth(rough, SPACING, 16).applied(rough)
    assert (after == 16).sum() == pytest.approx((rough == 16).sum(), rel=0.03)
    assert_only(rough, after, 16)

    def steps(mask):  # faces between tooth and background, a measure of roughness
        return sum(np.abs(np.diff(mask.astype(np.int8), axis=axis)).sum() for axis in range(3))

    assert steps(after == 16) < 0.6 * steps(rough == 16)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_a_tooth_grows_from_three_clicks(teeth, axes):
    labels, image = teeth
    turned = np.ascontiguousarray(labels.transpose(axes))
    spacing = tuple(SPACING[axis] for axis in axes)
    clicks = [voxel(7, 10, 26), voxel(14, 10, 26), voxel(20, 10, 26)]
    clicks = [tuple(click[axis] for axis in axes) for click in clicks]
    empty = np.zeros_like(turned)
    after = grow_tooth(empty, np.ascontiguousarray(image.transpose(axes)), spacing, 13, clicks).applied(empty)
    assert dice(after == 13, turned == NEIGHBOUR) > 0.9


def test_a_bracket_is_no_part_of_the_crown(teeth):
    labels, image = teeth
    z, y, x = np.moveaxis(mm(), -1, 0)
    bracket = (np.abs(z - 6.5) < 1.5) & (y > 12.6) & (y < 15.5) & (np.abs(x - 26) < 1.6) & (labels == 0)
    image[bracket] = 4000
    clicks = [voxel(7, 10, 26), voxel(14, 10, 26), voxel(20, 10, 26)]
    after = grow_tooth(labels * 0, image, SPACING, 13, clicks).applied(labels * 0) == 13
    assert (after & bracket).sum() < 0.25 * bracket.sum()
    assert dice(after, labels == NEIGHBOUR) > 0.9


def test_growing_stops_at_teeth_already_done_and_replaces_what_was_there(teeth):
    labels, image = teeth
    done = labels.copy()
    done[labels == 15] = 0
    done[50:52, 40:42, 2:4] = 15  # a false piece elsewhere
    after = regrow_tooth(
        done, image, SPACING, 15, [voxel(7, 10, 16), voxel(14, 10, 15.6), voxel(20, 10, 15.6)]
    ).applied(done)
    assert_only(done, after, 15)
    assert not (after[50:52, 40:42, 2:4] == 15).any()
    assert dice(after == 15, labels == 15) > 0.9


def test_a_click_outside_takes_back_what_grew_too_far(teeth):
    labels, image = teeth
    joined = np.zeros_like(labels)
    clicks, wrong = [voxel(7, 10, 15.6), voxel(14, 10, 15.6), voxel(20, 10, 15.6)], voxel(8, 10, 10)
    freely = grow_tooth(joined, image, SPACING, 15, clicks).applied(joined) == 15
    held = grow_tooth(joined, image, SPACING, 15, clicks, [wrong]).applied(joined) == 15
    assert not held[wrong]
    assert (held & (labels == 16)).sum() <= (freely & (labels == 16)).sum()
    assert dice(held, labels == 15) > 0.9


@pytest.fixture(scope="module")
def molar():
    """An upper right first molar in bone that is nearly as bright, its voxels, and clicks in crown and two roots."""
    shape = parametric_tooth("upper", 6, np.random.default_rng(4))
    step = 0.5 / shape.spacing
    size = np.array([60, 50, 50])
    start = (np.array(shape.sdf.shape) - size * step) / 2
    place = start[:, None, None, None] + np.indices(size) * step
    distance = ndimage.map_coordinates(shape.sdf, place, order=1, mode="nearest")
    distance = distance.transpose(0, 2, 1)  # distal is to the back, lingual to the left
    rng = np.random.default_rng(0)
    neck = int((shape.crown_height - shape.origin[2]) / shape.spacing / step - start[0] / step) + 3
    image = np.where(np.indices(size)[0] < neck, 0.0, 900.0)
    image[(distance > 0) & (distance < 0.4)] -= 200
    image[distance <= 0] = 1200
    tooth = distance <= 0
    inside = edt.edt(tooth)
    rows = np.flatnonzero(tooth.any(axis=(1, 2)))
    level = int(rows[0] + 0.62 * len(rows))
    crown = np.unravel_index(inside[: rows[0] + len(rows) // 3].argmax(), tooth.shape)
    roots, count = ndimage.label(tooth[level])
    assert count == 3
    middles = [ndimage.maximum_position(inside[level], roots, n) for n in (1, 3)]
    return image + rng.normal(0, 40, size), tooth, [crown, *((level, *middle) for middle in middles)]


def test_a_molar_grows_with_its_roots_however_the_scan_is_stored(molar):
    image, tooth, clicks = molar
    nothing = np.zeros(image.shape, np.uint8)
    spacing = (0.5, 0.5, 0.5)
    grown = grow_tooth(nothing, image, spacing, 16, clicks).applied(nothing) == 16
    assert dice(grown, tooth) > 0.88
    mirrored = [(z, y, 49 - x) for z, y, x in clicks]
    leftwards = grow_tooth(nothing, image[:, :, ::-1], spacing, 16, mirrored, (), np.diag([-1.0, 1.0, 1.0]))
    assert dice(leftwards.applied(nothing)[:, :, ::-1] == 16, grown) > 0.99
    turned = [(x, z, y) for z, y, x in clicks]  # i, j, k run to the back, to the head, to the left
    direction = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    edit = grow_tooth(nothing.transpose(2, 0, 1), image.transpose(2, 0, 1), spacing, 16, turned, (), direction)
    after = edit.applied(nothing.transpose(2, 0, 1)).transpose(1, 2, 0) == 16
    assert dice(after, grown) > 0.99


@pytest.mark.parametrize("fdi", sorted(TEETH))
def test_usual_shapes_have_usual_sizes(fdi):
    textbook = usual_size(fdi)
    apical = np.array([1.0 if TEETH[fdi].jaw == "upper" else -1.0, 0, 0])
    pose = Pose.usual(fdi, np.zeros(3), tooth_axes(fdi, apical, np.eye(3)))
    low, high = np.percentile(pose.surface().points, [0, 100], axis=0)
    assert high[0] - low[0] == pytest.approx(textbook.length, rel=0.2)
    far = pose.place(np.array([[0.4 * pose.model.size[0], 0, 5.0]]))[0]  # distal, within the crown
    assert (far[2] > 0) == (TEETH[fdi].side == "left")  # the patient's left is x
    assert pose.distance(far[None])[0] < 0 < pose.distance(far[None] * 3)[0]


def test_growing_refuses_clicks_that_cannot_be(teeth):
    labels, image = teeth
    with pytest.raises(UsageError, match="needs a click"):
        grow_tooth(labels, image, SPACING, 17, [])
    with pytest.raises(UsageError, match="lies in tooth 16"):
        grow_tooth(labels, image, SPACING, 17, [voxel(8, 10, 9)])
    with pytest.raises(UsageError, match="outside the scan"):
        grow_tooth(labels, image, SPACING, 17, [(0, 0, 900)])
    with pytest.raises(UsageError, match="no tooth 11"):
        regrow_tooth(labels, image, SPACING, 11, [voxel(8, 10, 9)])


def test_the_package_costs_nothing_until_a_tool_is_used():
    code = "import sys, teethseg.correction, teethseg.annotation; print('scipy' in sys.modules)"
    folder = Path(__file__).resolve().parents[1] / "TeethSeg"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", env={"PYTHONPATH": str(folder)}
    )
    assert run.stdout.strip() == "False", run.stderr


def test_tools_are_quick_on_a_whole_scan():
    small_labels, small_image = scene()
    labels = np.zeros((300, 400, 400), np.uint8)
    image = np.full(labels.shape, 100, np.int16)
    place = tuple(slice(100, 100 + n) for n in SHAPE)
    labels[place], image[place] = small_labels, small_image
    clicks = [tuple(c + 100 for c in voxel(z, 10, 26)) for z in (7, 14, 20)]

    def seconds(tool, *arguments):
        """Processor time: wall time would include the other work of this computer."""
        start = time.process_time()
        tool(*arguments).apply(labels.copy())
        return time.process_time() - start

    assert seconds(grow_tooth, np.where(labels == 13, 0, labels), image, SPACING, 13, clicks) < 2
    assert seconds(cut_contact, labels, image, SPACING, 16, 15) < 2
    assert seconds(smooth_tooth, labels, SPACING, 16) < 2
    assert seconds(renumber, labels, {16: 17}) < 2
