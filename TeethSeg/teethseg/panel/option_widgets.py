"""Small parts of the panel: combo boxes bound to values, messages, fonts, frames, and settings of this computer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import qt

SHORTEST = 8  # letters that a combo box has room for at least
SMALL = 0.85  # of the usual size of letters
_COLOURS = {"info": "#2e7d32", "warning": "#e67e00", "error": "#c62828"}


class Choice:
    """A combo box whose entries stand for values.

    Parameters
    ----------
    combo : QComboBox
    options : sequence of (value, text)
    chosen : callable
        Called with the value that the user chose.
    """

    def __init__(self, combo, options: Sequence[tuple], chosen: Callable = lambda value: None):
        self._combo = combo
        self._chosen = chosen
        self._showing = False
        self._values: list = []
        self._options: list | None = None
        # Else the longest entry decides how narrow the panel can be.
        combo.sizeAdjustPolicy = qt.QComboBox.AdjustToMinimumContentsLengthWithIcon
        combo.minimumContentsLength = SHORTEST
        self.offer(options)
        combo.connect("currentIndexChanged(int)", self._on_index)

    def offer(self, options: Sequence[tuple]) -> None:
        """Replace the entries; keeps the value if it is still among them."""
        options = list(options)
        if options == self._options:
            return
        value, self._options = self.value, options
        self._showing = True
        self._values = [option for option, _text in options]
        self._combo.clear()
        for _option, text in options:
            self._combo.addItem(text)
        self._showing = False
        self.show(value)

    @property
    def value(self):
        """The chosen option; None while there is none."""
        index = self._combo.currentIndex
        return self._values[index] if 0 <= index < len(self._values) else None

    def show(self, value) -> None:
        """Show a value without calling `chosen`; the first one if there is no such value."""
        self._showing = True
        self._combo.currentIndex = self._values.index(value) if value in self._values else (0 if self._values else -1)
        self._showing = False

    def _on_index(self, _index: int) -> None:
        if not self._showing and self.value is not None:
            self._chosen(self.value)


def say(label, text: str, kind: str = "info") -> None:
    """Show a line for the user in a label, or hide the label if there is none."""
    label.text = text
    label.setVisible(bool(text))
    label.setStyleSheet(f"color: {_COLOURS[kind]};" if kind != "info" else "")


def small(label) -> None:
    """Write a label in smaller letters, which grow with the font and follow a change of style as all others do."""
    font = qt.QFont(label.font)
    font.setPointSizeF(SMALL * font.pointSizeF())
    label.font = font


def fit(labels) -> None:
    """Give labels whose text is wrapped the height that they need: layouts within Slicer's sections ask for less."""
    for label in labels:
        if label.visible:
            label.setMinimumHeight(max(label.heightForWidth(label.width), 0))


def wrapped(ui) -> list:
    """The labels of the panel whose text is wrapped."""
    return [part for part in vars(ui).values() if part.className() == "QLabel" and part.wordWrap]


def bring_into_view(widget) -> None:
    """Scroll the panel so far that a widget can be seen."""
    area = widget.parent()
    while area is not None and area.className() != "QScrollArea":
        area = area.parent()
    if area is not None:
        area.ensureWidgetVisible(widget)


def mark(frame, kind: str) -> None:
    """Colour the edge of a frame by the kind of its message."""
    frame.setStyleSheet(f"#{frame.name} {{ border: 1px solid palette(mid); border-left: 4px solid {_COLOURS[kind]}; }}")


class Style:
    """Follows a change of Slicer's style from light to dark: widgets in a frame with a style sheet do not.

    Parameters
    ----------
    frames : sequence of QFrame
        That `mark` gave a colour.
    """

    def __init__(self, frames: Sequence):
        self._frames, self._colour = frames, self._text_colour()

    def follow(self) -> None:
        """Look whether it has changed."""
        colour = self._text_colour()
        if colour != self._colour:
            self._colour = colour
            for frame in self._frames:
                sheet = frame.styleSheet
                frame.setStyleSheet("")
                frame.setStyleSheet(sheet)

    @staticmethod
    def _text_colour() -> str:
        return qt.QApplication.palette().color(qt.QPalette.WindowText).name()


def remembered(key: str) -> str:
    """The setting of this computer under a key; empty if there is none."""
    return str(qt.QSettings().value(f"TeethSeg/{key}") or "")


def remember(key: str, value: str) -> None:
    """Store a setting on this computer: a path or a device, which does not belong into a scene."""
    qt.QSettings().setValue(f"TeethSeg/{key}", value)
