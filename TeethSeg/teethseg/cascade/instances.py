"""From the maps of the fine network to one region per tooth.

Seeds are the connected parts of the core map; cores of neighbouring teeth do not touch. Every voxel also votes for the centre
of its tooth: parts that vote for one place are pieces of one tooth (a molar whose roots have cores of their own). The seeds
then flood the tooth mask. Votes split instances that are too large for one tooth.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import edt
import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from ..boxes import label_boxes
from .centre_voting import join_by_votes, part_by_votes
from .fragment_merging import whole_molars
from .instance_features import InstanceEvidence, gather_evidence
from .predictions import FineMaps
from .volume_prior import too_large


@dataclass(frozen=True)
class InstanceSettings:
    """Limits in mm and mm³; the defaults suit permanent and deciduous teeth."""

    seed_volume: float = 16.0  # smallest core that starts a tooth
    # Core probabilities at which bridged cores come apart; how fine a ladder helps was found on simulated scans.
    surer: tuple[float, ...] = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999)
    merge_distance: float = 2.5  # cores that vote for centres closer than this are one tooth
    # A root's tip may be thin; a tube's wall or a wire runs on. A part thinner than the first value is cut where it reaches
    # farther than the second from a thicker part (real and simulated roots of 1.7 mm reach 3 mm, those that networks draw 4,
    # of 2 mm 9.6).
    threads: tuple[tuple[float, float], ...] = ((1.2, 2.0), (1.7, 6.0), (2.0, 12.0))
    stub: float = 1.0  # length that stays of a thin part, as the ends of roots and crowns are thin too
    min_volume: float = 60.0  # smaller ones are dropped as speckles ...
    min_cut_volume: float = 25.0  # ... or, where the image ends within the tooth, smaller than this


@dataclass(frozen=True)
class Instances:
    """`labels`: uint16 (Z, Y, X), 0 = no tooth, every label one 6-connected region; `evidence` in label order."""

    labels: np.ndarray
    evidence: tuple[InstanceEvidence, ...]


def find_instances(
    maps: FineMaps, inside: np.ndarray | None = None, settings: InstanceSettings | None = None
) -> Instances:
    """Part the tooth mask into teeth.

    Parameters
    ----------
    maps : FineMaps
    inside : ndarray of bool, shape (Z, Y, X), optional
        Where the region has image data. Teeth at its edge count as cut; without it, teeth at the array's faces do.
    settings : InstanceSettings, optional

    Returns
    -------
    Instances
        Empty if there is no tooth.
    """
    settings = settings or InstanceSettings()
    labels = np.zeros(maps.tooth.shape, np.uint16)
    box = _even_box(maps.tooth > 0.5)
    if box is None:
        return Instances(labels, ())
    part = maps.crop(box)
    mask = part.tooth > 0.5
    cut = _edge_of_data(maps.tooth.shape, box, inside)

    found = _flood(mask, _seeds(part, mask, settings))
    found = _one_piece_each(_without_threads(found, maps.spacing, settings))
    found = _drop_small(found, cut, maps.voxel_volume, settings)
    evidence = gather_evidence(found, part, cut)
    if large := too_large(evidence):
        found = _one_piece_each(part_by_votes(found, large, part))
        found = _drop_small(found, cut, maps.voxel_volume, settings)
        evidence = gather_evidence(found, part, cut)
    found = whole_molars(found, evidence, maps.spacing)
    labels[box] = found
    return Instances(labels, gather_evidence(found, part, cut))


def _even_box(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    """Bounding box of a mask, widened to even starts and stops; None if the mask is empty."""
    box = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if not len(hit):
            return None
        box.append(slice(int(hit[0]) // 2 * 2, (int(hit[-1]) // 2 + 1) * 2))
    return tuple(box)


def _edge_of_data(shape: tuple[int, ...], box: tuple[slice, ...], inside: np.ndarray | None) -> np.ndarray:
    """Voxels of the box beside which there are no data: the whole array's faces and the edge of `inside`."""
    edge = np.zeros(tuple(s.stop - s.start for s in box), bool)
    for axis, (part, size) in enumerate(zip(box, shape, strict=True)):
        face = np.moveaxis(edge, axis, 0)
        face[0] |= part.start == 0
        face[-1] |= part.stop == size
    if inside is not None:
        edge |= ~ndimage.binary_erosion(inside[box], border_value=1)
    return edge


def _seeds(maps: FineMaps, mask: np.ndarray, settings: InstanceSettings) -> np.ndarray:
    """One label per tooth: cores, joined by their votes, and pieces of tooth without a core."""
    cores = join_by_votes(_cores(maps, mask, settings), maps, settings.merge_distance)

    pieces = cc3d.connected_components(mask, connectivity=6)
    lonely = np.bincount(pieces.ravel()) * maps.voxel_volume >= settings.min_cut_volume
    lonely[np.unique(pieces[cores > 0])] = False
    lonely[0] = False
    if not lonely.any():
        return cores
    number = np.where(lonely, cores.max() + np.cumsum(lonely), 0).astype(np.int32)
    return np.where(cores > 0, cores, number[pieces])


def _cores(maps: FineMaps, mask: np.ndarray, settings: InstanceSettings) -> np.ndarray:
    """Connected cores; one that falls into several of size where the network is surer is these several.

    Contacts, metal and wires bridge cores, but the network is less sure of a bridge than of the cores beside it. Votes join
    the roots of one tooth again.
    """
    cores = cc3d.connected_components((maps.core > 0.5) & mask, connectivity=6)
    least = settings.seed_volume / maps.voxel_volume
    cores = _keep(cores, np.bincount(cores.ravel()) >= least)
    inside = np.flatnonzero(cores)  # few of the voxels
    if not len(inside):
        return cores
    owner, sureness = cores.ravel()[inside], maps.core.ravel()[inside]
    sure = np.zeros(cores.shape, bool)
    for level in settings.surer:
        sure.ravel()[inside] = (sureness > level) & (owner > 0)
        parts = cc3d.connected_components(sure, connectivity=6).ravel()[inside]
        parts = _keep(parts, np.bincount(parts) >= least)
        if not parts.any():
            break
        parent = np.zeros(int(parts.max()) + 1, np.int32)
        parent[parts] = owner  # a part lies in one core
        broken = np.bincount(parent[1:], minlength=int(owner.max()) + 1) > 1
        split = np.concatenate([[False], broken[parent[1:]]])
        number = np.where(split, owner.max() + np.cumsum(split), 0).astype(np.int32)
        owner = np.where(broken[owner], number[parts], owner)
    cores.ravel()[inside] = owner
    return _keep(cores, np.bincount(cores.ravel()) > 0)


def _keep(labels: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """The labels for which `keep` (indexed by label) is true, renumbered from 1; int32."""
    keep = keep.copy()
    keep[0] = False
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32)[labels]


def _flood(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Grow the seeds over the mask; where two meet, the border runs midway between them."""
    distance = edt.edt(seeds == 0, parallel=0)
    return watershed(distance, seeds, mask=mask)


def _without_threads(labels: np.ndarray, spacing: float, settings: InstanceSettings) -> np.ndarray:
    """Cut wires and walls of tubes off teeth; a tooth that is thin all over stays as it is."""
    cubes = (spacing,) * 3
    for thin, longest in settings.threads:
        thick = edt.edt(labels, anisotropy=cubes, black_border=False, parallel=0) > thin / 2
        if not thick.any():
            continue
        away = edt.edt(~thick, anisotropy=cubes, black_border=False, parallel=0)
        body = np.bincount(labels[thick], minlength=int(labels.max()) + 1) > 0
        ends = np.where((away > settings.stub) & body[labels], labels, 0).astype(np.uint16)
        pieces = cc3d.connected_components(ends, connectivity=26)
        far = np.zeros(int(pieces.max()) + 1, bool)
        far[pieces[(away > longest) & (ends > 0)]] = True
        labels = np.where(far[pieces], 0, labels).astype(labels.dtype)
    return labels


def _one_piece_each(labels: np.ndarray) -> np.ndarray:
    """Keep the largest 6-connected piece of every label; other pieces go to the neighbour that they touch most, or vanish."""
    pieces = cc3d.connected_components(labels.astype(np.uint16), connectivity=6)
    size = np.bincount(pieces.ravel())
    owner = np.zeros(len(size), np.int32)
    owner[pieces.ravel()] = labels.ravel()
    largest = np.zeros(int(labels.max()) + 1, np.int64)
    for piece in np.argsort(size):
        largest[owner[piece]] = piece
    main = np.zeros(len(size), bool)
    main[largest] = True
    main |= owner == 0
    table = np.where(main, owner, 0)
    kept = table[pieces]
    for piece, box in label_boxes(pieces).items():
        if main[piece]:
            continue
        wide = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box)
        ring = ndimage.binary_dilation(pieces[wide] == piece)
        around = np.bincount(kept[wide][ring], minlength=2)
        around[0] = 0
        table[piece] = around.argmax() if around.any() else 0
    return table[pieces]


def _drop_small(labels: np.ndarray, cut: np.ndarray, voxel_volume: float, settings: InstanceSettings) -> np.ndarray:
    """Leave out speckles, and renumber the rest from 1."""
    volume = np.bincount(labels.ravel()) * voxel_volume
    at_edge = np.bincount(labels[cut], minlength=len(volume)) > 0
    least = np.where(at_edge, settings.min_cut_volume, settings.min_volume)
    return _keep(labels, volume >= least)
