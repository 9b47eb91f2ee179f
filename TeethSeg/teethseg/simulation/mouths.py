"""Random mouths for judging the numbering: the teeth that are present, and the centre of each.

Shares of the kinds are our own choice, so that everyday orthodontics is well represented. Teeth stand at the mean
centres of 480 scans by ToothSeg (rounded mean centroid offsets, JBHI 2026, doi 10.1109/JBHI.2025.3650444), not at those
of `cascade.arch_template`. Gaps close by the crown's width (Nelson & Ash, Wheeler's Dental Anatomy). The same book
gives the widths of deciduous crowns and the lengths of teeth. Ages of eruption are rounded means of Hurme (1949) for
permanent teeth, not the chronology of `cascade.dental_age`.

Frame: x to the patient's left, y posterior, z superior (LPS), millimetres; midline x = 0, occlusal plane z = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ..anatomy import Jaw, Side, fdi_number
from ..tooth_sizes import TEXTBOOK, TEXTBOOK_DECIDUOUS

JAWS: tuple[Jaw, Jaw] = ("upper", "lower")
SIDES: tuple[Side, Side] = ("right", "left")

# Lateral and posterior mm from the midline's front, positions 1-8.
MEAN_CENTRES: dict[Jaw, np.ndarray] = {
    "upper": np.array(
        [[4.2, 0], [10.7, 2.8], [15.5, 7.8], [18.1, 14.2], [20.4, 20.5], [22.1, 28.3], [24.8, 37.0], [24.6, 44.5]]
    ),
    "lower": np.array(
        [[2.4, 0], [6.9, 1.2], [12.0, 4.2], [16.4, 9.1], [19.3, 15.5], [22.8, 24.0], [26.0, 34.3], [30.3, 43.7]]
    ),
}
CROWN_WIDTHS: dict[Jaw, tuple[float, ...]] = {  # mesio-distal, mm
    "upper": (8.5, 6.5, 7.5, 7.0, 7.0, 10.0, 9.0, 8.5),
    "lower": (5.0, 5.5, 7.0, 7.0, 7.0, 11.0, 10.5, 10.0),
}
DECIDUOUS_WIDTHS: dict[Jaw, tuple[float, ...]] = {
    "upper": (6.5, 5.1, 7.0, 7.3, 8.2),
    "lower": (4.2, 4.1, 5.0, 7.7, 9.9),
}
ERUPTION_YEARS: dict[Jaw, tuple[float, ...]] = {
    "upper": (7.3, 8.4, 11.3, 10.2, 11.0, 6.3, 12.5, 18.5),
    "lower": (6.4, 7.5, 10.3, 10.5, 11.2, 6.1, 11.9, 18.5),
}
_SCATTER = np.array([0.5, 0.6, 0.7, 0.7, 0.7, 0.8, 1.0, 1.6])  # mm, per axis, of one tooth in its arch

# Kinds of mouths and their shares.
SHARES: dict[str, float] = {
    "full": 0.17,
    "teeth lost": 0.21,
    "premolars extracted": 0.15,
    "lower incisor extracted": 0.03,
    "upper laterals missing": 0.05,
    "first molars lost": 0.06,
    "third molars moved forward": 0.03,
    "few teeth": 0.09,
    "crowded": 0.05,
    "transposed": 0.02,
    "midline off": 0.04,
    "narrow or wide arch": 0.04,
    "extra tooth": 0.03,
    "small field": 0.03,
}


@dataclass
class Place:
    """One place of a quadrant, and the tooth or implant in it.

    `closed` is the share of an empty place's width that the teeth behind it have moved forward.
    """

    present: bool = True
    closed: float = 0.0
    aside: np.ndarray = field(default_factory=lambda: np.zeros(3))  # mm out of the row; head's frame, left side


Quadrant = list[Place]  # positions 1-8
Plan = dict[tuple[Jaw, Side], Quadrant]


@dataclass(frozen=True)
class Standing:
    """A tooth of a mouth.

    Attributes
    ----------
    fdi : int
        Its number; 0 for a supernumerary tooth.
    centre : ndarray, shape (3,)
        In mm, in the frame of the module.
    looks : float
        The position (1-8, may be fractional) that a network without any error would predict.
    place : float
        The position (1-8, fractional) at whose usual place it stands.
    unerupted : bool
    cut : bool
        Whether the scan ends within it.
    """

    fdi: int
    centre: np.ndarray
    looks: float
    place: float
    unerupted: bool = False
    cut: bool = False


@dataclass(frozen=True)
class Mouth:
    """A simulated mouth; `midline_known`: whether the scan holds both sides, so that its middle is evidence."""

    kind: str
    teeth: tuple[Standing, ...]
    midline_known: bool = True


def random_mouth(rng: np.random.Generator, kind: str | None = None) -> Mouth:
    """Draw a mouth with permanent teeth, of a kind of `SHARES`."""
    kind = kind or str(rng.choice(list(SHARES), p=np.array(list(SHARES.values())) / sum(SHARES.values())))
    plan = _with_third_molars(rng, {(jaw, side): [Place() for _ in range(8)] for jaw in JAWS for side in SIDES})
    change: Callable[[np.random.Generator, Plan], None] | None = _CHANGES.get(kind)
    if change:
        change(rng, plan)
    offset = {jaw: rng.normal(0, 0.9) for jaw in JAWS}
    if kind == "midline off":
        offset[JAWS[rng.integers(2)]] += rng.choice([-1, 1]) * rng.uniform(2.0, 4.5)
    form = rng.choice([rng.uniform(0.82, 0.9), rng.uniform(1.1, 1.18)]) if kind == "narrow or wide arch" else 1.0
    teeth = _standing(rng, plan, offset, form, uneven=1.1 if kind == "crowded" else 0.4)
    if kind == "transposed":
        teeth = _transposed(rng, teeth)
    if kind == "extra tooth":
        teeth = [*teeth, *_extra(rng, teeth)]
    if kind == "small field":
        return Mouth(kind, tuple(_small_field(rng, teeth)), midline_known=False)
    if kind == "few teeth" and rng.random() < 0.3:
        teeth = _ends_at_the_bite(rng, teeth)
    return Mouth(kind, tuple(teeth))


def _with_third_molars(rng: np.random.Generator, plan: Plan) -> Plan:
    """The plan with random third molars, which are often all present or all missing."""
    missing = rng.choice([0.05, 0.5, 0.95], p=[0.3, 0.35, 0.35])
    for quadrant in plan.values():
        quadrant[7].present = rng.random() >= missing
    return plan


def _closing(rng: np.random.Generator, closed: float, half: float) -> float:
    """Closed share of a gap: closed, half closed or open, with the given probabilities of the first two."""
    if rng.random() < closed:
        return rng.uniform(0.85, 1.0)
    return rng.uniform(0.25, 0.75) if rng.random() < half / max(1 - closed, 1e-6) else rng.uniform(0.0, 0.15)


def _lose(quadrant: Quadrant, position: int, closed: float) -> None:
    quadrant[position - 1].present = False
    quadrant[position - 1].closed = closed


def _teeth_lost(rng: np.random.Generator, plan: Plan) -> None:
    rate = rng.choice([0.04, 0.12, 0.25], p=[0.4, 0.4, 0.2])
    for quadrant in plan.values():
        for position, share in zip(range(1, 8), (0.5, 0.6, 0.4, 0.9, 1.1, 1.8, 1.3), strict=True):
            if rng.random() < rate * share:
                _lose(quadrant, position, _closing(rng, 0.2, 0.3))


def _premolars_extracted(rng: np.random.Generator, plan: Plan) -> None:
    pattern = rng.choice(["all", "upper", "lower", "one"], p=[0.65, 0.17, 0.08, 0.1])
    chosen = [(jaw, side) for jaw, side in plan if pattern in ("all", jaw)]
    if pattern == "one":
        chosen = [list(plan)[rng.integers(4)]]
    usual = {jaw: 4 if rng.random() < 0.7 else 5 for jaw in JAWS}
    state = rng.choice(3, p=[0.7, 0.15, 0.15])
    for jaw, side in chosen:
        position = usual[jaw] if rng.random() < 0.95 else 9 - usual[jaw]
        _lose(plan[jaw, side], position, _closing(rng, *((0.97, 0.02), (0.05, 0.9), (0.0, 0.05))[state]))


def _lower_incisor(rng: np.random.Generator, plan: Plan) -> None:
    side = SIDES[rng.integers(2)]
    _lose(plan["lower", side], int(rng.integers(1, 3)), _closing(rng, 0.8, 0.15))


def _upper_laterals(rng: np.random.Generator, plan: Plan) -> None:
    sides = SIDES if rng.random() < 0.7 else (SIDES[rng.integers(2)],)
    state = rng.random() < 0.6
    for side in sides:
        _lose(plan["upper", side], 2, _closing(rng, 0.95 if state else 0.0, 0.05 if state else 0.2))


def _first_molars(rng: np.random.Generator, plan: Plan) -> None:
    chosen = rng.permutation(4)[: rng.integers(1, 5)]
    for which in chosen:
        _lose(list(plan.values())[which], 6, _closing(rng, 0.35, 0.45))


def _third_molars_forward(rng: np.random.Generator, plan: Plan) -> None:
    for which in rng.permutation(4)[: rng.integers(1, 4)]:
        quadrant = list(plan.values())[which]
        quadrant[7].present = True
        _lose(quadrant, 7, rng.uniform(0.3, 1.0))


def _few_teeth(rng: np.random.Generator, plan: Plan) -> None:
    poor = JAWS if rng.random() < 0.3 else (JAWS[rng.integers(2)],)
    for jaw in poor:
        kept = {
            "molars": [(side, position) for side in SIDES for position in (6, 7, 8)],
            "front": [(side, position) for side in SIDES for position in (1, 2, 3)],
            "canines": [(side, position) for side in SIDES for position in (3, 4)],
            "any": [(SIDES[rng.integers(2)], int(rng.integers(1, 9))) for _ in range(rng.integers(1, 7))],
        }[str(rng.choice(["molars", "front", "canines", "any"], p=[0.3, 0.2, 0.1, 0.4]))]
        for side in SIDES:
            for position, place in enumerate(plan[jaw, side], 1):
                place.present = (side, position) in kept and rng.random() < 0.9
                place.closed = rng.uniform(0, 0.1)


def _crowded(rng: np.random.Generator, plan: Plan) -> None:
    for quadrant in plan.values():
        for position in (1, 2, 3):
            quadrant[position - 1].aside = np.array([*rng.normal(0, 1.6, 2), 0.0])
        if rng.random() < 0.3:  # an ectopic canine, high outside the row
            quadrant[2].aside = np.array([rng.uniform(1, 3.5), -rng.uniform(1.5, 4.0), 3.0])


_CHANGES: dict[str, Callable[[np.random.Generator, Plan], None]] = {
    "teeth lost": _teeth_lost,
    "premolars extracted": _premolars_extracted,
    "lower incisor extracted": _lower_incisor,
    "upper laterals missing": _upper_laterals,
    "first molars lost": _first_molars,
    "third molars moved forward": _third_molars_forward,
    "few teeth": _few_teeth,
    "crowded": _crowded,
}


def _curve(jaw: Jaw) -> tuple[np.ndarray, np.ndarray]:
    """Length in mm along half an arch from the midline (N,), and points (N, 2); both extend past the third molar."""
    half = MEAN_CENTRES[jaw]
    behind = half[-1] + (half[-1] - half[-2]) * np.arange(1, 3)[:, None]
    points = np.concatenate([[[0.0, half[0, 1] - 0.2]], half, behind])
    return np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))]), points


def _point(jaw: Jaw, along: float) -> np.ndarray:
    """Lateral and posterior mm at a signed length along the arch, the patient's left positive."""
    lengths, points = _curve(jaw)
    lateral, posterior = (np.interp(abs(along), lengths, column) for column in points.T)
    return np.array([np.sign(along) * lateral, posterior])


def _standing(
    rng: np.random.Generator, plan: Plan, offset: dict[Jaw, float], form: float, uneven: float
) -> list[Standing]:
    """The teeth of a plan.

    `offset`: of the dental midline along the arch, in mm. `form`: lateral scale. `uneven`: standard deviation in mm of
    the space at every contact.
    """
    size = rng.normal(1, 0.04)
    bite = rng.uniform(16, 22)
    teeth = []
    for jaw in JAWS:
        wide, long = form * rng.normal(1, 0.04), rng.normal(1, 0.04)
        along, _ = _curve(jaw)
        size_here, forward = size * rng.normal(1, 0.025), rng.normal(0, 2.5)
        for side in SIDES:
            moved = 0.0
            for position, place in enumerate(plan[jaw, side], 1):
                moved += rng.normal(0, uneven) if position > 1 else 0.0
                here = along[position] - moved
                if place.present:
                    sign = 1 if side == "left" else -1
                    point = _point(jaw, sign * here + offset[jaw]) * [wide, long] * size_here + [0, forward]
                    point += rng.normal(0, _SCATTER[position - 1], 2) + place.aside[:2] * [sign, 1]
                    teeth.append(_stand(rng, jaw, side, position, point, here, bite, place.aside[2]))
                else:
                    moved += place.closed * CROWN_WIDTHS[jaw][position - 1]
    return teeth


def _stand(rng, jaw: Jaw, side: Side, position: int, point, here: float, bite: float, higher: float) -> Standing:
    """A permanent tooth at a point of the occlusal plane; `here` is its length along its half of the arch."""
    height = bite / 2 + higher + rng.normal(0, 1.0)
    if position == 8 and rng.random() < 0.3:  # impacted
        height *= rng.uniform(1.2, 1.8)
    along, _ = _curve(jaw)
    place = float(np.interp(here, along[1:9], np.arange(1, 9.0)))
    centre = np.append(point, height if jaw == "upper" else -height)
    return Standing(fdi_number(jaw, side, position), centre, float(position), place)


def _transposed(rng: np.random.Generator, teeth: list[Standing]) -> list[Standing]:
    """The teeth with one canine and its neighbour (premolar or lateral incisor) exchanged."""
    near = 4 if rng.random() < 0.7 else 2
    canines = [k for k, t in enumerate(teeth) if t.fdi % 10 == 3 and any(o.fdi == t.fdi - 3 + near for o in teeth)]
    if not canines:
        return teeth
    a = int(rng.choice(canines))
    b = next(k for k, t in enumerate(teeth) if t.fdi == teeth[a].fdi - 3 + near)
    teeth = list(teeth)
    teeth[a], teeth[b] = (
        replace(one, centre=other.centre, place=other.place)
        for one, other in ((teeth[a], teeth[b]), (teeth[b], teeth[a]))
    )
    return teeth


def _extra(rng: np.random.Generator, teeth: list[Standing]) -> list[Standing]:
    """A mesiodens, a supernumerary premolar or incisor, or a fourth molar."""
    kind = rng.choice(["mesiodens", "beside", "fourth molar"], p=[0.5, 0.3, 0.2])
    jaw: Jaw = "upper" if kind == "mesiodens" or rng.random() < 0.5 else "lower"
    row = [t for t in teeth if (t.centre[2] > 0) == (jaw == "upper")]
    if kind == "mesiodens":
        row = [t for t in row if t.fdi % 10 == 1]
        aside = np.array([rng.uniform(-3.0, 3.0), rng.uniform(2.0, 8.0), rng.uniform(-1.0, 7.0)])
    elif kind == "beside":
        row = [t for t in row if t.fdi % 10 in (2, 4, 5)]
        aside = np.append(rng.normal(0, 3.0, 2), rng.normal(0, 2))
    else:
        row = [t for t in row if t.fdi % 10 == 8]
        aside = np.array([rng.normal(0, 2), rng.uniform(5, 8), rng.uniform(0, 4)])
    if not row:
        return []
    beside = row[rng.integers(len(row))]
    looks = np.clip(beside.looks + rng.normal(0, 0.6), 0.6, 8.4)
    return [Standing(0, beside.centre + aside, float(looks), float(looks), unerupted=kind != "beside")]


def _small_field(rng: np.random.Generator, teeth: list[Standing]) -> list[Standing]:
    """The teeth of five to nine neighbouring places, in one jaw or both."""
    jaws = [(True,), (False,), (True, False)][rng.integers(3)]
    length, first = int(rng.integers(5, 10)), 0
    first = int(rng.integers(-8, 9 - length))
    shown = [
        t for t in teeth
        if (t.centre[2] > 0) in jaws
        and first <= (t.place - 0.5 if t.centre[0] > 0 else 0.5 - t.place) - 0.5 < first + length
    ]  # fmt: skip
    return shown or teeth


def _ends_at_the_bite(rng: np.random.Generator, teeth: list[Standing]) -> list[Standing]:
    """A field of view with only the back teeth of one jaw, cut by the border; the other jaw is cut too."""
    seen_whole = rng.random() < 0.5
    kept = []
    for tooth in teeth:
        if (tooth.centre[2] > 0) == seen_whole:
            kept.append(replace(tooth, cut=tooth.fdi % 10 < 7))
        elif tooth.fdi % 10 >= 7:
            kept.append(replace(tooth, cut=True))
    return kept or teeth


def mixed_mouth(rng: np.random.Generator) -> Mouth:
    """A child of 6 to 13 years: deciduous teeth, permanent ones that have erupted, and germs of the others."""
    age, early = rng.uniform(6, 13), rng.normal(0, 0.7)
    size, opening = rng.normal(0.97, 0.04), rng.uniform(0, 6)
    teeth: list[Standing] = []
    for jaw in JAWS:
        wide, forward, offset = rng.normal(1, 0.04), rng.normal(0, 2.5), rng.normal(0, 0.8)
        for side in SIDES:
            sign, reached = (1 if side == "left" else -1), 0.0
            for position in range(1, 9):
                erupted = age + early > ERUPTION_YEARS[jaw][position - 1] + rng.normal(0, 0.5)
                agenesis = {5: 0.04, 2: 0.03}.get(position, 0.01) if position < 8 else 0.4
                formed = rng.random() >= agenesis and (position < 8 or age > 9.5)
                deciduous = position <= 5 and not (erupted and formed) and rng.random() < 0.95
                width = (DECIDUOUS_WIDTHS if deciduous else CROWN_WIDTHS)[jaw][position - 1]
                here = reached + width / 2
                reached += width + rng.normal(0.15, 0.3)
                for is_deciduous in [True] * deciduous + [False] * formed:
                    germ = not is_deciduous and not erupted
                    point = _point(jaw, sign * here + offset) * [wide, 1] * size + [0, forward]
                    point += rng.normal(0, _SCATTER[position - 1], 2) * (1.6 if germ else 1.0)
                    depth = _centre_depth(rng, jaw, position, is_deciduous, germ)
                    fdi = fdi_number(jaw, side, position) + (40 if is_deciduous else 0)
                    centre = np.append(point, (opening / 2 + depth) * (1 if jaw == "upper" else -1))
                    teeth.append(Standing(fdi, centre, float(position), float(position), unerupted=germ))
    return Mouth("mixed dentition", tuple(teeth))


def _centre_depth(rng: np.random.Generator, jaw: Jaw, position: int, deciduous: bool, germ: bool) -> float:
    """Distance in mm from the occlusal plane to the middle of the formed part of a child's tooth."""
    size = (TEXTBOOK_DECIDUOUS if deciduous else TEXTBOOK)[jaw, position]
    if germ:
        edge, root = rng.uniform(5, 13), rng.uniform(0, 0.5)
    else:
        edge, root = 0.0, rng.uniform(0.1, 1.0) if deciduous else rng.uniform(0.6, 1.0)
    return edge + (size.crown + root * size.root) / 2 + rng.normal(0, 1)
