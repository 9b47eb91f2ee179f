"""A whole tooth from one to three clicks in it: a usual tooth of its kind, posed by the clicks and fitted to the edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from ..anatomy import tooth
from ..boxes import Index, bounding_box, union, widened
from ..errors import ToothError
from ..tooth_sizes import ToothSize, usual_size
from .edit import Edit, check_number, tooth_box, voxels_in
from .morphology import Spacing, largest_piece
from .tooth_model import Pose, SurfacePoints, tooth_axes

_GRID = 0.4  # mm: finer scans are averaged to boxes of at most this
_CLICK = 0.8  # mm: radius of a click
_CORE = 1.6  # mm: this near to the clicks, and the lines between them, voxels brighter than tooth are a filling
_STEP = 0.2  # mm: from sample to sample of a ray across the surface
_REACH = np.arange(-12, 13) * _STEP
_INNER, _OUTER = (_REACH > -1.3) & (_REACH < -0.1), (_REACH > 0.1) & (_REACH < 1.5)
# Where careful users click, in parts of the tooth's length from the cusps: in the crown (by position, as cusps and edges
# differ), in the middle of a root, near its tip.
_CROWN = (0.34, 0.32, 0.28, 0.21, 0.20, 0.27, 0.26, 0.26)
_ROOT, _TIP = 0.57, 0.80


@dataclass(frozen=True)
class GrowSettings:
    """Lengths in mm, angles in radians; the values were chosen on simulated scans (seeds 942, 970-974) and a real one."""

    top: float = 1.5  # grey values above this part of the way from soft to hard tissue (enamel, fillings) are capped
    metal: float = 2.5  # metal, so many contrasts brighter than soft tissue, says nothing about the wall beside it
    edge: float = 1.5  # weight of a fall of the grey value, in parts of the contrast
    region: float = 0.4  # weight of a millimetre of tooth-like grey, if tooth and surroundings differ ...
    apart: float = 0.6  # ... by this part of the contrast
    temperature: float = 0.35  # of scores: smaller differences do not count
    agree: float = 1.0  # over this distance points of the surface look together
    samples: float = 80.0  # so many points of the surface count as independent
    error: float = 0.35  # of where a point sees the wall
    shift: tuple[float, float, float] = (1.2, 1.2, 2.0)  # usual errors of the first pose along the tooth's axes
    turn: tuple[float, float, float] = (0.12, 0.12, 0.2)
    whole: float = 0.06  # spread of the logarithm of a tooth's size as a whole
    aside: float = 0.5  # how far clicks lie beside the middle of crown or root ...
    height: float = 2.0  # ... and above or below where they should be
    near: float = 0.2  # weight that a wall loses for each square millimetre that it lies off the fitted one
    passes: int = 16
    free: float = 1.2  # at last the wall leaves the model's by up to this
    firm: float = 0.8  # cost of leaving it, for a square millimetre ...
    smooth: float = 1.0  # ... and to leave one's neighbours


_DEFAULTS = GrowSettings()


def grow_tooth(
    labels: np.ndarray,
    image: np.ndarray,
    spacing: Spacing,
    fdi: int,
    inside: Sequence[Index],
    outside: Sequence[Index] = (),
    direction: np.ndarray | None = None,
) -> Edit:
    """Grow a whole tooth from clicks or a stroke in it.

    The tooth's earlier voxels are replaced, so that a further click, inside or outside, corrects the last growth. Other
    teeth keep their voxels, and the tooth stops at them.

    Parameters
    ----------
    labels, image : ndarray, shape (Z, Y, X)
        FDI numbers (uint8), and the scan in any grey values.
    spacing : (float, float, float)
        Voxel size (z, y, x) in mm.
    fdi : int
        Number of the tooth; tells which shape it has.
    inside : sequence of (z, y, x)
        Clicks in the tooth: first the middle of the crown, then the middle of each root; in a single root also near its
        tip.
    outside : sequence of (z, y, x)
        Clicks that are not tooth, where it grew too far.
    direction : ndarray, shape (3, 3), optional
        Of the scan, as in `volume.Volume`: tells where the tooth's distal side is. Without it the scan's x, y and z are
        taken to run to the patient's left, back and head.

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
        raise ToothError("Tooth {fdi} needs a click to grow from: click in the middle of its crown.", fdi=fdi)
    whole = (slice(0, 0),) * 3
    clicks = voxels_in(whole, inside, labels.shape)
    for click in clicks:
        here = int(labels[tuple(click)])
        if here not in (0, fdi):
            raise ToothError(
                "The click lies in tooth {here}: click in free space, or correct tooth {here} first.", here=here
            )
    clicks = _thinned(clicks, np.asarray(spacing))
    seeds = tuple(slice(int(low), int(high) + 1) for low, high in zip(clicks.min(0), clicks.max(0), strict=True))
    size = usual_size(fdi)
    box = widened(seeds, 10.0 if len(clicks) > 1 else 0.8 * size.length, spacing, labels.shape)
    around = labels[box]
    first = np.array([side.start for side in box])
    anti = voxels_in(box, outside, labels.shape)
    anti = anti[((anti >= 0) & (anti < np.array(around.shape))).all(axis=1)]
    factor = np.maximum((_GRID / np.asarray(spacing)).astype(int), 1)
    depth = _grow(
        _reduced(image[box], factor),
        _reduced((around != 0) & (around != fdi), factor) > 0.5,
        np.asarray(spacing) * factor,
        fdi,
        ((clicks - first) / factor - (factor - 1) / 2 / factor) * np.asarray(spacing) * factor,
        (anti / factor - (factor - 1) / 2 / factor) * np.asarray(spacing) * factor,
        np.eye(3) if direction is None else np.asarray(direction, float),
    )
    mask = (_enlarged(depth, factor, around.shape) > 0) & ((around == 0) | (around == fdi))
    mask = largest_piece(mask)
    if not mask.any():
        raise ToothError(
            "Nothing like a tooth is around these clicks: click in the bright middle of tooth {fdi}.", fdi=fdi
        )
    previous = bounding_box(labels == fdi)
    full = box if previous is None else union([box, previous])
    content = labels[full].copy()
    content[content == fdi] = 0
    inner = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, full, strict=True))
    content[inner][mask] = fdi
    return Edit(full, content)


def regrow_tooth(
    labels: np.ndarray,
    image: np.ndarray,
    spacing: Spacing,
    fdi: int,
    seeds: Sequence[Index],
    direction: np.ndarray | None = None,
) -> Edit:
    """Throw a tooth's voxels away and grow it anew from clicks; as `grow_tooth`, but the tooth must be there.

    Raises
    ------
    UsageError
        As `grow_tooth`, and if the tooth is not there.
    """
    tooth_box(labels, fdi)
    return grow_tooth(labels, image, spacing, fdi, seeds, direction=direction)


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


def _enlarged(array: np.ndarray, factor: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The opposite of `_reduced`, linear."""
    if (factor == 1).all():
        return array
    matrix = 1 / factor
    return ndimage.affine_transform(
        array, matrix, -(factor - 1) / 2 / factor, output_shape=shape, order=1, mode="nearest"
    )


def _grow(
    image: np.ndarray,
    barred: np.ndarray,
    spacing: np.ndarray,
    fdi: int,
    clicks: np.ndarray,
    outside: np.ndarray,
    direction: np.ndarray,
    settings: GrowSettings = _DEFAULTS,
) -> np.ndarray:
    """Approximate depth of each voxel (Z, Y, X) within the tooth, in mm; clicks (N, 3) in mm along (z, y, x).

    `barred` is true where other teeth are.
    """
    place = np.stack(np.meshgrid(*map(np.multiply, map(np.arange, image.shape), spacing), indexing="ij"), axis=-1)
    far = np.inf if len(outside) else 2 * _CLICK
    to_click = cKDTree(clicks).query(place.reshape(-1, 3), distance_upper_bound=far)[0].reshape(image.shape)
    if len(outside):
        to_outside = cKDTree(outside).query(place.reshape(-1, 3))[0].reshape(image.shape)
        barred = barred | (to_outside < _CLICK) | (to_outside < 0.6 * to_click)
    scene = _Scene(image, barred, place, spacing, clicks, usual_size(fdi), settings)
    first, heights = _first_pose(scene, fdi, clicks, direction)
    levels = _levels(scene, first, fdi, clicks)
    pose = _fitted(scene, first, levels, clicks, heights, settings)
    depth = np.where(barred, -1.0, _freed(scene, pose, levels, place, settings))
    return np.where((to_click < _CLICK) & ~barred, np.maximum(depth, 0.3), depth).astype(np.float32)


class _Scene:
    """The image for rays: grey values from 0 (soft tissue) to 1 (hard tissue near the clicks), metal, other teeth."""

    def __init__(self, image, barred, place, spacing, clicks, size: ToothSize, settings: GrowSettings):
        self.spacing = spacing
        blurred = ndimage.gaussian_filter(image.astype(np.float32), 0.25 / spacing)
        spine = np.concatenate([np.linspace(clicks[0], click, 20) for click in clicks])
        reach = 0.9 * max(size.width, size.depth) + 1
        apart = cKDTree(spine).query(place.reshape(-1, 3), distance_upper_bound=reach)[0].reshape(image.shape)
        soft = np.percentile(blurred[(apart < reach) & ~barred], 20)
        hard = np.array([self._level(blurred, ((place - click) ** 2).sum(axis=-1), barred, soft) for click in clicks])
        contrast = max(float(np.median(hard)) - soft, 1e-3)
        grey = np.minimum((blurred - soft) / contrast, 2 * settings.metal)
        core = apart < _CORE
        grey[core] = np.minimum(grey[core], 1)
        self.metal = ndimage.binary_dilation(grey > settings.metal).astype(np.float32)
        self.grey = np.minimum(grey, settings.top)
        self.hard = np.minimum((hard - soft) / contrast, settings.top)
        self.barred = barred.astype(np.float32)

    @staticmethod
    def _level(blurred, squared, barred, soft) -> float:
        """Grey value of the tooth around a click, which may be in the dark pulp or in a bright root filling."""
        ball, shell = (squared < 1.8**2) & ~barred, (squared > 0.8**2) & (squared < 2.0**2) & ~barred
        if not ball.any() or not shell.any():
            return soft
        median = np.median(blurred[shell])
        near = blurred[ball]
        plain = near[near - soft < 1.5 * max(median - soft, 0.0)]  # without filling and enamel
        return np.percentile(plain, 75) if len(plain) > 0.3 * len(near) else np.percentile(near, 75)

    def along(self, values: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Values of an array at points (..., 3) in mm."""
        at = (points / self.spacing).reshape(-1, 3).T
        return ndimage.map_coordinates(values, at, order=1, mode="nearest").reshape(points.shape[:-1])


def _first_pose(scene: _Scene, fdi: int, clicks: np.ndarray, direction: np.ndarray) -> tuple[Pose, list[float]]:
    """A usual tooth whose crown is at the first click and whose roots are at the others; and the height of each click."""
    others = clicks[1:] if len(clicks) > 1 else _root_of(clicks[0], scene.grey, scene.spacing, usual_size(fdi))[None]
    apical = others.mean(axis=0) - clicks[0]
    pose = Pose.usual(fdi, clicks[0], tooth_axes(fdi, apical / np.linalg.norm(apical), direction))
    along = _crown(fdi) + (clicks - clicks[0]) @ pose.axes[:, 2] / pose.model.size[2]
    heights = along.tolist() if len(clicks) > 3 else [_crown(fdi), _ROOT, _ROOT][: len(clicks)]
    if len(clicks) == 3 and along[2] - along[1] > 0.12:
        heights[2] = _TIP
    crown = _on_axis(pose, heights[0])
    if len(clicks) > 1:
        # Which click is in which root is not known: the tooth that need not be turned much about its axis to fit.
        distal = 4.0 * pose.axes[:, 0]
        rotations = []
        for roots in product(*(pose.roots(height) for height in heights[1:])):
            usual = pose.place(np.array(roots)) - pose.place(crown)
            turn, error = Rotation.align_vectors([*others - clicks[0], distal], [*usual, distal])
            rotations.append((error, turn.as_matrix()))
        pose = replace(pose, axes=min(rotations, key=lambda found: found[0])[1] @ pose.axes)
    return replace(pose, origin=pose.origin + clicks[0] - pose.place(crown)), heights


def _crown(fdi: int) -> float:
    one = tooth(fdi)
    return _CROWN[one.position - 1 + 2 * (one.deciduous and one.position > 3)]


def _on_axis(pose: Pose, height: float) -> np.ndarray:
    """A point of the tooth's own axis, in parts of its length from the cusps."""
    return np.array([0.0, 0.0, height * pose.model.size[2]])


def _levels(scene: _Scene, pose: Pose, fdi: int, clicks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights in mm from the cusps, ascending, and how bright the tooth is there, as far as clicks tell."""
    height = _crown(fdi) * pose.model.size[2] + (clicks - clicks[0]) @ pose.axes[:, 2]
    order = np.argsort(height)
    return height[order], scene.hard[order]


def _fitted(
    scene: _Scene, first: Pose, levels, clicks: np.ndarray, heights: list[float], settings: GrowSettings
) -> Pose:
    """Pose, size and shape that fit clicks, edges and the usual shape best: regularised Gauss-Newton steps.

    References
    ----------
    Cootes et al.: Active shape models (CVIU 1995, doi 10.1006/cviu.1995.1004), here on a signed distance.
    """
    stiff = np.zeros((9 + len(first.weights),) * 2)
    stiff[:3, :3] = first.axes @ np.diag(1 / np.square(settings.shift)) @ first.axes.T
    stiff[3:6, 3:6] = first.axes @ np.diag(1 / np.square(settings.turn)) @ first.axes.T
    stiff[6:9, 6:9] = np.linalg.inv(first.model.spread + settings.whole**2 + 0.02**2 * np.eye(3))
    stiff[9:, 9:] = np.eye(len(first.weights))

    pose = first
    for iteration in range(settings.passes):
        surface = pose.surface(3)
        beside, share = _neighbours(surface, settings.agree)
        score = _wall_scores(scene, surface, levels, beside, share, settings, iteration < 3)
        score = score - settings.near * _REACH**2 - 9 * (np.abs(_REACH) > (2.4 if iteration < 5 else 1.6) + 0.01)
        likelihood = np.exp((score - score.max(axis=1, keepdims=True)) / settings.temperature)
        likelihood /= likelihood.sum(axis=1, keepdims=True)
        offset = likelihood @ _REACH
        variance = likelihood @ _REACH**2 - offset**2
        weight = settings.samples / len(offset) / (settings.error**2 + 2 * variance)
        rows, offsets, weights = _pull_of_clicks(pose, clicks, heights, settings)
        rows, offsets = np.concatenate([surface.moves, rows]), np.concatenate([offset, offsets])
        weighted = rows * np.concatenate([weight, weights])[:, None]
        pull = weighted.T @ offsets - stiff @ pose.since(first)
        pose = pose.moved(np.linalg.solve(weighted.T @ rows + stiff, pull))
    return pose


def _pull_of_clicks(pose: Pose, clicks, heights, settings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clicks are in the middle of crown or root, and at their heights: rows, offsets and weights as of the surface."""
    model, rows, offsets, weights = pose.model, [], [], []

    def pull(own: np.ndarray, axis: int, click: np.ndarray, error: float) -> None:
        line = pose.axes[:, axis]
        rows.append(np.append(pose.moving(own[None], line[None])[0], np.zeros(len(pose.weights))))
        offsets.append((click - pose.place(own)) @ line)
        weights.append(1 / error**2)

    y, x = (
        np.arange(n) * model.spacing + start for n, start in zip(pose.field.shape[1:], model.corner[1::-1], strict=True)
    )
    for click, height in zip(clicks, heights, strict=True):
        pull(_on_axis(pose, height), 2, click, settings.height)
        middle = pose.own(click)
        level = int(np.clip(round((middle[2] - model.corner[2]) / model.spacing), 0, len(pose.field) - 1))
        inside = np.maximum(-pose.field[level], 0) + 1e-6
        for _ in range(6):  # mean shift: the middle of the root that is next
            apart = (x - middle[0]) ** 2 + (y[:, None] - middle[1]) ** 2
            weight = inside * np.exp(-np.minimum(apart / (2 * 1.5**2), 300))
            middle[:2] = np.array([(weight * x).sum(), (weight * y[:, None]).sum()]) / weight.sum()
        for axis in (0, 1):
            pull(middle, axis, click, settings.aside)
    return np.array(rows), np.array(offsets), np.array(weights)


def _neighbours(surface: SurfacePoints, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """For every point the points beside it on the same wall (N, k), and their shares (N, k)."""
    distance, beside = cKDTree(surface.points).query(surface.points, k=24)
    share = np.exp(-0.5 * (distance / reach) ** 2)
    share *= np.clip((surface.normals[beside] * surface.normals[:, None]).sum(axis=-1), 0, 1)
    return beside, share / share.sum(axis=1, keepdims=True)


def _wall_scores(scene, surface, levels, beside, share, settings, rough) -> np.ndarray:
    """How well the wall would be at each reach (N, R) outwards of each point; neighbours look together.

    `rough`: the surface may be far off, so grey values beside it do not tell inside from outside.
    """
    at = surface.points[:, None] + surface.normals[:, None] * _REACH[:, None]
    usual = np.interp(surface.heights, *levels)
    grey = scene.along(scene.grey, at)
    closed = scene.along(scene.barred, at) > 0.5
    if rough:
        inner, outer = usual, grey[:, _OUTER].min(axis=1)
    else:
        inner = (share * grey[:, _INNER].mean(axis=1)[beside]).sum(axis=1)
        inner = np.clip(inner, usual - 0.25, usual + 0.25)
        outer = np.where(closed, usual[:, None] - 1, grey)[:, _OUTER].mean(axis=1)
    outer = np.minimum((share * outer[beside]).sum(axis=1), inner)[:, None]
    inner = inner[:, None]
    membership = np.clip((2 * grey - inner - outer) / np.maximum(inner - outer, 0.3), -1, 1)
    membership = np.where(np.maximum.accumulate(closed & (_REACH > -1), axis=1), -1.5, membership)
    within = np.cumsum(membership, axis=1) * _STEP
    within -= within[:, len(_REACH) // 2, None]
    change = np.gradient(grey, _STEP, axis=1)
    fall, rise = np.clip(-change, 0, 1.5), np.clip(change, 0, 1.5)
    fall[:, :-2] += rise[:, 2:]  # the ligament is a dark line between root and bone
    score = settings.region * np.clip((inner - outer) / settings.apart, 0, 1) ** 2 * within + settings.edge * fall
    score[(scene.along(scene.metal, at[:, 6:19:2]) > 0.5).any(axis=1)] = 0
    return (share[..., None] * score[beside]).sum(axis=1)


def _freed(scene: _Scene, pose: Pose, levels, place: np.ndarray, settings: GrowSettings) -> np.ndarray:
    """Depth in mm at `place` (..., 3) of a tooth whose wall follows the edges beside that of the model."""
    surface = pose.surface()
    beside, share = _neighbours(surface, settings.agree)
    score = _wall_scores(scene, surface, levels, beside, share, settings, False)
    cost = settings.firm * _REACH**2 - score + 9 * (np.abs(_REACH) > settings.free + 0.01)
    offset = np.zeros(len(cost))
    for _ in range(10):
        total = cost + settings.smooth * (_REACH - (share * offset[beside]).sum(axis=1)[:, None]) ** 2
        best = np.clip(total.argmin(axis=1), 1, len(_REACH) - 2)
        before, here, after = (total[np.arange(len(best)), best + side] for side in (-1, 0, 1))
        bow = np.maximum(before - 2 * here + after, 1e-6)
        offset = _REACH[best] + _STEP * np.clip((before - after) / (2 * bow), -0.5, 0.5)  # of a parabola through three
    offset = (share * offset[beside]).sum(axis=1)
    distance = pose.distance(place)
    near = np.abs(distance) < 2.2
    apart, which = cKDTree(surface.points).query(place[near], k=4)
    weight = 1 / (apart + 0.2)
    distance[near] -= (weight * offset[which]).sum(axis=1) / weight.sum(axis=1)
    return -distance


def _sphere(count: int) -> np.ndarray:
    """Directions (count, 3), evenly over the sphere."""
    turn = np.arange(count) + 0.5
    angle, height = np.pi * (1 + 5**0.5) * turn, 1 - 2 * turn / count
    flat = np.sqrt(1 - height**2)
    return np.stack([height, flat * np.sin(angle), flat * np.cos(angle)], axis=1)


def _root_of(click: np.ndarray, image: np.ndarray, spacing: np.ndarray, size: ToothSize) -> np.ndarray:
    """A place in the root for a crown's click: there the tooth goes on the longest way."""
    rays = _sphere(400)
    along = np.arange(0, 0.75 * size.length, 0.4)
    points = click + rays[:, None] * along[:, None]
    grey = ndimage.map_coordinates(image, (points / spacing).reshape(-1, 3).T, order=1, mode="constant")
    grey = grey.reshape(len(rays), -1)
    near = grey[:, along < 3]
    ended = grey < (np.percentile(near, 75) + np.percentile(grey, 15)) / 2
    ended[:, along < 3] = False  # the pulp
    ended[:, -1] = True
    run = along[ended.argmax(axis=1)]
    beside = rays @ rays.T > np.cos(np.radians(20))
    best = ((beside * run).sum(axis=1) / beside.sum(axis=1)).argmax()
    way = (run[beside[best]][:, None] * rays[beside[best]]).sum(axis=0)
    return click + 0.4 * size.length * way / np.linalg.norm(way)
