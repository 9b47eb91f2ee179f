"""Self-intersections of a mesh: all pairs of triangles that meet beyond shared corners and edges.

A grid of cells finds the pairs with overlapping boxes; each of these is tested in double precision, except pairs that meet at a
smooth vertex. A corner nearer to a plane than about 1e-14 mm counts as lying in it, which is a billionth of the resolution of
coordinates in files (single precision).

In this module, triangles are arrays (3 corners, 3 coordinates, N) and vectors (3, N), because numpy is slow along short rows.

Own code: PyMeshLab has the same function, but is under the GPL; VTK's filters intersect two meshes, not a mesh with itself.

References
----------
Möller T, Trumbore B. Fast, minimum storage ray/triangle intersection. JGT 1997.
Ericson C. Real-time collision detection. 2005: 5.2.1 (separating axes), 7.1.6 (a pair that shares several cells).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np

from .triangles import corners, cross, dot

_ROUNDING = 1e-14
_CELL = 2.5  # mean sizes of a triangle's box
_FRONT = 0.1  # cosine of the angle to the viewing direction from which a face certainly shows its front
_MANY = 1_000_000  # pairs tested at once, to bound the memory


def self_intersections(vertices: np.ndarray, faces: np.ndarray, smooth: np.ndarray | None = None) -> np.ndarray:
    """Pairs (N, 2) of faces that intersect, touch or cover each other beyond shared corners and edges; each pair once.

    Parameters
    ----------
    vertices : ndarray, shape (V, 3)
        In mm. Points at the same place must be one vertex, see `mesh_quality.check_mesh`.
    faces : ndarray of int, shape (F, 3)
        Triangles with three distinct corners.
    smooth : ndarray of bool, shape (V,), optional
        `smooth_vertices` of the mesh, if known.
    """
    if len(faces) < 2:
        return np.zeros((0, 2), np.int64)
    smooth = smooth_vertices(vertices, faces) if smooth is None else smooth
    # Near the origin, where doubles are finest.
    points, ends = np.ascontiguousarray((vertices - vertices.mean(axis=0)).T), np.ascontiguousarray(faces.T)
    found = [_crossing(points, ends, smooth, *pairs) for pairs in _near(corners(points.T, faces))]
    return np.concatenate([np.zeros((0, 2), np.int64), *found])


def cross_each_other(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether any of the triangles (3, 3, N) meets any of the other triangles (3, 3, M)."""
    both = np.concatenate([one, two], axis=2)
    both = both - both.mean(axis=(0, 2))[:, None]
    for pairs in _near(both):
        a, b = pairs[:, (pairs[0] < one.shape[2]) != (pairs[1] < one.shape[2])]
        if len(_meet(both[..., a], both[..., b], 0)):
            return True
    return False


def smooth_vertices(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Smooth vertices (V,): from some direction all their faces show the front, and go around the vertex once."""
    size = len(vertices)
    ends = np.ascontiguousarray(faces.T, dtype=np.int64)
    there, back = ends * size + ends[[1, 2, 0]], ends[[1, 2, 0]] * size + ends
    if not len(faces) or not np.array_equal(np.sort(there, axis=None), np.sort(back, axis=None)):
        return np.zeros(size, bool)  # the mesh is open, or its faces are not oriented alike
    triangles = corners(vertices, faces)
    area = cross(triangles[1] - triangles[0], triangles[2] - triangles[0])
    normal = area / np.maximum(np.sqrt(dot(area, area)), 1e-300)
    view: np.ndarray = np.stack([np.bincount(ends.ravel(), np.tile(part, 3), size) for part in normal])
    view /= np.maximum(np.sqrt(dot(view, view)), 1e-300)
    hidden, turn = np.zeros(size), np.zeros(size)
    for number, corner in enumerate(ends):
        along = np.take(view, corner, axis=1)
        one, two = triangles[(number + 1) % 3] - triangles[number], triangles[(number + 2) % 3] - triangles[number]
        hidden += np.bincount(corner, dot(normal, along) < _FRONT, size)
        angle = np.arctan2(dot(area, along), dot(one, two) - dot(one, along) * dot(two, along))
        turn += np.bincount(corner, angle, size)
    return (hidden == 0) & (np.abs(turn - 2 * np.pi) < 1)


def _near(triangles: np.ndarray) -> Iterator[np.ndarray]:
    """Batches (2, N) of pairs of triangles whose boxes overlap, each pair once."""
    low, high = np.minimum.reduce(triangles), np.maximum.reduce(triangles)
    cell = max(_CELL * float((high - low).mean()), 1e-6)
    first, last = (np.floor((end - low.min(axis=1)[:, None]) / cell).astype(np.int64) for end in (low, high))

    # One entry for every cell that a box overlaps.
    span, size = last - first + 1, last.max(axis=1) + 1
    cells = span[0] * span[1] * span[2]
    face = np.repeat(np.arange(len(cells)), cells)
    step: np.ndarray = np.arange(len(face)) - np.repeat(np.cumsum(cells) - cells, cells)
    key: np.ndarray = np.zeros(len(face), np.int64)
    begins: np.ndarray = np.zeros(len(face), np.uint8)
    for axis in range(3):
        step, further = np.divmod(step, span[axis][face])
        key = key * size[axis] + first[axis][face] + further
        begins |= (further == 0).astype(np.uint8) << axis
    order = np.argsort(key, kind="stable")
    key, face, begins = key[order], face[order], begins[order]
    low, high = (end.astype(np.float32)[:, face] for end in (low, high))  # as the files have them

    batch, size = [np.zeros((2, 0), np.int64)], 0
    one: np.ndarray = np.arange(len(key))
    for ahead in count(1):
        # Entry n of a cell pairs with the entries after it.
        one = one[: np.searchsorted(one, len(key) - ahead)]
        one = one[key[one] == key[one + ahead]]
        if not len(one) or size > _MANY:
            yield np.concatenate(batch, axis=1)
            batch, size = batch[:1], 0
        if not len(one):
            return
        # Of the cells that both boxes overlap, the first one counts.
        pairs = one[begins[one] | begins[one + ahead] == 7] + np.array([[0], [ahead]])
        for axis in range(3):
            a, b = pairs
            pairs = pairs[:, (low[axis][a] <= high[axis][b]) & (low[axis][b] <= high[axis][a])]
        batch.append(face[pairs])
        size += pairs.shape[1]


def _crossing(points: np.ndarray, ends: np.ndarray, smooth: np.ndarray, one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """The pairs (N, 2) of faces that meet beyond shared corners and edges."""
    pairs = [[face[which] for face in ends] for which in (one, two)]
    shared, beside = np.zeros(len(one), np.uint8), np.zeros(len(one), bool)
    for a in pairs[0]:
        smooth_here = smooth[a]
        for b in pairs[1]:
            same = a == b
            shared += same
            beside |= same & smooth_here
    bad = [np.flatnonzero(shared == 3)]  # two faces on the same corners
    for number in range(3):
        rows = np.flatnonzero((shared == number) & ~beside)
        a, b = (np.stack([corner[rows] for corner in face]) for face in pairs)
        if number:
            # Corner 0 becomes the shared one, or the one that is not shared.
            a, b = (_turned(own, other, number == 1) for own, other in ((a, b), (b, a)))
        a, b = (np.stack([np.take(points, corner, axis=1) for corner in face]) for face in (a, b))
        bad.append(rows[_folded(a, b) if number == 2 else _meet(a, b, number)])
    rows = np.concatenate(bad)
    return np.stack([one[rows], two[rows]], axis=1)


def _turned(own: np.ndarray, other: np.ndarray, shared: bool) -> np.ndarray:
    """Faces (3, N), rotated to start with the corner that is shared, or is not shared, with the other faces."""
    is_first = [((corner == other[0]) | (corner == other[1]) | (corner == other[2])) == shared for corner in own]
    return np.where(is_first[0], own, np.where(is_first[1], own[[1, 2, 0]], own[[2, 0, 1]]))


def _sides(triangles: np.ndarray, points: np.ndarray) -> np.ndarray:
    """On which side (-1, 0 in it, 1) of the planes of triangles points (P, 3, N) lie; (P, N)."""
    edge, other = triangles[1] - triangles[0], triangles[2] - triangles[0]
    normal, scale = cross(edge, other), dot(edge, edge) * dot(other, other)
    # The bound on the rounding of a determinant is a multiple of the product of its columns' lengths.
    return np.stack([_sign(dot(normal, away), scale * dot(away, away)) for away in points - triangles[0]])


def _meet(a: np.ndarray, b: np.ndarray, shared: int) -> np.ndarray:
    """Indices of the pairs of triangles with no shared corner, or corner 0 shared, that meet anywhere else."""
    rows = np.arange(a.shape[2])
    for one, two in ((a, b), (b, a)):  # all corners on one side of the other's plane
        sides = _sides(one[..., rows], two[shared:][..., rows])
        rows = rows[np.abs(sides.sum(axis=0)) < 3 - shared]
    a, b = a[..., rows], b[..., rows]
    side_a, side_b = _sides(b, a), _sides(a, b)
    hit = np.zeros(len(rows), bool)
    for ends in ([1, 2],) if shared else ([0, 1], [1, 2], [2, 0]):
        hit |= _pierces(b[ends], side_b[ends], a) | _pierces(a[ends], side_a[ends], b)
    flat = ~side_b.any(axis=0)
    hit[flat] = (_flat_sectors if shared else _flat_overlap)(*_in_plane(a[..., flat], b[..., flat]))
    return rows[hit]


def _folded(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Indices of the pairs of triangles that share all corners but corner 0 and lie on each other."""
    flat = np.flatnonzero(_sides(a, b[:1])[0] == 0)
    a, b = a[..., flat], b[..., flat]
    edge = a[2] - a[1]
    return flat[dot(cross(edge, a[0] - a[1]), cross(edge, b[0] - a[1])) > 0]


def _pierces(ends: np.ndarray, sides: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Whether segments (2, 3, N), whose ends lie on the given sides of the triangles' planes, meet the triangles."""
    rows = np.flatnonzero((sides[0] * sides[1] <= 0) & (sides[0] != sides[1]))
    way, corners = (ends[1] - ends[0])[:, rows], (triangles - ends[0])[..., rows]
    lengths = dot(way, way)
    turns = np.stack(
        [
            _sign(dot(way, cross(one, two)), lengths * dot(one, one) * dot(two, two))
            for one, two in zip(corners, corners[[1, 2, 0]], strict=True)
        ]
    )
    result = np.zeros(ends.shape[2], bool)
    result[rows] = (turns >= 0).all(axis=0) | (turns <= 0).all(axis=0)
    return result


def _sign(volume: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Sign of determinants, whose columns' squared lengths have the product `scale`; 0 within rounding."""
    return np.where(volume * volume <= _ROUNDING**2 * scale, 0, np.sign(volume)).astype(np.int8)


def _in_plane(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both triangles of each pair, projected to the two axes (3, 2, N) in which their common plane is widest."""
    normal = np.abs(cross(a[1] - a[0], a[2] - a[0]))
    kept = np.array([[1, 2], [2, 0], [0, 1]]).T[:, normal.argmax(axis=0)][None]
    return np.take_along_axis(a, kept, axis=1), np.take_along_axis(b, kept, axis=1)


def _flat_overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether triangles (3, 2, N) have a common point: no edge separates them."""
    apart = np.zeros(a.shape[2], bool)
    for one, two in ((a, b), (b, a)):
        for corner in range(3):
            edge = one[(corner + 1) % 3] - one[corner]
            own = _turn(edge, one[(corner + 2) % 3] - one[corner])
            apart |= np.all([_turn(edge, other - one[corner]) * own < 0 for other in two], axis=0)
    return ~apart


def _flat_sectors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether triangles (3, 2, N) that share corner 0 overlap beyond it or an edge."""
    rays = []
    for one in (a, b):
        first, second = one[1] - one[0], one[2] - one[0]
        flip = _turn(first, second) < 0
        rays.append((np.where(flip, second, first), np.where(flip, first, second)))
    (a1, a2), (b1, b2) = rays
    return ((_turn(a1, b1) >= 0) & (_turn(b1, a2) > 0)) | ((_turn(b1, a1) >= 0) & (_turn(a1, b2) > 0))


def _turn(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1 if second lies to the left of first, -1 to the right, 0 along it; vectors (2, N)."""
    area = first[0] * second[1] - first[1] * second[0]
    return _sign(area, (first**2).sum(axis=0) * (second**2).sum(axis=0))
