"""`Autosave`: saves all work on a scan while it is done, never over other work, and offers it when the scan is opened again.

It saves corrections, marks, numbers and half-drawn teeth. Where saving takes a moment only, each step is saved before the next
one; at most half a minute of work is lost when the program is killed. Both windows use it.
"""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..annotation.worklist import Worklist
from ..errors import InputError, TeethSegError
from ..volume import Volume
from . import saved_work
from .case import MISSING, WORKLIST, WRITTEN, Case
from .failures import failure_text
from .i18n import _
from .legacy_autosave import take_over
from .saved_work import SavedWork
from .signals import Signal
from .source import Source
from .texts import found_text

if TYPE_CHECKING:
    from ..mrml.strokes import Snapshot

PAUSE = 3.0  # seconds without a change after which work is saved
LATEST = 20.0  # seconds after a change within which it is saved at the latest
# Sooner where saving takes less: so many times the seconds that it took last.
PAUSE_FACTOR, LATEST_FACTOR = 3.0, 20.0


class Autosave:
    """See module; the window calls `tick` about every second.

    Parameters
    ----------
    case : Case
    root : Path
        Where folders with work lie, and nothing else: see `saved_work`.
    source : callable
        Gives the `Source` of the case's scan.
    clock : callable
        Seconds that never run backwards.
    pause, latest : float
        See `PAUSE` and `LATEST`.
    earlier : Path, optional
        Folder of the autosaves of TeethSeg 1.
    adopt : callable, optional
        Called with the folder of the work before anything is written into it: a window that was sent the scan puts it there,
        so that scan and work last equally long.

    Attributes
    ----------
    folder : Path or None
        Of the work on this scan; None before there is any.
    offers : tuple of SavedWork
        Other work on this scan, the newest first.
    saved : float
        When this scan's work was saved last, epoch seconds; 0 if not yet.
    cost : float
        Seconds that this took; infinite before.
    changed : Signal
        Offers are others, or something was saved.
    """

    def __init__(
        self,
        case: Case,
        root: Path,
        source: Callable[[], Source],
        clock: Callable[[], float] = time.monotonic,
        pause: float = PAUSE,
        latest: float = LATEST,
        earlier: Path | None = None,
        adopt: Callable[[Path], None] = lambda folder: None,
    ):
        self._adopt = adopt
        self._case, self._source, self._clock = case, source, clock
        self._pause, self._latest = pause, latest
        self.root, self.earlier = root, earlier
        self.folder: Path | None = None
        self.offers: tuple[SavedWork, ...] = ()
        self.saved = 0.0
        self.cost = float("inf")
        self.changed = Signal()
        self._scan = ""  # fingerprint of the case's scan
        self._content = ""  # the work that was kept last, or taken over
        self._resumed = False  # the state in the folder is another one's, and becomes a generation
        self._first = self._last = 0.0  # change since it was kept last
        self._unsaved = self._complained = self._search_due = False
        self._teeth_node = None  # whose work the folder holds
        case.leaving.connect(self._on_leaving)
        case.scan_changed.connect(self._on_scan_changed)
        case.edited.connect(self._on_edited)

    def tick(self) -> None:
        """Save the work if that is due."""
        now = self._clock()
        if self._search_due:
            self.find_offers()
        pause, latest = min(self._pause, PAUSE_FACTOR * self.cost), min(self._latest, LATEST_FACTOR * self.cost)
        if self._unsaved and (now - self._last >= pause or now - self._first >= latest):
            self._try_to_save()

    def save(self) -> None:
        """Save the work as it is now; whole or not at all.

        Raises
        ------
        TeethSegError
            If it cannot be written.
        """
        from ..io.seg_nrrd import write_segmentation

        case = self._case
        state = case.snapshot()
        if state is None:
            self._unsaved = False
            return
        if case.teeth_node is not self._teeth_node:
            self._release()  # other work on the same scan has a folder of its own
            self._teeth_node = case.teeth_node
        worklist = case.attribute(WORKLIST)
        content = _content(state, case.missing(), worklist)
        if content == self._content:
            self._unsaved = False
            return
        scan = case.scan()
        if self.folder is None:
            self.folder = saved_work.new_folder(self.root)
            saved_work.forget_oldest(self.root, self._fingerprint(scan))
        self._adopt(self.folder)
        source, file = self._source(), ""
        if state.labels.size:
            file = f"teeth-{secrets.token_hex(6)}.seg.nrrd"
            start = tuple(side.start for side in state.box)
            crop = Volume(state.labels, scan.spacing, tuple(scan.to_lps(start)), scan.direction)
            write_segmentation(self.folder / file, crop, notation=case.notation, tags=_tags(state), level=1)
        work = SavedWork(
            self.folder,
            source.name,
            str(source.path),
            source.simulated,
            source.series,
            case.report,
            worklist,
            file=file,
            scan=self._fingerprint(scan),
            start=tuple(side.start for side in state.box) if file else (),
            missing=tuple(sorted(case.missing())),
            written=tuple(int(number) for number in case.attribute(WRITTEN).split()),
            by_hand=bool(worklist),
            content=content,
        )
        saved_work.write_case(work, keep=self._resumed)
        self._content, self._resumed, self._complained, self._unsaved = content, False, False, False
        self.saved = time.time()
        self.changed.emit()

    def leave(self) -> None:
        """Leave the work: it is saved, and offered again later."""
        if self._unsaved:
            self._try_to_save()
        self._release()
        self._unsaved = False

    def move(self, root: Path, earlier: Path | None = None) -> None:
        """Save work elsewhere from now on; earlier work stays where it is."""
        if root != self.root:
            self.leave()
            self.root, self.earlier = root, earlier
            self._unsaved = self._case.teeth_node is not None
            self._first = self._last = self._clock()
            self.find_offers()

    def find_offers(self) -> None:
        """Look for other saved work on the scan; again later if the scan has no voxels yet."""
        self.offers = ()
        self._search_due = self._case.volume_node is not None
        if self._search_due:
            with suppress(TeethSegError, ImportError, OSError):
                self.offers = self._found()
                self._search_due = False
        self.changed.emit()

    def _found(self) -> tuple[SavedWork, ...]:
        case = self._case
        scan = case.scan()
        saved_work.remove_leftovers(self.root)
        if self.earlier is not None:
            take_over(self.earlier, scan, self._source(), self.root)
        works = saved_work.works_on(self.root, self._fingerprint(scan), self.folder)
        state = case.snapshot() if works else None
        here = "" if state is None else _content(state, case.missing(), case.attribute(WORKLIST))
        return tuple(work for work in works if (not here or work.content != here) and (work.teeth or work.missing))

    def take(self, work: SavedWork) -> None:
        """Go on with saved work: put it into the scene as one step to undo, and save into its folder from now on.

        Raises
        ------
        TeethSegError
            If it cannot be read, or is of another scan; it stays where it is then.
        """
        scan = self._case.scan()
        if work.scan and work.scan != self._fingerprint(scan):  # the file at its path may be another one by now
            raise _of_another_scan()
        labels, tags = read_teeth(work, scan)
        if self._case.teeth_node is not None:
            self._case.absorb_changes()
        self.leave()
        saved_work.claim(work.folder)
        self.folder, self._resumed = work.folder, True
        if self._case.teeth_node is None:
            self._case.start_teeth()
        self._teeth_node = self._case.teeth_node
        attributes = {
            MISSING: " ".join(map(str, work.missing)) or None,
            WRITTEN: " ".join(map(str, work.written)) or None,
            WORKLIST: work.worklist if work.by_hand else None,
        }
        self._case.restore(labels, tags, attributes, work.report)
        self.find_offers()

    def later(self) -> None:
        """Do not ask again for now; the offered work stays where it is."""
        self.offers = ()
        self.changed.emit()

    def discard(self, work: SavedWork) -> None:
        """Remove saved work."""
        saved_work.discard(work)
        self.find_offers()

    def _fingerprint(self, scan: Volume) -> str:
        if not self._scan:
            self._scan = saved_work.fingerprint(scan)
        return self._scan

    def _try_to_save(self) -> None:
        begun = time.perf_counter()
        try:
            self.save()
            self.cost = time.perf_counter() - begun
        except (TeethSegError, OSError, ImportError) as error:
            self._unsaved, self._first, self._last = True, self._clock(), self._clock()  # again, after a while
            if not self._complained:
                self._complained = True
                reason, kind, _details = failure_text(error)
                self._case.message.emit(_("Autosave failed: {reason}").format(reason=reason), kind, "")

    def _on_edited(self) -> None:
        self._last = self._clock()
        if not self._unsaved:
            self._unsaved, self._first = True, self._last

    def _release(self) -> None:
        if self.folder is not None:
            saved_work.release(self.folder)
        self.folder, self._content, self.saved, self._resumed = None, "", 0.0, False

    def _on_leaving(self) -> None:
        if self._unsaved:
            self._try_to_save()

    def _on_scan_changed(self) -> None:
        """Begin anew for another scan; the work on the one before is saved in its own folder."""
        self._release()
        self._scan, self._unsaved, self._teeth_node = "", False, None
        self.find_offers()


def offer_text(work: SavedWork) -> str:
    """Saved work in one line: its date and its extent."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(work.saved))
    rows = tooth_states(work)
    text = _("{when}: {teeth}").format(when=when, teeth=found_text(len(rows)))
    done = sum(state == "completed" for state in rows.values())
    return text + (", " + _("{count} done").format(count=done) if done else "")


def offers_text(works: Sequence[SavedWork]) -> str:
    """The question whether to go on with kept work; of several the window lets the user choose."""
    if len(works) == 1:
        return _("Work on this scan was kept, {what}. Go on with it?").format(what=offer_text(works[0]))
    return _("Work on this scan was kept. Go on with it?")


def tooth_states(work: SavedWork) -> dict[int, str]:
    """How far each tooth of kept work is, by FDI number; empty if it cannot be read."""
    from ..io.seg_nrrd import read_tags

    if work.teeth is None:
        return {}
    try:
        return {fdi: tags.get("Segmentation.Status", "") for fdi, tags in read_tags(work.teeth).items()}
    except InputError:
        return {}


def read_teeth(work: SavedWork, scan: Volume) -> tuple[np.ndarray, dict[int, dict[str, str]]]:
    """The teeth of kept work on the grid of its scan (uint8), and the tags of each by FDI number.

    Raises
    ------
    InputError
        If they cannot be read, or are of another scan.
    """
    from ..io.files import read_labels
    from ..io.seg_nrrd import read_tags
    from ..resampling import labels_on_grid

    labels = np.zeros(scan.array.shape, np.uint8)
    if work.teeth is None:
        return labels, {}
    kept = read_labels(work.teeth)
    if work.start:
        box = tuple(slice(at, at + size) for at, size in zip(work.start, kept.array.shape, strict=True))
        if labels[box].shape != kept.array.shape:
            raise _of_another_scan()
        labels[box] = kept.array
    else:
        labels = labels_on_grid(kept, scan).array.astype(np.uint8)
    return labels, read_tags(work.teeth)


def _of_another_scan() -> InputError:
    return InputError(_("The work that was kept is of another scan: open that one."))


def _tags(state: Snapshot) -> dict[int, dict[str, str]]:
    from ..mrml.segments import tags_of

    return {fdi: tags_of(row) for fdi, row in state.rows.items() if row is not None}


def _content(state: Snapshot, missing: set[int], worklist: str) -> str:
    """A key of a state of work: of voxels, marks and the states of teeth, not of working times."""
    key = zlib.crc32(state.labels.tobytes(), zlib.crc32(repr([side.start for side in state.box]).encode()))
    try:
        listed = Worklist.from_json(worklist)
        states = {fdi: listed.state(fdi) for fdi in listed.teeth}
    except InputError:
        states = {}
    facts = repr((sorted(_tags(state).items()), sorted(missing), sorted(states.items())))
    return f"{zlib.crc32(facts.encode(), key):08x}"
