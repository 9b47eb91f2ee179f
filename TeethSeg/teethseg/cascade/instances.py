"""Instance segmentation: one region per tooth, from the maps of the fine network.

The tooth mask is divided into small pieces. Neighbours that are likelier one tooth than two are merged, the likeliest
pair first. Then each object is classified as tooth, metal, or neither. Both decisions are fitted (`decisions`).
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from scipy import ndimage

from ..boxes import Box, bounding_box
from .decisions import Decisions, LogisticModel, shipped_decisions
from .instance_features import InstanceEvidence, evidence_of
from .oversegmentation import oversegment
from .piece_features import METAL, NO_TOOTH, TOOTH, merge_features, object_features
from .predictions import FineMaps
from .region_graph import Contacts, Pieces, find_contacts, measure_pieces

# No mouth has more. Untrained networks predict teeth everywhere; then the largest pieces and likeliest teeth are kept.
_MOST_PIECES, MOST_TEETH = 500, 64
# Least share of metal in the root's half of an implant. Measured in 56 simulated scans: 0.94 and more in two implants with
# crowns that were taken for teeth, 0.81 at most in the other objects.
_METAL_ROOT = 0.88
WORTH_TELLING = 60.0  # mm³; smaller objects that are no teeth are noise and are not counted


@dataclass(frozen=True)
class Instances:
    """The segmented teeth, before numbering.

    Attributes
    ----------
    labels : ndarray of uint16, shape (Z, Y, X)
        0 = no tooth; every label is one 6-connected region.
    evidence : tuple of InstanceEvidence
        In label order.
    metal, doubtful : int
        Number of objects that were left out as metal or implants, and as no teeth; small noise is not counted.
    surplus : int
        Number of pieces and teeth that were left out because no mouth has so many.
    """

    labels: np.ndarray
    evidence: tuple[InstanceEvidence, ...]
    metal: int = 0
    doubtful: int = 0
    surplus: int = 0


def find_instances(
    maps: FineMaps,
    inside: np.ndarray | None = None,
    coarse: np.ndarray | None = None,
    decisions: Decisions | None = None,
) -> Instances:
    """Divide the tooth mask into teeth.

    Parameters
    ----------
    maps : FineMaps
    inside : ndarray of bool, shape (Z, Y, X), optional
        Where the region has image data. Teeth at its edge count as cut; without it, teeth at the array's faces do.
    coarse : ndarray of float, shape (Z/2, Y/2, X/2), optional
        Tooth probability of stage 1; by default that of stage 2.
    decisions : Decisions, optional
        By default those of the shipped weights.

    Returns
    -------
    Instances
        Empty if there is no tooth.
    """
    decisions = decisions or shipped_decisions()
    labels = np.zeros(maps.tooth.shape, np.uint16)
    if (graph := build_piece_graph(maps, inside, coarse)) is None:
        return Instances(labels, ())
    owner, objects = merge_pieces(graph.pieces, graph.contacts, maps.spacing, decisions.merge)
    chance = decisions.kind.probability(object_features(objects, maps.spacing))
    kind = chance.argmax(axis=1)
    is_implant = (_metal_of_root(graph, owner, objects, maps.metal) > _METAL_ROOT) & (objects.border == 0)
    kind[is_implant & (kind == TOOTH)] = METAL
    teeth = np.flatnonzero(kind == TOOTH)
    surplus = graph.surplus + max(len(teeth) - MOST_TEETH, 0)
    teeth = np.sort(teeth[np.argsort(-chance[teeth, TOOTH], kind="stable")[:MOST_TEETH]])
    number = np.zeros(len(objects), np.uint16)
    number[teeth] = np.arange(1, len(teeth) + 1)
    labels[graph.box] = np.append(np.uint16(0), number[owner])[graph.labels]
    is_reported = objects.voxels * maps.voxel_volume >= WORTH_TELLING
    metal, doubtful = (int(np.sum(is_reported & (kind == left_out))) for left_out in (METAL, NO_TOOTH))
    return Instances(labels, evidence_of(objects[teeth], maps.crop(graph.box)), metal, doubtful, surplus)


@dataclass(frozen=True)
class PieceGraph:
    """The tooth mask in pieces."""

    box: Box  # bounding box of all teeth
    labels: np.ndarray  # pieces in this box, numbered from 1 without gaps
    pieces: Pieces
    contacts: Contacts
    surplus: int  # number of pieces beyond the largest 500, which are left out


def build_piece_graph(
    maps: FineMaps, inside: np.ndarray | None = None, coarse: np.ndarray | None = None
) -> PieceGraph | None:
    """Divide the tooth mask into pieces; parameters as for `find_instances`. None without a tooth."""
    if (box := even_box(maps.tooth > 0.5)) is None:
        return None
    part = maps.crop(box)
    labels = oversegment(part, part.tooth > 0.5)
    if not (count := int(labels.max())):
        return None
    if count > _MOST_PIECES:
        labels = cc3d.largest_k(labels, k=_MOST_PIECES, connectivity=6)
    half = tuple(slice(side.start // 2, side.stop // 2) for side in box)
    coarse = part.tooth[::2, ::2, ::2] if coarse is None else coarse[half]
    pieces = measure_pieces(labels, part, edge_of_data(maps.tooth.shape, box, inside), coarse)
    return PieceGraph(box, labels, pieces, find_contacts(labels, part.core), max(count - _MOST_PIECES, 0))


def merge_pieces(
    pieces: Pieces, contacts: Contacts, spacing: float, decision: LogisticModel
) -> tuple[np.ndarray, Pieces]:
    """Merge the pair that is likeliest one tooth, until no pair is likelier one tooth than two.

    Parameters
    ----------
    pieces : Pieces
        Modified in place; not to be used afterwards.
    contacts : Contacts
    spacing : float
        Of the cubic voxels in mm.
    decision : LogisticModel

    Returns
    -------
    owner : ndarray of int, shape (N,)
        Number of each piece's object, from 0 without gaps.
    objects : Pieces
        Sums of the objects.
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


def _metal_of_root(graph: PieceGraph, owner: np.ndarray, objects: Pieces, metal: np.ndarray | None) -> np.ndarray:
    """Share of voxels as bright as metal in the half of each object that is away from the occlusal plane, (N,)."""
    if metal is None:
        return np.zeros(len(objects))
    z, y, x = np.nonzero(graph.labels)
    of = owner[graph.labels[z, y, x] - 1]
    middle = np.bincount(of, z, len(objects)) / np.maximum(objects.voxels, 1)
    away = np.where(objects.jaws[of, 1] > 0.5, z > middle[of], z < middle[of])
    bright = metal[graph.box][z, y, x] & away
    return np.bincount(of[bright], minlength=len(objects)) / np.maximum(
        np.bincount(of[away], minlength=len(objects)), 1
    )


def even_box(mask: np.ndarray) -> Box | None:
    """Bounding box of a mask, widened to even starts and stops; None if the mask is empty."""
    box = bounding_box(mask)
    return box and tuple(slice(side.start // 2 * 2, (side.stop + 1) // 2 * 2) for side in box)


def edge_of_data(shape: tuple[int, ...], box: Box, inside: np.ndarray | None) -> np.ndarray:
    """Voxels of the box that border on missing data: the whole array's faces and the edge of `inside`."""
    known = np.pad(np.ones(shape, bool) if inside is None else inside, 1)
    wide = tuple(slice(side.start, side.stop + 2) for side in box)
    return ~ndimage.binary_erosion(known[wide])[1:-1, 1:-1, 1:-1]
