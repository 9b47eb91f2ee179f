"""`SessionWork`: opening another scan loses no work, and the user can go on with the work of an earlier session.

For windows that open files themselves: Slicer's desktop has scenes for that.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

from ..errors import TeethSegError
from ..volume import Volume
from . import saved_work
from .autosave import Autosave, offer_text
from .case import Case
from .i18n import _
from .opened_scan import OpenedScan
from .saved_work import SCANS, SavedWork
from .signals import Signal
from .source import Source


class SessionWork:
    """See module.

    Parameters
    ----------
    case : Case
    opened : OpenedScan
    root : Path, optional
        Where work is kept; a folder of the user's own unless given.

    Attributes
    ----------
    temporary : Path
        Folder for temporary files; removed when the process ends, or by the next one.
    autosave : Autosave
    left : SavedWork or None
        The newest work that an earlier session left, on whatever scan.
    unreadable : list of Path
        Where work was put aside that cannot be read.
    changed : Signal
        `left` or `unreadable` may be another one.
    """

    def __init__(self, case: Case, opened: OpenedScan, root: Path | None = None):
        self._opened = opened
        self.root = root or saved_work.state_folder()
        saved_work.remove_leftovers(self.root)
        self.temporary = saved_work.new_folder(self.root)
        self.autosave = Autosave(case, self.root, self._open_source, adopt=self._adopt)
        self.left: SavedWork | None = None
        self.unreadable: list[Path] = []
        self.changed = Signal()
        self.find_left()

    def new_scan_folder(self) -> Path:
        """An empty folder for a scan that is received or simulated; it lasts until another scan is opened."""
        folder = self.temporary / SCANS / secrets.token_hex(4)
        folder.mkdir(parents=True)
        return folder

    def open(self, volume: Volume, source: Source) -> None:
        """Keep the work on the scan that is open, and show another scan in its place.

        Raises
        ------
        TeethSegError
            If the work cannot be kept; its scan stays open then.
        """
        try:
            self.autosave.save()
        except OSError as error:
            text = _("Your work cannot be kept ({reason}): free some space before you open another scan.")
            raise TeethSegError(text.format(reason=error.strerror)) from error
        source = replace(source, path=source.path.absolute())
        self._opened.show(volume, source)
        saved_work.remove_scans(self.temporary, source.path)
        self.find_left()

    def find_left(self) -> None:
        """Look for work that an earlier session left."""
        works, aside = saved_work.left_works(self.root)
        self.left = works[0] if works else None
        self.unreadable += aside
        self.changed.emit()

    def left_text(self) -> str:
        """The work that was left, in words; empty if there is none."""
        if self.left is None:
            return ""
        return _("Your work on {scan} was kept ({what}).").format(scan=self.left.name, what=offer_text(self.left))

    def unreadable_text(self) -> str:
        """The work that was put aside, in words; empty if there is none."""
        if not self.unreadable:
            return ""
        text = _("Work that was kept cannot be read, and was put aside: {places}")
        return text.format(places=", ".join(map(str, self.unreadable)))

    def take(self, work: SavedWork) -> None:
        """Go on with work on the scan that is open.

        Raises
        ------
        TeethSegError
            If it cannot be read; it stays where it is then.
        """
        self.autosave.take(work)
        self.find_left()

    def discard_left(self) -> None:
        """Remove the work that was left; nothing happens if another tab has done so."""
        if self.left is not None:
            self.autosave.discard(self.left)
        self.find_left()

    def close(self) -> None:
        """The session ends: keep the work, and remove temporary files."""
        self.autosave.leave()
        saved_work.release(self.temporary)

    def _open_source(self) -> Source:
        assert self._opened.source is not None, "no scan is open"
        return self._opened.source

    def _adopt(self, folder: Path) -> None:
        """Put a scan that was received into the folder of the work on it."""
        source = self._open_source()
        self._opened.source = replace(source, path=saved_work.adopt_scan(source.path, folder, self.temporary))
