"""The section "Segment": from the click to the teeth in the scene, with progress, cancel and plain words."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import qt

from ..application import rerun_policy
from ..application.i18n import _
from ..application.run_control import Run, RunControl
from ..application.texts import teeth_text
from ..errors import TeethSegError
from .context import Context
from .option_widgets import Choice, mark, remember, remembered

POLL = 100  # milliseconds between two looks at the worker


def start_worker(job) -> Run:
    """Begin a run in a process of its own: Slicer's Python inside Slicer, this one outside."""
    from ..worker.client import Run

    return Run(job, python=worker_python())


def worker_python() -> str:
    """The interpreter that the worker runs in."""
    return shutil.which("PythonSlicer") or sys.executable


class SegmentSection:
    """Owns the run.

    Parameters
    ----------
    context : Context
    prepare : callable
        Makes sure that all packages are there; returns whether to go on, may raise TeethSegError.
    start : callable
        Begins a run of a job; see `RunControl`.
    """

    def __init__(self, context: Context, prepare: Callable[[], bool], start=start_worker):
        self._ui, self._case, self._dialogs, self._prepare = context.ui, context.case, context.dialogs, prepare
        self._parameters = lambda: context.parameters
        ui, case = context.ui, context.case
        self._approved: frozenset[int] = frozenset()  # corrected teeth that the user gave up
        self._found: int | None = None  # teeth in the scene after the run
        self._volume = None  # of the run
        self._teeth = None
        self._asked: frozenset[int] = frozenset()
        self._settled_part = "all"
        self.control = RunControl(start)
        self.control.changed.connect(self.update)
        self.control.ended.connect(self._on_ended)
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL)
        self._timer.connect("timeout()", self.control.poll)
        self._labels = Choice(
            ui.labelsCombo,
            [("fdi", _("Single teeth, numbered")), ("position", _("Eight classes, counted from the midline"))],
            lambda value: self._keep("labels", value),
        )
        self._part = Choice(ui.partCombo, self._parts(), lambda value: self._keep("part", value))
        self._device = Choice(
            ui.deviceCombo,
            [
                ("auto", _("Automatic")),
                ("cpu", _("Processor (CPU)")),
                ("cuda", _("NVIDIA graphics card")),
                ("mps", _("Apple graphics")),
            ],
            lambda value: remember("Device", value),
        )
        self._device.show(remembered("Device"))
        ui.segmentButton.connect("clicked(bool)", self.start)
        ui.cancelButton.connect("clicked(bool)", self.cancel)
        ui.detailsButton.connect("toggled(bool)", ui.detailsText.setVisible)
        ui.hideMessageButton.connect("clicked(bool)", self._hide_message)
        ui.detailsText.setVisible(False)
        ui.messageFrame.setVisible(False)
        ui.recoverFrame.setVisible(False)
        case.changed.connect(self.update)
        case.selected_changed.connect(self.update)

    def refresh(self) -> None:
        """Show the parameters of the scene as it is now."""
        parameters = self._parameters()
        if parameters is not None:
            self._labels.show(parameters.labels)
            self._part.show(parameters.part)
        self.update()

    def update(self, *_changed) -> None:
        """Show how things stand."""
        ui, running = self._ui, self.control.running
        self._offer_parts()
        has_scan = self._case.volume_node is not None
        ui.segmentButton.enabled = has_scan and not running
        ui.segmentButton.text = _("Segmenting …") if running else _("Segment teeth")
        ui.segmentButton.toolTip = (
            _("Find, outline and number the teeth of the scan.") if has_scan else _("Load or choose a scan first.")
        )
        ui.cancelButton.setVisible(running)
        ui.progressBar.setVisible(running)
        ui.progressBar.value = int(1000 * self.control.fraction)
        ui.optionsSection.enabled = not running
        ui.volumeSelector.enabled = not running
        ui.statusLabel.text = self.control.status or self._idle_text()
        ui.statusLabel.setVisible(bool(ui.statusLabel.text))

    def start(self, _clicked: bool = False) -> None:
        """What the button does."""
        from ..mrml.volumes import volume_of
        from ..worker.client import Job

        parameters = self._parameters()
        self._hide_message()
        try:
            self._asked = rerun_policy.asked_for(parameters.part, self._case.selected)
            if not self._may_replace() or not self._prepare():
                return
            weights = remembered("Weights")
            job = Job(volume_of(self._case.volume_node), self._device.value, Path(weights) if weights else None)
        except TeethSegError as error:
            self._show_message(str(error), "error")
            return
        self._volume, self._teeth = self._case.volume_node, self._case.teeth_node
        self._settled_part, self._found = parameters.part, None
        self._timer.start()
        self.control.start(job)

    def cancel(self, _clicked: bool = False) -> None:
        """End the run, if there is one."""
        self.control.cancel()

    def node_removed(self, node) -> None:
        """A scan that leaves the scene takes its run with it."""
        if self.control.running and node is self._volume:
            self.cancel()
            self._show_message(_("The scan was removed, so its run was cancelled."), "warning")

    def close(self) -> None:
        """End the run and listen no longer."""
        self.cancel()
        self._timer.stop()

    def _keep(self, name: str, value: str) -> None:
        setattr(self._parameters(), name, value)

    def _parts(self) -> list[tuple[str, str]]:
        tooth = self._case.selected
        parameters = self._parameters()
        notation = parameters.notation if parameters else "fdi"
        chosen = (
            _("Tooth {name} again").format(name=teeth_text([tooth], notation)) if tooth else _("The chosen tooth again")
        )
        return [
            ("all", _("All teeth")),
            ("upper", _("Upper jaw again")),
            ("lower", _("Lower jaw again")),
            ("tooth", chosen),
        ]

    def _offer_parts(self) -> None:
        self._part.offer(self._parts())
        self._ui.partCombo.enabled = self._case.teeth_node is not None

    def _idle_text(self) -> str:
        if self._case.volume_node is None:
            return _("Choose a scan.")
        if self.control.state == "done" and self._found is not None:
            seconds = sum(self.control.outcome.seconds.values())
            return _("{count} teeth found in {seconds:.0f} s.").format(count=self._found, seconds=seconds)
        return ""

    def _may_replace(self) -> bool:
        """Ask before corrected teeth are lost; remembers the answer."""
        self._approved = frozenset()
        lost = rerun_policy.endangered(self._asked, self._case.corrected())
        if not lost or self._parameters().labels != "fdi":
            return True
        answer = self._dialogs.choose(rerun_policy.question(lost), [_("Keep my corrections"), _("Replace them")])
        if answer == 1:
            self._approved = frozenset(lost)
        return answer is not None

    def _on_ended(self, state: str) -> None:
        self._timer.stop()
        if state == "failed":
            self._show_message(self.control.failure.text, "error")
        elif state == "done":
            self._write(self.control.outcome)
        self.update()

    def _write(self, outcome) -> None:
        if self._case.scene.GetNodeByID(self._volume.GetID() or "") is not self._volume:
            self._show_message(_("The scan is no longer in the scene, so its teeth were not kept."), "warning")
            return
        parameters = self._parameters()
        again = {found.fdi for found in outcome.dentition.teeth}
        one = self._settled_part == "tooth"
        try:
            dentition = self._case.take(
                outcome.dentition,
                self._volume,
                self._teeth,
                asked=self._asked & again if one else self._asked,
                approved=self._approved,
                labels=parameters.labels,
                show_3d=parameters.show3D,
            )
        except TeethSegError as error:
            self._show_message(str(error), "error")
            return
        self._case.maps = self.control.maps
        self._found = len(dentition.teeth)
        parameters.segmentation = self._case.teeth_node
        warnings = list(dict.fromkeys([*self.control.notices, *dentition.warnings]))
        if one and not self._asked & again:
            warnings.append(_("{tooth} was not found again; it stays as it was.").format(tooth=teeth_text(self._asked)))
        if warnings:
            self._show_message("\n".join(warnings), "warning")

    def _show_message(self, text: str, kind: str) -> None:
        ui = self._ui
        ui.messageLabel.text = text
        ui.detailsText.plainText = self.control.details
        ui.detailsButton.checked = False
        ui.detailsButton.setVisible(bool(self.control.details.strip()))
        mark(ui.messageFrame, kind)
        ui.messageFrame.setVisible(True)

    def _hide_message(self, _clicked: bool = False) -> None:
        self._ui.messageFrame.setVisible(False)
