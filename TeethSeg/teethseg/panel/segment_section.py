"""The section "Segment": the button, its options, the progress and the outcome of a run."""

from __future__ import annotations

from ..application.packages import worker_python
from ..application.run_control import Run
from ..application.segmentation import (
    DentitionChoice,
    RunOptions,
    Segmentation,
    dentition_options,
    device_options,
    labels_options,
    part_options,
)
from .context import POLL, Context
from .option_widgets import Choice, bring_into_view, mark, remember, remembered


def start_worker(job) -> Run:
    """Begin a run in a process of its own: Slicer's Python inside Slicer, this one outside."""
    from ..worker.client import Run

    return Run(job, python=worker_python())


class SegmentSection:
    """See module; `start` as `launch` of `Segmentation`."""

    def __init__(self, context: Context, start=start_worker):
        self._context, self._ui, self._case = context, context.ui, context.case
        self.run = Segmentation(context.case, context.ask, context.prepare, start)
        ui = context.ui
        self.timer = context.every(POLL, self.run.poll)
        self._labels = Choice(ui.labelsCombo, labels_options(), lambda value: context.keep("labels", value))
        self._part = Choice(ui.partCombo, part_options(context.case), lambda value: context.keep("part", value))
        self._dentition = Choice(
            ui.dentitionCombo, dentition_options(), lambda value: setattr(self.run, "dentition", value)
        )
        self._device = Choice(ui.deviceCombo, device_options(), lambda value: remember("Device", value))
        self._device.show(remembered("Device"))
        context.clicked("segmentButton", self._on_start)
        context.clicked("cancelButton", self.run.cancel)
        context.clicked("hideMessageButton", self.run.dismiss)
        ui.detailsButton.connect("toggled(bool)", ui.detailsText.setVisible)
        ui.detailsText.setVisible(False)
        self.run.changed.connect(self.update)
        self.run.ended.connect(self._on_ended)
        context.findings.again.connect(self._segment_again)
        context.case.changed.connect(self.update)
        context.case.selected_changed.connect(self.update)

    def refresh(self) -> None:
        """Show the parameters of the scene as it is now."""
        parameters = self._context.parameters
        if parameters is not None:
            self._labels.show(parameters.labels)
            self._part.show(parameters.part)
        self.update()

    def update(self) -> None:
        """Show the state of the run."""
        ui, run = self._ui, self.run
        if run.running != self.timer.active:
            (self.timer.start if run.running else self.timer.stop)()
        self._part.offer(part_options(self._case))
        self._dentition.show(run.dentition)
        ui.partCombo.enabled = self._case.teeth_node is not None
        volume = self._case.volume_node
        state = run.run_state(volume)
        ui.segmentButton.enabled = volume is not None and not state
        ui.segmentButton.text, ui.segmentButton.toolTip = run.button_texts(volume)
        ui.cancelButton.setVisible(run.running)
        ui.progressBar.setVisible(run.running)
        ui.progressBar.value = int(1000 * run.fraction)
        ui.optionsSection.enabled = not state
        ui.statusLabel.text = run.status
        ui.statusLabel.setVisible(bool(run.status))
        self._show_message(*run.message)

    def _on_start(self) -> None:
        parameters, run = self._context.parameters, self.run
        device, weights = self._device.value, remembered("Weights")
        run.start(RunOptions(parameters.part, parameters.labels, device, weights, run.dentition, parameters.show3D))

    def _segment_again(self, dentition: DentitionChoice) -> None:
        """Segment all teeth again by TeethSeg's own networks for a kind of dentition."""
        self.run.dentition, parameters = dentition, self._context.parameters
        self.run.start(RunOptions(device=self._device.value, dentition=dentition, show_3d=parameters.show3D))

    def _on_ended(self) -> None:
        if self._context.parameters is not None:
            self._context.parameters.segmentation = self._case.teeth_node
        if self._case.present():  # the chart and the question below it
            for part in (self._ui.questionFrame, self._ui.chartPlace):
                bring_into_view(part)

    def _show_message(self, text: str, kind: str, details: str) -> None:
        ui = self._ui
        ui.messageFrame.setVisible(bool(text))
        if text != ui.messageLabel.text or details != ui.detailsText.plainText:
            ui.messageLabel.text, ui.detailsText.plainText = text, details
            ui.detailsButton.checked = False
            ui.detailsButton.setVisible(bool(details.strip()))
            mark(ui.messageFrame, kind)
