"""Random dentitions: the teeth that are present, and their poses.

The frame of the head: x to the left of the patient, y posterior, z superior (LPS), millimetres; midline x = 0, incisors at
y = 0, occlusal plane z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

import numpy as np

from ..anatomy import Jaw, fdi_number, tooth
from .shapes import ToothShape

# Kinds of mouths. "adult": those of the training of weights 8 and before. "front": crowded lower front teeth in a thin, dense
# ridge below a deep bite. "crowns": metal crowns and bridges. "open": open bite on a block. "child": 5 to 14 years old.
# "anomalies": adults with retained deciduous, missing, unerupted and supernumerary teeth.
Mouth = Literal["adult", "front", "crowns", "open", "child", "anomalies"]


class ShapeSource(Protocol):
    """Function that draws the shape of a tooth, see `sources.shape_source`."""

    def __call__(self, jaw: Jaw, position: int, rng: np.random.Generator, deciduous: bool = False) -> ToothShape:
        """A random tooth of this jaw and position (counted from the midline)."""


@dataclass(frozen=True)
class ArchCurve:
    """One half of an arch, symmetric about the midline: y = depth · (|x| / half_width) ** power.

    Half width and depth near the third molars, and the power, follow the mean tooth centres that ToothSeg published
    for 480 scans (JBHI 2026, doi 10.1109/JBHI.2025.3650444).
    """

    half_width: float
    depth: float
    power: float

    def points(self, reach: float = 1.25) -> np.ndarray:
        """Dense points (N, 2) of the left half (x ≥ 0) from the midline to `reach` times the half width."""
        x = self.half_width * reach * np.linspace(0, 1, 400)
        return np.stack([x, self.depth * (x / self.half_width) ** self.power], axis=1)

    def at(self, length: float) -> tuple[np.ndarray, np.ndarray]:
        """Point and unit tangent (away from the midline) at an arc length in mm from the midline."""
        points = self.points(1.6)
        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        along = np.concatenate([[0], np.cumsum(steps)])
        point = np.array([np.interp(length, along, points[:, axis]) for axis in (0, 1)])
        ahead = np.array([np.interp(length + 1.0, along, points[:, axis]) for axis in (0, 1)])
        behind = np.array([np.interp(max(length - 1.0, 0), along, points[:, axis]) for axis in (0, 1)])
        tangent = ahead - behind
        return point, tangent / np.linalg.norm(tangent)


@dataclass(frozen=True)
class PlacedTooth:
    """A tooth shape in the head.

    `matrix` (4, 4) maps the frame of the tooth (x distal, y lingual, z apical, mm) to the frame of the head; it is a
    reflection on one side. `work` is the dental work: a subset of {"bracket", "band", "crown", "filling", "root filling",
    "implant", "pontic"}, and "root remnant" if nothing is left above the gums. Implants and pontics (the part of a bridge over
    a gap) are drawn, but not labelled.

    `until` is the depth in mm along the axis of the tooth beyond which it is not formed yet, or is resorbed. `follicle` is the
    thickness in mm of the sac around the crown of an `unerupted` tooth.
    """

    fdi: int
    shape: ToothShape
    matrix: np.ndarray
    work: frozenset[str] = frozenset()
    until: float = np.inf
    follicle: float = 0.0
    unerupted: bool = False

    @property
    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner (x, y, z) in mm, in the frame of the head, of the box of the shape."""
        shape = self.shape
        size = np.array(shape.sdf.shape[::-1]) * shape.spacing
        corners = np.array(np.meshgrid(*zip(shape.origin, shape.origin + size, strict=True))).reshape(3, -1).T
        world = corners @ self.matrix[:3, :3].T + self.matrix[:3, 3]
        return world.min(0), world.max(0)


@dataclass(frozen=True)
class SimulatedDentition:
    """Teeth with their poses, and the alveolar ridge."""

    curves: dict[Jaw, ArchCurve]
    crest: dict[Jaw, float]  # z of the crest of the alveolar bone
    teeth: tuple[PlacedTooth, ...]
    missing: tuple[tuple[Jaw, float, float], ...] = field(default=())  # jaw, x, y of bare ridge
    retainer: bool = False  # wire behind the lower front teeth
    dense: bool = False  # thin ridge without marrow around the lower front teeth
    block: bool = False  # bite block between the front teeth
    growth: float = 1.0  # size of the jaws relative to an adult


def _rotation(axis: np.ndarray, degrees: float) -> np.ndarray:
    """Rotation matrix about a unit axis (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


_BRACES: tuple[frozenset[Jaw], ...] = (
    frozenset(),
    frozenset(("upper", "lower")),
    frozenset(("upper",)),
    frozenset(("lower",)),
)
_BRACES_SHARES = (0.65, 0.2, 0.1, 0.05)
# Share of missing teeth that are replaced by an implant: more than in patients, because implants are easily taken for teeth.
IMPLANTS = 0.2


def _missing_teeth(rng: np.random.Generator) -> dict[Jaw, set[tuple[int, int]]]:
    """Missing teeth as (side, position) by jaw; side is +1 for left, -1 for right."""
    rate = rng.choice([0.0, 0.05, 0.15, 0.35], p=[0.35, 0.3, 0.25, 0.1])
    toothless = rng.random()
    absent: dict[Jaw, set[tuple[int, int]]] = {"upper": set(), "lower": set()}
    for jaw in ("upper", "lower"):
        third_rate = rng.choice([0.1, 0.6, 1.0], p=[0.3, 0.35, 0.35])
        for side in (-1, 1):
            for position in range(1, 9):
                chance = third_rate if position == 8 else rate * (1.6 if position in (6, 7) else 0.8)
                if rng.random() < chance:
                    absent[jaw].add((side, position))
    everything = {(side, position) for side in (-1, 1) for position in range(1, 9)}
    if toothless < 0.05:
        absent["upper" if toothless < 0.025 else "lower"] = everything
    return absent


def pose_matrix(
    fdi: int,
    shape: ToothShape,
    place: tuple[float, float, float],
    tangent: tuple[float, float],
    angles: tuple[float, float, float],
    size: float | np.ndarray = 1.0,
) -> np.ndarray:
    """Matrix (4, 4) from the frame of a tooth to the frame of the head.

    Parameters
    ----------
    place : (float, float, float)
        x, y, z in mm of the middle of its edge or cusps, on the side of the tooth.
    tangent : (float, float)
        Unit vector (x, y) along the arch, away from the midline, as on the left side.
    angles : (float, float, float)
        Degrees: tip (apex to distal), torque (apex to lingual), rotation about the long axis.
    size : float or ndarray of shape (3,)
        Scale factor of all dimensions, or of width, depth and length.
    """
    one = tooth(fdi)
    side = 1 if one.side == "left" else -1
    up = 1.0 if one.jaw == "upper" else -1.0
    (tx, ty), (tip, torque, turn) = tangent, angles
    distal, lingual, apical = np.array([side * tx, ty, 0.0]), np.array([-side * ty, tx, 0.0]), np.array([0.0, 0.0, up])
    axes = np.stack([distal, lingual, apical], axis=1)
    # Rotations are about the axes of the head; the sign keeps a mesial tip mesial on both sides.
    handed = np.sign(np.linalg.det(axes))
    rotation = (
        _rotation(lingual, -handed * tip) @ _rotation(distal, -handed * torque) @ _rotation(apical, handed * turn)
    )
    linear = rotation @ axes * size
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    # The centre of rotation is the middle of the crown, not the cusp tips.
    pivot = np.array([0.0, 0.0, 0.5 * shape.crown_height])
    matrix[:3, 3] = np.asarray(place) + axes @ (pivot * size) - linear @ pivot
    return matrix


def random_dentition(rng: np.random.Generator, shapes: ShapeSource, mouth: Mouth = "adult") -> SimulatedDentition:
    """Draw a dentition: two arches with missing, tilted, rotated, crowded, spaced and impacted teeth and dental work.

    `children.mixed_dentition` draws children, and adults with anomalies.
    """
    absent = _missing_teeth(rng)
    bite = rng.choice([0.0, rng.uniform(0.5, 3), rng.uniform(3, 12)], p=[0.5, 0.3, 0.2]) + rng.normal(0, 0.3)
    size = rng.normal(1.0, 0.05)
    braces = _BRACES[rng.choice(len(_BRACES), p=_BRACES_SHARES)]
    work_rate = rng.choice([0.0, 0.1, 0.3, 0.6], p=[0.35, 0.3, 0.2, 0.15])
    spee = rng.uniform(-0.5, 2.5)
    spacing_mean = rng.choice([-0.25, 0.0, 0.8], p=[0.4, 0.4, 0.2])
    curves: dict[Jaw, ArchCurve] = {
        "upper": ArchCurve(rng.normal(25, 1.5), rng.normal(45, 2.5), rng.uniform(2.9, 4.2)),
        "lower": ArchCurve(rng.normal(28.5, 1.7), rng.normal(43.5, 2.5), rng.uniform(2.0, 2.9)),
    }
    overjet = rng.normal(2.0, 1.2)
    overbite = rng.normal(2.5, 2.0) if bite < 1 else rng.normal(0.5, 0.8)
    bone_loss = rng.choice([0.0, rng.uniform(0, 4)], p=[0.75, 0.25])  # periodontitis
    if mouth == "front":
        bite, overjet, overbite = rng.normal(0.0, 0.3), rng.uniform(0.3, 3.0), rng.uniform(2.5, 8.0)
        spacing_mean, bone_loss = rng.uniform(-0.5, 0.0), 0.0
        crowding, flat = rng.uniform(0.72, 1.0), rng.uniform(1.0, 1.25)
        if rng.random() < 0.85:
            absent["lower"] -= {(side, position) for side in (-1, 1) for position in (1, 2, 3)}
    elif mouth == "open":
        bite, overbite = rng.uniform(6, 24), rng.uniform(-1, 2)
    elif mouth == "crowns":
        work_rate = rng.uniform(0.5, 1.0)
    crest: dict[Jaw, float] = {
        "upper": bite / 2 + rng.uniform(7.5, 11.0) + bone_loss,
        "lower": -bite / 2 - rng.uniform(7.5, 11.0) - bone_loss,
    }
    teeth: list[PlacedTooth] = []
    bare: list[tuple[Jaw, float, float]] = []
    for jaw in ("upper", "lower"):
        up = 1.0 if jaw == "upper" else -1.0
        curve = curves[jaw]
        torque_front = rng.normal(18 if jaw == "upper" else 8, 7)
        for side in (-1, 1):
            length = max(0.0, rng.normal(0.1, 0.3))
            closing = rng.uniform(0, 0.7) if rng.random() < 0.5 else 0.0  # drift into gaps
            for position in range(1, 9):
                shape = shapes(jaw, position, rng)
                width = shape.width * size
                tight = mouth == "front" and jaw == "lower" and position <= 3
                if tight:
                    width *= crowding
                centre = length + width / 2
                (x, y), (tx, ty) = curve.at(centre)
                if jaw == "lower":
                    y = y + overjet
                if (side, position) in absent[jaw]:
                    bare.append((jaw, side * x, y))
                    if position == 8 or rng.random() > IMPLANTS:
                        length += width * (1 - closing)
                        continue
                    work = frozenset({"implant"})
                else:
                    work = _random_work(rng, position, jaw in braces, work_rate)
                length += width + rng.normal(spacing_mean, 0.25)

                front = np.clip((4.5 - position) / 3.5, 0, 1)
                # The crown of a front tooth leans to labial, so its apex leans to lingual.
                torque = torque_front * front + rng.normal(0, 4) + (0 if jaw == "upper" else -10 * (1 - front))
                tip = rng.normal(4, 5)
                turn = rng.normal(0, 6) if rng.random() > 0.05 else rng.uniform(-60, 60)
                height = 0.0
                if position <= 3:
                    height = -up * overbite / 2
                spread = (position - 4.5) / 3.5
                height += -up * spee * 0.5 * (1 - spread**2) * (1 if jaw == "lower" else -0.5) + rng.normal(0, 0.4)
                unerupted = False
                impacted = position == 8 and rng.random() < 0.45
                if impacted:
                    tip += rng.uniform(-20, 95) if jaw == "lower" else rng.uniform(-50, 20)
                    height += up * rng.uniform(1, 9)
                    unerupted = up * height > 4
                    length += 3
                elif (position == 7 and rng.random() < 0.07) or (position == 3 and rng.random() < 0.04):
                    height += up * rng.uniform(4, 11)
                    unerupted = up * height > 5
                    tip += rng.normal(0, 25)
                fdi = fdi_number(jaw, "left" if side > 0 else "right", position)
                scale: float | np.ndarray = size
                if tight:  # flat roots
                    scale = size * np.array(
                        [flat * rng.uniform(0.95, 1.05), rng.uniform(1.0, 1.2), rng.uniform(0.95, 1.1)]
                    )
                    tip *= 0.5  # roots stay close together
                place = (side * x, y, up * bite / 2 + height)
                matrix = pose_matrix(fdi, shape, place, (tx, ty), (tip, torque, turn), scale)
                teeth.append(PlacedTooth(fdi, shape, matrix, work, unerupted=unerupted))
    made = tuple(_bridged(teeth, rng) if mouth == "crowns" else teeth)
    return SimulatedDentition(
        curves,
        crest,
        made,
        tuple(bare),
        retainer=rng.random() < 0.08,
        dense=mouth == "front",
        block=mouth == "open",
    )


def _bridged(teeth: list[PlacedTooth], rng: np.random.Generator) -> list[PlacedTooth]:
    """Crowns on more than half of the back teeth; a few of them are pontics (crowns over a gap, without a root)."""
    made = []
    for one in teeth:
        work = one.work
        if "implant" not in work and rng.random() < (0.65 if one.fdi % 10 >= 4 else 0.3):
            work = frozenset({"pontic"}) if rng.random() < 0.12 else (work - {"bracket", "band"}) | {"crown"}
        made.append(replace(one, work=work))
    return made


def _random_work(rng: np.random.Generator, position: int, braces: bool, rate: float) -> frozenset[str]:
    work = set()
    if braces and position <= 7:
        work.add("band" if position >= 6 and rng.random() < 0.6 else "bracket")
    if rng.random() < rate * (1.5 if position >= 4 else 0.6):
        work.add(str(rng.choice(["filling", "crown", "root filling"], p=[0.6, 0.2, 0.2])))
        if rng.random() < (0.5 if "crown" in work else 0.25 if "filling" in work else 0.0):
            work.add("root filling")
    if not work and rng.random() < 0.1 * rate:
        work.add("root remnant")
    return frozenset(work)
