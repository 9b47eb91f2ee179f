"""Autosave: its folder, and the offer to go on with kept work."""

from __future__ import annotations

from pathlib import Path

import ctk
import slicer

from ..application.autosave import Autosave, offer_text, offers_text
from ..application.source import source_of
from .context import Context
from .option_widgets import Choice, mark, remember, remembered

KEPT = "kept work"  # folder below the one that the user chooses, which may hold anything else


class RecoverSection:
    """See module."""

    def __init__(self, context: Context):
        self._context, self._ui = context, context.ui
        ui, path = context.ui, context.ui.autosavePath
        path.filters = ctk.ctkPathLineEdit.Dirs
        default = str(Path(slicer.app.slicerUserSettingsFilePath).parent / "TeethSeg autosave")
        path.currentPath = remembered("AutosaveFolder") or default
        folder = Path(path.currentPath)
        self.autosave = Autosave(
            context.case, folder / KEPT, lambda: source_of(context.case.volume_node), earlier=folder
        )
        context.connect(path, "currentPathChanged(QString)", self._on_folder)
        self._works = Choice(ui.recoverCombo, [])
        context.clicked("recoverButton", self._on_take)
        context.clicked("recoverLaterButton", self.autosave.later)
        context.clicked("recoverDiscardButton", lambda: self.autosave.discard(self._work()))
        mark(ui.recoverFrame, "info")
        self.autosave.changed.connect(self.update)
        self.update()

    def update(self) -> None:
        """Show the kept work on this scan."""
        ui, offers = self._ui, self.autosave.offers
        ui.recoverFrame.setVisible(bool(offers))
        self._works.offer([(n, offer_text(work)) for n, work in enumerate(offers)])
        ui.recoverCombo.setVisible(len(offers) > 1)
        ui.recoverLabel.text = offers_text(offers)

    def _work(self):
        return self.autosave.offers[self._works.value]

    def _on_take(self) -> None:
        self.autosave.take(self._work())
        self._context.parameters.segmentation = self._context.case.teeth_node

    def _on_folder(self, path: str) -> None:
        remember("AutosaveFolder", path)
        if path:
            self.autosave.move(Path(path) / KEPT, Path(path))
