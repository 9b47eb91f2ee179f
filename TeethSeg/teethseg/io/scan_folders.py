"""Which file of a folder is the scan, where other things lie beside it.

A DICOM series is the scan unless a file of another format could be one too; a segmentation never is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, SeveralSeries
from ..volume import Volume
from .dicom.sniff import files_in, is_dicom
from .scan_checks import USE_OF_LABELS, looks_like_labels

DICOM = "dicom"  # names the DICOM series where other files could be the scan too
_SEGMENTATION = ".seg.nrrd"
_MOST_FILES = 12


def read_folder(
    folder: Path,
    series: str | None,
    suffixes: Sequence[str],
    read_file: Callable[[Path], Volume],
    read_dicom: Callable[[Path, str | None], Volume],
) -> Volume:
    """Read the scan in a folder and its sub-folders.

    Parameters
    ----------
    folder : Path
    series : str, optional
        Name of a file below the folder, `DICOM`, or a DICOM series.
    suffixes : sequence of str
        Endings of the files that `read_file` reads.
    read_file, read_dicom : callable

    Raises
    ------
    SeveralSeries
        If several could be the scan.
    InputError
        If there is none.
    """
    images = [path for path in files_in(folder) if path.name.lower().endswith(tuple(suffixes))]
    if series == DICOM or not images:
        return read_dicom(folder, None if series == DICOM else series)
    for path in images:
        if series in (path.name, _below(path, folder)):
            return read_file(path)
    dicom = any(is_dicom(path) for path in files_in(folder) if path not in images)
    if dicom and series is not None:
        return read_dicom(folder, series)
    scans, passed_over = _parted(images, read_file)
    if dicom:
        volume = read_dicom(folder, None)
        if scans:
            raise _several(folder, scans, volume)
        return _noted(volume, passed_over)
    if len(scans) == 1:
        path, volume = scans[0]
        return _noted(volume, passed_over) if passed_over else volume
    if scans:
        raise _several(folder, scans, None)
    raise InputError(f"{folder.name} holds no scan but {passed_over[0].name}, a segmentation: {USE_OF_LABELS}")


def _parted(
    images: Sequence[Path], read_file: Callable[[Path], Volume]
) -> tuple[list[tuple[Path, Volume]], list[Path]]:
    """Files that could be scans, with what is in them, and segmentations."""
    scans, segmentations = [], []
    for path in images:
        volume = None if path.name.lower().endswith(_SEGMENTATION) else read_file(path)
        if volume is None or looks_like_labels(volume.array):
            segmentations.append(path)
        else:
            scans.append((path, volume))
    return scans, segmentations


def _several(folder: Path, scans: Sequence[tuple[Path, Volume]], dicom: Volume | None) -> SeveralSeries:
    choices = {} if dicom is None else {DICOM: f"{DICOM}: {_facts(dicom)}"}
    for path, volume in scans[:_MOST_FILES]:
        name = _below(path, folder)
        choices[name] = f"{name}: {_facts(volume)}"
    return SeveralSeries(
        f"{folder.name} holds {len(scans) + (dicom is not None)} scans: choose one by its name (series): "
        f"{'; '.join(choices)}.",
        choices,
    )


def _facts(volume: Volume) -> str:
    size = " x ".join(map(str, volume.array.shape[::-1]))
    return f"{size} voxels of {' x '.join(f'{side:.3g}' for side in volume.spacing)} mm"


def _noted(volume: Volume, passed_over: Sequence[Path]) -> Volume:
    names = ", ".join(path.name for path in passed_over[:3])
    note = f"Passed over, as segmentations and no scans: {names}{' and more' if len(passed_over) > 3 else ''}."
    return replace(volume, warnings=(*volume.warnings, note))


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
