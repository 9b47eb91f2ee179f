"""Nothing is lost: the scan's place and the teeth are kept on disk, and offered again after the server has ended.

Every process has its own folder, so that two never write into one; a folder whose process has ended is up for recovery.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import slicer
from trame.widgets import html
from trame.widgets import vuetify3 as v3

from ..errors import TeethSegError
from ..io.atomic_write import written_whole
from ..io.json_text import json_text
from .case import Source
from .component import Host, Part, log, test_id

PAUSE = 3.0  # seconds without a change after which the teeth are saved
OWNER, CASE, TEETH, SCANS = "owner.json", "case.json", "teeth.seg.nrrd", "scans"


@dataclass
class RecoveryState:
    offered: str = ""  # the case that can be gone on with, in words
    saved: str = ""  # when the teeth were saved last


class Recovery(Part[RecoveryState]):
    """Keeps the work of this process below `root`, a folder of the user's own unless given."""

    def __init__(self, app: Host, root: Path | None = None):
        super().__init__(app, RecoveryState)
        self._root = root or _state_folder()
        self._waiting: asyncio.Task | None = None
        self._unsaved = False
        self.folder = self._own_folder()
        self._left: Path | None = None
        self._offer()
        app.case.scan_changed.connect(self._on_scan_changed)
        app.case.teeth_changed.connect(self._on_teeth_changed)

    @property
    def scans(self) -> Path:
        """Where scans go that were sent or simulated, so that they outlive the process."""
        folder = self.folder / SCANS
        folder.mkdir(exist_ok=True)
        return folder

    def close(self) -> None:
        """Save what is not saved yet; without teeth there is nothing worth keeping."""
        if self._waiting is not None:
            self._waiting.cancel()
        if self._unsaved:
            with suppress(TeethSegError):
                self.save()
        if not (self.folder / CASE).exists():
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            (self.folder / OWNER).unlink(missing_ok=True)

    def save(self) -> None:
        """Write the case; whole or not at all.

        Raises
        ------
        TeethSegError
            If it cannot be written.
        """
        case = self.app.case
        if case.teeth_node is None:
            return
        if not case.has_teeth:  # yet, or no longer
            (self.folder / TEETH).unlink(missing_ok=True)
        else:
            self._save_teeth()
        source = case.source
        content = {
            "name": source.name,
            "path": str(source.path.absolute()),
            "simulated": source.simulated,
            "series": source.series,
            "report": case.report,
            "worklist": self.app.worklist.list.to_json(),
        }
        with written_whole(self.folder / CASE) as draft:
            draft.write_text(json_text(content), encoding="utf-8")
        self._unsaved = False
        self.data.saved = time.strftime("%H:%M")

    def _save_teeth(self) -> None:
        with written_whole(self.folder / TEETH) as draft:
            storage = slicer.vtkMRMLSegmentationStorageNode()
            storage.SetFileName(str(draft))
            storage.SetCropToMinimumExtent(True)
            if not storage.WriteData(self.app.case.teeth_node):
                raise OSError(f"writing {draft.name} failed")

    async def resume(self) -> None:
        """Open the case that was left, and go on keeping it where it lies."""
        left, case = self._left, self.app.case
        content = json.loads((left / CASE).read_text(encoding="utf-8"))
        source = Source(content["name"], Path(content["path"]), content["simulated"], content.get("series"))
        await self.app.loading.open_source(source)
        with self.app.server.state:
            if (left / TEETH).exists():
                case.load_teeth(left / TEETH)
            else:
                case.begin(self.app.chart.data.notation)
            case.report = content["report"]
            self.app.worklist.resume(content["worklist"])
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = left
            self._own(left)
            self._offer()
            self._on_teeth_changed()

    def leave(self) -> None:
        """Put the open case by, before another one takes its place; it is offered again."""
        if self._unsaved:
            self.save()
        if (self.folder / CASE).exists():
            (self.folder / OWNER).unlink(missing_ok=True)
            self.folder = self._own_folder()
            self._offer()

    def discard(self) -> None:
        """Remove the case that was left."""
        source = self.app.case.source
        if source is not None and self._left in source.path.absolute().parents:
            for name in (TEETH, CASE):  # the open scan was sent while the other case was open, and lies there
                (self._left / name).unlink(missing_ok=True)
        else:
            shutil.rmtree(self._left, ignore_errors=True)
        self._offer()

    def _offer(self) -> None:
        self._left = self._newest_left()
        self.data.offered = _described(self._left) if self._left else ""

    def _own_folder(self) -> Path:
        folder = self._root / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{secrets.token_hex(2)}"
        self._own(folder)
        return folder

    def build_offer(self) -> None:
        n = self.name
        with v3.VAlert(v_if=(n.offered,), variant="tonal", color="primary", classes="mb-4", raw_attrs=test_id("offer")):
            html.Div("{{ " + n.offered + " }}", classes="text-body-2 mb-2")
            small = {"size": "small", "disabled": (f"!!{self.app.loading.name.busy}",)}
            resume, discard = self.app.on(self.resume), self.app.on(self.discard)
            v3.VBtn("Go on with it", color="primary", click=resume, raw_attrs=test_id("resume"), **small)
            v3.VBtn("Discard", variant="text", click=discard, raw_attrs=test_id("discard"), **small)

    def build_saved(self) -> None:
        saved = self.name.saved
        html.Span(
            "kept {{ " + saved + " }}", v_if=(saved,), classes="ts-notice mx-1 text-no-wrap", raw_attrs=test_id("saved")
        )

    def _own(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            owner = {"pid": os.getpid(), "begun": psutil.Process().create_time()}
            (folder / OWNER).write_text(json_text(owner), encoding="utf-8")
        except OSError as error:
            raise TeethSegError(
                f"{folder} cannot be written ({error.strerror}): TeethSeg keeps your work there; set the variable "
                "TEETHSEG_STATE to another folder."
            ) from error

    def _newest_left(self) -> Path | None:
        left = [
            path
            for path in self._root.iterdir()
            if path != self.folder and (path / CASE).exists() and not _in_use(path)
        ]
        return max(left, key=lambda path: (path / CASE).stat().st_mtime, default=None)

    def _on_scan_changed(self) -> None:
        self._unsaved, self.data.saved = False, ""

    def _on_teeth_changed(self) -> None:
        self._unsaved = True
        if self._waiting is not None:
            self._waiting.cancel()
        with suppress(RuntimeError):  # no page is served yet, and `close` saves
            self._waiting = asyncio.get_running_loop().create_task(self._save_later())

    async def _save_later(self) -> None:
        await asyncio.sleep(PAUSE)
        try:
            with self.app.server.state:
                self.save()
        except TeethSegError as error:
            self.app.tell(str(error))
        except Exception:
            log.exception("The teeth could not be saved")


def _state_folder() -> Path:
    """Where programs of this user keep what they need again."""
    if chosen := os.environ.get("TEETHSEG_STATE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "TeethSeg" / "sessions"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/TeethSeg/sessions"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "teethseg" / "sessions"


def _in_use(folder: Path) -> bool:
    try:
        owner = json.loads((folder / OWNER).read_text(encoding="utf-8"))
        return psutil.Process(owner["pid"]).create_time() == owner["begun"]
    except (OSError, ValueError, KeyError, psutil.Error):
        return False


def _described(folder: Path) -> str:
    try:
        name = json.loads((folder / CASE).read_text(encoding="utf-8"))["name"]
    except (OSError, ValueError, KeyError):
        name = "a scan"
    when = time.strftime("%d %B, %H:%M", time.localtime((folder / CASE).stat().st_mtime))
    return f"Your work on {name} was kept ({when})."
