"""Fixed-size mode: every series is brought to one shape, as plain U-Nets need it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from monai.transforms import CenterSpatialCrop, NormalizeIntensity, Resize, SpatialPad

from ..cascade.normalisation import first_levels, normalise
from ..errors import UsageError
from .cases import places_of
from .targets import is_tooth

if TYPE_CHECKING:
    from .cases import TrainingCase
    from .options import FitBy, Plane, Standard

log = logging.getLogger(__name__)

_AXES = {"axial": 0, "coronal": 1, "sagittal": 2}  # axis of an array (Z, Y, X) along which the slices are stacked


@dataclass(frozen=True)
class FixedSize:
    """Transform of a case to a given shape.

    Attributes
    ----------
    size : (int, int, int)
        Slices, rows and columns.
    by : {"crop", "depth", "resize"}
        crop: all axes are cropped around the centre or padded. depth: rows and columns are resized, slices are cropped or
        padded. resize: all three are resized.
    standardise : {"levels", "volume", "slice"}
        levels: soft tissue is 0 and tooth 1, as for the cascade; padding is the darkest value. volume, slice: mean 0 and
        standard deviation 1 of the volume or of each slice, without the padding, which is 0.
    plane : {"axial", "coronal", "sagittal"}
        Of the slices.
    """

    size: tuple[int, int, int]
    by: FitBy = "crop"
    standardise: Standard = "levels"
    plane: Plane = "axial"

    @classmethod
    def of(cls, text: str, by: FitBy = "crop", standardise: Standard = "levels", plane: Plane = "axial") -> FixedSize:
        """From an option's text, such as `72x120x120`.

        Raises
        ------
        UsageError
            If it is no size.
        """
        try:
            slices, rows, columns = (int(part) for part in text.lower().split("x"))
        except ValueError as error:
            raise UsageError(f"fixed is {text!r}: give slices, rows and columns, such as 72x120x120.") from error
        if min(slices, rows, columns) < 1:
            raise UsageError(f"fixed is {text!r}: every number is 1 or more.")
        return cls((slices, rows, columns), by, standardise, plane)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (Z, Y, X) of the transformed arrays."""
        return self._moved(self.size)

    def _moved(self, sizes: tuple[int, int, int]) -> tuple[int, int, int]:
        slices, *others = sizes
        others.insert(_AXES[self.plane], slices)
        z, y, x = others
        return z, y, x

    def slices(self, array: np.ndarray) -> np.ndarray:
        """An array (Z, Y, X) as slices, rows and columns; a view."""
        return np.moveaxis(array, _AXES[self.plane], 0)

    def __call__(self, case: TrainingCase) -> TrainingCase:
        """The case in this shape, with a warning that names the teeth outside it."""
        grey = np.asarray(self.slices(case.source))
        if self.standardise == "levels":
            grey = normalise(grey, *first_levels(grey))
        image, labels = _with_channel(grey), _with_channel(self.slices(case.labels))
        if resized := self._resized(image.shape[1:]):
            shrinks = any(new < old for new, old in zip(resized, image.shape[1:], strict=True))
            image = Resize(resized, mode="trilinear", anti_aliasing=shrinks)(image)
            labels = Resize(resized, mode="nearest-exact")(labels)
        cut = CenterSpatialCrop(self.size)
        image, kept = cut(image), cut(labels)
        if self.standardise != "levels":
            # The slices take the place of MONAI's channels.
            normalised = NormalizeIntensity(channel_wise=self.standardise == "slice")(image[0])
            image = torch.as_tensor(normalised)[None]
        fill = float(image.min()) if self.standardise == "levels" else 0.0
        padded = self._whole(SpatialPad(self.size, value=fill)(image))
        whole = self._whole(SpatialPad(self.size)(kept)).astype(np.uint8)
        self._warn_of_lost_teeth(case, whole)
        places = places_of(whole, 1)
        return replace(case, image=padded, labels=whole, soft=first_levels(padded)[0], darkest=fill, places=places)

    def _resized(self, size: tuple[int, ...]) -> tuple[int, ...] | None:
        """Size to resize an array of `size` to; None if it is not resized."""
        wanted = {"crop": tuple(size), "depth": (size[0], *self.size[1:]), "resize": self.size}[self.by]
        return wanted if wanted != tuple(size) else None

    def _whole(self, slices) -> np.ndarray:
        """An array (Z, Y, X) of slices (1, slices, rows, columns)."""
        return np.ascontiguousarray(np.moveaxis(np.asarray(slices)[0], 0, _AXES[self.plane]))

    def _warn_of_lost_teeth(self, case: TrainingCase, labels: np.ndarray) -> None:
        before, after = (set(np.unique(one[is_tooth(one)]).tolist()) for one in (case.labels, labels))
        if lost := before - after:
            log.warning(
                "%s: %s lie outside %s voxels and are not learned: take a larger 'fixed', or fixed_by=resize.",
                case.patient,
                ", ".join(map(str, sorted(lost))),
                "x".join(map(str, self.size)),
            )


def _with_channel(array: np.ndarray) -> torch.Tensor:
    """An array as MONAI's transforms need it: float32 (1, ...)."""
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))[None]
