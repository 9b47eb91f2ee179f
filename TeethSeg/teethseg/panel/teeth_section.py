"""The section "Teeth": the chart, what is known of the chosen tooth, its menu, and the list of doubts."""

from __future__ import annotations

import functools
from collections.abc import Callable

import qt

from ..anatomy import PERMANENT, arch, tooth
from . import views
from .case import Case
from .chart_view import ToothChart
from .i18n import _
from .option_widgets import Choice, mark
from .review_queue import Doubts
from .texts import flag_text, tooth_name, tooth_text


class TeethSection:
    """See module.

    Parameters
    ----------
    ui : namespace of widgets
    case : Case
    parameters : callable
        Gives the panel's `Parameters` of the scene as it is now.
    """

    def __init__(self, ui, case: Case, parameters: Callable):
        self._ui, self._case, self._parameters = ui, case, parameters
        self._menu = None
        self.doubts = Doubts()
        self.chart = ToothChart()
        ui.chartPlace.layout().addWidget(self.chart.widget)
        self._notation = Choice(
            ui.notationCombo,
            [("fdi", _("FDI: 16")), ("universal", _("Universal: #3")), ("palmer", _("Palmer: 6⏌"))],
            self._on_notation,
        )
        self.chart.clicked.connect(self.choose)
        self.chart.menu_wanted.connect(self._on_menu)
        ui.showToothButton.connect("clicked(bool)", self._on_show)
        ui.onlyToothButton.connect("clicked(bool)", self._on_only)
        ui.allTeethButton.connect("clicked(bool)", self._on_all)
        ui.changeToothButton.connect("clicked(bool)", self._on_change)
        ui.doubtKeepButton.connect("clicked(bool)", self._on_keep)
        ui.doubtChangeButton.connect("clicked(bool)", self._on_other)
        ui.doubtRemoveButton.connect("clicked(bool)", self._on_remove_doubt)
        ui.doubtLaterButton.connect("clicked(bool)", self._on_later)
        mark(ui.doubtFrame, "warning")
        case.changed.connect(self.update)
        case.selected_changed.connect(self.update)

    @property
    def notation(self):
        parameters = self._parameters()
        return parameters.notation if parameters else "fdi"

    def refresh(self) -> None:
        """Show the parameters of the scene as it is now."""
        self._notation.show(self.notation)
        self.update()

    def update(self) -> None:
        """Show the teeth as they are."""
        places = self._case.chart()
        self.chart.show(places, self.notation, self._case.selected, self._case.missing())
        self.doubts.update(places)
        self._show_tooth({place.fdi: place for place in places}.get(self._case.selected))
        self._show_doubt()

    def choose(self, fdi: int) -> None:
        """Choose a tooth and bring it into the middle of all views."""
        self._case.select(fdi)
        self.update()
        ras = self._case.centre(fdi)
        if ras is not None:
            views.centre(self._case.scene, ras)

    def menu_for(self, fdi: int) -> qt.QMenu:
        """What can be done with a place of the chart."""
        menu = qt.QMenu(self.chart.widget)
        present = self._case.present()
        if fdi not in present:
            missing = fdi in self._case.missing()
            text = _("Not known whether it is missing") if missing else _("The patient does not have this tooth")
            _add(menu, text, functools.partial(self._case.set_missing, fdi, not missing), self._case.teeth is not None)
            return menu
        numbers = _submenu(menu, _("Another number"))
        for jaw, side, text in (
            ("upper", "right", _("Upper right")),
            ("upper", "left", _("Upper left")),
            ("lower", "left", _("Lower left")),
            ("lower", "right", _("Lower right")),
        ):
            quarter = _submenu(numbers, text)
            for number in PERMANENT:
                one = tooth(number)
                if (one.jaw, one.side) == (jaw, side) and number != fdi:
                    _add(
                        quarter,
                        self._name(number),
                        functools.partial(self.renumber, fdi, number),
                        number not in present,
                    )
        swap = _submenu(menu, _("Swap with"))
        for number in arch(tooth(fdi).jaw):
            if number in present and number != fdi:
                _add(swap, self._name(number), functools.partial(self.renumber, fdi, number))
        menu.addSeparator()
        for step, text in (
            (1, _("This tooth and all behind it one further back")),
            (-1, _("This tooth and all behind it one further forward")),
        ):
            _add(menu, text, functools.partial(self.shift, fdi, step))
        menu.addSeparator()
        done = any(place.fdi == fdi and place.done for place in self._case.chart())
        text, state = (_("Not done yet"), "in_progress") if done else (_("Looked at and done"), "completed")
        _add(menu, text, functools.partial(self._case.set_state, fdi, state))
        _add(menu, _("Not a tooth"), functools.partial(self.remove, fdi))
        return menu

    def renumber(self, fdi: int, number: int) -> None:
        """Give a tooth another number; if another tooth has it, they swap."""
        from ..correction import renumber

        numbers = {fdi: number, number: fdi} if number in self._case.present() else {fdi: number}
        if self._case.edit(lambda labels, scan: renumber(labels, numbers)):
            self._case.select(number)

    def shift(self, fdi: int, step: int) -> None:
        """Count this tooth and all behind it one further back (+1) or forward (-1)."""
        from ..correction import shift_numbers

        self._case.edit(lambda labels, scan: shift_numbers(labels, fdi, step))

    def remove(self, fdi: int) -> None:
        """Take what is no tooth out of the segmentation."""
        from ..correction import remove_tooth

        self._case.edit(lambda labels, scan: remove_tooth(labels, fdi))

    def _name(self, fdi: int) -> str:
        return f"{tooth_text(fdi, self.notation)}  {tooth_name(fdi)}"

    def _show_tooth(self, place) -> None:
        ui = self._ui
        present = place is not None and place.present
        if self._case.teeth is None:
            text = _("The teeth appear here once they are found.")
        elif place is None and not self._case.present():
            text = _("This segmentation has no single, numbered teeth.")
        elif place is None:
            text = _("Click a tooth to see it; right-click to change it.")
        else:
            parts = [f"<b>{tooth_text(place.fdi, self.notation)}</b> {tooth_name(place.fdi)}"]
            if present:
                parts += [flag_text(flag) for flag in place.flags]
                if place.confidence is not None:
                    parts.append(_("sure to {percent} %").format(percent=round(100 * place.confidence)))
            else:
                missing = place.fdi in self._case.missing()
                parts.append(_("missing in this patient") if missing else _("not found"))
            text = " · ".join(parts)
        ui.toothLabel.text = text
        ui.showToothButton.text = _("Show") if present and not place.visible else _("Hide")
        ui.showToothButton.enabled = ui.onlyToothButton.enabled = bool(present)
        ui.changeToothButton.enabled = place is not None
        ui.allTeethButton.enabled = self._case.teeth is not None

    def _show_doubt(self) -> None:
        ui, doubt = self._ui, self.doubts.current
        ui.doubtFrame.setVisible(doubt is not None)
        if doubt is None:
            return
        count = len(self.doubts)
        head = _("One question left") if count == 1 else _("{count} questions").format(count=count)
        ui.doubtLabel.text = f"<b>{head}:</b> {doubt.question(self.notation)}"
        ui.doubtKeepButton.text = _("It is {name}").format(name=tooth_text(doubt.fdi, self.notation))
        ui.doubtChangeButton.setVisible(doubt.other is not None)
        if doubt.other is not None:
            other = tooth_text(doubt.other, self.notation)
            ui.doubtChangeButton.text = (_("Swap with {name}") if doubt.taken else _("It is {name}")).format(name=other)
        ui.doubtLaterButton.enabled = count > 1

    def _on_notation(self, notation: str) -> None:
        self._parameters().notation = notation
        self._case.rename(notation)
        self.update()

    def _on_menu(self, fdi: int, place) -> None:
        self._case.select(fdi)
        if self._menu is not None:
            self._menu.deleteLater()
        self._menu = self.menu_for(fdi)
        self._menu.popup(place)

    def _on_change(self, _clicked: bool = False) -> None:
        button = self._ui.changeToothButton
        self._on_menu(self._case.selected, button.mapToGlobal(qt.QPoint(0, button.height)))

    def _on_show(self, _clicked: bool = False) -> None:
        self._case.show_teeth({self._case.selected: self._ui.showToothButton.text == _("Show")})

    def _on_only(self, _clicked: bool = False) -> None:
        self._case.show_teeth({fdi: fdi == self._case.selected for fdi in self._case.present()})

    def _on_all(self, _clicked: bool = False) -> None:
        self._case.show_teeth(dict.fromkeys(self._case.present(), True))

    def _on_keep(self, _clicked: bool = False) -> None:
        self._case.confirm(self.doubts.current.fdi)
        self._next_doubt()

    def _on_other(self, _clicked: bool = False) -> None:
        doubt = self.doubts.current
        self.renumber(doubt.fdi, doubt.other)
        self._next_doubt()

    def _on_remove_doubt(self, _clicked: bool = False) -> None:
        self.remove(self.doubts.current.fdi)
        self._next_doubt()

    def _on_later(self, _clicked: bool = False) -> None:
        self.doubts.later()
        self._next_doubt()

    def _next_doubt(self) -> None:
        if self.doubts.current is not None:
            self.choose(self.doubts.current.fdi)
        else:
            self.update()


def _add(menu, text: str, act: Callable, enabled: bool = True) -> None:
    action = qt.QAction(text, menu)
    action.enabled = enabled
    action.connect("triggered(bool)", lambda _checked=False: act())
    menu.addAction(action)


def _submenu(menu, text: str):
    inner = qt.QMenu(text, menu)
    menu.addMenu(inner)
    return inner
