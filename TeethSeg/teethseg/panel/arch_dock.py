"""The window "Panorama" beneath Slicer's views: panorama, cross-sections and the arches from above, linked with them."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer

from ..application import arch_options
from ..application.arch_follower import ArchFollower
from ..application.arch_studio import ArchStudio
from ..application.i18n import _
from ..errors import TeethSegError
from .click_tools import Clicks
from .context import Context
from .option_widgets import Choice, remember, remembered, say

PLAN = 260  # pixels of the arches from above
LEAST, SECTIONS = 320, 900  # pixels: of the panorama at least, of the sections at most
UPPER = 0.6  # of the height
_KINDS = ("distance", "angle")


class _Mouse(qt.QObject):
    """Tells what the mouse does on a picture."""

    def __init__(self, press, move, release):
        super().__init__()
        self._press, self._move, self._release = press, move, release

    def eventFilter(self, _watched, event) -> bool:
        kind = event.type()
        if kind == qt.QEvent.MouseButtonPress:
            self._press(event.pos().x(), event.pos().y())
        elif kind == qt.QEvent.MouseMove:
            self._move(event.pos().x(), event.pos().y())
        elif kind == qt.QEvent.MouseButtonRelease:
            self._release(event.pos().x(), event.pos().y())
        else:
            return False
        return True


class ArchDock:
    """See module. It is made when it is opened first.

    Parameters
    ----------
    context : Context
    parent : QMainWindow or None
        Slicer's window, which the dock is put into; without one it is a window of its own.
    """

    def __init__(self, context: Context, parent=None):
        self._context, self._case = context, context.case
        self._filters: list = []
        self._watched: list[tuple] = []
        case = context.case
        self.studio = ArchStudio(case.scene, case.number, context.look.through, case.select)
        self._follower = ArchFollower(case, self.studio)
        self.clicks = Clicks(case.scene, "arch", (1.0, 0.84, 0.25), context.later)
        self.widget = qt.QDockWidget(_("Panorama"), parent) if parent is not None else qt.QDockWidget(_("Panorama"))
        self.widget.name = "TeethSegPanorama"
        self._build()
        if parent is not None:
            parent.addDockWidget(qt.Qt.BottomDockWidgetArea, self.widget)
        self._draw = context.later(self._on_draw)
        self._follow_slices = context.later(self._on_slices)
        self._follow_curves = context.later(self.studio.curve_dragged)
        self._follow_teeth = context.later(self._on_teeth)
        self.studio.changed.connect(self._draw)
        self.studio.said.connect(self._say)
        case.changed.connect(self._follow_teeth)
        case.selected_changed.connect(self._on_selected)

    @property
    def shown(self) -> bool:
        return self.widget.visible

    def show(self) -> None:
        """Open it on the case as it is now."""
        self.widget.setVisible(True)
        self._read_parameters()
        self._open()

    def close(self) -> None:
        """Hide it and forget the scan."""
        self.widget.setVisible(False)
        self.clicks.clear()
        self._unwatch()
        self.studio.close()

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
        for one in arch_options.numbers():
            spin = self.spins[one.key] = _spin(one)
            self._context.connect(spin, "valueChanged(double)", lambda value, key=one.key: self._set(**{key: value}))
            bar.addWidget(qt.QLabel(one.label))
            bar.addWidget(spin)
        acts = {
            "distance": lambda: self._measure("distance"),
            "angle": lambda: self._measure("angle"),
            "clear": self.studio.clear_measures,
            "follow": self.studio.follow_teeth,
            "points": self._on_points,
        }
        self.buttons: dict[str, qt.QPushButton] = {}
        for one in arch_options.acts():
            button = self.buttons[one.key] = qt.QPushButton(one.label)
            button.toolTip, button.checkable = one.tip, one.toggles
            self._context.connect(button, "clicked(bool)", lambda _checked=False, act=acts[one.key]: act())
            bar.addWidget(button)
        export = qt.QPushButton(_("Save"))
        menu = qt.QMenu(export)
        for text, act in (
            (_("Pictures (PNG) …"), self._on_png),
            (_("DICOM …"), self._on_dicom),
            (_("Page to print (PDF) …"), self._on_sheet),
        ):
            action = qt.QAction(text, menu)
            self._context.connect(action, "triggered(bool)", lambda _checked=False, act=act: act())
            menu.addAction(action)
        export.setMenu(menu)
        bar.addWidget(export)
        bar.addStretch(1)
        self.message = qt.QLabel()
        self.message.wordWrap = True
        outer.addWidget(self.message)
        say(self.message, "")
        upper = qt.QHBoxLayout()
        outer.addLayout(upper)
        self.pictures = {view: self._picture(view) for view in ("plan", "panorama", "section")}
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

    def _picture(self, view: str):
        label = qt.QLabel()
        label.setAlignment(qt.Qt.AlignLeft | qt.Qt.AlignTop)
        label.setCursor(qt.QCursor(qt.Qt.CrossCursor))
        guarded = self._context.guarded
        mouse = _Mouse(
            guarded(lambda x, y: self.studio.press(view, x, y)), guarded(self.studio.move), guarded(self.studio.release)
        )
        label.installEventFilter(mouse)
        self._filters.append(mouse)  # Qt keeps no hold of it
        return label

    def _open(self) -> None:
        case = self._case
        say(self.message, "" if case.volume_node is not None else _("Load or choose a scan first."))
        self._unwatch()
        try:
            self._follower.open()
        except TeethSegError as error:
            self._say(str(error), "error")
        if case.volume_node is not None:
            self._watch()
            self._follower.chosen()

    def _watch(self) -> None:
        """Follow the slices, and the curves where they are dragged in Slicer's own views."""
        from ..mrml.arch_nodes import curves_of
        from ..mrml.views import nodes_of

        scene = self._case.scene
        for node in nodes_of(scene, "vtkMRMLSliceNode"):
            self._watched.append((node, node.AddObserver("ModifiedEvent", self._follow_slices)))
        for node in curves_of(scene, self._case.volume_node):
            event = slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent
            self._watched.append((node, node.AddObserver(event, self._follow_curves)))

    def _unwatch(self) -> None:
        for node, tag in self._watched:
            node.RemoveObserver(tag)
        self._watched = []

    def _on_teeth(self) -> None:
        if self.shown and self._follower.teeth():
            self._unwatch()
            self._watch()
            self._follower.chosen()

    def _on_selected(self) -> None:
        if self.shown:
            self._follower.chosen()

    def _on_slices(self) -> None:
        if self.shown:
            self._follower.slices()

    def _on_draw(self) -> None:
        if not self.shown:
            return
        width = max(LEAST, self.widget.width - PLAN - 40)
        # Panorama above, sections below: both are to be seen without scrolling.
        room = (self.widget.height - 70) * UPPER * self.studio.aspect
        images = {
            "plan": self.studio.plan(PLAN),
            "panorama": self.studio.panorama(int(min(width, max(room, LEAST)))),
            "section": self.studio.strip(min(width + PLAN, SECTIONS)),
        }
        for view, image in images.items():
            label = self.pictures[view]
            label.setVisible(image is not None)
            if image is not None:
                label.setPixmap(_pixmap(image))
                label.setFixedSize(qt.QSize(image.width, image.height))
        for kind in _KINDS:
            self.buttons[kind].checked = self.studio.measuring == kind
        self.buttons["points"].checked = self.clicks.placing

    def _set(self, **options) -> None:
        self.studio.set(**options)
        if self._context.parameters is not None:
            for name, value in options.items():
                self._context.keep(_PARAMETERS[name], value)

    def _read_parameters(self) -> None:
        parameters = self._context.parameters
        if parameters is None:
            return
        options = {name: getattr(parameters, kept) for name, kept in _PARAMETERS.items()}
        for name, choice in self._choices.items():
            choice.show(options[name])
        for name, spin in self.spins.items():
            spin.value = options[name]
        self.studio.set(**options)

    def _measure(self, kind: str) -> None:
        self.studio.measure("" if self.studio.measuring == kind else kind)

    def _on_points(self) -> None:
        if not self.clicks.placing:
            self.clicks.clear()
            self.clicks.start()
            say(self.message, arch_options.points_hint())
            self.buttons["points"].checked = True
            return
        points = self.clicks.points()
        self.clicks.clear()
        say(self.message, "")
        self.studio.draw_arch(points)
        self._unwatch()
        self._watch()

    def _on_png(self) -> None:
        self._export(self.studio.export_png)

    def _on_dicom(self) -> None:
        self._export(self.studio.export_dicom)

    def _export(self, write) -> None:
        folder = self._context.dialogs.folder(_("Folder for the files"), remembered("ExportFolder"))
        if not folder:
            return
        remember("ExportFolder", folder)
        try:
            files = write(Path(folder))
        except TeethSegError as error:
            self._say(str(error), "error")
            return
        self._say(_("{count} files written to {folder}.").format(count=len(files), folder=folder), "info")

    def _on_sheet(self) -> None:
        start = str(Path(remembered("ExportFolder") or ".") / "panorama.pdf")
        file = self._context.dialogs.file_to_save(_("Save the page"), start, _("PDF (*.pdf)"))
        if not file:
            return
        try:
            self.studio.export_sheet(Path(file), self._case.volume_node.GetName())
        except TeethSegError as error:
            self._say(str(error), "error")
            return
        self._say(_("{name} was written.").format(name=file), "info")

    def _say(self, text: str, kind: str) -> None:
        say(self.message, text, kind)


_PARAMETERS = {
    "jaws": "archJaws",
    "slab_mm": "archSlab",
    "projection": "archProjection",
    "distance_mm": "archDistance",
    "thickness_mm": "archThickness",
}


def _spin(number: arch_options.Number):
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
