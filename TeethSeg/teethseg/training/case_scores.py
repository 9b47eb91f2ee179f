"""Scores of a network on whole cases: overlap, and teeth by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..anatomy import TEETH
from ..cascade.inference import InferenceConfig, fallbacks, run_tiled, run_with_fallbacks
from ..cascade.networks.cascade_net import COARSE, FINE
from ..cascade.networks.ensemble import StageNetwork
from ..cascade.normalisation import first_levels, normalise
from ..io.case_sources import CaseSource
from .cases import CaseStore, TrainingCase
from .options import Stage
from .targets import UNKNOWN, is_tooth

POSITIONS = 8
SPACINGS = {"coarse": COARSE.spacing, "fine": FINE.spacing}


@dataclass(frozen=True)
class CaseScores:
    """Scores of a network on one case.

    Attributes
    ----------
    case, patient : str
    dice, precision, recall : float
        Of the tooth mask, over all annotated voxels.
    confusion : ndarray of int, shape (8, 8)
        Teeth by true position (rows, 1 to 8 from the midline) and by the position with the highest mean logit in the tooth.
    """

    case: str
    patient: str
    dice: float
    precision: float
    recall: float
    confusion: np.ndarray

    @property
    def position_accuracy(self) -> float:
        """Share of the teeth with the right position; not a number without teeth."""
        total = self.confusion.sum()
        return float(np.trace(self.confusion) / total) if total else float("nan")


def score_cases(
    network: StageNetwork, stage: Stage, cases: Sequence[CaseSource], store: CaseStore, device: str = "auto"
) -> list[CaseScores]:
    """Scores of every case.

    Parameters
    ----------
    network : CascadeNet or Ensemble
    stage : {"coarse", "fine"}
    cases : sequence of CaseSource
        Of simulated cases the scan is used, not the tissues.
    store : CaseStore
        With the spacing of the stage.
    """
    return [score_case(network, stage, source, store, device)[0] for source in cases]


def score_case(
    network: StageNetwork, stage: Stage, source: CaseSource, store: CaseStore, device: str = "auto"
) -> tuple[CaseScores, np.ndarray, TrainingCase]:
    """Scores of a case, the tooth mask (Z, Y, X) of the network, and the case."""
    case = store.get(replace(source, tissues=None))
    teeth = is_tooth(case.labels)
    grey = np.asarray(case.source)
    soft, hard = first_levels(grey)
    if stage == "fine" and np.count_nonzero(teeth) > 50:
        hard = max(
            float(np.median(grey[teeth])), soft + 1e-3
        )  # in use the level comes from stage 1, with a small error
    shape = grey.shape
    divisor = network.architecture.divisor
    room = [(0, -n % divisor) for n in shape]
    image = np.pad(normalise(grey, soft, hard), room, mode="edge")

    def work(config: InferenceConfig):
        return run_tiled(network, image, config, lambda *_: None)

    _, logits = run_with_fallbacks(fallbacks(device), work, lambda _: None)
    found = logits["jaw"].argmax(axis=0) > 0 if stage == "coarse" else logits["tooth"][0] > 0
    found = found[tuple(map(slice, shape))]
    known = case.labels != UNKNOWN
    hits = np.count_nonzero(found & teeth)
    predicted, true = np.count_nonzero(found & known), np.count_nonzero(teeth)
    scores = CaseScores(
        source.name,
        source.patient,
        2 * hits / (predicted + true) if predicted + true else 1.0,
        hits / predicted if predicted else float(true == 0),
        hits / true if true else 1.0,
        _confusion(logits["position"], np.pad(case.labels, room)),
    )
    return scores, found, case


def _confusion(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    half = labels[::2, ::2, ::2]
    numbers = [int(value) for value in np.unique(half) if int(value) in TEETH]
    table = np.zeros((POSITIONS, POSITIONS), int)
    if numbers:
        evidence = np.array([ndimage.mean(channel, half, numbers) for channel in logits])
        for number, predicted in zip(numbers, evidence.argmax(axis=0), strict=True):
            table[TEETH[number].position - 1, predicted] += 1
    return table
