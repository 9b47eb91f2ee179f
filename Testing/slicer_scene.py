"""A Slicer scene with the logics that TeethSeg's adapter and panel meet in 3D Slicer, made of slicer-core: no window.

slicer-core brings Slicer's C++ classes but no application: this class sets up by hand the parts that `slicer.app` sets
up there.
"""

from __future__ import annotations

import tempfile
from types import SimpleNamespace

import slicer
import vtk

from subject_hierarchy import SubjectHierarchy


class SlicerScene:
    """A scene with its application logic and the logics of Slicer's core modules.

    Attributes
    ----------
    scene : vtkMRMLScene
    application : vtkSlicerApplicationLogic
    modules : SimpleNamespace
        As `slicer.modules`: `modules.volumes.logic()` and so on.
    hierarchy : SubjectHierarchy
        The items of the Data module.
    """

    def __init__(self):
        self.scene = slicer.vtkMRMLScene()
        self.application = slicer.vtkSlicerApplicationLogic()
        self.modules = SimpleNamespace()
        self._folder = tempfile.TemporaryDirectory(prefix="slicer-scene-")
        self.application.SetMRMLScene(self.scene)
        self.application.SetTemporaryPath(self._folder.name)
        colours = self.application.GetColorLogic()
        colours.SetMRMLScene(self.scene)
        colours.AddDefaultColorNodes()
        self._register("Colors", colours)
        for name, logic in (
            ("Volumes", slicer.vtkSlicerVolumesLogic()),
            ("Segmentations", slicer.vtkSlicerSegmentationsModuleLogic()),
            ("SubjectHierarchy", slicer.vtkSlicerSubjectHierarchyModuleLogic()),
            ("Models", slicer.vtkSlicerModelsLogic()),
            ("Markups", slicer.vtkSlicerMarkupsLogic()),
            ("Sequences", slicer.vtkSlicerSequencesLogic()),
        ):
            logic.SetMRMLScene(self.scene)
            logic.SetMRMLApplicationLogic(self.application)
            self._register(name, logic)
        # It gets no scene: without a folder of terminologies it would log an error for each file that it does not find.
        self._register("Terminologies", slicer.vtkSlicerTerminologiesModuleLogic())
        self._add_file_reading()
        self.hierarchy = SubjectHierarchy(self.scene)
        self._said: list[str] = []
        self._log = vtk.vtkOutputWindow.GetInstance()
        self._tags = [self._log.AddObserver(kind, self._on_said) for kind in ("ErrorEvent", "WarningEvent")]

    def complaints(self) -> list[str]:
        """Errors and warnings that Slicer would have logged so far."""
        return [*self.hierarchy.complaints, *self._said]

    def forgive(self) -> None:
        """Forget the complaints so far: the test expects them."""
        self.hierarchy.complaints.clear()
        self._said.clear()

    def close(self) -> None:
        """Stop observing the messages of VTK in this process."""
        for tag in self._tags:
            self._log.RemoveObserver(tag)

    @vtk.calldata_type(vtk.VTK_STRING)
    def _on_said(self, _window, _event, text: str = "") -> None:
        self._said.append(text.strip())

    def _register(self, name: str, logic: slicer.vtkMRMLAbstractLogic) -> None:
        self.application.SetModuleLogic(name, logic)
        setattr(self.modules, name.lower(), SimpleNamespace(logic=lambda: logic))

    def _add_file_reading(self) -> None:
        """Without it a scene loaded from a file has nodes but no data."""
        self._remote = slicer.vtkMRMLRemoteIOLogic()
        self._remote.SetMRMLScene(self.scene)
        self._remote.GetCacheManager().SetRemoteCacheDirectory(self._folder.name)
        self._data = slicer.vtkDataIOManagerLogic()
        self._data.SetMRMLScene(self.scene)
        self._data.SetMRMLApplicationLogic(self.application)
        self._data.SetAndObserveDataIOManager(self._remote.GetDataIOManager())
        self._remote.AddDataIOToScene()

    def publish(self) -> None:
        """Make it the scene of the process, as code written for Slicer expects: slicer.mrmlScene, slicer.modules."""
        slicer.mrmlScene = self.scene
        slicer.modules = self.modules
