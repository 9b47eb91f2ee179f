"""Segments one scan of a batch, in any process; its results are written whole or not at all."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Literal

from .. import __version__
from ..anatomy import Notation
from ..cascade.network_choice import DentitionChoice
from ..errors import TeethSegError, UsageError, is_lack_of_memory
from ..io.atomic_write import draft_folder, replace_folder
from ..io.dicom.sniff import files_in
from ..io.json_text import json_text, read_json
from ..volume import Volume
from .scans import Scan

TEETH, REPORT, PICTURE, STL, STAMP = "teeth.seg.nrrd", "report.json", "picture.png", "stl", "batch.json"

_NO_MEMORY = "Memory ran out: take fewer --jobs, or crop the scan to the jaws."


@dataclass(frozen=True)
class Settings:
    """Settings that all scans of a batch share.

    Attributes
    ----------
    device : str
        auto, cpu, cuda or mps.
    weights : str, optional
        A weights file; those that ship with TeethSeg unless given.
    sha256 : str
        Checksum of the weights; results of other weights are replaced.
    mixed_sha256 : str
        Checksum of the weights for mixed dentitions, if there are any.
    dentition : {'auto', 'permanent', 'mixed'}
        Choice among the weights that ship; see `cascade.network_choice`.
    notation : {'fdi', 'universal', 'palmer'}
        Tooth numbers in names in the results.
    surfaces : bool
        Whether an STL file is written for each tooth.
    threads : int, optional
        Number of threads of each process.
    """

    device: str = "auto"
    weights: str | None = None
    sha256: str = ""
    mixed_sha256: str = ""
    dentition: DentitionChoice = "auto"
    notation: Notation = "fdi"
    surfaces: bool = False
    threads: int | None = None

    @property
    def stamp(self) -> dict:
        """The settings on which results depend."""
        networks = {"weights": self.sha256, "mixed_weights": self.mixed_sha256, "dentition": self.dentition}
        return {**networks, "notation": self.notation, "version": __version__}


@dataclass(frozen=True)
class Task:
    """A scan and the folder for all results."""

    scan: Scan
    out: Path
    settings: Settings

    @property
    def folder(self) -> Path:
        """Folder for the results of this scan; it appears once they are complete."""
        return self.out / self.scan.name


@dataclass(frozen=True)
class ScanOutcome:
    """Outcome of a scan, with the reason in one line in `reason` unless it is done.

    `done` now, `kept` from an earlier run, `corrected`: kept although its settings are others, as a user changed it, or
    `failed`.
    """

    name: str
    status: Literal["done", "kept", "corrected", "failed"]
    reason: str = ""


class LeftAsCorrected(UsageError):
    """Results of a scan would be replaced by those of other settings, but a user has changed them."""


def is_done(task: Task) -> bool:
    """Whether the folder of a scan holds complete results of the same files with the same settings."""
    try:
        stamp = read_json(task.folder / STAMP)
        same = all(stamp.get(key) == value for key, value in task.settings.stamp.items())
        whole = (task.folder / STL).is_dir() or not task.settings.surfaces
        return same and whole and stamp.get("fingerprint") == task.scan.fingerprint
    except (OSError, ValueError, AttributeError):
        return False


def refuse_others_work(task: Task) -> None:
    """Refuse to replace a folder with any file in it that no batch wrote, or that was changed since, such as teeth.

    It may be a patient's own folder, if scans and results go to the same place.

    Raises
    ------
    LeftAsCorrected
        If there is such a file among results of this scan.
    UsageError
        If there is one among others.
    """
    folder = task.folder
    if not folder.exists():
        return
    try:
        stamp = read_json(folder / STAMP)
        written, same_scan = stamp.get("files") or {}, stamp.get("fingerprint") == task.scan.fingerprint
    except (OSError, ValueError, AttributeError):
        written, same_scan = {}, False
    remedy = f"move {folder.name} away to segment the scan again, or choose another folder for results."
    for file in files_in(folder) if folder.is_dir() else [folder]:
        name = file.relative_to(folder).as_posix()
        if not file.name.startswith(".") and (name != STAMP or not written) and written.get(name) != _digest(file):
            if same_scan:
                raise LeftAsCorrected(f"left as corrected ({name} was changed, or is of no batch): {remedy}")
            raise UsageError(f"{file} was changed since, or is of no batch: {remedy}")


def _digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def segment_one(task: Task) -> ScanOutcome:
    """Segment a scan into its folder, unless its results exist; never raises."""
    try:
        if is_done(task):
            return ScanOutcome(task.scan.name, "kept")
        segment_into_folder(task)
        return ScanOutcome(task.scan.name, "done")
    except LeftAsCorrected as left:
        return ScanOutcome(task.scan.name, "corrected", str(left))
    except TeethSegError as error:
        return ScanOutcome(task.scan.name, "failed", " ".join(str(error).split()))
    except MemoryError:
        return ScanOutcome(task.scan.name, "failed", _NO_MEMORY)
    except OSError as error:
        reason = error.strerror or error
        return ScanOutcome(
            task.scan.name, "failed", f"Results cannot be written ({reason}): choose another folder or free some space."
        )
    except Exception as error:  # an unexpected error of one scan must not stop the others
        if is_lack_of_memory(error):
            return ScanOutcome(task.scan.name, "failed", _NO_MEMORY)
        where = traceback.extract_tb(error.__traceback__)[-1]
        cause = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return ScanOutcome(
            task.scan.name,
            "failed",
            f"An error that TeethSeg does not know ({cause}, {Path(where.filename).name}:{where.lineno}): run 'teethseg "
            "segment' on it with --debug and report what it shows.",
        )


@lru_cache(maxsize=2)
def _networks(weights: Path | None, sha256: str):
    from ..cascade.weights import load_weights

    networks = load_weights(weights)
    if sha256 and networks.sha256 != sha256:
        raise TeethSegError("This computer has other weights than the one that asks: install the same version on both.")
    return networks


@lru_cache(maxsize=1)
def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def segment_into_folder(task: Task) -> None:
    """Read, segment and write a scan; errors are raised."""
    scan, settings = task.scan, task.settings
    refuse_others_work(task)
    if settings.threads:
        _set_threads(settings.threads)
    volume = read(scan)
    from ..cascade.network_choice import choose_weights
    from ..cascade.pipeline import segment_chosen
    from ..io.seg_nrrd import write_segmentation
    from ..pictures.contact_sheet import sample_sheet
    from ..report import peak_memory_mb, report_of

    own = Path(settings.weights) if settings.weights else None
    choice = choose_weights(volume, settings.dentition, own)
    networks = _networks(choice.file, settings.sha256 if choice.file == own else settings.mixed_sha256)
    found, networks = segment_chosen(
        choice,
        networks,
        settings.device,
        keep_maps=settings.surfaces,
        load=lambda file: _networks(file, settings.mixed_sha256),
    )
    dentition, surfaces = found.dentition, None
    with draft_folder(task.out) as draft:
        new = draft / "new"
        new.mkdir()
        numbers = [tooth.fdi for tooth in dentition.teeth]
        write_segmentation(new / TEETH, dentition.labels, numbers, settings.notation)
        sample_sheet([("", volume, dentition.labels)], new / PICTURE, outlines=True)
        if settings.surfaces:
            from ..surfaces.export import export
            from ..surfaces.export_options import ExportOptions

            exported = export(new / STL, dentition, ExportOptions(naming=settings.notation), maps=found.maps)
            dentition = replace(dentition, warnings=(*dentition.warnings, *exported.warnings))
            surfaces = exported.report()
        report = report_of(
            dentition, found.seconds, peak_memory_mb(), found.device, networks.name, networks.sha256, surfaces
        )
        (new / REPORT).write_text(json_text(report, indent=2), encoding="utf-8")
        files = {file.relative_to(new).as_posix(): _digest(file) for file in files_in(new)}
        written = {"scan": scan.place, "fingerprint": scan.fingerprint, "files": files}
        (new / STAMP).write_text(json_text({**written, **settings.stamp}, indent=1), encoding="utf-8")
        refuse_others_work(task)  # somebody may have worked on it meanwhile
        replace_folder(new, task.folder, draft)


def read(scan: Scan) -> Volume:
    """Read the volume of a scan; of a study, the likeliest series, which a warning names.

    Raises
    ------
    InputError
        If there is no scan of teeth.
    """
    from ..io.files import read_scan
    from ..io.scan_checks import check_scan, with_numbers

    if scan.is_study:
        from ..io.dicom.reading import read_likeliest

        volume = with_numbers(read_likeliest(scan.files, scan.place))
    else:
        volume = read_scan(scan.files[0])
    return replace(volume, warnings=check_scan(volume))
