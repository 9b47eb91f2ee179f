"""Findings about a whole dentition are asked once, worst first; an answer renumbers all teeth that depend on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from teethseg.anatomy import PERMANENT, tooth
from teethseg.application.finding_texts import finding_text
from teethseg.cascade import findings
from teethseg.cascade.arch_template import place_centres
from teethseg.cascade.dentition import MAYBE_EXTRA, TOUCHES_BORDER, UNCERTAIN_NUMBER, UNERUPTED, FoundTooth
from teethseg.cascade.findings import (
    CUT,
    EXTRA,
    EXTRACTED,
    JAW_NOT_FOUND,
    LOOKS_MIXED,
    MIXED,
    NOT_FOUND,
    SHIFTED,
    find,
    if_there,
    numbers_text,
)

WITHOUT_THIRDS = [fdi for fdi in PERMANENT if fdi % 10 < 8]


def centre(fdi):
    """Centre of a place in the mean arches, one row above the other."""
    one = tooth(fdi)
    lateral, posterior = place_centres(one.jaw)[7 + one.position]
    return (lateral if one.side == "left" else -lateral, posterior, 9.0 if one.jaw == "upper" else -9.0)


def found(fdi, place=None, flags=(), **more):
    """A tooth of this number, at its own place or at `place`."""
    return FoundTooth(fdi, 1.0, 500.0, centre(place or fdi % 40 if fdi > 50 else place or fdi), flags=flags, **more)


def mouth(fdis, moved=None, flags=None):
    return [found(fdi, (moved or {}).get(fdi), (flags or {}).get(fdi, ())) for fdi in fdis]


def kinds(findings):
    return [finding.kind for finding in findings]


def test_nothing_to_say_of_a_full_dentition():
    assert find(mouth(WITHOUT_THIRDS)) == ()
    assert find(mouth(PERMANENT)) == ()
    assert find([]) == ()


def test_lower_front_that_was_not_found():
    present = [fdi for fdi in WITHOUT_THIRDS if fdi not in (33, 32, 31, 41, 42)]
    (finding,) = find(mouth(present))
    assert finding.kind == NOT_FOUND
    assert sorted(finding.teeth) == [31, 32, 33, 41, 42]
    assert finding.text == "Lower front: no teeth were found between 43 and 34; is that so?"
    (answer,) = finding.answers
    assert (answer.renumbering, sorted(answer.missing)) == ({}, [31, 32, 33, 41, 42])
    assert find(mouth(present), answer.missing) == ()


def test_teeth_not_found_behind_the_last_one():
    present = [fdi for fdi in WITHOUT_THIRDS if fdi not in (15, 16, 17)]
    (finding,) = find(mouth(present))
    assert (finding.kind, finding.teeth) == (NOT_FOUND, (15, 16, 17))
    assert finding.text == "Upper right: no teeth were found behind 14; is that so?"
    cut = [one if one.fdi != 14 else found(14, touches_border=True, flags=(TOUCHES_BORDER,)) for one in mouth(present)]
    assert find(cut) == ()


@pytest.mark.parametrize(
    ("left_over", "gone", "where"),
    [
        (
            (21, 22, 23, 24, 25, 26, 27),
            (17, 16, 15, 14, 13, 12, 11),
            "Upper right: no teeth were found between 21 and the right",
        ),
        (
            (14, 15, 16, 17),
            (13, 12, 11, 21, 22, 23, 24, 25, 26, 27),
            "Upper arch: no teeth were found between 14 and the left",
        ),
    ],
)
def test_a_side_of_a_jaw_without_teeth_is_asked_about(left_over, gone, where):
    lower = [fdi for fdi in WITHOUT_THIRDS if fdi > 30]
    (finding,) = find(mouth([*lower, *left_over]))
    assert (finding.kind, finding.teeth) == (NOT_FOUND, gone) and finding.text.startswith(where)
    assert "other end of the arch: " in finding_text(finding, "fdi")
    assert find(mouth([*lower, *left_over]), finding.answers[0].missing) == ()


def test_a_view_of_one_side_is_not_asked_for_the_other():
    one_side = [fdi for fdi in WITHOUT_THIRDS if fdi // 10 in (2, 3)]
    assert find(mouth(one_side)) == ()
    assert [one.beside for one in find(mouth([*one_side, 41, 42]))] == [(42,)]


def test_a_premolar_missing_in_every_quadrant_with_closed_gaps():
    gone = (14, 25, 34, 44)
    present = [fdi for fdi in WITHOUT_THIRDS if fdi not in gone]
    moved = {fdi: fdi - 1 for fdi in present if any(fdi // 10 == g // 10 and fdi > g for g in gone)}
    (finding,) = find(mouth(present, moved))
    assert finding.kind == EXTRACTED
    assert "in every quadrant" in finding.text
    assert set(finding.teeth) == {*gone, 15, 16, 17, 24, 26, 27, 35, 36, 37, 45, 46, 47}
    answers = {answer.text: answer for answer in finding.answers}
    assert answers["The first premolars are missing"].renumbering == {24: 25}
    assert answers["The second premolars are missing"].renumbering == {15: 14, 35: 34, 45: 44}
    assert answers["14 is missing"].renumbering == {}
    assert answers["15 is missing"].renumbering == {15: 14}
    assert answers["14 is there: 15-17 one number lower"].renumbering == {15: 14, 16: 15, 17: 16}
    for answer in finding.answers:
        after = [answer.renumbering.get(fdi, fdi) for fdi in present]
        assert len(set(after)) == len(after), "two teeth with one number"


def test_a_premolar_stays_a_premolar_where_the_canine_is_missing_too():
    present = [fdi for fdi in WITHOUT_THIRDS if fdi not in (13, 15, 25)]
    (finding,) = find(mouth(present, {16: 15, 17: 16, 26: 25, 27: 26}))
    answers = {answer.text: answer for answer in finding.answers}
    assert answers["14 is missing"].renumbering == {14: 15}
    assert answers["The first premolars are missing"].renumbering == {14: 15, 24: 25}
    assert answers["The second premolars are missing"].renumbering == {}


def test_deciduous_teeth_stand_where_permanent_ones_are_missing():
    present = [fdi for fdi in WITHOUT_THIRDS if fdi not in (14, 15, 35)]
    teeth = [*mouth(present, {36: 35, 37: 36}), found(54), found(55), found(75)]
    assert kinds(find(teeth)) == [MIXED]
    extra = [replace(one, flags=(MAYBE_EXTRA,)) if one.tooth.deciduous else one for one in teeth]
    assert kinds(find(extra)) == [EXTRACTED, NOT_FOUND, EXTRA]


def test_open_gaps_are_no_question_of_numbers():
    present = [fdi for fdi in WITHOUT_THIRDS if fdi not in (14, 24, 34, 44)]
    assert find(mouth(present)) == ()


def test_a_molar_missing_with_its_gap_closed():
    present = [fdi for fdi in WITHOUT_THIRDS if fdi != 46] + [48]
    (finding,) = find(mouth(present, {47: 46, 48: 47}))
    assert finding.text == "46 is missing, and its gap has closed: 47 and 48 depend on that."
    assert [answer.renumbering for answer in finding.answers] == [{}, {47: 46, 48: 47}]
    assert find(mouth(present, {47: 46, 48: 47}), missing=[46]) == ()


def test_neighbours_that_are_all_unsure_are_one_question():
    teeth = mouth(WITHOUT_THIRDS)
    for fdi in (24, 25, 26, 27):
        teeth[WITHOUT_THIRDS.index(fdi)] = found(fdi, flags=(UNCERTAIN_NUMBER,), second_fdi=fdi + 1)
    (finding,) = find(teeth)
    assert (finding.kind, finding.teeth) == (SHIFTED, (24, 25, 26, 27))
    assert [a.renumbering for a in finding.answers] == [{24: 25, 25: 26, 26: 27, 27: 28}, {}]
    assert find(teeth, missing=[28]) == (), "28 is known to be missing"


def above(fdi, under, flags=()):
    """A tooth of this number, farther from the bite than another one."""
    x, y, z = centre(under)
    return FoundTooth(fdi, 0.5, 500.0, (x + 1.0, y - 1.0, z + (10.0 if z > 0 else -10.0)), flags=flags)


def turned(one):
    """The same tooth in a file that states a false orientation of the head."""
    x, y, z = one.centroid_lps_mm
    return replace(one, centroid_lps_mm=(-z, y, x))


@pytest.mark.parametrize("installed", [True, False])
def test_teeth_above_teeth_look_like_a_mixed_dentition(monkeypatch, installed):
    monkeypatch.setattr(findings, "shipped", lambda _dentition: Path("mixed.safetensors") if installed else None)
    front = [fdi for fdi in PERMANENT if fdi % 10 in (1, 2, 3, 4, 6)]
    teeth = [*mouth(front), above(15, 14), above(25, 24), above(53, 13, (MAYBE_EXTRA,)), above(35, 34)]
    for child in (teeth, [turned(one) for one in teeth]):
        first = find(child)[0]
        assert first.kind == LOOKS_MIXED and first.teeth == (13, 14, 15, 24, 25, 34, 35, 53)
        assert "4 teeth lie above others" in first.text
    assert [answer.again for answer in first.answers] == ["mixed"] * installed
    assert ("not installed" in first.text) != installed
    assert all(not answer.renumbering and not answer.missing for answer in first.answers)


def test_impacted_teeth_and_children_that_are_known_do_not_look_so():
    impacted = [*mouth([fdi for fdi in PERMANENT if fdi not in (13, 23)]), above(13, 12), above(23, 22)]
    assert LOOKS_MIXED not in kinds(find(impacted))
    germs = [above(15, 14, (UNERUPTED,)), above(25, 24), above(35, 34)]
    deciduous = [above(55, 14), above(25, 24), above(35, 34)]
    for known in (germs, deciduous):
        assert LOOKS_MIXED not in kinds(find([*mouth([14, 24, 34, 44]), *known]))
    assert LOOKS_MIXED in kinds(find([*mouth([14, 24, 34, 44]), above(15, 14), above(25, 24), above(35, 34)]))


def test_jaw_without_teeth_is_asked_about():
    upper = [fdi for fdi in WITHOUT_THIRDS if fdi < 30]
    (finding,) = find(mouth(upper))
    assert (finding.kind, finding.text) == (JAW_NOT_FOUND, "No teeth were found in the lower jaw; is that so?")
    assert find(mouth(upper), finding.answers[0].missing) == ()


def test_extra_mixed_and_cut():
    teeth = [*mouth(WITHOUT_THIRDS), found(51, flags=(MAYBE_EXTRA,))]
    assert kinds(find(teeth)) == [EXTRA]
    child = [fdi for fdi in WITHOUT_THIRDS if fdi not in (13, 14, 15)]
    teeth = [*mouth(child, flags={17: (UNERUPTED,)}), found(53), found(54), found(55)]
    (finding,) = [one for one in find(teeth) if one.kind == MIXED]
    assert finding.teeth == (53, 54, 55, 17)
    assert "deciduous teeth 53-55; not yet erupted: 17" in finding.text
    cut = mouth(WITHOUT_THIRDS, flags=dict.fromkeys((11, 12, 21, 22), (TOUCHES_BORDER,)))
    (finding,) = find(cut)
    assert (finding.kind, finding.teeth) == (CUT, (11, 12, 21, 22))


def test_worst_first():
    present = [fdi for fdi in WITHOUT_THIRDS if fdi not in (33, 32, 31, 41, 42, 46)] + [48]
    teeth = mouth(present, {47: 46, 48: 47}, {11: (TOUCHES_BORDER,), 12: (TOUCHES_BORDER,), 13: (TOUCHES_BORDER,)})
    assert kinds(find(teeth)) == [EXTRACTED, NOT_FOUND, CUT]


def test_numbers_if_no_tooth_is_missing():
    assert if_there({13, 14, 16, 17}, 15) == {16: 15, 17: 16}
    assert if_there({13, 14, 16, 18}, 15) == {16: 15}
    assert if_there({13, 14, 15}, 15) == {}
    assert if_there({13, 18}, 14) == {}


def test_numbers_in_words():
    assert numbers_text([26, 14, 17, 16, 18]) == "14, 16-18 and 26"
    assert numbers_text([14]) == "14"
    assert numbers_text([14, 15]) == "14 and 15"


def test_findings_stand_in_the_report():
    from teethseg.cascade.dentition import Dentition
    from teethseg.io.json_text import json_text, parse_json
    from teethseg.report import report_of
    from teethseg.volume import Volume

    labels = Volume(np.zeros((2, 2, 2), np.uint8), (1.0, 1.0, 1.0))
    present = [fdi for fdi in WITHOUT_THIRDS if fdi != 46] + [48]
    report = report_of(Dentition(labels, tuple(mouth(present, {47: 46, 48: 47}))), {}, 1.0, "cpu", "w", "0")
    (entry,) = parse_json(json_text(report))["findings"]
    assert (entry["kind"], entry["teeth"]) == (EXTRACTED, [46, 47, 48])
    assert entry["answers"][1] == {
        "text": "46 is there: 47 and 48 one number lower",
        "renumbering": {"47": 46, "48": 47},
        "missing": [],
    }
