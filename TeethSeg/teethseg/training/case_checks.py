"""Checks of labelled cases before training: do image, labels and numbers fit? All problems are listed at once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..anatomy import SUPERNUMERARY, TEETH
from ..errors import InputError, TeethSegError
from ..io.case_sources import CaseSource, Problem, Severity, find_cases
from ..io.files import read_scan, read_teeth
from ..io.label_maps import values_in
from ..io.scan_checks import check_scan
from ..resampling import check_lies_in, same_lattice
from ..structures import UNKNOWN_VALUE
from ..volume import Volume
from .cases import check_unfinished

_SMALL_TOOTH = 30.0  # mm³; a lower incisor has about 150


@dataclass(frozen=True)
class CheckedCase:
    """A case that could be read.

    Attributes
    ----------
    source : CaseSource
    teeth : tuple of int
        FDI numbers in its labels.
    scan_hash, labels_hash : str
        Of the voxels, so that the same scan in another file format has the same hash.
    """

    source: CaseSource
    teeth: tuple[int, ...]
    scan_hash: str
    labels_hash: str


def check_cases(
    folder: str | Path, tell: Callable[[int, int], None] = lambda done, total: None
) -> tuple[list[CheckedCase], list[Problem]]:
    """Read every case below a folder, one at a time, and list every problem.

    Parameters
    ----------
    folder : path
    tell : callable
        Called with the number of checked cases and of all cases.

    Returns
    -------
    list of CheckedCase
        Cases that training can use.
    list of Problem
        Sorted by case. An error says why a case cannot be used; a note is for information.
    """
    sources, problems = find_cases(folder)
    checked = []
    for done, source in enumerate(sources):
        tell(done, len(sources))
        case, found = _checked(source)
        problems += found
        if case is not None:
            checked.append(case)
    tell(len(sources), len(sources))
    problems += _duplicates(checked)
    wrong = {problem.case for problem in problems if problem.severity == "error"}
    order = sorted(problems, key=lambda problem: (problem.case, problem.severity))
    return [case for case in checked if case.source.name not in wrong], order


def _checked(source: CaseSource) -> tuple[CheckedCase | None, list[Problem]]:
    problems = [Problem(source.name, note, "note") for note in source.notes]
    try:
        with source.opened() as files:
            labels = read_teeth(files.labels, files.labels_are, keep=("supernumerary", "unknown"))
            grids = [read_scan(files.image, files.series)] if files.image.exists() else []
            grids += [read_scan(files.tissues)] if files.tissues else []
    except TeethSegError as error:
        return None, [*problems, Problem(source.name, str(error))]
    except MemoryError:
        return None, [*problems, Problem(source.name, "It does not fit into memory: crop the scan to the jaws.")]
    problems += [Problem(source.name, text, severity) for severity, text in _findings(source, grids, labels)]
    digest = hashlib.sha256("".join(map(_hash, grids)).encode()).hexdigest()
    return CheckedCase(source, _teeth(labels), digest, _hash(labels)), problems


def _findings(source: CaseSource, grids: list[Volume], labels: Volume) -> Iterator[tuple[Severity, str]]:
    for text in labels.warnings:
        yield "note", text
    for scan, file in zip(grids, filter(None, (source.image, source.tissues)), strict=False):
        if source.tissues is None:
            yield from _as_problems(check_scan, scan)
        yield from _as_problems(check_lies_in, labels, scan, source.labels.name, file.name)
        if not same_lattice(labels, scan):  # labels cropped to the teeth are usual
            yield (
                "note",
                (
                    f"{file.name} and {source.labels.name} lie on different grids ({_grid(scan)}; {_grid(labels)}): labels are "
                    "resampled; look at the sheet."
                ),
            )
    if not _teeth(labels):
        if (labels.array == UNKNOWN_VALUE).any():
            yield (
                "note",
                "No tooth is labelled: training learns that there are none outside the part marked as unknown (255).",
            )
        else:
            yield "error", "No tooth is labelled: label it, or remove the case."
    yield from _as_problems(check_unfinished, source, labels)
    for value, volume in _volumes(labels):
        if volume < _SMALL_TOOTH:
            yield "note", f"Tooth {value} has {volume:.1f} mm³: is it whole?"
    unerupted = set(source.unerupted or ())
    if wrong := unerupted - set(TEETH) - set(SUPERNUMERARY):
        yield "error", f"case.json calls {min(wrong)} unerupted, which is no FDI number: correct it."
    if absent := unerupted - wrong - set(values_in(labels.array)):
        yield "note", f"case.json calls {', '.join(map(str, sorted(absent)))} unerupted, but no voxel has this label."


def _as_problems(check: Callable[..., tuple[str, ...]], *arguments) -> Iterator[tuple[Severity, str]]:
    """Warnings of a check as notes; its `InputError` as an error."""
    try:
        for text in check(*arguments):
            yield "note", text
    except InputError as error:
        yield "error", str(error)


def _duplicates(cases: Iterable[CheckedCase]) -> Iterator[Problem]:
    """Duplicate scans, and several cases of one patient."""
    by_scan, by_patient = defaultdict(list), defaultdict(list)
    for case in cases:
        by_scan[case.scan_hash].append(case)
        by_patient[case.source.patient].append(case)
    for same in by_scan.values():
        first = same[0]
        for other in same[1:]:
            if other.source.patient != first.source.patient:
                text = f"The same scan as {first.source.name}, under another patient: one of them is wrong; remove it."
            elif other.labels_hash == first.labels_hash:
                text = f"The same scan and labels as {first.source.name}: remove one of them."
            else:
                text = f"The same scan as {first.source.name} with other labels: keep the better ones."
            yield Problem(other.source.name, text)
    for same in by_patient.values():
        if len({case.scan_hash for case in same}) > 1:
            names = ", ".join(case.source.name for case in same[1:4])
            more = f" and {len(same) - 4} more" if len(same) > 4 else ""
            yield Problem(
                same[0].source.name,
                f"Of one patient with {names}{more}: they must stay in one fold (training sees to it).",
                "note",
            )


def _teeth(labels: Volume) -> tuple[int, ...]:
    return tuple(value for value in values_in(labels.array) if value in TEETH)


def _volumes(labels: Volume) -> Iterator[tuple[int, float]]:
    voxel = float(np.prod(labels.spacing))
    counts = np.zeros(256, np.int64)
    for plane in labels.array:  # `bincount` copies its values as int64
        counts += np.bincount(plane.ravel(), minlength=256)
    for value in _teeth(labels):
        yield value, counts[value] * voxel


def _grid(volume: Volume) -> str:
    size, spacing = (" x ".join(map(str, part)) for part in (volume.size, [f"{s:.3g}" for s in volume.spacing]))
    return f"{size} of {spacing} mm"


def _hash(volume: Volume) -> str:
    digest = hashlib.sha256(str((volume.array.shape, np.round(volume.spacing, 4).tolist())).encode())
    for plane in volume.array:
        digest.update(np.ascontiguousarray(plane, np.float32).data)  # the same in whatever type a file stores it
    return digest.hexdigest()
