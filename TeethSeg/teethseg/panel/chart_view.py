"""The tooth chart: teeth as dentists draw them, seen from the front, the patient's right on the left."""

from __future__ import annotations

import functools
from collections.abc import Callable

import qt

from ..anatomy import Notation, tooth
from ..application.i18n import _
from ..application.signals import Signal
from ..application.tooth_chart import COLOURS, SIGNS, chart_number, chart_rows, column, legend_html, marks_of, neighbour
from ..application.tooth_glyphs import outline
from .option_widgets import small

WIDTH, HEIGHT, SCALE = 21, 46, 2  # of a tooth in pixels, drawn twice as fine for dense screens
LEAST_WIDTH = 18  # of its button: sixteen beside each other fit a panel of 350 pixels with a scroll bar
_MARK = 12.0  # diameter of a mark, pixels
# Keys and where they lead: to the right, and down; neither opens the menu.
_KEYS = (("Left", -1, 0), ("Right", 1, 0), ("Up", 0, -1), ("Down", 0, 1), ("Menu", 0, 0), ("Shift+F10", 0, 0))
# Lines of the grid for the teeth and numbers of each row of the chart; the line between the jaws is in the middle.
_LINES, _MIDDLE = ((0, 1), (2, 3), (6, 5), (8, 7)), 4
_PLACES = {"uncertain": (0, "root"), "border": (1, "root"), "done": (1, "crown")}  # at the left or right, at which end


class ToothChartWidget:
    """Buttons in two rows, and up to two between them for deciduous teeth; independent of the scene.

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
        self.names: dict[int, qt.QLabel] = {}
        self._drawn: dict[int, tuple] = {}  # place and mark that the button shows
        self._rows: list[list[int]] = []  # as in `chart_rows`
        self._at: int | None = None  # the place that the Tab key leads to
        self.keys = [self._key(*key) for key in _KEYS]
        outer = qt.QVBoxLayout(self.widget)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(4)
        self._grid = qt.QGridLayout()
        self._grid.setHorizontalSpacing(0)
        self._grid.setVerticalSpacing(1)
        outer.addLayout(self._grid)
        legend = qt.QLabel(legend_html())
        small(legend)
        outer.addWidget(legend)

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
            The tool tip of each place.
        """
        rows = [[place.fdi for place in row] for row in chart_rows(places)]
        if not self.buttons:
            self._build()
        if rows != self._rows:
            self._arrange(rows)
        for place in places:
            button, label = self.buttons[place.fdi], self.names[place.fdi]
            looks = (place, place.fdi in missing)
            if self._drawn.get(place.fdi) != looks:
                self._drawn[place.fdi] = looks
                button.setIcon(qt.QIcon(tooth_pixmap(*looks)))
            button.checked, button.toolTip = place.fdi == selected, tips[place.fdi]
            label.text, label.enabled = chart_number(place.fdi, notation), place.present
        self._lead_to(selected if selected in self.buttons else self._at)

    def go(self, right: int, down: int) -> None:
        """Choose the place beside, above or below the one that has the keyboard."""
        fdi = neighbour(self._rows, self._at, right, down)
        if fdi is not None and fdi != self._at:
            self._lead_to(fdi)
            self.buttons[fdi].setFocus(qt.Qt.TabFocusReason)
            self.clicked.emit(fdi)

    def _lead_to(self, fdi: int | None) -> None:
        """Make one place of the chart the stop of the Tab key; the arrow keys go on from there."""
        if fdi not in self.buttons:
            fdi = self._rows[0][0]
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

    def _build(self) -> None:
        """The lines between jaws and sides, and the letters of the sides at the ends of the line between the jaws."""
        self._grid.addWidget(_line(qt.QFrame.HLine), _MIDDLE, 2, 1, 15)
        self._grid.addWidget(_line(qt.QFrame.VLine), 0, 9, 2 * _MIDDLE + 1, 1)
        for text, tip, at in ((_("R"), _("The patient's right"), 1), (_("L"), _("The patient's left"), 17)):
            side = qt.QLabel(text)
            side.toolTip = tip
            side.setAlignment(qt.Qt.AlignCenter)
            self._grid.addWidget(side, _MIDDLE, at)

    def _arrange(self, rows: list[list[int]]) -> None:
        """Add the teeth that have come, and remove those that have gone: deciduous ones do."""
        wanted = {fdi: lines for row, lines in zip(rows, _LINES, strict=True) for fdi in row}
        for fdi in self.buttons.keys() - wanted:
            for widget in (self.buttons.pop(fdi), self.names.pop(fdi)):
                self._grid.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
            del self._drawn[fdi]
        for fdi, (line, line_of_name) in wanted.items():
            if fdi in self.buttons:
                continue
            self._grid.addWidget(self._button(fdi), line, column(fdi))
            self._grid.addWidget(self._name(fdi), line_of_name, column(fdi))
            self._grid.setColumnStretch(column(fdi), 1)
        self._rows = rows

    def _button(self, fdi: int) -> qt.QToolButton:
        button = qt.QToolButton()
        button.name = f"tooth_{fdi}"
        button.autoRaise = True
        button.checkable = True
        button.setIconSize(qt.QSize(WIDTH, HEIGHT))
        button.setMinimumSize(qt.QSize(LEAST_WIDTH, HEIGHT + 4))
        # A style's own width of a button would add up to more than the width of Slicer's panels.
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
        self.names[fdi] = label
        return label

    def _on_click(self, fdi: int, _checked: bool = False) -> None:
        self.clicked.emit(fdi)

    def _on_menu(self, fdi: int, place) -> None:
        self.menu_wanted.emit(fdi, self.buttons[fdi].mapToGlobal(place))


def tooth_pixmap(place, missing: bool) -> qt.QPixmap:
    """The picture of a place in the chart: the tooth in its segment's colour, with its marks."""

    def draw(painter) -> None:
        if place.present:
            colour = qt.QColor(*(round(255 * part) for part in place.colour))
            pen = _pen(colour.darker(190), 1.2)
            colour.setAlpha(255 if place.visible else 50)
        else:
            colour, pen = qt.QColor(0, 0, 0, 0), _pen(qt.QColor(150, 150, 150, 110 if missing else 190), 1.0)
            pen.setStyle(qt.Qt.DashLine)
        painter.setPen(pen)
        painter.setBrush(qt.QBrush(colour))
        painter.drawPath(_path(place.fdi, WIDTH - 3.0, HEIGHT - 4.0, 1.5, 2.0))
        for mark in marks_of(place, missing):
            if mark == "missing":
                _cross(painter, 5.0, HEIGHT / 2 - 7.5, 15.0)
                continue
            right, end = _PLACES[mark]
            top = (end == "root") == (tooth(place.fdi).jaw == "upper")
            _badge(painter, WIDTH - _MARK - 0.5 if right else 0.5, 0.5 if top else HEIGHT - _MARK - 0.5, mark)

    return _painted(draw)


def _painted(draw: Callable) -> qt.QPixmap:
    pixmap = qt.QPixmap(WIDTH * SCALE, HEIGHT * SCALE)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    pixmap.setDevicePixelRatio(SCALE)
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    draw(painter)
    painter.end()
    return pixmap


def _pen(colour, width: float) -> qt.QPen:
    pen = qt.QPen(colour)
    pen.setWidthF(width)
    return pen


def _line(shape) -> qt.QFrame:
    line = qt.QFrame()
    line.setFrameShape(shape)
    line.setFrameShadow(qt.QFrame.Sunken)
    return line


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


def _badge(painter, left: float, top: float, mark: str) -> None:
    box = qt.QRectF(left, top, _MARK, _MARK)
    painter.setPen(qt.QPen(qt.QColor(255, 255, 255)))
    painter.setBrush(qt.QBrush(qt.QColor(COLOURS[mark])))
    painter.drawEllipse(box)
    font = qt.QFont()
    font.setPixelSize(9)
    font.setBold(True)
    painter.setFont(font)
    painter.drawText(box, qt.Qt.AlignCenter, SIGNS[mark])


def _cross(painter, left: float, top: float, size: float) -> None:
    painter.setPen(_pen(qt.QColor(COLOURS["missing"]), 1.6))
    painter.drawLine(qt.QPointF(left, top), qt.QPointF(left + size, top + size))
    painter.drawLine(qt.QPointF(left + size, top), qt.QPointF(left, top + size))
