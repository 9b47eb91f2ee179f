"""`Dentition`: the result of the cascade for one scan."""

from __future__ import annotations

from dataclasses import dataclass

from ..anatomy import Tooth, tooth
from ..volume import Volume

# Flags of a found tooth, as written to reports.
UNCERTAIN_NUMBER = "uncertain-number"
TOUCHES_BORDER = "touches-border"
UNUSUAL_VOLUME = "unusual-volume"
GAP_BEFORE = "gap-before"  # room for at least one more tooth between this one and its neighbour towards the midline
UNERUPTED = "unerupted"  # a germ in its follicle, or an impacted tooth
MAYBE_EXTRA = "maybe-extra"  # no place of the arch was left for it, so it has the likeliest free number


@dataclass(frozen=True)
class FoundTooth:
    """One tooth in a scan.

    Attributes
    ----------
    fdi : int
        FDI number; also its value in the label map.
    confidence : float
        Probability, 0 to 1, that the number is right.
    second_fdi : int or None
        The next best number, if any other is possible.
    volume_mm3 : float
        Volume of its voxels.
    centroid_lps_mm : (float, float, float)
        Centre of its voxels in the patient (LPS).
    touches_border : bool
        Whether the scan ends inside the tooth.
    flags : tuple of str
        Reasons for a user to look at the tooth; constants of this module.
    """

    fdi: int
    confidence: float
    volume_mm3: float
    centroid_lps_mm: tuple[float, float, float]
    second_fdi: int | None = None
    touches_border: bool = False
    flags: tuple[str, ...] = ()

    @property
    def tooth(self) -> Tooth:
        """The anatomical tooth of its number."""
        return tooth(self.fdi)


@dataclass(frozen=True)
class Dentition:
    """The teeth of a scan: a label map on the scan's own grid (uint8, FDI numbers, 0 elsewhere) and a list.

    Every tooth of the list has voxels in the label map, and every label is in the list. An empty dentition is a valid
    result.
    """

    labels: Volume
    teeth: tuple[FoundTooth, ...] = ()
    warnings: tuple[str, ...] = ()


def objects_text(count: int) -> str:
    """'1 object', for warnings."""
    return "1 object" if count == 1 else f"{count} objects"
