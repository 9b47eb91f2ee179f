"""Scores of a segmentation: of the tooth mask, of each tooth, and of the numbers.

An instance is a label value: a label map of FDI numbers cannot separate two teeth with the same number, so a number given to
two teeth counts as a merge. Empty maps have defined scores: overlap scores are 1 if no map has teeth, and 0 if only one has;
distances, accuracies and per-tooth scores without teeth are None.

Own code: panoptica, the library for panoptic quality, keeps numpy below 2.3 and does not score numbers; tests compare with it.

References
----------
Kirillov et al., Panoptic Segmentation, CVPR 2019 (matching, RQ, SQ, PQ). Maier-Hein et al., Metrics Reloaded,
Nature Methods 2024. Nikolov et al., J Med Internet Res 2021 (normalised surface Dice).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..anatomy import SUPERNUMERARY, TEETH, Jaw, tooth
from ..boxes import bounding_box, label_boxes, union
from ..errors import InputError
from ..resampling import displacement
from ..structures import UNKNOWN_VALUE
from ..volume import Volume
from .surface_distance import surface_distances

GRID_TOLERANCE = 0.05  # of a voxel: text headers and NIfTI's float32 round origins, real shifts are larger
FRAGMENT = 0.1  # of a tooth's volume: the least that counts as a part of it when splits are counted


@dataclass(frozen=True)
class BinaryScores:
    """Scores of the tooth mask: all teeth of a map together.

    Attributes
    ----------
    dice : float
    nsd_05, nsd_10 : float
        Normalised surface Dice at 0.5 mm and at 1.0 mm.
    hd95_mm : float or None
        95th percentile of the surface distance, the larger of the two directions.
    """

    dice: float
    nsd_05: float
    nsd_10: float
    hd95_mm: float | None


@dataclass(frozen=True)
class InstanceScores:
    """Scores of the instances without their numbers: a tooth is found if a predicted tooth has an IoU of 0.5 or more with it.

    Attributes
    ----------
    reference, predicted, matched : int
        Counts of teeth.
    precision, recall : float or None
    f1 : float
        Also called recognition quality (RQ).
    sq, sq_dice : float or None
        Segmentation quality: mean IoU (Dice) of the matched teeth that are not left out.
    pq, pq_dice : float or None
        Panoptic quality: `f1` times `sq` (`sq_dice`).
    merges : int
        Predicted teeth that hold more than half of each of two or more reference teeth.
    splits : int
        Reference teeth in which two or more predicted teeth lie with more than half of their voxels, each of them
        filling at least a tenth of the tooth.
    """

    reference: int
    predicted: int
    matched: int
    precision: float | None
    recall: float | None
    f1: float
    sq: float | None
    sq_dice: float | None
    pq: float | None
    pq_dice: float | None
    merges: int
    splits: int


@dataclass(frozen=True)
class NumberingScores:
    """Scores of the numbers of matched teeth.

    Attributes
    ----------
    position_accuracy, jaw_accuracy, fdi_accuracy : float or None
        Shares of the matched teeth with the right position, the right jaw and the right number.
    fdi_f1 : float
        Instance F1 where only a matched tooth with the right number counts as found.
    arches_right : dict
        For every jaw with reference teeth: all are found with the right number, and no other tooth is predicted in it.
    shifted_by_one : int
        Matched teeth with the number of a neighbour in the arch, including 11 as 21.
    swapped_sides : int
        Matched teeth with the number of the same tooth on the other side, including 11 as 21.
    """

    position_accuracy: float | None
    jaw_accuracy: float | None
    fdi_accuracy: float | None
    fdi_f1: float
    arches_right: dict[Jaw, bool]
    shifted_by_one: int
    swapped_sides: int


@dataclass(frozen=True)
class ToothScore:
    """Scores of one reference tooth.

    Attributes
    ----------
    fdi : int
        Its number in the reference.
    predicted_fdi : int or None
        Number of the predicted tooth that matches; None if it was not found.
    number_right : bool or None
        Whether that number is right or tolerated.
    iou, dice, nsd_05, assd_mm, volume_error_percent : float or None
        Scores of the outline (volume error: predicted minus reference, in per cent of the reference); None if the tooth was
        not found or is left out.
    left_out : bool
        Whether the outline is not scored because of the grade of the reference.
    """

    fdi: int
    predicted_fdi: int | None = None
    number_right: bool | None = None
    iou: float | None = None
    dice: float | None = None
    nsd_05: float | None = None
    assd_mm: float | None = None
    volume_error_percent: float | None = None
    left_out: bool = False


@dataclass(frozen=True)
class Spread:
    """Median and bad tail of a score over the matched teeth (5th percentile of scores, 95th of errors)."""

    median: float | None
    tail: float | None


@dataclass(frozen=True)
class Evaluation:
    """All scores of one segmentation.

    Attributes
    ----------
    binary : BinaryScores
    instances : InstanceScores
    numbering : NumberingScores
    per_tooth : dict of str to Spread
        `dice`, `nsd_05`, `assd_mm` and `volume_error_percent` (absolute) over the matched teeth.
    teeth : tuple of ToothScore
        Scores of every reference tooth.
    missed : tuple of int
        Numbers of the reference teeth that were not found.
    unmatched : tuple of int
        Numbers of the predicted teeth that match none.
    """

    binary: BinaryScores
    instances: InstanceScores
    numbering: NumberingScores
    per_tooth: dict[str, Spread]
    teeth: tuple[ToothScore, ...]
    missed: tuple[int, ...]
    unmatched: tuple[int, ...]


def evaluate(
    prediction: Volume, reference: Volume, quality: dict | None = None, leave_out: Collection[str] = ("C",)
) -> Evaluation:
    """Compare two label maps whose values are FDI numbers.

    Parameters
    ----------
    prediction, reference : Volume
        Label maps on the same grid, 0 where there is no tooth. Supernumerary teeth of the reference (`SUPERNUMERARY`) have no
        FDI number, and voxels with the value 255 were not annotated: both are left out, with the predicted teeth in them.
    quality : dict, optional
        Quality of the reference: `{"teeth": {"36": {"grade": "C"}}, "number_tolerance": {"17": [17, 18]}}`,
        both keys are optional. A tolerated number counts as right.
    leave_out : collection of str
        Grades of reference teeth whose outline is not scored: they have no per-tooth scores and no part in SQ, but must be
        found and numbered, and belong to the tooth mask.

    Raises
    ------
    InputError
        If the grids differ, a value is not an FDI number, or `quality` has another form.
    """
    check_same_grid(prediction, reference)
    tolerated, left_out = _read_quality(quality, leave_out)
    box = bounding_box((prediction.array != 0) | (reference.array != 0)) or (slice(0, 0),) * 3
    predicted, expected = _without_unjudged(prediction.array[box], reference.array[box])
    predicted = _fdi_numbers(predicted, "prediction")
    expected = _fdi_numbers(expected, "reference")
    spacing = reference.spacing_zyx
    counts = overlap_counts(expected, predicted)
    predicted_numbers = _present(counts.sum(axis=0))
    accepted = {fdi: tolerated.get(fdi, {fdi}) for fdi in _present(counts.sum(axis=1))}
    pairs = match_teeth(counts, accepted)

    places, predicted_places = label_boxes(expected), label_boxes(predicted)
    teeth = []
    for fdi, numbers in accepted.items():
        score = ToothScore(fdi, left_out=fdi in left_out)
        if fdi in pairs:
            score = replace(score, predicted_fdi=pairs[fdi], number_right=pairs[fdi] in numbers)
            if not score.left_out:
                near = union((places[fdi], predicted_places[pairs[fdi]]))
                score = replace(score, **_outline_scores(predicted[near] == pairs[fdi], expected[near] == fdi, spacing))
        teeth.append(score)
    return Evaluation(
        binary=_binary_scores(predicted != 0, expected != 0, spacing),
        instances=_instance_scores(counts, len(accepted), len(predicted_numbers), len(pairs), teeth),
        numbering=_numbering_scores(pairs, accepted, predicted_numbers),
        per_tooth=_spreads(teeth),
        teeth=tuple(teeth),
        missed=tuple(fdi for fdi in accepted if fdi not in pairs),
        unmatched=tuple(fdi for fdi in predicted_numbers if fdi not in pairs.values()),
    )


def check_same_grid(prediction: Volume, reference: Volume) -> None:
    """Make sure that two volumes have the same voxels in the same places.

    Raises
    ------
    InputError
        If they differ; the message names the difference.
    """

    def text(numbers: Iterable[float]) -> str:
        return " x ".join(f"{n:.4g}" for n in numbers)

    way_out = "evaluate a segmentation of the very scan that the reference was drawn on, written on its grid"
    if prediction.array.shape != reference.array.shape:
        raise InputError(
            f"The grids differ: the prediction has {text(prediction.size)} voxels, "
            f"the reference {text(reference.size)}; {way_out}."
        )
    shift = displacement(prediction, reference)
    if shift <= GRID_TOLERANCE * min(reference.spacing):
        return
    if not np.allclose(prediction.spacing, reference.spacing, rtol=1e-3):
        cause = f"voxels of {text(prediction.spacing)} mm against {text(reference.spacing)} mm in the reference"
    elif not np.allclose(prediction.direction, reference.direction, atol=1e-3):
        cause = "the axes of the prediction run in other directions than those of the reference"
    else:
        cause = f"the prediction lies up to {shift:.3g} mm away from the reference"
    raise InputError(f"The grids differ: {cause}; {way_out}.")


def overlap_counts(reference: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Voxels by pair of labels, shape (256, 256): row = value in `reference`, column = value in `prediction`.

    Both are uint8 arrays of the same shape. Voxels that are 0 in both are not counted.
    """
    either = (reference != 0) | (prediction != 0)
    pairs = reference[either].astype(np.uint16) * 256 + prediction[either]
    return np.bincount(pairs, minlength=256 * 256).reshape(256, 256)


def match_teeth(counts: np.ndarray, accepted: dict[int, set[int]] | None = None) -> dict[int, int]:
    """Pairs of reference teeth and predicted teeth with an IoU of at least 0.5.

    Above 0.5 the match is unique. At exactly 0.5 (a tooth cut into equal halves, or two equal teeth in one) there may be two
    candidates: then an accepted number goes first, and otherwise the lower number.

    Parameters
    ----------
    counts : ndarray, shape (256, 256)
        From `overlap_counts`.
    accepted : dict, optional
        Right numbers of reference teeth; for teeth that are not among the keys, their own number.
    """
    accepted = accepted or {}
    sizes, predicted_sizes = counts.sum(axis=1), counts.sum(axis=0)
    candidates = []
    for row, column in np.argwhere(counts[1:, 1:]) + 1:
        common = counts[row, column]
        union = sizes[row] + predicted_sizes[column] - common
        if 2 * common >= union:
            wrong = column not in accepted.get(int(row), {row})
            candidates.append((-common / union, wrong, int(row), int(column)))
    pairs: dict[int, int] = {}
    for _, _, row, column in sorted(candidates):
        if row not in pairs and column not in pairs.values():
            pairs[row] = column
    return pairs


def _without_unjudged(predicted: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both maps without supernumerary teeth and unannotated voxels of the reference, and the predicted teeth in them."""
    open_ = np.isin(expected, (*SUPERNUMERARY, UNKNOWN_VALUE))
    if not open_.any():
        return predicted, expected
    there = [n for n in np.unique(predicted[open_]) if n and np.mean(open_[predicted == n]) > 0.5]
    return np.where(open_ | np.isin(predicted, there), 0, predicted), np.where(open_, 0, expected)


def _fdi_numbers(array: np.ndarray, name: str) -> np.ndarray:
    for value in np.unique(array):
        if value != 0 and value not in TEETH:
            raise InputError(
                f"The {name} holds the value {value:g}, which is no FDI tooth number: use a label map whose values are "
                "FDI numbers (11 to 48, 51 to 85), such as `teethseg segment` writes with --labels fdi."
            )
    return array.astype(np.uint8, copy=False)


def _present(sizes: np.ndarray) -> list[int]:
    return [int(fdi) for fdi in np.flatnonzero(sizes) if fdi]


def _read_quality(quality: dict | None, leave_out: Collection[str]) -> tuple[dict[int, set[int]], set[int]]:
    quality = quality or {}
    try:
        accepted = {int(fdi): {int(n) for n in numbers} for fdi, numbers in quality.get("number_tolerance", {}).items()}
        grades = {int(fdi): remarks.get("grade") for fdi, remarks in quality.get("teeth", {}).items()}
        if not all(set(numbers) <= set(TEETH) for numbers in accepted.values()):
            raise ValueError("no FDI number")
    except (AttributeError, TypeError, ValueError):
        raise InputError(
            'The quality file is not of the form {"teeth": {"36": {"grade": "C"}}, "number_tolerance": '
            '{"17": [17, 18]}}; correct it or evaluate without it.'
        ) from None
    return accepted, {fdi for fdi, grade in grades.items() if grade in leave_out}


def _binary_scores(predicted: np.ndarray, expected: np.ndarray, spacing: tuple[float, ...]) -> BinaryScores:
    if not (predicted.any() and expected.any()):
        agreement = float(predicted.any() == expected.any())
        return BinaryScores(dice=agreement, nsd_05=agreement, nsd_10=agreement, hd95_mm=None)
    distances = surface_distances(predicted, expected, spacing)
    return BinaryScores(
        dice=_dice(predicted, expected),
        nsd_05=distances.normalised_surface_dice(0.5),
        nsd_10=distances.normalised_surface_dice(1.0),
        hd95_mm=distances.hausdorff_95(),
    )


def _outline_scores(predicted: np.ndarray, expected: np.ndarray, spacing: tuple[float, ...]) -> dict[str, Any]:
    distances = surface_distances(predicted, expected, spacing)
    dice = _dice(predicted, expected)
    return {
        "iou": dice / (2 - dice),
        "dice": dice,
        "nsd_05": distances.normalised_surface_dice(0.5),
        "assd_mm": distances.average(),
        "volume_error_percent": 100 * (int(predicted.sum()) / int(expected.sum()) - 1),
    }


def _dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * int((first & second).sum()) / (int(first.sum()) + int(second.sum()))


def _instance_scores(
    counts: np.ndarray, reference: int, predicted: int, matched: int, teeth: list[ToothScore]
) -> InstanceScores:
    f1 = _f1(matched, reference, predicted)
    sq, sq_dice = (_mean([getattr(t, name) for t in teeth]) for name in ("iou", "dice"))

    def panoptic(quality: float | None) -> float | None:
        if quality is not None:
            return f1 * quality
        return None if matched else f1  # nothing matched: 1 if both are empty, else 0

    sizes, predicted_sizes = counts.sum(axis=1, keepdims=True), counts.sum(axis=0, keepdims=True)
    swallowed = 2 * counts > sizes
    fragments = (2 * counts > predicted_sizes) & (counts >= FRAGMENT * sizes)
    return InstanceScores(
        reference=reference,
        predicted=predicted,
        matched=matched,
        precision=matched / predicted if predicted else None,
        recall=matched / reference if reference else None,
        f1=f1,
        sq=sq,
        sq_dice=sq_dice,
        pq=panoptic(sq),
        pq_dice=panoptic(sq_dice),
        merges=int((swallowed[1:, 1:].sum(axis=0) > 1).sum()),
        splits=int((fragments[1:, 1:].sum(axis=1) > 1).sum()),
    )


def _numbering_scores(
    pairs: dict[int, int], accepted: dict[int, set[int]], predicted_numbers: list[int]
) -> NumberingScores:
    right = {fdi for fdi, other in pairs.items() if other in accepted[fdi]}
    wrong = [(other, accepted[fdi]) for fdi, other in pairs.items() if fdi not in right]

    def share(same) -> float | None:
        return _mean([any(same(other, number) for number in accepted[fdi]) for fdi, other in pairs.items()])

    extra_jaws = {tooth(fdi).jaw for fdi in predicted_numbers if fdi not in pairs.values()}
    jaws: tuple[Jaw, ...] = ("upper", "lower")
    expected = {jaw: {fdi for fdi in accepted if tooth(fdi).jaw == jaw} for jaw in jaws}
    return NumberingScores(
        position_accuracy=share(lambda a, b: tooth(a).position == tooth(b).position),
        jaw_accuracy=share(lambda a, b: tooth(a).jaw == tooth(b).jaw),
        fdi_accuracy=share(lambda a, b: a == b),
        fdi_f1=_f1(len(right), len(accepted), len(predicted_numbers)),
        arches_right={jaw: teeth <= right and jaw not in extra_jaws for jaw, teeth in expected.items() if teeth},
        shifted_by_one=sum(any(are_neighbours(other, n) for n in numbers) for other, numbers in wrong),
        swapped_sides=sum(any(are_mirrored(other, n) for n in numbers) for other, numbers in wrong),
    )


def are_neighbours(first: int, second: int) -> bool:
    """Whether two FDI numbers are neighbours in the same arch and dentition."""
    a, b = tooth(first), tooth(second)
    # Steps along the arch: ... 12, 11 | 21, 22 ... are -1, 0 | 1, 2.
    steps = [t.position if t.side == "left" else 1 - t.position for t in (a, b)]
    return (a.jaw, a.deciduous) == (b.jaw, b.deciduous) and abs(steps[0] - steps[1]) == 1


def are_mirrored(first: int, second: int) -> bool:
    """Whether two FDI numbers are the same tooth of the right and of the left side."""
    a, b = tooth(first), tooth(second)
    return (a.jaw, a.deciduous, a.position) == (b.jaw, b.deciduous, b.position) and a.side != b.side


def _spreads(teeth: list[ToothScore]) -> dict[str, Spread]:
    spreads = {}
    for name, bad_end in (("dice", 5), ("nsd_05", 5), ("assd_mm", 95), ("volume_error_percent", 95)):
        # `abs`: only volume errors have a sign.
        values = np.abs([getattr(t, name) for t in teeth if getattr(t, name) is not None])
        spreads[name] = (
            Spread(float(np.median(values)), float(np.percentile(values, bad_end)))
            if len(values)
            else Spread(None, None)
        )
    return spreads


def _f1(hits: int, reference: int, predicted: int) -> float:
    return 2 * hits / (reference + predicted) if reference + predicted else 1.0


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None
