"""What a user is told about the teeth of a numbered label map."""

from __future__ import annotations

import numpy as np
import pytest

from TeethSegLib.cascade.dentition import GAP_BEFORE, TOUCHES_BORDER, UNCERTAIN_NUMBER, UNUSUAL_VOLUME
from TeethSegLib.cascade.findings import describe, usual_volume
from TeethSegLib.cascade.instances import InstanceEvidence
from TeethSegLib.cascade.numbering import NumberedTooth
from TeethSegLib.volume import Volume


def _scene(teeth, spacing=0.5, direction=None):
    """Boxes (z, y, x, depth, width) in mm by FDI number, in a scan of 30 x 40 x 80 mm."""
    labels = np.zeros((60, 80, 160), np.uint8)
    for fdi, (z, y, x, height, width) in teeth.items():
        corner = [round(v / spacing) for v in (z, y, x)]
        size = [round(v / spacing) for v in (height, width, width)]
        labels[tuple(slice(a, a + b) for a, b in zip(corner, size, strict=True))] = fdi
    return Volume(labels, (spacing,) * 3, (-40.0, 0.0, 10.0), direction)


def _told(volume, confidence=None, border=(), second=None):
    present = [int(v) for v in np.unique(volume.array) if v]
    evidence = [InstanceEvidence(f, 1.0, np.zeros(3), np.zeros(8), 0.5, touches_border=f in border) for f in present]
    numbered = [NumberedTooth(f, f, (confidence or {}).get(f, 0.99), (second or {}).get(f)) for f in present]
    return {f.fdi: f for f in describe(volume, numbered, evidence)}


def test_volume_and_centre_in_the_patient():
    found = _told(_scene({16: (2, 5, 10, 16, 8)}))[16]
    assert found.volume_mm3 == pytest.approx(16 * 8 * 8)
    # x = -40 + 10 .. +18, centre of the first voxel at the corner
    assert found.centroid_lps_mm == pytest.approx((-40 + 10 + 4 - 0.25, 5 + 4 - 0.25, 10 + 2 + 8 - 0.25))
    assert found.flags == ()


def test_direction_turns_centres():
    turned = _told(_scene({16: (2, 5, 10, 16, 8)}, direction=np.diag([-1.0, -1.0, 1.0])))[16]
    assert turned.centroid_lps_mm == pytest.approx((-40 - 10 - 4 + 0.25, -5 - 4 + 0.25, 10 + 2 + 8 - 0.25))


def test_flags():
    scene = _scene({11: (2, 5, 30, 16, 6), 21: (2, 5, 36.5, 16, 6), 16: (2, 25, 10, 4, 3), 26: (0, 25, 60, 4, 3)})
    found = _told(scene, confidence={21: 0.7}, border={26}, second={21: 22})
    assert found[11].flags == ()
    assert found[21].flags == (UNCERTAIN_NUMBER,)
    assert found[21].second_fdi == 22
    assert UNUSUAL_VOLUME in found[16].flags
    # A tooth that the scan cuts may well be small.
    assert UNUSUAL_VOLUME not in found[26].flags
    assert TOUCHES_BORDER in found[26].flags
    assert found[26].touches_border


def test_room_for_a_missing_tooth_is_told_of_the_outer_neighbour():
    scene = _scene({11: (2, 5, 30, 16, 6), 13: (2, 5, 14, 16, 6), 21: (2, 5, 37, 16, 6), 23: (2, 5, 44, 16, 6)})
    found = _told(scene)
    assert GAP_BEFORE in found[13].flags
    # 22 is missing too, but its gap has closed.
    assert GAP_BEFORE not in found[23].flags
    assert GAP_BEFORE not in found[11].flags


def test_usual_volumes_hold_textbook_teeth():
    for fdi, volume in {11: 600, 12: 400, 13: 550, 16: 1150, 31: 230, 41: 230, 33: 480, 46: 1100, 38: 700}.items():
        low, high = usual_volume(fdi)
        assert low < volume < high
    assert usual_volume(11) == usual_volume(21)


def test_nothing_found():
    assert describe(_scene({}), [], []) == ()
