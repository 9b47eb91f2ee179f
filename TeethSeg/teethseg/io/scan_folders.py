"""Finds the scan in a folder that holds other files too.

A DICOM series is the scan unless a file of another format could be one too; a segmentation never is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import InputError, SeveralSeries
from ..volume import Volume
from .dicom.sniff import files_in, is_dicom
from .scan_checks import USE_OF_LABELS, looks_like_labels

DICOM = "dicom"  # name of the DICOM series where other files could be the scan too
_SEGMENTATION = ".seg.nrrd"
MOST_FILES = 12  # files that could be the scan


class SegmentationError(InputError):
    """The file that was given as a scan declares itself a segmentation."""


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
    files = list(files_in(folder))
    images = [path for path in files if path.name.lower().endswith(tuple(suffixes))]
    if not images and not any(map(is_dicom, files)):
        raise _no_scan(folder, files, suffixes)
    if series == DICOM or not images:
        return read_dicom(folder, None if series == DICOM else series)
    for path in images:
        if series in (path.name, _below(path, folder)):
            return read_file(path)
    dicom = any(is_dicom(path) for path in files if path not in images)
    if dicom and series is not None:
        return read_dicom(folder, series)
    if len(images) > MOST_FILES and not dicom:
        raise InputError(f"{folder.name} holds {len(images)} files that could be the scan: give one of them.")
    content = _sorted_out(images[:MOST_FILES], read_file)
    if dicom:
        volume = read_dicom(folder, None)
        if content.scans:
            raise _several(folder, content.scans, volume)
    elif len(content.scans) > 1:
        raise _several(folder, content.scans, None)
    elif content.scans:
        volume = content.scans[0][1]
    else:
        raise content.nothing(folder)
    return replace(volume, warnings=(*volume.warnings, *content.notes()))


@dataclass
class _Content:
    """Files of a folder: scans with their voxels, segmentations, and unreadable files."""

    scans: list[tuple[Path, Volume]] = field(default_factory=list)
    segmentations: list[Path] = field(default_factory=list)
    unreadable: list[tuple[Path, InputError]] = field(default_factory=list)

    def notes(self) -> list[str]:
        notes = []
        if self.segmentations:
            notes.append(f"Passed over, as segmentations and no scans: {_names(self.segmentations)}.")
        if self.unreadable:
            notes.append(f"Passed over, as it cannot be read: {_names([path for path, _ in self.unreadable])}.")
        return notes

    def nothing(self, folder: Path) -> InputError:
        if self.unreadable:
            return self.unreadable[0][1]
        name = self.segmentations[0].name
        return InputError(f"{folder.name} holds no scan but {name}, a segmentation: {USE_OF_LABELS}")


def _sorted_out(images: Sequence[Path], read_file: Callable[[Path], Volume]) -> _Content:
    content = _Content()
    for path in images:
        try:
            volume = None if path.name.lower().endswith(_SEGMENTATION) else read_file(path)
        except SegmentationError:
            volume = None
        except InputError as error:
            content.unreadable.append((path, error))
            continue
        if volume is None or looks_like_labels(volume.array):
            content.segmentations.append(path)
        else:
            content.scans.append((path, volume))
    return content


def _no_scan(folder: Path, files: Sequence[Path], suffixes: Sequence[str]) -> InputError:
    """The error for a folder without any file that could be a scan."""
    counts = Counter(path.suffix.lower() or "without ending" for path in files)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common(3)) or "it is empty"
    return InputError(
        f"{folder.name} holds no scan ({kinds}): give a folder with DICOM files, or a file {', '.join(suffixes)}."
    )


def _several(folder: Path, scans: Sequence[tuple[Path, Volume]], dicom: Volume | None) -> SeveralSeries:
    choices = {} if dicom is None else {DICOM: f"{DICOM}: {_facts(dicom)}"}
    for path, volume in scans:
        name = _below(path, folder)
        choices[name] = f"{name}: {_facts(volume)}"
    return SeveralSeries(
        f"{folder.name} holds {len(scans) + (dicom is not None)} scans: choose one by its name (series): "
        f"{'; '.join(choices)}.",
        choices,
    )


def _facts(volume: Volume) -> str:
    size = " x ".join(map(str, volume.size))
    return f"{size} voxels of {' x '.join(f'{side:.3g}' for side in volume.spacing)} mm"


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:3]) + (" and more" if len(paths) > 3 else "")


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
