"""Nothing is lost: the scan's place and the teeth are kept on disk, and offered again after the server has ended.

Every process has its own folder, so that two never write into one; a folder whose process has ended is up for recovery.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import slicer
from trame.widgets import html
from trame.widgets import vuetify3 as v3

from ..application import kept_work
from ..application.kept_work import CASE, SCANS, TEETH, KeptWork
from ..application.source import Source
from ..errors import TeethSegError
from ..io.atomic_write import written_whole
from ..io.files import read_labels
from .component import Host, Part, log, test_id

PAUSE = 3.0  # seconds without a change after which the teeth are saved


@dataclass
class RecoveryState:
    offered: str = ""  # the case that can be gone on with, in words
    saved: str = ""  # when the teeth were saved last
    unreadable: str = ""  # what was kept but cannot be read, in words


class Recovery(Part[RecoveryState]):
    """Keeps the work of this process below `root`, a folder of the user's own unless given."""

    def __init__(self, app: Host, root: Path | None = None):
        super().__init__(app, RecoveryState)
        self.root = root or kept_work.state_folder()
        self._waiting: asyncio.Task | None = None
        self._unsaved = False
        kept_work.remove_leftovers(self.root)
        self.folder = kept_work.new_folder(self.root)
        # Made anew for each process, and removed with all that is in it when it ends, or by the next one.
        self.passing = kept_work.new_folder(self.root)
        self._left: KeptWork | None = None
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
        kept_work.release(self.folder)
        kept_work.release(self.passing)

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
        kept_work.write_case(
            KeptWork(
                self.folder,
                source.name,
                str(source.path.absolute()),
                source.simulated,
                source.series,
                case.report,
                self.app.worklist.list.to_json(),
            )
        )
        self._unsaved = False
        self.data.saved = time.strftime("%H:%M")

    def _save_teeth(self) -> None:
        with written_whole(self.folder / TEETH) as draft:
            storage = slicer.vtkMRMLSegmentationStorageNode()
            storage.SetFileName(str(draft))
            storage.SetCropToMinimumExtent(True)
            if not storage.WriteData(self.app.case.teeth_node):
                raise OSError(f"writing {draft.name} failed")
            read_labels(draft)  # Slicer's writer does not notice a full disk

    async def resume(self) -> None:
        """Open the case that was left, and go on keeping it where it lies.

        Raises
        ------
        TeethSegError
            If something of it cannot be read; it stays where it is then.
        """
        work, case = self._left, self.app.case
        if work.teeth:
            await asyncio.to_thread(read_labels, work.teeth)
        await self.app.loading.open_source(Source(work.name, Path(work.path), work.simulated, work.series))
        with self.app.server.state:
            if work.teeth:
                case.load_teeth(work.teeth)
            else:
                case.begin(self.app.chart.data.notation)
            case.report = work.report
            self.app.worklist.resume(work.worklist)
            kept_work.claim(work.folder)
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = work.folder
            self._offer()
            self._on_teeth_changed()

    def leave(self) -> None:
        """Put the open case by, before another one takes its place; it is offered again."""
        if self._unsaved:
            self.save()
        if (self.folder / CASE).exists():
            kept_work.release(self.folder)
            self.folder = kept_work.new_folder(self.root)
            self._offer()

    def exchange(self, source: Source) -> Source:
        """As `leave`, for the scan from `source`; of others that were sent nothing stays but what belongs to kept work.

        Returns
        -------
        Source
            Where the new scan lies now: what was sent goes with the session.
        """
        old, opened = self.folder, self.app.case.source
        self.leave()
        path = source.path.absolute()
        if self.folder != old:
            scans = (old / SCANS).absolute()
            if path.is_relative_to(scans):
                sent = path.relative_to(scans).parts[0]
                (scans / sent).rename(self.scans / sent)
                source = replace(source, path=self.scans / path.relative_to(scans))
            kept_work.remove_scans(old, opened.path)
        kept_work.remove_scans(self.folder, source.path)
        return source

    def discard(self) -> None:
        """Remove the case that was left."""
        shutil.rmtree(self._left.folder, ignore_errors=True)
        self._offer()

    def _offer(self) -> None:
        works, aside = kept_work.left_works(self.root)
        self._left = works[0] if works else None
        self.data.offered = _described(self._left) if self._left else ""
        if aside:
            places = ", ".join(str(place) for place in aside)
            self.data.unreadable = f"Work that was kept cannot be read, and was put aside: {places}"

    def build_offer(self) -> None:
        n = self.name
        with v3.VAlert(v_if=(n.offered,), variant="tonal", color="primary", classes="mb-4", raw_attrs=test_id("offer")):
            html.Div("{{ " + n.offered + " }}", classes="text-body-2 mb-2")
            small = {"size": "small", "disabled": (f"!!{self.app.loading.name.busy}",)}
            resume, discard = self.app.on(self.resume), self.app.on(self.discard)
            v3.VBtn("Go on with it", color="primary", click=resume, raw_attrs=test_id("resume"), **small)
            v3.VBtn("Discard", variant="text", click=discard, raw_attrs=test_id("discard"), **small)
        v3.VAlert(
            v_if=(n.unreadable,),
            text=(n.unreadable,),
            variant="tonal",
            color="warning",
            classes="mb-4",
            raw_attrs=test_id("unreadable"),
        )

    def build_saved(self) -> None:
        saved = self.name.saved
        html.Span(
            "kept {{ " + saved + " }}", v_if=(saved,), classes="ts-notice mx-1 text-no-wrap", raw_attrs=test_id("saved")
        )

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


def _described(work: KeptWork) -> str:
    when = time.strftime("%d %B, %H:%M", time.localtime(work.saved))
    return f"Your work on {work.name} was kept ({when})."
