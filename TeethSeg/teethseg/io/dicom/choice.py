"""Which series of a folder is the scan: the likely ones first, and one clear best taken."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...errors import InputError, SeveralSeries
from ..scan_checks import USE_OF_LABELS
from .series import Folder, Series
from .wording import counted

_MOST_SHOWN = 12
_FIELD = 30.0  # mm; a scan of teeth is larger in each direction
_THIN, _THICK = 0.7, 2.5  # mm of the largest side of a voxel: CBCT; CT in which teeth are hard to tell
_UNLIKELY = re.compile(
    r"scout|topogr|survey|surview|locali[sz]er|scanogr|dose|report|\bm(in)?ip\b|panoram|ceph|\bvrt?\b|captur|screen",
    re.IGNORECASE,
)
_LIKELY = re.compile(r"cbct|\bdvt\b|dental|denta|jaw|mandib|maxill|kiefer|teeth|tooth|bone|\bvol", re.IGNORECASE)


def choose(found: Folder, wanted: str | None, place: str) -> tuple[Series, tuple[str, ...]]:
    """The series to read, and notes for the user.

    Parameters
    ----------
    found : Folder
    wanted : str, optional
        Key, number or UID of a series.
    place : str
        Name of the folder, for messages.

    Raises
    ------
    SeveralSeries
        If a choice must be made.
    InputError
        If there is no such series, or none at all.
    """
    if wanted is not None:
        return _wanted(found.series, wanted.strip(), place), ()
    fit = sorted((one for one in found.series if not one.unfit), key=likelihood, reverse=True)
    volumes = [one for one in fit if one.is_volume]
    candidates = volumes or fit
    if not candidates:
        raise _nothing(found, place)
    if len(found.series) == 1:
        return candidates[0], ()
    best = candidates[0]
    if len(candidates) == 1 or all(_clearly_better(best, other) for other in candidates[1:]):
        why = "the only one that is a volume" if len(volumes) == 1 else "by far the likeliest"
        return best, (f"Of {len(found.series)} DICOM series, {best} was taken, {why}.",)
    raise SeveralSeries(
        f"{place} holds {len(candidates)} DICOM series that could be the scan: choose one by its number (series): "
        f"{'; '.join(one.key for one in candidates[:_MOST_SHOWN])}{' ...' if len(candidates) > _MOST_SHOWN else ''}.",
        {one.key: str(one) for one in candidates[:_MOST_SHOWN]},
    )


def likeliest(found: Folder, place: str) -> tuple[Series, tuple[str, ...]]:
    """The series to read where nobody can be asked: as `choose`, or else the likeliest of those that could be the scan.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        return choose(found, None, place)
    except SeveralSeries as several:
        fit = [one for one in found.series if one.key in several.choices]
        best = max(fit, key=likelihood)
        others = "; ".join(str(one) for one in fit if one is not best)
        return best, (
            (
                f"{len(fit)} DICOM series could be the scan: {best} was taken as the likeliest, not {others}; check that it is "
                "the one that you want."
            ),
        )


def likelihood(series: Series) -> tuple[float, ...]:
    """Sorts series by how likely they are the scan of the teeth; the first number is in coarse steps."""
    spacing, size = series.spacing, series.size
    if spacing is None:
        return (-9.0, 0.0)
    image_type = series.frames[0].image_type
    field = min(side * count for side, count in zip(spacing, size, strict=True))
    points = 0.0
    points += 2.0 * (field >= _FIELD)
    points += 1.0 * (max(spacing) <= _THIN) - 2.0 * (max(spacing) > _THICK)
    points += 1.0 * (series.frames[0].header.modality == "CT")
    points -= 2.0 * ("DERIVED" in image_type) + 2.0 * ("SECONDARY" in image_type)
    points -= 3.0 * bool(_UNLIKELY.search(series.description))
    points += 0.5 * bool(_LIKELY.search(series.description))
    return points, float(size[0] * size[1] * size[2]), -max(spacing)


def _clearly_better(best: Series, other: Series) -> bool:
    """Whether nobody would take the other: much less likely, much smaller, or the same slices much thicker."""
    ahead = likelihood(best)[0] - likelihood(other)[0]
    if ahead >= 2:
        return True
    if best.spacing is None or other.spacing is None:
        return other.spacing is None and best.spacing is not None
    coarser = max(other.spacing) >= 2.5 * max(best.spacing)
    smaller = 8 * _volume(other) <= _volume(best)
    return ahead >= 0 and (coarser or smaller)


def _volume(series: Series) -> float:
    result = 1.0
    for side, count in zip(series.spacing, series.size, strict=True):
        result *= side * count
    return result


def _wanted(found: Sequence[Series], wanted: str, place: str) -> Series:
    matching = [one for one in found if wanted == one.key] or [one for one in found if wanted in (one.number, one.uid)]
    if len(matching) == 1:
        one = matching[0]
        if one.unfit:
            raise InputError(f"Series {one.key} of {place} is no scan, as it {one.unfit}: choose another one.")
        return one
    listing = "; ".join(one.key for one in (matching or found)[:_MOST_SHOWN])
    if matching:
        raise InputError(f"{len(matching)} series have the number {wanted}: choose one of {listing}.")
    raise InputError(f"There is no series {wanted} in {place}: choose one of {listing or 'no series at all'}.")


def _nothing(found: Folder, place: str) -> InputError:
    """Why there is no scan, in one line."""
    if found.series:
        about = "; ".join(f"series {one.key} {one.unfit}" for one in found.series[:3])
        more = f"; and {len(found.series) - 3} more" if len(found.series) > 3 else ""
        return InputError(
            f"There is no DICOM scan in {place} ({about}{more}): give the folder that holds the scan's own files, or export "
            "the scan again, as CT images and not as screenshots (secondary capture)."
        )
    if not found.series and "a segmentation" in found.others:
        return InputError(f"{place} holds a DICOM segmentation and no scan: {USE_OF_LABELS}")
    seen = [counted(count, kind.removeprefix("a ")) for kind, count in found.others.items()]
    if found.damaged:
        seen.append(f"{counted(len(found.damaged), 'damaged file')}, {found.damaged[0].name} {found.damaged[0].why}")
    about = f" (but {', '.join(seen)})" if seen else ""
    return InputError(f"There is no DICOM image in {place}{about}: give the folder that holds the scan's own files.")
