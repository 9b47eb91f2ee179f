"""Teeth as short as deciduous ones: retained deciduous teeth of adults are seen by their length."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from teethseg.cascade.dentition import MAYBE_EXTRA, TOUCHES_BORDER, UNERUPTED, Dentition, FoundTooth
from teethseg.cascade.short_teeth import length_mm, short_teeth
from teethseg.tooth_sizes import TEXTBOOK
from teethseg.volume import Volume

ROW = (11, 12, 13, 14, 15, 16, 34, 35)


def mouth(share: dict[int, float], flags: dict[int, str] | None = None, all_of: float = 0.9) -> Dentition:
    """Rods beside one another, as long as the textbook says, times `all_of` and the share given; an oblique grid."""
    array = np.zeros((64, 12, 6 * len(ROW)), np.uint8)
    teeth = []
    for n, fdi in enumerate(ROW):
        one = FoundTooth(fdi, 1.0, 400.0, (0.0, 0.0, 0.0), flags=((flags or {})[fdi],) if fdi in (flags or {}) else ())
        length = TEXTBOOK[one.tooth.jaw, one.tooth.position].length * all_of * share.get(fdi, 1.0)
        array[2 : 2 + round(length / 0.5), 3:9, 6 * n : 6 * n + 5] = fdi
        teeth.append(one)
    direction = Rotation.from_euler("zyx", (20, -10, 15), degrees=True).as_matrix()
    return Dentition(Volume(array, (0.5, 0.5, 0.5), (3.0, -7.0, 11.0), direction), tuple(teeth))


def test_a_tooth_as_short_as_a_deciduous_one_is_named_however_long_the_teeth_of_the_mouth_are():
    assert short_teeth(mouth({})) == []
    assert short_teeth(mouth({35: 0.55, 12: 0.6})) == [12, 35]
    assert short_teeth(mouth({35: 0.8})) == []  # a short root
    assert short_teeth(mouth({}, all_of=0.6)) == []  # a small mouth, or an image with wrong voxel sizes


@pytest.mark.parametrize("flag", [TOUCHES_BORDER, UNERUPTED, MAYBE_EXTRA])
def test_what_is_short_for_another_reason_does_not_count(flag):
    assert short_teeth(mouth({35: 0.5}, {35: flag})) == []


def test_molars_and_few_teeth_tell_nothing():
    assert short_teeth(mouth({16: 0.4})) == []
    whole = mouth({35: 0.5})
    assert short_teeth(Dentition(whole.labels, whole.teeth[-5:])) == []
    assert short_teeth(Dentition(whole.labels, ())) == []


def test_the_length_is_that_of_the_long_axis():
    z, y, x = np.indices((50, 9, 9)).reshape(3, -1)
    places = np.column_stack([x, y, z]) * 0.4
    turned = places @ Rotation.from_euler("x", 35, degrees=True).as_matrix()
    assert length_mm(places) == pytest.approx(20, abs=0.5) and length_mm(turned) == pytest.approx(20, abs=0.6)
    assert length_mm(places[:1]) == 0
