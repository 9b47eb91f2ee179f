"""Reads a series of DICOM files as a volume.

pydicom is used instead of SimpleITK's series reader, because every frame is checked here: the user is told about each one
that is left out, duplicated, missing or unevenly spaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from ...boxes import triple
from ...errors import InputError
from ...volume import Volume
from .choice import NO_XRAYS, choose_series, most_likely_scan
from .frames import Frame
from .grey_values import grey_values
from .patient_age import patient_age
from .pixels import read_pixels
from .quiet import library_noise_silenced
from .regridding import on_even_grid
from .series import LeftOut, Series, SeriesListing, find_series, left_out_note
from .sniff import files_in, is_dicom
from .stacking import MOST_MISSING, stack_frames
from .values import text
from .wording import counted, names_of

_DIRECTORY = "DICOMDIR"
_MAX_FILES_BESIDE = 4000  # files of a folder beside that of a slice
_MAX_PROBED = 20  # of these for a DICOM file


def read_dicom(path: str | Path, series: str | None = None) -> Volume:
    """Read a series from a folder, or the series of a file: one of its slices, a multi-frame file or a DICOMDIR.

    Parameters
    ----------
    path : path of the folder or file
    series : str, optional
        Key, number or UID of the series. Needed only where several series could be the scan; a clearly likeliest one is
        taken without it, with a warning.

    Returns
    -------
    Volume
        Rescaled by the file's slope and intercept; integers unless these are fractions. Slices ascend along the normal
        of the image plane, so the direction is right-handed.

    Raises
    ------
    SeveralSeries
        If the user must choose.
    InputError
        If there is no series, or its slices do not make up one whole volume.
    MemoryError
        If it does not fit into memory.
    """
    path = Path(path)
    with library_noise_silenced():
        listing, requested, notes = _find_series(path, series)
        chosen, choice_notes = choose_series(listing, requested, path.name)
        if listing.damaged and path.is_dir():
            notes += (f"{counted(len(listing.damaged), 'file')} cannot be read: {names_of(listing.damaged)}.",)
        volume = _read(chosen)
    return replace(volume, warnings=(*choice_notes, *notes, *volume.warnings))


def read_likeliest(files: Sequence[Path], name: str) -> Volume:
    """Read the series that is most likely the scan; `Volume.warnings` names it and the reason.

    Parameters
    ----------
    files : sequence of Path
        For example all files of a study.
    name : str
        Name of the study, for messages.

    Raises
    ------
    InputError
        If none of them is a scan, or the slices of the likeliest do not make up one whole volume.
    MemoryError
        If it does not fit into memory.
    """
    with library_noise_silenced():
        listing = find_series(files)
        chosen, choice_notes = most_likely_scan(listing, name)
        if listing.damaged:
            choice_notes += (f"{counted(len(listing.damaged), 'file')} cannot be read: {names_of(listing.damaged)}.",)
        volume = _read(chosen)
    return replace(volume, warnings=(*choice_notes, *volume.warnings))


def _find_series(path: Path, series: str | None) -> tuple[SeriesListing, str | None, tuple[str, ...]]:
    """The available series, the key of the requested one, and notes for the user."""
    if path.is_dir():
        return find_series(files_in(path)), series, ()
    listing = find_series([path])
    is_empty = not (listing.series or listing.damaged or listing.others)
    if path.name.upper() == _DIRECTORY or (is_empty and is_dicom(path)):
        return find_series(files_in(path.parent)), series, ()
    if series is not None or not listing.series or len(listing.series) > 1 or listing.series[0].is_volume:
        return listing, series, ()
    siblings = list(files_in(path.parent, deep=False))
    best, key, count = listing, None, len(listing.series[0].frames)
    continuation = _continuation_files(path, listing.series[0].uid)
    for files in (siblings, siblings + continuation)[: 2 if continuation else 1]:
        candidate = find_series(files)
        containing = [one for one in candidate.series if any(frame.path == path for frame in one.frames)]
        if len(containing) != 1 or len(containing[0].frames) <= count:
            continue
        if files is siblings or _numbers_continue(containing[0].frames):
            best, key, count = candidate, containing[0].key, len(containing[0].frames)
    if key is None:
        return listing, series, ()
    return best, key, (f"{path.name} is one slice of a series: all its {count} slices were read.",)


def _numbers_continue(frames: Sequence[Frame]) -> bool:
    """Whether instance numbers continue from folder to folder; they start again in another scan with the same UID."""
    numbers = {(frame.number, frame.index) for frame in frames if frame.number is not None}
    return len(numbers) == len(frames)


def _continuation_files(path: Path, uid: str) -> list[Path]:
    """The files of sibling folders whose first DICOM file belongs to the same series."""
    own_folder = path.parent.resolve()
    files: list[Path] = []
    if not uid:
        return files
    try:
        siblings = sorted(one for one in own_folder.parent.iterdir() if one.is_dir() and one.resolve() != own_folder)
    except OSError:  # no permission to list the parent folder
        return files
    for folder in siblings:
        first = next(filter(is_dicom, islice(files_in(folder, deep=False), _MAX_PROBED)), None)
        if first and any(series.uid == uid for series in find_series([first]).series):
            files += islice(files_in(folder, deep=False), _MAX_FILES_BESIDE)
    return files


def _read(series: Series) -> Volume:
    """The volume of a series; slices whose pixels cannot be read count as missing."""
    if series.unfit:
        raise InputError(f"The series {series.unfit}: choose another one.")
    frames, left_out = list(series.frames), list(series.left_out)
    while True:
        try:
            stack = stack_frames(frames)
        except InputError as error:
            left_out_notes = " ".join(left_out_note(left_out))
            raise InputError(f"{error} {left_out_notes}".rstrip()) from error
        present = [frame for frame in stack.frames if frame is not None]
        pixels, failed = read_pixels(present)
        if not failed:
            break
        unreadable = [present[at] for at in failed]
        if len(unreadable) > max(1, MOST_MISSING * len(present)):
            raise _unreadable(unreadable, list(failed.values()))
        left_out += [LeftOut(frame.name, reason) for frame, reason in zip(unreadable, failed.values(), strict=True)]
        frames = [frame for frame in frames if frame not in unreadable]
    array, padding, notes = grey_values(pixels, present)
    regridded = on_even_grid(array, stack, padding)
    direction = stack.direction
    plane = stack.first.plane
    return Volume(
        regridded.array,
        (plane.spacing[1], plane.spacing[0], stack.step),
        triple(plane.position + direction[:, :2] @ regridded.corner),
        direction,
        (*_modality_note(stack.first), *series.notes, *left_out_note(left_out), *stack.notes, *notes),
        regridded.padding,
        _age(stack.first),
    )


def _modality_note(frame: Frame) -> tuple[str, ...]:
    """A warning about images that X-rays did not make: nothing in their voxels would show it."""
    modality = frame.header.modality
    if modality not in NO_XRAYS:
        return ()
    return (
        f"The files are {NO_XRAYS[modality]} ({modality}), not CT or CBCT, of which alone teeth can be found right.",
    )


def _age(frame: Frame) -> float | None:
    names = ("PatientAge", "PatientBirthDate", "StudyDate")
    return patient_age(*(text(frame.header.dataset, name) for name in names))


def _unreadable(frames: Sequence[Frame], reasons: Sequence[str]) -> InputError:
    remedy = (
        "export it uncompressed" if "compressed" in reasons[0] else "copy the series again from its disc or archive"
    )
    return InputError(
        f"The pixels of {counted(len(frames), 'slice')} ({names_of(frames)}) cannot be used, as the first "
        f"{reasons[0]}: {remedy}."
    )
