"""`Panel`: the sections put together on the widgets of `TeethSeg.ui`, and kept in step with the scene."""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer
import vtk

from .annotate_section import AnnotateSection
from .case import Case
from .computer_section import ComputerSection
from .correct_section import CorrectSection
from .dialogs import Dialogs
from .export_section import ExportSection
from .segment_section import SegmentSection, start_worker
from .teeth_section import TeethSection


def prepare() -> bool:
    """Make sure that all packages are there; asks before anything is installed."""
    from .install import SlicerInstaller, ensure_packages

    return ensure_packages(SlicerInstaller())


class Panel:
    """See module.

    Parameters
    ----------
    widget : QWidget
        The loaded `.ui`.
    scene : vtkMRMLScene
    dialogs : Dialogs, optional
    prepare, start : callable, optional
        See `SegmentSection`.
    """

    def __init__(self, widget, scene, dialogs=None, prepare: Callable[[], bool] = prepare, start=start_worker):
        self.ui = slicer.util.childWidgetVariables(widget)
        self.case = Case(scene)
        self._parameters = None
        self._gui_tag = self._observer = None
        self._watched: list[tuple] = []  # the segmentation that the chart shows, and the observers on it
        self._later = qt.QTimer()
        self._later.setSingleShot(True)
        self._later.connect("timeout()", self._on_segments)
        dialogs = dialogs or Dialogs(widget)
        self.ui.noticeLabel.setStyleSheet("color: gray;")
        self.segment = SegmentSection(self.ui, self.case, self.parameters, dialogs, prepare, start)
        self.teeth = TeethSection(self.ui, self.case, self.parameters)
        self.correct = CorrectSection(self.ui, self.case, self.parameters)
        self.annotate = AnnotateSection(self.ui, self.case, self.parameters, dialogs, self.correct, widget)
        self.export = ExportSection(self.ui, self.case, self.parameters, dialogs)
        self.computer = ComputerSection(self.ui, self.case, prepare)
        self.case.said.connect(self._say)
        self._sections = (self.segment, self.teeth, self.correct, self.annotate, self.export, self.computer)

    def parameters(self):
        """The panel's state in the scene as it is now; None while a scene is closing."""
        return self._parameters

    def set_parameters(self, parameters) -> None:
        """Follow another parameter node (`Parameters`), or none."""
        if self._parameters is not None:
            self._parameters.disconnectGui(self._gui_tag)
            self._parameters.RemoveObserver(self._observer)
        self._parameters = parameters
        if parameters is not None:
            self._gui_tag = parameters.connectGui(self.ui)
            self._observer = parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_parameters)
            self._on_parameters()
        else:
            self._watch(None)
            self.case.show(None, None)
        for section in self._sections:
            section.refresh()

    def enter(self) -> None:
        """The module is shown."""
        if self._parameters is not None and self._parameters.volume is None:
            node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if node is not None:
                self._parameters.volume = node
        self.correct.enter()
        self.annotate.enter()

    def exit(self) -> None:
        """Another module is shown: its mouse and keys are its own."""
        self.correct.exit()
        self.annotate.exit()

    def close(self) -> None:
        """The panel goes away."""
        self.exit()
        self.segment.close()
        self.set_parameters(None)
        self._later.stop()

    def _on_parameters(self, *_event) -> None:
        """Scan and teeth belong together: whichever was chosen last brings the other along."""
        parameters = self._parameters
        volume, teeth = parameters.volume, parameters.segmentation
        scan = _scan_of(teeth)
        if volume is not self.case.volume and (teeth is None or (scan is not None and scan is not volume)):
            teeth = self.case.teeth_of(volume)
            parameters.segmentation = teeth
        elif teeth is not self.case.teeth and scan is not None and scan is not volume:
            volume = scan
            parameters.volume = volume
        self._watch(teeth)
        self.case.show(volume, teeth)

    def _watch(self, teeth) -> None:
        """Follow what Slicer's own modules do to the segments: added, removed, renamed, shown, hidden."""
        if self._watched and self._watched[0][0] is teeth:
            return
        for node, tag in self._watched:
            node.RemoveObserver(tag)
        kinds = slicer.vtkSegmentation
        events = (
            (kinds.SegmentAdded, kinds.SegmentRemoved, kinds.SegmentModified, teeth.DisplayModifiedEvent)
            if teeth
            else ()
        )
        self._watched = [(teeth, teeth.AddObserver(event, self._on_segments_later)) for event in events]

    def _on_segments_later(self, *_event) -> None:
        self._later.start(0)  # once for many events

    def _on_segments(self) -> None:
        self.teeth.update()
        self.correct.update()

    def _say(self, text: str, kind: str) -> None:
        self.correct.say(text, kind)
        self.annotate.say(text, kind)


def _scan_of(teeth):
    """The scan that a segmentation was made of."""
    if teeth is None:
        return None
    return teeth.GetNodeReference(slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole())
