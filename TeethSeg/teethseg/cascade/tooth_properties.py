"""Properties of each tooth: measures, and flags for the user to check.

All functions take plain numbers and label maps, so they also work on a corrected result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, permutations, product

import numpy as np
from scipy import ndimage

from ..anatomy import arch, tooth
from ..boxes import Box, label_boxes, triple
from ..volume import Volume
from .arch_template import VOLUMES, place_centres, place_widths
from .dentition import GAP_BEFORE, MAYBE_EXTRA, TOUCHES_BORDER, UNCERTAIN_NUMBER, UNERUPTED, UNUSUAL_VOLUME, FoundTooth
from .field_of_view import PatientMask
from .jaw_assignment import split_jaws
from .numbering import NumberedTooth

# Confidence below which a number is flagged. In 0.85 % of 2,000 simulated mouths a wrong number is not flagged; with 0.99 it
# would be 1.1 %.
SURE = 0.996
USUAL_VOLUME = (0.5, 1.8)  # range of usual volumes, as multiples of the position's mean (`arch_template.VOLUMES`)
ROW_HEIGHT = 8.5  # mm; distance of the tooth centres of a jaw from the occlusal plane
AS_FILED_SHARE = 0.8  # of the best fit; with this fit or a better one, the orientation of the file is kept
_BESIDE_MM = 5.0  # largest horizontal distance of stacked teeth: half a tooth's width
_ABOVE_MM = 6.0  # least vertical distance of stacked teeth: the height of a crown
ROOM_FOR_A_TOOTH = 5.0  # mm; width of the smallest crown, a lower central incisor


@dataclass(frozen=True)
class LabelMeasures:
    """Plain measures of one label."""

    volume_mm3: float
    centroid_lps_mm: tuple[float, float, float]
    touches_border: bool


def measure(labels: Volume, inside: np.ndarray | PatientMask | None = None) -> dict[int, LabelMeasures]:
    """Measure every label of a label map.

    Parameters
    ----------
    labels : Volume
        Label map of an integer type; 0 is no tooth. May be the crop of a scan: see `inside`.
    inside : ndarray of bool, shape of the labels, or PatientMask, optional
        Voxels with data. A tooth touches the border if it has a voxel at the edge of `inside` or at a face of the array.
    """
    measures = {}
    for label, box in label_boxes(labels.array).items():
        mask = labels.array[box] == label
        index = np.argwhere(mask).mean(axis=0) + [s.start for s in box]
        centroid = labels.to_lps(index)
        measures[label] = LabelMeasures(
            float(np.count_nonzero(mask) * labels.voxel_volume),
            triple(centroid),
            _at_border(mask, box, labels.array.shape, inside),
        )
    return measures


def _at_border(mask: np.ndarray, box: Box, shape: tuple[int, ...], inside: np.ndarray | PatientMask | None) -> bool:
    if any(s.start == 0 or s.stop == size for s, size in zip(box, shape, strict=True)):
        return True
    if inside is None:
        return False
    wide = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
    near = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(box, wide, strict=True))
    outside = ndimage.binary_dilation(~inside[wide])[near]
    return bool((mask & outside).any())


def describe(numbered: Sequence[NumberedTooth], measures: Mapping[int, LabelMeasures]) -> tuple[FoundTooth, ...]:
    """The found teeth with their flags, in the order of their FDI numbers.

    Parameters
    ----------
    numbered : sequence of NumberedTooth
        Teeth without a number (fdi 0) or without measures are left out.
    measures : mapping from FDI number to LabelMeasures
        On the scan's own grid.
    """
    teeth = [
        FoundTooth(
            fdi=number.fdi,
            confidence=number.confidence,
            volume_mm3=measures[number.fdi].volume_mm3,
            centroid_lps_mm=measures[number.fdi].centroid_lps_mm,
            second_fdi=number.second_fdi,
            touches_border=measures[number.fdi].touches_border,
            flags=(MAYBE_EXTRA,) * number.extra + (UNERUPTED,) * number.unerupted,
        )
        for number in numbered
        if number.fdi and number.fdi in measures
    ]
    room = room_before({found.fdi: found.centroid_lps_mm for found in teeth})
    teeth = [replace(found, flags=_flags(found, room.get(found.fdi, 0.0))) for found in teeth]
    return tuple(sorted(teeth, key=lambda found: found.fdi))


def _flags(found: FoundTooth, room: float) -> tuple[str, ...]:
    usual = None if found.tooth.deciduous else VOLUMES[found.tooth.jaw][found.tooth.position - 1]
    low, high = USUAL_VOLUME
    raised = {
        UNCERTAIN_NUMBER: found.confidence < SURE,
        TOUCHES_BORDER: found.touches_border,
        # A small tooth that the border cuts has the flag for that already.
        UNUSUAL_VOLUME: usual is not None
        and not (found.touches_border and found.volume_mm3 < usual)
        and not low * usual <= found.volume_mm3 <= high * usual,
        GAP_BEFORE: room >= ROOM_FOR_A_TOOTH,
    }
    return tuple(flag for flag, is_raised in raised.items() if is_raised) + found.flags


def room_before(centroids: Mapping[int, Sequence[float]]) -> dict[int, float]:
    """Free room in mm between each permanent tooth and its mesial neighbour.

    The room between the two central incisors counts for both of them.

    Parameters
    ----------
    centroids : mapping from FDI number to (x, y, z) in LPS mm
        Deciduous teeth are ignored.
    """
    room = {}
    for right, left, room_mm in room_between(centroids):
        centrals = {right % 10, left % 10} == {1}  # room between two central incisors belongs to both
        for fdi, side in ((right, "right"), (left, "left")):
            if tooth(fdi).side == side and (fdi % 10 > 1 or centrals):
                room[fdi] = room_mm
    return room


def room_between(centroids: Mapping[int, Sequence[float]]) -> list[tuple[int, int, float]]:
    """Neighbours along the arches, the one on the patient's right first, and the free room between them in mm.

    The room is the distance of the centres in the occlusal plane, minus half of both crowns' usual widths.

    Parameters
    ----------
    centroids : mapping from FDI number to (x, y, z) in LPS mm
        Deciduous teeth are ignored. The head may have any orientation.
    """
    places = {fdi: centre for fdi, centre in centroids.items() if not tooth(fdi).deciduous}
    if not places:
        return []
    points = as_upright(places)
    upper = np.array([tooth(fdi).jaw == "upper" for fdi in places], dtype=float)
    normal = split_jaws(points, upper).normal
    flat = dict(zip(places, points - np.outer(points @ normal, normal), strict=True))
    rooms = []
    for jaw in ("upper", "lower"):
        row, widths = arch(jaw), place_widths(jaw)
        present = [place for place, fdi in enumerate(row) if fdi in flat]
        for right, left in pairwise(present):
            distance = np.linalg.norm(flat[row[right]] - flat[row[left]])
            rooms.append((row[right], row[left], float(distance - (widths[right] + widths[left]) / 2)))
    return rooms


def stacked(centroids: Mapping[int, Sequence[float]]) -> list[tuple[int, int]]:
    """Pairs of teeth of one jaw that lie one above the other, as a tooth germ and its deciduous predecessor do.

    No tooth is in two pairs.

    Parameters
    ----------
    centroids : mapping from FDI number to (x, y, z) in LPS mm
        The head may have any orientation.
    """
    if not centroids:
        return []
    numbers = list(centroids)
    points = as_upright(centroids)
    upper = np.array([tooth(fdi).jaw == "upper" for fdi in numbers])
    normal = split_jaws(points, upper.astype(float)).normal
    heights = points @ normal
    flat = points - np.outer(heights, normal)
    first, second = np.triu_indices(len(numbers), k=1)
    beside = np.linalg.norm(flat[first] - flat[second], axis=1)
    above = np.abs(heights[first] - heights[second])
    chosen = np.flatnonzero((upper[first] == upper[second]) & (beside < _BESIDE_MM) & (above > _ABOVE_MM))
    pairs: dict[int, tuple[int, int]] = {}
    for pair in chosen[np.argsort(beside[chosen])]:
        i, j = int(first[pair]), int(second[pair])
        if not {i, j} & pairs.keys():
            pairs[i] = pairs[j] = (numbers[i], numbers[j])
    return sorted(set(pairs.values()))


def as_upright(places: Mapping[int, Sequence[float]]) -> np.ndarray:
    """Centroids of teeth rotated into an upright head, (N, 3), in the order given.

    Files may give a wrong orientation of the head, while the tooth numbers imply the right one. Of all permutations and flips
    of the axes, the one is taken that brings the teeth nearest to the usual places of their numbers; the orientation of the
    file stays if it fits nearly as well.

    Parameters
    ----------
    places : mapping from FDI number to (x, y, z) in LPS mm
    """
    points = np.array(list(places.values()), dtype=float)
    usual = np.array([_usual_place(fdi) for fdi in places])
    correlation = (usual - usual.mean(axis=0)).T @ (points - points.mean(axis=0))
    rotations = [
        np.eye(3)[list(order)] * np.array(signs)[:, None]
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
    ]
    scores = [float(np.sum(way * correlation)) for way in rotations]
    best = int(np.argmax(scores))
    return points @ rotations[best].T if scores[0] < AS_FILED_SHARE * scores[best] else points


def _usual_place(fdi: int) -> tuple[float, float, float]:
    one = tooth(fdi)
    successor = fdi - 40 if one.deciduous else fdi
    lateral, posterior = place_centres(one.jaw)[arch(one.jaw).index(successor)]
    return float(lateral), float(posterior), ROW_HEIGHT if one.jaw == "upper" else -ROW_HEIGHT
