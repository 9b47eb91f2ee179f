"""Mean dimensions of teeth by position, from a textbook."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .anatomy import Jaw, tooth


@dataclass(frozen=True)
class ToothSize:
    """Mean dimensions of a tooth in mm: crown and root along the axis, width mesio-distal, depth bucco-lingual."""

    crown: float
    root: float
    width: float
    cervix: float  # mesio-distal, at the cemento-enamel junction
    depth: float

    @property
    def length(self) -> float:
        """Crown and root, mm."""
        return self.crown + self.root


# Nelson SJ, Ash MM. Wheeler's Dental Anatomy, Physiology, and Occlusion: table of measurements of permanent teeth.
TEXTBOOK: dict[tuple[Jaw, int], ToothSize] = {
    ("upper", 1): ToothSize(10.5, 13.0, 8.5, 7.0, 7.0),
    ("upper", 2): ToothSize(9.0, 13.0, 6.5, 5.0, 6.0),
    ("upper", 3): ToothSize(10.0, 17.0, 7.5, 5.5, 8.0),
    ("upper", 4): ToothSize(8.5, 14.0, 7.0, 5.0, 9.0),
    ("upper", 5): ToothSize(8.5, 14.0, 7.0, 5.0, 9.0),
    ("upper", 6): ToothSize(7.5, 12.5, 10.0, 8.0, 11.0),
    ("upper", 7): ToothSize(7.0, 11.5, 9.0, 7.0, 11.0),
    ("upper", 8): ToothSize(6.5, 11.0, 8.5, 6.5, 10.0),
    ("lower", 1): ToothSize(9.0, 12.5, 5.0, 3.5, 6.0),
    ("lower", 2): ToothSize(9.5, 14.0, 5.5, 4.0, 6.5),
    ("lower", 3): ToothSize(11.0, 16.0, 7.0, 5.5, 7.5),
    ("lower", 4): ToothSize(8.5, 14.0, 7.0, 5.0, 7.5),
    ("lower", 5): ToothSize(8.0, 14.5, 7.0, 5.0, 8.0),
    ("lower", 6): ToothSize(7.5, 14.0, 11.0, 9.0, 10.5),
    ("lower", 7): ToothSize(7.0, 13.0, 10.5, 8.0, 10.0),
    ("lower", 8): ToothSize(7.0, 11.0, 10.0, 7.5, 9.5),
}

# The same book's table of the primary teeth (after Black). Deciduous molars stand at positions 4 and 5.
TEXTBOOK_DECIDUOUS: dict[tuple[Jaw, int], ToothSize] = {
    ("upper", 1): ToothSize(6.0, 10.0, 6.5, 4.5, 5.0),
    ("upper", 2): ToothSize(5.6, 11.4, 5.1, 3.7, 4.0),
    ("upper", 3): ToothSize(6.5, 13.5, 7.0, 5.1, 7.0),
    ("upper", 4): ToothSize(5.1, 10.0, 7.3, 5.2, 8.5),
    ("upper", 5): ToothSize(5.7, 11.7, 8.2, 6.4, 10.0),
    ("lower", 1): ToothSize(5.0, 9.0, 4.2, 3.0, 4.0),
    ("lower", 2): ToothSize(5.2, 10.0, 4.1, 3.0, 4.0),
    ("lower", 3): ToothSize(6.0, 11.5, 5.0, 3.7, 4.8),
    ("lower", 4): ToothSize(6.0, 9.8, 7.7, 6.5, 7.0),
    ("lower", 5): ToothSize(5.5, 11.3, 9.9, 7.2, 8.7),
}

DECIDUOUS = 0.85  # size of a deciduous tooth relative to the permanent one that resembles it, roughly


def usual_size(fdi: int) -> ToothSize:
    """Expected size of a tooth; a deciduous tooth has that of the permanent tooth of the same type, scaled by `DECIDUOUS`.

    Raises
    ------
    KeyError
        If there is no such tooth.
    """
    one = tooth(fdi)
    # The successors of deciduous molars are premolars, but deciduous molars resemble small molars.
    size = TEXTBOOK[one.jaw, one.position + 2 * (one.deciduous and one.position > 3)]
    if not one.deciduous:
        return size
    return replace(size, **{name: DECIDUOUS * value for name, value in vars(size).items()})
