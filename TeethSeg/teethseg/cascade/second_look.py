"""A second look at doubtful teeth: stage 2 sees them enlarged by a quarter.

Wide lower front teeth may be two: lower incisors are the smallest teeth and stand closest together, and in a blurred scan or a
small head the maps of two of them flow together. Enlarged, they come apart.

Small objects with an unsure number may be no teeth: pieces of bone or of metal are seldom taken for teeth at two sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import cc3d
import numpy as np
from scipy.spatial import cKDTree

from .decisions import Decisions
from .instance_features import InstanceEvidence, gather_evidence
from .instances import WORTH_TELLING, Instances, edge_of_data, even_box, find_instances
from .predictions import FineMaps

ZOOM = 1.25
ROOM = 5.0  # mm round the tooth in the second look
_LAST = 3  # the last position of a front tooth
_WIDE = 1.9  # mm, standard deviation across the long axis: 99 % of 98 single teeth had up to 1.95, 7 fused ones 2.04 or more
_MOST = 6  # lower front teeth of a mouth; more wide ones come from a network that has learned nothing
_LEAST_SHARE = 0.2  # of the object, in each of the two teeth
_LEAST_APART = 3.0  # mm between the centres of the two teeth, across the long axis
_SMALL = 400.0  # mm³; larger objects are teeth nearly always
# Doubtful small objects: networks that fit a scan badly find more, and looks at all of them would take minutes.
_MOST_SMALL = 16
_ROOM_OF_SMALL = 8.0  # mm round a small object, so that stage 2 sees what it belongs to
# Mean probability of tooth in a tooth that is seen again. True teeth away from the border had 0.419 and more. At the border,
# enlarged true teeth may have 0: there a look without enlargement must agree (docs/training.md).
_SEEN = 0.35

Look = Callable[[np.ndarray, np.ndarray, float], FineMaps]


def part_fused_teeth(
    instances: Instances, maps: FineMaps, inside: np.ndarray | None, look: Look, decisions: Decisions
) -> Instances:
    """Divide the lower front teeth that are two.

    Parameters
    ----------
    instances : Instances
    maps : FineMaps
        The maps that they were found in.
    inside : ndarray of bool, shape (Z, Y, X), or None
        Where the region has image data, as for `find_instances`.
    look : callable
        Returns the maps of stage 2 of a box (lowest and highest LPS corner in mm), with everything in them enlarged about the
        origin of LPS, here by `ZOOM`.
    decisions : Decisions

    Returns
    -------
    Instances
        A second tooth has a new label, the highest one.
    """
    wide = [one for one in instances.evidence if _is_wide(one)]
    if not wide or len(wide) > _MOST:
        return instances
    labels, evidence = instances.labels.copy(), list(instances.evidence)
    for one in wide:
        box = even_box(labels == one.label)
        if box is None:
            continue
        part, own = maps.crop(box), labels[box] == one.label
        voxels = np.argwhere(own)
        places = part.to_lps(voxels)
        enlarged = look(places.min(axis=0) - ROOM, places.max(axis=0) + ROOM, ZOOM)
        owner = _owners(places, enlarged, decisions)
        if owner is None:
            continue
        halves = np.zeros(own.shape, np.uint32)
        halves[own] = owner
        halves = _connected(halves)
        labels[box][halves == 2] = len(evidence) + 1
        first, second = gather_evidence(halves, part, edge_of_data(maps.tooth.shape, box, inside))
        evidence[one.label - 1] = replace(first, label=one.label)
        evidence.append(replace(second, label=len(evidence) + 1))
    return replace(instances, labels=labels, evidence=tuple(evidence))


def without_unseen(instances: Instances, maps: FineMaps, doubted: Collection[int], look: Look) -> Instances:
    """Leave out small objects that stage 2 takes for no teeth when they are enlarged.

    Parameters
    ----------
    instances : Instances
    maps : FineMaps
        The maps that they were found in.
    doubted : collection of int
        Labels of objects that may be no teeth.
    look : callable
        As for `part_fused_teeth`.

    Returns
    -------
    Instances
        The labels follow one another again; objects that are left out are counted as doubtful. Unchanged if there are more
        doubted objects than a mouth can have.
    """
    small = [one for one in instances.evidence if one.label in doubted and one.volume_mm3 < _SMALL]
    if len(small) > _MOST_SMALL:
        return instances
    gone = {one.label: one for one in small if not _seen_again(one, instances.labels, maps, look)}
    if not gone:
        return instances
    kept = [one for one in instances.evidence if one.label not in gone]
    labels = np.zeros(len(instances.evidence) + 1, instances.labels.dtype)
    labels[[one.label for one in kept]] = np.arange(1, len(kept) + 1)
    return replace(
        instances,
        labels=labels[instances.labels],
        evidence=tuple(replace(one, label=int(labels[one.label])) for one in kept),
        doubtful=instances.doubtful + sum(one.volume_mm3 >= WORTH_TELLING for one in gone.values()),
    )


def _seen_again(one: InstanceEvidence, labels: np.ndarray, maps: FineMaps, look: Look) -> bool:
    places = maps.to_lps(np.argwhere(labels == one.label))
    box = places.min(axis=0) - _ROOM_OF_SMALL, places.max(axis=0) + _ROOM_OF_SMALL
    for zoom in (ZOOM, 1.0) if one.touches_border else (ZOOM,):
        again = look(*box, zoom)
        if again.tooth[_voxels(places, again, zoom)].mean() >= _SEEN:
            return True
    return False


def _voxels(places: np.ndarray, enlarged: FineMaps, zoom: float) -> tuple[np.ndarray, ...]:
    """Indices into enlarged maps of places (N, 3), LPS mm in the scan."""
    index = np.rint((places * zoom - enlarged.origin) / enlarged.spacing).astype(int)[:, ::-1]
    return tuple(np.clip(index, 0, np.array(enlarged.tooth.shape) - 1).T)


def _is_wide(one: InstanceEvidence) -> bool:
    if one.is_upper or one.position > _LAST or one.covariance is None:
        return False
    return bool(np.linalg.eigvalsh(one.covariance)[1] > _WIDE**2)


def _owners(places: np.ndarray, enlarged: FineMaps, decisions: Decisions) -> np.ndarray | None:
    """Which of two teeth (1 or 2) each voxel belongs to, (N,); None if the enlarged maps do not show two side by side.

    Parameters
    ----------
    places : ndarray, shape (N, 3)
        LPS mm of the object's voxels.
    enlarged : FineMaps
    decisions : Decisions
    """
    labels = find_instances(enlarged, decisions=decisions).labels
    found = labels[_voxels(places, enlarged, ZOOM)]
    counts = np.bincount(found, minlength=3)
    counts[0] = 0
    two = np.argsort(-counts)[:2]
    if counts[two[1]] < _LEAST_SHARE * len(places):
        return None
    step = places[found == two[1]].mean(axis=0) - places[found == two[0]].mean(axis=0)
    long_axis = np.linalg.eigh(np.cov(places.T))[1][:, -1]
    along = abs(step @ long_axis)
    across = np.sqrt(max(step @ step - along**2, 0.0))
    if across < max(_LEAST_APART, along):  # crown and root
        return None
    known = np.isin(found, two)
    nearest = cKDTree(places[known]).query(places)[1]
    return 1 + (found[known][nearest] == two[1])


def _connected(halves: np.ndarray) -> np.ndarray:
    """Both labels with their largest part; the other parts change to the other label, which they touch."""
    parts = cc3d.connected_components(halves, connectivity=6)
    sizes = np.bincount(parts.ravel())
    label = np.zeros(len(sizes), halves.dtype)
    label[parts.ravel()] = halves.ravel()
    before = label.copy()
    for half in (1, 2):
        mine = np.flatnonzero(before == half)
        label[np.setdiff1d(mine, mine[sizes[mine].argmax()])] = 3 - half
    return label[parts]
