"""A tilted or turned head is straightened before stage 2; the results lie in the file's axes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from teethseg.boxes import bounding_box
from teethseg.cascade import pipeline
from teethseg.cascade.coarse import CoarseResult
from teethseg.cascade.head_pose import MOST_TURN, head_turn, straightened
from teethseg.cascade.predictions import ToothMaps
from teethseg.cascade.region import Region
from teethseg.cascade.turns import turn_between, turned, turned_maps
from teethseg.padding import PatientGreys
from teethseg.resampling import crop, labels_on_grid
from teethseg.volume import Volume
from test_numbering import WITHOUT_THIRDS
from test_orientation import Networks, mouth

LEFT_LOWER = tuple(range(31, 38))


def pose(chin_down: float = 0, tilted: float = 0, aside: float = 0) -> np.ndarray:
    """The matrix that brings a straight head into a pose, degrees."""
    return Rotation.from_euler("zyx", (aside, tilted, chin_down), degrees=True).as_matrix()


def looked_at(volume: Volume) -> CoarseResult:
    """A first stage that sees every tooth, its jaw and its position; `volume` holds FDI numbers."""
    region = Region.covering(volume, 1.5, 2)
    labels = labels_on_grid(volume, region.volume(np.zeros(region.shape, np.uint8))).array
    blocks = labels.reshape(*(side for n in labels.shape for side in (n // 2, 2))).max(axis=(1, 3, 5))
    position = np.where(np.arange(1, 9)[:, None, None, None] == blocks % 10, 0.0, -30.0)
    upper, lower = ((labels // 10 == a) | (labels // 10 == b) for a, b in ((1, 2), (3, 4)))
    arrays = upper.astype(np.float32), lower.astype(np.float32), position.astype(np.float32)
    return CoarseResult(region, *arrays, PatientGreys(0, 1), (0, 1), volume.extent, upper)


def degrees(matrix: np.ndarray) -> float:
    return float(np.degrees(Rotation.from_matrix(matrix).magnitude()))


POSES = {
    "chin down": (25, 0, 0),
    "chin up": (-25, 0, 0),
    "to the left": (0, 20, 0),
    "to the right": (0, -20, 0),
    "looking left": (0, 0, 25),
    "looking right": (0, 0, -25),
    "all three": (15, -12, 20),
}


@pytest.mark.parametrize("where", POSES.values(), ids=POSES.keys())
@pytest.mark.parametrize("without", [(), LEFT_LOWER, tuple(range(11, 28)), (16, 17, 36)], ids=len)
def test_the_pose_is_that_of_the_teeth(where, without):
    """Also with a quadrant, a jaw, or some molars missing; to five degrees, since teeth are missing on one side."""
    whole = mouth()
    head = whole.with_array(np.where(np.isin(whole.array, without), 0, whole.array).astype(np.uint8))
    turn = pose(*where)
    found = head_turn(looked_at(turned(head, turn)))
    assert found is not None and degrees(found @ turn) < 5
    assert np.linalg.det(found) == pytest.approx(1)


def test_a_straight_head_and_one_that_training_knows_stay():
    for small in ((0, 0, 0), (5, 0, 0), (0, -5, 0), (0, 0, 5)):
        assert head_turn(looked_at(turned(mouth(), pose(*small)))) is None


def test_a_part_of_an_arch_tells_no_pose():
    """The teeth of the front lean to the lips; those of one side are hardly wider than one tooth."""
    head = mouth()
    for part in ((11, 12, 13, 21, 22, 23), (34, 35, 36, 37), (26,), ()):
        some = head.with_array(np.where(np.isin(head.array, part), head.array, 0).astype(np.uint8))
        assert head_turn(looked_at(turned(some, pose(20, 0, 0)))) is None
    assert head_turn(replace(looked_at(head), box=None)) is None


def test_with_few_teeth_a_larger_turn_is_needed():
    """The plane of a few leaning teeth is not the occlusal plane of the mouth."""
    head = mouth()
    few = head.with_array(
        np.where(np.isin(head.array, (13, 16, 33, 36, 43, 46, 23, 26)), head.array, 0).astype(np.uint8)
    )
    assert head_turn(looked_at(turned(head, pose(10, 0, 0)))) is not None
    assert head_turn(looked_at(turned(few, pose(10, 0, 0)))) is None
    assert head_turn(looked_at(turned(few, pose(25, 0, 0)))) is not None


def test_molars_of_one_side_tell_nothing_about_the_midline():
    head = mouth()
    some = head.with_array(np.where(np.isin(head.array, (16, 17, 46, 47)), 0, head.array).astype(np.uint8))
    assert head_turn(looked_at(some)) is None


def test_more_than_a_head_can_turn_is_left_to_the_orientation():
    assert head_turn(looked_at(turned(mouth(), pose(0, 0, MOST_TURN + 15)))) is None


def test_a_head_is_straightened_in_steps_if_stage_1_sees_ever_more(monkeypatch):
    """Stage 1 underestimates large turns: this one sees 70 % of them."""
    scan, looks = turned(mouth(), pose(45, 0, 0)), []

    def look(volume: Volume) -> CoarseResult:
        looks.append(volume)
        really = Rotation.from_matrix(turn_between(mouth(), volume)).as_rotvec()
        return looked_at(turned(mouth(), Rotation.from_rotvec(0.7 * really).as_matrix()))

    monkeypatch.setattr(CoarseResult, "information", property(lambda seen: -degrees_from_level(seen)))
    straight, _ = straightened(scan, look)
    assert len(looks) == 3 and straight is looks[-1] and straight.array is scan.array
    assert degrees(turn_between(mouth(), straight)) < 8  # 45 before, 16 after the first step


def test_a_head_stays_as_filed_if_stage_1_sees_less_of_it_straightened():
    scan = turned(mouth(), pose(25, 0, 0))
    given = looked_at(scan)
    worse = looked_at(
        turned(mouth().with_array(np.where(mouth().array < 30, mouth().array, 0).astype(np.uint8)), pose(25))
    )
    assert worse.information < given.information
    results = iter((given, worse))
    volume, coarse = straightened(scan, lambda _: next(results))
    assert volume is scan and coarse is given


def test_a_straight_head_is_looked_at_once():
    looks = []
    straightened(mouth(), lambda volume: looks.append(volume) or looked_at(volume))
    assert len(looks) == 1


def test_results_of_a_tilted_head_lie_in_the_axes_of_the_file(monkeypatch):
    truth, turn = mouth(), pose(22, -8, 12)
    scan = turned(truth, turn)
    networks = Networks(truth.array)
    seen = []
    monkeypatch.setattr(pipeline, "run_coarse", lambda volume, *_: looked_at(volume))
    monkeypatch.setattr(pipeline, "run_fine", lambda volume, *rest: seen.append(volume) or networks.fine(volume, *rest))
    # The networks here know as much of a head in any pose; a real one knows more of a straight head.
    monkeypatch.setattr(CoarseResult, "information", property(lambda self: -degrees_from_level(self)))
    found = pipeline.segment(scan, SimpleNamespace(coarse=None, fine=None, decisions=None), "cpu", keep_maps=True)
    dentition = found.dentition
    assert found.looks >= 2 and degrees(turn_between(truth, seen[0])) < 5
    assert np.array_equal(dentition.labels.affine, scan.affine)
    assert [one.fdi for one in dentition.teeth] == sorted(WITHOUT_THIRDS) and not dentition.warnings
    for one in dentition.teeth:
        mine, its = dentition.labels.array == one.fdi, truth.array == one.fdi
        assert np.count_nonzero(mine & its) > 0.6 * np.count_nonzero(mine | its)
        np.testing.assert_allclose(one.centroid_lps_mm, scan.to_lps(np.argwhere(mine)).mean(axis=0), atol=0.01)
        assert one.confidence > 0.9
    assert np.array_equal(found.maps.labels(scan), dentition.labels.array)


def degrees_from_level(coarse: CoarseResult) -> float:
    """How far the midline and the occlusal plane are from those of a straight head."""
    turn = head_turn(coarse, least=0.0)
    return 0.0 if turn is None else degrees(turn)


def test_maps_of_a_turned_head_keep_the_teeth():
    owner = np.zeros((40, 44, 48), np.uint8)
    z, y, x = np.ogrid[:40, :44, :48]
    for fdi, middle in ((11, (20, 20, 14)), (46, (18, 24, 32))):
        owner[((z - middle[0]) / 11) ** 2 + ((y - middle[1]) / 7) ** 2 + ((x - middle[2]) / 8) ** 2 < 1] = fdi
    maps = ToothMaps((owner > 0).astype(np.uint8) * 255, owner, (-7.0, 3.0, 20.0), 0.4)
    turn = pose(20, 10, -15)
    back = turned_maps(maps, turn)
    assert back.spacing == maps.spacing
    for fdi in (11, 46):
        before, after = owner == fdi, back.owner == fdi
        assert np.count_nonzero(after) == pytest.approx(np.count_nonzero(before), rel=0.02)
        middle = Volume(owner, (0.4,) * 3, maps.origin).to_lps(np.argwhere(before).mean(axis=0))
        again = Volume(back.owner, (0.4,) * 3, back.origin).to_lps(np.argwhere(after).mean(axis=0))
        np.testing.assert_allclose(again, turn @ middle, atol=0.05)
    # A border of empty voxels, as wide as that of other maps, and no more.
    box = bounding_box(back.owner)
    assert all(side.start <= 6 and size - side.stop <= 6 for side, size in zip(box, back.owner.shape, strict=True))


def test_a_crop_of_a_tilted_scan_is_straightened_like_the_scan():
    scan = turned(mouth(), pose(20, 0, 0))
    part = crop(scan, np.s_[4:, 2:, 3:])
    whole, cut = (head_turn(looked_at(volume)) for volume in (scan, part))
    assert degrees(whole @ cut.T) < 3
