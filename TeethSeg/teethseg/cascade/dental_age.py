"""Presence, depth and volume of the teeth of a jaw at a dental age.

Ages of formation and eruption come from `eruption`, sizes from the textbook (`tooth_sizes`). The teeth of one mouth
differ from its dental age by half a year or more, so every value is a mean over such differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ..anatomy import Jaw
from ..eruption import deciduous_root, development
from ..tooth_sizes import TEXTBOOK, TEXTBOOK_DECIDUOUS
from .arch_template import DECIDUOUS_VOLUMES, VOLUMES, position_of
from .place_evidence import Slots

ADULT = 25.0  # years; represents every age from 14 on, when all teeth but third molars have erupted
AGES = (*np.arange(4.5, 14.0, 0.5).tolist(), ADULT)
ADULTS = 0.5  # prior share of adult mouths
_WITHIN = (-1.0, -0.5, 0.0, 0.5, 1.0)  # years by which the teeth of one mouth differ from its age
_CENTRE = 0.45  # of the formed length, distance from a tooth's edge to its centre: crowns are thicker than roots
_CROWN_VOLUME = 0.5  # crown's share of the whole tooth's volume
_THIRD_MOLARS = 0.6  # share of third molars that form
_EXCEPTION = 0.05  # share of teeth that are missing or present against the expectation at their age
_RETAINED_ROOT = 0.6  # remaining share of the roots of deciduous teeth that adults have retained
_DEPTH_SD = 2.0  # mm
_VOLUME_SD, _DECIDUOUS_VOLUME_SD = 0.3, 0.4  # of the logarithm


@dataclass(frozen=True)
class TeethAtAge:
    """The teeth of one jaw, in the order of `Slots.of(jaw, with_deciduous=True)`; all arrays have shape (S,).

    Attributes
    ----------
    present : ndarray
        Share of mouths in which the tooth is present, erupted or not, and mineralised enough to be visible.
    erupted : ndarray
        Share of these in which it has erupted.
    length : ndarray
        Formed length in mm, from the edge to the root's end.
    depth, depth_sd : ndarray
        Distance in mm of the tooth's centre from the occlusal plane, and its standard deviation.
    log_volume, log_volume_sd : ndarray
        Log of the volume in mm³, and its standard deviation.
    """

    present: np.ndarray
    erupted: np.ndarray
    length: np.ndarray
    depth: np.ndarray
    depth_sd: np.ndarray
    log_volume: np.ndarray
    log_volume_sd: np.ndarray

    def edge(self, depth: np.ndarray) -> np.ndarray:
        """Depth in mm of the edge or cusps (..., S) of teeth whose centres lie at `depth`."""
        return depth - _CENTRE * self.length


@cache
def teeth_at(jaw: Jaw, age: float) -> TeethAtAge:
    """The teeth of a jaw at a dental age in years."""
    slots = Slots.of(jaw, with_deciduous=True)
    rows = [
        (_deciduous if deciduous else _permanent)(jaw, int(position), age)
        for position, deciduous in zip(position_of(slots.place), slots.deciduous, strict=True)
    ]
    return TeethAtAge(*np.array(rows).T)


def _deciduous(jaw: Jaw, position: int, age: float) -> tuple[float, ...]:
    """A row of `TeethAtAge`."""
    size = TEXTBOOK_DECIDUOUS[jaw, position]
    roots = [deciduous_root(jaw, position, age + years) for years in _WITHIN]
    left = _RETAINED_ROOT if age >= ADULT else float(np.mean(roots))
    length = size.crown + left * size.root
    volume = DECIDUOUS_VOLUMES[jaw][position - 1] * (_CROWN_VOLUME + left * (1 - _CROWN_VOLUME))
    there = float(np.mean([root > 0 for root in roots]))
    return _with_exceptions(there), 1.0, length, _CENTRE * length, _DEPTH_SD, np.log(volume), _DECIDUOUS_VOLUME_SD


def _permanent(jaw: Jaw, position: int, age: float) -> tuple[float, ...]:
    """A row of `TeethAtAge`."""
    size = TEXTBOOK[jaw, position]
    stages = [development(jaw, position, age + years) for years in _WITHIN]
    seen = [one for one in stages if one.mineralised]
    there = len(seen) / len(stages) * (_THIRD_MOLARS if position == 8 else 1.0)
    seen = seen or stages[-1:]
    lengths = [one.crown * size.crown + one.root * size.root for one in seen]
    depths = [one.depth + _CENTRE * length for one, length in zip(seen, lengths, strict=True)]
    formed = float(np.mean([_CROWN_VOLUME * one.crown + (1 - _CROWN_VOLUME) * one.root for one in seen]))
    return (
        _with_exceptions(there),
        float(np.mean([one.erupted for one in seen])),
        float(np.mean(lengths)),
        float(np.mean(depths)),
        float(np.hypot(np.std(depths), _DEPTH_SD)),
        float(np.log(VOLUMES[jaw][position - 1] * max(formed, 0.05))),
        _VOLUME_SD,
    )


def _with_exceptions(share: float) -> float:
    return _EXCEPTION + (1 - 2 * _EXCEPTION) * share
