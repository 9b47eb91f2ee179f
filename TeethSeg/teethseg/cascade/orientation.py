"""Does the scan lie as its file says? A decision over the whole dentition, made once.

Files lie: slices stacked from above instead of from below, axes of another convention, patients recorded as lying otherwise
than they did. The networks are trained on upright heads that face forwards, and tell the two sides of a patient not apart.
So the teeth can tell where the top of the head and the face are, in 24 ways; left and right they cannot: where a way
exchanges the sides, handedness says one thing and the file another.

=============================  =============================  ========================================================
the teeth lie                  most often                     sides
=============================  =============================  ========================================================
upside down                    slices in reverse order: the   as the file says (the image is mirrored); but if the file
                               image is mirrored through z    was turned instead, the other way round: unsure
facing back                    axes of the other convention   as in a patient who is turned; if the image is mirrored
                               (RAS for LPS): turned          instead, the other way round: unsure
upside down and facing back,   turned about the axis from     as the file says; handedness agrees: sure
lying on the back or the face  left to right
facing sideways, any other     axes exchanged                 as in a patient who is turned: unsure
=============================  =============================  ========================================================

Jaws and positions always follow the teeth, so that no tooth gets the other jaw's number; the label map stays on the grid of
the file, and nothing in the file is flipped. Where sides are unsure, every number is called unsure, its second number is the
same tooth of the other side, and one sentence says what the file says and what the teeth say. A file that is mirrored from
left to right shows a patient as good as any: nothing here, and nobody else, can tell that from the voxels.

What speaks for a way: how much stage 1 knows of teeth in an image that is turned so (`coarse.information`), and, for the ways
that keep the occlusal plane, how well the found teeth fit the arches (`numbering.dentition_evidence`: upper incisors are
larger, lower arches narrower) and their jaws (`jaw_shape`: upper molars are broad across the arch, lower ones long along it).
Arches and shapes are at hand after every run, at no cost; only if they, or too few sure numbers, cast doubt, stage 1 looks
again. The file is believed without a word only where, all taken together, no other way explains the teeth better.
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
from .predictions import ToothMaps

# Log-odds of a way beside the file's: one file in two hundred lies otherwise in its plane, one in a thousand in another.
_PRIOR, _PRIOR_OTHER_PLANE = np.log(5e-3), np.log(1e-3)
_SURE = 0.95  # probability from which on a way is sure; numbers below it are unsure too
# Stage 1 looks again if another way in the plane has such log-odds by the arches, or if a smaller share of the numbers than
# this is sure: usually nearly all are; of heads that face the back it was a third at most, as front teeth become molars.
_WORTH_A_LOOK, _USUALLY_SURE = -14.0, 0.75
_LEAST_SURE = 0.4  # share of all numbers that must be sure, or they are in doubt as a whole
_WELL_KNOWN = 20.0  # nats: so much stage 1 knows of no dentition that it sees from the side
# The most that arches say for or against a way: little where numbers are in doubt, and so what was taken for teeth.
_MOST_BY_ARCHES, _MOST_IN_DOUBT = 12.0, 3.0
_MOST_BY_SHAPE, _MOST_BY_DOUBTED_SHAPE = 20.0, 6.0  # the same of shapes, which need the positions
_FROM_BEHIND = 3.0  # nats that stage 1 must know more for a head to be taken for one that faces the back
_LEAST_SEEN = (
    5.0  # nats: what stage 1 knows of three teeth; where no tooth was found, less says nothing of how they lie
)
_LEAST_GAIN = 8.0  # nats that stage 1 must know more with dark and bright exchanged
LOOK_MM = 96.0  # edge of the cube round the teeth that stage 1 looks at again

_SIDES = ("left side", "back", "top")
_OTHER_SIDES = ("right side", "front", "bottom")


@dataclass(frozen=True)
class Orientation:
    """A way that a patient may lie in what the file calls the patient.

    Attributes
    ----------
    matrix : tuple of 3 tuples of 3 int
        From LPS by the file to LPS by the teeth; a permutation of axes with signs.
    """

    matrix: tuple[tuple[int, ...], ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))

    @classmethod
    def of(cls, back: Sequence[int], up: Sequence[int]) -> Orientation:
        """The way in which the back of the head and its top lie towards two directions of the file's LPS."""
        left = np.cross(back, up)
        if tuple(back) == (0, 1, 0) and left[0] < 0:  # upside down alone: mirrored, see above
            left = -left
        return cls(tuple(tuple(int(part) for part in row) for row in (left, back, up)))

    @property
    def as_filed(self) -> bool:
        """Whether the patient lies as the file's header says."""
        return self == Orientation()

    @property
    def sides_known(self) -> bool:
        """Whether the file's left is the left of a patient whose image is not mirrored."""
        return self.matrix[0] == (1, 0, 0) and np.linalg.det(self.matrix) > 0

    @property
    def keeps_plane(self) -> bool:
        """Whether the occlusal plane, and what is left or right in it, stays what it is."""
        return abs(self.matrix[2][2]) == 1 and abs(self.matrix[1][1]) == 1

    def turned(self, volume: Volume) -> Volume:
        """The same voxels, placed so that the patient lies as the teeth say."""
        matrix = np.array(self.matrix, float)
        return replace(volume, direction=matrix @ volume.direction, origin=tuple(matrix @ np.array(volume.origin)))

    def turned_back(self, volume: Volume) -> Volume:
        """The same voxels, placed as the file says."""
        return Orientation(tuple(zip(*self.matrix, strict=True))).turned(volume)

    def place_back(self, point: Sequence[float]) -> tuple[float, float, float]:
        """Where a point of the turned patient lies by the file, LPS mm."""
        return tuple((np.array(self.matrix, float).T @ np.asarray(point, float)).tolist())

    def maps_back(self, maps: ToothMaps) -> ToothMaps:
        """Maps of the turned patient on axes of the file."""
        if self.as_filed:
            return maps
        tooth, owner = (
            self.turned_back(Volume(array, (maps.spacing,) * 3, maps.origin)).oriented()
            for array in (maps.tooth, maps.owner)
        )
        return ToothMaps(
            np.ascontiguousarray(tooth.array), np.ascontiguousarray(owner.array), tooth.origin, maps.spacing
        )

    def evidence(self, teeth: Iterable[InstanceEvidence]) -> list[InstanceEvidence]:
        """What the same teeth say if the patient lies so; for ways that keep the occlusal plane."""
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
        """A part of a region's grid (z, y, x), with the axes of the patient as the teeth say; a view."""
        return self.turned(Volume(array)).oriented().array

    def midline(self, midline: MidlinePrior | None) -> MidlinePrior | None:
        """Where the midline is expected if the patient lies so; for ways that keep the occlusal plane."""
        return midline and replace(midline, x=self.matrix[0][0] * midline.x)

    @property
    def words(self) -> str:
        """How the head lies in what the file calls upright and forwards; for after "a head that"."""
        top, face = _side(self.matrix[2]), _side([-part for part in self.matrix[1]])
        if self.keeps_plane:
            said = ["is upside down"] * (top == "bottom") + ["faces the back"] * (face == "back")
            return " and ".join(said) or "is upright and faces forwards"
        return f"has its top at the {top} of the scan and its face at the {face}"


def _side(direction: Sequence[int]) -> str:
    axis = int(np.flatnonzero(direction)[0])
    return (_SIDES if direction[axis] > 0 else _OTHER_SIDES)[axis]


def _all() -> tuple[Orientation, ...]:
    axes = [tuple(int(part) for part in sign * row) for row in np.eye(3, dtype=int) for sign in (1, -1)]
    ways = [Orientation.of(back, up) for up, back in product(axes, axes) if not np.dot(up, back)]
    return (AS_FILED, *(way for way in ways if not way.as_filed))


AS_FILED = Orientation()
UPSIDE_DOWN = Orientation.of(back=(0, 1, 0), up=(0, 0, -1))
BACKWARD = Orientation.of(back=(0, -1, 0), up=(0, 0, 1))
ORIENTATIONS = _all()
PLANE_KEPT = tuple(way for way in ORIENTATIONS if way.keeps_plane)


@dataclass(frozen=True)
class Decision:
    """How the patient lies.

    Attributes
    ----------
    way : Orientation
        The likeliest.
    rival : Orientation or None
        The next likely, unless `way` is sure.
    """

    way: Orientation = AS_FILED
    rival: Orientation | None = None

    @property
    def jaws_sure(self) -> bool:
        """Whether upper and lower are sure."""
        return self.rival is None or self.rival.matrix[2] == self.way.matrix[2]

    def numbers(self, numbered: Iterable[NumberedTooth]) -> list[NumberedTooth]:
        """The numbers with the doubt that this leaves in each."""
        if self.way.sides_known and self.rival is None:
            return list(numbered)
        jaws = not self.jaws_sure and self.way.sides_known
        return [
            replace(tooth, confidence=tooth.confidence / 2, second_fdi=mirrored(tooth.fdi, jaws))
            if tooth.fdi
            else tooth
            for tooth in numbered
        ]

    @property
    def warning(self) -> str | None:
        """One sentence for the user: what the file says and what the teeth say; None if they say the same."""
        if self.rival is None and self.way.as_filed:
            return None
        file = f"The file shows a head that {AS_FILED.words}"
        checked = "the sides" if self.jaws_sure else "jaws and sides"
        if self.way.as_filed:
            return f"{file}, the teeth perhaps one that {self.rival.words}: every number is unsure, check {checked}."
        text = f"{file}, the teeth one that {self.way.words}: they were numbered as they lie"
        if self.rival is None and self.way.sides_known:
            return f"{text}; check the numbers."
        return f"{text}, but the image cannot tell left from right, so every number is unsure: check {checked}."


def in_doubt(numbered: Sequence[NumberedTooth], share: float = _LEAST_SURE) -> bool:
    """Whether there are no numbers, or they are in doubt as a whole: less than a share of them is sure.

    A number of which only the side is unsure, as in a small field of view, casts no doubt on how the head lies.
    """
    sure = sum(
        tooth.fdi > 0 and (tooth.confidence >= _SURE or tooth.second_fdi == mirrored(tooth.fdi)) for tooth in numbered
    )
    return sure < max(1.0, share * len(numbered))


def better_inverted(known: float, inverted: float) -> bool:
    """Whether what stage 1 knows of teeth says that dark and bright are exchanged."""
    return inverted - known > _LEAST_GAIN


def decide(
    evidence: Sequence[InstanceEvidence],
    numbered: Sequence[NumberedTooth],
    midline: MidlinePrior | None,
    look: Callable[[Orientation], float],
) -> Decision:
    """How the patient lies, by all teeth together.

    Parameters
    ----------
    evidence : sequence of InstanceEvidence
        Of the teeth that were found with the scan as filed.
    numbered : sequence of NumberedTooth
        The numbers that they got.
    midline : MidlinePrior or None
        Of the scan as filed.
    look : callable
        What stage 1 knows of teeth, in nats, with the scan turned in a way. Asked only if there is doubt.
    """
    doubted = in_doubt(numbered)
    shape = _by_shape(evidence, _MOST_BY_DOUBTED_SHAPE if doubted else _MOST_BY_SHAPE)
    fits = {way: _arches(evidence, midline, way) for way in (AS_FILED, UPSIDE_DOWN, BACKWARD)}
    # Shapes may raise a doubt here, but take none away: they need the positions, which may be those of a head seen from behind.
    rivals = max(fits[UPSIDE_DOWN] + max(shape, 0.0), fits[BACKWARD]) - fits[AS_FILED]
    if not in_doubt(numbered, _USUALLY_SURE) and rivals < _WORTH_A_LOOK:
        return Decision()
    fits |= {way: _arches(evidence, midline, way) for way in PLANE_KEPT if way not in fits}
    known = {way: look(way) for way in PLANE_KEPT}
    if doubted and max(known.values()) < _WELL_KNOWN:
        known |= {way: look(way) for way in ORIENTATIONS if not way.keeps_plane}
    if not evidence and max(known.values()) < _LEAST_SEEN:
        return Decision()
    most = _MOST_IN_DOUBT if doubted else _MOST_BY_ARCHES
    if _knows_most_from_behind(known):  # front teeth were taken for molars: then shapes speak for the wrong jaw
        shape = 0.0

    def log_likelihood(way: Orientation) -> float:
        """Beside that of the file's way."""
        gain = known[way] - known[AS_FILED]
        if not way.keeps_plane:
            return gain
        by_shape = shape if way == UPSIDE_DOWN else 0.0
        return gain + float(np.clip(fits[way] - fits[AS_FILED], -most, most)) + by_shape

    likely = {way: log_likelihood(way) for way in known}
    ways = list(known)
    share = softmax([likely[way] + _prior(way) for way in ways])
    first, second = (ways[at] for at in np.argsort(-share)[:2])
    if share.max() < _SURE:
        return Decision(first, second)
    # A prior is no evidence: what in its plane explains the teeth better than the file does is told.
    better = max(PLANE_KEPT, key=lambda way: likely[way])
    return Decision(first, better if first.as_filed and likely[better] > 0 else None)


def _knows_most_from_behind(known: Mapping[Orientation, float]) -> bool:
    """Whether stage 1 knows more of the teeth in a way in which the head faces the back."""
    backs = max(known[way] for way in PLANE_KEPT if way.matrix[1][1] < 0)
    return backs > max(known[AS_FILED], known[UPSIDE_DOWN]) + _FROM_BEHIND


def _prior(way: Orientation) -> float:
    return 0.0 if way.as_filed else _PRIOR if way.keeps_plane else _PRIOR_OTHER_PLANE


def _by_shape(evidence: Sequence[InstanceEvidence], most: float) -> float:
    """How much better the shapes of the teeth fit the other jaw, in nats."""
    gain = jaws_log_likelihood(UPSIDE_DOWN.evidence(evidence)) - jaws_log_likelihood(evidence)
    return float(np.clip(gain, -most, most))


def _arches(evidence: Sequence[InstanceEvidence], midline: MidlinePrior | None, way: Orientation) -> float:
    return dentition_evidence(way.evidence(evidence), way.midline(midline)) if evidence else 0.0
