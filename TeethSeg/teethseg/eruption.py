"""Development of teeth by age: formation, depth below the occlusal plane, resorption of the deciduous predecessor.

Mean ages in years from the chronology of the human dentition by Logan and Kronfeld (J Am Dent Assoc 1933;20:379), as
modified by McCall and Schour and printed in Nelson, Ash: Wheeler's Dental Anatomy, with the ages of eruption and
shedding of the American Dental Association's charts. The standard deviations, about a year between children and half
a year between the teeth of a child, are those of the London Atlas (AlQahtani, Hector, Liversidge, Am J Phys Anthropol
2010;142:481).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .anatomy import Jaw


@dataclass(frozen=True)
class Chronology:
    """Ages in years of first hard tissue, complete crown, emergence through the gums and complete root.

    `depth`: distance in mm of the edge of the complete crown from the occlusal plane before eruption.
    """

    first: float
    crown: float
    emergence: float
    root: float
    depth: float


CHRONOLOGY: dict[tuple[Jaw, int], Chronology] = {
    ("upper", 1): Chronology(0.3, 4.5, 7.5, 10.0, 11.0),
    ("upper", 2): Chronology(0.9, 4.5, 8.5, 11.0, 11.0),
    ("upper", 3): Chronology(0.4, 6.5, 11.5, 14.0, 17.5),
    ("upper", 4): Chronology(1.6, 5.5, 10.5, 12.5, 12.5),
    ("upper", 5): Chronology(2.1, 6.5, 11.0, 13.0, 13.0),
    ("upper", 6): Chronology(0.0, 2.8, 6.5, 9.5, 10.5),
    ("upper", 7): Chronology(2.6, 7.5, 12.5, 15.0, 13.0),
    ("upper", 8): Chronology(8.0, 14.0, 19.0, 21.0, 13.0),
    ("lower", 1): Chronology(0.3, 4.5, 6.5, 9.0, 10.0),
    ("lower", 2): Chronology(0.3, 4.5, 7.5, 10.0, 10.5),
    ("lower", 3): Chronology(0.4, 6.5, 9.5, 13.0, 15.5),
    ("lower", 4): Chronology(1.9, 5.5, 11.0, 12.5, 12.0),
    ("lower", 5): Chronology(2.3, 6.5, 11.5, 13.5, 12.5),
    ("lower", 6): Chronology(0.0, 2.8, 6.5, 9.5, 9.5),
    ("lower", 7): Chronology(2.8, 7.5, 12.0, 14.5, 11.5),
    ("lower", 8): Chronology(9.0, 14.0, 19.0, 21.0, 11.0),
}
GUM = 4.0  # mm below the occlusal plane: depth at which an erupting tooth emerges through the gums
LAST_WAY = 0.9  # years from emergence to occlusion
RESORPTION = 3.0  # years until the root of a deciduous tooth is resorbed


@dataclass(frozen=True)
class Development:
    """Development of a tooth.

    Attributes
    ----------
    crown, root : float
        Formed shares of crown and root, 0 to 1.
    depth : float
        Distance in mm of the edge or cusps from the occlusal plane.
    """

    crown: float
    root: float
    depth: float

    @property
    def mineralised(self) -> bool:
        """Whether it is visible in a scan."""
        return self.crown > 0.25

    @property
    def erupted(self) -> bool:
        """Whether the crown has emerged through the gums."""
        return self.depth <= GUM


def development(jaw: Jaw, position: int, age: float) -> Development:
    """Development of a permanent tooth at an age in years."""
    one = CHRONOLOGY[jaw, position]
    crown = float(np.clip((age - one.first) / (one.crown - one.first), 0, 1))
    root = float(np.clip((age - one.crown) / (one.root - one.crown), 0, 1))
    ages = (one.crown, one.emergence, one.emergence + LAST_WAY)
    depth = float(np.interp(age, ages, (one.depth, GUM, 0.0)))
    return Development(crown, root, depth)


def deciduous_root(jaw: Jaw, position: int, age: float) -> float:
    """Remaining share of the root of a deciduous tooth at the age of its successor in years; 0 when it is shed."""
    return float(np.clip((CHRONOLOGY[jaw, position].emergence - age) / RESORPTION, 0, 1))
