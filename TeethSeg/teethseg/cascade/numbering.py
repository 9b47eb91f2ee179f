"""From instances to FDI numbers: one ordered assignment per arch, with a probability for every number.

The network says how like each of the 8 positions a tooth looks, and which jaw it is in. Order, distance and direction
from tooth to tooth say the rest: along an arch the 16 places follow one another, each at most once, and the way from
place to place is known (`arches`). Left and right come from the patient's x axis alone.

The pose of the head (turn about the vertical, sideways place of the midline, size) is not known, so the assignment is
worked out for a grid of poses, which both jaws share; numbers and confidences are means over the poses, weighted by how
well each explains the teeth. For one pose the probabilities are exact: a forward-backward pass over strictly increasing
assignments of teeth to places, in which teeth may stay without a place and places without a tooth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np
from scipy.special import logsumexp

from ..anatomy import Jaw, arch
from .arch_template import PLACES, VOLUMES, gap_fractions, place_centres, position_of
from .instance_features import InstanceEvidence
from .jaw_assignment import split_jaws

# How far the evidence is trusted. Chosen on simulated arches (scripts/check_numbering.py), on the careful side.
_TEMPERATURE = 1.5  # divides the log-likelihoods of places and steps, which count one scatter more than once
_CLASS_ERROR = 0.08  # share of teeth whose position the network mistakes, however sure it is ...
_CLASS_ERROR_NEAR = 0.6  # ... this part of them for a neighbouring position
_VOLUME_SD = 0.4  # of a tooth's log volume about its position's, as segmented
_VOLUME_OUTLIER = 0.2  # likelihood, relative to the usual volume, of any volume at all: worn, crowned, half-found teeth
_STEP_SD = 1.8  # mm, of the way between neighbours
_STEP_SD_PER_PLACE = 0.8  # mm, more for each place passed over (as independent steps)
_STEP_SD_PER_MM = 0.06  # and with the length of the way
_STEP_OUTLIER = 3e-3  # likelihood, relative to the best step, of any step at all: tipped, impacted, half-seen teeth
_MISSING = 0.12  # prior of each place passed over
_THIRD_MOLAR = 0.5  # relative prior of a tooth being one: half of them are missing
_CLOSED_GAP = 0.5  # relative prior that the gap has closed, and as much that it has closed by half
_EXTRA = 3e-6  # likelihood of a tooth without a place, relative to a perfect one
_MOST_EXTRAS_RUNNING = 3
_LATERAL_SD = 5.0  # mm, of a tooth about its place's distance from the midline
_TURN_SD = 10.0  # degrees
_SIZE_SD = 0.08
_CENTRE_DEPTH = 28.0  # mm behind the front: seen from here, the places of a full arch follow by angle
_AMBIGUOUS = 5.0  # mm between neighbours along the arch below which their order may be the other way round
_MOST_AMBIGUOUS = 4
_BACKWARD = np.log(1e-4)  # prior of a scan whose orientation says that the patient faces the back
_WORTH_A_SECOND_LOOK = 12.0  # log-likelihood below the best pose from which on poses are left out
_LEAST_SECOND = 1e-3  # probability of a second number worth telling

_TURNS = np.radians(np.arange(-32, 33, 8.0))
_SIZES = np.array([0.88, 1.0, 1.12])
_MIDLINE_STEP = 3.0  # mm


@dataclass(frozen=True)
class NumberedTooth:
    """Number of an instance.

    Attributes
    ----------
    label : int
        The instance.
    fdi : int
        Its FDI number; 0 if it fits no place (supernumerary, or no tooth). No other number is given twice.
    confidence : float
        Probability, 0 to 1, that this is right.
    second_fdi : int or None
        The next best number, unless all others are hardly possible.
    backward : bool
        Whether the arches open to the front: the orientation of the scan is wrong. The number takes the patient to be
        turned about the vertical; if the image is mirrored instead, the sides are wrong. Nothing here can tell which.
    """

    label: int
    fdi: int
    confidence: float
    second_fdi: int | None = None
    backward: bool = False


@dataclass(frozen=True)
class MidlinePrior:
    """Where the midline of the arches is expected: LPS x in mm, and how surely (standard deviation in mm)."""

    x: float
    sd: float = 7.0


def midline_of_field(x_min: float, x_max: float) -> MidlinePrior | None:
    """What a field of view from `x_min` to `x_max` (LPS mm) tells of the midline: much if it holds both halves of the
    jaws, since heads are centred for that; nothing (None) if it is smaller."""
    whole_arch = 90.0  # mm
    return MidlinePrior((x_min + x_max) / 2, 10.0) if x_max - x_min >= whole_arch else None


@dataclass(frozen=True)
class _Poses:
    """A grid of poses; all arrays have shape (G,). `log_prior` is not normalised."""

    turn: np.ndarray  # radians about the vertical
    midline: np.ndarray  # mm, lateral, from the mean of the teeth
    size: np.ndarray
    log_prior: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> _Poses:
        return _Poses(self.turn[chosen], self.midline[chosen], self.size[chosen], self.log_prior[chosen])


@dataclass(frozen=True)
class _Row:
    """The teeth of one jaw: `points` (N, 2) lateral and posterior mm in the occlusal plane, from the mean of all teeth;
    `looks` (N, 8) likelihood of the positions by the network, `sizes` (N, 8) by the tooth's volume."""

    jaw: Jaw
    points: np.ndarray
    looks: np.ndarray
    sizes: np.ndarray


def number_teeth(evidence: Sequence[InstanceEvidence], midline: MidlinePrior | None = None) -> list[NumberedTooth]:
    """Give every instance its FDI number.

    Parameters
    ----------
    evidence : sequence of InstanceEvidence
        Centroids must be in LPS: the side of a tooth comes from nothing else.
    midline : MidlinePrior, optional
        What is known of the midline beside the teeth, e.g. the middle of a whole head. Without it (a small field of
        view), it is inferred from the teeth, and a lone tooth's side stays a guess with a confidence to match.

    Returns
    -------
    list of NumberedTooth
        In the order of `evidence`.
    """
    if not evidence:
        return []
    centroids = np.array([tooth.centroid_lps for tooth in evidence], dtype=float)
    looks = np.array([_looks(tooth.position_log_probs) for tooth in evidence])
    rows = split_jaws(centroids, np.array([tooth.upper_probability for tooth in evidence]))
    mean = centroids.mean(axis=0)
    plane = (centroids - mean) @ _plane_axes(rows.normal)
    is_upper = rows.upper > 0.5
    members = {jaw: np.flatnonzero(is_upper == (jaw == "upper")) for jaw in ("upper", "lower")}
    sizes = _volume_likelihood(evidence, is_upper, looks)
    both = [_Row(jaw, plane[m], looks[m], sizes[m]) for jaw, m in members.items() if len(m)]

    expected = None if midline is None else MidlinePrior(midline.x - mean[0], midline.sd)
    poses = _pose_grid(plane, expected)
    look = _first_look(both, poses)
    turned = [replace(row, points=-row.points) for row in both]
    expected_turned = None if expected is None else MidlinePrior(-expected.x, expected.sd)
    few = _pose_grid(-plane, expected_turned, _TURNS[::2], _SIZES[1:2])  # enough to notice what is rare
    backward = bool(logsumexp(_first_look(turned, few)) + _BACKWARD > logsumexp(look))
    if backward:
        both, poses = turned, _pose_grid(-plane, expected_turned)
        look = _first_look(both, poses)
    results = _solve(both, poses, look)
    numbered: dict[int, NumberedTooth] = {}
    for row, (marginals, order) in zip(both, results, strict=True):
        places = _decode(marginals, order)
        for tooth, place, probabilities in zip(members[row.jaw], places, marginals, strict=True):
            sure_of_jaw = rows.upper[tooth] if row.jaw == "upper" else 1 - rows.upper[tooth]
            found = _numbered(evidence[tooth].label, row.jaw, place, probabilities, float(sure_of_jaw))
            numbered[tooth] = _side_in_doubt(found) if backward and found.fdi else found
    return [numbered[i] for i in range(len(evidence))]


def _looks(log_probs: np.ndarray) -> np.ndarray:
    """Likelihood of the 8 positions: the network's, but it may be wrong, most often by one."""
    probabilities = np.exp(log_probs - np.max(log_probs))
    probabilities /= probabilities.sum()
    beside = np.zeros(8)
    beside[1:] += probabilities[:-1] / 2
    beside[:-1] += probabilities[1:] / 2
    error = _CLASS_ERROR_NEAR * beside + (1 - _CLASS_ERROR_NEAR) / 8
    return (1 - _CLASS_ERROR) * probabilities + _CLASS_ERROR * error


def _volume_likelihood(evidence: Sequence[InstanceEvidence], is_upper: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """Likelihood of the 8 positions by volume, relative to the best; says nothing where the volume is unknown."""
    volume = np.array([np.nan if tooth.touches_border else tooth.volume_mm3 for tooth in evidence])
    usual = np.log(np.where(is_upper[:, None], VOLUMES["upper"], VOLUMES["lower"]))
    with np.errstate(divide="ignore", invalid="ignore"):
        log_volume = np.log(volume)
    known = np.isfinite(log_volume)
    likelihood = np.ones((len(volume), 8))
    if known.any():
        # Large people, and networks that draw thick or thin, change all volumes alike.
        excess = log_volume[known] - np.sum(looks * usual, axis=1)[known]
        log_volume = log_volume - np.median(excess) * known.sum() / (known.sum() + 4)
        astray = (log_volume[known, None] - usual[known]) / _VOLUME_SD
        likelihood[known] = np.maximum(np.exp(-0.5 * astray**2), _VOLUME_OUTLIER)
    return likelihood


def _plane_axes(normal: np.ndarray) -> np.ndarray:
    """Orthonormal axes (3, 2), lateral (nearest to the patient's left) and posterior, of the plane."""
    lateral = np.array([1.0, 0, 0]) - normal[0] * normal
    lateral /= np.linalg.norm(lateral)
    return np.stack([lateral, np.cross(normal, lateral)], axis=1)


def _pose_grid(
    plane: np.ndarray, midline: MidlinePrior | None, turns: np.ndarray = _TURNS, sizes: np.ndarray = _SIZES
) -> _Poses:
    """Every pose worth trying for teeth at `plane` (N, 2)."""
    reach = 36.0 + np.abs(plane[:, 0]).max()
    offsets = np.arange(-reach, reach + _MIDLINE_STEP, _MIDLINE_STEP)
    turn, offset, size = (a.ravel() for a in np.meshgrid(turns, offsets, sizes, indexing="ij"))
    log_prior = -0.5 * (turn / np.radians(_TURN_SD)) ** 2 - 0.5 * ((size - 1) / _SIZE_SD) ** 2
    if midline is not None:
        log_prior = log_prior - 0.5 * ((offset - midline.x) / midline.sd) ** 2
    return _Poses(turn, offset, size, log_prior)


def _first_look(rows: list[_Row], poses: _Poses) -> np.ndarray:
    """Log evidence (G,) of every pose with the teeth in the order of their angle."""
    return poses.log_prior / _TEMPERATURE + sum(_assign(row, poses, _orders(row, poses))[0] for row in rows)


def _solve(rows: list[_Row], poses: _Poses, evidence: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Marginals (N, 16) of teeth over places, and the best order of the teeth, for each row.

    The poses that are good by the first look's `evidence` once more, also with neighbours exchanged whose order is not
    clear.
    """
    best = poses[evidence > evidence.max() - _WORTH_A_SECOND_LOOK]

    total = best.log_prior / _TEMPERATURE
    by_row = []
    for row in rows:
        variants = _exchanged(row, best, _orders(row, best))
        solved = [_assign(row, best, order) for order in variants]
        logs = np.stack([log for log, _ in solved])  # (variants, poses)
        top = logs.max(axis=0)
        weight = np.exp(logs - top)
        log_sum = top + np.log(weight.sum(axis=0))
        weight /= weight.sum(axis=0)
        marginals = sum(w[:, None, None] * m for w, (_, m) in zip(weight, solved, strict=True))
        favourite = np.stack(variants)[logs.argmax(axis=0), np.arange(len(top))]
        by_row.append((marginals, favourite))
        total = total + log_sum - np.log(len(variants))
    share = np.exp(total - total.max())
    share /= share.sum()
    return [(np.einsum("g,gnp->np", share, marginals), order[share.argmax()]) for marginals, order in by_row]


def _turned(row: _Row, poses: _Poses) -> np.ndarray:
    """The row's points (G, N, 2) as seen with the head turned straight; lateral 0 is the midline."""
    cos, sin = np.cos(poses.turn)[:, None], np.sin(poses.turn)[:, None]
    lateral = cos * row.points[:, 0] + sin * row.points[:, 1] - poses.midline[:, None]
    return np.stack([lateral, cos * row.points[:, 1] - sin * row.points[:, 0]], axis=-1)


def _angles(row: _Row, poses: _Poses) -> tuple[np.ndarray, np.ndarray]:
    """Angle of every tooth (G, N) about the arch's centre, from the patient's right to the left, and its radius."""
    points = _turned(row, poses)
    depth = row.looks @ place_centres(row.jaw)[8:, 1]  # of the position that each tooth looks like
    front = np.median(points[..., 1] - poses.size[:, None] * depth, axis=1, keepdims=True)
    ahead = front + poses.size[:, None] * _CENTRE_DEPTH - points[..., 1]
    return np.arctan2(points[..., 0], ahead), np.hypot(points[..., 0], ahead)


def _orders(row: _Row, poses: _Poses) -> np.ndarray:
    """Teeth in the order of their angle (G, N)."""
    return np.argsort(_angles(row, poses)[0], axis=1)


def _exchanged(row: _Row, poses: _Poses, order: np.ndarray) -> list[np.ndarray]:
    """The order, and every other one that exchanges neighbours whose order is ambiguous."""
    angle, radius = (np.take_along_axis(a, order, axis=1) for a in _angles(row, poses))
    apart = np.mean(np.diff(angle, axis=1) * (radius[:, 1:] + radius[:, :-1]) / 2, axis=0)
    pairs = [i for i in np.argsort(apart) if apart[i] < _AMBIGUOUS][:_MOST_AMBIGUOUS]
    variants = []
    for choice in product((False, True), repeat=len(pairs)):
        swapped = sorted(i for i, chosen in zip(pairs, choice, strict=True) if chosen)
        if any(b - a == 1 for a, b in pairwise(swapped)):
            continue
        variant = order.copy()
        for i in swapped:
            variant[:, [i, i + 1]] = variant[:, [i + 1, i]]
        variants.append(variant)
    return variants


def _step_likelihood(row: _Row, poses: _Poses) -> tuple[np.ndarray, np.ndarray]:
    """Likelihood, relative to the best, of every step from a tooth at place p to a tooth at place q > p.

    Returns
    -------
    table : ndarray, shape (V, N, N, 16, 16)
        By view (turn and size; the midline does not matter), first and second tooth, p and q.
    view : ndarray of int, shape (G,)
        The view of each pose.
    """
    views, view = np.unique(np.stack([poses.turn, poses.size], axis=1), axis=0, return_inverse=True)
    turn, size = views.T
    points = _turned(row, _Poses(turn, np.zeros_like(turn), size, turn))
    step = points[:, None, :, :] - points[:, :, None, :]  # (V, N, N, 2), from the first tooth to the second
    centres = place_centres(row.jaw)
    p, q = np.triu_indices(PLACES, k=1)
    passed = q - p - 1
    way = (centres[q] - centres[p]) * size[:, None, None]  # (V, pairs of places, 2)
    length2 = np.sum(way**2, axis=-1)
    variance = (_STEP_SD**2 + _STEP_SD_PER_PLACE**2 * passed + _STEP_SD_PER_MM**2 * length2)[:, None, None]
    # Along a closing gap only the length of the way changes: |step - f way|² from three products.
    step2 = np.sum(step**2, axis=-1)[..., None]
    cross = np.einsum("vabi,vki->vabk", step, way)
    closed = gap_fractions(row.jaw)[p, q]
    best = np.full(cross.shape, -np.inf)
    for fraction, prior in ((1.0, 1.0), (closed, _CLOSED_GAP), ((1 + closed) / 2, _CLOSED_GAP)):
        distance2 = step2 - 2 * fraction * cross + fraction**2 * length2[:, None, None]
        np.maximum(best, np.log(prior) - 0.5 * distance2 / variance, out=best)
    likelihood = (np.exp(best) * _STEP_SD**2 / variance + _STEP_OUTLIER) * _MISSING**passed
    table = np.zeros((*step.shape[:3], PLACES, PLACES))
    table[..., p, q] = likelihood ** (1 / _TEMPERATURE)
    return table, view


def _assign(row: _Row, poses: _Poses, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum over all assignments, for every pose.

    Parameters
    ----------
    order : ndarray of int, shape (G, N)
        The teeth from the patient's right to the left.

    Returns
    -------
    log_evidence : ndarray, shape (G,)
    marginals : ndarray, shape (G, N, 16)
        Probability of each place for each tooth (in the row's own order); what is missing to 1 is that it has none.
    """
    every = np.arange(len(poses.turn))[:, None]
    lateral = _turned(row, poses)[..., 0][every, order]
    astray = (lateral[..., None] - poses.size[:, None, None] * place_centres(row.jaw)[:, 0]) / _LATERAL_SD
    prior = np.array([1.0] * 7 + [_THIRD_MOLAR])
    by_place = (row.looks * row.sizes * prior)[:, position_of(np.arange(PLACES)) - 1]
    own = by_place[order] * np.exp(-0.5 * astray**2 / _TEMPERATURE)
    extra = _EXTRA ** (1 / _TEMPERATURE)
    count = order.shape[1]
    table, view = _step_likelihood(row, poses)

    # `forward[:, j, q]`: all ways to give the first teeth places, the last of them place q to tooth j; `backward[:, i,
    # p]`: all ways to go on when tooth i has place p. Between i and j, teeth may be left without a place.
    forward = own * extra ** np.arange(count)[:, None]
    pairs = [(i, j) for j in range(count) for i in range(max(0, j - 1 - _MOST_EXTRAS_RUNNING), j)]
    for i, j in pairs:
        step = table[view, order[:, i], order[:, j]]
        forward[:, j] += own[:, j] * np.matmul(forward[:, i, None], step)[:, 0] * extra ** (j - i - 1)
    to_end = extra ** np.arange(count - 1, -1, -1.0)
    evidence = np.einsum("gnp,n->g", forward, to_end) + extra**count

    backward = np.ones_like(own) * to_end[:, None]
    for i, j in reversed(pairs):
        step = table[view, order[:, i], order[:, j]]
        following = own[:, j] * backward[:, j]
        backward[:, i] += np.matmul(step, following[..., None])[..., 0] * extra ** (j - i - 1)
    marginals = np.empty_like(own)
    marginals[every, order] = forward * backward / evidence[:, None, None]
    return np.log(evidence), marginals


def _decode(marginals: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The strictly increasing assignment with the most expected right teeth: places (N,), -1 for none.

    A tooth is left without a place if that is likelier than all places together: one that is left out is lost, and an
    unsure number can be corrected.
    """
    count = len(order)
    # score[k, p]: best for the first k teeth on the places below p.
    score = np.zeros((count + 1, PLACES + 1))
    take = np.zeros((count, PLACES), bool)
    none = 1 - marginals.sum(axis=1)
    none[none <= 0.5] = 0.0
    for k, tooth in enumerate(order):
        score[k + 1, 0] = score[k, 0] + none[tooth]
        for p in range(PLACES):
            left_out = max(score[k, p + 1] + none[tooth], score[k + 1, p])
            taken = score[k, p] + marginals[tooth, p]
            take[k, p] = taken > left_out
            score[k + 1, p + 1] = max(taken, left_out)
    places = np.full(count, -1)
    k, p = count, PLACES
    while k and p:
        if take[k - 1, p - 1]:
            places[order[k - 1]] = p - 1
            k, p = k - 1, p - 1
        elif score[k, p] == score[k, p - 1]:
            p -= 1
        else:
            k -= 1
    return places


def _numbered(label: int, jaw: Jaw, place: int, probabilities: np.ndarray, sure_of_jaw: float) -> NumberedTooth:
    """Numbers of both jaws compete: the other jaw's tooth at the same place has what the jaw's doubt leaves."""
    other: Jaw = "lower" if jaw == "upper" else "upper"
    chances = dict(zip(arch(jaw), sure_of_jaw * probabilities, strict=True))
    chances |= dict(zip(arch(other), (1 - sure_of_jaw) * probabilities, strict=True))
    fdi = 0 if place < 0 else arch(jaw)[place]
    # Without a place, what counts is how surely there is none.
    confidence = chances.pop(fdi) if fdi else max(0.0, 1 - float(probabilities.sum()))
    second = max(chances, key=chances.__getitem__)
    return NumberedTooth(label, fdi, float(min(confidence, 1.0)), second if chances[second] > _LEAST_SECOND else None)


def _side_in_doubt(found: NumberedTooth) -> NumberedTooth:
    """A number of a scan that faces the back: the same tooth of the other side is as likely."""
    row = arch("upper" if found.fdi < 30 else "lower")
    other = row[PLACES - 1 - row.index(found.fdi)]
    return replace(found, confidence=found.confidence / 2, second_fdi=other, backward=True)
