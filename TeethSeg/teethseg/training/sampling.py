"""Places of the samples in a case, and the choice of augmentations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..errors import UsageError
from .cases import TrainingCase

Kind = Literal["around", "centred", "without", "anywhere"]
AUGMENTATIONS = ("turn", "flip", "scale", "shear", "elastic", "intensity", "blur", "noise", "cut", "degradation")
_MOVING = frozenset({"turn", "flip", "scale", "shear", "elastic"})
_EARLIER = {"bend": "elastic"}  # names of earlier versions in parameter files
TURN = np.deg2rad(20.0)  # step of `Sampling.turns`
_TRIES = 20
_MULTIPLE = 16  # of sample sizes, for both networks


@dataclass(frozen=True)
class Sampling:
    """Shares of the samples by their place; the rest lies anywhere.

    Attributes
    ----------
    around : float
        Near a tooth, with a random offset; every tooth of the case has the same probability.
    centred : float
        Centred on a tooth.
    without : float
        Without teeth, if the case has room for it.
    whole : bool
        Whether scans no larger than the largest sample are used whole, padded to a multiple of 16 voxels.
    augment : frozenset of str
        The augmentations in use, from `AUGMENTATIONS`.
    turns : int
        If not 0, sample n is rotated about the vertical axis by (n modulo `turns`) times 20 degrees, and not at random.
    """

    around: float = 0.8
    centred: float = 0.0
    without: float = 0.0
    whole: bool = False
    augment: frozenset[str] = field(default_factory=lambda: frozenset(AUGMENTATIONS))
    turns: int = 0

    def __post_init__(self):
        shares = (self.around, self.centred, self.without)
        if min(shares) < 0 or sum(shares) > 1 + 1e-9:
            raise UsageError("around, centred and without are shares: give numbers from 0 that make no more than 1.")
        if wrong := sorted(self.augment - set(AUGMENTATIONS)):
            raise UsageError(f"There is no augmentation {wrong[0]}: there are {', '.join(AUGMENTATIONS)}; all; none.")

    def does(self, name: str) -> bool:
        """Whether an augmentation is in use."""
        return name in self.augment

    @property
    def moves(self) -> bool:
        """Whether any augmentation moves voxels."""
        return bool(self.turns or self.augment & _MOVING)

    def kind(self, drawn: float) -> Kind:
        """The kind of a sample for a uniform random number from 0 to 1."""
        shares: dict[Kind, float] = {"around": self.around, "centred": self.centred, "without": self.without}
        for kind, share in shares.items():
            if drawn < share:
                return kind
            drawn -= share
        return "anywhere"

    def rotations(self, index: int) -> tuple:
        """Ranges of the rotations about z, y and x in radians, for MONAI."""
        if self.turns:
            angle = TURN * (index % self.turns)
            return ((angle, angle), (0.0, 0.0), (0.0, 0.0))
        return (0.35, 0.25, 0.25) if self.does("turn") else (0.0, 0.0, 0.0)


def augmentations(text: str) -> frozenset[str]:
    """Augmentations from a comma-separated list of names, `all` or `none`."""
    names = {"all": AUGMENTATIONS, "none": ()}.get(text, [name.strip() for name in text.split(",")])
    return frozenset(_EARLIER.get(name, name) for name in names)


def whole_size(case: TrainingCase, largest: int) -> tuple[int, int, int] | None:
    """Size of a sample that holds the whole case; None if that is larger than `largest`."""
    size = tuple(-(-n // _MULTIPLE) * _MULTIPLE for n in case.labels.shape)
    return size if max(size) <= largest else None


def random_tooth_voxel(case: TrainingCase, rng: np.random.Generator) -> np.ndarray:
    """A random tooth voxel (z, y, x); every tooth has the same probability, whatever its size."""
    chosen = case.places[:, 0] == rng.choice(np.unique(case.places[:, 0]))
    where = case.places[chosen][:, 1:]
    return where[rng.integers(len(where))]


def background_centre(case: TrainingCase, size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Centre of a random box without teeth, or of the box with the fewest tooth voxels among 20."""
    found = []
    for _ in range(_TRIES):
        centre = rng.uniform(0.05, 0.95, 3) * case.labels.shape
        inside = np.abs(case.places[:, 1:] - centre) <= np.array(size) / 2
        found.append((np.count_nonzero(inside.all(axis=1)), tuple(centre)))
        if not found[-1][0]:
            break
    return np.array(min(found)[1])
