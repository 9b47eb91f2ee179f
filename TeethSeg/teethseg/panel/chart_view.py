"""The tooth chart: 32 teeth as dentists draw them, seen from the front, the patient's right on the left."""

from __future__ import annotations

import functools

import qt

from ..anatomy import Notation, tooth
from ..application.i18n import _
from ..application.signals import Signal
from ..application.texts import tooth_text
from ..application.tooth_glyphs import outline
from ..cascade.dentition import TOUCHES_BORDER, UNCERTAIN_NUMBER
from .option_widgets import small

WIDTH, HEIGHT, SCALE = 22, 46, 2  # of a tooth in pixels, drawn twice as fine for dense screens
LEAST_WIDTH = 20  # of its button: sixteen beside each other fit a narrow panel
_PERMANENT = 32
_MARK = 12.0  # diameter of a mark, pixels
# Keys and where they lead: to the right, and down; neither opens the menu.
_KEYS = (("Left", -1, 0), ("Right", 1, 0), ("Up", 0, -1), ("Down", 0, 1), ("Menu", 0, 0), ("Shift+F10", 0, 0))
_UNCERTAIN, _BORDER, _DONE = (230, 126, 0), (200, 40, 40), (30, 140, 60)


class ToothChart:
    """Buttons in two rows; knows nothing of scenes.

    Attributes
    ----------
    widget : QWidget
    clicked, menu_wanted : Signal
        A tooth was clicked (fdi), or its menu asked for (fdi, place on the screen).
    """

    def __init__(self):
        self.clicked = Signal()
        self.menu_wanted = Signal()
        self.widget = qt.QWidget()
        self.widget.setSizePolicy(qt.QSizePolicy.Preferred, qt.QSizePolicy.Fixed)  # nothing takes room from it
        self.buttons: dict[int, qt.QToolButton] = {}
        self._names: dict[int, qt.QLabel] = {}
        self._milk_teeth: list[int] = []
        self._drawn: dict[int, tuple] = {}  # place and mark that the button shows
        self._rows: list[list[int]] = []  # as the arrow keys go through them
        self._at: int | None = None  # the place that the Tab key leads to
        self._keys = [self._key(*key) for key in _KEYS]
        outer = qt.QVBoxLayout(self.widget)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(4)
        self._grid = qt.QGridLayout()
        self._grid.setHorizontalSpacing(0)
        self._grid.setVerticalSpacing(1)
        outer.addLayout(self._grid)
        self._milk = qt.QHBoxLayout()
        self._milk.setSpacing(0)
        outer.addLayout(self._milk)
        outer.addLayout(self._legend())

    def show(
        self, places: list, notation: Notation, selected: int | None, missing: set[int], tips: dict[int, str]
    ) -> None:
        """Draw the chart.

        Parameters
        ----------
        places : list of ChartTooth
            From `mrml.chart`, upper row first, as it goes from left to right.
        notation : {'fdi', 'universal', 'palmer'}
        selected : int or None
        missing : set of int
            Marked as missing in the patient.
        tips : dict of int to str
            What is told of each place where the mouse rests on it.
        """
        if not self.buttons:
            self._build([place.fdi for place in places[:_PERMANENT]])
        self._show_milk([place.fdi for place in places[_PERMANENT:]])
        for place in places:
            button = self.buttons[place.fdi]
            looks = (place, place.fdi in missing)
            if self._drawn.get(place.fdi) != looks:
                self._drawn[place.fdi] = looks
                button.setIcon(qt.QIcon(tooth_pixmap(*looks)))
            button.checked = place.fdi == selected
            button.toolTip = tips[place.fdi]
            label = self._names[place.fdi]
            # The chart itself is Palmer's cross.
            label.text = tooth_text(place.fdi, notation).strip("⏌⎿⎾⏋")
            label.enabled = place.present
        numbers = [place.fdi for place in places]
        half = _PERMANENT // 2
        self._rows = [row for row in (numbers[:half], numbers[half:_PERMANENT], numbers[_PERMANENT:]) if row]
        self._lead_to(selected if selected in self.buttons else self._at)

    def go(self, right: int, down: int) -> None:
        """Choose the place beside, above or below the one that has the keyboard; the chart's ends are ends."""
        at = self._at
        row = next((n for n, numbers in enumerate(self._rows) if at in numbers), None)
        if row is None:
            return
        below = min(max(row + down, 0), len(self._rows) - 1)
        column = self._rows[row].index(at) + right
        fdi = self._rows[below][min(max(column, 0), len(self._rows[below]) - 1)]
        if fdi != at:
            self._lead_to(fdi)
            self.buttons[fdi].setFocus(qt.Qt.TabFocusReason)
            self.clicked.emit(fdi)

    def _lead_to(self, fdi: int | None) -> None:
        """Have the Tab key lead to one place of the chart: it is one stop, and the arrow keys go on from there."""
        if fdi is None or fdi not in self.buttons:
            fdi = self._rows[0][0] if self._rows else None
        for one, button in self.buttons.items():
            button.setFocusPolicy(qt.Qt.StrongFocus if one == fdi else qt.Qt.ClickFocus)
        self._at = fdi

    def _key(self, key: str, right: int, down: int):
        """A key that counts while the keyboard is in the chart."""
        shortcut = qt.QShortcut(self.widget)
        shortcut.setKey(qt.QKeySequence(key))
        shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
        shortcut.connect("activated()", functools.partial(self._on_key, right, down))
        return shortcut

    def _on_key(self, right: int, down: int) -> None:
        if right or down:
            self.go(right, down)
        elif self._at is not None:
            button = self.buttons[self._at]
            self.menu_wanted.emit(self._at, button.mapToGlobal(qt.QPoint(0, button.height)))

    def release(self) -> None:
        """A menu has closed: Qt still frames the button that it was opened on, as if the mouse were there."""
        for button in self.buttons.values():
            button.setAttribute(qt.Qt.WA_UnderMouse, False)
            button.update()

    def _build(self, numbers: list[int]) -> None:
        half = len(numbers) // 2
        for n, fdi in enumerate(numbers):
            column = n % half
            column += 2 if column >= half // 2 else 1  # room for the midline, and for "R" at the left
            upper = n < half
            self._grid.addWidget(self._button(fdi), 0 if upper else 4, column)
            self._grid.addWidget(self._name(fdi), 1 if upper else 3, column)
            self._grid.setColumnStretch(column, 1)
        across, down = qt.QFrame(), qt.QFrame()
        across.setFrameShape(qt.QFrame.HLine)
        across.setFrameShadow(qt.QFrame.Sunken)
        down.setFrameShape(qt.QFrame.VLine)
        down.setFrameShadow(qt.QFrame.Sunken)
        self._grid.addWidget(across, 2, 1, 1, half + 1)
        self._grid.addWidget(down, 0, half // 2 + 1, 5, 1)
        for text, tip, column in (
            (_("R"), _("The patient's right"), 0),
            (_("L"), _("The patient's left"), half + 2),
        ):
            side = qt.QLabel(text)
            side.toolTip = tip
            side.setAlignment(qt.Qt.AlignCenter)
            self._grid.addWidget(side, 2, column)

    def _show_milk(self, numbers: list[int]) -> None:
        """Milk teeth, which few scans show, stand in a row of their own."""
        if numbers == self._milk_teeth:
            return
        for fdi in self._milk_teeth:
            del self._drawn[fdi]
            for part in (self.buttons.pop(fdi), self._names.pop(fdi)):
                self._milk.removeWidget(part)
                part.hide()
                part.deleteLater()
        while self._milk.count():
            self._milk.takeAt(0)
        self._milk_teeth = numbers
        for fdi in numbers:
            self._milk.addWidget(self._button(fdi))
            self._milk.addWidget(self._name(fdi))
        if numbers:
            self._milk.addStretch(1)

    def _button(self, fdi: int) -> qt.QToolButton:
        button = qt.QToolButton()
        button.name = f"tooth_{fdi}"
        button.autoRaise = True
        button.checkable = True
        button.setIconSize(qt.QSize(WIDTH, HEIGHT))
        button.setMinimumSize(qt.QSize(LEAST_WIDTH, HEIGHT + 4))
        # Else a style's own idea of a button's width adds up to more than Slicer's panels have.
        button.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
        button.setContextMenuPolicy(qt.Qt.CustomContextMenu)
        button.connect("clicked(bool)", functools.partial(self._on_click, fdi))
        button.connect("customContextMenuRequested(QPoint)", functools.partial(self._on_menu, fdi))
        self.buttons[fdi] = button
        return button

    def _name(self, fdi: int) -> qt.QLabel:
        label = qt.QLabel()
        label.setAlignment(qt.Qt.AlignCenter)
        small(label)
        self._names[fdi] = label
        return label

    def _on_click(self, fdi: int, _checked: bool = False) -> None:
        self.clicked.emit(fdi)

    def _on_menu(self, fdi: int, place) -> None:
        self.menu_wanted.emit(fdi, self.buttons[fdi].mapToGlobal(place))

    def _legend(self) -> qt.QHBoxLayout:
        layout = qt.QHBoxLayout()
        layout.setSpacing(4)
        for mark, text in (
            ("uncertain", _("uncertain")),
            ("border", _("cut off")),
            ("done", _("done")),
            ("missing", _("missing")),
        ):
            icon, label = qt.QLabel(), qt.QLabel(text)
            icon.setPixmap(mark_pixmap(mark))
            small(label)
            layout.addWidget(icon)
            layout.addWidget(label)
            layout.addSpacing(6)
        layout.addStretch(1)
        return layout


def tooth_pixmap(place, missing: bool) -> qt.QPixmap:
    """The picture of a place in the chart: the tooth in its segment's colour, with its marks."""
    pixmap = _blank(WIDTH, HEIGHT)
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    path = _path(place.fdi, WIDTH - 3.0, HEIGHT - 4.0, 1.5, 2.0)
    if place.present:
        colour = qt.QColor(*(round(255 * part) for part in place.colour))
        pen = qt.QPen(colour.darker(190))
        pen.setWidthF(1.2)
        if not place.visible:
            colour.setAlpha(50)
        painter.setPen(pen)
        painter.setBrush(qt.QBrush(colour))
    else:
        pen = qt.QPen(qt.QColor(150, 150, 150, 110 if missing else 190))
        pen.setWidthF(1.0)
        pen.setStyle(qt.Qt.DashLine)
        painter.setPen(pen)
        painter.setBrush(qt.QBrush(qt.QColor(0, 0, 0, 0)))
    painter.drawPath(path)
    upper = tooth(place.fdi).jaw == "upper"
    root, crown = (0.5, HEIGHT - _MARK - 0.5) if upper else (HEIGHT - _MARK - 0.5, 0.5)
    if missing and not place.present:
        _cross(painter, 5.0, HEIGHT / 2 - 7.5, 15.0)
    if UNCERTAIN_NUMBER in place.flags:
        _badge(painter, 0.5, root, _UNCERTAIN, "?")
    if TOUCHES_BORDER in place.flags:
        _badge(painter, WIDTH - _MARK - 0.5, root, _BORDER, "!")
    if place.done:
        _badge(painter, WIDTH - _MARK - 0.5, crown, _DONE, "✓")
    painter.end()
    return pixmap


def mark_pixmap(mark: str) -> qt.QPixmap:
    """One mark of the legend."""
    size = int(_MARK) + 2
    pixmap = _blank(size, size)
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    if mark == "missing":
        _cross(painter, 1.0, 1.0, _MARK)
    else:
        colour, text = {"uncertain": (_UNCERTAIN, "?"), "border": (_BORDER, "!"), "done": (_DONE, "✓")}[mark]
        _badge(painter, 1.0, 1.0, colour, text)
    painter.end()
    return pixmap


def _blank(width: int, height: int) -> qt.QPixmap:
    pixmap = qt.QPixmap(width * SCALE, height * SCALE)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    pixmap.setDevicePixelRatio(SCALE)
    return pixmap


def _path(fdi: int, width: float, height: float, left: float, top: float) -> qt.QPainterPath:
    path = qt.QPainterPath()
    for n, command in enumerate(outline(fdi)):
        x = [left + width * part for part in command[::2]]
        y = [top + height * part for part in command[1::2]]
        if n == 0:
            path.moveTo(x[0], y[0])
        else:
            path.cubicTo(x[0], y[0], x[1], y[1], x[2], y[2])
    path.closeSubpath()
    return path


def _badge(painter, left: float, top: float, colour: tuple[int, int, int], text: str) -> None:
    box = qt.QRectF(left, top, _MARK, _MARK)
    painter.setPen(qt.QPen(qt.QColor(255, 255, 255)))
    painter.setBrush(qt.QBrush(qt.QColor(*colour)))
    painter.drawEllipse(box)
    font = qt.QFont()
    font.setPixelSize(9)
    font.setBold(True)
    painter.setFont(font)
    painter.drawText(box, qt.Qt.AlignCenter, text)


def _cross(painter, left: float, top: float, size: float) -> None:
    pen = qt.QPen(qt.QColor(120, 120, 120))
    pen.setWidthF(1.6)
    painter.setPen(pen)
    painter.drawLine(qt.QPointF(left, top), qt.QPointF(left + size, top + size))
    painter.drawLine(qt.QPointF(left + size, top), qt.QPointF(left, top + size))
