"""A desktop without 3D Slicer: the panel's real `.ui` and code on PySide6 with PythonQt's rules and slicer-core's scene.

It shows the wiring of the panel and its effect on a scene. It cannot show the behaviour of the real qMRML widgets,
views and layout; `TeethSegTest` tests these inside 3D Slicer.
"""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import shiboken6
import slicer
import slicer.util
import vtk
from PySide6 import QtCore, QtWidgets

from slicer_scene import SlicerScene

from . import scripted
from .pythonqt import PythonQtRules, QtModule, adapt
from .ui_loader import StrictUiLoader
from .widgets import CTK, QMRML, nodes_of


class Application:
    """The parts of `slicer.app` that the panel uses."""

    def __init__(self, logic: slicer.vtkSlicerApplicationLogic, settings: str):
        self.slicerUserSettingsFilePath = str(Path(settings) / "Slicer.ini")
        self._logic = logic
        self._slots: dict[str, list] = {}

    def applicationLogic(self):
        return self._logic

    def processEvents(self) -> None:
        QtWidgets.QApplication.processEvents()

    def connect(self, signal: str, slot) -> None:
        self._slots.setdefault(signal, []).append(slot)

    def emit(self, signal: str) -> None:
        """Call the connected slots, as at the end of Slicer's start-up."""
        for slot in self._slots.get(signal, []):
            slot()

    def commandOptions(self):
        return types.SimpleNamespace(noMainWindow=True)

    def testingEnabled(self) -> bool:
        return True


class View:
    """The parts of a slice or 3D view that the panel uses: real VTK below, nothing drawn."""

    def __init__(self, size: tuple[int, int]):
        self._window, self._renderer = vtk.vtkGenericOpenGLRenderWindow(), vtk.vtkRenderer()  # needs no screen
        self._window.SetSize(*size)
        self._window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetInteractorStyle(None)  # Slicer's own is not here
        self._interactor.SetSize(*size)

    def interactor(self):
        return self._interactor

    def renderWindow(self):
        return self._window

    def click(self, x: float, y: float, moved: int = 0) -> None:
        """Press the left button at a pixel, counted from below, and release it `moved` pixels beside."""
        for event, column in (("LeftButtonPressEvent", round(x)), ("LeftButtonReleaseEvent", round(x) + moved)):
            # vtkGenericRenderWindowInteractor counts pixels from below, as Slicer's views hand them on
            self._interactor.SetEventInformation(column, round(y), 0, 0)
            self._interactor.InvokeEvent(event)


class LayoutManager:
    """Three slice views and one 3D view, by the names that qSlicerLayoutManager has for them."""

    threeDViewCount = 1

    def __init__(self, scene, size: tuple[int, int] = (300, 300)):
        self.slices = {}
        for node in nodes_of(scene, "vtkMRMLSliceNode"):
            node.SetDimensions(*size, 1)
            node.SetFieldOfView(120.0, 120.0, 1.0)
            self.slices[node.GetLayoutName()] = (node, View(size))
        self.view = View(size)
        self.slots: list = []

    def connect(self, signal: str, slot) -> None:
        assert signal == "layoutChanged(int)"
        self.slots.append(slot)

    def disconnect(self, signal: str, slot) -> None:
        self.slots.remove(slot)

    def sliceViewNames(self):
        return tuple(self.slices)

    def sliceWidget(self, name: str):
        node, view = self.slices[name]
        return types.SimpleNamespace(sliceView=lambda: view, mrmlSliceNode=lambda: node)

    def threeDWidget(self, n: int):
        assert n == 0
        return types.SimpleNamespace(threeDView=lambda: self.view)


class Answers:
    """Stands in for the panel's dialogs: records the questions and gives the prepared answers."""

    def __init__(self):
        self.asked: list[str] = []
        self.options: list[str] = []
        self.choice: int | None = None
        self.chosen_folder = ""
        self.chosen_file = ""
        self.errors: list[tuple[str, str]] = []
        self.opened: list[str] = []  # files shown by other programs

    def error(self, text: str, details: str) -> None:
        self.errors.append((text, details))

    def open_file(self, file: str) -> None:
        self.opened.append(file)

    def choose(self, text: str, options) -> int | None:
        self.asked.append(text)
        self.options = list(options)
        return self.choice

    def folder(self, title: str, start: str) -> str:
        self.asked.append(title)
        return self.chosen_folder

    def file_to_save(self, title: str, start: str, kinds: str) -> str:
        self.asked.append(title)
        return self.chosen_file


class Desktop:
    """Stands in for the running application until `close`.

    Parameters
    ----------
    settings : str
        Folder that takes the place of the user's settings.

    Attributes
    ----------
    scene : vtkMRMLScene
        Holds three slice views and a camera, as Slicer's usual layout.
    hierarchy : SubjectHierarchy
        The items of the Data module.
    """

    def __init__(self, settings: str):
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.IniFormat)
        QtCore.QSettings.setPath(QtCore.QSettings.IniFormat, QtCore.QSettings.UserScope, settings)
        QtCore.QCoreApplication.setOrganizationName("TeethSeg tests")
        self._application = QtWidgets.QApplication.instance() or QtWidgets.QApplication(["TeethSeg tests"])
        self._application.setStyle("Fusion")
        self._core = SlicerScene()
        self._core.publish()
        self.scene, self.hierarchy = self._core.scene, self._core.hierarchy
        self._saved = {name: sys.modules.get(name) for name in ("qt", "ctk", "__main__.qt")}
        qt = QtModule("qt")
        qt.QUiLoader = StrictUiLoader
        qt.QFile = QtCore.QFile
        qt.QApplication = QtWidgets.QApplication
        ctk = types.ModuleType("ctk")
        for kind in CTK:
            setattr(ctk, kind.__name__, kind)
        for kind in QMRML:
            setattr(slicer, kind.__name__, kind)
        sys.modules["qt"], sys.modules["ctk"] = qt, ctk
        self._names = scripted.publish()
        slicer.app = Application(self._core.application, settings)
        self.add_views()

    def add_views(self) -> None:
        """The nodes of three slice views and a 3D camera."""
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene)
        for name, orientation in (("Red", "Axial"), ("Yellow", "Sagittal"), ("Green", "Coronal")):
            node = self.scene.CreateNodeByClass("vtkMRMLSliceNode")
            node.UnRegister(None)
            node.SetName(name)
            node.SetSingletonTag(name)
            node.SetLayoutName(name)
            self.scene.AddNode(node).SetOrientation(orientation)
        view = self.scene.AddNewNodeByClass("vtkMRMLViewNode", "View1")
        camera = self.scene.AddNewNodeByClass("vtkMRMLCameraNode", "Camera")
        camera.SetLayoutName(view.GetID())

    def module_panel(self) -> QtWidgets.QWidget:
        """The empty widget that Slicer gives a module to build its panel in."""
        parent = QMRML[0]()
        adapt(QtWidgets.QVBoxLayout)(parent)
        parent.setMRMLScene(self.scene)
        return parent

    def discard(self, parent: QtWidgets.QWidget) -> None:
        """Delete a panel; its node selectors let go of the scene first."""
        for child in PythonQtRules.findChildren(parent, QMRML[0]):
            child.setMRMLScene(None)
        shiboken6.delete(parent)

    def open_views(self) -> LayoutManager:
        """Give `slicer.app` a layout with views, which it lacks without a window; modules entered afterwards use it."""
        manager = LayoutManager(self.scene)
        slicer.app.layoutManager = lambda: manager
        return manager

    def complaints(self) -> list[str]:
        """Errors and warnings that Slicer would have logged since the last call."""
        found = self._core.complaints()
        self._core.forgive()
        return found

    def application_logic(self):
        return self._core.application

    def process_events(self) -> None:
        QtWidgets.QApplication.processEvents()

    def close(self) -> None:
        """Remove everything that would disturb other tests."""
        self._core.close()
        for name, module in self._saved.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
        for name in self._names:
            sys.modules.pop(name, None)
        for name in ("app", "mrmlScene", "modules", *(kind.__name__ for kind in QMRML)):
            if hasattr(slicer, name):
                delattr(slicer, name)
