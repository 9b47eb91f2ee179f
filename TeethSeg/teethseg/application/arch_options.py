"""The options and buttons beside panorama and sections, in both windows; keys as `ArchViewer.set` takes them."""

from __future__ import annotations

from dataclasses import dataclass

from .i18n import _

DEFAULTS = {"jaws": "both", "projection": "mean", "slab_mm": 10.0, "distance_mm": 2.0, "thickness_mm": 1.0}


@dataclass(frozen=True)
class LengthOption:
    """A length in mm."""

    key: str
    label: str
    tip: str
    least: float
    most: float
    step: float


@dataclass(frozen=True)
class ArchAction:
    """A button; `toggles` tells whether it stays pressed."""

    key: str
    label: str
    tip: str
    toggles: bool = False


def choices() -> dict[str, list[tuple[str, str]]]:
    """Values and their texts."""
    return {
        "jaws": [("both", _("Both arches")), ("upper", _("Upper arch")), ("lower", _("Lower arch"))],
        "projection": [("mean", _("Mean")), ("maximum", _("Maximum"))],
    }


def lengths() -> list[LengthOption]:
    """Lengths that can be set."""
    return [
        LengthOption("slab_mm", _("Slab"), _("Thickness of the panorama's slab, mm"), 1.0, 25.0, 1.0),
        LengthOption("distance_mm", _("Sections"), _("From section to section, mm"), 0.5, 10.0, 0.5),
        LengthOption("thickness_mm", _("thick"), _("Thickness of a section, mm"), 0.25, 10.0, 0.25),
    ]


def actions() -> list[ArchAction]:
    """Buttons, beside those for files."""
    return [
        ArchAction("distance", _("Distance"), _("Two clicks in any of the pictures."), True),
        ArchAction("angle", _("Angle"), _("Three clicks in any of the pictures, the corner second."), True),
        ArchAction("clear", _("Clear"), _("Take away the measures.")),
        ArchAction("follow", _("Along the teeth"), _("Lay the curves along the teeth again.")),
        ArchAction("points", _("Click points"), _("Click along the arch in a slice; press again to end."), True),
    ]


def points_hint() -> str:
    """The next action of the user for `points`."""
    return _("Click along the arch in an axial slice, from one end to the other; then press again.")
