"""Where a mesh crosses itself: every pair of its triangles that meet other than by the corners and edges they share.

Pairs whose boxes overlap are found by a grid of cells and tested one by one, in double precision; nothing is sampled.
A corner nearer to a plane than about 1e-14 mm counts as lying in it, which is a billionth of what the coordinates of a
file (single precision) can tell apart.

References
----------
Möller T, Trumbore B. Fast, minimum storage ray/triangle intersection. JGT 1997.
Ericson C. Real-time collision detection. 2005: 5.2.1 (separating axes), 7.1.6 (a pair that shares several cells).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

_ROUNDING = 1e-14
_MOST_PAIRS = 4_000_000  # of a batch of cells, so that memory stays bounded


def self_intersections(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Pairs (N, 2) of faces that cross, touch or cover each other beyond what they share; each pair once.

    Parameters
    ----------
    vertices : ndarray, shape (V, 3)
        In mm. Points at the same place should be one, see `checks.check_mesh`.
    faces : ndarray of int, shape (F, 3)
        Triangles with three distinct corners.
    """
    if len(faces) < 2:
        return np.zeros((0, 2), np.int64)
    vertices = vertices - vertices.mean(axis=0)
    found = [_crossing(vertices, faces, pairs) for pairs in _near(vertices[faces])]
    return np.concatenate([np.zeros((0, 2), np.int64), *found])


def _near(corners: np.ndarray):
    """Batches (N, 2) of pairs of triangles (F, 3, 3) whose boxes overlap, each pair once."""
    low, high = corners.min(axis=1), corners.max(axis=1)
    cell = max(float((high - low).mean()) * 1.5, 1e-6)
    first = np.floor((low - low.min(axis=0)) / cell).astype(np.int64)
    last = np.floor((high - low.min(axis=0)) / cell).astype(np.int64)
    size = last.max(axis=0) + 1

    # One entry for every cell that a box reaches into.
    span = last - first + 1
    count = span.prod(axis=1)
    face = np.repeat(np.arange(len(corners)), count)
    step = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    place = [first[face, 2] + step % span[face, 2]]
    step //= span[face, 2]
    place = [first[face, 0] + step // span[face, 1], first[face, 1] + step % span[face, 1], *place]
    key = (place[0] * size[1] + place[1]) * size[2] + place[2]
    order = np.argsort(key, kind="stable")
    key, face = key[order], face[order]
    place = np.stack(place, axis=1)[order]

    starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    members = np.diff(np.append(starts, len(key)))
    # Entry n of a cell pairs with the entries after it.
    partners = np.repeat(starts + members, members) - np.arange(len(key)) - 1
    bounds = np.searchsorted(np.cumsum(partners), np.arange(0, partners.sum() + _MOST_PAIRS, _MOST_PAIRS), side="left")
    bounds = np.unique(np.concatenate([[0], bounds + 1, [len(key)]]).clip(max=len(key)))
    low, high = low.astype(np.float32), high.astype(np.float32)  # as the files have them
    for begin, end in pairwise(bounds):
        some = partners[begin:end]
        one = np.repeat(np.arange(begin, end), some)
        two = one + 1 + np.arange(len(one)) - np.repeat(np.cumsum(some) - some, some)
        a, b, cell_of_pair = face[one], face[two], place[one]
        keep = np.ones(len(a), bool)
        for axis in range(3):
            keep &= (low[a, axis] <= high[b, axis]) & (low[b, axis] <= high[a, axis])
            # Of the cells that both boxes reach into, the first one counts.
            keep &= np.maximum(first[a, axis], first[b, axis]) == cell_of_pair[:, axis]
        yield np.stack([a[keep], b[keep]], axis=1)


def _crossing(vertices: np.ndarray, faces: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Those of the pairs that meet beyond what they share."""
    a, b = faces[pairs[:, 0]], faces[pairs[:, 1]]
    same = a[:, :, None] == b[:, None, :]
    shared = same.sum(axis=(1, 2))
    bad = [pairs[shared == 3]]  # two faces on the same corners

    # Corner 0 becomes the shared one, or the one that is not shared.
    for number, test in ((0, _apart_cross), (1, _fan_cross), (2, _folded)):
        rows = np.flatnonzero(shared == number)
        turned = []
        for one, axis in ((a, 2), (b, 1)):
            hit = same[rows].any(axis=axis)
            turn = (hit if number == 1 else ~hit).argmax(axis=1) if number else np.zeros(len(rows), int)
            turned.append(np.take_along_axis(one[rows], (turn[:, None] + np.arange(3)) % 3, axis=1))
        bad.append(pairs[rows[test(vertices[turned[0]], vertices[turned[1]])]])
    return np.concatenate(bad)


def _sides(triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    """On which side (-1, 0 in it, 1) of the planes of triangles (N, 3, 3) points (N, P, 3) lie."""
    edge, other = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    away = points - triangles[:, :1]
    volume = np.einsum("nx,npx->np", _cross(edge, other), away)
    # The bound on the rounding of a determinant is a multiple of the product of its columns' lengths.
    scale = np.sqrt(np.einsum("nx,nx->n", edge, edge) * np.einsum("nx,nx->n", other, other))
    limit = _ROUNDING * scale[:, None] * np.sqrt(np.einsum("npx,npx->np", away, away))
    return np.where(np.abs(volume) <= limit, 0, np.sign(volume)).astype(np.int8)


def _apart_cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether triangles (N, 3, 3) without a common corner meet."""
    result = np.zeros(len(a), bool)
    side_b = _sides(a, b)
    rows = np.flatnonzero(np.abs(side_b.sum(axis=1)) < 3)
    side_a = _sides(b[rows], a[rows])
    keep = np.abs(side_a.sum(axis=1)) < 3
    rows, side_a = rows[keep], side_a[keep]
    a, b, side_b = a[rows], b[rows], side_b[rows]
    flat = ~side_b.any(axis=1)
    hit = np.zeros(len(rows), bool)
    for corner in range(3):
        ends = [corner, (corner + 1) % 3]
        hit |= _pierces(b[:, ends], side_b[:, ends], a)
        hit |= _pierces(a[:, ends], side_a[:, ends], b)
    hit[flat] = _flat_overlap(a[flat], b[flat])
    result[rows] = hit
    return result


def _fan_cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether triangles (N, 3, 3) that share their corner 0 meet anywhere else."""
    result = np.zeros(len(a), bool)
    side_b = _sides(a, b[:, 1:])
    rows = np.flatnonzero(np.abs(side_b.sum(axis=1)) < 2)
    side_a = _sides(b[rows], a[rows, 1:])
    keep = np.abs(side_a.sum(axis=1)) < 2
    rows, side_a = rows[keep], side_a[keep]
    a, b, side_b = a[rows], b[rows], side_b[rows]
    flat = ~side_b.any(axis=1)
    hit = _pierces(b[:, 1:], side_b, a) | _pierces(a[:, 1:], side_a, b)
    hit[flat] = _flat_sectors(a[flat], b[flat])
    result[rows] = hit
    return result


def _folded(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether triangles (N, 3, 3) that share all but their corner 0 lie on each other."""
    flat = _sides(a, b[:, :1])[:, 0] == 0
    edge = a[:, 2] - a[:, 1]
    across = [_cross(edge, one[:, 0] - one[:, 1]) for one in (a, b)]
    return flat & (np.einsum("nx,nx->n", *across) > 0)


def _pierces(ends: np.ndarray, sides: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Whether segments (N, 2, 3), whose ends lie on the given sides of the triangles' planes, meet the triangles."""
    rows = np.flatnonzero((sides[:, 0] * sides[:, 1] <= 0) & (sides[:, 0] != sides[:, 1]))
    way, corners = ends[rows, 1] - ends[rows, 0], triangles[rows] - ends[rows, :1]
    turns = np.zeros((3, len(rows)), np.int8)
    for corner in range(3):
        one, two = corners[:, corner], corners[:, (corner + 1) % 3]
        turns[corner] = _sign(np.einsum("nx,nx->n", way, _cross(one, two)), way, one, two)
    result = np.zeros(len(ends), bool)
    result[rows] = (turns >= 0).all(axis=0) | (turns <= 0).all(axis=0)
    return result


def _sign(volume: np.ndarray, *columns: np.ndarray) -> np.ndarray:
    scale = np.prod([np.einsum("nx,nx->n", column, column) for column in columns], axis=0)
    return np.where(np.abs(volume) <= _ROUNDING * np.sqrt(scale), 0, np.sign(volume)).astype(np.int8)


def _in_plane(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both triangles of each pair (N, 3, 3) in the two axes (N, 3, 2) that their common plane is widest in."""
    normal = np.abs(_cross(a[:, 1] - a[:, 0], a[:, 2] - a[:, 0]))
    kept = np.array([[1, 2], [2, 0], [0, 1]])[normal.argmax(axis=1)][:, None]
    return np.take_along_axis(a, kept, axis=2), np.take_along_axis(b, kept, axis=2)


def _flat_overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether triangles (N, 3, 3) in one plane have a point in common: no edge parts them."""
    a, b = _in_plane(a, b)
    apart = np.zeros(len(a), bool)
    for one, two in ((a, b), (b, a)):
        for corner in range(3):
            edge = one[:, (corner + 1) % 3] - one[:, corner]
            own = _turn(edge, one[:, (corner + 2) % 3] - one[:, corner])
            others = np.stack([_turn(edge, two[:, k] - one[:, corner]) for k in range(3)])
            apart |= (others * own < 0).all(axis=0)
    return ~apart


def _flat_sectors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether triangles (N, 3, 3) in one plane that share corner 0 have more in common there than it or an edge."""
    a, b = _in_plane(a, b)
    rays = []
    for one in (a, b):
        first, second = one[:, 1] - one[:, 0], one[:, 2] - one[:, 0]
        flip = (_turn(first, second) < 0)[:, None]
        rays.append((np.where(flip, second, first), np.where(flip, first, second)))
    (a1, a2), (b1, b2) = rays
    return ((_turn(a1, b1) >= 0) & (_turn(b1, a2) > 0)) | ((_turn(b1, a1) >= 0) & (_turn(a1, b2) > 0))


def _turn(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1 if second lies to the left of first, -1 to the right, 0 along it; vectors (N, 2)."""
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    limit = _ROUNDING * np.hypot(*first.T) * np.hypot(*second.T)
    return np.where(np.abs(area) <= limit, 0, np.sign(area))


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products of vectors (N, 3); `np.cross` takes twice as long."""
    result = np.empty(a.shape)
    for x, y, z in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.multiply(a[:, y], b[:, z], out=result[:, x])
        result[:, x] -= a[:, z] * b[:, y]
    return result
