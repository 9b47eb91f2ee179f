"""The window "Panorama" beneath Slicer's views: panorama, cross-sections and the arches from above, linked with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt

from ..application import arch_options
from ..application.arch_follower import ArchFollower
from ..application.arch_viewer import DICOM_FILES, PNG_FILES, VIEWS, ArchViewer, View
from ..application.i18n import _
from ..application.placed_points import GOLD, PlacedPoints
from .context import Context
from .message_line import MessageLine
from .option_widgets import Choice, remembered

PLAN = 260  # pixels of the arches from above
LEAST, SECTIONS = 320, 900  # pixels: of the panorama at least, of the sections at most
UPPER = 0.6  # of the height


class _Mouse(qt.QObject):
    """Forwards mouse events of a picture."""

    def __init__(self, press, move, release):
        super().__init__()
        kinds = qt.QEvent
        self._handlers = {kinds.MouseButtonPress: press, kinds.MouseMove: move, kinds.MouseButtonRelease: release}

    def eventFilter(self, _watched, event) -> bool:
        handler = self._handlers.get(event.type())
        if handler is not None:
            handler(event.pos().x(), event.pos().y())
        return handler is not None


class ArchDock:
    """See module. The dock is made when the user opens it for the first time.

    Parameters
    ----------
    context : Context
    parent : QMainWindow or None
        Slicer's window, which the dock is put into; without one it is a window of its own.
    """

    def __init__(self, context: Context, parent=None):
        self._context, self._case = context, context.case
        self._filters: list = []
        case = context.case
        self.viewer = ArchViewer(case.scene, case.number, context.navigation.through, case.select)
        clicks = PlacedPoints(case.scene, "arch", GOLD, context.later)
        self._follower = ArchFollower(case, self.viewer, clicks)
        self.widget = qt.QDockWidget(_("Panorama"), parent) if parent is not None else qt.QDockWidget(_("Panorama"))
        self.widget.name = "TeethSegPanorama"
        self._build()
        if parent is not None:
            parent.addDockWidget(qt.Qt.BottomDockWidgetArea, self.widget)
        self.viewer.changed.connect(context.later(self._on_draw))
        self.viewer.message.connect(self._line.say)
        self._follower.watch(context.later, lambda: self.shown)

    @property
    def shown(self) -> bool:
        """Whether the dock is open."""
        return self.widget.visible

    def show(self) -> None:
        """Open it on the case as it is now."""
        self.widget.setVisible(True)
        self._read_parameters()
        self._line.say("" if self._case.volume_node is not None else _("Load or choose a scan first."))
        self._line.telling(self._follower.open)

    def close(self) -> None:
        """Hide it and forget the scan."""
        self.widget.setVisible(False)
        self._follower.close()

    def _build(self) -> None:
        body = qt.QWidget()
        outer = qt.QVBoxLayout(body)
        outer.setContentsMargins(6, 4, 6, 4)
        bar = qt.QHBoxLayout()
        outer.addLayout(bar)
        self.combos, self.spins, self._choices = {}, {}, {}
        for key, titles in arch_options.choices().items():
            combo = self.combos[key] = qt.QComboBox()
            self._choices[key] = Choice(combo, titles, lambda value, key=key: self._set(**{key: value}))
            bar.addWidget(combo)
        for length in arch_options.lengths():
            spin = self.spins[length.key] = _spin(length)
            self._context.connect(spin, "valueChanged(double)", lambda value, key=length.key: self._set(**{key: value}))
            bar.addWidget(qt.QLabel(length.label))
            bar.addWidget(spin)
        self.buttons: dict[str, qt.QPushButton] = {}
        for one in arch_options.actions():
            button = self.buttons[one.key] = qt.QPushButton(one.label)
            button.toolTip, button.checkable = one.tip, one.toggles
            self._context.connect(button, "clicked(bool)", lambda _checked=False, key=one.key: self._follower.act(key))
            bar.addWidget(button)
        export = qt.QPushButton(_("Save"))
        menu = qt.QMenu(export)
        self._context.add_action(menu, _("Pictures (PNG) …"), lambda: self.export(self.viewer.export_png, PNG_FILES))
        self._context.add_action(menu, _("DICOM …"), lambda: self.export(self.viewer.export_dicom, DICOM_FILES))
        self._context.add_action(menu, _("Page to print (PDF) …"), self.export_sheet)
        export.setMenu(menu)
        bar.addWidget(export)
        bar.addStretch(1)
        self.message = qt.QLabel()
        self.message.wordWrap = True
        outer.addWidget(self.message)
        self._line = MessageLine(self._context, self.message)
        upper = qt.QHBoxLayout()
        outer.addLayout(upper)
        self.pictures = {view: self._picture(view) for view in VIEWS}
        upper.addWidget(self.pictures["plan"])
        upper.addWidget(self.pictures["panorama"])
        upper.addStretch(1)
        outer.addWidget(self.pictures["section"])
        outer.addStretch(1)
        area = qt.QScrollArea()
        area.setWidget(body)
        area.setWidgetResizable(True)
        self.widget.setWidget(area)
        self._body = body

    def _picture(self, view: View):
        label = qt.QLabel()
        label.setAlignment(qt.Qt.AlignLeft | qt.Qt.AlignTop)
        label.setCursor(qt.QCursor(qt.Qt.CrossCursor))
        guarded = self._context.guarded
        mouse = _Mouse(
            guarded(lambda x, y: self.viewer.press(view, x, y)), guarded(self.viewer.move), guarded(self.viewer.release)
        )
        label.installEventFilter(mouse)
        self._filters.append(mouse)  # Qt keeps no hold of it
        return label

    def _on_draw(self) -> None:
        if not self.shown:
            return
        width = max(LEAST, self.widget.width - PLAN - 40)
        # Panorama above, sections below: both are to be seen without scrolling.
        room = (self.widget.height - 70) * UPPER * self.viewer.aspect
        images: dict[View, Any] = {
            "plan": self.viewer.plan(PLAN),
            "panorama": self.viewer.panorama(int(min(width, max(room, LEAST)))),
            "section": self.viewer.strip(min(width + PLAN, SECTIONS)),
        }
        for view, image in images.items():
            label = self.pictures[view]
            label.setVisible(image is not None)
            if image is not None:
                label.setPixmap(_pixmap(image))
                label.setFixedSize(qt.QSize(image.width, image.height))
        for key, button in self.buttons.items():
            button.checked = key == self._follower.pressed

    def _set(self, **options) -> None:
        self.viewer.set(**options)
        if self._context.parameters is not None:
            for name, value in options.items():
                self._context.keep(_kept_as(name), value)

    def _read_parameters(self) -> None:
        parameters = self._context.parameters
        if parameters is None:
            return
        options = {name: getattr(parameters, _kept_as(name)) for name in (*self._choices, *self.spins)}
        for name, choice in self._choices.items():
            choice.show(options[name])
        for name, spin in self.spins.items():
            spin.value = options[name]
        self.viewer.set(**options)

    def export(self, write: Callable[[Path], list[Path]], names: Sequence[str]) -> None:
        """Write files of these names into a folder that the user chooses; asks before it overwrites any."""
        chosen = self._context.choose_folder(_("Folder for the files"), "ExportFolder")
        if not chosen:
            return
        folder = Path(chosen)

        def answer(choice: int | None) -> None:
            files = None if choice is None else self._line.telling(write, folder)
            if files:
                self._line.say(_("{count} files written to {folder}.").format(count=len(files), folder=folder), "info")

        here = sorted(file.name for name in names for file in folder.glob(name))
        if here:
            names_text = ", ".join(here[:2] + ["…"] * (len(here) > 2))
            text = _("Files of that name are there already ({names}). Overwrite them?").format(names=names_text)
            self._context.ask(text, [_("Overwrite")], answer)
        else:
            answer(0)

    def export_sheet(self) -> None:
        """Write the page to print to a file that the user names."""
        start = str(Path(remembered("ExportFolder") or ".") / "panorama.pdf")
        file = self._context.dialogs.file_to_save(_("Save the page"), start, _("PDF (*.pdf)"))
        if file and self._line.telling(self.viewer.export_sheet, Path(file), self._case.volume_node.GetName()):
            self._line.say(_("{name} was written.").format(name=file), "info")


def _kept_as(option: str) -> str:
    """The parameter of the scene that keeps an option: 'slab_mm' is 'archSlab'."""
    return f"arch{option.removesuffix('_mm').capitalize()}"


def _spin(number: arch_options.LengthOption):
    spin = qt.QDoubleSpinBox()
    spin.minimum, spin.maximum, spin.singleStep = number.least, number.most, number.step
    spin.decimals = 2 if number.step < 0.5 else 1
    spin.suffix, spin.toolTip = _(" mm"), number.tip
    spin.keyboardTracking = False
    return spin


def _pixmap(image) -> qt.QPixmap:
    """A picture for Qt, through the simplest format that it reads."""
    head = f"P6 {image.width} {image.height} 255\n".encode("ascii")
    pixmap = qt.QPixmap()
    pixmap.loadFromData(qt.QByteArray(head + image.tobytes()))
    return pixmap
