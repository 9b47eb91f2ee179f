"""Finds labelled cases: case folders, DICOM folders with segmentations, and scenes of 3D Slicer.

Only names and headers are read, so that hundreds of cases are found in seconds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Literal

from ..errors import InputError
from .case_folder import labels_file
from .dicom.sniff import is_clutter, is_dicom
from .json_text import read_json
from .label_schemes import LABEL_SCHEMES, LabelScheme
from .slicer_scene import SceneFiles, archived_scene, scene_files
from .zip_archive import unpacked

CASE = "case.json"
_LABEL_NAMES = ("label", "seg", "mask", "tissues")
_IMAGES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd", ".gipl", ".gipl.gz")
_SEG_CLASS = re.compile(rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.66\.[47](?![0-9.])")  # Segmentation, Label Map Segmentation
_FILE_META = 4096  # bytes at the start of a DICOM file that hold its SOP class
_FINISHED = ("completed", "missing")
Severity = Literal["error", "note"]


@dataclass(frozen=True)
class Problem:
    """An error or a note about a case.

    Attributes
    ----------
    case : str
        Its name, relative to the searched folder.
    text : str
        One line: the cause, then the remedy.
    severity : {"error", "note"}
        A case with an error cannot be used.
    """

    case: str
    text: str
    severity: Severity = "error"


@dataclass(frozen=True)
class CaseSource:
    """Paths of a labelled case, and its metadata.

    Attributes
    ----------
    name : str
        The case's path below the searched folder.
    image, labels : Path
        Arguments of `files.read_scan` and `files.read_teeth`; inside `archive`, if there is one.
    patient : str
        The same for all scans of one patient.
    series : str, optional
        UID of the image's series in a DICOM folder.
    tissues : Path, optional
        The tissues of a simulated scan.
    weight : float
        Relative sampling frequency in training.
    labels_are : LabelScheme, optional
    unerupted : tuple of int, optional
        Teeth that have not erupted; None if that was not annotated.
    unfinished : tuple of int
        Teeth whose annotation is neither completed nor marked as missing.
    notes : tuple of str
        Assumptions, one line each.
    archive : Path, optional
        A Slicer scene bundle (.mrb).
    """

    name: str
    image: Path
    labels: Path
    patient: str
    series: str | None = None
    tissues: Path | None = None
    weight: float = 1.0
    labels_are: LabelScheme | None = None
    unerupted: tuple[int, ...] | None = None
    unfinished: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    archive: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files and folders of the case."""
        return (self.archive,) if self.archive else tuple(filter(None, (self.image, self.labels, self.tissues)))

    @contextmanager
    def opened(self) -> Iterator[CaseSource]:
        """The same case with its archive unpacked, for the duration of the block."""
        if self.archive is None:
            yield self
            return
        with unpacked(self.archive) as folder:
            yield replace(self, image=folder / self.image, labels=folder / self.labels, archive=None)


@dataclass(frozen=True)
class CaseFacts:
    """Content of a `case.json`."""

    patient: str | None = None
    weight: float = 1.0
    labels_are: LabelScheme | None = None
    unerupted: tuple[int, ...] | None = None
    unfinished: tuple[int, ...] = ()


def facts_of(folder: Path) -> CaseFacts:
    """Read the `case.json` in a folder.

    Raises
    ------
    InputError
        If it does not name the patient, or a field has an invalid value.
    """
    file = folder / CASE
    try:
        about = read_json(file)
        patient, weight = str(about["patient"]), float(about.get("weight", 1.0))
        unerupted = about.get("unerupted")
        unerupted = None if unerupted is None else tuple(int(label) for label in unerupted)
        states = dict(about.get("teeth") or {})
        unfinished = tuple(int(fdi) for fdi, state in states.items() if state not in _FINISHED)
    except (OSError, ArithmeticError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f'{file} names no patient: let it hold {{"patient": "..."}}, the same for all scans of one.'
        ) from error
    if not 0 <= weight < float("inf"):
        raise InputError(f"{file} says weight {weight:g}: give a number from 0 up.")
    scheme = about.get("labels_are")
    if scheme is not None and scheme not in LABEL_SCHEMES:
        raise InputError(f"{file} says labels_are {scheme!r}: give one of {', '.join(LABEL_SCHEMES)}.")
    return CaseFacts(patient, weight, scheme, unerupted, unfinished)


def case_of(folder: Path, name: str | None = None) -> CaseSource:
    """The case in a case folder (`image.nrrd`, `labels.seg.nrrd`, `case.json`).

    Raises
    ------
    InputError
        If one of these is missing, or `case.json` lacks a field.
    """
    facts = facts_of(folder)
    image, tissues = folder / "image.nrrd", folder / "tissues.nrrd"
    if not image.exists() and not tissues.exists():
        raise InputError(f"{folder} has no image.nrrd: save the scan there.")
    return CaseSource(
        name or folder.name,
        image,
        labels_file(folder),
        facts.patient or "",
        tissues=tissues if tissues.exists() else None,
        weight=facts.weight,
        labels_are=facts.labels_are,
        unerupted=facts.unerupted,
        unfinished=facts.unfinished,
    )


def find_cases(folder: str | Path) -> tuple[list[CaseSource], list[Problem]]:
    """All labelled cases below a folder (or in it), sorted by name, and the problems of other cases.

    A case folder holds `case.json`. A scene is a `.mrml` or `.mrb` file with a scan and its segmentation. Any other folder is
    a case if it holds a scan and a segmentation (DICOM SEG, .seg.nrrd, or a file with label, seg or mask in its name).
    """
    folder = Path(folder)
    found: list[CaseSource] = []
    problems: list[Problem] = []
    readers: Sequence[Callable[[], Iterable[CaseSource]]]
    index = _SeriesIndex(folder)
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not is_clutter(name))
        here = Path(place)
        name = here.relative_to(folder).as_posix() if here != folder else here.resolve().name
        files = [here / one for one in sorted(names) if not is_clutter(one) and not one.startswith(".")]
        scenes = [file for file in files if file.suffix.lower() in (".mrml", ".mrb")]
        is_case = CASE in names and ("image.nrrd" in names or "tissues.nrrd" in names or not (scenes or folders))
        if is_case:
            folders[:] = []
            readers = [partial(_case_folder_cases, here, name)]
        elif scenes:
            folders[:] = []  # the folders below hold the scene's data
            readers = [partial(_scene_cases, scene, name) for scene in scenes]
        else:
            readers = [partial(_folder_cases, here, name, files, index)]
        for read_cases in readers:
            try:
                found += list(read_cases())  # all of them or, after an error, none
            except (InputError, OSError) as error:
                problems.append(Problem(name, str(error)))
    return sorted(found, key=lambda case: case.name), problems


def usable_cases(folder: str | Path, warn: Callable[[str], None] = lambda line: None) -> list[CaseSource]:
    """The complete cases below a folder.

    Parameters
    ----------
    folder : path
    warn : callable
        Called with a line for each other case.

    Raises
    ------
    InputError
        If there is none; the message names the problem of the first case.
    """
    found, problems = find_cases(folder)
    if not found:
        raise InputError(
            problems[0].text
            if problems
            else f"No training case in {folder}: a case is a folder with image.nrrd, labels.seg.nrrd, case.json."
        )
    for problem in problems:
        warn(f"{problem.case} was left out: {problem.text}")
    return found


def _own(folder: Path) -> CaseFacts:
    return facts_of(folder) if (folder / CASE).exists() else CaseFacts()


def _case_folder_cases(folder: Path, name: str) -> Iterator[CaseSource]:
    yield case_of(folder, name)


def _scene_cases(scene: Path, name: str) -> Iterator[CaseSource]:
    packed = scene.suffix.lower() == ".mrb"
    files: SceneFiles = archived_scene(scene) if packed else scene_files(scene)
    facts = _own(scene.parent)
    notes = () if facts.patient else (_no_key(scene.stem),)
    yield CaseSource(
        f"{name}/{scene.name}",
        files.image,
        files.labels,
        facts.patient or f"scene-{_short(str(scene.resolve()))}",
        weight=facts.weight,
        labels_are=facts.labels_are,
        unerupted=facts.unerupted,
        unfinished=facts.unfinished,
        notes=notes,
        archive=scene if packed else None,
    )


def _folder_cases(here: Path, name: str, files: Sequence[Path], index: _SeriesIndex) -> Iterator[CaseSource]:
    """The cases of a folder with segmentations; none of any other folder."""
    dicom_segs = [file for file in files if _is_seg(file)]
    for file in dicom_segs:
        yield _of_dicom_seg(file, name if len(dicom_segs) == 1 else f"{name}/{file.name}", index)
    images = [file for file in files if file.name.lower().endswith(_IMAGES)]
    labels = [file for file in images if is_label_file(file)]
    if not labels or dicom_segs:
        return
    if len(labels) > 1:
        listed = ", ".join(file.name for file in labels[:3])
        raise InputError(f"{name} holds {len(labels)} segmentations ({listed}): leave one, or make a folder for each.")
    facts = _own(here)
    scans = [file for file in images if file not in labels]
    if len(scans) > 1:
        listed = ", ".join(file.name for file in scans[:3])
        raise InputError(f"{name} holds {len(scans)} scans ({listed}): make a folder for each, with its segmentation.")
    image = scans[0] if scans else here
    patient = facts.patient or ("" if scans else index.patient(here))
    if not scans and not index.holds_images(here):
        raise InputError(f"{name} holds {labels[0].name}, but no scan: put the scan beside it.")
    yield CaseSource(
        name,
        image,
        labels[0],
        patient or f"folder-{_short(str(here.resolve()))}",
        weight=facts.weight,
        labels_are=facts.labels_are,
        unerupted=facts.unerupted,
        unfinished=facts.unfinished,
        notes=() if patient else (_no_key(name),),
    )


def _of_dicom_seg(file: Path, name: str, index: _SeriesIndex) -> CaseSource:
    header = _header(file, ["PatientID", "ReferencedSeriesSequence"])
    uids = [str(item.get("SeriesInstanceUID", "")) for item in header.get("ReferencedSeriesSequence") or ()]
    uid, place = next(((uid, place) for uid in uids if (place := index.place(uid, file))), ("", None))
    if place is None:
        raise InputError(
            f"{file.name} is a segmentation of a series that is not in this folder: put the scan beside it."
        )
    facts = _own(file.parent)
    patient = facts.patient or _patient_key(header)
    return CaseSource(
        name,
        place,
        file,
        patient or f"series-{_short(uid)}",
        series=uid,
        weight=facts.weight,
        labels_are=facts.labels_are,
        unerupted=facts.unerupted,
        unfinished=facts.unfinished,
        notes=() if patient else (_no_key(name),),
    )


def _no_key(name: str) -> str:
    return (
        f"No file names the patient of {name}, who is taken for one that no other case shows: put a case.json with "
        '{"patient": "..."} beside it.'
    )


def is_label_file(file: Path) -> bool:
    """Whether the name of a file indicates labels instead of a scan."""
    name = file.name.lower()
    return name.endswith(".seg.nrrd") or any(word in name for word in _LABEL_NAMES)


def _is_seg(file: Path) -> bool:
    """Whether a file is a DICOM segmentation, by its first bytes, because this is called for every slice of every scan."""
    if file.name.lower().endswith(_IMAGES):
        return False
    try:
        with file.open("rb") as opened:
            start = opened.read(_FILE_META)
    except OSError:
        return False
    return _SEG_CLASS.search(start) is not None and is_dicom(file)


def _header(file: Path, tags: list[str]):
    import pydicom

    try:
        return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=tags, force=True)
    except Exception as error:  # pydicom raises many kinds of error on damaged files
        raise InputError(f"{file.name} is a damaged DICOM file: copy it again.") from error


def _patient_key(header) -> str:
    """A key that does not reveal the patient; empty if the file has no Patient ID."""
    identity = str(header.get("PatientID") or "").strip()
    return f"dicom-{_short(identity)}" if identity else ""


def _short(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]  # not every file's name is UTF-8


class _SeriesIndex:
    """Folders of the series below a folder; built on the first lookup."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._folders: dict[str, Path] = {}
        self._is_filled = False

    def place(self, uid: str, near: Path) -> Path | None:
        """The folder of a series, anywhere below the indexed folder or beside the segmentation; None if there is none."""
        if not self._is_filled:
            self._is_filled = True
            for place, folders, names in os.walk(self._folder):
                folders.sort()
                self._add(Path(place), names, every=False)
        if uid not in self._folders:  # images of several series in one folder
            self._add(near.parent, [entry.name for entry in near.parent.iterdir() if entry.is_file()], every=True)
        return self._folders.get(uid)

    def _add(self, place: Path, names: Sequence[str], every: bool) -> None:
        for name in sorted(names):
            file = place / name
            if file.name.lower().endswith((*_IMAGES, ".json")) or not is_dicom(file) or _is_seg(file):
                continue
            uid = str(_header(file, ["SeriesInstanceUID"]).get("SeriesInstanceUID", ""))
            self._folders.setdefault(uid, place)
            if not every:
                return

    def holds_images(self, folder: Path) -> bool:
        return self._first(folder) is not None

    def patient(self, folder: Path) -> str:
        file = self._first(folder)
        return _patient_key(_header(file, ["PatientID"])) if file else ""

    @staticmethod
    def _first(folder: Path) -> Path | None:
        files = (Path(place, name) for place, _, names in os.walk(folder) for name in sorted(names))
        return next((file for file in files if is_dicom(file) and not _is_seg(file)), None)
