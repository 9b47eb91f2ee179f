"""`Painting`: a brush of the page changes the chosen tooth, within the grey values that count as tooth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..boxes import Box
from .case import Case
from .i18n import _
from .signals import Signal


@dataclass(frozen=True)
class GreyRange:
    """Lowest and highest grey value that counts as tooth, and those of the scan that they lie between."""

    low: float
    high: float
    darkest: float
    brightest: float

    @property
    def step(self) -> float:
        """A step between values that a slider can tell apart."""
        return min(1.0, (self.brightest - self.darkest) / 1000)

    def text(self) -> str:
        """The range in words."""
        return _("Grey values {low} to {high}").format(low=round(self.low), high=round(self.high))


class Painting:
    """See module.

    Attributes
    ----------
    bright_only : bool
        Whether only voxels that are as bright as teeth are painted.
    range : GreyRange or None
        None until `find_range` has looked.
    changed : Signal
        The range is another one.
    """

    def __init__(self, case: Case):
        self._case = case
        self.bright_only = True
        self.range: GreyRange | None = None
        self.changed = Signal()
        case.scan_changed.connect(self._forget)

    def find_range(self) -> None:
        """Grey values as the teeth of this scan have them; while there are none, as teeth mostly have."""
        from ..annotation import start_threshold
        from ..padding import patient_greys

        case = self._case
        scan, labels = case.scan(), case.labels()

        def measure() -> GreyRange:
            greys = patient_greys(scan.array, scan.padding)
            low, high = start_threshold(scan.array, scan.spacing_zyx, labels, scan.padding)
            return GreyRange(low, high, greys.darkest, greys.brightest)

        def found(result: GreyRange) -> None:
            self.range = result
            self.changed.emit()

        case.compute(measure, found, case.tell)

    def set_range(self, low: float, high: float) -> None:
        """The user has chosen other values."""
        if self.range is not None:
            self.range = GreyRange(low, high, self.range.darkest, self.range.brightest)
            self.changed.emit()

    def stroke(self, voxels: np.ndarray, extent: Sequence[int] | None, adds: bool, kept: bool = False) -> None:
        """A stroke has ended: the chosen tooth gets free voxels, or loses its own; other teeth stay as they are.

        Parameters
        ----------
        voxels : ndarray, shape of the scan
            Not 0 where the brush was.
        extent : sequence of int or None
            Bounds (i, i, j, j, k, k) of the stroke, where they are known.
        adds : bool
        kept : bool
            Whether the voxels are rather those that the tooth is to keep.
        """
        from ..boxes import bounding_box
        from ..correction.edit import Edit

        case, fdi = self._case, self._case.selected
        if fdi is None or voxels.shape != case.scan().array.shape:
            return
        if kept:
            voxels = (case.labels() == fdi) & (voxels == 0)
        box = _box(extent, voxels.shape) or bounding_box(voxels > 0)
        if box is None:
            return
        case.reveal((fdi,))
        labels, touched = case.labels(box), voxels[box] > 0
        if adds:
            touched &= labels == 0
            if self.bright_only and self.range is not None:
                greys = case.scan().array[box]
                touched &= (greys >= self.range.low) & (greys <= self.range.high)
            labels[touched] = fdi
        else:
            labels[touched & (labels == fdi)] = 0
        name = _("paint {tooth}") if adds else _("erase {tooth}")
        if case.apply(Edit(box, labels), name.format(tooth=case.number(fdi))):
            return
        if not adds:
            text = _("Nothing was erased: {tooth} is not there.")
        elif self.bright_only and self.range is not None:
            text = _(
                "Nothing was painted for {tooth}: only what no tooth has yet and is as bright as teeth is painted."
            )
        else:
            text = _("Nothing was painted for {tooth}: other teeth keep what they have.")
        case.message.emit(text.format(tooth=case.number(fdi)), "info", "")

    def keep_range(self) -> None:
        """Leave the chosen tooth only voxels that are as bright as teeth."""
        from ..annotation.threshold import keep_range

        case, fdi, wanted = self._case, self._case.selected, self.range
        if fdi is not None and wanted is not None:
            name = _("threshold {tooth}").format(tooth=case.number(fdi))
            case.edit(lambda labels, scan: keep_range(labels, scan.array, fdi, wanted.low, wanted.high), name)

    def _forget(self) -> None:
        self.range = None
        self.changed.emit()


def _box(extent: Sequence[int] | None, shape: tuple[int, ...]) -> Box | None:
    """Bounds as Slicer gives them, as slices (z, y, x) within the scan; None if there are none."""
    if extent is None:
        return None
    pairs = [(int(extent[2 * axis]), int(extent[2 * axis + 1])) for axis in (2, 1, 0)]
    box = tuple(slice(max(low, 0), min(high + 1, size)) for (low, high), size in zip(pairs, shape, strict=True))
    return box if all(side.start < side.stop for side in box) else None
