"""Writes training cases: folders with `image.nrrd`, `labels.seg.nrrd` and `case.json`, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError, TeethSegError, UsageError
from ..volume import Volume
from .atomic_write import draft_folder, replace_folder
from .files import write_scan, write_segmentation
from .json_text import json_text


def case_folders(folder: str | Path) -> list[Path]:
    """Folders below `folder` (or itself) that hold a `case.json`, sorted.

    Raises
    ------
    InputError
        If there is none.
    """
    folders = (path.parent for path in Path(folder).rglob("case.json"))
    cases = sorted(case for case in folders if not case.name.startswith("."))  # the others are drafts
    if not cases:
        raise InputError(
            f"No training case in {folder}: a case is a folder with image.nrrd, labels.seg.nrrd, case.json."
        )
    return cases


def labels_file(folder: Path) -> Path:
    """The file with the labels of a case, `labels.seg.nrrd` or `labels.nrrd`.

    Raises
    ------
    InputError
        If there is none.
    """
    for name in ("labels.seg.nrrd", "labels.nrrd"):
        if (folder / name).exists():
            return folder / name
    raise InputError(f"{folder} has no labels.seg.nrrd: save the labels of the scan there.")


def check_new(folder: str | Path) -> None:
    """Refuse a folder that exists already.

    Raises
    ------
    UsageError
    """
    if Path(folder).exists():
        raise UsageError(f"{folder} exists already: choose another folder, or remove it first.")


def write_case_folder(
    folder: str | Path,
    scan: Volume,
    labels: Volume,
    patient: str,
    tissues: Volume | None = None,
    overwrite: bool = False,
    **about,
) -> None:
    """Write a training case; the folder appears once it is complete.

    Parameters
    ----------
    folder : path
    scan, labels : Volume
        Grey values, and FDI numbers on the same grid.
    patient : str
        The same for all scans of one patient, so that no patient is in two folds.
    tissues : Volume, optional
        The tissues of a simulated scan.
    overwrite : bool
        Whether an existing case may be replaced; another folder is never replaced.
    **about
        Further fields of `case.json`.

    Raises
    ------
    UsageError
        If the folder exists and may not be replaced, or there is no patient key.
    TeethSegError
        If it cannot be written.
    """
    folder = Path(folder)
    if not patient.strip() or not patient.isprintable():
        raise UsageError("A training case needs a patient key: give one line of text, the same for all scans of one.")
    if not (overwrite and (folder / "case.json").is_file()):
        check_new(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with draft_folder(folder.parent) as draft:
            new = draft / "new"
            new.mkdir()
            write_scan(new / "image.nrrd", scan)
            if tissues is not None:
                write_scan(new / "tissues.nrrd", tissues)
            write_segmentation(new / "labels.seg.nrrd", labels)
            text = json_text({"patient": patient.strip(), **about}, indent=1)
            (new / "case.json").write_text(text, encoding="utf-8")
            replace_folder(new, folder, draft)
    except OSError as error:
        raise TeethSegError(
            f"{folder} cannot be written ({error.strerror or error}): choose another place or free some space."
        ) from error
