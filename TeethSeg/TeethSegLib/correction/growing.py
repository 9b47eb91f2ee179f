"""A whole tooth from one to three clicks in it: a random walk with prior knowledge, in a box around the clicks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.linalg import cg
from scipy.spatial import cKDTree

from ..anatomy import tooth
from ..errors import UsageError
from .edit import Edit, Index, bounding_box, check_number, tooth_box, union, voxels_in, widened
from .shaping import Spacing, enclosing_cuts, largest_piece

# Half of the largest width of the crown, and the length, in mm by position; averages of textbooks with some room.
_REACH = {
    "upper": (4.2, 3.3, 4.0, 4.4, 4.4, 5.6, 5.5, 5.0),
    "lower": (3.0, 3.2, 3.8, 3.8, 4.0, 5.5, 5.3, 5.0),
}
_LENGTH = {
    "upper": (23.5, 22.0, 27.0, 22.5, 22.5, 20.0, 19.0, 17.5),
    "lower": (21.5, 23.5, 27.0, 22.5, 22.5, 21.5, 20.0, 18.0),
}


_GRID = 0.4  # mm: finer scans are averaged to boxes of at most this


@dataclass(frozen=True)
class GrowSettings:
    """Lengths in mm; the values were chosen on simulated scans and one real scan; no figure on those is held out."""

    seed: float = 0.8  # radius of what a click stands for
    top: float = 1.35  # grey values above this part of the way from soft to hard tissue (metal, fillings) are capped
    pulp: float = 2.4  # dark hollows of the tooth up to this width ...
    deep: float = 0.5  # ... and this part of the crown's half-width from the spine are filled before all else
    wide: float = 1.05  # from this many radii on, shape speaks against tooth ...
    slope: float = 0.3  # ... fully so this many radii farther out
    dip: float = 0.11  # a valley on the way from the clicks counts from this depth on, in parts of the contrast ...
    dip_width: float = 0.1  # ... and fully when it is this much deeper
    data: float = 0.1  # weight of grey values and shape beside the walk between neighbours
    edge: float = 3.0  # how much a step of grey value hinders the walk
    valley: float = 3.0  # how much a thin dark line does
    snap: float = 0.12  # how far the half-way grey value moves the final border
    level_blur: float = 2.0  # over which levels inside and outside are compared
    bridge: float = 0.5  # pieces that hang on by less than about this are cut off
    passes: int = 3


_DEFAULTS = GrowSettings()


def grow_tooth(
    labels: np.ndarray,
    image: np.ndarray,
    spacing: Spacing,
    fdi: int,
    inside: Sequence[Index],
    outside: Sequence[Index] = (),
) -> Edit:
    """Grow a whole tooth from clicks or a stroke in it.

    What the tooth had before is replaced, so that a further click, inside or outside, corrects the last growth. Other
    teeth keep their voxels, and the tooth stops at them.

    Parameters
    ----------
    labels, image : ndarray, shape (Z, Y, X)
        FDI numbers (uint8), and the scan in any grey values.
    spacing : (float, float, float)
        Voxel size (z, y, x) in mm.
    fdi : int
        Number of the tooth; tells how large it can be.
    inside : sequence of (z, y, x)
        Clicks in the tooth, in any order; best are the middle of the crown and the middle of each root.
    outside : sequence of (z, y, x)
        Clicks that are not tooth, where it grew too far.

    Returns
    -------
    Edit

    Raises
    ------
    UsageError
        If no click is given, one lies outside the scan or in another tooth, or nothing tooth-like is there.
    """
    check_number(fdi)
    if not len(inside):
        raise UsageError(f"Tooth {fdi} needs a click to grow from: click in the middle of its crown.")
    whole = (slice(0, 0),) * 3
    clicks = voxels_in(whole, inside, labels.shape)
    for click in clicks:
        here = int(labels[tuple(click)])
        if here not in (0, fdi):
            raise UsageError(f"The click lies in tooth {here}: click in free space, or correct tooth {here} first.")
    clicks = _thinned(clicks, np.asarray(spacing))
    seeds = tuple(slice(int(low), int(high) + 1) for low, high in zip(clicks.min(0), clicks.max(0), strict=True))
    margin = 9.0 if len(clicks) > 1 else 14.0
    box = widened(seeds, margin, spacing, labels.shape)
    around = labels[box]
    first = np.array([side.start for side in box])
    anti = voxels_in(box, outside, labels.shape)
    anti = anti[((anti >= 0) & (anti < np.array(around.shape))).all(axis=1)]
    factor = np.maximum((_GRID / np.asarray(spacing)).astype(int), 1)
    share = _grow(
        _reduced(image[box], factor),
        _reduced((around != 0) & (around != fdi), factor) > 0.5,
        np.asarray(spacing) * factor,
        fdi,
        (clicks - first) / factor - (factor - 1) / 2 / factor,
        anti / factor - (factor - 1) / 2 / factor,
    )
    mask = _enlarged(share, factor, around.shape) > 0.5
    mask = ndimage.binary_fill_holes(mask) & ((around == 0) | (around == fdi))
    mask = largest_piece(mask)
    if not mask.any():
        raise UsageError(f"Nothing like a tooth is around these clicks: click in the bright middle of tooth {fdi}.")
    previous = bounding_box(labels == fdi)
    full = box if previous is None else union([box, previous])
    content = labels[full].copy()
    content[content == fdi] = 0
    inner = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, full, strict=True))
    content[inner][mask] = fdi
    return Edit(full, content)


def regrow_tooth(labels: np.ndarray, image: np.ndarray, spacing: Spacing, fdi: int, seeds: Sequence[Index]) -> Edit:
    """Throw a tooth's voxels away and grow it anew from clicks; as `grow_tooth`, but the tooth must be there.

    Raises
    ------
    UsageError
        As `grow_tooth`, and if the tooth is not there.
    """
    tooth_box(labels, fdi)
    return grow_tooth(labels, image, spacing, fdi, seeds)


def _thinned(clicks: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """A stroke as a few clicks that lie at least 3 mm apart."""
    kept = [clicks[0]]
    for click in clicks[1:]:
        if min(np.linalg.norm((click - other) * spacing) for other in kept) >= 3.0:
            kept.append(click)
    return np.array(kept)


def _reduced(array: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Means of boxes of `factor` voxels, float32; the last boxes repeat the edge."""
    if (factor == 1).all():
        return array.astype(np.float32)
    rest = [(0, int(-n % f)) for n, f in zip(array.shape, factor, strict=True)]
    wide = np.pad(array.astype(np.float32), rest, mode="edge")
    z, y, x = np.array(wide.shape) // factor
    return wide.reshape(z, factor[0], y, factor[1], x, factor[2]).mean(axis=(1, 3, 5))


def _enlarged(array: np.ndarray, factor: np.ndarray, shape: Index) -> np.ndarray:
    """The opposite of `_reduced`, linear."""
    if (factor == 1).all():
        return array
    matrix = 1 / factor
    return ndimage.affine_transform(
        array, matrix, -(factor - 1) / 2 / factor, output_shape=shape, order=1, mode="nearest"
    )


@dataclass(frozen=True)
class _Spine:
    """Points (N, 3) in mm along a tooth, the way it runs at each (unit vectors, or 0), and a penalty in mm for points
    that were extrapolated beyond the clicks."""

    points: np.ndarray
    way: np.ndarray
    penalty: np.ndarray


def _grow(
    image: np.ndarray,
    blocked: np.ndarray,
    spacing: np.ndarray,
    fdi: int,
    inside: np.ndarray,
    outside: np.ndarray,
    settings: GrowSettings = _DEFAULTS,
) -> np.ndarray:
    """Share of tooth (Z, Y, X), above 0.5 where it is; clicks (N, 3) in voxels of `image`, `blocked` is other teeth."""
    reach, length = _size(fdi)
    blurred = ndimage.gaussian_filter(image, 0.25 / spacing)
    place = np.stack(np.meshgrid(*map(np.multiply, map(np.arange, image.shape), spacing), indexing="ij"), axis=-1)
    clicks, outside = inside * spacing, outside * spacing
    spine = _spine(clicks, length, blurred, spacing)
    if len(clicks) == 1:  # a first quick look tells how the tooth runs
        quick = replace(settings, passes=1)
        share = _walk(image, blurred, blocked, spacing, place, clicks, outside, spine, reach, quick)
        spine = _spine(_axis(place[share > 0.5]), length, blurred, spacing)
    share = _walk(image, blurred, blocked, spacing, place, clicks, outside, spine, reach, settings)
    return share


def _size(fdi: int) -> tuple[float, float]:
    """Half-width and length of a tooth."""
    one = tooth(fdi)
    # Milk molars are followed by premolars, but look like small molars.
    index = one.position - 1 + 2 * (one.deciduous and one.position > 3)
    scale = 0.85 if one.deciduous else 1.0
    return scale * _REACH[one.jaw][index], scale * _LENGTH[one.jaw][index]


def _walk(image, blurred, blocked, spacing, place, clicks, outside, spine, reach, settings) -> np.ndarray:
    """One growth along a spine: levels from rays, a prior from its radii, then the walk, levels again, and so on."""
    shape, flat = image.shape, place.reshape(-1, 3)
    core = spine.penalty == 0
    core_tree = cKDTree(spine.points[core])
    near_distance, near = (a.reshape(*shape, -1) for a in core_tree.query(flat, k=min(6, core_tree.n)))
    distance = near_distance[..., 0]

    # Metal and fillings are cut down, the pulp is filled up, so that all of a tooth is about as bright.
    soft_level, hard_level = np.percentile(image[(distance < 1.8 * reach + 1) & ~blocked], [30, 88])
    cap = soft_level + settings.top * (hard_level - soft_level)
    image, blurred = np.minimum(image, cap), np.minimum(blurred, cap)
    filled = _without_pulp(blurred, distance, spacing, reach, soft_level, hard_level, settings)
    image = np.where(filled > blurred, np.maximum(image, filled), image)
    blurred = filled

    wall, around, radius = _levels(blurred, spacing, spine.points[core], spine.way[core], reach)
    tooth_level, outer_level = np.percentile(wall, 30), np.median(around)
    contrast = max(tooth_level - outer_level, 1e-3)
    inner = np.minimum(wall, tooth_level)[near].mean(axis=-1)
    outer = np.minimum(around[near].mean(axis=-1), inner - 0.2 * contrast)

    radii = np.clip(1.1 * radius + 0.3, 1.6, 1.1 * reach)[core_tree.query(spine.points)[1]]
    far, index = cKDTree(spine.points).query(flat, k=min(8, len(spine.points)))
    far, index = far.reshape(len(flat), -1), index.reshape(len(flat), -1)
    ratio = ((far + spine.penalty[index]) / radii[index]).min(axis=1).reshape(shape)
    prior = np.clip((settings.wide - ratio) / settings.slope, -3, 1)

    to_click = cKDTree(clicks).query(flat)[0].reshape(shape)
    sure = (to_click < settings.seed) & ~blocked
    free = (ratio < settings.wide + 1.0) & ~blocked
    nodes = free & ~sure
    if len(outside):
        to_outside = cKDTree(outside).query(flat)[0].reshape(shape)
        prior = prior - 3 * np.clip((to_click - to_outside) / (to_click + to_outside + 1e-6), 0, 1)
        nodes &= to_outside >= settings.seed

    capped = np.minimum(image, tooth_level + 0.6 * contrast)
    bright = blurred > (inner + outer) / 2
    pulp = (enclosing_cuts(bright) >= 2) & (ratio < 0.8) & ~bright & ~blocked
    capped = np.where(pulp, inner, capped)
    smooth = np.where(pulp, inner, np.minimum(blurred, tooth_level + 0.6 * contrast))
    valley = np.clip((ndimage.grey_closing(smooth, footprint=_ball(1.0, spacing)) - smooth) / contrast, 0, 1)
    weights = _conductances(smooth / contrast, valley, settings)
    even = min(tooth_level, max(hard_level, outer_level + 0.6 * contrast)) + 0.05 * contrast
    starts = [spine.points[core][near[..., 0]], *clicks]
    share = None
    for turn in range(settings.passes):
        if turn < 2:
            asked = free & (smooth > (inner + outer) / 2 - 0.3 * (inner - outer))
            seen = _seen(np.minimum(smooth, even) / contrast, asked, starts, place, spacing, settings)
        data = np.clip((capped - (inner + outer) / 2) / np.maximum((inner - outer) / 2, 0.1 * contrast), -1, 1)
        data = np.minimum(data, seen + 0.1)
        belief = data + np.where(prior < 0, prior, 0.3 * prior)
        share = _solved(weights, settings.data * belief, nodes, sure, share)
        within = share > 0.5
        blur = settings.level_blur / spacing
        inner = _local_mean(capped, within & (capped > (inner + outer) / 2), blur, inner)
        inner = np.clip(inner, tooth_level - 0.3 * contrast, tooth_level + 0.3 * contrast)
        beyond = ~within & free & (capped < outer + 0.9 * (inner - outer))
        outer = np.minimum(_local_mean(capped, beyond, blur, outer), inner - 0.2 * contrast)
    mask = ((share + settings.snap * data > 0.5) & free) | (pulp & (ndimage.maximum_filter(share, 3) > 0.5)) | sure
    mask = _one_body(mask, sure | ((ratio < 0.5) & mask), spacing, settings)
    return np.where(mask, np.maximum(share, 0.51), np.minimum(share, 0.49)).astype(np.float32)


def _without_pulp(blurred, distance, spacing, reach, soft_level, hard_level, settings) -> np.ndarray:
    """Grey values in which hollows near the spine are as bright as what encloses them."""
    size = np.maximum(np.round(settings.pulp / spacing).astype(int) // 2 * 2 + 1, 3)
    closed = ndimage.grey_closing(blurred, size=tuple(size))
    filled = np.where(distance < settings.deep * reach, closed, blurred)
    hollow = (enclosing_cuts(blurred > (soft_level + hard_level) / 2) >= 2) & (distance < 0.75 * reach)
    return np.where(hollow, np.maximum(filled, hard_level), filled)


def _one_body(mask: np.ndarray, anchor: np.ndarray, spacing: np.ndarray, settings: GrowSettings) -> np.ndarray:
    """The mask without pieces that hang on the anchor by a thread (through a bracket's wire, or a ridge of bone)."""
    thick = (ndimage.gaussian_filter(mask.astype(np.float32), settings.bridge / spacing) > 0.5) & mask
    pieces, count = ndimage.label(thick)
    keep = np.zeros(count + 1, bool)
    keep[np.unique(pieces[anchor])] = True
    keep[0] = False
    kept = keep[pieces]
    rim = ndimage.binary_dilation(kept, _ball(0.9, spacing)) & mask & ~(thick & ~kept)
    return largest_piece(rim | anchor)


def _seen(grey, asked, starts, place, spacing, settings) -> np.ndarray:
    """-1 where every straight way from the tooth's inside crosses a dark valley, 1 where one way does not.

    `starts` are points in mm: one for all voxels (3,), or one each (Z, Y, X, 3).
    """
    targets, end = place[asked], grey[asked]
    least = np.full(len(targets), np.inf)
    for start in starts:
        start = start[asked] if start.ndim > 1 else start
        high, dip = np.full(len(targets), -np.inf), np.zeros(len(targets))
        for part in np.linspace(0, 0.95, 14):
            at = ((start + part * (targets - start)) / spacing).T
            value = ndimage.map_coordinates(grey, at, order=1, mode="nearest")
            high = np.maximum(high, value)
            dip = np.maximum(dip, np.minimum(high, end) - value)
        least = np.minimum(least, dip)
    seen = np.ones(grey.shape, np.float32)
    seen[asked] = 1 - 2 * np.clip((least - settings.dip) / settings.dip_width, 0, 1)
    return seen


def _axis(points: np.ndarray) -> np.ndarray:
    """Two points on the long axis of a cloud (N, 3), a tenth of it beyond either."""
    centre = points.mean(axis=0)
    way = np.linalg.svd(points - centre, full_matrices=False)[2][0]
    ends = np.percentile((points - centre) @ way, [10, 90])
    return centre + ends[:, None] * way


def _spine(clicks: np.ndarray, length: float, image: np.ndarray, spacing: np.ndarray) -> _Spine:
    """Join clicks (N, 3) in mm by the shortest bright lines, and go on beyond the ends as far as a tooth may be long."""
    if len(clicks) == 1:
        return _Spine(clicks, np.zeros((1, 3)), np.zeros(1))
    links = _links(clicks, image, spacing)
    points, ways, penalties = [], [], []
    for first, second in links:
        gap = clicks[second] - clicks[first]
        steps = int(np.linalg.norm(gap) / 0.5) + 2
        points.append(clicks[first] + np.linspace(0, 1, steps)[:, None] * gap)
        ways.append(np.tile(gap / np.linalg.norm(gap), (steps, 1)))
        penalties.append(np.zeros(steps))
    span = np.linalg.norm(clicks[:, None] - clicks[None], axis=-1).max()
    spare = np.arange(0.5, np.clip((1.1 * length - span) / 2, 4.0, 8.0), 0.5)
    for click in range(len(clicks)):
        linked = [second if click == first else first for first, second in links if click in (first, second)]
        if len(linked) > 1 and click != 0:
            continue
        way = clicks[click] - clicks[linked].mean(axis=0)
        way = way / max(np.linalg.norm(way), 1e-3)
        points.append(clicks[click] + spare[:, None] * way)
        ways.append(np.tile(way, (len(spare), 1)))
        penalties.append(0.25 * spare)
    return _Spine(np.concatenate(points), np.concatenate(ways), np.concatenate(penalties))


def _links(clicks: np.ndarray, image: np.ndarray, spacing: np.ndarray) -> list[tuple[int, int]]:
    """The tree over clicks whose lines are short and bright: two roots are joined through the crown, not the bone."""
    low, high = np.percentile(image, [30, 88])

    def cost(first: int, second: int) -> float:
        line = clicks[first] + np.linspace(0, 1, 12)[:, None] * (clicks[second] - clicks[first])
        grey = ndimage.map_coordinates(image, (line / spacing).T, order=1, mode="nearest")
        share = np.clip((grey - low) / max(high - low, 1e-6), 0.1, 1).mean()
        return float(np.linalg.norm(clicks[first] - clicks[second]) / share**2)

    links, joined, left = [], [0], list(range(1, len(clicks)))
    while left:
        base, click = min(((j, i) for i in left for j in joined), key=lambda pair: cost(*pair))
        left.remove(click)
        joined.append(click)
        links.append((base, click))
    return links


def _levels(image, spacing, points, ways, reach) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey value of the tooth, grey value around it and radius in mm at every point of the spine.

    Rays leave each point across the tooth; a ray ends where it falls half-way from the brightest to the darkest it
    meets, or at a valley. Medians over rays stand those that run into a neighbour.
    """
    count = 64
    turn = np.arange(count) + 0.5
    angle, height = np.pi * (1 + 5**0.5) * turn, 1 - 2 * turn / count
    flat = np.sqrt(1 - height**2)
    rays = np.stack([height, flat * np.sin(angle), flat * np.cos(angle)], axis=1)  # evenly over the sphere
    radius = np.arange(0, reach + 3.0, 0.3)
    at = points[:, None, None] + rays[None, :, None] * radius[:, None]
    grey = ndimage.map_coordinates(image, (at / spacing).reshape(-1, 3).T, order=1, mode="nearest")
    grey = grey.reshape(len(points), count, len(radius))
    across = np.abs(ways @ rays.T) < 0.5
    near = radius <= reach

    def over_rays(values: np.ndarray, percent: float) -> np.ndarray:
        values = np.where(across, values, np.nan)
        return np.nan_to_num(np.nanpercentile(values, percent, axis=1), nan=float(np.nanmedian(values)))

    wall = over_rays(grey[..., near].max(axis=2), 35)
    later = np.arange(len(radius)) > grey[..., near].argmax(axis=2)[..., None]
    lowest = over_rays(np.where(later, grey, grey[..., -1:]).min(axis=2), 50)
    fallen = later & (grey < (wall + lowest)[:, None, None] / 2)
    before = np.maximum.accumulate(grey, axis=2)
    behind = ndimage.maximum_filter1d(grey, 6, axis=2, origin=-3)
    deep = np.minimum(before, behind) - grey > 0.15 * (wall - lowest)[:, None, None]
    ended = fallen | (deep & (ndimage.minimum_filter1d(grey, 5, axis=2) == grey))
    length = np.where(ended.any(axis=2), radius[ended.argmax(axis=2)], radius[-1])
    past = (radius >= length[..., None]) & (radius < length[..., None] + 2.0) | (radius == radius[-1])
    around = over_rays(np.nanpercentile(np.where(past, grey, np.nan), 60, axis=2), 50)
    return tuple(_steadied(a) for a in (wall, np.minimum(around, wall - 1e-3), over_rays(length, 50)))


def _steadied(values: np.ndarray) -> np.ndarray:
    return ndimage.median_filter(values, 5, mode="nearest") if len(values) > 5 else values


def _local_mean(image: np.ndarray, mask: np.ndarray, sigma: np.ndarray, default: np.ndarray) -> np.ndarray:
    """Blurred mean of the image within the mask; `default` far from it."""
    weight = ndimage.gaussian_filter(mask.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(mask, image, 0).astype(np.float32), sigma)
    return (total + 0.03 * default) / (weight + 0.03)


def _ball(radius: float, spacing: np.ndarray) -> np.ndarray:
    half = np.maximum(np.round(radius / spacing), 1).astype(int)
    place = np.meshgrid(*[np.arange(-n, n + 1) * s for n, s in zip(half, spacing, strict=True)], indexing="ij")
    return np.linalg.norm(place, axis=0) <= radius + 0.01


def _pairs(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Index of all voxels with a neighbour along an axis, and of these neighbours."""
    first, second = [slice(None)] * 3, [slice(None)] * 3
    first[axis], second[axis] = slice(None, -1), slice(1, None)
    return tuple(first), tuple(second)


def _conductances(grey: np.ndarray, valley: np.ndarray, settings: GrowSettings) -> list[np.ndarray]:
    """How easily one walks from each voxel to the next along the three axes."""
    weights = []
    for axis in range(3):
        a, b = _pairs(axis)
        hindrance = settings.edge * np.abs(grey[a] - grey[b]) + settings.valley * np.maximum(valley[a], valley[b])
        weights.append(np.exp(-hindrance) + 1e-3)
    return weights


def _solved(weights, belief, nodes, sure, start) -> np.ndarray:
    """Random walk with priors: the chance to end in the tooth, where each voxel also may stop by its own belief.

    Minimises the sum of w (x_i - x_j)² over neighbours and |belief| (x - [belief > 0])² over nodes; x is 1 where `sure`
    and 0 elsewhere outside the nodes.

    References
    ----------
    Grady: Multilabel random walker image segmentation using prior models (CVPR 2005, doi 10.1109/CVPR.2005.239).
    """
    count = int(nodes.sum())
    number = np.full(nodes.shape, -1)
    number[nodes] = np.arange(count)
    own = belief[nodes]
    diagonal, right = np.abs(own) + 1e-4, np.maximum(own, 0)
    rows, columns, values = [], [], []
    for axis, weight in enumerate(weights):
        pair = _pairs(axis)
        for a, b in (pair, pair[::-1]):
            here, there = number[a], number[b]
            chosen = here >= 0
            diagonal = diagonal + np.bincount(here[chosen], weight[chosen], count)
            right = right + np.bincount(here[chosen], (weight * sure[b])[chosen], count)
            chosen &= there >= 0
            rows.append(here[chosen])
            columns.append(there[chosen])
            values.append(-weight[chosen])
    matrix = sparse.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (count, count)
    ) + sparse.diags(diagonal)
    guess = None if start is None else start[nodes]
    share = sure.astype(float)
    share[nodes] = cg(matrix, right, x0=guess, rtol=2e-3, maxiter=200, M=sparse.diags(1 / diagonal))[0]
    return share
