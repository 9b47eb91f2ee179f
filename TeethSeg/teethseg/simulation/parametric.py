"""Parametric teeth: a crown with cusps, fossae or an edge, on one to three tapered, curved roots.

The body of a tooth is a stack of rounded cross-sections whose four sides follow profiles from the edge to the neck. A height
map of cusps and ridges cuts it at the occlusal end. Roots join it by smooth unions (Quílez' polynomial smooth minimum). Sizes
vary around those of the textbook; the proportions of crowns and roots describe dental anatomy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from scipy.interpolate import PchipInterpolator

from ..anatomy import Jaw
from ..boxes import bounding_box, widened
from ..tooth_sizes import TEXTBOOK, TEXTBOOK_DECIDUOUS, ToothSize
from .shapes import MARGIN, SPACING, ToothShape, signed_distance, tooth_shape


@dataclass(frozen=True)
class Ridge:
    """Part of the occlusal height map: a line (or, with both ends equal, a cusp) from which the surface falls away.

    x and y of both ends are fractions of the crown's width and depth; drops are mm below the highest cusp.
    """

    start: tuple[float, float]
    end: tuple[float, float]
    drops: tuple[float, float]
    slope: float
    rounding: float = 0.35


@dataclass(frozen=True)
class Crown:
    """Profiles of a crown: distance of each side from the axis at the heights `levels` (0 edge, 1 neck).

    Mesial and distal are fractions of the width (the last value comes from the width of the neck), labial and lingual are
    fractions of the depth, along y (labial is negative).
    """

    levels: tuple[float, ...]
    mesial: tuple[float, ...]
    distal: tuple[float, ...]
    labial: tuple[float, ...]
    lingual: tuple[float, ...]
    squareness: float = 0.5  # 0: ellipse, 1: rounded square
    taper: float = 0.0  # narrower towards lingual
    skew: float = 0.0  # rhomboid: x moves with y


@dataclass(frozen=True)
class Root:
    """A root of a trunk, in fractions of width and depth: centre at neck and apex, radii at the neck."""

    start: tuple[float, float]
    apex: tuple[float, float]
    radii: tuple[float, float]
    length: float = 1.0


_INCISOR = {
    "upper": Crown(
        levels=(0, 0.12, 0.3, 0.55, 0.82, 1),
        mesial=(0.47, 0.49, 0.5, 0.475, 0.43, 0.4),
        distal=(0.43, 0.48, 0.5, 0.49, 0.43, 0.4),
        labial=(-0.24, -0.31, -0.39, -0.47, -0.5, -0.46),
        lingual=(-0.06, -0.03, 0.05, 0.22, 0.46, 0.46),
        squareness=0.25,
        taper=0.22,
    ),
    "lower": Crown(
        levels=(0, 0.12, 0.3, 0.55, 0.82, 1),
        mesial=(0.48, 0.5, 0.49, 0.46, 0.4, 0.35),
        distal=(0.48, 0.5, 0.49, 0.46, 0.4, 0.35),
        labial=(-0.13, -0.2, -0.29, -0.4, -0.49, -0.47),
        lingual=(0.07, 0.1, 0.16, 0.28, 0.48, 0.47),
        squareness=0.2,
        taper=0.15,
    ),
}
_CANINE = {
    "upper": Crown(
        levels=(0, 0.15, 0.4, 0.6, 0.85, 1),
        mesial=(0.4, 0.46, 0.5, 0.475, 0.41, 0.37),
        distal=(0.38, 0.45, 0.5, 0.49, 0.42, 0.37),
        labial=(-0.24, -0.34, -0.44, -0.49, -0.5, -0.46),
        lingual=(0.0, 0.06, 0.18, 0.32, 0.49, 0.46),
        squareness=0.1,
        taper=0.2,
    ),
    "lower": Crown(
        levels=(0, 0.15, 0.4, 0.6, 0.85, 1),
        mesial=(0.42, 0.47, 0.5, 0.475, 0.43, 0.39),
        distal=(0.4, 0.46, 0.5, 0.49, 0.43, 0.39),
        labial=(-0.2, -0.29, -0.4, -0.46, -0.5, -0.47),
        lingual=(0.02, 0.08, 0.2, 0.33, 0.48, 0.47),
        squareness=0.1,
        taper=0.2,
    ),
}
_PREMOLAR = {
    "upper": Crown(
        levels=(0, 0.2, 0.45, 0.7, 1),
        mesial=(0.4, 0.47, 0.5, 0.46, 0.36),
        distal=(0.4, 0.47, 0.5, 0.46, 0.36),
        labial=(-0.36, -0.41, -0.47, -0.5, -0.44),
        lingual=(0.36, 0.42, 0.49, 0.49, 0.43),
        squareness=0.3,
        taper=0.08,
    ),
    "lower": Crown(
        levels=(0, 0.2, 0.45, 0.7, 1),
        mesial=(0.4, 0.48, 0.5, 0.46, 0.36),
        distal=(0.4, 0.48, 0.5, 0.46, 0.36),
        labial=(-0.24, -0.33, -0.44, -0.5, -0.44),
        lingual=(0.42, 0.47, 0.5, 0.48, 0.42),
        squareness=0.25,
        taper=0.12,
    ),
}
_MOLAR = {
    "upper": Crown(
        levels=(0, 0.2, 0.45, 0.72, 1),
        mesial=(0.42, 0.48, 0.5, 0.47, 0.4),
        distal=(0.41, 0.47, 0.5, 0.47, 0.4),
        labial=(-0.38, -0.43, -0.47, -0.5, -0.45),
        lingual=(0.37, 0.44, 0.5, 0.49, 0.44),
        squareness=0.5,
        taper=-0.03,
        skew=-0.12,
    ),
    "lower": Crown(
        levels=(0, 0.2, 0.45, 0.72, 1),
        mesial=(0.43, 0.48, 0.5, 0.47, 0.41),
        distal=(0.41, 0.46, 0.5, 0.47, 0.4),
        labial=(-0.31, -0.37, -0.45, -0.5, -0.44),
        lingual=(0.41, 0.46, 0.5, 0.47, 0.41),
        squareness=0.5,
        taper=0.1,
    ),
}


def _cusp(x: float, y: float, drop: float, slope: float = 0.62) -> Ridge:
    return Ridge((x, y), (x, y), (drop, drop), slope)


def _occlusal(jaw: Jaw, position: int, rng: np.random.Generator) -> list[Ridge]:
    """Cusps, edges and ridges of a tooth type, with random heights and slopes."""
    steep = rng.uniform(0.75, 1.2)
    low = rng.uniform(0.6, 1.4)
    if position <= 2:
        y = -0.15 if jaw == "upper" else -0.03
        corner = rng.uniform(0.3, 0.9) if jaw == "upper" else rng.uniform(0.05, 0.3)
        corner *= 1.4 if position == 2 else 1.0
        return [
            Ridge((-0.47, y), (0.18, y), (0.15, 0.0), 1.2, 0.3),
            Ridge((0.18, y), (0.48, y), (0.0, corner), 1.2, 0.3),
        ]
    if position == 3:
        y = -0.12 if jaw == "upper" else -0.09
        tip = rng.uniform(-0.1, 0.0)
        return [
            Ridge((tip, y), (-0.5, y), (0.0, 1.5 * steep), 0.9, 0.3),
            Ridge((tip, y), (0.5, y), (0.0, 2.3 * steep), 0.9, 0.3),
        ]
    if position <= 5:
        if jaw == "upper":
            buccal, lingual = (0.0, -0.27), (-0.05, 0.27)
            lingual_drop = low * (1.0 if position == 4 else 0.4)
        else:
            buccal, lingual = (-0.03, -0.13), (-0.08, 0.33)
            lingual_drop = low * (2.4 if position == 4 else 0.9)
        ridge = 0.6 * steep
        parts = [_cusp(*buccal, 0.0, ridge)]
        parts += [Ridge(buccal, (end, 0.8 * buccal[1]), (0.0, 1.5 * steep), 0.8 * steep) for end in (-0.45, 0.45)]
        if jaw == "lower" and position == 5 and rng.random() < 0.45:  # the three-cusped type
            parts += [_cusp(-0.2, 0.3, lingual_drop, ridge), _cusp(0.22, 0.32, lingual_drop + 0.4, ridge)]
        else:
            parts.append(_cusp(*lingual, lingual_drop, ridge))
        parts += [
            Ridge((end, 0.6 * buccal[1]), (end, 0.7 * lingual[1]), (1.3 * steep, 1.3 * steep + 0.4 * lingual_drop), 0.7)
            for end in (-0.43, 0.43)
        ]
        return parts
    slope = 0.55 * steep
    if jaw == "upper":
        parts = [
            _cusp(-0.24, -0.28, 0.3 * low, slope),
            _cusp(0.23, -0.27, 0.55 * low, slope),
            _cusp(-0.14, 0.24, 0.0, slope),
            Ridge((-0.14, 0.2), (0.23, -0.25), (0.9 * steep, 1.0 * steep), 0.6),  # oblique ridge
        ]
        if rng.random() < {6: 0.97, 7: 0.7, 8: 0.35}[position]:
            parts.append(_cusp(0.27, 0.28, rng.uniform(0.6, 1.2), slope))
    else:
        parts = [
            _cusp(-0.25, -0.22, 0.35 * low, slope),
            _cusp(0.08 if position == 6 else 0.2, -0.23, 0.45 * low, slope),
            _cusp(-0.25, 0.3, 0.0, slope),
            _cusp(0.2, 0.3, 0.15, slope),
        ]
        if rng.random() < {6: 0.9, 7: 0.1, 8: 0.4}[position]:
            parts.append(_cusp(0.35, -0.08, 0.8 * low, slope))
    parts += [Ridge((end, -0.25), (end, 0.25), (1.3 * steep, 1.2 * steep), 0.6) for end in (-0.44, 0.44)]
    return parts


def _roots(jaw: Jaw, position: int, rng: np.random.Generator) -> tuple[list[Root], float]:
    """Roots of a tooth, and the height of the furcation as a fraction of the root length.

    Without roots the body itself continues to a single apex. Furcation 1: fused roots with separate tips.
    """
    if position == 4 and jaw == "upper" and rng.random() < 0.6:
        apart = rng.uniform(0.75, 1.3)
        roots = [
            Root((0, -0.21), (0.03, -0.27 * apart), (0.31, 0.2)),
            Root((0, 0.21), (0.03, 0.25 * apart), (0.3, 0.19), rng.uniform(0.92, 1.0)),
        ]
        return roots, rng.uniform(0.3, 0.6)
    if position < 6:
        return [], 1.0
    fused = rng.random() < {6: 0.02, 7: 0.12, 8: 0.45}[position]
    apart = rng.uniform(0.1, 0.45) if fused else rng.uniform(0.75, 1.25) * {6: 1.0, 7: 0.8, 8: 0.65}[position]
    furcation = 1.0 if fused else rng.uniform(0.2, 0.36)
    if jaw == "upper":
        roots = [
            Root((-0.21, -0.22), (-0.25 * apart, -0.31 * apart), (0.18, 0.22), rng.uniform(0.9, 1.0)),
            Root((0.2, -0.2), (0.3 * apart, -0.27 * apart), (0.17, 0.19), rng.uniform(0.85, 0.97)),
            Root((0.0, 0.22), (0.03, 0.2 + 0.3 * apart), (0.25, 0.19), rng.uniform(0.95, 1.05)),
        ]
        return roots, furcation
    roots = [Root((-0.21, -0.02), (-0.2 * apart, 0.0), (0.185, 0.38), 1.0)]
    if not fused and rng.random() < 0.07:  # an extra disto-lingual root
        roots += [
            Root((0.2, -0.15), (0.28 * apart, -0.2), (0.15, 0.21), 0.95),
            Root((0.2, 0.16), (0.28 * apart, 0.3), (0.14, 0.16), rng.uniform(0.7, 0.9)),
        ]
    else:
        roots.append(Root((0.2, -0.02), (0.29 * apart, 0.0), (0.18, 0.35), rng.uniform(0.85, 0.98)))
    return roots, furcation


def _smooth_min(a: np.ndarray, b: np.ndarray, reach: float) -> np.ndarray:
    blend = np.maximum(reach - np.abs(a - b), 0)
    return np.minimum(a, b) - blend * blend * np.float32(0.25 / reach)


def _smooth_max(a: np.ndarray, b: np.ndarray, reach: float) -> np.ndarray:
    blend = np.maximum(reach - np.abs(a - b), 0)
    return np.maximum(a, b) + blend * blend * np.float32(0.25 / reach)


def _height_map(ridges: list[Ridge], x: np.ndarray, y: np.ndarray, size: ToothSize) -> np.ndarray:
    """Height (z) of the occlusal surface over the crown, shape (Y, X), in mm."""
    cones = []
    for ridge in ridges:
        x0, y0 = ridge.start[0] * size.width, ridge.start[1] * size.depth
        dx, dy = ridge.end[0] * size.width - x0, ridge.end[1] * size.depth - y0
        along = np.clip(((x - x0) * dx + (y - y0) * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
        squared = (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2
        drop = ridge.drops[0] + along * (ridge.drops[1] - ridge.drops[0])
        cones.append(drop + np.sqrt(ridge.slope**2 * squared + ridge.rounding**2) - ridge.rounding)
    return reduce(lambda height, cone: _smooth_min(height, cone, 0.35), cones).astype(np.float32)


def _thinning(s: np.ndarray, bulge: float) -> np.ndarray:
    """Square of a root's radius, relative to that at the neck (s = 0); below zero beyond the apex (s = 1)."""
    s = np.maximum(s, 0)
    return (1 - s) * (1 + bulge * s)


def random_size(jaw: Jaw, position: int, rng: np.random.Generator, deciduous: bool = False) -> ToothSize:
    """Textbook dimensions with random variation of the whole tooth and of each dimension, 15 % at most."""
    mean = (TEXTBOOK_DECIDUOUS if deciduous else TEXTBOOK)[jaw, position]
    spread = 0.08 if position == 8 or (position == 2 and jaw == "upper") else 0.055
    whole = rng.normal(1.0, spread)
    crown, root, width, cervix, depth = np.clip(whole * rng.normal(1.0, 0.035, 5), 0.85, 1.15)
    width, cervix = mean.width * width, mean.cervix * cervix
    return ToothSize(mean.crown * crown, mean.root * root, width, min(cervix, 0.93 * width), mean.depth * depth)


# Permanent teeth with similar shapes: premolars replace deciduous molars, but these look like small molars.
LOOKS_LIKE = {1: 1, 2: 2, 3: 3, 4: 7, 5: 6}


def _deciduous(crown: Crown, roots: list[Root], rng: np.random.Generator) -> tuple[Crown, list[Root], float]:
    """Crown, roots and furcation of a deciduous tooth, from those of a permanent one.

    Deciduous molars have a bulge above a narrow neck, a small occlusal table, and thin roots that diverge from the neck to make
    room for the premolar (Nelson, Ash: Wheeler's Dental Anatomy, the primary teeth).
    """
    table, neck = rng.uniform(0.8, 0.95), rng.uniform(0.86, 0.95)
    if roots:

        def narrowed(side):
            return (table * side[0], (1 + table) / 2 * side[1], *side[2:-2], side[-2], neck * side[-1])

    else:

        def narrowed(side):
            return (*side[:-1], neck * side[-1])

    crown = replace(crown, labial=narrowed(crown.labial), lingual=narrowed(crown.lingual))
    spread = rng.uniform(1.25, 1.7)
    thin = rng.uniform(0.7, 0.9)
    roots = [
        replace(
            root,
            apex=(root.apex[0] * spread, root.apex[1] * spread),
            radii=(root.radii[0] * thin, root.radii[1] * thin),
        )
        for root in roots
    ]
    return crown, roots, rng.uniform(0.05, 0.16) if roots else 1.0


def parametric_tooth(jaw: Jaw, position: int, rng: np.random.Generator, deciduous: bool = False) -> ToothShape:
    """A random tooth of one type.

    Parameters
    ----------
    jaw : {"upper", "lower"}
    position : int
        1 (central incisor) to 8 (third molar), of deciduous teeth to 5.
    rng : numpy.random.Generator
        The same state gives the same tooth.
    deciduous : bool

    Returns
    -------
    ToothShape
        On a grid of 0.3 mm. Worn crowns and immature roots (open apices) are shorter than those of the textbook.
    """
    size = random_size(jaw, position, rng, deciduous)
    number, position = position, LOOKS_LIKE[position] if deciduous else position
    family = (_INCISOR, _INCISOR, _CANINE, _PREMOLAR, _PREMOLAR, _MOLAR, _MOLAR, _MOLAR)[position - 1]
    crown = family[jaw]
    ridges = _occlusal(jaw, position, rng)
    roots, furcation = _roots(jaw, position, rng)
    if deciduous:
        crown, roots, furcation = _deciduous(crown, roots, rng)
    lean = np.tan(np.radians(rng.normal((1.5, 0.0), (2.0, 2.0))))  # of the root against the crown, along x and y
    hook = rng.normal((0.7, 0.0), (0.8, 0.5))  # mm that the apex bends, mostly to distal
    bulge = rng.uniform(0.25, 0.7)
    groove = rng.uniform(0.0, 0.25) if position != 1 or jaw == "lower" else rng.uniform(0.0, 0.06)
    wear = min(rng.exponential(0.7), 0.2 * size.crown) if rng.random() < 0.35 else 0.0
    wear_tilt = rng.normal(0, 0.08, 2)
    grown = rng.uniform(0.6, 0.9) if rng.random() < (0.12 if position == 8 else 0.03) else 1.0
    if deciduous:
        grown = 1.0
    convexity = rng.uniform(-0.06, 0.06)
    squareness = float(np.clip(crown.squareness + rng.normal(0, 0.1), 0, 0.9))

    # The grid covers the crown and every possible root; it is cropped to the tooth later.
    shift = lean * size.root + hook
    low, high = np.zeros(2), np.zeros(2)
    for axis, full in enumerate((size.width, size.depth)):
        tips = [root.apex[axis] for root in roots] or [0.0]
        low[axis] = min(-0.5 * full, (min(tips) - 0.2) * full + 1.2 * shift[axis])
        high[axis] = max(0.5 * full, (max(tips) + 0.2) * full + 1.2 * shift[axis])
    longest = max([root.length for root in roots], default=1.0)
    z = np.arange(-MARGIN, size.crown + size.root * longest + MARGIN + 2.0, SPACING, dtype=np.float32)[:, None, None]
    y = np.arange(low[1] - MARGIN, high[1] + MARGIN, SPACING, dtype=np.float32)[None, :, None]
    x = np.arange(low[0] - MARGIN, high[0] + MARGIN, SPACING, dtype=np.float32)[None, None, :]

    # Profiles along the axis; below the neck they continue as the trunk.
    heights = np.array([*crown.levels, 1.15]) * size.crown
    neck = 0.5 * size.cervix / size.width
    swell = 1 + convexity * np.sin(np.pi * np.clip(heights / size.crown, 0, 1))

    def profile(values, last: float, full: float) -> np.ndarray:
        knots = np.array([*values[:-1], last, last]) * swell / np.max(np.abs(swell)) * full
        return PchipInterpolator(heights, knots)(np.clip(z, 0, heights[-1])).astype(np.float32)

    mesial, distal = profile(crown.mesial, neck, size.width), profile(crown.distal, neck, size.width)
    labial = profile(crown.labial, crown.labial[-1], size.depth)
    lingual = profile(crown.lingual, crown.lingual[-1], size.depth)

    root_z = z - np.float32(size.crown)
    s = root_z / np.float32(size.root)
    below = np.maximum(s, 0)
    # Bending starts gently under the neck.
    bend = [np.float32(lean[axis] * size.root) * below**1.5 + np.float32(hook[axis]) * below**3 for axis in (0, 1)]
    half_width, half_depth = (mesial + distal) / 2, (lingual - labial) / 2
    across = (y - (lingual + labial) / 2 - bend[1]) / half_depth
    across2 = across * across
    narrow = np.maximum(1 - np.float32(crown.taper) * across, 0.3)
    if groove:  # hollows along the mesial and distal face of the root
        narrow = narrow * (1 - np.float32(groove) * np.minimum(below * 4, 1) / (1 + 12 * across2))
    along = (x - (distal - mesial) / 2 - bend[0] - np.float32(crown.skew) * y) / (half_width * narrow)
    along2 = along * along
    square = (squareness * np.clip(1 - below * 2, 0.1, 1)).astype(np.float32)
    section = along2 + across2
    section += square * (along2 * (along2 - 1) + across2 * (across2 - 1))
    scale = 0.5 * np.minimum(half_width, half_depth)
    if roots:
        # The trunk narrows towards the furcation, so that the roots continue its outline.
        left = _thinning(s, bulge) if furcation == 1 else 1 - np.float32(0.5) * (below / np.float32(furcation)) ** 2
        solid = scale * (section - left)
        if furcation < 1:
            roof = root_z - np.float32(furcation * size.root) + 1.5 * np.maximum(1 - section, 0)
            solid = _smooth_max(solid, roof, 1.5)
        for root in roots:
            solid = _smooth_min(solid, _root_field(root, size, bulge + 0.3, root_z, x, y, bend), 0.8)
    else:
        solid = scale * (section - _thinning(s, bulge))
    if grown < 1:
        solid = _smooth_max(solid, root_z - np.float32(grown * size.root), 0.6)

    surface = _height_map(ridges, x[0], y[0], size)
    if wear:
        plane = wear + wear_tilt[0] * x[0] + wear_tilt[1] * y[0]
        surface = _smooth_max(surface, plane.astype(np.float32), 0.4)
    rounding = 0.5 if position <= 3 else 0.9
    solid = _smooth_max(solid, surface - z, rounding)

    inside = bounding_box(solid < 0) or (slice(0, 0),) * 3
    box = widened(inside, round(MARGIN / SPACING), (1, 1, 1), solid.shape)
    sdf = signed_distance(solid[box], SPACING)
    cervix = size.crown + MARGIN - box[0].start * SPACING
    return tooth_shape(jaw, number, sdf, SPACING, cervix)


def _root_field(
    root: Root, size: ToothSize, bulge: float, root_z: np.ndarray, x: np.ndarray, y: np.ndarray, bend: list[np.ndarray]
) -> np.ndarray:
    """Implicit function of one of several roots, roughly in mm; it vanishes within the crown."""
    s = root_z / np.float32(root.length * size.root)
    way = np.clip(s, 0, 1.2) ** 0.8
    radii = np.array(root.radii) * (size.width, size.depth)
    square = np.zeros(np.broadcast_shapes(s.shape, x.shape, y.shape), np.float32)
    for axis, (grid, full) in enumerate(((x, size.width), (y, size.depth))):
        start, apex = root.start[axis] * full, root.apex[axis] * full
        centre = np.float32(start) + np.float32(apex - start) * way + bend[axis]
        square += ((grid - centre) / np.float32(radii[axis])) ** 2
    radius2 = np.where(s > 0, _thinning(s, bulge), 1 - (root_z / 3.0) ** 2)
    return np.float32(0.5 * radii.min()) * (square - radius2)
