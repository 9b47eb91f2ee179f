"""Deciduous teeth, their successors and germs: recognised by depth, size and dental age, even if heads are silent."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from grids import rotated_teeth
from teethseg.anatomy import PERMANENT, fdi_number, tooth
from teethseg.cascade.arch_template import DECIDUOUS_VOLUMES, VOLUMES
from teethseg.cascade.dental_age import ADULT, AGES, teeth_at
from teethseg.cascade.findings import LOOKS_MIXED, MIXED, find
from teethseg.cascade.instance_features import InstanceEvidence
from teethseg.cascade.mixed_dentition import find_kinds
from teethseg.cascade.number_choice import mirrored
from teethseg.cascade.numbering import MidlinePrior, number_teeth
from teethseg.cascade.numbering_parameters import FITTED
from teethseg.cascade.place_evidence import Slots, looks_log_likelihood
from teethseg.cascade.tooth_properties import LabelMeasures, describe
from teethseg.simulation.centroids import simulate_evidence
from teethseg.simulation.mouths import MEAN_CENTRES

SILENT = {"deciduous_probability": 0.1, "germ_probability": 0.2}  # the shares in training carry no information
ADULTS = [fdi for fdi in PERMANENT if fdi % 10 < 8]


def seen(fdi, depth, share=1.0, **heads):
    """A tooth whose centre lies at a depth (mm), with a share of its usual volume; the networks know its position."""
    one = tooth(fdi)
    lateral, posterior = MEAN_CENTRES[one.jaw][one.position - 1]
    usual = (DECIDUOUS_VOLUMES if one.deciduous else VOLUMES)[one.jaw][one.position - 1]
    logs = -2.7 * np.abs(np.arange(1, 9) - one.position)
    return InstanceEvidence(
        fdi,
        share * usual,
        np.array([lateral if one.side == "left" else -lateral, posterior, depth if one.jaw == "upper" else -depth]),
        logs - np.log(np.exp(logs).sum()),
        0.95 if one.jaw == "upper" else 0.05,
        **(SILENT | heads),
    )


def child_of_eight(gone=()):
    """Incisors and first molars have erupted. Canines and molars are deciduous, over germs. Third molars lack germs."""
    teeth = []
    for jaw in ("upper", "lower"):
        for side in ("right", "left"):
            for position in range(1, 8):
                fdi = fdi_number(jaw, side, position)
                erupted = position in (1, 2, 6)
                teeth.append(seen(fdi, 9.0 if erupted else 17.0, 0.95 if erupted else 0.7))
                if 3 <= position <= 5:
                    teeth.append(seen(fdi + 40, 6.0, 0.8))
    return [one for one in teeth if one.label not in gone]


def numbers(teeth):
    return [found.fdi for found in number_teeth(teeth, MidlinePrior(0.0))]


def test_a_child_of_eight():
    teeth = child_of_eight()
    found = number_teeth(teeth)
    assert [one.fdi for one in found] == [one.label for one in teeth]
    for one in found:
        germ = one.fdi < 50 and one.fdi % 10 in (3, 4, 5, 7)
        assert one.unerupted == germ, one.fdi


@pytest.mark.parametrize("gone", [(74, 55), (35, 14), (63, 23, 16), (53, 54, 55)])
def test_lost_and_missing_ones_on_one_side(gone):
    """Depth decides whether a lone tooth in a place is the deciduous one or its successor."""
    teeth = child_of_eight(gone)
    assert numbers(teeth) == [one.label for one in teeth]


@pytest.mark.parametrize(("axis", "degrees"), [(0, 15), (0, -15), (1, 12), (2, -15)])
def test_a_head_that_is_not_straight(axis, degrees):
    teeth = child_of_eight((74, 55))
    assert numbers(rotated_teeth(teeth, degrees, axis)) == [one.label for one in teeth]


def test_a_mirrored_child_has_mirrored_numbers():
    teeth = [replace(one, centroid_lps=one.centroid_lps * [-1, 1, 1]) for one in child_of_eight((74, 55, 25))]
    assert numbers(teeth) == [mirrored(one.label) for one in teeth]


def test_an_open_bite_is_no_eruption():
    """Jaws 12 mm apart: all teeth are as deep in their jaws as before."""
    apart = np.array([0.0, 0.0, 6.0])
    teeth = [
        replace(one, centroid_lps=one.centroid_lps + (apart if one.label // 10 in (1, 2, 5, 6) else -apart))
        for one in child_of_eight()
    ]
    assert numbers(teeth) == [one.label for one in teeth]


def test_heads_that_say_nothing_leave_adults_as_they_are():
    teeth = [seen(fdi, 9.0) for fdi in ADULTS if fdi not in (15, 36)]
    silent = number_teeth(teeth)
    without = number_teeth([replace(one, deciduous_probability=None, germ_probability=None) for one in teeth])
    assert [one.fdi for one in silent] == [one.fdi for one in without] == [one.label for one in teeth]
    assert not any(one.unerupted for one in silent)
    for a, b in zip(silent, without, strict=True):
        assert a.confidence > b.confidence - 0.002


def test_a_deciduous_molar_that_an_adult_has_kept():
    """Its successor never formed; trained heads identify it."""
    heads = {"deciduous_probability": 0.02, "germ_probability": 0.02}
    teeth = [seen(fdi, 9.0, **heads) for fdi in ADULTS if fdi != 35]
    kept = seen(75, 5.0, deciduous_probability=0.97, germ_probability=0.02)
    assert numbers([*teeth, kept]) == [one.label for one in teeth] + [75]


def test_the_mouths_age_and_how_sure_kinds_are():
    def kinds(teeth):
        points = np.array([one.centroid_lps for one in teeth])
        upper = np.array([one.is_upper for one in teeth])
        return find_kinds(teeth, upper, points, looks_log_likelihood(teeth, FITTED))

    teeth = child_of_eight()
    found = kinds(teeth)
    assert 7 <= found.age <= 10 and not found.adult
    deciduous = np.array([one.label > 50 for one in teeth])
    assert (found.deciduous[deciduous] > 0.95).all() and (found.deciduous[~deciduous] < 0.05).all()
    assert kinds([seen(fdi, 9.5) for fdi in ADULTS]).adult


def test_teeth_grow_and_erupt_with_age():
    for jaw in ("upper", "lower"):
        slots = Slots.of(jaw, with_deciduous=True)
        ages = [teeth_at(jaw, age) for age in AGES]
        for earlier, later in pairwise(ages):
            assert (later.erupted >= earlier.erupted).all()
            permanent = ~slots.deciduous
            assert (later.log_volume[permanent] >= earlier.log_volume[permanent] - 1e-9).all()
            assert (later.present[slots.deciduous] <= earlier.present[slots.deciduous]).all()
        adult = teeth_at(jaw, ADULT)
        assert (adult.present[slots.deciduous] < 0.1).all()
        assert adult.edge(adult.depth) == pytest.approx(0.0)


def test_simulated_children():
    """Another author's ages of eruption, reliable and unreliable heads; check_numbering.py judges hundreds."""
    right, jaws = [], []
    for seed in range(4):
        case = simulate_evidence(np.random.default_rng(seed), "mixed dentition")
        found = number_teeth(case.evidence, MidlinePrior(case.midline_x, 10.0))
        right += [one.fdi == fdi for one, fdi in zip(found, case.fdi, strict=True)]
        jaws += [
            tooth(one.fdi).jaw == tooth(fdi).jaw and tooth(one.fdi).side == tooth(fdi).side
            for one, fdi in zip(found, case.fdi, strict=True)
            if one.fdi
        ]
    assert np.mean(right) > 0.93
    assert np.mean(jaws) > 0.99


def test_the_finding_names_deciduous_teeth_and_germs():
    """One finding names them, and no second finding asks for the networks for mixed dentitions."""
    teeth = child_of_eight((74, 55))
    measured = {
        one.label: LabelMeasures(one.volume_mm3, tuple(one.centroid_lps.tolist()), touches_border=False)
        for one in teeth
    }
    found = {one.kind: one for one in find(describe(number_teeth(teeth), measured))}
    assert LOOKS_MIXED not in found
    assert found[MIXED].text == (
        "Mixed dentition: deciduous teeth 53, 54, 63-65, 73, 75 and 83-85; "
        "not yet erupted: 13-15, 17, 23-25, 27, 33-35, 37, 43-45 and 47."
    )
