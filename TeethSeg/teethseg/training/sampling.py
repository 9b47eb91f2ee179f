"""Where samples lie in a case, and by which of the augmentations they are changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..errors import UsageError
from .cases import TrainingCase

Kind = Literal["around", "centred", "without", "anywhere"]
AUGMENTATIONS = ("turn", "flip", "scale", "shear", "elastic", "intensity", "blur", "noise", "cut")
_MOVING = frozenset({"turn", "flip", "scale", "shear", "elastic"})
_EARLIER = {"bend": "elastic"}  # names that parameter files may still have
TURN = np.deg2rad(20.0)  # of the turns that are made one after the other
_TRIES = 20
_MULTIPLE = 16  # of the sizes that both networks take


@dataclass(frozen=True)
class Sampling:
    """Shares of the samples by where they lie; what is left lies anywhere.

    Attributes
    ----------
    around : float
        Round a tooth, every tooth of the case with the same chance, with a random offset.
    centred : float
        The same without an offset.
    without : float
        Without any tooth, as far as there is room.
    whole : bool
        Whether a scan that is no larger than the largest sample is taken whole, padded to what the network divides.
    augment : frozenset of str
        Of `AUGMENTATIONS`, those that are done.
    turns : int
        If not 0, sample n is turned by 20 degrees n modulo `turns` times about the vertical axis, and no other way.
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
        """Whether an augmentation of `AUGMENTATIONS` is done."""
        return name in self.augment

    @property
    def moves(self) -> bool:
        """Whether voxels move."""
        return bool(self.turns or self.augment & _MOVING)

    def kind(self, drawn: float) -> Kind:
        """The kind of a sample by a number from 0 to 1."""
        for kind, share in (("around", self.around), ("centred", self.centred), ("without", self.without)):
            if drawn < share:
                return kind
            drawn -= share
        return "anywhere"

    def rotations(self, index: int) -> tuple:
        """Ranges of the turns about z, y and x, in radians, as MONAI takes them."""
        if self.turns:
            angle = TURN * (index % self.turns)
            return ((angle, angle), (0.0, 0.0), (0.0, 0.0))
        return (0.35, 0.25, 0.25) if self.does("turn") else (0.0, 0.0, 0.0)


def augmentations(text: str) -> frozenset[str]:
    """Names of augmentations that a text lists with commas; `all` or `none` of them."""
    names = {"all": AUGMENTATIONS, "none": ()}.get(text, [name.strip() for name in text.split(",")])
    return frozenset(_EARLIER.get(name, name) for name in names)


def whole_size(case: TrainingCase, largest: int) -> tuple[int, int, int] | None:
    """The size of a sample that holds a whole case; None if it is larger than samples may be."""
    size = tuple(-(-n // _MULTIPLE) * _MULTIPLE for n in case.labels.shape)
    return size if max(size) <= largest else None


def random_tooth_voxel(case: TrainingCase, rng: np.random.Generator) -> np.ndarray:
    """A voxel (z, y, x) of a tooth; every tooth has the same chance, however large it is."""
    where = case.places[case.places[:, 0] == rng.choice(np.unique(case.places[:, 0])), 1:]
    return where[rng.integers(len(where))]


def background_centre(case: TrainingCase, size: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """The centre of a box in which no tooth lies, or of the best of 20."""
    found = []
    for _ in range(_TRIES):
        centre = rng.uniform(0.05, 0.95, 3) * case.labels.shape
        inside = np.abs(case.places[:, 1:] - centre) <= np.array(size) / 2
        found.append((np.count_nonzero(inside.all(axis=1)), tuple(centre)))
        if not found[-1][0]:
            break
    return np.array(min(found)[1])
