"""The section "Annotate by hand": tooth after tooth, each grown from a few clicks."""

from __future__ import annotations

import time
from pathlib import Path

import ctk
import qt
import slicer

from ..application.failures import missing_text
from ..application.i18n import _
from ..application.texts import points_text, tooth_name, tooth_text
from ..errors import TeethSegError, UsageError
from .annotation_state import WORKLIST, clock_text, next_case_name, summary, worklist_of
from .click_tools import Clicks
from .context import Context
from .option_widgets import remember, remembered, say

AUTOSAVE_EVERY = 120  # seconds
_CURVE = "vtkMRMLMarkupsCurveNode"


class AnnotateSection:
    """See module.

    Parameters
    ----------
    context : Context
    correct : CorrectSection
        Whose Segment Editor paints.
    widget : QWidget
        The panel, above which shortcuts are heard.
    """

    def __init__(self, context: Context, correct, widget):
        self._ui, self._case, self._dialogs, self._correct = context.ui, context.case, context.dialogs, correct
        self._parameters, self._look = lambda: context.parameters, context.look
        ui, case = context.ui, context.case
        self.worklist = None
        self._teeth = None  # the segmentation that the worklist belongs to
        self._saved_at = 0.0
        self.inside = Clicks(case.scene, "inside", (0.1, 0.9, 0.2), context.later)
        self.outside = Clicks(case.scene, "outside", (0.95, 0.15, 0.1), context.later)
        self.stroke = Clicks(case.scene, "stroke", (0.1, 0.9, 0.2), context.later, _CURVE)
        self._placers = (
            (self.inside, ui.insideButton),
            (self.outside, ui.outsideButton),
            (self.stroke, ui.strokeButton),
        )
        self._timer = qt.QTimer()
        self._timer.setInterval(1000)
        self._timer.connect("timeout()", self._on_second)
        self._connect()
        self._shortcuts = self._make_shortcuts(widget)
        self._set_up_autosave()
        say(ui.annotateMessage, "")
        case.changed.connect(self._on_case)
        case.selected_changed.connect(self._on_selected)

    @property
    def active(self) -> bool:
        """Whether annotating is going on."""
        return self.worklist is not None

    def refresh(self) -> None:
        """The scene or the parameters are others now."""
        self._stop()
        if self._parameters() is not None:
            self._ui.patientEdit.text = self._parameters().patient
        self.update()

    def update(self) -> None:
        """Show how far the work is."""
        ui, case = self._ui, self._case
        ui.annotateStartButton.enabled = case.volume_node is not None
        ui.annotateStartButton.checked = self.active
        ui.annotateStartButton.text = _("Stop") if self.active else _("Start")
        ui.annotatePanel.setVisible(self.active)
        ui.annotateProgress.setVisible(self.active)
        ui.annotateTime.setVisible(self.active)
        ui.saveCaseButton.enabled = case.editable
        for _clicks, button in self._placers:
            button.checked = _clicks.placing
        if not self.active:
            ui.annotateHint.text = (
                _("Label the teeth yourself, without any model: one to three clicks a tooth, the first into its crown.")
                if case.volume_node is not None
                else _("Load or choose a scan first.")
            )
            return
        counts = self.worklist.counts()
        ui.annotateProgress.maximum = max(len(self.worklist.teeth), 1)
        ui.annotateProgress.value = counts["completed"] + counts["flagged"]
        ui.annotateHint.text = summary(self.worklist)
        self._show_tooth()

    def say(self, text: str, kind: str) -> None:
        """Show why a change was not made."""
        if self.active or not text:
            say(self._ui.annotateMessage, text, kind)

    def enter(self) -> None:
        """The module is shown."""
        self._listen(self.active)
        if self.active and self._case.selected is not None:
            self.worklist.start(self._case.selected)

    def exit(self) -> None:
        """The module is left: mouse and keys belong to others, and the time stops."""
        self._stop_placing()
        self._listen(False)
        if self.active:
            self._keep_worklist()
            self.worklist.pause()

    def grow(self) -> None:
        """Grow the tooth from the points that are placed."""
        from ..annotation import grow_tooth

        fdi = self._case.selected
        inside = [self._case.index_of(ras) for ras in [*self.inside.points(), *self.stroke.points()]]
        outside = [self._case.index_of(ras) for ras in self.outside.points()]
        if not inside:
            self.say(_("Click into the tooth first: one point in the crown, one in each root."), "warning")
            return
        self._case.edit(
            lambda labels, scan: grow_tooth(
                labels, scan.array, scan.spacing[::-1], fdi, inside, outside, scan.direction
            ),
            _("grow {tooth}").format(tooth=self._name(fdi)),
        )

    def finish(self, state: str) -> None:
        """The chosen tooth is 'completed' or 'flagged'; go on with the next one."""
        fdi = self._case.selected
        if fdi not in self._case.present():
            self.say(_("Nothing is labelled as {name} yet.").format(name=self._name(fdi)), "warning")
            return
        self.worklist.set_state(fdi, state)
        self._case.set_state(fdi, state)
        self._go_on(fdi)
        self._autosave()

    def missing(self) -> None:
        """The patient does not have the chosen tooth; go on with the next one."""
        fdi = self._case.selected
        if fdi in self._case.present():
            self.say(_("{name} is labelled: remove it first.").format(name=self._name(fdi)), "warning")
            return
        following = self.worklist.next(after=fdi)
        following = None if following == fdi else following  # it was the last one
        self.worklist.drop(fdi)
        self._case.set_missing(fdi, True)
        self._go_on(following, at=True)

    def _connect(self) -> None:
        ui = self._ui
        ui.annotateStartButton.connect("clicked(bool)", self._on_start)
        for clicks, button in self._placers:
            button.connect("clicked(bool)", lambda _checked=False, chosen=clicks: self._on_place(chosen))
            clicks.changed.connect(self._on_points)
        ui.growButton.connect("clicked(bool)", lambda _checked=False: self.grow())
        ui.betweenButton.connect("clicked(bool)", lambda _checked=False: self._between())
        ui.clearPointsButton.connect("clicked(bool)", lambda _checked=False: self._clear())
        ui.doneToothButton.connect("clicked(bool)", lambda _checked=False: self.finish("completed"))
        ui.flagToothButton.connect("clicked(bool)", lambda _checked=False: self.finish("flagged"))
        ui.missingToothButton.connect("clicked(bool)", lambda _checked=False: self.missing())
        ui.thresholdButton.connect("clicked(bool)", lambda _checked=False: self._paint())
        ui.saveCaseButton.connect("clicked(bool)", lambda _checked=False: self._save_case())
        ui.patientEdit.connect("textChanged(QString)", self._on_patient)

    def _make_shortcuts(self, widget) -> list:
        """Keys, and the list of them that the user sees; none that the Segment Editor or the slice views use."""
        keys = (
            ("C", _("click inside the tooth"), lambda: self._on_place(self.inside)),
            ("X", _("click outside it"), lambda: self._on_place(self.outside)),
            ("K", _("draw a stroke in it"), lambda: self._on_place(self.stroke)),
            ("G", _("grow the tooth from the points"), self.grow),
            ("J", _("fill between painted slices"), self._between),
            ("N", _("done, next tooth"), lambda: self.finish("completed")),
            ("L", _("flag, next tooth"), lambda: self.finish("flagged")),
            ("M", _("missing, next tooth"), self.missing),
            ("U", _("undo"), self._case.undo),
        )
        rows = "".join(f"<tr><td><b>{key}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>" for key, text, _act in keys)
        self._ui.shortcutsLabel.text = f"<table>{rows}</table>"
        shortcuts = []
        for key, _text, act in keys:
            shortcut = qt.QShortcut(widget)
            shortcut.setKey(qt.QKeySequence(key))
            shortcut.setContext(qt.Qt.ApplicationShortcut)
            shortcut.connect("activated()", act)
            shortcut.enabled = False
            shortcuts.append(shortcut)
        return shortcuts

    def _listen(self, wanted: bool) -> None:
        for shortcut in self._shortcuts:
            shortcut.enabled = wanted

    def _set_up_autosave(self) -> None:
        path = self._ui.autosavePath
        path.filters = ctk.ctkPathLineEdit.Dirs
        folder = remembered("AutosaveFolder")
        if not folder:
            folder = str(Path(slicer.app.slicerUserSettingsFilePath).parent / "TeethSeg autosave")
        path.currentPath = folder
        path.connect("currentPathChanged(QString)", lambda chosen: remember("AutosaveFolder", chosen))

    def _on_start(self, _clicked: bool = False) -> None:
        if self.active:
            self._autosave()
            self._stop()
            self.update()
            return
        try:
            self._start()
        except TeethSegError as error:
            say(self._ui.annotateMessage, str(error), "error")
        except ImportError as error:
            say(self._ui.annotateMessage, missing_text(error), "error")
        self.update()

    def _start(self) -> None:
        from ..mrml import teeth as scene_teeth

        case = self._case
        say(self._ui.annotateMessage, "")
        if case.teeth_node is None:
            case.start_teeth()
            self._parameters().segmentation = case.teeth_node
        self._teeth = case.teeth_node
        if not case.present():
            self._offer_saved()
        self.worklist = worklist_of(case.teeth_node, scene_teeth.states(case.teeth_node), case.missing())
        self._offer_brightness()
        self._saved_at = time.monotonic()
        self._timer.start()
        self._listen(True)
        self._go_on(None)

    def _offer_saved(self) -> None:
        """Work on this scan that was never saved otherwise."""
        from ..annotation import Autosave
        from ..correction.edit import Edit

        scan = self._case.scan()
        saved = Autosave(self._ui.autosavePath.currentPath).latest(scan)
        if saved is None or not saved.labels.any():
            return
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(saved.saved))
        question = _("Work on this scan was kept on {when}. Go on with it?").format(when=when)
        if self._dialogs.choose(question, [_("Go on with it")]) == 0:
            whole = tuple(slice(0, size) for size in saved.labels.shape)
            self._case.edit(lambda labels, scan: Edit(whole, saved.labels), _("kept work"))
            self._teeth.SetAttribute(WORKLIST, saved.worklist.to_json())

    def _stop(self) -> None:
        self._timer.stop()
        self._stop_placing()
        self._clear()
        self._listen(False)
        if self.worklist is not None and self._teeth is not None and self._teeth.GetScene() is not None:
            self._keep_worklist()
        self.worklist = self._teeth = None

    def _go_on(self, fdi: int | None, at: bool = False) -> None:
        """Go to the next open tooth behind `fdi`, or to `fdi` itself."""
        following = fdi if at else self.worklist.next(after=fdi)
        self._clear()
        if following is None:
            self._case.select(None)
            self._keep_worklist()
            self.update()
            self.say(_("All teeth of the list are done."), "info")
            return
        self.worklist.start(following)
        self._keep_worklist()
        self._case.select(following)
        self._look.at_tooth(following)
        self.update()

    def _keep_worklist(self) -> None:
        self._teeth.SetAttribute(WORKLIST, self.worklist.to_json())

    def _autosave(self) -> None:
        """Keep labels and worklist in the autosave folder, if there is one and something to keep."""
        from ..annotation import Autosave

        folder = self._ui.autosavePath.currentPath
        self._saved_at = time.monotonic()
        if not folder or not self._case.editable or self.worklist is None:
            return
        labels = self._case.labels()
        if not labels.any():
            return
        try:
            Autosave(folder).save(self._case.scan(), labels, self.worklist)
        except (TeethSegError, OSError) as error:
            self.say(_("Autosave failed: {reason}").format(reason=error), "error")

    def _on_second(self) -> None:
        if not self.active:
            return
        current = self.worklist.current
        self._ui.annotateTime.text = clock_text(self.worklist.seconds(current)) if current is not None else ""
        if time.monotonic() - self._saved_at > AUTOSAVE_EVERY:
            self._autosave()

    def _on_case(self) -> None:
        if self.active and self._case.teeth_node is not self._teeth:
            self._stop()
        self.update()

    def _on_selected(self) -> None:
        """Another tooth was clicked in the chart: it is the one to work on now."""
        fdi = self._case.selected
        if self.active and fdi is not None and fdi != self.worklist.current:
            self._clear()
            self.worklist.add(fdi)
            self.worklist.start(fdi)
        self.update()

    def _on_place(self, chosen: Clicks) -> None:
        placing = not chosen.placing
        self._stop_placing()
        if placing:
            chosen.start()
        self.update()

    def _stop_placing(self) -> None:
        for clicks, _button in self._placers:
            clicks.stop()

    def _clear(self) -> None:
        for clicks, _button in self._placers:
            clicks.clear()

    def _on_points(self) -> None:
        if self.active:
            say(self._ui.annotateMessage, "")
            self._show_tooth()
        for clicks, button in self._placers:
            button.checked = clicks.placing

    def _show_tooth(self) -> None:
        fdi = self._case.selected
        ui = self._ui
        for name in ("inside", "outside", "stroke", "grow", "between", "clearPoints", "doneTooth", "flagTooth"):
            getattr(ui, f"{name}Button").enabled = fdi is not None
        ui.missingToothButton.enabled = fdi is not None
        if fdi is None:
            ui.annotateToothLabel.text = _("Choose a tooth in the chart above.")
            return
        points = len(self.inside.points()) + len(self.stroke.points())
        text = _("<b>{name}</b> {words}").format(name=self._name(fdi), words=tooth_name(fdi))
        if points:
            text += " · " + _("{points}, press Grow").format(points=points_text(points))
        elif fdi in self._case.present():
            text += " · " + _("labelled")
        else:
            text += " · " + _("click into its crown, then into each root; into a single root also near its tip")
        ui.annotateToothLabel.text = text

    def _name(self, fdi: int) -> str:
        return tooth_text(fdi, self._parameters().notation)

    def _between(self) -> None:
        from ..annotation import between_slices

        fdi = self._case.selected

        def tool(labels, scan):
            for axis in (0, 1):
                try:
                    return between_slices(labels, fdi, axis)
                except UsageError:
                    continue
            return between_slices(labels, fdi, 2)

        self._case.edit(tool, _("fill {tooth} between slices").format(tooth=self._name(fdi)))

    def _paint(self) -> None:
        """Open the Segment Editor with Paint between the two grey values."""
        self._correct.paint_between(self._ui.lowSpin.value, self._ui.highSpin.value)

    def _offer_brightness(self) -> None:
        """Show between which grey values the teeth of this scan lie."""
        from ..annotation import start_threshold

        scan = self._case.scan()
        low, high = start_threshold(scan.array, scan.spacing[::-1], self._case.labels())
        self._ui.lowSpin.value, self._ui.highSpin.value = low, high

    def _on_patient(self, text: str) -> None:
        if self._parameters() is not None:
            self._parameters().patient = text

    def _save_case(self) -> None:
        from ..annotation import save_case

        label = self._ui.annotateMessage
        patient = self._ui.patientEdit.text.strip()
        if not patient:
            say(
                label, _("Give a patient key first: any word that is the same for all scans of the patient."), "warning"
            )
            return
        parent = self._dialogs.folder(_("Folder for training cases"), remembered("CasesFolder"))
        if not parent:
            return
        remember("CasesFolder", parent)
        try:
            folder = Path(parent) / next_case_name(path.name for path in Path(parent).iterdir())
            save_case(folder, self._case.scan(), self._case.labels(), patient)
        except (TeethSegError, OSError) as error:
            say(label, str(error), "error")
            return
        say(label, _("The case was written to {folder}.").format(folder=folder))
