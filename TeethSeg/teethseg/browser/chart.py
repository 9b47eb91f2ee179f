"""The tooth chart, the chosen tooth with its menu, open questions and suggestions."""

from __future__ import annotations

from dataclasses import dataclass, field

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from ..anatomy import Notation
from ..application.i18n import _
from ..application.question_cards import Card, CardAnswer
from ..application.texts import found_text
from ..application.tooth_chart import SIGNS, chart_number, chart_rows, column, marks_of
from ..application.tooth_glyphs import svg_path
from ..application.tooth_menu import Entry, tooth_menu
from ..application.tooth_texts import chosen_text, tip_text
from ..mrml.chart import ChartTooth
from . import controls as ui
from .component import App, Component

NOTATIONS = {"fdi": "FDI", "universal": "Universal", "palmer": "Palmer"}
WIDTH, HEIGHT = 20, 40  # of a tooth, in units of its picture
_TOOTH = """<svg viewBox="0 0 20 40" preserveAspectRatio="none"><path :d="t.path" :fill="t.colour"/></svg>
<span>{{ t.number }}</span><i v-for="m in t.marks" :class="'ts-mark-' + m[0]">{{ m[1] }}</i>"""


@dataclass
class ChartState:
    """State of `Chart` on the page."""

    rows: list[list[dict]] = field(default_factory=list)  # places of teeth, as in `chart_rows`
    count: str = ""
    notation: str = "fdi"
    selected: int = 0  # FDI number; 0 for none
    chosen: str = ""  # name and flags of that tooth, with tags for bold text
    present: bool = False  # whether it is there
    visible: bool = True
    alone: bool = False
    menu: bool = False
    entries: list[dict] = field(default_factory=list)
    cards: list[dict] = field(default_factory=list)  # questions and suggestions: key, text with tags for bold, answers


class Chart(Component[ChartState]):
    """Draws the chart, the chosen tooth with its menu, and the cards of questions."""

    def __init__(self, app: App):
        super().__init__(app, ChartState)
        self._entries: list[Entry] = []
        self._asked: list[Card] = []
        self.on_change(self.name.notation, self._on_notation)
        case = app.case
        self.follow(case.changed, case.selected_changed, app.cards.changed)

    def choose(self, fdi: int) -> None:
        """Choose a tooth and bring it into the middle of all views; twice, and it fills them."""
        self.app.navigation.choose(int(fdi))
        self.show()

    def open_menu(self, fdi: int) -> None:
        """Open the menu of a place of the chart."""
        self.app.case.select(int(fdi))
        self.data.menu = True

    def act(self, key: str) -> None:
        """Choose an entry of the menu."""
        self.data.menu = False
        entry = next(one for row in self._entries for one in (row, *row.entries) if one.key == key)
        if entry.act is not None:
            entry.act()

    def answer(self, key: str) -> None:
        """Answer a question or a suggestion that is shown."""
        next(one for card in self._asked for one in card.answers if one.key == key).act()

    def go_to(self, card: str) -> None:
        """Show the tooth that is asked about."""
        go = next(one for one in self._asked if one.key == card).go
        if go is not None:
            go()

    def show(self) -> None:
        """Show the teeth, the chosen one, and the questions as they are."""
        case, data = self.app.case, self.data
        places, missing = case.chart(), case.missing()
        data.rows = [[self._drawn(place, place.fdi in missing) for place in row] for row in chart_rows(places)]
        data.count = found_text(sum(place.present for place in places))
        data.notation, data.selected = case.notation, case.selected or 0
        place = next((place for place in places if place.fdi == case.selected), None)
        data.chosen, data.present = chosen_text(case), place is not None and place.present
        data.visible, data.alone = place is None or place.visible, case.alone
        self._entries = tooth_menu(case, self.app.relabelling, place.fdi) if place is not None else []
        data.entries = ui.entries(self._entries)
        cards = self.app.cards
        self._asked = [card for card in (cards.question(), cards.suggestion()) if card is not None]
        data.cards = [
            {"key": card.key, "text": card.text, "colour": card.kind, "answers": list(map(_answer, card.answers))}
            for card in self._asked
        ]

    def build(self) -> None:
        """Build the chart and the controls below it."""
        n, app = self.name, self.app
        with html.Div(classes="px-4"):
            with html.Div(classes="d-flex align-center justify-space-between"):
                ui.line(n.count, "count", classes="text-body-2")
                ui.one_of(NOTATIONS.items(), "notation", v_model=(n.notation,))
            for row, css in enumerate(("ts-upper", "ts-upper", "ts-lower", "ts-lower")):
                if row == 2:
                    with html.Div(classes="ts-jaw"):
                        html.Span(_("Right"))
                        html.Span(_("Left"))
                with html.Div(classes=f"ts-chart {css}"):
                    html.Button(
                        _TOOTH,
                        v_for=f"t in {n.rows}[{row}]",
                        key="t.fdi",
                        type="button",
                        style=("{ gridColumn: t.column }",),
                        classes=(f"[t.looks, {{'ts-selected': t.fdi === {n.selected}}}]",),
                        click=(app.on(self.choose), "[t.fdi]"),
                        raw_attrs=[
                            ':title="t.tip"',
                            f"@contextmenu.prevent=\"trigger('{app.trigger(self.open_menu)}', [t.fdi])\"",
                            f':aria-pressed="t.fdi === {n.selected}"',
                            *ui.test_id("tooth-${t.fdi}"),
                        ],
                    )
            self._build_chosen()
            self._build_cards()

    def _build_chosen(self) -> None:
        n, case = self.name, self.app.case
        html.Div(v_html=(n.chosen,), classes="text-body-2 mt-2", raw_attrs=ui.test_id("chosen"))
        with html.Div(v_if=(n.selected,), classes="ts-row mt-1"):
            with v3.VMenu(v_model=(n.menu,), max_height=420, close_on_content_click=False):
                with v3.Template(v_slot_activator="{ props }"):
                    ui.button(_("Change"), "", None, "change-tooth", v_bind="props", append_icon="mdi-menu-down")
                ui.menu(n.entries, self.app.on(self.act))
            v3.VSpacer()
            off = {"disabled": (f"!{n.present}",)}
            hide = self.app.on(lambda: case.show_selected(not self.data.visible))
            ui.icon_button((f"{n.visible} ? 'mdi-eye' : 'mdi-eye-off'",), _("Hide or show"), hide, "hide", **off)
            alone = self.app.on(lambda: case.show_only_selected(not case.alone))
            picture = f"{n.alone} ? 'mdi-image-multiple' : 'mdi-image-filter-none'"
            ui.icon_button((picture,), _("This tooth alone, or all"), alone, "alone", **off)

    def _build_cards(self) -> None:
        rows = {"v_for": f"card in {self.name.cards}", "key": "card.key", "raw_attrs": ui.test_id("${card.key}")}
        with v3.VCard(variant="tonal", color=("card.colour",), classes="pa-3 mt-2", **rows):
            show = (self.app.on(self.go_to), "[card.key]")
            html.Div(v_html=("card.text",), classes="text-body-2 mb-2", style="cursor: pointer", click=show)
            ui.buttons("card.answers", self.app.on(self.answer))

    def _on_notation(self, notation: Notation) -> None:
        if notation != self.app.case.notation:
            self.app.case.rename(notation)

    def _drawn(self, place: ChartTooth, missing: bool) -> dict:
        looks = "ts-tooth" if place.present else "ts-tooth ts-missing"
        return {
            "fdi": place.fdi,
            "column": column(place.fdi),
            "number": chart_number(place.fdi, self.app.case.notation),
            "path": svg_path(place.fdi, WIDTH, HEIGHT),
            "colour": "#" + "".join(f"{round(255 * part):02x}" for part in place.colour) if place.present else "none",
            "looks": looks + (" ts-hidden" if place.present and not place.visible else ""),
            "marks": [(mark, SIGNS[mark]) for mark in marks_of(place, missing)],
            "tip": tip_text(self.app.case, place),
        }


def _answer(answer: CardAnswer) -> dict:
    return ui.action(answer.key, answer.text, tip=answer.tip, off=not answer.enabled)
