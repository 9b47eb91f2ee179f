"""A whole tooth from one to three clicks in it: tubes along lines through the clicks, whose walls rays look for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..errors import UsageError
from ..tooth_sizes import ToothSize, usual_size
from .edit import Edit, Index, bounding_box, check_number, tooth_box, union, voxels_in, widened
from .shaping import Spacing, enclosing_cuts, largest_piece

_GRID = 0.4  # mm: finer scans are averaged to boxes of at most this
_CLICK = 0.8  # mm: radius of what a click stands for
_ROW, _RAY = 0.5, 0.2  # mm: from one cross-section of a tube to the next, and from sample to sample of a ray
_ANGLES, _CAP = 32, 8  # rays of a cross-section, and steps of the dome over the crown


@dataclass(frozen=True)
class GrowSettings:
    """Lengths in mm; the values were chosen on simulated scans (seeds 900 to 912)."""

    top: float = 1.5  # grey values above this part of the way from soft to hard tissue (metal, fillings) are capped
    pulp: float = 2.4  # dark hollows of the tooth up to this width are filled
    dip: float = 0.12  # a valley along a ray counts from this depth on, in parts of the contrast ...
    dip_width: float = 0.12  # ... and fully when it is this much deeper
    smooth: float = 3.0  # what a change of radius between neighbouring rays costs
    bend: float = 0.4  # changes below this cost less
    edge: float = 3.0  # what a fall of the grey value is worth
    wide: float = 1.0  # from this many usual radii on, shape speaks against tooth ...
    slope: float = 0.25  # ... and more so every so many radii farther out
    passes: int = 4  # from levels to walls and back
    metal: float = 0.6  # so many contrasts brighter than its crown is a bracket, if it lies outside of it
    dark: float = 0.3  # of the way from the darkest around to tooth: what is darker, the pulp apart, is no tooth


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
        Clicks in the tooth: first the middle of the crown, then the middle of each root; in a single root also near its
        tip.
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
    size = usual_size(fdi)
    box = widened(seeds, 10.0 if len(clicks) > 1 else 0.8 * size.length, spacing, labels.shape)
    around = labels[box]
    first = np.array([side.start for side in box])
    anti = voxels_in(box, outside, labels.shape)
    anti = anti[((anti >= 0) & (anti < np.array(around.shape))).all(axis=1)]
    factor = np.maximum((_GRID / np.asarray(spacing)).astype(int), 1)
    depth = _grow(
        _reduced(image[box], factor),
        _reduced((around != 0) & (around != fdi), factor),
        np.asarray(spacing) * factor,
        size,
        (clicks - first) / factor - (factor - 1) / 2 / factor,
        anti / factor - (factor - 1) / 2 / factor,
    )
    mask = (_enlarged(depth, factor, around.shape) > 0) & ((around == 0) | (around == fdi))
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


def _grow(
    image: np.ndarray,
    blocked: np.ndarray,
    spacing: np.ndarray,
    size: ToothSize,
    inside: np.ndarray,
    outside: np.ndarray,
    settings: GrowSettings = _DEFAULTS,
) -> np.ndarray:
    """How deep in the tooth each voxel (Z, Y, X) lies, in mm, about; clicks (N, 3) in voxels of `image`.

    `blocked` is the share of each voxel that other teeth have.
    """
    blurred = ndimage.gaussian_filter(image, 0.25 / spacing)
    place = np.stack(np.meshgrid(*map(np.multiply, map(np.arange, image.shape), spacing), indexing="ij"), axis=-1)
    clicks, outside = inside * spacing, outside * spacing
    barred = blocked > 0.5
    if len(outside):
        to_click, to_outside = (
            cKDTree(c).query(place.reshape(-1, 3))[0].reshape(image.shape) for c in (clicks, outside)
        )
        barred |= (to_outside < _CLICK) | (to_outside < 0.6 * to_click)
    if len(clicks) == 1:
        clicks = np.array([clicks[0], _root_of(clicks[0], blurred, spacing, size)])
    half = max(size.width, size.depth) / 2
    ways = _ways(clicks)
    spines = np.concatenate([_line(way, 0.15 * size.length, 2.0)[1] for way in ways])
    far = 1.8 * half + 1
    distance = cKDTree(spines).query(place.reshape(-1, 3), distance_upper_bound=far)[0].reshape(image.shape)
    # A shell around the spine is tooth, and holds little of a root filling or the pulp.
    shell = (distance > 0.3 * half) & (distance < 0.6 * half)
    dark, soft, hard = np.percentile(image[(distance < far) & ~barred], [10, 30, 88])
    hard = max(hard, np.median(image[shell & ~barred]))
    grey = _evened(
        np.minimum(blurred, soft + settings.top * (hard - soft)), distance, spacing, half, soft, hard, settings
    )

    depth = np.full(image.shape, -np.inf, np.float32)
    for way in ways:
        tube = _Tube(way, size, len(ways) > 1)
        tube.fit(grey, blurred, barred.astype(np.float32), spacing, settings)
        depth = np.maximum(depth, tube.depth(place))
    # A usual tooth's size says nothing where there is clearly no tooth: round a short root, a remnant.
    near = cKDTree(place.reshape(-1, 3)).query_ball_point(clicks[: len(inside)], 1.5)
    bright = min(np.percentile(blurred.ravel()[found], 75) for found in near)
    full = _evened(blurred, distance, spacing, half, dark, bright, settings)
    depth[full < dark + settings.dark * (bright - dark)] = -np.inf
    return np.where((cKDTree(clicks[: len(inside)]).query(place)[0] < _CLICK) & ~barred, np.maximum(depth, 0.3), depth)


def _evened(grey, distance, spacing, half, soft, hard, settings) -> np.ndarray:
    """Grey values in which the pulp, a hollow near the spine, is as bright as what encloses it."""
    size = np.maximum(np.round(settings.pulp / spacing).astype(int) // 2 * 2 + 1, 3)
    filled = np.where(distance < 0.5 * half, ndimage.grey_closing(grey, size=tuple(size)), grey)
    box = bounding_box(distance < 1.4 * half)
    hollow = (enclosing_cuts(grey[box] > (soft + hard) / 2) >= 2) & (distance[box] < 0.75 * half)
    filled[box] = np.where(hollow, np.maximum(filled[box], hard), filled[box])
    return filled


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


def _ways(clicks: np.ndarray) -> list[np.ndarray]:
    """Clicks (N, 3) in mm as ways from the crown, the first click, to the end of each root."""
    clicks = clicks[np.argsort(np.linalg.norm(clicks - clicks[0], axis=1))]
    ways, passed = [], set()
    for last in range(len(clicks) - 1, 0, -1):
        if last in passed:
            continue
        way = [0]
        for other in range(1, last):
            a, b, c = clicks[[way[-1], other, last]]
            if np.linalg.norm(b - a) + np.linalg.norm(c - b) - np.linalg.norm(c - a) < 1.0:  # hardly a detour
                way.append(other)
        passed.update(way)
        ways.append(clicks[[*way, last]])
    return ways


def _line(way: np.ndarray, before: float, after: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where along the way (mm from its first point), points (N, 3), unit tangents (N, 3) of a smooth line through it.

    It goes on straight for `before` and `after` mm beyond the ends.
    """
    passed = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    along = np.arange(-np.floor(before / _ROW) * _ROW, passed[-1] + after, _ROW)
    within = np.clip(along, 0, passed[-1])
    curves = [np.polyfit(passed, way[:, axis], min(len(way) - 1, 2)) for axis in range(3)]
    points = np.stack([np.polyval(curve, within) for curve in curves], axis=1)
    tangents = np.stack([np.polyval(np.polyder(curve), within) for curve in curves], axis=1)
    tangents /= np.linalg.norm(tangents, axis=1)[:, None]
    return along, points + (along - within)[:, None] * tangents, tangents


class _Tube:
    """Crown and one root: a spine, cross-sections along it with a radius in every direction, and a dome over the crown."""

    def __init__(self, way: np.ndarray, size: ToothSize, several: bool):
        self.way, self.several = way, several
        self.half = max(size.width, size.depth) / 2
        self.span = np.linalg.norm(np.diff(way, axis=0), axis=1).sum()
        if len(way) > 2:  # the last click is near the apex, and tells how long this tooth is
            length = 0.3 * size.length + 0.7 * self.span / 0.6
            size = replace(size, root=np.clip(length, 0.75 * size.length, 1.25 * size.length) - size.crown)
        self.size = size
        self.after = np.clip(0.85 * size.length - self.span, 2.0, 10.0)
        self.dome = None  # its height in mm, once known
        self._lay()

    def _lay(self) -> None:
        """Lay the rays, from the crown's click on."""
        self.along, self.points, self.tangents = _line(self.way, 0.0, self.after)
        away = np.eye(3)[np.abs(self.tangents.mean(axis=0)).argmin()]
        first = away - (self.tangents @ away)[:, None] * self.tangents
        self.first = first / np.linalg.norm(first, axis=1)[:, None]
        self.second = np.cross(self.tangents, self.first)
        angle = ((np.arange(_ANGLES) + 0.5) * 2 * np.pi / _ANGLES)[:, None]
        across = self.first[:, None] * np.cos(angle) + self.second[:, None] * np.sin(angle)
        height = (np.arange(_CAP, 0, -1) * np.pi / 2 / _CAP)[:, None, None]
        dome = across[0] * np.cos(height) - self.tangents[0] * np.sin(height)
        self.rays = np.concatenate([dome, across])
        self.starts = np.concatenate([np.repeat(self.points[:1], _CAP, axis=0), self.points])
        # Beyond the last click nothing says yet that there is tooth.
        self.known = np.concatenate([np.ones(_CAP, bool), self.along <= self.span + 0.1])

    def _usual(self) -> np.ndarray:
        """Radius of a usual tooth for every ray; below the neck that was found it has the neck's shape."""
        size, crown, neck = self.size, self.half, 0.85 * self.half
        height = self.along + 0.27 * size.length if self.dome is None else self.along - self.along[0] + self.dome
        root = np.clip((height - size.crown) / size.root, 0, None)
        radius = np.interp(height, [0.6 * size.crown, size.crown + 1], [crown, neck])
        if self.several:
            radius = np.where(root > 0, np.interp(root, [0.15, 0.45], [neck, 0.5 * crown]), radius)
        radius = radius * np.sqrt(np.clip(1 - (root / 1.12) ** 2.2, 0.02, 1))
        if self.dome is None:
            dome = np.full(_CAP, 0.28 * size.length)
        else:
            dome = np.linspace(1.25 * self.dome, crown, _CAP, endpoint=False)
        usual = np.concatenate([dome, radius])[:, None] * np.ones(_ANGLES)
        at_neck = np.abs(root) < 0.15
        if self.dome is not None and at_neck.any() and not self.several:
            found = np.median(self.radius[_CAP:][at_neck], axis=0)
            shape = ndimage.gaussian_filter1d(found, 1.5, mode="wrap") / neck
            below = np.clip((root + 0.1) / 0.2, 0, 1)[:, None]
            usual[_CAP:] *= 1 + below * (np.clip(shape, 0.6, 1.15) - 1)
        return usual

    def fit(
        self, image: np.ndarray, uncapped: np.ndarray, barred: np.ndarray, spacing: np.ndarray, settings: GrowSettings
    ) -> None:
        """Find the radius of all rays; `barred` is 1 where the tooth cannot be."""
        reach = np.arange(0, 1.45 * self.half + 1.5, _RAY)
        for turn in range(settings.passes):
            at = ((self.starts[:, None, None] + self.rays[:, :, None] * reach[:, None]) / spacing).reshape(-1, 3).T
            shape = (*self.rays.shape[:2], len(reach))
            grey = ndimage.map_coordinates(image, at, order=1, mode="nearest").reshape(shape)
            closed = ndimage.map_coordinates(barred, at, order=1, mode="nearest").reshape(shape) > 0.5
            usual = self._usual()[..., None]
            if turn == 0:
                inner, outer, middle, ground = self._first_levels(grey, reach, usual)
            else:
                inner, outer = self._levels(grey, reach, usual, middle, ground)
            contrast = middle - ground
            inner = np.clip(inner, middle - 0.08 * contrast, middle + 0.08 * contrast)
            outer = np.minimum(outer, inner - 0.1 * contrast)
            inner, outer = inner[..., None], outer[..., None]
            belief = np.clip((2 * grey - inner - outer) / (inner - outer), -1, 1)
            dip = _dips(np.minimum(grey, inner + 0.1 * contrast)) / np.maximum(inner - outer, 0.3 * contrast)
            belief = np.minimum(belief, 1.1 - 2 * np.clip((dip - settings.dip) / settings.dip_width, 0, 1))
            belief = belief - np.clip((reach / usual - settings.wide) / settings.slope, 0, 3)
            if turn:
                bright = ndimage.map_coordinates(uncapped, at, order=1, mode="nearest").reshape(shape)
                closed |= self._metal(bright, reach, usual, contrast, settings)
            belief = np.where(np.maximum.accumulate(closed, axis=2), -2, belief)
            fall = np.clip(-np.gradient(grey, _RAY, axis=2) / contrast, 0, 1.5)
            cost = _RAY * (belief / 2 - np.cumsum(belief, axis=2)) - settings.edge * fall
            self.radius = _smooth_wall(cost, reach, settings)
            if turn < settings.passes - 1 and not self.several:
                self._centre()
            if turn == 0:
                self._raise_dome()

    def _metal(self, grey, reach, usual, contrast, settings) -> np.ndarray:
        """Where rays are in a bracket or a wire beside the crown."""
        crown = np.percentile(np.where(reach < usual, grey, -np.inf).max(axis=2), 40, axis=1)
        beside = reach > 0.9 * np.median(self.radius, axis=1)[:, None, None]
        return beside & (grey > (crown + settings.metal * contrast)[:, None, None])

    def _centre(self) -> None:
        """Shift the spine to the middles of its cross-sections; clicks lie in one half of a flat root."""
        angle = (np.arange(_ANGLES) + 0.5) * 2 * np.pi / _ANGLES
        body, turned = self.radius[_CAP:], np.stack([np.cos(angle), np.sin(angle)], axis=1)
        area = np.maximum((body**2).sum(axis=1) / 2, 1e-3)
        shift = body**3 @ turned / 3 / area[:, None]
        known = self.known[_CAP:]
        shift[~known] = shift[np.flatnonzero(known)[-1]]
        shift = np.clip(ndimage.gaussian_filter1d(shift, 1.5 / _ROW, axis=0, mode="nearest"), -1.0, 1.0)
        self.points = self.points + shift[:, :1] * self.first + shift[:, 1:] * self.second
        self.starts = np.concatenate([np.repeat(self.points[:1], _CAP, axis=0), self.points])
        self.radius[_CAP:] = np.maximum(body - shift @ turned.T, 0.3)

    def _extend(self, before: float) -> int:
        """Let the spine begin earlier, by whole rows; returns how many."""
        more = int(before / _ROW)
        steps = np.arange(-more, 0) * _ROW
        self.along = np.concatenate([self.along[0] + steps, self.along])
        self.points = np.concatenate([self.points[0] + steps[:, None] * self.tangents[0], self.points])
        self.tangents, self.first, self.second = (
            np.concatenate([np.repeat(ways[:1], more, axis=0), ways])
            for ways in (self.tangents, self.first, self.second)
        )
        self.rays = np.insert(self.rays, _CAP, np.repeat(self.rays[_CAP][None], more, axis=0), axis=0)
        self.starts = np.concatenate([np.repeat(self.points[:1], _CAP, axis=0), self.points])
        self.known = np.concatenate([np.ones(more, bool), self.known])
        return more

    def _raise_dome(self) -> None:
        """Start the dome close below the top of the crown, so that its rays see the edge or the cusps."""
        top = np.median(self.radius[0])
        self.dome = min(2.5, 0.6 * self.half, top)
        more = self._extend(top - self.dome)
        body = self.radius[_CAP:]
        self.radius = np.concatenate([np.full((_CAP, _ANGLES), self.dome), np.repeat(body[:1], more, axis=0), body])

    def _first_levels(self, grey, reach, usual) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Grey values in and around the tooth for all rays, and one of either for the whole; medians over rays stand
        those that run into a neighbour."""
        within = np.where(reach <= usual, grey, -np.inf)
        wall = np.percentile(within.max(axis=2), 40, axis=1)
        later = np.arange(len(reach)) > within.argmax(axis=2)[..., None]
        low = np.median(np.where(later, grey, grey[..., -1:]).min(axis=2), axis=1)
        rows = np.flatnonzero(self.known)
        wall, low = (
            ndimage.gaussian_filter1d(ndimage.median_filter(a[rows], 5, mode="nearest"), 2 / _ROW, mode="nearest")
            for a in (wall, low)
        )
        ground = float(np.median(low))
        middle = max(float(np.median(wall[_CAP:])), ground + 1e-3)
        wall, low = (np.interp(np.arange(len(grey)), rows, a)[:, None] * np.ones(_ANGLES) for a in (wall, low))
        return wall, low, middle, ground

    def _levels(self, grey, reach, usual, middle, ground) -> tuple[np.ndarray, np.ndarray]:
        """Grey values just inside and outside the wall for all rays, means over some millimetres of it."""
        wall = np.minimum(self.radius[..., None], 1.1 * usual)
        weight = (self.known + 0.05)[:, None]

        def blur(values: np.ndarray) -> np.ndarray:
            return ndimage.gaussian_filter(values * weight, (1 / _ROW, _ANGLES / 8), mode=("nearest", "wrap"))

        def mean(zone: np.ndarray, values: np.ndarray, default: float) -> np.ndarray:
            return (blur((zone * values).sum(axis=2)) + 0.05 * default) / (blur(zone.sum(axis=2)) + 0.05)

        inner = mean((reach > wall - 1.2) & (reach < wall - 0.2), grey, middle)
        outer = mean((reach > wall + 0.2) & (reach < wall + 1.2), np.minimum(grey, inner[..., None]), ground)
        # Where most of the surroundings are bright, as in dense bone, a dark stretch is a chance find.
        most = ndimage.gaussian_filter1d(np.percentile(outer, 65, axis=1), 1 / _ROW, mode="nearest")
        return inner, np.maximum(outer, most[:, None])

    def depth(self, place: np.ndarray) -> np.ndarray:
        """How deep in the tube points (..., 3) in mm lie; below 0 outside."""
        flat = place.reshape(-1, 3)
        distance, row = cKDTree(self.points).query(flat, distance_upper_bound=self.radius.max() + 1.0)
        near = np.isfinite(distance)
        row = row[near]
        off = flat[near] - self.points[row]
        along, first, second = ((off * way[row]).sum(axis=1) for way in (self.tangents, self.first, self.second))
        across = np.hypot(first, second)
        dome = (row == 0) & (along < 0)
        body = _CAP + row + np.clip(along / _ROW, -0.5, 0.5)
        line = np.where(dome, _CAP * (1 - np.arctan2(-along, across) * 2 / np.pi), body)
        angle = np.arctan2(second, first) % (2 * np.pi) / (2 * np.pi) * _ANGLES - 0.5
        around = np.concatenate([self.radius[:, -1:], self.radius, self.radius[:, :1]], axis=1)
        radius = ndimage.map_coordinates(around, [line, angle + 1], order=1, mode="nearest")
        inner = radius - np.where(dome, distance[near], across)
        beyond = (row == len(self.points) - 1) & (along > 0)
        depth = np.full(len(flat), -2.0, np.float32)
        depth[near] = np.where(beyond | (radius < 0.3), -1.0, inner)
        return depth.reshape(place.shape[:-1])


def _dips(grey: np.ndarray) -> np.ndarray:
    """Depth of the deepest valley on the way from the start of each ray (..., R) to each of its points."""
    high = np.maximum.accumulate(grey, axis=-1)
    ends = range(grey.shape[-1])
    return np.stack(
        [(np.minimum(high[..., : k + 1], grey[..., k, None]) - grey[..., : k + 1]).max(axis=-1) for k in ends], axis=-1
    )


def _smooth_wall(cost: np.ndarray, reach: np.ndarray, settings: GrowSettings) -> np.ndarray:
    """The radius of all rays (rows, angles) that costs (rows, angles, R) least, where neighbours should agree.

    References
    ----------
    Hirschmüller: Stereo processing by semiglobal matching and mutual information (TPAMI 2008,
    doi 10.1109/TPAMI.2007.1166).
    """
    step = np.abs(reach[:, None] - reach)
    bend = settings.bend
    change = settings.smooth * np.where(step < bend, step**2 / (2 * bend), step - bend / 2).astype(np.float32)

    def passed(cost: np.ndarray, rounds: int) -> np.ndarray:
        """Least cost of a path along the first axis to each place, going round so many times."""
        total, before = np.empty_like(cost), np.zeros_like(cost[0])
        for _ in range(rounds):
            for i, own in enumerate(cost):
                least = (before[:, :, None] + change).min(axis=1)
                total[i] = before = own + least - least.min(axis=1, keepdims=True)
        return total

    cost = cost.astype(np.float32)
    turned = cost.swapaxes(0, 1)
    total = passed(cost, 1) + passed(cost[::-1], 1)[::-1] - 3 * cost
    total += (passed(turned, 2) + passed(turned[::-1], 2)[::-1]).swapaxes(0, 1)
    best = total.argmin(axis=2)
    middle = np.clip(best, 1, len(reach) - 2)
    a, b, c = (np.take_along_axis(total, (middle + side)[..., None], axis=2)[..., 0] for side in (-1, 0, 1))
    shift = np.clip((a - c) / (2 * np.maximum(a - 2 * b + c, 1e-6)), -0.5, 0.5)  # of a parabola through three samples
    return np.where(best == middle, reach[middle] + shift * _RAY, reach[best])
