"""Template of a permanent arch: centres of its 16 places, and distances between neighbours.

Places count from 0, the patient's right third molar, along the arch to 15, the left third molar. Arch coordinates are
millimetres in the occlusal plane: lateral (to the patient's left) and posterior, from the curve's front.

Every arch is half an ellipse along which the teeth stand in contact, each as long as its crown is wide (mesio-distal
widths: Nelson & Ash, Wheeler's Dental Anatomy). The ellipses' axes are rounded so that the tooth centres come to lie
within 2 mm of the mean centroid offsets that ToothSeg measured on the 480 ToothFairy2 scans (JBHI 2026,
doi 10.1109/JBHI.2025.3650444).
"""

from __future__ import annotations

from functools import cache
from typing import overload

import numpy as np

from ..anatomy import Jaw

PLACES = 16
WIDTHS: dict[Jaw, tuple[float, ...]] = {  # mesio-distal crown width in mm, positions 1-8
    "upper": (8.5, 6.5, 7.5, 7.0, 7.0, 10.0, 9.0, 8.5),
    "lower": (5.0, 5.5, 7.0, 7.0, 7.0, 11.0, 10.5, 10.0),
}
# Usual tooth volumes in mm³, positions 1-8: rounded means of segmented real teeth in five cone-beam and CT scans, moved
# slightly towards the "Permanent Dentition" models of the University of Dundee. Single teeth differ by a third.
VOLUMES: dict[Jaw, tuple[float, ...]] = {
    "upper": (550.0, 395.0, 570.0, 540.0, 505.0, 1040.0, 930.0, 620.0),
    "lower": (265.0, 310.0, 500.0, 455.0, 465.0, 1040.0, 1000.0, 710.0),
}
# Deciduous teeth, positions 1-5: scaled from permanent ones by crown width x breadth x length (Nelson & Ash).
DECIDUOUS_VOLUMES: dict[Jaw, tuple[float, ...]] = {
    "upper": (200.0, 130.0, 250.0, 300.0, 450.0),
    "lower": (100.0, 115.0, 180.0, 310.0, 490.0),
}
DECIDUOUS_WIDTHS: dict[Jaw, tuple[float, ...]] = {  # mesio-distal crown width in mm, positions 1-5
    "upper": (6.5, 5.1, 7.0, 7.3, 8.2),
    "lower": (4.2, 4.1, 5.0, 7.7, 9.9),
}
_HALF_AXES: dict[Jaw, tuple[float, float]] = {"upper": (24.0, 38.0), "lower": (29.0, 54.0)}  # lateral, posterior
_CONTACT = 0.97  # distance of tooth centres, roots included, relative to the crown widths


@overload
def position_of(place: int) -> int: ...


@overload
def position_of(place: np.ndarray) -> np.ndarray: ...


def position_of(place: int | np.ndarray) -> int | np.ndarray:
    """Position 1-8 of a place."""
    return np.where(np.asarray(place) < 8, 8 - np.asarray(place), np.asarray(place) - 7)[()]


@cache
def place_widths(jaw: Jaw) -> np.ndarray:
    """Length in mm, shape (16,), of each place along the arch."""
    widths = np.array(WIDTHS[jaw]) * _CONTACT
    return np.concatenate([widths[::-1], widths])


@cache
def deciduous_excess(jaw: Jaw) -> np.ndarray:
    """Deciduous less permanent tooth width of each place in mm, shape (16,); 0 where no deciduous tooth exists."""
    wider = np.zeros(8)
    wider[:5] = (np.array(DECIDUOUS_WIDTHS[jaw]) - WIDTHS[jaw][:5]) * _CONTACT
    return np.concatenate([wider[::-1], wider])


@cache
def place_centres(jaw: Jaw) -> np.ndarray:
    """Tooth centres (lateral, posterior) in mm, shape (16, 2), of a full arch of mean size."""
    lateral, posterior = _HALF_AXES[jaw]
    angle = np.linspace(0, np.pi, 2000)
    curve = np.stack([lateral * np.sin(angle), posterior * (1 - np.cos(angle))], axis=1)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    widths = place_widths(jaw)[8:]
    left = np.stack([np.interp(np.cumsum(widths) - widths / 2, along, column) for column in curve.T], axis=1)
    return np.concatenate([left[::-1] * [-1, 1], left])


@cache
def gap_fractions(jaw: Jaw) -> np.ndarray:
    """Remaining share of the distance from place p to q > p, shape (16, 16), where the gap between them has closed.

    The teeth between them are missing, and drift or treatment has closed the gap.
    """
    widths = place_widths(jaw)
    fractions = np.ones((PLACES, PLACES))
    for p in range(PLACES):
        for q in range(p + 1, PLACES):
            ends = (widths[p] + widths[q]) / 2
            fractions[p, q] = ends / (ends + widths[p + 1 : q].sum())
    return fractions
