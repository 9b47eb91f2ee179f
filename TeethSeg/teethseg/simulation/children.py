"""Mixed dentitions of children, and adults with dental anomalies.

Every place of an arch holds a deciduous tooth, its permanent successor, or no erupted tooth. Unerupted successors are germs,
formed as far as the age of the child allows (see `eruption`); their follicles resorb the deciduous roots that they touch.
Missing, retained, impacted and supernumerary teeth are far more frequent than in patients (second premolars and upper lateral
incisors are each missing in 2 to 3 of 100 people, Polder et al., Community Dent Oral Epidemiol 2004;32:217; 1 to 3 have
supernumerary teeth, most of them mesiodens), because networks need many examples.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..anatomy import SUPERNUMERARY, Jaw, fdi_number, tooth
from ..eruption import Development, deciduous_root, development
from ..tooth_sizes import TEXTBOOK_DECIDUOUS
from .arch import ArchCurve, PlacedTooth, ShapeSource, SimulatedDentition, pose_matrix
from .shapes import ToothShape

ADULT = 15.0  # years; older patients have deciduous teeth only by retention
_MISSING = {("upper", 2): 0.07, ("upper", 5): 0.05, ("lower", 5): 0.09, ("lower", 1): 0.02}  # 0.005 for the others
_IMPACTED = {("upper", 3): 0.15, ("lower", 3): 0.04, ("lower", 5): 0.05, ("upper", 1): 0.04}  # 0.01 for the others


@dataclass(frozen=True)
class _Child:
    """Parameters of the whole mouth."""

    age: float
    size: float
    bite: float
    curves: dict[Jaw, ArchCurve]
    crest: dict[Jaw, float]
    overjet: float
    overbite: float
    decay: float  # share of teeth with fillings and crowns
    spacing: float
    braces: bool


@dataclass(frozen=True)
class _Place:
    """One place of an arch: point (x, y) and tangent, as on the left side of the patient."""

    jaw: Jaw
    side: int
    position: int
    point: np.ndarray
    tangent: np.ndarray

    @property
    def up(self) -> float:
        return 1.0 if self.jaw == "upper" else -1.0

    @property
    def lingual(self) -> np.ndarray:
        """Unit vector (x, y) to the tongue, as on the left side."""
        return np.array([-self.tangent[1], self.tangent[0]])

    def fdi(self, deciduous: bool = False) -> int:
        return fdi_number(self.jaw, "left" if self.side > 0 else "right", self.position) + 40 * deciduous


def mixed_dentition(rng: np.random.Generator, shapes: ShapeSource, age: float) -> SimulatedDentition:
    """Draw a dentition of a child, or from age `ADULT` on of an adult with anomalies.

    Parameters
    ----------
    age : float
        Years, at least 5.
    """
    child = _child(rng, age)
    teeth: list[PlacedTooth] = []
    bare: list[tuple[Jaw, float, float]] = []
    for jaw in ("upper", "lower"):
        for side in (-1, 1):
            placed, gaps = _quadrant(rng, shapes, child, jaw, side)
            teeth += placed
            bare += gaps
    teeth = _without_overlaps(teeth)
    teeth += _extra_teeth(rng, shapes, child)
    # Germs first, because their follicles resorb deciduous teeth, which are drawn later.
    teeth.sort(key=lambda one: (one.fdi // 10 in (5, 6, 7, 8), not one.unerupted))
    growth = float(np.clip(0.72 + 0.02 * age, 0.75, 1.0))
    return SimulatedDentition(child.curves, child.crest, tuple(teeth), tuple(bare), growth=growth)


def _child(rng: np.random.Generator, age: float) -> _Child:
    adult = age >= ADULT
    bite = rng.choice([0.0, rng.uniform(0.5, 3), rng.uniform(3, 14)], p=[0.5, 0.25, 0.25]) + rng.normal(0, 0.3)
    narrow = 1.0 if adult else rng.normal(0.95, 0.03)
    low, high = (7.5, 11.0) if adult else (6.0, 8.5)
    return _Child(
        age=age,
        size=rng.normal(1.0, 0.05),
        bite=bite,
        curves={
            "upper": ArchCurve(narrow * rng.normal(25, 1.5), narrow * rng.normal(45, 2.5), rng.uniform(2.9, 4.2)),
            "lower": ArchCurve(narrow * rng.normal(28.5, 1.7), narrow * rng.normal(43.5, 2.5), rng.uniform(2.0, 2.9)),
        },
        crest={"upper": bite / 2 + rng.uniform(low, high), "lower": -bite / 2 - rng.uniform(low, high)},
        overjet=rng.normal(2.5, 1.5),
        overbite=rng.normal(2.0, 2.0),
        decay=rng.choice([0.0, 0.1, 0.4], p=[0.5, 0.3, 0.2]),
        spacing=rng.choice([-0.2, 0.1, 0.6], p=[0.3, 0.4, 0.3]),
        braces=age > 9 and rng.random() < 0.3,
    )


def _quadrant(rng: np.random.Generator, shapes: ShapeSource, child: _Child, jaw: Jaw, side: int):
    """Teeth and empty places of one quadrant, from the midline outwards."""
    teeth: list[PlacedTooth] = []
    bare: list[tuple[Jaw, float, float]] = []
    own_age = child.age + rng.normal(0, 0.2)
    length = max(0.0, rng.normal(0.1, 0.3))
    for position in range(1, 9):
        age = own_age + rng.normal(0, 0.45)
        permanent = shapes(jaw, position, rng)
        width = permanent.width * child.size
        now = development(jaw, position, age)
        missing = rng.random() < (0.35 if position == 8 else _MISSING.get((jaw, position), 0.005))
        impacted = not missing and rng.random() < (0.2 if position == 8 else _IMPACTED.get((jaw, position), 0.01))
        if impacted:
            now = replace(now, depth=max(now.depth, rng.uniform(5, 13)))
        there = now.mineralised and not missing
        deciduous = position <= 5 and _keeps_deciduous(rng, jaw, position, age, missing or impacted, now)
        erupted = there and now.erupted
        if erupted:
            taken = width
        elif position <= 5:
            taken = TEXTBOOK_DECIDUOUS[jaw, position].width * child.size * (1.0 if deciduous else rng.uniform(0.5, 1.0))
        else:
            taken = width
        point, tangent = child.curves[jaw].at(length + taken / 2)
        point[1] += child.overjet * (jaw == "lower")
        place = _Place(jaw, side, position, point, tangent)
        if erupted or deciduous or (there and position > 5):
            length += taken + rng.normal(child.spacing, 0.25)
        else:
            length += taken * rng.uniform(0.6, 1.0)
            bare.append((jaw, side * place.point[0], place.point[1]))
        if there:
            teeth.append(_permanent(rng, child, place, permanent, now, impacted))
        if deciduous:
            teeth.append(_deciduous_tooth(rng, shapes, child, place, age, alone=missing or impacted, beside=erupted))
    return teeth, bare


def _keeps_deciduous(rng, jaw: Jaw, position: int, age: float, alone: bool, now: Development) -> bool:
    """Whether the deciduous tooth of a place is still present."""
    if rng.random() < 0.05:  # lost early
        return False
    if age >= ADULT:
        return (alone and rng.random() < 0.7) or rng.random() < 0.03
    if alone:
        return rng.random() < 0.85
    if now.erupted:  # two rows for a while: lower incisors often erupt behind the deciduous ones
        return now.depth > 1 and rng.random() < (0.3 if jaw == "lower" and position <= 2 else 0.12)
    return deciduous_root(jaw, position, age) > rng.uniform(-0.2, 0.12)


def _height(child: _Child, place: _Place) -> float:
    """Height (z) of the occlusal plane at a place, relative to the middle of the open bite."""
    return place.up * child.bite / 2 - place.up * child.overbite / 2 * (place.position <= 3)


def _permanent(rng, child: _Child, place: _Place, shape: ToothShape, now: Development, impacted: bool) -> PlacedTooth:
    jaw, position, up = place.jaw, place.position, place.up
    front = np.clip((4.5 - position) / 3.5, 0, 1)
    torque = (18 if jaw == "upper" else 8) * front + rng.normal(0, 6) - (0 if jaw == "upper" else 10 * (1 - front))
    tip, turn = rng.normal(4, 5), rng.normal(0, 8)
    lingual = place.lingual
    point = place.point.copy()
    deep = now.depth / 10.0
    if not now.erupted:
        turn += rng.normal(0, 20)
        tip += rng.normal(0, 30 if impacted else 8)
        if position <= 2:  # germs of incisors lie behind the deciduous roots
            point += lingual * rng.uniform(1.0, 3.5) * min(deep, 1.0)
        elif position == 3:
            point -= lingual * rng.uniform(-1.5, 2.0)
        elif position >= 7:
            tip += (rng.uniform(0, 50) if jaw == "lower" else -rng.uniform(0, 40)) * min(deep, 1.0)
            point += place.tangent * rng.uniform(-2.5, 0.0)
    elif now.depth > 1:
        turn += rng.normal(0, 10)
    z = _height(child, place) + up * (now.depth + rng.normal(0, 0.4))
    matrix = pose_matrix(
        place.fdi(), shape, (place.side * point[0], point[1], z), tuple(place.tangent), (tip, torque, turn), child.size
    )
    formed = now.crown * shape.crown_height + now.root * (shape.length - shape.crown_height)
    finished = now.root >= 1
    sac = 0.0 if now.erupted or (impacted and rng.random() < 0.5) else rng.uniform(0.4, 1.6)
    return PlacedTooth(
        place.fdi(),
        shape,
        matrix,
        _work(rng, child, place, now.erupted),
        until=np.inf if finished else max(formed, 1.5),
        follicle=sac,
        unerupted=not now.erupted,
    )


def _deciduous_tooth(rng, shapes: ShapeSource, child: _Child, place: _Place, age: float, alone: bool, beside: bool):
    jaw, position, up = place.jaw, place.position, place.up
    shape = shapes(jaw, position, rng, deciduous=True)
    left = deciduous_root(jaw, position, age)
    if alone or age >= ADULT:  # without a successor, roots resorb late and incompletely
        left = max(left, rng.uniform(0.2, 1.0))
    left = min(left, rng.uniform(0.85, 1.5))
    root = shape.length - shape.crown_height
    point = place.point.copy()
    if beside:  # its successor has erupted behind it
        point -= place.lingual * rng.uniform(2.5, 4.5)
    sunk = rng.exponential(1.2) if alone and position >= 4 else 0.0  # ankylosed (infraocclusion)
    z = _height(child, place) + up * (sunk + rng.normal(0.3, 0.4))
    angles = (rng.normal(0, 4), rng.normal(6 if position <= 3 else 0, 6), rng.normal(0, 6))
    matrix = pose_matrix(
        place.fdi(True), shape, (place.side * point[0], point[1], z), tuple(place.tangent), angles, child.size
    )
    until = np.inf if left >= 1 else shape.crown_height + left * root
    return PlacedTooth(place.fdi(True), shape, matrix, _work(rng, child, place, True), until=until)


def _work(rng, child: _Child, place: _Place, erupted: bool) -> frozenset[str]:
    if not erupted:
        return frozenset()
    work = set()
    if child.braces and place.position <= 6 and rng.random() < 0.8:
        work.add("band" if place.position == 6 and rng.random() < 0.6 else "bracket")
    if rng.random() < child.decay * (1.5 if place.position >= 4 else 0.4):
        work.add(str(rng.choice(["filling", "crown"], p=[0.75, 0.25])))  # steel crowns of deciduous molars
    return frozenset(work)


def _extra_teeth(rng, shapes: ShapeSource, child: _Child) -> list[PlacedTooth]:
    """Mesiodens and other supernumerary teeth, at most one in a quadrant."""
    teeth = []
    for quadrant, label in zip((1, 2, 3, 4), SUPERNUMERARY, strict=True):
        if rng.random() > (0.12 if quadrant <= 2 else 0.05):
            continue
        jaw: Jaw = "upper" if quadrant <= 2 else "lower"
        side = -1 if quadrant in (1, 4) else 1
        mesiodens = quadrant <= 2 and rng.random() < 0.75
        shape = shapes(jaw, 3 if mesiodens else int(rng.choice([4, 5, 2])), rng)
        at = rng.uniform(0, 5) if mesiodens else rng.uniform(8, 40)
        point, tangent = child.curves[jaw].at(at)
        place = _Place(jaw, side, 1, point, tangent)
        point = point + place.lingual * rng.uniform(3, 7) + [0, child.overjet * (jaw == "lower")]
        depth = rng.uniform(0, 14)
        tip, torque = rng.normal(0, 15), rng.normal(15, 12)
        if mesiodens and rng.random() < 0.3:  # inverted
            tip += 180
            depth += 8
        z = place.up * (child.bite / 2 + depth)
        size = child.size * rng.uniform(0.55, 0.85) * np.array([1.0, rng.uniform(0.75, 1.0), rng.uniform(0.7, 1.0)])
        xyz = (side * point[0], point[1], z)
        matrix = pose_matrix(place.fdi(), shape, xyz, tuple(tangent), (tip, torque, rng.uniform(-90, 90)), size)
        until = shape.length * rng.uniform(0.5, 1.0) if child.age < 11 else np.inf
        sunk = depth > 4
        teeth.append(PlacedTooth(label, shape, matrix, until=until, follicle=0.8 * sunk, unerupted=sunk))
    return teeth


def _spheres(one: PlacedTooth) -> tuple[np.ndarray, np.ndarray]:
    """Centres (N, 3) and radii (N,) of spheres that approximate a tooth: one in the crown, smaller ones along the root."""
    shape = one.shape
    end = min(one.until, shape.length)
    widest = 0.45 * min(shape.width, shape.depth)
    depths = [min(0.55 * shape.crown_height, end), *np.arange(shape.crown_height, end, 2.5)]
    radii = [widest, *(0.55 * widest for _ in depths[1:])]
    points = np.array([[0, 0, depth, 1] for depth in depths]) @ one.matrix.T
    return points[:, :3], np.array(radii)


def _without_overlaps(teeth: list[PlacedTooth]) -> list[PlacedTooth]:
    """Move germs until they overlap neither each other nor erupted permanent teeth."""
    movable = [one.unerupted for one in teeth]
    permanent = [not tooth(one.fdi).deciduous for one in teeth]
    spheres = [_spheres(one) for one in teeth]
    shift = np.zeros((len(teeth), 3))
    for _ in range(25):
        for a, (centres_a, radii_a) in enumerate(spheres):
            if not movable[a]:
                continue
            for b, (centres_b, radii_b) in enumerate(spheres):
                if a == b or not permanent[b]:
                    continue
                way = (centres_a + shift[a])[:, None] - (centres_b + shift[b])[None]
                away = np.linalg.norm(way, axis=-1)
                depth = radii_a[:, None] + radii_b[None] + 0.3 - away
                i, j = np.unravel_index(depth.argmax(), depth.shape)
                if depth[i, j] > 0:
                    step = way[i, j] / max(away[i, j], 1e-3) * depth[i, j] * (0.25 if movable[b] else 0.5)
                    shift[a] += step
                    if movable[b]:
                        shift[b] -= step
    moved = []
    for one, by in zip(teeth, shift, strict=True):
        matrix = one.matrix.copy()
        matrix[:3, 3] += np.clip(by, -5, 5)
        moved.append(replace(one, matrix=matrix))
    return moved
