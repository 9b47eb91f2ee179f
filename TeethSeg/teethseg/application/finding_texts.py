"""Findings about the whole dentition and their answers, in the user's language and notation."""

from __future__ import annotations

from ..anatomy import Notation, tooth
from ..cascade.findings import (
    CUT,
    EXTRA,
    EXTRACTED,
    JAW_NOT_FOUND,
    LOOKS_MIXED,
    MIXED,
    NOT_FOUND,
    SHIFTED,
    Answer,
    Finding,
    numbers_text,
)
from .i18n import _
from .texts import teeth_text


def finding_text(finding: Finding, notation: Notation) -> str:
    """The finding in one sentence, as a question where it has answers."""
    return {
        LOOKS_MIXED: _looks_mixed,
        SHIFTED: _shifted,
        EXTRACTED: _extracted,
        JAW_NOT_FOUND: _jaw_not_found,
        NOT_FOUND: _not_found,
        EXTRA: _extra,
        MIXED: _mixed,
        CUT: _cut,
    }[finding.kind](finding, notation)


def answer_text(finding: Finding, answer: Answer, notation: Notation) -> str:
    """The text of an answer's button."""
    if answer.again:
        return _("Segment again with them")
    if finding.kind == SHIFTED:
        numbers = [answer.renumbering.get(fdi, fdi) for fdi in finding.teeth]
        return _("They are {teeth}").format(teeth=_teeth(numbers, notation))
    if finding.kind == JAW_NOT_FOUND:
        return _("It has no teeth")
    if finding.kind == NOT_FOUND:
        return _("{teeth} are missing").format(teeth=_teeth(answer.missing, notation))
    if len(answer.missing) == 1:
        return _("{teeth} is missing").format(teeth=_teeth(answer.missing, notation))
    if answer.missing:
        first = all(fdi % 10 == 4 for fdi in answer.missing)
        return _("The first premolars are missing") if first else _("The second premolars are missing")
    if len(finding.missing) > 1 and len({fdi // 10 for fdi in answer.renumbering}) > 1:
        return _("No tooth is missing there")
    there = min(answer.renumbering.values())
    teeth, others = _teeth(answer.renumbering, notation), _teeth(answer.renumbering.values(), notation)
    text = (
        _("{tooth} is there: {teeth} are {others}")
        if len(answer.renumbering) > 1
        else _("{tooth} is there: {teeth} is it")
    )
    return text.format(tooth=_teeth([there], notation), teeth=teeth, others=others)


def _looks_mixed(finding: Finding, _notation: Notation) -> str:
    text = _("This looks like a child's mixed dentition, which the networks for permanent teeth hardly know.")
    if finding.answers:
        return text + " " + _("Segment it again with those for mixed dentitions?")
    return text + " " + _("Check all numbers; networks for it are not installed.")


def _shifted(finding: Finding, notation: Notation) -> str:
    back = any(new > old for old, new in finding.answers[0].renumbering.items())
    text = (
        _("{teeth} may all be one place further back: are they {others}?")
        if back
        else _("{teeth} may all be one place further forward: are they {others}?")
    )
    others = finding.answers[0].renumbering.values()
    return text.format(teeth=_teeth(finding.teeth, notation), others=_teeth(others, notation))


def _extracted(finding: Finding, notation: Notation) -> str:
    gone = finding.missing
    depend = _teeth([fdi for fdi in finding.teeth if fdi not in gone], notation)
    if len(gone) == 1:
        text = _(
            "{teeth} seems to be missing, and its gap has closed. Which tooth is it? The numbering of {depend} depends on that."
        )
        return text.format(teeth=_teeth(gone, notation), depend=depend)
    where = {
        2: _("A premolar is missing in two quadrants, and the gaps have closed."),
        3: _("A premolar is missing in three quadrants, and the gaps have closed."),
    }.get(len(gone), _("A premolar is missing in every quadrant, and the gaps have closed."))
    return where + " " + _("Which one? The numbering of {depend} depends on that.").format(depend=depend)


def _jaw_not_found(finding: Finding, _notation: Notation) -> str:
    if tooth(finding.teeth[0]).jaw == "upper":
        return _("No teeth were found in the upper jaw. Is that so?")
    return _("No teeth were found in the lower jaw. Is that so?")


def _not_found(finding: Finding, notation: Notation) -> str:
    there = _("If they are there, add them with 'Add tooth'.")
    teeth, beside = _teeth(finding.teeth, notation), [_teeth([fdi], notation) for fdi in finding.beside]
    if len(beside) == 2:
        text = _("No teeth were found between {right} and {left}: {teeth}. Are they missing?")
        return (text + " " + there).format(right=beside[0], left=beside[1], teeth=teeth)
    one_side = len({tooth(fdi).side for fdi in (*finding.teeth, *finding.beside)}) == 1
    text = (
        _("No teeth were found behind {last}: {teeth}. Are they missing?")
        if one_side
        else _("No teeth were found between {last} and the other end of the arch: {teeth}. Are they missing?")
    )
    return (text + " " + there).format(last=beside[0], teeth=teeth)


def _extra(finding: Finding, notation: Notation) -> str:
    text = _("The arch has no place left for {teeth}: supernumerary teeth, deciduous ones, or parts of neighbours?")
    return text.format(teeth=_teeth(finding.teeth, notation))


def _mixed(finding: Finding, notation: Notation) -> str:
    deciduous = [fdi for fdi in finding.teeth if tooth(fdi).deciduous]
    germs = [fdi for fdi in finding.teeth if not tooth(fdi).deciduous]
    text = _("Check the deciduous teeth: {teeth}.").format(teeth=_teeth(deciduous, notation))
    return text + (" " + _("Not erupted: {teeth}.").format(teeth=_teeth(germs, notation)) if germs else "")


def _cut(finding: Finding, notation: Notation) -> str:
    text = _("The scan ends within {teeth}: only the parts inside it are outlined and measured.")
    return text.format(teeth=_teeth(finding.teeth, notation))


def _teeth(numbers, notation: Notation) -> str:
    """'16-18 and 26'; in the other notations, whose numbers do not count from the midline, every one by itself."""
    return numbers_text(numbers) if notation == "fdi" else teeth_text(sorted(numbers), notation)
