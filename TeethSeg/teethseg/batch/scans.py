"""Finds the scans below a folder: files, zips, and DICOM studies, whose files may lie in several folders."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ..io.case_sources import is_label_file
from ..io.dicom.sniff import is_clutter, is_dicom
from ..io.dicom.studies import study_of
from ..io.files import SCAN_SUFFIXES

_LONGEST_NAME = 80


@dataclass(frozen=True)
class Scan:
    """A scan to segment.

    Attributes
    ----------
    name : str
        Unique name of the folder for its results.
    place : str
        Path below the searched folder.
    files : tuple of Path
        One file or zip, or all files of a DICOM study.
    is_study : bool
    fingerprint : str
        Digest of the names, sizes and times of its files.
    """

    name: str
    place: str
    files: tuple[Path, ...]
    is_study: bool
    fingerprint: str


@dataclass(frozen=True)
class FoundScans:
    """Scans, sorted by place, and label files, which were ignored."""

    scans: tuple[Scan, ...]
    labels: tuple[str, ...]


def find_scans(folder: Path, without: Path, tell: Callable[[int], None] = lambda files: None) -> FoundScans:
    """Search a folder for scans; of DICOM files only the first bytes and the study UID are read.

    Parameters
    ----------
    folder : Path
    without : Path
        A folder to skip: the one for results.
    tell : callable
        Called every 500 files with the number of files seen.
    """
    files: dict[str, list[Path]] = {}
    studies: dict[str, list[Path]] = {}
    labels: list[str] = []
    seen = 0
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if not (is_clutter(name) or name.startswith(".") or _is_same_folder(here / name, without))
        )
        for path in (here / name for name in sorted(names) if not is_clutter(name) and not name.startswith(".")):
            seen += 1
            if seen % 500 == 0:
                tell(seen)
            if path.name.lower().endswith(SCAN_SUFFIXES):
                if is_label_file(path):
                    labels.append(path.relative_to(folder).as_posix())
                else:
                    files[path.relative_to(folder).as_posix()] = [path]
            elif path.suffix.lower() == ".zip":
                files[path.relative_to(folder).as_posix()] = [path]
            elif is_dicom(path) and (uid := study_of(path)) is not None:
                studies.setdefault(uid, []).append(path)
    tell(seen)
    found = [(place, paths, False) for place, paths in files.items()]
    found += [(_place_of(paths, folder), paths, True) for paths in studies.values()]
    return FoundScans(
        tuple(_with_unique_names(sorted(found, key=lambda one: (one[0], str(one[1][0]))), folder)), tuple(labels)
    )


def _place_of(files: list[Path], folder: Path) -> str:
    """The folder that holds all files of a study."""
    common = Path(os.path.commonpath([str(path.parent) for path in files]))
    return common.relative_to(folder).as_posix() if common != folder else "."


def _with_unique_names(found: list[tuple[str, list[Path], bool]], folder: Path) -> list[Scan]:
    slugs = [_slug(place if place != "." else folder.resolve().name) for place, _, _ in found]
    slug_counts = Counter(slug.lower() for slug in slugs)  # some file systems ignore case
    scans = []
    for slug, (place, files, is_study) in zip(slugs, found, strict=True):
        first = files[0].relative_to(folder).as_posix()
        own = f"{slug}-{_digest(f'{place}|{first}')[:8]}"
        name = slug if slug_counts[slug.lower()] == 1 else own
        scans.append(Scan(name, place, tuple(files), is_study, _fingerprint(files, folder)))
    return scans


def _slug(place: str) -> str:
    ending = next((one for one in sorted((*SCAN_SUFFIXES, ".zip"), key=len)[::-1] if place.lower().endswith(one)), "")
    text = place[: len(place) - len(ending)].replace("/", "__")
    return re.sub(r"[^\w.=+-]", "_", text, flags=re.ASCII).strip(".")[:_LONGEST_NAME] or "scan"


def _fingerprint(files: list[Path], folder: Path) -> str:
    lines = []
    for path in files:
        try:
            about = path.stat()
            facts = f"{about.st_size}|{about.st_mtime_ns}"
        except OSError as error:  # such as a link to nowhere: reading it fails later, with its reason
            facts = str(error.errno)
        lines.append(f"{path.relative_to(folder).as_posix()}|{facts}\n")
    return _digest("".join(lines))


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()  # not every file's name is UTF-8


def _is_same_folder(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
