"""Choose distinct FDI numbers from the probabilities of each tooth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..anatomy import Jaw, Side, fdi_number, tooth
from .arch_template import place_centres
from .instance_features import InstanceEvidence
from .place_evidence import Slots

_LEAST_SECOND = 1e-3  # probability from which on a second number is reported
_SURE_TOOTH = 0.9  # mean tooth probability from which on an instance gets a number even if its place is taken
_NEAR = 4.0  # mm, standard deviation of the distance of an extra tooth from the place whose number it gets
_FAR = 3.0  # standard deviations at which the distance is capped: places beyond are equally wrong
_DECIDUOUS = 0.03  # prior that a tooth without a place is deciduous, if the networks have no head for it
_LARGER = 1.5  # volume, relative to the other tooth of a place, from which on a tooth is the permanent one


@dataclass(frozen=True)
class NumberedTooth:
    """Number of an instance.

    Attributes
    ----------
    label : int
        The instance.
    fdi : int
        Its FDI number; 0 if it fits no place and may be no tooth at all. Every other number is given once at most.
    confidence : float
        Probability, 0 to 1, that the number is right.
    second_fdi : int or None
        The next best number, unless all others are hardly possible.
    extra : bool
        Whether it may be an extra tooth: no place was left for it, so it has the likeliest free number.
    unerupted : bool
        Whether it is a germ or an impacted tooth, by its depth and the probability from the germ head.
    """

    label: int
    fdi: int
    confidence: float
    second_fdi: int | None = None
    extra: bool = False
    unerupted: bool = False


@dataclass(frozen=True)
class Claim:
    """Numbers of one tooth by the assignment of its arch.

    Attributes
    ----------
    jaw : str
    fdi : int
        The number that fits best; 0 for none.
    chances : mapping of int to float
        Probability of each number.
    point : ndarray, shape (2,)
        Place in the occlusal plane, lateral and posterior mm.
    """

    jaw: Jaw
    fdi: int
    chances: Mapping[int, float]
    point: np.ndarray

    @property
    def chance(self) -> float:
        """The probability of the number that fits best."""
        return self.chances.get(self.fdi, 0.0)


def distinct_numbers(
    evidence: Sequence[InstanceEvidence], claims: Sequence[Claim], upper: np.ndarray, unerupted: np.ndarray
) -> list[NumberedTooth]:
    """Numbers in the order of the evidence.

    Of two claims to one number the likelier one is kept. A tooth with a high tooth probability always gets a number: if
    no place is left, it gets the likeliest free number and is marked as a possible extra tooth.

    Parameters
    ----------
    evidence : sequence of InstanceEvidence
    claims : sequence of Claim
        One for each tooth.
    upper : ndarray, shape (N,)
        Probability of belonging to the upper jaw.
    unerupted : ndarray of bool, shape (N,)
        Whether each tooth is unerupted; copied to the result.

    Returns
    -------
    list of NumberedTooth
    """
    numbers = [0] * len(claims)
    for tooth_index in sorted(range(len(claims)), key=lambda t: -claims[t].chance):
        if claims[tooth_index].fdi not in numbers:
            numbers[tooth_index] = claims[tooth_index].fdi
    left = [t for t, fdi in enumerate(numbers) if not fdi and evidence[t].tooth_probability >= _SURE_TOOTH]
    for jaw in ("upper", "lower"):
        for t, fdi in _free_numbers(evidence, claims, numbers, [t for t in left if claims[t].jaw == jaw], jaw).items():
            numbers[t] = fdi
    left = _larger_are_permanent(evidence, numbers, left)
    return [
        replace(
            _numbered(one.label, claim, fdi, float(up if claim.jaw == "upper" else 1 - up), t in left),
            unerupted=bool(unerupted[t]),
        )
        for t, (one, claim, fdi, up) in enumerate(zip(evidence, claims, numbers, upper, strict=True))
    ]


def _free_numbers(
    evidence: Sequence[InstanceEvidence], claims: Sequence[Claim], numbers: Sequence[int], left: Sequence[int], jaw: Jaw
) -> dict[int, int]:
    """A free number of the jaw for each remaining tooth, by distance from the place and position probabilities."""
    slots = Slots.of(jaw, with_deciduous=True)
    free = [s for s, fdi in enumerate(slots.fdi) if fdi not in numbers]
    if not left or not free:
        return {}
    template = place_centres(jaw)[slots.place]
    placed = [t for t, claim in enumerate(claims) if claim.jaw == jaw and numbers[t]]
    places = slots.place[[slots.fdi.index(numbers[t]) for t in placed]]
    astray = np.array([claims[t].point for t in placed]).reshape(-1, 2) - place_centres(jaw)[places]
    cost = np.zeros((len(left), len(free)))
    for column, slot in enumerate(free):
        # Expected place in this arch: the template, shifted by the mean offset of the three nearest teeth.
        near = np.argsort(np.abs(places - slots.place[slot]))[:3]
        here = template[slot] + (astray[near].mean(axis=0) if len(near) else 0.0)
        for row, t in enumerate(left):
            deciduous = evidence[t].deciduous_probability
            deciduous = np.clip(_DECIDUOUS if deciduous is None else deciduous, 0.02, 0.98)
            away = min(float(np.linalg.norm(claims[t].point - here)) / _NEAR, _FAR)
            kind = deciduous if slots.deciduous[slot] else 1 - deciduous
            cost[row, column] = away**2 / 2 - evidence[t].position_log_probs[slots.fdi[slot] % 10 - 1] - np.log(kind)
    return {left[row]: slots.fdi[free[column]] for row, column in zip(*linear_sum_assignment(cost), strict=True)}


def _larger_are_permanent(evidence: Sequence[InstanceEvidence], numbers: list[int], left: Sequence[int]) -> list[int]:
    """Exchange a tooth without a place and the one in its place if the latter is much smaller, so likelier deciduous.

    Networks for permanent teeth take a retained deciduous tooth in the row for the impacted tooth above it. Returns the teeth
    that are without a place then.
    """
    extra = list(left)
    for k, t in enumerate(left):
        if numbers[t] - 40 not in numbers or evidence[t].deciduous_probability is not None:
            continue
        other = numbers.index(numbers[t] - 40)
        if not evidence[other].touches_border and evidence[t].volume_mm3 > _LARGER * evidence[other].volume_mm3:
            numbers[t], numbers[other], extra[k] = numbers[other], numbers[t], other
    return extra


def _numbered(label: int, claim: Claim, fdi: int, sure_of_jaw: float, left: bool) -> NumberedTooth:
    """Number of one tooth; the same place in the other jaw competes, with the probability that the jaw is wrong."""
    chances = {number: sure_of_jaw * chance for number, chance in claim.chances.items()}
    chances |= {mirrored(number, jaws=True): (1 - sure_of_jaw) * chance for number, chance in claim.chances.items()}
    # Without a place, the confidence is the probability that there is none.
    confidence = chances.pop(fdi, 0.0) if fdi else max(0.0, 1 - sum(claim.chances.values()))
    second = max(chances, key=chances.__getitem__)
    return NumberedTooth(
        label,
        fdi,
        float(min(confidence, 0.5 if left else 1.0)),
        second if chances[second] > _LEAST_SECOND else None,
        extra=left and fdi > 0,
    )


def mirrored(fdi: int, jaws: bool = False) -> int:
    """The number of the same tooth on the other side, or in the other jaw."""
    one = tooth(fdi)
    side: Side = one.side if jaws else "right" if one.side == "left" else "left"
    jaw: Jaw = one.jaw if not jaws else "lower" if one.jaw == "upper" else "upper"
    return fdi_number(jaw, side, one.position) + (40 if one.deciduous else 0)
