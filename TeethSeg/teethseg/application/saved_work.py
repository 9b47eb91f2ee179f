"""Work saved on disk, so that nothing is lost however a program ends: the folders and their content.

Every process has a folder of its own, so that two never write into one. A folder whose process has ended holds work to go on
with, or remnants of patients' scans, which are removed. Its content is not trusted: a disk may have changed it.

A folder holds the newest state (`case.json`, which names the file with the teeth) and older generations beside it
(`case-<time>.json`), so that a saved mistake does not replace all good states.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ..annotation.worklist import Worklist
from ..errors import InputError, TeethSegError
from ..io.atomic_write import draft_folder, remove_left_drafts, written_whole
from ..io.json_text import json_text, read_json
from ..io.temporary_folders import remove_left_folders
from ..volume import Volume
from .source import Source

OWNER, CASE, TEETH, SCANS = "owner.json", "case.json", "teeth.seg.nrrd", "scans"
GENERATION = 600.0  # seconds between two generations that are kept
MOST_GENERATIONS = 5  # in a folder, beside the newest state
MOST_FOLDERS = 10  # with work on one scan; older ones are removed
_OLDER = re.compile(r"case-\d+\.json")
_TEETH = re.compile(r"teeth(-[0-9a-f]+)?\.seg\.nrrd")
_ASIDE = "unreadable"  # folder for unreadable work, which a user may still want
_YOUNG = 60.0  # seconds for which a folder may have no owner yet
_LARGEST = 1 << 31  # of a place on a grid; numbers of teeth are smaller still
_CLOCK = 60.0  # seconds by which clocks are set; a process's begin is told by them


@dataclass(frozen=True)
class SavedWork:
    """Work that the user can go on with.

    Attributes
    ----------
    folder : Path
    name : str
        Of the scan, for the user.
    path : str
        Of the scan's file or folder.
    simulated : bool
    series : str or None
        UID of the series.
    report : dict
        Of the run that found the teeth; may be empty.
    worklist : str
        As JSON, see `annotation.Worklist.to_json`.
    saved : float
        When, epoch seconds.
    file : str
        Name of the file with the teeth in the folder; empty for none.
    scan : str
        The key of the scan (`fingerprint`); empty where only its path does.
    start : tuple of int
        Where on the scan's grid (k, j, i) the file's first voxel lies; empty where its own place tells.
    missing : tuple of int
        Teeth that the patient does not have.
    written : tuple of int
        Teeth that a run has found.
    by_hand : bool
        Whether somebody has worked by the worklist.
    content : str
        A key that tells this state from others of the same scan.
    """

    folder: Path
    name: str
    path: str
    simulated: bool
    series: str | None
    report: dict = field(default_factory=dict)
    worklist: str = ""
    saved: float = 0.0
    file: str = TEETH
    scan: str = ""
    start: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    written: tuple[int, ...] = ()
    by_hand: bool = False
    content: str = ""

    @property
    def teeth(self) -> Path | None:
        """The file with the teeth; None if there are none yet."""
        file = self.folder / self.file
        return file if self.file and file.exists() else None

    @property
    def source(self) -> Source:
        """The scan that the work is on."""
        return Source(self.name, Path(self.path), self.simulated, self.series)


def state_folder() -> Path:
    """Where programs of this user keep files that they need again; the variable TEETHSEG_STATE names another folder."""
    # Not by platformdirs, which 3D Slicer does not have: these lines are all that is needed of it.
    if chosen := os.environ.get("TEETHSEG_STATE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "TeethSeg" / "sessions"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/TeethSeg/sessions"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "teethseg" / "sessions"


def new_folder(root: Path) -> Path:
    """A folder of this process below `root`, which nobody else can read.

    Raises
    ------
    TeethSegError
        If it cannot be made.
    """
    folder = root / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with draft_folder(root) as draft:  # so that it has an owner as soon as it is there
            (draft / folder.name).mkdir(mode=0o700)
            claim(draft / folder.name)
            (draft / folder.name).rename(folder)
    except OSError as error:
        raise TeethSegError(
            f"{folder} cannot be written ({error.strerror}): TeethSeg keeps your work there; set the variable "
            "TEETHSEG_STATE to another folder."
        ) from error
    return folder


def claim(folder: Path) -> None:
    """Make a folder this process's own.

    Raises
    ------
    TeethSegError
        If it cannot be written to.
    """
    import psutil

    with written_whole(folder / OWNER) as draft:
        draft.write_text(json_text({"pid": os.getpid(), "begun": psutil.Process().create_time()}), encoding="utf-8")


def release(folder: Path) -> None:
    """Give up a folder, so that other processes can go on with it; one without a case is removed."""
    if (folder / CASE).exists():
        (folder / OWNER).unlink(missing_ok=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def write_case(work: SavedWork, keep: bool = False) -> None:
    """Write the case into its folder, whole or not at all.

    The state before it becomes a generation if one is due, or if `keep` says so.

    Raises
    ------
    TeethSegError
        If it cannot be written.
    """
    content = {key: value for key, value in asdict(work).items() if key not in ("folder", "saved")}
    file = work.folder / CASE
    before = _state(file)
    if before is not None and before.file != work.file and (keep or _is_due(work.folder)):
        older = work.folder / f"case-{int(before.saved)}.json"
        with written_whole(older) as draft:
            shutil.copyfile(file, draft)
        os.utime(older, (before.saved, before.saved))
    with written_whole(file) as draft:
        draft.write_text(json_text(content), encoding="utf-8")
    _tidy(work.folder)


def read_case(folder: Path, name: str = CASE) -> SavedWork:
    """The work in a folder: the newest state, or the generation of that name.

    Raises
    ------
    InputError
        If it cannot be read or is something else.
    """
    try:
        content = read_json(folder / name)
        saved = (folder / name).stat().st_mtime
        texts = [content["name"], content["path"], content.get("worklist", "")]
        more = [content.get("file", TEETH), content.get("scan", ""), content.get("content", "")]
        series, flags = content.get("series"), [content.get("simulated", False), content.get("by_hand", None)]
        numbers = [content.get("start", []), content.get("missing", []), content.get("written", [])]
        known = all(isinstance(text, str) for text in texts + more) and isinstance(series, str | None)
        known = known and isinstance(flags[0], bool) and isinstance(flags[1], bool | None)
        known = known and all(isinstance(row, list) and all(type(n) is int for n in row) for row in numbers)
        known = known and all(0 <= n < _LARGEST for row in numbers for n in row)
        if not (known and texts[0] and texts[1] and "\0" not in texts[1] and len(numbers[0]) in (0, 3)):
            raise ValueError("it is of another form")
        if more[0] and not _TEETH.fullmatch(more[0]):
            raise ValueError("it names a file elsewhere")
        from ..report import check_report  # needs packages that Slicer may lack before the first run

        report = check_report(content.get("report", {}))
        worklist = texts[2] or Worklist().to_json()
        listed = Worklist.from_json(worklist)
        if flags[1] is None:  # of a version that kept a list always, and did not say whether anybody used it
            flags[1] = any(listed.state(fdi) != "not_started" for fdi in listed.teeth)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        raise InputError(f"The work kept in {folder} cannot be read: it is damaged, or of another program.") from error
    return SavedWork(
        folder,
        texts[0],
        texts[1],
        flags[0],
        series,
        report,
        worklist,
        saved,
        more[0],
        more[1],
        tuple(numbers[0]),
        tuple(numbers[1]),
        tuple(numbers[2]),
        flags[1],
        more[2],
    )


def generations(folder: Path) -> list[SavedWork]:
    """All states in a folder that can be read, the newest first."""
    with suppress(OSError):
        names = [CASE, *sorted((n for n in os.listdir(folder) if _OLDER.fullmatch(n)), reverse=True)]
        return [work for name in names if (work := _state(folder / name)) is not None]
    return []


def works_on(root: Path, scan: str, but: Path | None = None) -> list[SavedWork]:
    """Saved states of one scan that no process has open, the newest first; without those in the folder `but`."""
    works = [work for folder in _unowned(root) if folder != but for work in generations(folder) if work.scan == scan]
    return sorted(works, key=lambda work: work.saved, reverse=True)


def forget_oldest(root: Path, scan: str) -> None:
    """Remove the oldest work on a scan beyond the number of folders that is kept."""
    folders = list(dict.fromkeys(work.folder for work in works_on(root, scan)))
    for folder in folders[MOST_FOLDERS:]:
        shutil.rmtree(folder, ignore_errors=True)


def discard(work: SavedWork) -> None:
    """Remove a kept state; with the last one goes its folder."""
    states = generations(work.folder)
    names = {CASE} if not states or states[0].saved == work.saved else {f"case-{int(work.saved)}.json"}
    if len(states) <= 1:
        shutil.rmtree(work.folder, ignore_errors=True)
        return
    with suppress(OSError):
        if CASE in names:  # the one before it takes its place
            (work.folder / _older(work.folder)[0]).replace(work.folder / CASE)
        else:
            (work.folder / names.pop()).unlink()
    _tidy(work.folder)


def fingerprint(scan: Volume) -> str:
    """A key of a scan by its voxels, which tells nothing about the patient; where the scan lies does not matter."""
    spacing = " ".join(f"{side:.4f}" for side in scan.spacing)
    key = hashlib.sha256(f"{scan.array.dtype} {scan.array.shape} {spacing}".encode())
    # Every 7th plane is enough to tell scans of one device apart, and takes a tenth of a second.
    for plane in scan.array[::7]:
        key.update(np.ascontiguousarray(plane).tobytes())
    return key.hexdigest()[:32]


def _state(file: Path) -> SavedWork | None:
    try:
        return read_case(file.parent, file.name)
    except InputError:
        return None


def _older(folder: Path) -> list[str]:
    """Names of the generations in a folder, the newest first."""
    return sorted((name for name in os.listdir(folder) if _OLDER.fullmatch(name)), reverse=True)


def _is_due(folder: Path) -> bool:
    """Whether the state in a folder is to be kept beside the one that follows."""
    older = _older(folder)
    if not older:
        begun = (folder / OWNER).stat().st_mtime if (folder / OWNER).exists() else 0.0
        return time.time() - begun > GENERATION
    return time.time() - (folder / older[0]).stat().st_mtime > GENERATION


def _tidy(folder: Path) -> None:
    """Remove generations beyond the number that is kept, and files with teeth that no state names any more."""
    with suppress(OSError):
        for name in _older(folder)[MOST_GENERATIONS:]:
            (folder / name).unlink()
        named = {work.file for work in generations(folder)}
        for name in os.listdir(folder):
            if _TEETH.fullmatch(name) and name not in named:
                (folder / name).unlink()


def left_works(root: Path) -> tuple[list[SavedWork], list[Path]]:
    """Work that no process has open: readable works, the newest first, and the folders that unreadable ones were moved to."""
    works, aside = [], []
    for folder in _unowned(root):
        if not (folder / CASE).exists():
            continue
        try:
            works.append(read_case(folder))
        except InputError:
            with suppress(OSError):
                place = root / _ASIDE / folder.name
                place.parent.mkdir(mode=0o700, exist_ok=True)
                aside.append(folder.rename(place))
    return sorted(works, key=lambda work: work.saved, reverse=True), aside


def remove_leftovers(root: Path) -> None:
    """Remove files that are never offered again: scans without work, and drafts of a killed process."""
    remove_left_drafts(root)
    remove_left_folders()
    for folder in _unowned(root):
        with suppress(OSError):
            if (folder / CASE).exists():
                remove_left_drafts(folder)
                if len(generations(folder)) == 1 + len(_older(folder)):  # an unreadable state may name a file too
                    _tidy(folder)
            elif (folder / OWNER).exists() or time.time() - folder.stat().st_mtime > _YOUNG:
                shutil.rmtree(folder, ignore_errors=True)


def adopt_scan(scan: Path, folder: Path, temporary: Path) -> Path:
    """Put a scan that was sent into the folder of the work on it, so that both last equally long; returns where it lies.

    Parameters
    ----------
    scan : Path
        One that was not sent stays where it is.
    folder : Path
        Of the work.
    temporary : Path
        The process's folder for scans without work, out of which it is moved; out of that of other work it is copied, by a
        link where the disk can.
    """
    for old in (temporary / SCANS, *temporary.parent.glob(f"*/{SCANS}")):
        if scan.is_relative_to(old) and not scan.is_relative_to(folder):
            inside = scan.relative_to(old)
            here, there = old / inside.parts[0], folder / SCANS / inside.parts[0]
            there.parent.mkdir(exist_ok=True)
            if old.parent == temporary:
                here.rename(there)
            else:
                shutil.copytree(here, there, copy_function=_link, dirs_exist_ok=True)
            return there.parent / inside
    return scan


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def remove_scans(folder: Path, but: Path | None) -> None:
    """Remove the scans that were sent into a folder, except the one that `but` lies in."""
    with suppress(OSError):
        for scan in (folder / SCANS).iterdir():
            if but is None or not but.absolute().is_relative_to(scan.absolute()):
                shutil.rmtree(scan, ignore_errors=True)


def _unowned(root: Path) -> Iterator[Path]:
    """Folders below `root`, of this user, that no living process has."""
    try:
        entries = sorted(os.scandir(root), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        with suppress(OSError):
            mine = not hasattr(os, "getuid") or entry.stat(follow_symlinks=False).st_uid == os.getuid()
            if mine and entry.is_dir(follow_symlinks=False) and entry.name != _ASIDE and not _in_use(Path(entry)):
                yield Path(entry)


def _in_use(folder: Path) -> bool:
    import psutil

    try:
        owner = read_json(folder / OWNER)
        pid, begun = int(owner["pid"]), float(owner["begun"])
        return 0 < pid < 1 << 31 and abs(psutil.Process(pid).create_time() - begun) < _CLOCK
    except psutil.AccessDenied:
        return True
    except (OSError, ValueError, KeyError, TypeError, OverflowError, psutil.Error):
        return False
