"""Decides, from the whole dentition, whether the orientation in the file's header is right.

Headers can be wrong: slices stacked in reverse order, axes of another convention, a wrong patient position. The networks are
trained on upright heads that face forwards, and do not distinguish the two sides of a patient. So the teeth determine the
directions of the top of the head and of the face, in 24 orientations, but not left and right. Where an orientation exchanges
the sides, the handedness of the axes contradicts the header.

=============================  =============================  ========================================================
orientation of the teeth       most frequent cause            sides
=============================  =============================  ========================================================
upside down                    slices in reverse order: the   as in the header (the image is mirrored), but exchanged if
                               image is mirrored through z    the image was rotated instead: uncertain
facing back                    axes of the other convention   as in a rotated patient, but exchanged if the image was
                               (RAS for LPS): rotated         mirrored instead: uncertain
upside down and facing back,   rotated about the axis from    as in the header; handedness agrees: certain
supine or prone                left to right
facing sideways, any other     axes exchanged                 as in a rotated patient: uncertain
=============================  =============================  ========================================================

Jaws and positions always follow the teeth, so that no tooth gets a number of the other jaw. The label map stays on the grid of
the file. Where the sides are uncertain, every number is flagged, its second number is the same tooth of the other side, and
one warning states the orientation in the header and that of the teeth. A scan that is mirrored from left to right cannot be
detected: it looks like another patient.

Three observations support an orientation. The first is the information of stage 1 in the rotated image
(`coarse.information`). For orientations that keep the occlusal plane, the others are the fit of the teeth to the arches
(`numbering.dentition_evidence`: upper incisors are larger, lower arches narrower) and to their jaws (`jaw_shape`: upper molars
are broad across the arch, lower ones long along it). Arches and shapes are available after every run at no cost. Only if they
contradict the header, or too few numbers are certain, stage 1 runs again on rotated images. The header is accepted without a
warning only if no other orientation explains the teeth better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.special import softmax

from ..volume import Volume
from .instance_features import InstanceEvidence
from .jaw_shape import jaws_log_likelihood
from .number_choice import mirrored
from .numbering import MidlinePrior, NumberedTooth, dentition_evidence
from .turns import turned

# Prior log-odds of an orientation against the header's: one file in two hundred has a wrong one that keeps the occlusal
# plane, one in a thousand another one.
_PRIOR, _PRIOR_OTHER_PLANE = np.log(5e-3), np.log(1e-3)
_CERTAIN = 0.95  # least probability of a certain orientation, and least confidence of a certain number
# Stage 1 runs again if another orientation in the plane has at least these log-odds by the arches, or if a smaller share of
# the numbers is certain. Usually nearly all are; in heads that face the back it was a third at most, as front teeth become
# molars.
_SUSPICIOUS_LOG_ODDS, _USUALLY_CERTAIN = -14.0, 0.75
_LEAST_CERTAIN = 0.4  # least share of certain numbers; with fewer, the numbers are unreliable as a whole
_MOST_FROM_SIDE = 20.0  # nats; stage 1 never has as much information on a dentition seen from the side
# Largest log-odds from the arches. They count little where numbers are unreliable, because the teeth may be false too.
_MOST_BY_ARCHES, _MOST_BY_UNRELIABLE_ARCHES = 12.0, 3.0
_MOST_BY_SHAPE, _MOST_BY_UNRELIABLE_SHAPE = 20.0, 6.0  # the same of shapes, which depend on the positions
_FROM_BEHIND = 3.0  # nats of further information that show a head facing the back
_LEAST_INFORMATION = 5.0  # nats, the information on three teeth; less, with no tooth found, decides no orientation
_LEAST_GAIN = 8.0  # nats of further information that show inverted grey values
CUBE_MM = 96.0  # edge of the cube around the teeth on which stage 1 runs again

_SIDES = ("left side", "back", "top")
_OTHER_SIDES = ("right side", "front", "bottom")


@dataclass(frozen=True)
class Orientation:
    """Orientation of the patient relative to the axes that the file's header claims.

    Attributes
    ----------
    matrix : tuple of 3 tuples of 3 int
        From LPS according to the header to LPS according to the teeth; a permutation of axes with signs.
    """

    matrix: tuple[tuple[int, ...], ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))

    @classmethod
    def of(cls, back: Sequence[int], up: Sequence[int]) -> Orientation:
        """The orientation with the back and the top of the head towards two directions of the header's LPS."""
        left = np.cross(back, up)
        if tuple(back) == (0, 1, 0) and left[0] < 0:  # upside down alone: the image is mirrored, see above
            left = -left
        return cls(tuple(tuple(int(part) for part in np.asarray(row)) for row in (left, back, up)))

    @property
    def as_filed(self) -> bool:
        """Whether the header is right."""
        return self == Orientation()

    @property
    def sides_known(self) -> bool:
        """Whether the header's left is the left of a patient whose image is not mirrored."""
        return self.matrix[0] == (1, 0, 0) and np.linalg.det(self.matrix) > 0

    @property
    def keeps_plane(self) -> bool:
        """Whether the occlusal plane, and the left-right axis in it, are those of the header."""
        return abs(self.matrix[2][2]) == 1 and abs(self.matrix[1][1]) == 1

    def turned(self, volume: Volume) -> Volume:
        """The same voxels with the direction and origin that the teeth imply."""
        return turned(volume, self.matrix)

    def evidence(self, teeth: Iterable[InstanceEvidence]) -> list[InstanceEvidence]:
        """The evidence of the same teeth in this orientation; for orientations that keep the occlusal plane."""
        matrix, exchanged = np.array(self.matrix, float), self.matrix[2][2] < 0
        return [
            replace(
                tooth,
                centroid_lps=matrix @ tooth.centroid_lps,
                covariance=None if tooth.covariance is None else matrix @ tooth.covariance @ matrix.T,
                upper_probability=1 - tooth.upper_probability if exchanged else tooth.upper_probability,
            )
            for tooth in teeth
        ]

    def array(self, array: np.ndarray) -> np.ndarray:
        """A part of a region's grid (z, y, x) on the axes that the teeth imply; a view."""
        return self.turned(Volume(array)).oriented().array

    def midline(self, midline: MidlinePrior | None) -> MidlinePrior | None:
        """The expected midline in this orientation; for orientations that keep the occlusal plane."""
        return midline and replace(midline, x=self.matrix[0][0] * midline.x)

    @property
    def words(self) -> str:
        """The orientation of the head relative to the header, in words that follow "a head that"."""
        top, face = _side(self.matrix[2]), _side([-part for part in self.matrix[1]])
        if self.keeps_plane:
            parts = ["is upside down"] * (top == "bottom") + ["faces the back"] * (face == "back")
            return " and ".join(parts) or "is upright and faces forwards"
        return f"has its top at the {top} of the scan and its face at the {face}"


def _side(direction: Sequence[int]) -> str:
    axis = int(np.flatnonzero(direction)[0])
    return (_SIDES if direction[axis] > 0 else _OTHER_SIDES)[axis]


def _all() -> tuple[Orientation, ...]:
    axes = [tuple(int(part) for part in sign * row) for row in np.eye(3, dtype=int) for sign in (1, -1)]
    candidates = [Orientation.of(back, up) for up, back in product(axes, axes) if not np.dot(up, back)]
    return (AS_FILED, *(orientation for orientation in candidates if not orientation.as_filed))


AS_FILED = Orientation()
UPSIDE_DOWN = Orientation.of(back=(0, 1, 0), up=(0, 0, -1))
BACKWARD = Orientation.of(back=(0, -1, 0), up=(0, 0, 1))
ORIENTATIONS = _all()
PLANE_KEPT = tuple(orientation for orientation in ORIENTATIONS if orientation.keeps_plane)


@dataclass(frozen=True)
class OrientationDecision:
    """The likeliest orientation.

    Attributes
    ----------
    best : Orientation
    alternative : Orientation or None
        The second likeliest, unless `best` is certain.
    """

    best: Orientation = AS_FILED
    alternative: Orientation | None = None

    @property
    def jaws_sure(self) -> bool:
        """Whether upper and lower jaw are certain."""
        return self.alternative is None or self.alternative.matrix[2] == self.best.matrix[2]

    def numbers(self, numbered: Iterable[NumberedTooth]) -> list[NumberedTooth]:
        """The numbers, with reduced confidence where the sides or jaws are uncertain."""
        if self.best.sides_known and self.alternative is None:
            return list(numbered)
        jaws = not self.jaws_sure and self.best.sides_known
        return [
            replace(tooth, confidence=tooth.confidence / 2, second_fdi=mirrored(tooth.fdi, jaws))
            if tooth.fdi
            else tooth
            for tooth in numbered
        ]

    @property
    def warning(self) -> str | None:
        """One sentence on the orientation in the header and that of the teeth; None if they agree."""
        if self.alternative is None and self.best.as_filed:
            return None
        file = f"The file shows a head that {AS_FILED.words}"
        checked = "the sides" if self.jaws_sure else "jaws and sides"
        if self.best.as_filed and self.alternative is not None:
            return (
                f"{file}, the teeth perhaps one that {self.alternative.words}: every number is unsure, check {checked}."
            )
        text = f"{file}, the teeth one that {self.best.words}: they were numbered as they lie"
        if self.alternative is None and self.best.sides_known:
            return f"{text}; check the numbers."
        return f"{text}, but the image cannot tell left from right, so every number is unsure: check {checked}."


def in_doubt(numbered: Sequence[NumberedTooth], share: float = _LEAST_CERTAIN) -> bool:
    """Whether less than a share of the numbers is certain, or there are none.

    A number with only the side uncertain, as in a small field of view, counts as certain: it does not depend on the
    orientation.
    """
    certain = sum(
        tooth.fdi > 0 and (tooth.confidence >= _CERTAIN or tooth.second_fdi == mirrored(tooth.fdi))
        for tooth in numbered
    )
    return certain < max(1.0, share * len(numbered))


def better_inverted(information: float, inverted: float) -> bool:
    """Whether the information of stage 1 shows that the grey values are inverted."""
    return inverted - information > _LEAST_GAIN


def decide(
    evidence: Sequence[InstanceEvidence],
    numbered: Sequence[NumberedTooth],
    midline: MidlinePrior | None,
    run_coarse: Callable[[Orientation], float],
) -> OrientationDecision:
    """Decide the orientation from all teeth together.

    Parameters
    ----------
    evidence : sequence of InstanceEvidence
        Of the teeth that were found in the orientation of the header.
    numbered : sequence of NumberedTooth
        Their numbers.
    midline : MidlinePrior or None
        In the orientation of the header.
    run_coarse : callable
        Information of stage 1 in nats, for the scan in an orientation. Called only if the header is in doubt.
    """
    unreliable = in_doubt(numbered)
    shape = _by_shape(evidence, _MOST_BY_UNRELIABLE_SHAPE if unreliable else _MOST_BY_SHAPE)
    arches = {one: _arch_evidence(evidence, midline, one) for one in (AS_FILED, UPSIDE_DOWN, BACKWARD)}
    # Shapes may add suspicion here, but not remove it: they depend on the positions, which are wrong in a head that faces back.
    suspicion = max(arches[UPSIDE_DOWN] + max(shape, 0.0), arches[BACKWARD]) - arches[AS_FILED]
    if not in_doubt(numbered, _USUALLY_CERTAIN) and suspicion < _SUSPICIOUS_LOG_ODDS:
        return OrientationDecision()
    arches |= {one: _arch_evidence(evidence, midline, one) for one in PLANE_KEPT if one not in arches}
    information = {one: run_coarse(one) for one in PLANE_KEPT}
    if unreliable and max(information.values()) < _MOST_FROM_SIDE:
        information |= {one: run_coarse(one) for one in ORIENTATIONS if not one.keeps_plane}
    if not evidence and max(information.values()) < _LEAST_INFORMATION:
        return OrientationDecision()
    most = _MOST_BY_UNRELIABLE_ARCHES if unreliable else _MOST_BY_ARCHES
    if _most_from_behind(information):  # front teeth were taken for molars, so their shapes support the wrong jaw
        shape = 0.0

    def log_likelihood(orientation: Orientation) -> float:
        """Relative to that of the header's orientation."""
        gain = information[orientation] - information[AS_FILED]
        if not orientation.keeps_plane:
            return gain
        by_shape = shape if orientation == UPSIDE_DOWN else 0.0
        return gain + float(np.clip(arches[orientation] - arches[AS_FILED], -most, most)) + by_shape

    likelihoods = {one: log_likelihood(one) for one in information}
    candidates = list(information)
    probabilities = softmax([likelihoods[one] + _prior(one) for one in candidates])
    first, second = (candidates[at] for at in np.argsort(-probabilities)[:2])
    if probabilities.max() < _CERTAIN:
        return OrientationDecision(first, second)
    # The prior is no evidence: an orientation in the plane that explains the teeth better than the header is reported.
    better = max(PLANE_KEPT, key=lambda one: likelihoods[one])
    return OrientationDecision(first, better if first.as_filed and likelihoods[better] > 0 else None)


def _most_from_behind(information: Mapping[Orientation, float]) -> bool:
    """Whether stage 1 has more information in an orientation with the face towards the back."""
    backs = max(information[orientation] for orientation in PLANE_KEPT if orientation.matrix[1][1] < 0)
    return backs > max(information[AS_FILED], information[UPSIDE_DOWN]) + _FROM_BEHIND


def _prior(orientation: Orientation) -> float:
    return 0.0 if orientation.as_filed else _PRIOR if orientation.keeps_plane else _PRIOR_OTHER_PLANE


def _by_shape(evidence: Sequence[InstanceEvidence], most: float) -> float:
    """Log-odds, in nats, that the teeth belong to the other jaw, from their shapes; at most `most`."""
    gain = jaws_log_likelihood(UPSIDE_DOWN.evidence(evidence)) - jaws_log_likelihood(evidence)
    return float(np.clip(gain, -most, most))


def _arch_evidence(
    evidence: Sequence[InstanceEvidence], midline: MidlinePrior | None, orientation: Orientation
) -> float:
    return dentition_evidence(orientation.evidence(evidence), orientation.midline(midline)) if evidence else 0.0
