"""Small labelled scans as tests of training and of many scans need them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from teethseg.io.case_sources import find_cases
from teethseg.training.cases import CaseStore
from teethseg.volume import Volume

DIRECTION = np.array([[0.0, 0.96, -0.28], [-1.0, 0.0, 0.0], [0.0, 0.28, 0.96]])  # oblique, axes exchanged


def labelled_scan(seed: int = 0, teeth=(11, 21, 36, 46), edge: int = 40) -> tuple[Volume, Volume]:
    """A noisy scan with a bright box for each tooth, upper and lower, left and right, and its labels."""
    rng = np.random.default_rng(seed)
    place = {"spacing": (0.8, 0.9, 1.0), "origin": (-12.0, 7.0, 30.0), "direction": DIRECTION}
    labels = np.zeros((edge, edge, edge), np.uint8)
    blank = Volume(labels, **place)
    centre = blank.to_lps([(edge - 1) / 2] * 3)
    grid = blank.to_lps(np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), axis=-1)) - centre
    for fdi in teeth:
        left, upper = fdi // 10 in (2, 3), fdi // 10 in (1, 2)
        middle = np.array([7.0 if left else -7.0, -6.0 + 2.0 * (fdi % 10), 7.0 if upper else -7.0])
        labels[(np.abs(grid - middle) < [3, 3, 4]).all(axis=-1)] = fdi
    array = (rng.normal(0, 60, labels.shape) + 1500 * (labels > 0)).astype(np.int16)
    return Volume(array, **place), Volume(labels, **place)


def prepare(folder: Path, cache: Path) -> None:
    """The first step of a training worker; here, so that a new process need not import a whole test."""
    for source in find_cases(folder)[0]:
        CaseStore(1.0, cache).get(source)
