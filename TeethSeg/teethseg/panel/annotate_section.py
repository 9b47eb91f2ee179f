"""The section "Annotate by hand": points in the views, keys, and the worklist."""

from __future__ import annotations

from pathlib import Path

import qt

from ..application.annotation_session import AnnotationSession, CaseWriter, free_folder
from ..application.errands import case_errand
from ..application.failures import failure_text
from ..application.i18n import _
from ..errors import TeethSegError
from .click_tools import Clicks
from .context import Context
from .option_widgets import remember, remembered, say

_CURVE = "vtkMRMLMarkupsCurveNode"
_GREEN, _RED = (0.1, 0.9, 0.2), (0.95, 0.15, 0.1)


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
        self.placers = {
            "inside": Clicks(scene, "inside", _GREEN, context.later),
            "outside": Clicks(scene, "outside", _RED, context.later),
            "stroke": Clicks(scene, "stroke", _GREEN, context.later, _CURVE),
        }
        self.session = AnnotationSession(context.case, self.placers, context.ask)
        self._saving = False
        self._connect()
        self._shortcuts = self._make_shortcuts(widget)
        say(context.ui.annotateMessage, "")
        self.session.changed.connect(self.update)
        self.session.went.connect(context.guarded(context.look.at_tooth))

    def refresh(self) -> None:
        """The scene or the parameters are others now."""
        self.session.stop()
        if self._context.parameters is not None:
            self._ui.patientEdit.text = self._context.parameters.patient
        self.update()

    def update(self) -> None:
        """Show how far the work is."""
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
        ui.saveCaseButton.text = _("Cancel") if self._saving else _("Save as training case…")
        ui.annotateHint.text = session.summary()
        for key in self.placers:
            getattr(ui, f"{key}Button").checked = session.placing == key
        if not active:
            return
        ui.annotateProgress.value, ui.annotateProgress.maximum = 0, max(session.progress()[1], 1)
        ui.annotateProgress.value = session.progress()[0]
        ui.annotateToothLabel.text = session.tooth_text()
        names = (*self.placers, "grow", "between", "clearPoints", "doneTooth", "flagTooth", "missingTooth")
        for name in names:
            getattr(ui, f"{name}Button").enabled = chosen
        self.show_time()

    def say(self, text: str, kind: str) -> None:
        """Show what there is to say of a change; nothing, if the text is empty."""
        if self.session.active or not text:
            say(self._ui.annotateMessage, text, kind)

    def enter(self) -> None:
        """The module is shown."""
        self._listen(self.session.active)
        self.session.go_on()

    def exit(self) -> None:
        """The module is left: mouse and keys belong to others, and the time stops."""
        self._listen(False)
        self.session.pause()

    def _connect(self) -> None:
        context, session = self._context, self.session
        context.clicked("annotateStartButton", self._on_start)
        for key in self.placers:
            context.clicked(f"{key}Button", lambda key=key: session.place(key))
        context.clicked("growButton", session.grow)
        context.clicked("betweenButton", session.between)
        context.clicked("clearPointsButton", session.clear)
        context.clicked("doneToothButton", lambda: session.finish("completed"))
        context.clicked("flagToothButton", lambda: session.finish("flagged"))
        context.clicked("missingToothButton", session.missing)
        context.clicked("thresholdButton", self._paint)
        context.clicked("saveCaseButton", self._save_case)
        context.connect(self._ui.patientEdit, "textChanged(QString)", self._on_patient)

    def _make_shortcuts(self, widget) -> list:
        """Keys, and the list of them that the user sees; none that the Segment Editor or the slice views use."""
        session = self.session
        keys = (
            ("C", _("click inside the tooth"), lambda: session.place("inside")),
            ("X", _("click outside it"), lambda: session.place("outside")),
            ("K", _("draw a stroke in it"), lambda: session.place("stroke")),
            ("G", _("grow the tooth from the points"), session.grow),
            ("J", _("fill between painted slices"), session.between),
            ("N", _("done, next tooth"), lambda: session.finish("completed")),
            ("L", _("flag, next tooth"), lambda: session.finish("flagged")),
            ("M", _("missing, next tooth"), session.missing),
            ("U", _("undo"), self._case.undo),
        )
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
        for shortcut in self._shortcuts:
            shortcut.enabled = wanted

    def _on_start(self) -> None:
        session = self.session
        say(self._ui.annotateMessage, "")
        if session.active:
            session.stop()
        else:
            try:
                session.start()
                self._context.parameters.segmentation = self._case.teeth_node
                self._ui.lowSpin.value, self._ui.highSpin.value = session.brightness()
            except Exception as error:
                text, kind, details = failure_text(error)
                say(self._ui.annotateMessage, text, kind)
                if details:
                    self._context.tell(text, kind, details)
        self._listen(session.active)
        self.update()

    def show_time(self) -> None:
        """Show the time of the tooth in work; called every second."""
        self._ui.annotateTime.text = self.session.time_text()

    def _paint(self) -> None:
        """Open the Segment Editor with Paint between the two grey values."""
        self._correct.paint_between(self._ui.lowSpin.value, self._ui.highSpin.value)

    def _on_patient(self, text: str) -> None:
        if self._context.parameters is not None:
            self._context.parameters.patient = text

    def _save_case(self) -> None:
        label, errands = self._ui.annotateMessage, self._context.errands
        if self._saving:
            errands.cancel()
            return
        if not self._ui.patientEdit.text.strip():
            say(
                label, _("Give a patient key first: any word that is the same for all scans of the patient."), "warning"
            )
            return

        def write(case: CaseWriter) -> None:
            parent = self._context.dialogs.folder(_("Folder for training cases"), remembered("CasesFolder"))
            if parent:
                remember("CasesFolder", parent)
                errand = case_errand(case, free_folder(Path(parent)))
                errands.start(errand, _("The training case"), self._on_saved, self._end_saving)
                self._saving = errands.working
                if self._saving:
                    say(label, _("{name} is being made …").format(name=errands.name))
                self.update()

        try:
            self.session.save_case(self._ui.patientEdit.text, write)
        except (TeethSegError, OSError) as error:
            say(label, str(error), "error")

    def _on_saved(self, result: dict) -> None:
        self._end_saving(_("The case was written to {folder}.").format(folder=result["folder"]), "info", "")

    def _end_saving(self, text: str, kind: str, details: str) -> None:
        self._saving = False
        say(self._ui.annotateMessage, text, kind)
        if details:
            self._context.tell(text, kind, details)
        self.update()
