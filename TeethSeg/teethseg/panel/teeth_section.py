"""The section "Teeth": the chart, facts about the chosen tooth, its menu, and the open questions."""

from __future__ import annotations

from typing import Any

import qt
import slicer

from ..anatomy import Notation
from ..application.i18n import _
from ..application.texts import notation_options
from ..application.tooth_menu import Entry, tooth_menu
from ..application.tooth_texts import chosen_text, tip_text
from .card_frame import CardFrame
from .chart_view import ToothChartWidget
from .context import Context
from .option_widgets import Choice


class TeethSection:
    """See module."""

    def __init__(self, context: Context):
        self._context, self._ui, self._case = context, context.ui, context.case
        self.menu: Any = None
        self.chart = ToothChartWidget()
        ui = context.ui
        ui.chartPlace.layout().addWidget(self.chart.widget)
        self._notation = Choice(ui.notationCombo, notation_options(), context.guarded(self._on_notation))
        self.chart.clicked.connect(context.guarded(self.choose))
        self.chart.menu_wanted.connect(context.guarded(self._on_menu))
        context.clicked("showToothButton", lambda: self._case.show_selected(ui.showToothButton.text == _("Show")))
        context.clicked("onlyToothButton", lambda: self._case.show_only_selected(True))
        context.clicked("allTeethButton", lambda: self._case.show_only_selected(False))
        context.clicked("changeToothButton", self._on_change)
        context.clicked("wholeScanButton", context.navigation.at_scan)
        context.clicked("panoramaButton", self._on_panorama)
        context.clicked("straightenButton", self._on_straighten)
        self.panorama: Any = None  # ArchDock, once it was opened
        self.question = CardFrame(context, ui.questionFrame, ui.questionLabel)
        self.suggestion = CardFrame(context, ui.suggestionFrame, ui.suggestionLabel)
        context.cards.changed.connect(self._show_cards)
        self._case.changed.connect(self.update)
        self._case.selected_changed.connect(self.update)

    def refresh(self) -> None:
        """Show the parameters of the scene as it is now."""
        self._notation.show(self._case.notation)
        self.update()

    def update(self) -> None:
        """Show the teeth as they are."""
        ui, case = self._ui, self._case
        places = case.chart()
        tips = {place.fdi: tip_text(case, place) for place in places}
        self.chart.show(places, case.notation, case.selected, case.missing(), tips)
        place = next((place for place in places if place.fdi == case.selected), None)
        present, hidden = place is not None and place.present, place is not None and not place.visible
        ui.toothLabel.text = chosen_text(case).replace(" %", "&nbsp;%")  # the sign gets no line of its own
        ui.showToothButton.text = _("Show") if present and hidden else _("Hide")
        ui.showToothButton.enabled = ui.onlyToothButton.enabled = bool(present)
        ui.changeToothButton.enabled = place is not None
        ui.allTeethButton.enabled = case.teeth_node is not None
        ui.wholeScanButton.enabled = ui.panoramaButton.enabled = case.volume_node is not None
        ui.straightenButton.enabled = case.editable
        ui.straightenButton.checked = case.straight
        ui.panoramaButton.checked = self.panorama is not None and self.panorama.shown
        self._show_cards()

    def choose(self, fdi: int) -> None:
        """Choose a tooth and bring it into the middle of all views; twice, and it fills them."""
        self._context.navigation.choose(fdi)
        self.update()

    def view_menu(self, fdi: int) -> qt.QMenu:
        """Choose the tooth that was clicked in a view; returns its menu, which stays until the next one."""
        self._case.select(fdi)
        if self.menu is not None:
            self.menu.deleteLater()
        self.menu = self.menu_for(fdi)
        return self.menu

    def close(self) -> None:
        """The panel goes away."""
        if self.panorama is not None:
            self.panorama.close()

    def _on_straighten(self) -> None:
        """Level the head, or turn it back."""
        try:
            self._case.straighten(not self._case.straight)
        finally:
            self.update()
        self._context.navigation.at_teeth()

    def _on_panorama(self) -> None:
        from .arch_dock import ArchDock

        if self.panorama is None:
            self.panorama = ArchDock(self._context, _main_window())
            self.panorama.widget.connect("visibilityChanged(bool)", lambda _shown: self.update())
        if self.panorama.shown:
            self.panorama.close()
        else:
            self.panorama.show()
        self.update()

    def menu_for(self, fdi: int) -> qt.QMenu:
        """The menu of a place of the chart."""
        menu = qt.QMenu(self.chart.widget)
        for entry in tooth_menu(self._case, self._context.relabelling, fdi):
            self._add(menu, entry)
        return menu

    def _add(self, menu, entry: Entry) -> None:
        if entry.act is None:
            inner = qt.QMenu(entry.text, menu)
            menu.addMenu(inner).enabled = entry.enabled
            for one in entry.entries:
                self._add(inner, one)
            return
        self._context.add_action(menu, entry.text, entry.act, entry.enabled)

    def _show_cards(self) -> None:
        self.question.show(self._context.cards.question())
        self.suggestion.show(self._context.cards.suggestion())

    def _on_notation(self, notation: Notation) -> None:
        self._context.parameters.notation = notation
        self._case.rename(notation)

    def _on_menu(self, fdi: int, place) -> None:
        self.view_menu(fdi)
        self.menu.connect("aboutToHide()", self.chart.release)
        self.menu.popup(place)

    def _on_change(self) -> None:
        if self._case.selected is None:
            return
        button = self._ui.changeToothButton
        self._on_menu(self._case.selected, button.mapToGlobal(qt.QPoint(0, button.height)))


def _main_window():
    """Slicer's window; None where there is none, as in tests."""
    window = getattr(slicer.util, "mainWindow", None)
    return window() if window is not None and hasattr(slicer.app, "layoutManager") else None
