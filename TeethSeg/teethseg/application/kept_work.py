"""Work kept on disk, so that nothing is lost when a program ends in whatever way: folders, and what may be in them.

Every process has a folder of its own, so that two never write into one. One whose process has ended holds work to go on
with, or what is left of patients' scans, which is removed. Nothing in them is trusted: a disk may have changed it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..annotation.worklist import Worklist
from ..errors import InputError, TeethSegError
from ..io.atomic_write import remove_left_drafts, written_whole
from ..io.json_text import json_text, read_json
from ..report import check_report

OWNER, CASE, TEETH, SCANS = "owner.json", "case.json", "teeth.seg.nrrd", "scans"
_ASIDE = "unreadable"  # folder for what cannot be read but may be dear to somebody
_YOUNG = 60.0  # seconds for which a folder may have no owner yet
_CLOCK = 60.0  # seconds by which clocks are set; a process's begin is told by them


@dataclass(frozen=True)
class KeptWork:
    """What can be gone on with.

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
        As `annotation.Worklist.to_json` tells it.
    saved : float
        When, epoch seconds.
    """

    folder: Path
    name: str
    path: str
    simulated: bool
    series: str | None
    report: dict = field(default_factory=dict)
    worklist: str = ""
    saved: float = 0.0

    @property
    def teeth(self) -> Path | None:
        """The file with the teeth; None if there are none yet."""
        file = self.folder / TEETH
        return file if file.exists() else None


def state_folder() -> Path:
    """Where programs of this user keep what they need again; the variable TEETHSEG_STATE names another folder."""
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
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise TeethSegError(
            f"{folder} cannot be written ({error.strerror}): TeethSeg keeps your work there; set the variable "
            "TEETHSEG_STATE to another folder."
        ) from error
    claim(folder)
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
    """Leave a folder to whoever goes on with it; without a case there is nothing in it worth keeping."""
    if (folder / CASE).exists():
        (folder / OWNER).unlink(missing_ok=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def write_case(work: KeptWork) -> None:
    """Write the case into its folder; whole or not at all.

    Raises
    ------
    TeethSegError
        If it cannot be written.
    """
    content = {key: value for key, value in asdict(work).items() if key not in ("folder", "saved")}
    with written_whole(work.folder / CASE) as draft:
        draft.write_text(json_text(content), encoding="utf-8")


def read_case(folder: Path) -> KeptWork:
    """The work in a folder.

    Raises
    ------
    InputError
        If it cannot be read or is something else.
    """
    try:
        content = read_json(folder / CASE)
        saved = (folder / CASE).stat().st_mtime
        texts = [content["name"], content["path"], content.get("worklist", "")]
        series, simulated = content.get("series"), content.get("simulated", False)
        known = all(isinstance(text, str) for text in texts) and isinstance(series, str | None)
        if not (known and isinstance(simulated, bool) and texts[0] and texts[1] and "\0" not in texts[1]):
            raise ValueError("it is of another form")
        report = check_report(content.get("report", {}))
        worklist = texts[2] or Worklist().to_json()
        Worklist.from_json(worklist)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        raise InputError(f"The work kept in {folder} cannot be read: it is damaged, or of another program.") from error
    return KeptWork(folder, texts[0], texts[1], simulated, series, report, worklist, saved)


def left_works(root: Path) -> tuple[list[KeptWork], list[Path]]:
    """Work that nobody is at: what can be read, the newest first, and where what cannot be read was put aside."""
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
    """Remove what is never offered again: scans without work, and all that a killed process was about to write."""
    remove_left_drafts(root)
    for folder in _unowned(root):
        with suppress(OSError):
            if (folder / CASE).exists():
                remove_left_drafts(folder)
            elif (folder / OWNER).exists() or time.time() - folder.stat().st_mtime > _YOUNG:
                shutil.rmtree(folder, ignore_errors=True)


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
