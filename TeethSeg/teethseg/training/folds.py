"""Cross-validation by patient: the folds, and checks that no patient is in two of them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from ..errors import InputError, UsageError
from ..io.atomic_write import written_whole
from ..io.case_sources import CaseSource
from ..io.json_text import json_text, read_json
from .cases import CaseStore, TrainingCase
from .options import make_folder

PLAN, LOOKS = "folds.json", "test-looks.json"


@dataclass(frozen=True)
class FoldPlan:
    """Patient keys of each fold, and of the test set, which is in no fold."""

    folds: tuple[tuple[str, ...], ...]
    test: tuple[str, ...]

    def of_fold(self, number: int, cases: Iterable[CaseSource]) -> tuple[list[CaseSource], list[CaseSource]]:
        """Training cases and validation cases of a fold."""
        judged = set(self.folds[number])
        known = {patient for fold in self.folds for patient in fold}
        cases = list(cases)
        training = [case for case in cases if case.patient in known - judged]
        return training, [case for case in cases if case.patient in judged]


def draw_folds(cases: Sequence[CaseSource], folds: int, test_share: float, seed: int) -> FoldPlan:
    """Distribute patients at random to folds with nearly the same number of scans.

    Raises
    ------
    UsageError
        If there are too few patients.
    """
    scans: dict[str, int] = defaultdict(int)
    for case in cases:
        scans[case.patient] += 1
    order = [sorted(scans)[at] for at in np.random.default_rng(seed).permutation(len(scans))]
    tests = round(test_share * len(order))
    if len(order) - tests < folds or folds < 2:
        raise UsageError(
            f"{len(order)} patients do not make {max(folds, 2)} folds and a test set of {tests}: take fewer folds, or label "
            "more."
        )
    shares: list[list[str]] = [[] for _ in range(folds)]
    for patient in sorted(order[tests:], key=lambda patient: -scans[patient]):
        min(shares, key=lambda share: (sum(scans[one] for one in share), len(share))).append(patient)
    return FoldPlan(tuple(tuple(sorted(share)) for share in shares), tuple(sorted(order[:tests])))


def load_or_draw_plan(run: Path, cases: Sequence[CaseSource], folds: int, test_share: float, seed: int) -> FoldPlan:
    """The plan of a run from `folds.json`, or a new one, which is saved there.

    Raises
    ------
    UsageError
        If patients or number of folds differ from those of the saved plan.
    """
    file = run / PLAN
    if file.exists():
        plan = read_plan(run)
        listed = {patient for fold in (*plan.folds, plan.test) for patient in fold}
        if listed != {case.patient for case in cases} or len(plan.folds) != folds:
            raise UsageError(f"{run} was begun with other patients or another number of folds: take another --run.")
        return plan
    plan = draw_folds(cases, folds, test_share, seed)
    make_folder(run)
    with written_whole(file) as draft:
        draft.write_text(json_text({"folds": plan.folds, "test": plan.test}, indent=1), encoding="utf-8")
    return plan


def read_plan(run: Path) -> FoldPlan:
    """The saved plan of a run.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        content = read_json(run / PLAN)
        folds = tuple(tuple(map(str, fold)) for fold in content["folds"])
        return FoldPlan(folds, tuple(map(str, content["test"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{run} holds no folds: run 'teethseg folds run' first.") from error


def check_leaks(plan: FoldPlan, cases: Sequence[CaseSource], store: CaseStore) -> None:
    """Make sure that no patient, and no scan under another patient key, is in two folds or in a fold and the test set.

    Scans are compared by their voxels on the grid of the stage, not by their files.

    Raises
    ------
    UsageError
        For the first patient or scan that is; the message names it.
    """
    where: dict[str, int] = {}
    groups = (*plan.folds, plan.test)
    for number, group in enumerate(groups):
        for patient in group:
            if where.setdefault(patient, number) != number:
                raise UsageError(
                    f"Patient {patient} is in two folds: take another --run, so that folds are drawn anew."
                )
    seen: dict[str, CaseSource] = {}
    for case in cases:
        first = seen.setdefault(image_hash(store.get(case)), case)
        if where.get(first.patient) != where.get(case.patient):
            raise UsageError(
                f"{case.name} shows the same scan as {first.name}, under another patient and in another fold: take one away."
            )


def image_hash(case: TrainingCase) -> str:
    """SHA-256 of the image of a case, or of its tissues."""
    image = case.source
    digest = hashlib.sha256(str(image.shape).encode())
    for plane in image:
        digest.update(np.ascontiguousarray(plane).data)
    return digest.hexdigest()


def record_look(run: Path) -> list[str]:
    """Record a look at the test set now; returns the times of all looks. Only the scores of the first look are unbiased."""
    file = run / LOOKS
    looks = list(read_json(file)) if file.exists() else []
    looks.append(datetime.now(timezone.utc).isoformat(timespec="seconds"))
    with written_whole(file) as draft:
        draft.write_text(json_text(looks, indent=1), encoding="utf-8")
    return looks
