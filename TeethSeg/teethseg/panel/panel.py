"""`Panel`: the sections put together on the widgets of `TeethSeg.ui`, and kept in step with the scene."""

from __future__ import annotations

from collections.abc import Callable

import slicer
import vtk

from ..application.failures import Kind
from ..application.samples import is_sample
from ..application.time_points import choose_component, has_components
from ..mrml.observers import Observers
from .annotate_section import AnnotateSection
from .batch_section import BatchSection
from .computer_section import ComputerSection
from .context import Context
from .correct_section import CorrectSection
from .dialogs import Dialogs
from .export_section import ExportSection
from .option_widgets import Style, fit, small, wrapped
from .recover_section import RecoverSection
from .segment_section import SegmentSection, start_worker
from .teeth_section import TeethSection
from .view_clicks import ViewClicks


def prepare() -> bool:
    """Make sure that all packages are there; asks before anything is installed."""
    from ..application.packages import ensure_packages
    from .install import SlicerInstaller

    return ensure_packages(SlicerInstaller())


class Panel:
    """See module.

    Parameters
    ----------
    widget : QWidget
        The loaded `.ui`.
    scene : vtkMRMLScene
    dialogs : Dialogs, optional
    prepare : callable, optional
        See `Context`.
    start : callable, optional
        See `SegmentSection`.
    """

    def __init__(self, widget, scene, dialogs=None, prepare: Callable[[], bool] = prepare, start=start_worker):
        self.ui = slicer.util.childWidgetVariables(widget)
        self.context = Context(self.ui, scene, dialogs or Dialogs(widget), prepare)
        self.case = self.context.case
        self._gui_tag = self._observer = None
        self._watched, self._observers = None, Observers()  # of the segmentation that the chart shows
        self._entered = False
        self._arrived: list = []  # volumes that were just added to the scene
        self._on_arrival_later = self.context.later(self._on_arrival)
        self._on_segments_later = self.context.later(self._on_segments)  # once for many events
        self.recover = RecoverSection(self.context)
        small(self.ui.noticeLabel)
        self.segment = SegmentSection(self.context, start)
        self.teeth = TeethSection(self.context)
        self.correct = CorrectSection(self.context)
        self.annotate = AnnotateSection(self.context, self.correct, widget)
        self.export = ExportSection(self.context)
        self.batch = BatchSection(self.context)
        self.computer = ComputerSection(self.context)
        self.views = ViewClicks(self.context, self.correct.painting, self.case.select, self.teeth.view_menu)
        self.case.message.connect(self._say)
        self._wrapped = wrapped(self.ui)
        ui = self.ui
        self._style = Style((ui.recoverFrame, ui.messageFrame, ui.questionFrame, ui.suggestionFrame, ui.askFrame))
        self.fit_later = self.context.later(lambda: fit(self._wrapped))
        for signal in (self.case.changed, self.case.message, self.context.tools.changed, self.segment.run.changed):
            signal.connect(self.fit_later)
        self._seconds = self.context.every(1000, self.on_second)
        self._seconds.start()
        self._sections = (self.segment, self.teeth, self.correct, self.annotate, self.export)

    def set_parameters(self, parameters) -> None:
        """Follow another parameter node (`Parameters`), or none."""
        context = self.context
        if context.parameters is not None:
            context.parameters.disconnectGui(self._gui_tag)
            context.parameters.RemoveObserver(self._observer)
        context.parameters = parameters
        if parameters is not None:
            self._gui_tag = parameters.connectGui(self.ui)
            self._observer = parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, context.guarded(self._on_parameters))
            self._on_parameters()
        else:
            self._watch(None)
            self.case.show(None, None)
        for section in self._sections:
            section.refresh()

    def node_added(self, node) -> None:
        """A sample that was just loaded is the scan that the user wants to work on; of several time points one is asked for."""
        if node.IsA("vtkMRMLScalarVolumeNode") and not self.case.scene.IsImporting():
            self._arrived.append(node)
            self._on_arrival_later()

    def _on_arrival(self) -> None:
        arrived, self._arrived = self._arrived, []
        for node in arrived:
            if self.context.parameters is None or node.GetScene() is None:
                continue
            if is_sample(node.GetName() or ""):
                self._choose(node)
            elif self._entered and has_components(node):
                choose_component(node, self.context.ask, self._choose)

    def _choose(self, volume_node) -> None:
        self.context.parameters.volume = volume_node

    def enter(self) -> None:
        """The module is shown."""
        self._entered = True
        parameters = self.context.parameters
        if parameters is not None and parameters.volume is None:
            node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if node is not None:
                parameters.volume = node
        self.correct.enter()
        self.annotate.enter()
        self.views.enter()

    def exit(self) -> None:
        """Another module is shown: its mouse and keys are its own."""
        self._entered = False
        self.correct.exit()
        self.annotate.exit()
        self.views.exit()

    def close(self) -> None:
        """The panel goes away."""
        self.exit()
        self.segment.run.stop()
        self.batch.run.cancel()
        self.recover.autosave.leave()
        self.set_parameters(None)
        self.teeth.close()
        self.context.tooth_numbers.close()
        self.context.surfaces.close()
        self.context.close()

    def _on_parameters(self, *_event) -> None:
        """Scan and teeth belong together: whichever was chosen last brings the other along."""
        parameters = self.context.parameters
        self.case.notation = parameters.notation
        volume, teeth = self.case.matching(parameters.volume, parameters.segmentation)
        if teeth is not parameters.segmentation:
            parameters.segmentation = teeth
        if volume is not parameters.volume:
            parameters.volume = volume
        self._watch(teeth)
        self.case.show(volume, teeth)
        self.context.tooth_numbers.show(parameters.numbers)

    def _watch(self, teeth) -> None:
        """Follow what Slicer's own modules do to the segments: added, removed, renamed, painted, shown, hidden."""
        if teeth is self._watched:
            return
        self._observers.clear()
        self._watched, kinds = teeth, slicer.vtkSegmentation
        if teeth is not None:
            for event in (
                kinds.SegmentAdded,
                kinds.SegmentRemoved,
                kinds.SegmentModified,
                kinds.SourceRepresentationModified,
                teeth.DisplayModifiedEvent,
            ):
                self._observers.add(teeth, event, self._on_segments_later)

    def on_second(self) -> None:
        """Do each second: keep work, show the time of annotating, follow font and style."""
        self.recover.autosave.tick()
        self.annotate.show_time()
        fit(self._wrapped)
        self._style.follow()

    def _on_segments(self) -> None:
        self.case.absorb_changes()
        self.teeth.update()
        self.correct.update()
        self.context.tooth_numbers.update()

    def _say(self, text: str, kind: Kind, details: str) -> None:
        if details:
            self.context.tell(text, kind, details)
            return
        self.correct.say(text, kind)
        self.annotate.say(text, kind)
