"""How large teeth of one patient can be."""

from __future__ import annotations

import numpy as np
import pytest

from teethseg.cascade.instance_features import InstanceEvidence
from teethseg.cascade.volume_prior import largest_volumes, too_large


def a_mouth(sizes, *, cut=()):
    """Upper canines, `sizes` times as large as usual; those of which the image holds a part in `cut`."""
    logs = np.log(np.full(8, 0.01))
    logs[2] = np.log(0.9)
    whole = [InstanceEvidence(n, 1.0, np.zeros(3), logs, 0.9) for n in range(1, len(sizes) + 1)]
    return [
        InstanceEvidence(one.label, size * one.usual_mm3, np.zeros(3), logs, 0.9, touches_border=one.label in cut)
        for one, size in zip(whole, sizes, strict=True)
    ]


def test_two_teeth_in_one_are_too_large():
    assert too_large(a_mouth([1, 1, 0.9, 1.1, 1, 1, 2])) == [7]


def test_large_teeth_among_large_teeth_are_not():
    assert too_large(a_mouth([1.4, 1.5, 1.6, 1.5, 1.5, 1.4, 2.0])) == []
    assert too_large(a_mouth([0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 1.0])) == [7]


def test_few_teeth_do_not_tell_nor_do_halves():
    assert too_large(a_mouth([1, 1, 1, 1, 5])) == []
    assert too_large(a_mouth([0.2, 0.2, 0.2, 1, 1, 1, 1, 1.1, 1.2, 1.3], cut=(1, 2, 3))) == []
    assert largest_volumes([]).shape == (0,)


def test_the_limit_is_in_cubic_millimetres_of_the_position():
    mouth = a_mouth([1.0] * 6)
    assert largest_volumes(mouth) == pytest.approx(1.45 * mouth[0].usual_mm3)
