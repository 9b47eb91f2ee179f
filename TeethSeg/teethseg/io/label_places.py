"""Checks whether tooth numbers agree with the positions of the teeth, for labels of uncertain numbering.

Label values may look like FDI numbers by chance: the molars 31 and 32 in Universal numbering are incisors in FDI. The positions
of the teeth decide: right teeth lie to the right of left ones, upper teeth above lower ones, and along each quadrant teeth lie
further lateral and further posterior.
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

_MARGIN = 0.5  # mm; a pair of teeth with a smaller difference decides nothing
_LEAST_AGREEMENT = 0.6  # share of agreeing comparisons; with fewer, a warning is given
_ENOUGH = 4  # comparisons that a warning needs, unless none agrees
_CLEAR, _BETTER = 0.85, 0.25  # share that another scheme must reach, and its least advantage
_LEAST_STEP, _LEAST_WIDTH = 4.0, 30.0  # mm per position across the midline, and of the posterior end of an arch
_VOXELS = 8_000_000  # number of voxels of a label map that are examined, approximately


@dataclass(frozen=True)
class Agreement:
    """Number of comparisons of two teeth that agree with their numbers, and number of all comparisons."""

    agreeing: int
    of: int

    @property
    def share(self) -> float:
        """Share of agreeing comparisons; 1 without comparisons."""
        return self.agreeing / self.of if self.of else 1.0


def centres(labels: Volume) -> dict[int, np.ndarray]:
    """Centroid (3,) of every label value but 0, in LPS mm; large maps are subsampled."""
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

    Pairs of teeth are compared by side, by jaw, and by order along a quadrant; pairs that lie too close are ignored.
    """
    steps = [*_between_sides(places), *_between_jaws(places), *_along_quadrants(places)]
    decisive = [step for step in steps if abs(step) > _MARGIN]
    return Agreement(sum(1 for step in decisive if step > 0), len(decisive))


def other_scheme(places: Mapping[int, np.ndarray]) -> LabelScheme | None:
    """The scheme whose numbers agree with the positions much better than FDI numbers, if there is one."""
    as_fdi = agreement(_teeth(places, "fdi"))
    schemes = (scheme for scheme in fitting_schemes(places.keys()) if scheme not in ("fdi", "toothfairy"))
    agreements = {scheme: agreement(_teeth(places, scheme)) for scheme in schemes}
    best = max(agreements, key=lambda scheme: agreements[scheme].share, default=None)
    if best and agreements[best].of > 1 and agreements[best].share >= max(_CLEAR, as_fdi.share + _BETTER):
        return best
    return None


def equal_scheme(places: Mapping[int, np.ndarray]) -> LabelScheme | None:
    """The scheme with other teeth whose positions agree at least as well as those of FDI numbers, if there is one.

    TotalSegmentator's 31, 32, 33 are 35, 36, 37 in FDI: the positions of a few teeth of one side do not distinguish them.
    """
    as_fdi = _teeth(places, "fdi")
    needed = max(_CLEAR, agreement(as_fdi).share)
    for scheme in fitting_schemes(places.keys()):
        teeth = _teeth(places, scheme)
        result = agreement(teeth)
        if teeth.keys() - as_fdi.keys() and result.of > 1 and result.share >= needed and not _too_near(teeth):
            return scheme
    return None


def place_doubt(places: Mapping[int, np.ndarray], name: str) -> str:
    """A warning if the numbers of teeth contradict their positions; else empty."""
    result = agreement({value: place for value, place in places.items() if value in TEETH})
    if result.share >= _LEAST_AGREEMENT or (result.of < _ENOUGH and result.agreeing):
        return ""
    return (
        f"The numbers of {name} do not fit where its teeth lie ({result.of - result.agreeing} of {result.of} comparisons): "
        "the scan may be mirrored or upside down, or the teeth are numbered another way than by FDI."
    )


def _teeth(places: Mapping[int, np.ndarray], scheme: LabelScheme) -> dict[int, np.ndarray]:
    known = SCHEME_VALUES[scheme]
    return {known[value]: place for value, place in places.items() if structure(known[value]).is_tooth}


def _between_sides(places: Mapping[int, np.ndarray]) -> list[float]:
    """Distances, along x, of left teeth from the same tooth, or its neighbours, on the right; x grows to the left."""
    return [places[left.fdi][0] - places[right.fdi][0] for left, right in _pairs(places, "side", "left", "jaw")]


def _between_jaws(places: Mapping[int, np.ndarray]) -> list[float]:
    """Heights of upper teeth above the same tooth, or its neighbours, in the lower jaw."""
    return [places[upper.fdi][2] - places[lower.fdi][2] for upper, lower in _pairs(places, "jaw", "upper", "side")]


def _pairs(places: Collection[int], differ: str, first: str, agree: str) -> list[tuple[Tooth, Tooth]]:
    """Pairs of teeth of similar position, equal in the attribute `agree`; the one with `first` as its `differ` comes first."""
    teeth = [tooth(fdi) for fdi in places]
    return [
        (one, other)
        for one, other in product(teeth, teeth)
        if getattr(one, differ) == first != getattr(other, differ)
        and getattr(one, agree) == getattr(other, agree)
        and abs(one.position - other.position) <= 1
    ]


def _too_near(places: Mapping[int, np.ndarray]) -> bool:
    """Whether a left and a right tooth of a jaw lie nearer to each other than their positions allow."""
    teeth = [tooth(fdi) for fdi in places]
    return any(
        np.linalg.norm(places[left.fdi] - places[right.fdi])
        < min(_LEAST_STEP * (left.position + right.position - 1), _LEAST_WIDTH)
        for left, right in product(teeth, teeth)
        if left.side == "left" != right.side and left.jaw == right.jaw
    )


def _along_quadrants(places: Mapping[int, np.ndarray]) -> list[float]:
    """Lateral and posterior distances from each tooth of a quadrant to the next one."""
    steps = []
    for quadrant in range(1, 9):
        row = sorted(fdi for fdi in places if fdi // 10 == quadrant)
        for one, following in pairwise(row):
            step = places[following] - places[one]
            outwards = step[0] if tooth(one).side == "left" else -step[0]
            steps += [outwards, step[1]]
    return steps
