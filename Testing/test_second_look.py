"""Two lower incisors whose maps flow together are parted by a second, enlarged look; single teeth stay whole."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from teethseg.cascade import fine, pipeline
from teethseg.cascade.coarse import CoarseResult
from teethseg.cascade.decisions import shipped_decisions
from teethseg.cascade.fine import run_fine_enlarged
from teethseg.cascade.instances import Instances, find_instances
from teethseg.cascade.predictions import FineMaps
from teethseg.cascade.region import Region
from teethseg.cascade.second_look import ZOOM, _connected, part_fused_teeth, without_unseen
from teethseg.padding import PatientGreys
from teethseg.volume import Volume
from test_instances import ORIGIN, SPACING, assert_one_piece_each, assert_same_teeth, labelled, maps_of, single_rooted
from test_numbering import WITHOUT_THIRDS
from test_orientation import Networks, mouth

SHAPE = (56, 36, 70)
INCISORS = [(17.0, 7.0, x) for x in (6.0, 11.0, 19.0)]  # crowns (z, y, x) in mm; the first two touch


def incisors(zoom: float = 1.0) -> np.ndarray:
    shape = [int(n * zoom) // 2 * 2 for n in SHAPE]
    teeth = [single_rooted(shape, np.multiply(crown, zoom), up=-zoom, radius=2.6 * zoom) for crown in INCISORS]
    return labelled(teeth)


def enlarged(labels: np.ndarray, positions: list[int]) -> FineMaps:
    return replace(maps_of(labels, positions, [False] * len(positions)), origin=tuple(np.multiply(ORIGIN, ZOOM)))


def fused() -> FineMaps:
    """Maps of a network that takes the first two teeth for one."""
    truth = incisors()
    return maps_of(np.where(truth == 3, 2, np.minimum(truth, 1)).astype(np.uint16), [1, 3], [False, False])


def parted(maps: FineMaps, look):
    return part_fused_teeth(find_instances(maps), maps, None, look, shipped_decisions())


def test_a_fused_pair_is_two_teeth_if_the_enlarged_maps_show_two():
    maps, boxes = fused(), []

    def look(low, high, zoom):
        assert zoom == ZOOM
        boxes.append((low, high))
        return enlarged(incisors(ZOOM), [1, 2, 3])

    assert find_instances(maps).labels.max() == 2
    instances = parted(maps, look)
    truth = incisors()
    assert_same_teeth(instances.labels, truth)
    assert_one_piece_each(instances.labels)
    assert [one.label for one in instances.evidence] == [1, 2, 3]
    for one in instances.evidence:
        voxels = np.argwhere(instances.labels == one.label)
        assert one.centroid_lps == pytest.approx(maps.to_lps(voxels.mean(axis=0)), abs=0.01)
        assert one.volume_mm3 == pytest.approx(len(voxels) * SPACING**3)
    (low, high) = boxes[0]  # only the pair is looked at
    pair = maps.to_lps(np.argwhere((truth == 1) | (truth == 2)))
    assert len(boxes) == 1 and np.all(low < pair.min(axis=0)) and np.all(high > pair.max(axis=0))
    assert high[0] < maps.to_lps(np.argwhere(truth == 3)).max()


def test_a_tooth_stays_one_if_the_enlarged_maps_show_one_or_its_crown_and_root():
    maps = fused()
    before = find_instances(maps)
    truth = np.minimum(incisors(ZOOM), 2)
    height = np.arange(truth.shape[0])[:, None, None] < 0.6 * truth.shape[0]
    crown_and_root = np.where(truth > 0, 1 + height, 0).astype(np.uint16)
    for labels in ((truth > 0).astype(np.uint16), crown_and_root):
        positions = [1] * int(labels.max())
        after = parted(maps, lambda low, high, zoom, labels=labels, positions=positions: enlarged(labels, positions))
        assert np.array_equal(after.labels, before.labels)
        assert len(after.evidence) == len(before.evidence) == 2


def test_each_of_two_parted_teeth_is_one_piece():
    both = np.ones((3, 3, 12), np.uint32)
    both[..., 6:] = 2
    flecks = both.copy()
    flecks[1, 1, 9], flecks[1, 1, 2] = 1, 2
    assert np.array_equal(_connected(flecks), both)


@pytest.mark.parametrize("upper", [False, True])
def test_narrow_teeth_and_upper_ones_are_not_looked_at_again(upper):
    truth = incisors()
    labels = np.where(truth == 3, 2, np.minimum(truth, 1)).astype(np.uint16) if upper else truth
    maps = maps_of(labels, [1, 2, 3][: labels.max()], [upper] * int(labels.max()))
    instances = parted(maps, lambda low, high, zoom: pytest.fail("a second look"))
    assert instances.labels.max() == labels.max()


def test_the_enlarged_scan_is_the_same_box_of_the_patient(monkeypatch):
    seen = {}
    monkeypatch.setattr(
        "teethseg.cascade.fine.run_fine", lambda scan, coarse, *_: seen.update(scan=scan, coarse=coarse)
    )
    scan = Volume(np.zeros((20, 30, 40)), (0.5, 0.4, 0.3), (-10.0, 20.0, 5.0), np.diag([-1.0, -1.0, 1.0]))
    low, high = scan.extent
    empty = np.zeros((2, 2, 2))
    region = Region((0.0, 0.0, 0.0), 1.5, (2, 2, 2))
    coarse = CoarseResult(region, empty, empty, empty, PatientGreys(0, 1), (0.0, 1.0), None, empty)
    run_fine_enlarged(scan, coarse, (low + 2, high + 9), 1.5, None, None)
    index = np.array([[3, 7, 11], [19, 0, 39]])
    assert np.allclose(seen["scan"].to_lps(index), 1.5 * scan.to_lps(index))
    assert np.allclose(seen["coarse"].box, [1.5 * (low + 2), 1.5 * high])  # no larger than the scan


def small_and_large() -> tuple[FineMaps, np.ndarray]:
    """Maps of three teeth: two of less than 400 mm³ and a larger one."""
    shape = (70, 44, 90)
    teeth = [
        single_rooted(shape, (22.0, 9.0, x), up=-1, radius=radius)
        for x, radius in ((6.0, 2.4), (16.0, 2.4), (27.0, 4.2))
    ]
    return maps_of(labelled(teeth), [1, 2, 3], [False] * 3), labelled(teeth)


def test_a_small_doubted_object_that_is_not_seen_again_is_left_out_and_counted():
    maps, truth = small_and_large()
    instances, boxes = find_instances(maps), []
    small = [one.label for one in instances.evidence if one.volume_mm3 < 400]
    assert len(small) == 2 and len(instances.evidence) == 3

    def look(low, high, zoom):
        """The first of the small ones is bone: it is not there when it is enlarged; the other one is."""
        boxes.append((low, high))
        assert zoom == ZOOM
        return FineMaps(*_grown(maps, nothing=len(boxes) == 1))

    found = without_unseen(instances, maps, small, look)
    assert len(boxes) == 2 and found.doubtful == instances.doubtful + 1
    assert [one.label for one in found.evidence] == [1, 2] and set(np.unique(found.labels)) == {0, 1, 2}
    for one in found.evidence:
        middle = maps.to_lps(np.argwhere(found.labels == one.label).mean(axis=0))
        np.testing.assert_allclose(one.centroid_lps, middle, atol=0.2)
    assert not found.labels[instances.labels == small[0]].any()
    low, high = boxes[0]
    places = maps.to_lps(np.argwhere(instances.labels == small[0]))
    assert np.all(low < places.min(axis=0) - 5) and np.all(high > places.max(axis=0) + 5)  # with what is around it
    assert truth.max() == 3


@pytest.mark.parametrize("seen_as_it_is", [True, False])
def test_what_the_border_cuts_is_looked_at_without_enlargement_too(seen_as_it_is):
    """Half of a tooth, enlarged, may look like bone."""
    maps, _ = small_and_large()
    instances = find_instances(maps)
    cut = next(one for one in instances.evidence if one.volume_mm3 < 400)
    evidence = tuple(replace(one, touches_border=one.label == cut.label) for one in instances.evidence)
    zooms = []

    def look(low, high, zoom):
        zooms.append(zoom)
        return FineMaps(*_grown(maps, nothing=zoom == ZOOM or not seen_as_it_is, zoom=zoom))

    found = without_unseen(replace(instances, evidence=evidence), maps, [cut.label], look)
    assert zooms == [ZOOM, 1.0] and len(found.evidence) == len(evidence) - (not seen_as_it_is)


def _grown(maps: FineMaps, nothing: bool, zoom: float = ZOOM) -> tuple:
    """The arrays of the maps, enlarged by repetition of the nearest voxel; without any tooth if asked."""
    half, whole = (tuple(int(n * zoom) // 2 * 2 // part for n in maps.tooth.shape) for part in (2, 1))

    def resized(array, shape):
        sides = zip(shape, array.shape[-3:], strict=True)
        steps = [np.minimum((np.arange(n) / zoom).astype(int), size - 1) for n, size in sides]
        return array[(..., *np.ix_(*steps))]

    tooth = resized(maps.tooth, whole) * (not nothing)
    small = (resized(array, half) for array in (maps.offset, maps.position, maps.upper))
    return tooth, resized(maps.core, whole), *small, tuple(np.multiply(maps.origin, zoom)), maps.spacing


def test_sure_and_large_objects_are_not_looked_at_again():
    maps, _ = small_and_large()
    instances = find_instances(maps)
    large = [one.label for one in instances.evidence if one.volume_mm3 >= 400]

    def never(*_):
        raise AssertionError("looked at again")

    assert without_unseen(instances, maps, (), never) is instances
    assert without_unseen(instances, maps, large, never) is instances


def test_more_doubtful_objects_than_a_mouth_can_have_all_stay():
    """Networks that fit a scan badly: a look at every object would take minutes."""
    maps, _ = small_and_large()
    one = find_instances(maps).evidence[0]
    many = Instances(
        np.zeros(maps.tooth.shape, np.uint16), tuple(replace(one, label=k, volume_mm3=90.0) for k in range(1, 18))
    )
    looks = []
    assert without_unseen(many, maps, range(1, 18), lambda *box: looks.append(box)) is many and not looks


def test_the_user_reads_that_an_object_was_left_out(monkeypatch):
    """A whole run: a bit of bone that is a tooth at one size only."""
    truth = mouth()
    array = truth.array.copy()
    array[8:13, 40:45, 40:45] = 48  # behind the arch, between its sides
    networks, real = Networks(array), Networks(truth.array)
    monkeypatch.setattr(pipeline, "run_coarse", networks.coarse)
    monkeypatch.setattr(pipeline, "run_fine", networks.fine)
    monkeypatch.setattr(pipeline, "coarse_information", networks.coarse_information)
    monkeypatch.setattr(fine, "run_fine", real.fine)
    found = pipeline.segment(truth, SimpleNamespace(coarse=None, fine=None, decisions=None), "cpu").dentition
    assert [one.fdi for one in found.teeth] == sorted(WITHOUT_THIRDS)
    assert "Left out: 1 object like a tooth, but probably none: check that no tooth is missing." in found.warnings
    assert not found.labels.array[8:13, 40:45, 40:45].any()
