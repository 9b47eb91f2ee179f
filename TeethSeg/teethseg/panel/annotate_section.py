"""The section "Annotate by hand": points in the views, keys, and the worklist."""

from __future__ import annotations

from pathlib import Path

import qt

from ..application.annotation_actions import annotation_actions
from ..application.annotation_session import AnnotationSession, CaseWriter, free_folder
from ..application.background_tasks import training_case_task
from ..application.failures import Kind
from ..application.i18n import _
from ..application.placed_points import CURVE, GREEN, RED, PlacedPoints
from .context import Context
from .message_line import MessageLine


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
        self._context, self._ui, self._case, self._correct = context, context.ui, context.case, correct
        scene = context.case.scene
        placers = {
            "inside": PlacedPoints(scene, "inside", GREEN, context.later),
            "outside": PlacedPoints(scene, "outside", RED, context.later),
            "stroke": PlacedPoints(scene, "stroke", GREEN, context.later, CURVE),
        }
        self.session = AnnotationSession(context.case, placers, context.ask)
        self._line = MessageLine(context, context.ui.annotateMessage)
        self._actions = annotation_actions(self.session)
        self._connect()
        self.shortcuts = self._make_shortcuts(widget)
        self.session.changed.connect(self.update)
        self.session.went.connect(context.guarded(context.navigation.at_tooth))

    def refresh(self) -> None:
        """The scene or the parameter node has changed."""
        self.session.stop()
        if self._context.parameters is not None:
            self._ui.patientEdit.text = self._context.parameters.patient
        self.update()

    def update(self) -> None:
        """Show the progress of the annotation."""
        ui, case, session = self._ui, self._case, self.session
        active, chosen = session.active, case.selected is not None
        if not active:
            self._listen(False)
        ui.annotateStartButton.enabled = case.volume_node is not None
        ui.annotateStartButton.checked = active
        ui.annotateStartButton.text = _("Stop") if active else _("Start")
        for name in ("annotatePanel", "annotateProgress", "annotateTime"):
            getattr(ui, name).setVisible(active)
        ui.saveCaseButton.enabled = case.editable
        ui.saveCaseButton.text = _("Cancel") if self._line.working else _("Save as training case…")
        ui.annotateHint.text = session.summary()
        for action in self._actions:
            button = getattr(ui, f"{action.key}Button")
            button.enabled, button.checked = chosen, session.placing == action.key
        if not active:
            return
        ui.annotateProgress.value, ui.annotateProgress.maximum = 0, max(session.progress()[1], 1)
        ui.annotateProgress.value = session.progress()[0]
        ui.annotateToothLabel.text = session.tooth_text()
        self.show_time()

    def say(self, text: str, kind: Kind) -> None:
        """Show the message about a change; an empty text hides it."""
        if self.session.active or not text:
            self._line.say(text, kind)

    def enter(self) -> None:
        """The module is shown."""
        self._listen(self.session.active)
        self.session.go_on()

    def exit(self) -> None:
        """The module is left: mouse and keys belong to others, and the time stops."""
        self._listen(False)
        self.session.pause()

    def _connect(self) -> None:
        context = self._context
        context.clicked("annotateStartButton", self._on_start)
        for action in self._actions:
            button = getattr(self._ui, f"{action.key}Button")
            button.text, button.toolTip = action.text, action.tip
            context.clicked(f"{action.key}Button", action.act)
        context.clicked("thresholdButton", self._paint)
        context.clicked("saveCaseButton", self._on_save)
        context.connect(self._ui.patientEdit, "textChanged(QString)", self._on_patient)

    def _make_shortcuts(self, widget) -> list:
        """Keys, and the list of them that the user sees."""
        keys = [(action.shortcut, action.text, action.act) for action in self._actions if action.shortcut]
        keys.append(("U", _("Undo"), self._case.undo))
        rows = "".join(f"<tr><td><b>{key}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>" for key, text, _act in keys)
        self._ui.shortcutsLabel.text = f"<table>{rows}</table>"
        shortcuts = []
        for key, _text, act in keys:
            shortcut = qt.QShortcut(widget)
            shortcut.setKey(qt.QKeySequence(key))
            shortcut.setContext(qt.Qt.ApplicationShortcut)
            self._context.connect(shortcut, "activated()", act)
            shortcut.enabled = False
            shortcuts.append(shortcut)
        return shortcuts

    def _listen(self, wanted: bool) -> None:
        for shortcut in self.shortcuts:
            shortcut.enabled = wanted

    def _on_start(self) -> None:
        self._line.say("")
        if self.session.active:
            self.session.stop()
        else:
            self._line.telling(self._start)
        self._listen(self.session.active)
        self.update()

    def _start(self) -> None:
        self.session.start()
        self._context.parameters.segmentation = self._case.teeth_node
        self._ui.lowSpin.value, self._ui.highSpin.value = self._case.tooth_grey_range()

    def show_time(self) -> None:
        """Show the time of the tooth in work; called every second."""
        self._ui.annotateTime.text = self.session.time_text()

    def _paint(self) -> None:
        """Open the Segment Editor with Paint between the two grey values."""
        self._correct.paint_between(self._ui.lowSpin.value, self._ui.highSpin.value)

    def _on_patient(self, text: str) -> None:
        if self._context.parameters is not None:
            self._context.parameters.patient = text

    def _on_save(self) -> None:
        if self._line.working:
            self._context.tasks.cancel()
        else:
            self._line.telling(self.session.save_case, self._ui.patientEdit.text, self._write_case)

    def _write_case(self, case: CaseWriter) -> None:
        parent = self._context.choose_folder(_("Folder for training cases"), "CasesFolder")
        if parent:
            task = training_case_task(case, free_folder(Path(parent)))
            self._line.order(task, _("The training case"), self._on_saved, self.update)
            self.update()

    def _on_saved(self, result: dict) -> None:
        self._line.say(_("The case was written to {folder}.").format(folder=result["folder"]))
