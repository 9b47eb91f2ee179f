"""A prediction and a reference on different grids of the same patient."""

from __future__ import annotations

import numpy as np
import pytest

from grids import GRIDS, rotation
from teethseg.errors import InputError
from teethseg.evaluation.common_grid import on_common_grid
from teethseg.evaluation.metrics import evaluate
from teethseg.resampling import check_lies_in, same_lattice
from teethseg.volume import Volume

BOXES = {13: np.s_[3:9, 4:8, 5:11], 36: np.s_[10:15, 12:18, 13:20], 47: np.s_[11:16, 3:9, 2:7]}


def labels(direction: np.ndarray | None = None, boxes=BOXES, spacing=(0.3, 0.4, 0.5)) -> Volume:
    array = np.zeros((20, 22, 24), np.uint8)
    for value, box in boxes.items():
        array[box] = value
    return Volume(array, spacing, (-20.0, 31.0, 7.5), direction)


def stored(volume: Volume, order: tuple[int, int, int], flips: tuple[bool, bool, bool], box=np.s_[:, :, :]) -> Volume:
    """The same voxels in the same places with the axes in another order and direction, cropped to a box."""
    start = [side.start or 0 for side in box]
    array, origin = volume.array[box], volume.to_lps(start)
    vectors = [volume.affine[:3, 2 - axis] for axis in range(3)]  # the vectors of the array's axes
    for axis in range(3):
        if flips[axis]:
            origin = origin + vectors[axis] * (array.shape[axis] - 1)
            array, vectors[axis] = np.flip(array, axis), -vectors[axis]
    array, vectors = array.transpose(order), [vectors[axis] for axis in order]
    columns = np.column_stack(vectors[::-1])
    spacing = np.linalg.norm(columns, axis=0)
    return Volume(array, tuple(spacing), tuple(origin), columns / spacing)


@pytest.mark.parametrize("direction", list(GRIDS.values())[::4], ids=list(GRIDS)[::4])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_cropped_and_turned_files_compare_exactly(direction, order):
    reference = labels(direction)
    prediction = stored(reference, order, (True, False, True), np.s_[2:17, 3:19, 1:21])
    assert same_lattice(prediction, reference)
    for pair in ((prediction, reference), (reference, prediction)):
        found, expected, warnings = on_common_grid(*pair)
        assert warnings == ()
        scores = evaluate(found, expected)
        assert scores.binary.dice == 1.0 and scores.numbering.fdi_accuracy == 1.0 and len(scores.teeth) == 3


def test_a_reference_cropped_to_its_teeth_still_counts_what_was_found_beyond():
    found = labels()
    reference = stored(labels(boxes={13: BOXES[13]}), (0, 1, 2), (False,) * 3, np.s_[2:10, 3:9, 4:12])
    a, b, warnings = on_common_grid(found, reference, ("p.nrrd", "r.nrrd"))
    assert evaluate(a, b).unmatched == (36, 47)
    assert len(warnings) == 1 and "p.nrrd lie outside the grid of r.nrrd: they count as wrong" in warnings[0]
    a, b, warnings = on_common_grid(reference, found, ("p.nrrd", "r.nrrd"))
    assert evaluate(a, b).missed == (36, 47)
    assert len(warnings) == 1 and "r.nrrd lie outside the grid of p.nrrd: they count as missed" in warnings[0]


def test_another_spacing_is_compared_by_nearest_voxels_and_reported():
    reference, fine = labels(), labels(spacing=(0.15, 0.2, 0.25))
    finer = Volume(
        np.repeat(np.repeat(np.repeat(reference.array, 2, 0), 2, 1), 2, 2),
        fine.spacing,
        tuple(reference.to_lps([-0.25] * 3)),
    )
    found, expected, (warning,) = on_common_grid(finer, reference, ("p.nrrd", "r.nrrd"))
    assert evaluate(found, expected).binary.dice == 1.0
    assert "p.nrrd (0.15 x 0.2 x 0.25 mm) lies on another grid than r.nrrd (0.3 x 0.4 x 0.5 mm)" in warning
    assert not same_lattice(finer, reference) and not same_lattice(labels(rotation()), reference)


def test_other_voxels_between_the_same_corners_are_reported():
    """Resampling keeps the corners in many programs: 12 steps of 0.4 mm are 16 of 0.3 mm."""
    coarse = Volume(np.zeros((13, 13, 13), np.uint8), (0.4,) * 3)
    coarse.array[4:9, 4:9, 4:9] = 16
    fine = Volume(np.zeros((17, 17, 17), np.uint8), (0.3,) * 3)
    fine.array[5:12, 5:12, 5:12] = 16
    for found, expected in ((coarse, fine), (fine, coarse)):
        *_, (warning,) = on_common_grid(found, expected, ("p.nrrd", "r.nrrd"))
        assert "lies on another grid" in warning


def test_no_place_in_common_is_refused():
    reference = labels()
    elsewhere = Volume(reference.array, reference.spacing, (200.0, 31.0, 7.5))
    with pytest.raises(InputError, match=r"p\.nrrd and r\.nrrd have no place in common"):
        on_common_grid(elsewhere, reference, ("p.nrrd", "r.nrrd"))


def test_nothing_labelled_is_nothing_to_refuse():
    reference = labels()
    empty = Volume(np.zeros((4, 5, 6), np.uint8), (1, 1, 1), (300, 0, 0))
    found, expected, _ = on_common_grid(empty, reference)
    assert not found.array.any() and np.array_equal(expected.array, reference.array)


def test_labels_beside_their_scan_are_refused_and_partly_outside_ones_counted():
    scan = labels(rotation())
    assert check_lies_in(labels(rotation()), scan, "t.nrrd", "s.nrrd") == ()
    part = stored(scan, (0, 1, 2), (False,) * 3, np.s_[9:, :, :])
    (warning,) = check_lies_in(scan, part, "t.nrrd", "s.nrrd")
    inside = np.count_nonzero(scan.array[9:]) / np.count_nonzero(scan.array)
    assert warning.startswith(f"{100 * (1 - inside):.2g} % of the teeth of t.nrrd lie outside s.nrrd")
    with pytest.raises(InputError, match=r"t\.nrrd lie outside s\.nrrd"):
        check_lies_in(scan, Volume(scan.array, scan.spacing, (100, 0, 0)), "t.nrrd", "s.nrrd")
