"""Post-processing ideas of the first experiments, for a U-Net's output; `seed_experiments.py` measures their effect.

Whole regions instead of single voxels, a graph of them, fewer specks, and teeth thin enough to stand apart.
"""

from __future__ import annotations

from collections.abc import Mapping

import cc3d
import edt
import numpy as np
from scipy import ndimage, sparse
from skimage.segmentation import relabel_sequential, watershed

from teethseg.evaluation.metrics import match_teeth, overlap_counts
from teethseg.training.targets import CORE_DEPTH

REGION = 400  # voxels of a region, about
SPECK = 0.05  # share of the largest component below which a component is a speck
PULL = 2.0  # weight of a border between two regions of the same grey value, beside a voxel that is sure
_SURE = 1e-3  # probabilities stay this far from 0 and 1, so that log odds are finite
_UNIT = 100  # the flow through a graph is counted in whole numbers


def wishes(image: np.ndarray, chance: np.ndarray, spacing: float) -> Mapping[str, np.ndarray]:
    """Teeth by each idea: objects 1, 2, ... as int32 (Z, Y, X), by the name of the idea.

    Parameters
    ----------
    image, chance : ndarray, shape (Z, Y, X)
        Grey values, and the probability of tooth.
    spacing : float
        Voxel size, mm.
    """
    voxels = chance > 0.5
    cells = regions(image, chance)
    whole = mean_of(chance, cells)[cells] > 0.5
    joined = graph_cut(image, chance, cells)
    return {
        "voxels": objects(voxels),
        "largest components": objects(without_specks(voxels)),
        "regions": objects(whole),
        "a graph of regions": objects(joined),
        "thin teeth, grown back": thin_teeth(without_specks(voxels), spacing),
    }


def objects(mask: np.ndarray) -> np.ndarray:
    """Connected components (26 neighbours)."""
    return cc3d.connected_components(mask, connectivity=26).astype(np.int32)


def without_specks(mask: np.ndarray) -> np.ndarray:
    """A mask without components that are much smaller than the largest."""
    found = objects(mask)
    sizes = np.bincount(found.ravel())
    sizes[0] = 0
    return (sizes >= max(1, SPECK * sizes.max()))[found] & mask


def regions(image: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Basins of the grey values' slopes from seeds on a grid, where a tooth is possible, from 1; 0 elsewhere."""
    possible = cc3d.dust(chance > 0.05, threshold=REGION, connectivity=26)
    count = int(np.count_nonzero(possible) / REGION)
    if count < 2:
        return possible.astype(np.int32)
    slope = ndimage.gaussian_gradient_magnitude(image, 1.0)
    return relabel_sequential(watershed(slope, count, mask=possible))[0]


def mean_of(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Mean of a value in each region, by its number; 0 outside all regions."""
    size = np.bincount(cells.ravel())
    mean = np.bincount(cells.ravel(), values.ravel()) / np.maximum(size, 1)
    mean[0] = 0
    return mean


def graph_cut(image: np.ndarray, chance: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The cheapest cut between tooth and the rest, of a graph whose nodes are regions (Boykov, Jolly 2001).

    A region pulls to its side by the log odds of its voxels; two that touch pull together by the area of contact, the
    more the more alike their grey values are.
    """
    number = int(cells.max())
    if number < 2:
        return mean_of(chance, cells)[cells] > 0.5
    share = np.clip(chance, _SURE, 1 - _SURE)
    size = np.bincount(cells.ravel(), minlength=number + 1)
    pull = (mean_of(np.log(share / (1 - share)), cells) * size)[1:]
    first, second, area = contacts(cells)
    grey = mean_of(image, cells)
    unlike = (grey[first] - grey[second]) ** 2
    link = PULL * area * np.exp(-unlike / (2 * unlike.mean() + 1e-9))
    source, sink, nodes = 0, number + 1, np.arange(1, number + 1)
    # Edges in both directions, because maximum_flow would otherwise add them to the matrix.
    rows = np.concatenate([np.full(number, source), nodes, first, second])
    columns = np.concatenate([nodes, np.full(number, sink), second, first])
    room = np.concatenate([np.maximum(pull, 0), np.maximum(-pull, 0), link, link])
    shape = (number + 2, number + 2)
    graph = sparse.csr_matrix((np.round(room * _UNIT).astype(np.int32), (rows, columns)), shape)
    flow = sparse.csgraph.maximum_flow(graph, source, sink).flow
    left = graph - flow
    left.data = (left.data > 0).astype(np.int32)
    left.eliminate_zeros()
    reached = sparse.csgraph.breadth_first_order(left, source, return_predecessors=False)
    inside = np.zeros(number + 2, bool)
    inside[reached] = True
    inside[source] = False
    return inside[cells]


def contacts(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of regions that touch, the lower number first, and the faces of voxels between them."""
    pairs = []
    for axis in range(cells.ndim):
        one, other = (np.take(cells, range(start, cells.shape[axis] - 1 + start), axis) for start in (0, 1))
        touch = (one != other) & (one > 0) & (other > 0)
        pairs.append(np.sort(np.stack([one[touch], other[touch]], axis=1), axis=1))
    found, area = np.unique(np.concatenate(pairs), axis=0, return_counts=True)
    return found[:, 0], found[:, 1], area


def thin_teeth(mask: np.ndarray, spacing: float) -> np.ndarray:
    """Objects of the mask thinned to the depth of the cascade's cores, grown back to the mask."""
    depth = edt.edt(np.ascontiguousarray(mask), anisotropy=(spacing,) * 3, parallel=1)
    cores = objects(without_specks(depth > CORE_DEPTH))
    return watershed(-depth, cores, mask=mask).astype(np.int32)


def dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Dice of two masks; 1 if both are empty."""
    total = np.count_nonzero(found) + np.count_nonzero(truth)
    return 2 * np.count_nonzero((found > 0) & (truth > 0)) / total if total else 1.0


def teeth_apart(found: np.ndarray, labels: np.ndarray) -> int:
    """Teeth (FDI numbers) that have an object to themselves, by an IoU of at least 0.5."""
    sizes = np.bincount(found.ravel())
    sizes[0] = 0
    largest = np.argsort(-sizes)[: min(255, np.count_nonzero(sizes))]  # a speck is no half of a tooth
    number = np.zeros(len(sizes), np.uint8)
    number[largest] = np.arange(1, len(largest) + 1)
    return len(match_teeth(overlap_counts(labels, number[found])))
