"""A new result beside the teeth that a user has corrected."""

from __future__ import annotations

import numpy as np
import pytest

from teethseg.application.rerun_policy import plan
from teethseg.cascade.dentition import Dentition, FoundTooth
from teethseg.cascade.merge_results import merged_result
from teethseg.volume import Volume

ALL = frozenset((14, 15, 16))


def teeth(places: dict[int, slice]) -> np.ndarray:
    labels = np.zeros((8, 8, 40), np.uint8)
    for fdi, columns in places.items():
        labels[2:6, 2:6, columns] = fdi
    return labels


def result(places: dict[int, slice]) -> Dentition:
    labels = Volume(teeth(places), (0.5, 0.5, 0.5))
    found = tuple(FoundTooth(fdi, 0.9, 10.0, (0.0, 0.0, 0.0)) for fdi in sorted(places))
    return Dentition(labels, found, ("As before.",))


def test_corrected_teeth_stay_and_the_others_are_new():
    old = teeth({14: slice(0, 8), 15: slice(10, 18)})
    new = result({14: slice(0, 7), 15: slice(10, 17), 16: slice(20, 28)})
    merged = merged_result(old, new, keep={14}, take=ALL - {14}, requested=ALL)
    assert np.array_equal(merged.labels.array, teeth({14: slice(0, 8), 15: slice(10, 17), 16: slice(20, 28)}))
    assert [(one.fdi, one.confidence) for one in merged.teeth] == [(14, 1.0), (15, 0.9), (16, 0.9)]
    assert merged.warnings == ("As before.",)


@pytest.mark.parametrize("requested", [ALL, frozenset({16})])
def test_a_new_tooth_elsewhere_with_the_number_of_a_corrected_one_is_told(requested):
    """The user calls 15 what the networks call 16; they find another 15 in front of it."""
    old = teeth({15: slice(20, 28)})
    new = result({15: slice(10, 18), 16: slice(20, 28)})
    merged = merged_result(old, new, keep={15}, take=requested - {15}, requested=requested)
    assert np.array_equal(merged.labels.array, old)
    told = [text for text in merged.warnings if "15" in text and text.startswith("Left out")]
    assert len(told) == (15 in requested)


def test_a_corrected_tooth_of_which_the_user_left_a_part_is_no_other_tooth():
    old, new = teeth({15: slice(10, 13)}), result({15: slice(10, 20)})
    assert merged_result(old, new, {15}, ALL - {15}, ALL).warnings == new.warnings


def test_a_tooth_found_anew_under_a_number_that_the_user_has_taken_away_is_told():
    """The user called 16 15, and keeps that; now a 16 is found behind it."""
    old, new = teeth({15: slice(20, 28)}), result({15: slice(20, 28), 16: slice(30, 38)})
    wanted = plan(ALL, present={15}, corrected={15, 16})
    merged = merged_result(old, new, wanted.keep, wanted.take, ALL)
    assert np.array_equal(merged.labels.array, old)
    assert [text for text in merged.warnings if "16" in text and "renumbered" in text]
