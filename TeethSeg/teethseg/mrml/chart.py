"""The content of the tooth chart, which panel and page draw."""

from __future__ import annotations

from dataclasses import dataclass

import slicer

from ..anatomy import DECIDUOUS, arch, tooth
from .segments import evidence, state_of, teeth_of

UPPER, LOWER = arch("upper"), arch("lower")


@dataclass(frozen=True)
class ChartTooth:
    """One place of the chart.

    Attributes
    ----------
    fdi : int
    present : bool
        Whether the segmentation has this tooth.
    colour : (float, float, float)
        Red, green, blue in 0..1: the segment's, or the usual one of a tooth that is not there.
    flags : tuple of str
        Flags for the user (`cascade.dentition`).
    confidence : float or None
        Probability that the number is right; None where nobody but a user gave it.
    second_fdi : int or None
        The next best number.
    done : bool
        Whether its review is completed.
    visible : bool
        Whether it is shown.
    """

    fdi: int
    present: bool
    colour: tuple[float, float, float]
    flags: tuple[str, ...] = ()
    confidence: float | None = None
    second_fdi: int | None = None
    done: bool = False
    visible: bool = False


def chart(node: slicer.vtkMRMLSegmentationNode | None) -> list[ChartTooth]:
    """The 32 places as dentists write them, seen from the front: 18 to 11, 21 to 28, then 48 to 41, 31 to 38.

    Deciduous teeth follow, if there are any, in the same order. Without a segmentation all places are empty.
    """
    segmentation = node.GetSegmentation() if node is not None else None
    teeth = {fdi: identity for identity, fdi in reversed(teeth_of(segmentation).items())} if segmentation else {}
    display = node.GetDisplayNode() if node is not None else None
    deciduous = sorted((fdi for fdi in DECIDUOUS if fdi in teeth), key=_place)
    return [
        _drawn(fdi, segmentation.GetSegment(teeth[fdi]), display is None or display.GetSegmentVisibility(teeth[fdi]))
        if segmentation is not None and fdi in teeth
        else ChartTooth(fdi, False, tooth(fdi).colour)
        for fdi in (*UPPER, *LOWER, *deciduous)
    ]


def _drawn(fdi: int, segment: slicer.vtkSegment, visible: bool) -> ChartTooth:
    known = evidence(segment)
    done = state_of(segment) == "completed"
    return ChartTooth(
        fdi, True, segment.GetColor(), known.flags, known.confidence, known.second_fdi, done, bool(visible)
    )


def _place(fdi: int) -> tuple[bool, int]:
    """Upper before lower, from the patient's right to the left."""
    one = tooth(fdi)
    return one.jaw == "lower", -one.position if one.side == "right" else one.position
