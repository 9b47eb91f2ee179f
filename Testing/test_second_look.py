"""Two lower incisors whose maps flow together are parted by a second, enlarged look; single teeth stay whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from teethseg.cascade.coarse import CoarseResult
from teethseg.cascade.decisions import shipped_decisions
from teethseg.cascade.fine import run_fine_enlarged
from teethseg.cascade.instances import find_instances
from teethseg.cascade.predictions import FineMaps
from teethseg.cascade.region import Region
from teethseg.cascade.second_look import ZOOM, part_fused_teeth
from teethseg.padding import PatientGreys
from teethseg.volume import Volume
from test_instances import ORIGIN, SPACING, assert_one_piece_each, assert_same_teeth, labelled, maps_of, single_rooted

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

    def look(low, high):
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
        after = parted(maps, lambda low, high, labels=labels, positions=positions: enlarged(labels, positions))
        assert np.array_equal(after.labels, before.labels)
        assert len(after.evidence) == len(before.evidence) == 2


@pytest.mark.parametrize("upper", [False, True])
def test_narrow_teeth_and_upper_ones_are_not_looked_at_again(upper):
    truth = incisors()
    labels = np.where(truth == 3, 2, np.minimum(truth, 1)).astype(np.uint16) if upper else truth
    maps = maps_of(labels, [1, 2, 3][: labels.max()], [upper] * int(labels.max()))
    instances = parted(maps, lambda low, high: pytest.fail("a second look"))
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
