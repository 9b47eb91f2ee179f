"""The actions on the tooth that is being annotated, by button or key: the same in both windows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from .annotation_session import AnnotationSession
from .i18n import _


@dataclass(frozen=True)
class AnnotationAction:
    """A button with its key.

    Attributes
    ----------
    key : str
        Tells actions apart; those that place points are called like the points.
    text, tip : str
    shortcut : str
        A letter that neither the Segment Editor nor the slice views use; empty for none.
    act : callable
    """

    key: str
    text: str
    tip: str
    shortcut: str
    act: Callable[[], None]


def annotation_actions(session: AnnotationSession) -> list[AnnotationAction]:
    """All actions of a session; strokes where the window has them."""
    texts = {
        "inside": (_("Click inside"), _("Place one to three points in the tooth."), "C"),
        "outside": (_("Click outside"), _("Place points beside the tooth, where it must not grow."), "X"),
        "stroke": (
            _("Draw a stroke"),
            _("Click along the tooth, from crown to root; right-click ends the stroke."),
            "K",
        ),
        "grow": (_("Grow"), _("Grow the whole tooth from your points."), "G"),
        "between": (_("Fill between"), _("Fill the slices between those that are painted."), "J"),
        "clear": (_("Clear points"), _("Take the points of this tooth away."), ""),
        "done": (_("Done, next"), _("This tooth is finished: go to the next one."), "N"),
        "flag": (_("Flag, next"), _("Somebody should look at this tooth again."), "L"),
        "missing": (_("Missing, next"), _("The patient does not have this tooth."), "M"),
    }
    acts: dict[str, Callable[[], None]] = {
        **{key: functools.partial(session.place, key) for key in session.placers},
        "grow": session.grow,
        "between": session.between,
        "clear": session.clear,
        "done": functools.partial(session.finish, "completed"),
        "flag": functools.partial(session.finish, "flagged"),
        "missing": session.missing,
    }
    return [AnnotationAction(key, *texts[key], act) for key, act in acts.items()]
