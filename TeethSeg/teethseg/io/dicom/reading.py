"""A series of DICOM files as a volume.

On pydicom and not by SimpleITK's series reader: every frame is checked, and each one that is left out, doubled, missing or
unevenly placed is told in a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from ...errors import InputError
from ...volume import Volume
from .choice import choose, likeliest
from .frames import Frame
from .grey_values import grey_values
from .patient_age import patient_age
from .pixels import read_pixels
from .quiet import library_noise_silenced
from .regridding import on_even_grid
from .series import Folder, LeftOut, Series, find_series, left_out_note
from .sniff import files_in, is_dicom
from .stacking import MOST_MISSING, stack_frames
from .values import text
from .wording import counted, names_of

_DIRECTORY = "DICOMDIR"
_MOST_BESIDE = 4000  # files of a folder beside that of a slice
_MOST_LOOKED_AT = 20  # of these for a DICOM file


def read_dicom(path: str | Path, series: str | None = None) -> Volume:
    """Read a series of a folder; or that of a file, which may be one slice of it, a multi-frame file or a DICOMDIR.

    Parameters
    ----------
    path : path of the folder or file
    series : str, optional
        Key, number or UID of the series. Needed only where several series could be the scan; where one is clearly the
        likeliest, that one is taken and a warning says so.

    Returns
    -------
    Volume
        Rescaled by the file's slope and intercept; integers unless these are fractions. Slices ascend along the normal
        of the image plane, so the direction is right-handed.

    Raises
    ------
    SeveralSeries
        If a choice must be made.
    InputError
        If there is no series, or its slices do not make up one whole volume.
    MemoryError
        If it does not fit into memory.
    """
    path = Path(path)
    with library_noise_silenced():
        found, wanted, notes = _find(path, series)
        chosen, why = choose(found, wanted, path.name)
        if found.damaged and path.is_dir():
            notes += (f"{counted(len(found.damaged), 'file')} cannot be read: {names_of(found.damaged)}.",)
        volume = _read(chosen)
    return replace(volume, warnings=(*why, *notes, *volume.warnings))


def read_likeliest(files: Sequence[Path], name: str) -> Volume:
    """Read the series of some files that is most likely the scan; `Volume.warnings` says which one and why.

    Parameters
    ----------
    files : sequence of Path
        Such as those of a study.
    name : str
        Of the whole, for messages.

    Raises
    ------
    InputError
        If none of them is a scan, or the slices of the likeliest do not make up one whole volume.
    MemoryError
        If it does not fit into memory.
    """
    with library_noise_silenced():
        found = find_series(files)
        chosen, why = likeliest(found, name)
        if found.damaged:
            why += (f"{counted(len(found.damaged), 'file')} cannot be read: {names_of(found.damaged)}.",)
        volume = _read(chosen)
    return replace(volume, warnings=(*why, *volume.warnings))


def _find(path: Path, series: str | None) -> tuple[Folder, str | None, tuple[str, ...]]:
    """What there is to choose from, what of it is wanted, and notes for the user."""
    if path.is_dir():
        return find_series(files_in(path)), series, ()
    alone = find_series([path])
    if path.name.upper() == _DIRECTORY or (not (alone.series or alone.damaged or alone.others) and is_dicom(path)):
        return find_series(files_in(path.parent)), series, ()
    if series is not None or not alone.series or len(alone.series) > 1 or alone.series[0].is_volume:
        return alone, series, ()
    own = list(files_in(path.parent, deep=False))
    best, key, count = alone, None, len(alone.series[0].frames)
    beside = _beside(path, alone.series[0].uid)
    for files in (own, own + beside)[: 2 if beside else 1]:
        around = find_series(files)
        whole = [one for one in around.series if any(frame.path == path for frame in one.frames)]
        if len(whole) == 1 and len(whole[0].frames) > count and (files is own or _numbered_on(whole[0].frames)):
            best, key, count = around, whole[0].key, len(whole[0].frames)
    if key is None:
        return alone, series, ()
    return best, key, (f"{path.name} is one slice of a series: all its {count} slices were read.",)


def _numbered_on(frames: Sequence[Frame]) -> bool:
    """Whether instance numbers go on from folder to folder; of other scans that were given the same UID, they begin anew."""
    numbers = {(frame.number, frame.index) for frame in frames if frame.number is not None}
    return len(numbers) == len(frames)


def _beside(path: Path, uid: str) -> list[Path]:
    """The files of the folders beside a file's own that hold more of its series, as their first DICOM file shows."""
    folder = path.parent.resolve()
    found: list[Path] = []
    try:
        others = (
            sorted(one for one in folder.parent.iterdir() if one.is_dir() and one.resolve() != folder) if uid else []
        )
    except OSError:  # which may not be looked into
        return found
    for other in others:
        first = next(filter(is_dicom, islice(files_in(other, deep=False), _MOST_LOOKED_AT)), None)
        if first and any(one.uid == uid for one in find_series([first]).series):
            found += islice(files_in(other, deep=False), _MOST_BESIDE)
    return found


def _read(series: Series) -> Volume:
    """The volume of a series; slices whose pixels cannot be read count as missing."""
    if series.unfit:
        raise InputError(f"The series {series.unfit}: choose another one.")
    frames, left_out = list(series.frames), list(series.left_out)
    while True:
        try:
            stack = stack_frames(frames)
        except InputError as error:
            remarks = " ".join(left_out_note(left_out))
            raise InputError(f"{error} {remarks}".rstrip()) from error
        present = [frame for frame in stack.frames if frame is not None]
        pixels, failed = read_pixels(present)
        if not failed:
            break
        bad = [present[at] for at in failed]
        if len(bad) > max(1, MOST_MISSING * len(present)):
            raise _unreadable(bad, list(failed.values()))
        left_out += [LeftOut(frame.name, why) for frame, why in zip(bad, failed.values(), strict=True)]
        frames = [frame for frame in frames if frame not in bad]
    array, padding, notes = grey_values(pixels, present)
    even = on_even_grid(array, stack, padding)
    direction = stack.direction
    first = stack.first
    origin = first.position + direction[:, :2] @ even.corner
    return Volume(
        even.array,
        (first.spacing[1], first.spacing[0], stack.step),
        tuple(origin.tolist()),
        direction,
        (*series.notes, *left_out_note(left_out), *stack.notes, *notes),
        even.padding,
        _age(first),
    )


def _age(frame: Frame) -> float | None:
    names = ("PatientAge", "PatientBirthDate", "StudyDate")
    return patient_age(*(text(frame.header.dataset, name) for name in names))


def _unreadable(frames: Sequence[Frame], reasons: Sequence[str]) -> InputError:
    way_out = (
        "export it uncompressed" if "compressed" in reasons[0] else "copy the series again from its disc or archive"
    )
    return InputError(
        f"The pixels of {counted(len(frames), 'slice')} ({names_of(frames)}) cannot be used, as the first "
        f"{reasons[0]}: {way_out}."
    )
