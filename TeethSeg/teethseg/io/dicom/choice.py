"""Choice of the series that is the scan: series are ranked, and a clear best one is taken without a question."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from ...errors import InputError, SeveralSeries
from ..scan_checks import USE_OF_LABELS
from .series import Series, SeriesListing
from .wording import counted

_MAX_LISTED = 12
_MIN_FIELD_MM = 30.0  # mm; a scan of teeth is larger in each direction
_THIN, _THICK = 0.7, 2.5  # mm of the largest side of a voxel: CBCT; CT in which teeth are hard to distinguish
_UNLIKELY = re.compile(
    r"scout|topogr|survey|surview|locali[sz]er|scanogr|dose|report|\bm(in)?ip\b|panoram|ceph|\bvrt?\b|captur|screen",
    re.IGNORECASE,
)
NO_XRAYS = {"MR": "magnetic resonance images", "PT": "PET images", "NM": "nuclear medicine", "US": "ultrasound"}
_LIKELY = re.compile(r"cbct|\bdvt\b|dental|denta|jaw|mandib|maxill|kiefer|teeth|tooth|bone|\bvol", re.IGNORECASE)


def choose_series(listing: SeriesListing, requested: str | None, folder_name: str) -> tuple[Series, tuple[str, ...]]:
    """The series to read, and notes for the user.

    Parameters
    ----------
    found : Folder
    requested : str, optional
        Key, number or UID of a series.
    folder_name : str
        For messages.

    Raises
    ------
    SeveralSeries
        If the user must choose.
    InputError
        If there is no such series, or none at all.
    """
    if requested is not None:
        return _requested_series(listing.series, requested.strip(), folder_name), ()
    fit = sorted((one for one in listing.series if not one.unfit), key=scan_score, reverse=True)
    volumes = [one for one in fit if one.is_volume]
    candidates = volumes or fit
    if not candidates:
        raise _no_scan_error(listing, folder_name)
    if len(listing.series) == 1:
        return candidates[0], ()
    best = candidates[0]
    if len(candidates) == 1 or all(_clearly_better(best, other) for other in candidates[1:]):
        reason = "the only one that is a volume" if len(volumes) == 1 else "by far the likeliest"
        return best, (f"Of {len(listing.series)} DICOM series, {best} was taken, {reason}.",)
    raise SeveralSeries(
        f"{folder_name} holds {len(candidates)} DICOM series that could be the scan: choose one by its number (series): "
        f"{'; '.join(one.key for one in candidates[:_MAX_LISTED])}{' ...' if len(candidates) > _MAX_LISTED else ''}.",
        {one.key: str(one) for one in candidates[:_MAX_LISTED]},
    )


def most_likely_scan(listing: SeriesListing, folder_name: str) -> tuple[Series, tuple[str, ...]]:
    """The series to read where no user can choose: as `choose_series`, else the best-ranked candidate.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        return choose_series(listing, None, folder_name)
    except SeveralSeries as several:
        fit = [one for one in listing.series if one.key in several.choices]
        best = max(fit, key=scan_score)
        others = "; ".join(str(one) for one in fit if one is not best)
        return best, (
            (
                f"{len(fit)} DICOM series could be the scan: {best} was taken as the likeliest, not {others}; check that it is "
                "the one that you want."
            ),
        )


def scan_score(series: Series) -> tuple[float, ...]:
    """Sort key: how likely a series is the scan of the teeth.

    The first number counts points, in coarse steps; number of voxels and voxel size decide between equal ones.
    """
    spacing, size = series.spacing, series.size
    if spacing is None:
        return (-9.0, 0.0)
    image_type = series.frames[0].image_type
    field = min(side * count for side, count in zip(spacing, size, strict=True))
    points = 0.0
    points += 2.0 * (field >= _MIN_FIELD_MM)
    points += 1.0 * (max(spacing) <= _THIN) - 2.0 * (max(spacing) > _THICK)
    points += 1.0 * (series.frames[0].header.modality == "CT")
    points -= 3.0 * (series.frames[0].header.modality in NO_XRAYS)
    points -= 2.0 * ("DERIVED" in image_type) + 2.0 * ("SECONDARY" in image_type)
    points -= 3.0 * bool(_UNLIKELY.search(series.description))
    points += 0.5 * bool(_LIKELY.search(series.description))
    return points, float(size[0] * size[1] * size[2]), -max(spacing)


def _clearly_better(best: Series, other: Series) -> bool:
    """Whether the other series is no alternative: much less likely, much smaller, or with much thicker slices."""
    ahead = scan_score(best)[0] - scan_score(other)[0]
    if ahead >= 2:
        return True
    if best.spacing is None or other.spacing is None:
        return other.spacing is None and best.spacing is not None
    coarser = max(other.spacing) >= 2.5 * max(best.spacing)
    smaller = 8 * _volume_mm3(other.spacing, other.size) <= _volume_mm3(best.spacing, best.size)
    return ahead >= 0 and (coarser or smaller)


def _volume_mm3(spacing: tuple[float, float, float], size: tuple[int, int, int]) -> float:
    return math.prod(spacing) * math.prod(size)


def _requested_series(available: Sequence[Series], requested: str, folder_name: str) -> Series:
    matching = [one for one in available if requested == one.key]
    matching = matching or [one for one in available if requested in (one.number, one.uid)]
    if len(matching) == 1:
        one = matching[0]
        if one.unfit:
            raise InputError(f"Series {one.key} of {folder_name} is no scan, as it {one.unfit}: choose another one.")
        return one
    keys = "; ".join(one.key for one in (matching or available)[:_MAX_LISTED])
    if matching:
        raise InputError(f"{len(matching)} series have the number {requested}: choose one of {keys}.")
    raise InputError(f"There is no series {requested} in {folder_name}: choose one of {keys or 'no series at all'}.")


def _no_scan_error(listing: SeriesListing, folder_name: str) -> InputError:
    """The error that explains why there is no scan."""
    if listing.series:
        details = "; ".join(f"series {one.key} {one.unfit}" for one in listing.series[:3])
        more = f"; and {len(listing.series) - 3} more" if len(listing.series) > 3 else ""
        return InputError(
            f"There is no DICOM scan in {folder_name} ({details}{more}): give the folder that holds the scan's own files, or "
            "export the scan again, as CT images and not as screenshots (secondary capture)."
        )
    if not listing.series and "a segmentation" in listing.others:
        return InputError(f"{folder_name} holds a DICOM segmentation and no scan: {USE_OF_LABELS}")
    counts = [counted(count, kind.removeprefix("a ")) for kind, count in listing.others.items()]
    if listing.damaged:
        counts.append(
            f"{counted(len(listing.damaged), 'damaged file')}, {listing.damaged[0].name} {listing.damaged[0].reason}"
        )
    details = f" (but {', '.join(counts)})" if counts else ""
    return InputError(
        f"There is no DICOM image in {folder_name}{details}: give the folder that holds the scan's own files."
    )
