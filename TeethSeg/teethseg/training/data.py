"""Training cases as PyTorch data sets.

A case is a folder with `image.nrrd`, `labels.seg.nrrd` (or `labels.nrrd`) and `case.json`. Simulated cases hold
`tissues.nrrd` too: then every sample is scanned anew, by another simulated device. Voxels labelled 255 were judged by
nobody and are not learned from. A case is drawn as often as the `weight` in its `case.json` says (1 without); its
`labels_are` says how label values are numbered where names do not tell (`io.label_schemes`), and `unerupted` lists the teeth
that have not erupted: without it nothing of eruption is learned from the case. DICOM folders with segmentations and scenes of
3D Slicer are cases too (`io.case_sources`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from monai.transforms import (
    Compose,
    RandAdjustContrast,
    RandAffine,
    RandBiasField,
    RandGaussianNoise,
    RandGaussianSmooth,
    RandHistogramShift,
    RandSimulateLowResolution,
)
from torch.utils.data import Dataset

from ..cascade.networks.cascade_net import COARSE, FINE
from ..cascade.normalisation import first_levels, normalise
from ..errors import InputError
from ..io.case_sources import CaseSource, facts_of, usable_cases
from ..simulation.scanner import Scanner
from .cases import Case, CaseStore, load_case
from .field_of_view import seen
from .sampling import Sampling, a_tooth, whole_size, without_teeth
from .targets import coarse_targets, fine_targets, is_tooth

log = logging.getLogger(__name__)

_LOOK_AGAIN = 60.0  # seconds, at least, between two looks through a folder
SMALL = 0.4  # share of stage 1's samples that show a part of the jaws only
# Group normalisation takes a patch's own mean and variance, so a network knows only sizes like those it was trained with.
SMALLEST_PATCH = 64
SMALLEST_FIELD = 48  # voxels of 1.5 mm; below, gradients in bfloat16 become infinite (PyTorch 2.13, CPU): cut instead


def patient_of(folder: Path) -> str:
    """The patient key of a case."""
    return facts_of(folder).patient


class _Cases:
    """The cases of a folder, drawn by their weights; a folder that grows is looked through again and again.

    A case that cannot be read is named, once, and the others go on.
    """

    def __init__(self, folder: str | Path | Sequence[CaseSource], spacing: float, cache: Path | None = None):
        self.folder = folder
        self.store = CaseStore(spacing, cache)
        self.broken: dict[str, str] = {}
        self._sources: list[CaseSource] = []
        self._shares: np.ndarray = np.empty(0)
        self._next_look = -np.inf

    def draw(self, rng: np.random.Generator) -> Case:
        while True:
            self._look()
            at = np.searchsorted(self._shares, rng.uniform(0, self._shares[-1]), side="right")
            source = self._sources[at]
            try:
                return self.store.get(source, load_case)
            except InputError as error:
                self._leave_out(source, str(error))

    def _look(self) -> None:
        started = time.monotonic()
        if started < self._next_look:
            return
        sources = usable_cases(self.folder) if isinstance(self.folder, str | Path) else self.folder
        self._take(sources)
        self._next_look = time.monotonic() + max(_LOOK_AGAIN, 200 * (time.monotonic() - started))

    def _take(self, sources: Sequence[CaseSource]) -> None:
        self._sources = [source for source in sources if source.weight > 0 and source.name not in self.broken]
        if not self._sources:
            why = f" ({next(iter(self.broken.values()))})" if self.broken else ""
            raise InputError(f"No training case in {self.folder} can be used{why}: run 'teethseg data check' on it.")
        self._shares = np.cumsum([source.weight for source in self._sources])

    def _leave_out(self, source: CaseSource, why: str) -> None:
        log.warning("Left out: %s. %s", source.name, why)
        self.broken[source.name] = why
        self._take(self._sources)


def _crop(arrays: list[np.ndarray], centre: np.ndarray, size: tuple[int, ...], fills: list[float]) -> list[np.ndarray]:
    """Boxes of `size` round `centre` (voxel indices), padded with `fills` beyond the arrays."""
    start = np.round(centre).astype(int) - np.array(size) // 2
    stop = start + size
    shape = np.array(arrays[0].shape)
    inside = tuple(slice(max(a, 0), max(min(b, n), 0)) for a, b, n in zip(start, stop, shape, strict=True))
    pads = [(max(-a, 0), max(b - n, 0)) for a, b, n in zip(start, stop, shape, strict=True)]
    pads = [(min(a, s), min(b, s - min(a, s))) for (a, b), s in zip(pads, size, strict=True)]
    return [np.pad(a[inside], pads, constant_values=f) for a, f in zip(arrays, fills, strict=True)]


def _bend(shape: tuple[int, ...], spacing: float, rng: np.random.Generator) -> torch.Tensor | None:
    """A smooth random displacement of about 0.7 mm, as a sampling grid (1, Z, Y, X, 3); None for every third sample."""
    # Not by MONAI's `Rand3DElastic`: it draws an offset for every voxel and smooths them by convolution; here a few hundred
    # offsets are interpolated.
    if rng.random() < 0.33:
        return None
    pitch = rng.uniform(9, 20)
    lattice = [max(3, int(n * spacing / pitch) + 2) for n in shape]
    move = torch.from_numpy(rng.normal(0, rng.uniform(0.3, 1.0), (1, 3, *lattice)).astype(np.float32))
    move = torch.nn.functional.interpolate(move, size=tuple(shape), mode="trilinear", align_corners=True)
    unit = torch.tensor([2 / (spacing * max(n - 1, 1)) for n in reversed(shape)])
    still = torch.nn.functional.affine_grid(torch.eye(3, 4)[None], [1, 1, *shape], align_corners=True)
    return still + move.movedim(1, -1) * unit


def _bent(stack: torch.Tensor, bend: torch.Tensor | None, mode: str) -> torch.Tensor:
    """A stack (C, Z, Y, X) sampled on the grid of `_bend`."""
    if bend is None:
        return stack
    return torch.nn.functional.grid_sample(stack[None], bend, mode, "border", align_corners=True)[0]


def _sizes(smallest: int, largest: int, rng: np.random.Generator) -> tuple[int, int, int]:
    """Edges of a sample in voxels: multiples of 16."""
    return tuple(16 * int(n) for n in rng.integers(min(smallest, largest) // 16, largest // 16 + 1, size=3))


class _Samples(Dataset):
    """Endless random samples; the length is only the length of what is called an epoch."""

    def __init__(
        self,
        folder,
        spacing: float,
        samples: int,
        seed: int,
        hard: float,
        cache: Path | None = None,
        sampling: Sampling | None = None,
    ):
        self.cases = _Cases(folder, spacing, cache)
        self.sampling = sampling or Sampling()
        self.samples, self.seed, self.hard, self.spacing = samples, seed, hard, spacing
        self.epoch = 0
        does = self.sampling.does
        greys = [
            RandHistogramShift(num_control_points=(5, 9), prob=0.4),
            RandAdjustContrast(prob=0.4, gamma=(0.7, 1.4)),
            RandBiasField(prob=0.3, coeff_range=(0.0, 0.15)),
        ]
        blurs = [
            RandGaussianSmooth(prob=0.3, sigma_x=(0.3, 1.0), sigma_y=(0.3, 1.0), sigma_z=(0.3, 1.0)),
            RandSimulateLowResolution(prob=0.2, zoom_range=(0.4, 1.0)),
        ]
        self._grey = Compose([*greys * does("intensity"), *blurs * does("blur")])
        self._noise = RandGaussianNoise(prob=0.5 * does("noise"), std=0.08)

    def __len__(self) -> int:
        return self.samples

    def _turned(self, case: Case, centre, size, rng, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image or tissues, and labels, randomly turned, scaled and mirrored round a centre."""
        source = case.image if case.tissues is None else case.tissues
        wide = tuple(int(n * 1.25) // 2 * 2 for n in size)
        source, labels = _crop([source, case.labels], centre, wide, [case.darkest, 0])
        does = self.sampling.does
        if rng.random() < 0.5 * does("flip"):  # classes are the same on both sides
            source, labels = source[:, :, ::-1], labels[:, :, ::-1]
        affine = RandAffine(
            prob=1.0,
            rotate_range=self.sampling.rotations(index),
            scale_range=(0.12 * does("scale"),) * 3,
            shear_range=(0.06 * does("shear"),) * 6,
            spatial_size=size,
            padding_mode="border",
        )
        affine.set_random_state(int(rng.integers(2**31)))
        stack = torch.from_numpy(np.stack([source, labels]).astype(np.float32))
        if case.tissues is not None:
            turned = affine(stack, mode="nearest")
            return np.asarray(turned[0]), np.asarray(turned[1]).astype(np.uint8)
        bend = _bend(wide, self.spacing, rng) if does("bend") else None
        labels = affine(_bent(stack[1:], bend, "nearest"), mode="nearest")
        image = affine(_bent(stack[:1], bend, "bilinear"), mode="bilinear", randomize=False)
        return np.asarray(image[0]), np.asarray(labels[0]).astype(np.uint8)

    def _scan(self, case: Case, source: np.ndarray, labels: np.ndarray, rng) -> tuple[np.ndarray, float, float]:
        """An image and its grey values of soft tissue and tooth."""
        if case.tissues is not None:
            scan = Scanner(int(rng.integers(2**31)), self.hard, harder=True)(
                torch.from_numpy(source.astype(np.uint8)), self.spacing
            )
            return scan.image.numpy(), scan.soft, scan.tooth
        self._grey.set_random_state(int(rng.integers(2**31)))
        self._noise.set_random_state(int(rng.integers(2**31)))
        spread = float(source.std()) or 1.0
        image = np.asarray(self._grey(torch.from_numpy(source[None])))[0]
        image = np.asarray(self._noise(torch.from_numpy(image[None] / spread)))[0] * spread
        soft, hard = first_levels(image)
        # The scan's own soft tissue, wherever the changed scale has put it: a patch may hold hardly any.
        flesh = np.abs(source - case.soft) < 0.1 * spread
        if np.count_nonzero(flesh) > 500:
            soft = float(np.median(image[flesh]))
        teeth = is_tooth(labels)
        tooth = float(np.median(image[teeth])) if np.count_nonzero(teeth) > 50 else max(hard, soft + spread)
        return image, soft, max(tooth, soft + 1e-3 * spread)

    def rng(self, index: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.epoch, index])

    def drawn(self, index: int) -> tuple[np.ndarray, np.ndarray, Case]:
        """An image as the network sees it, its labels (Z, Y, X), and the case that they were drawn from."""
        raise NotImplementedError

    def targets(self, labels: np.ndarray, case: Case) -> dict[str, np.ndarray]:
        """What the network is to say of the labels."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> dict:
        image, labels, case = self.drawn(index)
        target = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in self.targets(labels, case).items()}
        return {"image": torch.from_numpy(np.ascontiguousarray(image[None])), "target": target}


class CoarseSamples(_Samples):
    """Whole scans and large parts of them for stage 1, of many fields of view."""

    def __init__(
        self, folder, samples: int, seed: int, largest: int = 128, hard: float = 1.0, cache=None, sampling=None
    ):
        super().__init__(folder, COARSE.spacing, samples, seed, hard, cache, sampling)
        self.largest = largest

    def drawn(self, index: int) -> tuple[np.ndarray, np.ndarray, Case]:
        rng = self.rng(index)
        case = self.cases.draw(rng)
        small = rng.random() < SMALL  # a sextant, one jaw, one side
        size = _sizes(SMALLEST_FIELD, 80 if small else self.largest, rng)
        shape = np.array(case.labels.shape)
        teeth = case.places[:, 1:]
        kind = self.sampling.kind(rng.random()) if len(teeth) else "anywhere"
        offset = rng.normal(0, 0.25, 3) * np.array(size)
        if kind in ("around", "centred"):
            middle = a_tooth(case, rng) if small else teeth.mean(axis=0)
            centre = middle + offset * (kind == "around")
        else:
            centre = without_teeth(case, size, rng) if kind == "without" else shape * rng.uniform(0.1, 0.9, 3) + offset
        if self.sampling.whole and (whole := whole_size(case, self.largest)):
            size, centre = whole, shape / 2
        source, labels = self._turned(case, centre, size, rng, index)
        image, _, _ = self._scan(case, source, labels, rng)
        if rng.random() < (0.8 if small else 0.4) * self.sampling.does("cut"):
            inside = seen(size, 0.3 if small else 0.1, rng)
            image = np.where(inside, image, rng.choice([image.min(), 0.0, np.percentile(image, 1)]))
            labels = np.where(inside, labels, 0)
        image = normalise(image, *first_levels(image))
        if self.sampling.does("intensity"):
            image = image * np.float32(rng.normal(1, 0.08)) + np.float32(rng.normal(0, 0.05))
        return image.astype(np.float32), labels, case

    def targets(self, labels: np.ndarray, _: Case) -> dict[str, np.ndarray]:
        return coarse_targets(labels)


class FineSamples(_Samples):
    """Patches for stage 2, of many sizes, most of them round a tooth."""

    def __init__(
        self, folder, samples: int, seed: int, largest: int = 112, hard: float = 1.0, cache=None, sampling=None
    ):
        super().__init__(folder, FINE.spacing, samples, seed, hard, cache, sampling)
        self.largest = largest

    def drawn(self, index: int) -> tuple[np.ndarray, np.ndarray, Case]:
        rng = self.rng(index)
        case = self.cases.draw(rng)
        size = _sizes(SMALLEST_PATCH, self.largest, rng)
        kind = self.sampling.kind(rng.random()) if len(case.places) else "anywhere"
        if kind in ("around", "centred"):
            centre = a_tooth(case, rng) + rng.normal(0, 0.2, 3) * size * (kind == "around")
        elif kind == "without":
            centre = without_teeth(case, size, rng)
        else:
            centre = rng.uniform(0.05, 0.95, 3) * case.labels.shape
        if self.sampling.whole and (whole := whole_size(case, self.largest)):
            size, centre = whole, np.array(case.labels.shape) / 2
        source, labels = self._turned(case, centre, size, rng, index)
        image, soft, tooth = self._scan(case, source, labels, rng)
        if rng.random() < 0.15 * self.sampling.does("cut"):
            inside = seen(size, 0.3, rng)
            image, labels = np.where(inside, image, image.min()), np.where(inside, labels, 0)
        # Stage 1 finds these levels nearly right.
        reach = tooth - soft
        if self.sampling.does("intensity"):
            soft, tooth = soft + rng.normal(0, 0.08) * reach, tooth + rng.normal(0, 0.1) * reach
        return normalise(image, soft, max(tooth, soft + 0.2 * reach)), labels, case

    def targets(self, labels: np.ndarray, case: Case) -> dict[str, np.ndarray]:
        return fine_targets(labels, FINE.spacing, case.unerupted)
