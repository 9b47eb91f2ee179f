"""From the maps of the fine network to one region per tooth.

The tooth mask is parted into small pieces. Neighbours that are likelier one tooth than two are merged, the likeliest first;
then each object is a tooth, metal, or neither. Both decisions are fitted (`decisions`). Wires are cut off teeth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..boxes import Box, bounding_box
from .decisions import Decisions, LogisticModel, shipped_decisions
from .instance_features import InstanceEvidence, gather_evidence
from .oversegmentation import oversegment
from .piece_features import METAL, NO_TOOTH, TOOTH, merge_features, object_features
from .predictions import FineMaps
from .region_graph import Contacts, Pieces, find_contacts, measure_pieces
from .wires import without_wires

# No mouth has more. (Networks that have learned nothing see teeth everywhere; the largest pieces and likeliest teeth stay.)
_MOST_PIECES, _MOST_TEETH = 500, 64
_WORTH_TELLING = 60.0  # mm³; smaller objects that are no teeth are specks


@dataclass(frozen=True)
class Instances:
    """The teeth that were found, before they have numbers.

    Attributes
    ----------
    labels : ndarray of uint16, shape (Z, Y, X)
        0 = no tooth; every label is one 6-connected region.
    evidence : tuple of InstanceEvidence
        In label order.
    metal, doubtful : int
        How many objects were left out as metal alone, and as no teeth; specks are not counted.
    """

    labels: np.ndarray
    evidence: tuple[InstanceEvidence, ...]
    metal: int = 0
    doubtful: int = 0


def find_instances(
    maps: FineMaps,
    inside: np.ndarray | None = None,
    coarse: np.ndarray | None = None,
    decisions: Decisions | None = None,
) -> Instances:
    """Part the tooth mask into teeth.

    Parameters
    ----------
    maps : FineMaps
    inside : ndarray of bool, shape (Z, Y, X), optional
        Where the region has image data. Teeth at its edge count as cut; without it, teeth at the array's faces do.
    coarse : ndarray of float, shape (Z/2, Y/2, X/2), optional
        Probability of tooth by stage 1; without it, as if stage 1 had seen the same as stage 2.
    decisions : Decisions, optional
        Those of the weights that ship unless given.

    Returns
    -------
    Instances
        Empty if there is no tooth.
    """
    decisions = decisions or shipped_decisions()
    labels = np.zeros(maps.tooth.shape, np.uint16)
    if (found := build_piece_graph(maps, inside, coarse)) is None:
        return Instances(labels, ())
    box, parts, pieces, contacts = found
    owner, objects = merge_pieces(pieces, contacts, maps.spacing, decisions.merge)
    chance = decisions.kind.probability(object_features(objects, maps.spacing))
    kind = chance.argmax(axis=1)
    likeliest = np.argsort(-chance[:, TOOTH], kind="stable")
    kind[[k for k in likeliest[_MOST_TEETH:] if kind[k] == TOOTH]] = NO_TOOTH
    told = objects.voxels * maps.voxel_volume >= _WORTH_TELLING
    number = np.where(kind == TOOTH, np.cumsum(kind == TOOTH), 0)
    labels[box] = without_wires(np.concatenate([[0], number[owner]]).astype(np.uint16)[parts], maps.spacing)
    evidence = gather_evidence(labels[box], maps.crop(box), _edge_of_data(labels.shape, box, inside))
    return Instances(labels, evidence, int(np.sum(told & (kind == METAL))), int(np.sum(told & (kind == NO_TOOTH))))


def build_piece_graph(
    maps: FineMaps, inside: np.ndarray | None = None, coarse: np.ndarray | None = None
) -> tuple[Box, np.ndarray, Pieces, Contacts] | None:
    """Part the tooth mask into pieces and find their contacts; the parameters are those of `find_instances`.

    Returns
    -------
    box : tuple of slice
        Where there is any tooth.
    labels : ndarray of int, shape of the box
        The pieces, from 1 without gaps.
    pieces : Pieces
    contacts : Contacts

    Without a tooth, None is returned.
    """
    box = _even_box(maps.tooth > 0.5)
    if box is None:
        return None
    part = maps.crop(box)
    half = tuple(slice(side.start // 2, side.stop // 2) for side in box)
    coarse = part.tooth[::2, ::2, ::2] if coarse is None else coarse[half]
    labels = _largest(oversegment(part, part.tooth > 0.5), _MOST_PIECES)
    if not labels.any():
        return None
    cut = _edge_of_data(maps.tooth.shape, box, inside)
    return box, labels, measure_pieces(labels, part, cut, coarse), find_contacts(labels, part.core)


def _largest(labels: np.ndarray, most: int) -> np.ndarray:
    """The largest pieces, `most` of them, numbered from 1."""
    sizes = np.bincount(labels.ravel())[1:]
    if len(sizes) <= most:
        return labels
    number = np.zeros(len(sizes) + 1, labels.dtype)
    number[np.argsort(-sizes, kind="stable")[:most] + 1] = np.arange(1, most + 1)
    return number[labels]


def merge_pieces(
    pieces: Pieces, contacts: Contacts, spacing: float, decision: LogisticModel
) -> tuple[np.ndarray, Pieces]:
    """Merge the pair that is likeliest one tooth, and so on until no pair is likelier one tooth than two.

    Parameters
    ----------
    pieces : Pieces
        N pieces; used up.
    contacts : Contacts
    spacing : float
        Of the cubic voxels in mm.
    decision : LogisticModel
        Of `merge_features`.

    Returns
    -------
    owner : ndarray of int, shape (N,)
        For each piece the number of its object, from 0 without gaps.
    objects : Pieces
        The sums of each object.
    """
    owner = np.arange(len(pieces))
    while len(contacts):
        chance = decision.probability(merge_features(pieces, contacts, spacing))
        best = int(chance.argmax())
        if chance[best] <= 0.5:
            break
        into, other = contacts.pairs[best]
        pieces.merge(into, other)
        contacts = contacts.merge(into, other)
        owner[owner == other] = into
    chosen, owner = np.unique(owner, return_inverse=True)
    return owner.ravel(), pieces[chosen]


def _even_box(mask: np.ndarray) -> Box | None:
    """Bounding box of a mask, widened to even starts and stops; None if the mask is empty."""
    box = bounding_box(mask)
    return box and tuple(slice(side.start // 2 * 2, (side.stop + 1) // 2 * 2) for side in box)


def _edge_of_data(shape: tuple[int, ...], box: Box, inside: np.ndarray | None) -> np.ndarray:
    """Voxels of the box beside which there are no data: the whole array's faces and the edge of `inside`."""
    edge = np.zeros(tuple(s.stop - s.start for s in box), bool)
    for axis, (part, size) in enumerate(zip(box, shape, strict=True)):
        face = np.moveaxis(edge, axis, 0)
        face[0] |= part.start == 0
        face[-1] |= part.stop == size
    if inside is not None:
        edge |= ~ndimage.binary_erosion(inside[box], border_value=1)
    return edge
