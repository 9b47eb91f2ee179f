"""The jaw from the cross-sections of teeth, in any position of the head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from teethseg.anatomy import tooth
from teethseg.cascade.instance_features import InstanceEvidence, gather_evidence
from teethseg.cascade.jaw_shape import PROPORTIONS, jaws_log_likelihood, proportions
from teethseg.cascade.orientation import PLANE_KEPT, UPSIDE_DOWN
from teethseg.cascade.predictions import FineMaps
from test_numbering import centre, evidence

BACK = (14, 15, 16, 17, 44, 45, 46, 47)


def shaped(fdi: int, long: float = 6.0, wide: float = 3.0) -> InstanceEvidence:
    """A tooth with the proportion of its kind, leaning a little, along the arch at its place."""
    one = evidence(fdi)
    step = np.array(centre(fdi - 1)) - centre(fdi + 1) if fdi % 10 < 7 else np.array(centre(fdi - 1)) - centre(fdi)
    along = step * [1, 1, 0] / np.linalg.norm(step[:2])
    axis = np.array([0.1, -0.15, 1.0])
    axis /= np.linalg.norm(axis)
    along = along - (along @ axis) * axis
    along /= np.linalg.norm(along)
    across = np.cross(axis, along)
    ratio = np.exp(PROPORTIONS[tooth(fdi).jaw][fdi % 10 - 1])
    parts = ((along, wide * ratio**0.5), (across, wide / ratio**0.5), (axis, long))
    return replace(one, covariance=sum(np.outer(way, way) * extent**2 for way, extent in parts))


def test_a_tooth_that_leans_has_the_proportion_of_its_kind():
    teeth = [shaped(fdi) for fdi in BACK]
    expected = [PROPORTIONS[tooth(fdi).jaw][fdi % 10 - 1] for fdi in BACK]
    np.testing.assert_allclose(proportions(teeth), expected, atol=0.07)
    stumps = [shaped(fdi, long=2.0) for fdi in BACK]  # only crowns are in the picture
    np.testing.assert_allclose(proportions(stumps), expected, atol=0.12)


@pytest.mark.parametrize("way", PLANE_KEPT, ids=lambda way: way.words)
def test_shapes_fit_the_jaws_only_one_way_up(way):
    teeth = [shaped(fdi) for fdi in BACK]
    gain = jaws_log_likelihood(teeth) - jaws_log_likelihood(UPSIDE_DOWN.evidence(teeth))
    assert gain > 5
    turned = way.evidence(teeth)
    other = jaws_log_likelihood(turned) - jaws_log_likelihood(UPSIDE_DOWN.evidence(turned))
    assert other == pytest.approx(gain if way.matrix[2][2] > 0 else -gain, abs=0.1)


def test_lone_teeth_and_germs_say_nothing():
    lone = [shaped(16)]
    assert np.isnan(proportions(lone)).all() and jaws_log_likelihood(lone) == 0.0
    germs = [replace(shaped(fdi), germ_probability=0.9) for fdi in BACK]
    assert jaws_log_likelihood(germs) == 0.0
    unknown = [replace(one, covariance=None) for one in germs]
    assert jaws_log_likelihood(unknown) == 0.0


def test_a_tooth_that_the_image_cuts_says_less():
    whole = [shaped(fdi) for fdi in BACK]
    cut = [replace(one, touches_border=True) for one in whole]

    def gain(teeth):
        return jaws_log_likelihood(teeth) - jaws_log_likelihood(UPSIDE_DOWN.evidence(teeth))

    assert 0 < gain(cut) < 0.6 * gain(whole)


def test_covariances_are_in_patient_axes_and_millimetres():
    labels = np.zeros((40, 24, 16), np.uint8)
    z, y, x = np.indices(labels.shape)
    labels[((z - 20) / 15.0) ** 2 + ((y - 12) / 8.0) ** 2 + ((x - 8) / 4.0) ** 2 < 1] = 1
    half = tuple(n // 2 for n in labels.shape)
    maps = FineMaps(
        np.ones(labels.shape, np.float32),
        np.ones(labels.shape, np.float32),
        np.zeros((3, *half)),
        np.full((8, *half), np.log(1 / 8)),
        np.zeros(half),
        (5.0, -3.0, 2.0),
        0.5,
    )
    (one,) = gather_evidence(labels, maps, np.zeros(labels.shape, bool))
    # Of an ellipsoid: a fifth of the square of each half axis, here in the order x, y, z.
    np.testing.assert_allclose(np.diag(one.covariance), np.array([2.0, 4.0, 7.5]) ** 2 / 5, rtol=0.06)
    np.testing.assert_allclose(one.covariance - np.diag(np.diag(one.covariance)), 0, atol=0.05)
