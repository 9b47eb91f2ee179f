"""Training cases as PyTorch data sets.

A case is a folder with `image.nrrd`, `labels.seg.nrrd` (or `labels.nrrd`) and `case.json`. Simulated cases also hold
`tissues.nrrd`; each sample of such a case is scanned by another simulated device. DICOM folders with segmentations and scenes
of 3D Slicer are cases too (`io.case_sources`).

Voxels with the label 255 were not annotated and have no part in the loss. Keys of `case.json`: `weight` is how often the case
is drawn (1 if missing); `labels_are` is the numbering scheme of label values without names (`io.label_schemes`); `unerupted`
lists the unerupted teeth (without it, the case has no part in the loss of the eruption head).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from monai.transforms import (
    Compose,
    RandAdjustContrast,
    RandAffine,
    RandBiasField,
    RandDeformGrid,
    RandGaussianNoise,
    RandGaussianSmooth,
    RandHistogramShift,
    RandSimulateLowResolution,
)
from torch.utils.data import Dataset

from ..cascade.networks.cascade_net import COARSE, FINE
from ..cascade.normalisation import first_levels, normalise
from ..errors import InputError
from ..io.case_sources import CaseSource, usable_cases
from ..simulation.scanner import Scanner
from .cases import CaseStore, TrainingCase, load_case
from .degradation import degraded
from .field_of_view import field_of_view_mask
from .fixed_size import FixedSize
from .plain import plain_targets
from .sampling import Sampling, background_centre, random_tooth_voxel, whole_size
from .targets import coarse_targets, fine_targets, is_tooth

log = logging.getLogger(__name__)

_LOOK_AGAIN = 60.0  # seconds between two searches of the folder, at least
SMALL = 0.4  # share of the samples of stage 1 that show only a part of the jaws
# Group normalisation uses the mean and variance of the patch, so patches in use must be about as large as in training.
SMALLEST_PATCH = 64
SMALLEST_FIELD = 48  # voxels of 1.5 mm; below, gradients in bfloat16 become infinite (PyTorch 2.13, CPU): cut instead


def _of_coarse(labels: np.ndarray, _: TrainingCase) -> dict[str, np.ndarray]:
    return coarse_targets(labels)


def _of_fine(labels: np.ndarray, case: TrainingCase) -> dict[str, np.ndarray]:
    return fine_targets(labels, FINE.spacing, case.unerupted)


def _of_plain(labels: np.ndarray, _: TrainingCase) -> dict[str, np.ndarray]:
    return plain_targets(labels)


# Targets from the labels (Z, Y, X) of a case, by stage and for the U-Nets of the first experiments.
Targets = Callable[[np.ndarray, TrainingCase], dict[str, np.ndarray]]
TARGETS: dict[str, Targets] = {
    "coarse": _of_coarse,
    "fine": _of_fine,
    "plain": _of_plain,
}


class _Cases:
    """The cases of a folder, drawn by their weights; the folder is searched again from time to time, as it may grow.

    A case that cannot be read is left out, with one warning.
    """

    def __init__(self, folder: str | Path | Sequence[CaseSource], store: CaseStore):
        self.folder, self.store = folder, store
        self.broken: dict[str, str] = {}
        self._sources: list[CaseSource] = []
        self._shares: np.ndarray = np.empty(0)
        self._next_look = -np.inf

    def draw(self, rng: np.random.Generator) -> TrainingCase:
        while True:
            self._look()
            at = np.searchsorted(self._shares, rng.uniform(0, self._shares[-1]), side="right")
            if (case := self.get(self._sources[at])) is not None:
                return case

    def listed(self) -> list[CaseSource]:
        """The cases that are found now, without those that could not be read."""
        self._look()
        return list(self._sources)

    def get(self, source: CaseSource) -> TrainingCase | None:
        """A case; None, with one warning, if it cannot be read."""
        if source.name in self.broken:
            return None
        try:
            return self.store.get(source, load_case)
        except InputError as error:
            self._leave_out(source, str(error))
        return None

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
    """Boxes of `size` around `centre` (voxel indices), padded with `fills` beyond the arrays."""
    start = np.round(centre).astype(int) - np.array(size) // 2
    stop = start + size
    shape = np.array(arrays[0].shape)
    inside = tuple(slice(max(a, 0), max(min(b, n), 0)) for a, b, n in zip(start, stop, shape, strict=True))
    pads = [(max(-a, 0), max(b - n, 0)) for a, b, n in zip(start, stop, shape, strict=True)]
    pads = [(min(a, s), min(b, s - min(a, s))) for (a, b), s in zip(pads, size, strict=True)]
    return [np.pad(a[inside], pads, constant_values=f) for a, f in zip(arrays, fills, strict=True)]


def _elastic(shape: tuple[int, ...], spacing: float, rng: np.random.Generator) -> torch.Tensor | None:
    """A sampling grid (4, Z, Y, X) for MONAI with smooth displacements of about 0.7 mm; None for every third sample."""
    if rng.random() < 0.33:
        return None
    # MONAI's `RandDeformGrid` draws offsets on a coarse grid, as its `Rand2DElastic` does. Its `Rand3DElastic` draws one for
    # every voxel and smooths them by convolution, which takes longer than all other augmentations together.
    pitch = tuple(min(max(2, round(rng.uniform(9, 20) / spacing)), max(n, 2)) for n in shape)
    deform = RandDeformGrid(pitch, (0.3 / spacing, 1.0 / spacing))
    deform.set_random_state(int(rng.integers(2**31)))
    grid = deform(shape).float()
    # MONAI's coarse grid reaches far beyond the sample: the rest is cut off after each axis, which takes half the time.
    for axis, (step, n) in enumerate(zip(pitch, shape, strict=True)):
        size = [*grid.shape[1:]]
        size[axis] *= step
        grid = torch.nn.functional.interpolate(grid[None], size, mode="trilinear", align_corners=False)[0]
        grid = grid.narrow(axis + 1, size[axis] // 2 - n // 2, n)
    return grid


def _sizes(smallest: int, largest: int, rng: np.random.Generator) -> tuple[int, int, int]:
    """Edges of a sample in voxels: multiples of 16."""
    z, y, x = (16 * rng.integers(min(smallest, largest) // 16, largest // 16 + 1, size=3)).tolist()
    return z, y, x


class _Samples(Dataset):
    """Endless random samples; the length is only the length of an epoch."""

    def __init__(
        self,
        folder,
        spacing: float,
        samples: int,
        seed: int,
        artefact_level: float,
        targets: Targets,
        cache: Path | None = None,
        sampling: Sampling | None = None,
        store: CaseStore | None = None,
    ):
        self.cases = _Cases(folder, store or CaseStore(spacing, cache))
        self.sampling = sampling or Sampling()
        self.targets = targets
        self.samples, self.seed, self.artefact_level, self.spacing = samples, seed, artefact_level, spacing
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

    def _turned(self, case: TrainingCase, centre, size, rng, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image or tissues, and labels, randomly rotated, scaled and mirrored around a centre."""
        wide = tuple(max(2, int(n * 1.25) // 2 * 2) for n in size)
        source, labels = _crop([case.source, case.labels], centre, wide, [case.darkest, 0])
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
        # Half the time of MONAI's float64; its annotation knows types of numpy only.
        affine.resampler.dtype = torch.float32  # type: ignore[assignment]
        affine.set_random_state(int(rng.integers(2**31)))
        stack = torch.from_numpy(np.stack([source, labels]).astype(np.float32))
        if case.tissues is not None:
            turned = affine(stack, mode="nearest")
            return np.asarray(turned[0]), np.asarray(turned[1]).astype(np.uint8)
        grid = _elastic(size, self.spacing, rng) if does("elastic") else None
        moved = affine(stack[1:], mode="nearest", grid=grid)
        image = affine(stack[:1], mode="bilinear", grid=grid, randomize=False)
        return np.asarray(image[0]), np.asarray(moved[0]).astype(np.uint8)

    def _scan(self, case: TrainingCase, source: np.ndarray, labels: np.ndarray, rng) -> tuple[np.ndarray, float, float]:
        """An image and its grey values of soft tissue and tooth."""
        if case.tissues is not None:
            scan = Scanner(int(rng.integers(2**31)), self.artefact_level, extra_artefacts=True)(
                torch.from_numpy(source.astype(np.uint8)), self.spacing
            )
            image = scan.image.numpy()
            if self.sampling.does("degradation"):
                image = degraded(image, scan.soft, scan.tooth, self.spacing, rng)
            return image, scan.soft, scan.tooth
        self._grey.set_random_state(int(rng.integers(2**31)))
        self._noise.set_random_state(int(rng.integers(2**31)))
        spread = float(source.std()) or 1.0
        image = np.asarray(self._grey(torch.from_numpy(source[None])))[0]
        image = np.asarray(self._noise(torch.from_numpy(image[None] / spread)))[0] * spread
        soft, hard = first_levels(image)
        # The level of the soft tissue of the whole scan after the change of greys: a patch may hold hardly any.
        flesh = np.abs(source - case.soft) < 0.1 * spread
        if np.count_nonzero(flesh) > 500:
            soft = float(np.median(image[flesh]))
        teeth = is_tooth(labels)
        tooth = float(np.median(image[teeth])) if np.count_nonzero(teeth) > 50 else max(hard, soft + spread)
        return image, soft, max(tooth, soft + 1e-3 * spread)

    def rng(self, index: int) -> np.random.Generator:
        """Random numbers of a sample: they depend on seed, epoch and index only, not on the process."""
        return np.random.default_rng([self.seed, self.epoch, index])

    def drawn(self, index: int) -> tuple[np.ndarray, np.ndarray, TrainingCase]:
        """The input of the network, its labels (Z, Y, X), and their case."""
        raise NotImplementedError

    def __getitem__(self, index: int) -> dict:
        image, labels, case = self.drawn(index)
        target = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in self.targets(labels, case).items()}
        return {"image": torch.from_numpy(np.ascontiguousarray(image[None])), "target": target}


class CoarseSamples(_Samples):
    """Samples of stage 1: whole scans and large parts of them, with many fields of view."""

    def __init__(
        self,
        folder,
        samples: int,
        seed: int,
        largest: int = 128,
        artefact_level: float = 1.0,
        cache=None,
        sampling=None,
    ):
        super().__init__(folder, COARSE.spacing, samples, seed, artefact_level, TARGETS["coarse"], cache, sampling)
        self.largest = largest

    def drawn(self, index: int) -> tuple[np.ndarray, np.ndarray, TrainingCase]:
        """A whole scan or a part of it with random augmentations, its labels and its case."""
        rng = self.rng(index)
        case = self.cases.draw(rng)
        small = rng.random() < SMALL  # a sextant, one jaw, one side
        size = _sizes(SMALLEST_FIELD, 80 if small else self.largest, rng)
        shape = np.array(case.labels.shape)
        teeth = case.places[:, 1:]
        kind = self.sampling.kind(rng.random()) if len(teeth) else "anywhere"
        offset = rng.normal(0, 0.25, 3) * np.array(size)
        if kind in ("around", "centred"):
            middle = random_tooth_voxel(case, rng) if small else teeth.mean(axis=0)
            centre = middle + offset * (kind == "around")
        else:
            centre = (
                background_centre(case, size, rng) if kind == "without" else shape * rng.uniform(0.1, 0.9, 3) + offset
            )
        if self.sampling.whole and (whole := whole_size(case, self.largest)):
            size, centre = whole, shape / 2
        source, labels = self._turned(case, centre, size, rng, index)
        image, _, _ = self._scan(case, source, labels, rng)
        if rng.random() < (0.8 if small else 0.4) * self.sampling.does("cut"):
            inside = field_of_view_mask(size, 0.3 if small else 0.1, rng)
            image = np.where(inside, image, rng.choice([image.min(), 0.0, np.percentile(image, 1)]))
            labels = np.where(inside, labels, 0)
        image = normalise(image, *first_levels(image))
        if self.sampling.does("intensity"):
            image = image * np.float32(rng.normal(1, 0.08)) + np.float32(rng.normal(0, 0.05))
        return image.astype(np.float32), labels, case


class FineSamples(_Samples):
    """Samples of stage 2: patches of many sizes, most of them around a tooth."""

    def __init__(
        self,
        folder,
        samples: int,
        seed: int,
        largest: int = 112,
        artefact_level: float = 1.0,
        cache=None,
        sampling=None,
    ):
        super().__init__(folder, FINE.spacing, samples, seed, artefact_level, TARGETS["fine"], cache, sampling)
        self.largest = largest

    def drawn(self, index: int) -> tuple[np.ndarray, np.ndarray, TrainingCase]:
        """A patch with random augmentations, its labels and its case."""
        rng = self.rng(index)
        case = self.cases.draw(rng)
        size = _sizes(SMALLEST_PATCH, self.largest, rng)
        kind = self.sampling.kind(rng.random()) if len(case.places) else "anywhere"
        if kind in ("around", "centred"):
            centre = random_tooth_voxel(case, rng) + rng.normal(0, 0.2, 3) * size * (kind == "around")
        elif kind == "without":
            centre = background_centre(case, size, rng)
        else:
            centre = rng.uniform(0.05, 0.95, 3) * case.labels.shape
        if self.sampling.whole and (whole := whole_size(case, self.largest)):
            size, centre = whole, np.array(case.labels.shape) / 2
        source, labels = self._turned(case, centre, size, rng, index)
        image, soft, tooth = self._scan(case, source, labels, rng)
        if rng.random() < 0.15 * self.sampling.does("cut"):
            inside = field_of_view_mask(size, 0.3, rng)
            image, labels = np.where(inside, image, image.min()), np.where(inside, labels, 0)
        # In use these levels come from stage 1, with a small error.
        reach = tooth - soft
        if self.sampling.does("intensity"):
            soft, tooth = soft + rng.normal(0, 0.08) * reach, tooth + rng.normal(0, 0.1) * reach
        return normalise(image, soft, max(tooth, soft + 0.2 * reach)), labels, case


_USUAL_VOXEL = 0.4  # mm; assumed where the voxels of the scans are kept


class FixedSamples(_Samples):
    """Whole series in one size: each series once in a pass, in another order in every pass.

    With `Sampling.turns`, a pass has that many rotations of each series. A series is read when it is due, and only once
    if there is a cache folder. Of simulated cases the scan is used.

    Parameters
    ----------
    folder : path or sequence of CaseSource
    fixed : FixedSize
    samples, seed : int
    targets : callable
        Called with labels (slices, rows, columns) and their case; returns arrays by name.
    spacing : float, optional
        Voxel size in mm of the grid to resample to; without it the voxels are kept.
    cache : Path, optional
    sampling : Sampling, optional
        Only its augmentations and turns are used.
    """

    def __init__(
        self,
        folder,
        fixed: FixedSize,
        samples: int,
        seed: int,
        targets: Targets,
        *,
        spacing: float | None = None,
        cache: Path | None = None,
        sampling: Sampling | None = None,
    ):
        store = CaseStore(spacing, cache, fixed)
        super().__init__(folder, spacing or _USUAL_VOXEL, samples, seed, 1.0, targets, None, sampling, store)
        self.fixed = fixed
        self.series = [replace(source, tissues=None) for source in self.cases.listed()]

    def order(self, number: int) -> np.ndarray:
        """Random order of a pass; each number is series * turns + turn."""
        return np.random.default_rng([self.seed, number]).permutation(len(self.series) * max(1, self.sampling.turns))

    def drawn(self, index: int) -> tuple[np.ndarray, np.ndarray, TrainingCase]:
        """An image, its labels (Z, Y, X), and their case; a series that cannot be read is skipped."""
        turns = max(1, self.sampling.turns)
        total = len(self.series) * turns
        first = self.epoch * self.samples + index
        for place in range(first, first + total):
            chosen = int(self.order(place // total)[place % total])
            case = self.cases.get(self.series[chosen // turns])
            if case is not None:
                break
        else:
            raise InputError("No series can be read: run 'teethseg data check' on the folder.")
        rng = self.rng(index)
        image, labels = np.asarray(case.source), np.asarray(case.labels)
        if self.sampling.moves:
            image, labels = self._turned(case, np.array(image.shape) / 2, image.shape, rng, chosen % turns)
        if self.sampling.augment & {"intensity", "blur", "noise"}:
            image = self._scan(case, image, labels, rng)[0]
        if rng.random() < 0.15 * self.sampling.does("cut"):
            inside = field_of_view_mask(image.shape, 0.3, rng)
            image, labels = np.where(inside, image, case.darkest), np.where(inside, labels, 0)
        return image.astype(np.float32), labels, case

    def __getitem__(self, index: int) -> dict:
        image, labels, case = self.drawn(index)
        image, labels = (np.ascontiguousarray(self.fixed.slices(one)) for one in (image, labels))
        target = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in self.targets(labels, case).items()}
        return {"image": torch.from_numpy(image[None]), "target": target}
