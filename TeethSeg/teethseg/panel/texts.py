"""What the panel says: translated texts for stages, findings and tooth names."""

from __future__ import annotations

from ..anatomy import Notation, tooth
from ..cascade.dentition import GAP_BEFORE, TOUCHES_BORDER, UNCERTAIN_NUMBER, UNUSUAL_VOLUME
from .i18n import _


def stage_text(stage: str) -> str:
    """A stage of the worker in words."""
    known = {
        "start": _("Starting"),
        "load networks": _("Loading the networks"),
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
    }
    return known.get(flag, flag)


def time_text(seconds: float) -> str:
    """A time span as people say it."""
    if seconds < 90:
        return _("{n} s").format(n=max(1, round(seconds)))
    return _("{n} min").format(n=round(seconds / 60))


def tooth_text(fdi: int, notation: Notation = "fdi") -> str:
    """'16', '#3' or '6⏌'."""
    return ("#" if notation == "universal" else "") + tooth(fdi).notation(notation)


def tooth_name(fdi: int) -> str:
    """'upper right first molar'."""
    return tooth(fdi).name


def teeth_text(numbers, notation: Notation = "fdi") -> str:
    """'16, 17 and 21'."""
    names = [tooth_text(fdi, notation) for fdi in numbers]
    return names[0] if len(names) == 1 else _("{some} and {last}").format(some=", ".join(names[:-1]), last=names[-1])


def missing_text(error: ImportError) -> str:
    """What to do about a package that is not there."""
    text = _("The package {name} is missing: press 'Install what is missing' under 'My computer'.")
    return text.format(name=error.name or error)
