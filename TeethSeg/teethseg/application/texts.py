"""Texts that several parts of both windows say: stages, findings, tooth names, counts."""

from __future__ import annotations

from ..anatomy import Notation, tooth
from ..cascade.dentition import GAP_BEFORE, MAYBE_EXTRA, TOUCHES_BORDER, UNCERTAIN_NUMBER, UNERUPTED, UNUSUAL_VOLUME
from ..cascade.network_choice import SECOND_RUN
from .i18n import _


def stage_text(stage: str) -> str:
    """A stage of the worker in words."""
    known = {
        "start": _("Starting"),
        "load networks": _("Loading the networks"),
        SECOND_RUN: _("Loading other networks"),
        "find arches": _("Looking for the dental arches"),
        "outline teeth": _("Outlining the teeth"),
        "part teeth": _("Parting neighbouring teeth"),
        "number teeth": _("Numbering the teeth"),
        "write back": _("Putting the teeth onto the scan"),
        "hand over": _("Fetching the result"),
    }
    return known.get(stage, stage.capitalize())


def flag_text(flag: str) -> str:
    """A finding about a tooth in words."""
    known = {
        UNCERTAIN_NUMBER: _("number uncertain"),
        TOUCHES_BORDER: _("cut off by the edge of the scan"),
        UNUSUAL_VOLUME: _("unusual size"),
        GAP_BEFORE: _("gap before it"),
        MAYBE_EXTRA: _("extra tooth?"),
        UNERUPTED: _("not erupted"),
    }
    return known.get(flag, flag)


def advice_text(flag: str) -> str:
    """A finding about a tooth in a sentence that tells the user where to look."""
    known = {
        UNCERTAIN_NUMBER: _("The number is uncertain."),
        TOUCHES_BORDER: _("The scan ends inside this tooth: only a part of it is outlined and measured."),
        UNUSUAL_VOLUME: _("Its size is unusual: are parts missing, or are two teeth in one?"),
        GAP_BEFORE: _(
            "There is room for a tooth between this one and its neighbour towards the midline: is one missing, or not found?"
        ),
        MAYBE_EXTRA: _("The arch has no place left for it: is it a supernumerary tooth, or a part of a neighbour?"),
    }
    return known.get(flag, flag)


def time_text(seconds: float) -> str:
    """A time span as people say it."""
    if seconds < 90:
        return _("{n} s").format(n=max(1, round(seconds)))
    return _("{n} min").format(n=round(seconds / 60))


def notation_options() -> list[tuple[Notation, str]]:
    """The notations of tooth numbers, each with an example."""
    return [("fdi", _("FDI: 16")), ("universal", _("Universal: #3")), ("palmer", _("Palmer: 6⏌"))]


def tooth_text(fdi: int, notation: Notation = "fdi") -> str:
    """'16', '#3' or '6⏌'."""
    return ("#" if notation == "universal" else "") + tooth(fdi).notation(notation)


def tooth_name(fdi: int) -> str:
    """'upper right first molar'."""
    one = tooth(fdi)
    kinds = (
        _("central incisor"),
        _("lateral incisor"),
        _("canine"),
        _("first premolar"),
        _("second premolar"),
        _("first molar"),
        _("second molar"),
        _("third molar"),
    )
    kind = kinds[one.position - 1 + 2 * (one.deciduous and one.position > 3)]
    places = {
        ("upper", "right"): _("upper right {kind}"),
        ("upper", "left"): _("upper left {kind}"),
        ("lower", "right"): _("lower right {kind}"),
        ("lower", "left"): _("lower left {kind}"),
    }
    text = places[one.jaw, one.side].format(kind=kind)
    return _("deciduous {tooth}").format(tooth=text) if one.deciduous else text


def full_text(fdi: int, notation: Notation = "fdi") -> str:
    """'16  upper right first molar'."""
    return f"{tooth_text(fdi, notation)}  {tooth_name(fdi)}"


def teeth_text(numbers, notation: Notation = "fdi") -> str:
    """'16, 17 and 21'."""
    names = [tooth_text(fdi, notation) for fdi in numbers]
    return names[0] if len(names) == 1 else _("{some} and {last}").format(some=", ".join(names[:-1]), last=names[-1])


def voxels_text(count: int) -> str:
    """'1 voxel'."""
    return _("1 voxel") if count == 1 else _("{count} voxels").format(count=count)


def points_text(count: int) -> str:
    """'2 points'."""
    return _("1 point") if count == 1 else _("{count} points").format(count=count)


def files_text(count: int) -> str:
    """'28 files'."""
    return _("1 file") if count == 1 else _("{count} files").format(count=count)


def found_text(count: int) -> str:
    """'28 teeth'."""
    return _("1 tooth") if count == 1 else _("{count} teeth").format(count=count)


def undo_text(name: str) -> str:
    """Text of the button, e.g. 'Undo: 44 to 43'."""
    return _("Undo: {name}").format(name=name) if name else _("Undo")


def redo_text(name: str) -> str:
    """Text of the button, e.g. 'Redo: 44 to 43'."""
    return _("Redo: {name}").format(name=name) if name else _("Redo")


def sure_text(confidence: float) -> str:
    """The confidence of a number as text; no computed number is shown as wholly sure."""
    if confidence > 0.99:
        return _("sure to over 99 %")
    return _("sure to {percent} %").format(percent=round(100 * confidence))
