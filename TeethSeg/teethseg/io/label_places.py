"""Do the numbers of teeth fit where the teeth lie? A check for labels whose numbering is not known for sure.

Label values may be FDI numbers by chance: the molars 31 and 32 of Universal numbering are incisors by FDI's. Where they lie
tells: teeth of the right lie to the right of those of the left, upper teeth above lower ones, and along each quadrant teeth
lie further out and further back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

from ..anatomy import TEETH, Tooth, tooth
from ..structures import structure
from ..volume import Volume
from .label_schemes import SCHEME_VALUES, LabelScheme, fitting_schemes

_MARGIN = 0.5  # mm that two teeth must differ by to tell something
_DOUBTED = 0.6  # share of comparisons below which numbers are doubted
_ENOUGH = 4  # comparisons that a doubt needs, unless none agrees
_CLEAR, _BETTER = 0.85, 0.25  # share that another scheme must reach, and by how much it must be better
_LEAST_STEP, _LEAST_WIDTH = 4.0, 30.0  # mm from place to place across the midline, and of the back of an arch
_VOXELS = 8_000_000  # of a label map that are looked at, about


@dataclass(frozen=True)
class Agreement:
    """How many comparisons of two teeth agree with their numbers, of how many."""

    agreeing: int
    of: int

    @property
    def share(self) -> float:
        """Share of the teeth that agree; 1 if there are none."""
        return self.agreeing / self.of if self.of else 1.0


def centres(labels: Volume) -> dict[int, np.ndarray]:
    """Centre (3,) of the voxels of every label value but 0, in LPS mm; of large maps from a part of the voxels."""
    step = max(1, int(np.ceil((labels.array.size / _VOXELS) ** (1 / 3))))
    array = labels.array[::step, ::step, ::step]
    places = np.argwhere(array > 0)
    values = array[tuple(places.T)]
    counts = np.bincount(values)
    sums = np.stack([np.bincount(values, weights=column) for column in places.T], axis=1)
    found = np.flatnonzero(counts)
    points = labels.to_lps(step * sums[found] / counts[found, None])
    return dict(zip(found.tolist(), points, strict=True))


def agreement(places: Mapping[int, np.ndarray]) -> Agreement:
    """Compare the positions of teeth (LPS mm, by FDI number) with their numbers.

    Sides, jaws and the order along quadrants each count by pairs of teeth; a pair that lies too close tells nothing.
    """
    steps = [*_between_sides(places), *_between_jaws(places), *_along_quadrants(places)]
    told = [step for step in steps if abs(step) > _MARGIN]
    return Agreement(sum(1 for step in told if step > 0), len(told))


def other_scheme(places: Mapping[int, np.ndarray]) -> LabelScheme | None:
    """The scheme by which label values fit much better where they lie than as FDI numbers, if there is one."""
    plain = agreement(_teeth(places, "fdi"))
    schemes = (scheme for scheme in fitting_schemes(places.keys()) if scheme not in ("fdi", "toothfairy"))
    found = {scheme: agreement(_teeth(places, scheme)) for scheme in schemes}
    best = max(found, key=lambda scheme: found[scheme].share, default=None)
    if best and found[best].of > 1 and found[best].share >= max(_CLEAR, plain.share + _BETTER):
        return best
    return None


def equal_scheme(places: Mapping[int, np.ndarray]) -> LabelScheme | None:
    """The scheme by which label values are other teeth that fit where they lie as well as those of FDI numbers, if any.

    TotalSegmentator's 31, 32, 33 are 35, 36, 37 by FDI: the positions of a few teeth of one side cannot tell these apart.
    """
    plain = _teeth(places, "fdi")
    share = agreement(plain).share
    for scheme in fitting_schemes(places.keys()):
        other = _teeth(places, scheme)
        found = agreement(other)
        if other.keys() - plain.keys() and found.of > 1 and found.share >= max(_CLEAR, share) and not _too_near(other):
            return scheme
    return None


def place_doubt(places: Mapping[int, np.ndarray], name: str) -> str:
    """A sentence for the user if the numbers of teeth contradict where they lie; else empty."""
    found = agreement({value: place for value, place in places.items() if value in TEETH})
    if found.share >= _DOUBTED or (found.of < _ENOUGH and found.agreeing):
        return ""
    return (
        f"The numbers of {name} do not fit where its teeth lie ({found.of - found.agreeing} of {found.of} comparisons): the "
        "scan may be mirrored or upside down, or the teeth are numbered another way than by FDI."
    )


def _teeth(places: Mapping[int, np.ndarray], scheme: LabelScheme) -> dict[int, np.ndarray]:
    known = SCHEME_VALUES[scheme]
    return {known[value]: place for value, place in places.items() if structure(known[value]).is_tooth}


def _between_sides(places: Mapping[int, np.ndarray]) -> list[float]:
    """How far a left tooth lies to the left of the same tooth, or its neighbour, of the right: x grows to the left."""
    return [places[left.fdi][0] - places[right.fdi][0] for left, right in _pairs(places, "side", "left", "jaw")]


def _between_jaws(places: Mapping[int, np.ndarray]) -> list[float]:
    """How far an upper tooth lies above the same tooth, or its neighbour, below."""
    return [places[upper.fdi][2] - places[lower.fdi][2] for upper, lower in _pairs(places, "jaw", "upper", "side")]


def _pairs(places: Collection[int], differ: str, first: str, agree: str) -> list[tuple[Tooth, Tooth]]:
    """Pairs of teeth about as far from the midline that `agree` in one thing and `differ` in another, the `first` in front."""
    teeth = [tooth(fdi) for fdi in places]
    return [
        (one, other)
        for one, other in product(teeth, teeth)
        if getattr(one, differ) == first != getattr(other, differ)
        and getattr(one, agree) == getattr(other, agree)
        and abs(one.position - other.position) <= 1
    ]


def _too_near(places: Mapping[int, np.ndarray]) -> bool:
    """Whether teeth of both sides of a jaw lie nearer to each other than with so many places between them."""
    teeth = [tooth(fdi) for fdi in places]
    return any(
        np.linalg.norm(places[left.fdi] - places[right.fdi])
        < min(_LEAST_STEP * (left.position + right.position - 1), _LEAST_WIDTH)
        for left, right in product(teeth, teeth)
        if left.side == "left" != right.side and left.jaw == right.jaw
    )


def _along_quadrants(places: Mapping[int, np.ndarray]) -> list[float]:
    """How much further out, and further back, the next tooth of a quadrant lies."""
    steps = []
    for quadrant in range(1, 9):
        row = sorted(fdi for fdi in places if fdi // 10 == quadrant)
        for one, following in pairwise(row):
            step = places[following] - places[one]
            outwards = step[0] if tooth(one).side == "left" else -step[0]
            steps += [outwards, step[1]]
    return steps
