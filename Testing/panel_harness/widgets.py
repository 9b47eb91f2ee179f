"""Stand-ins for the CTK and qMRML widgets that the panel uses: their names and wiring, on the real scene.

They offer no property, signal or method that the real class lacks (`names.json`, checked by a test), and only a part of
its own.
"""

from __future__ import annotations

import types

import shiboken6
import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from .pythonqt import PythonQtRules

_HEADER = 24  # height of a collapsible section's header, pixels


def held(kind: str | type, name: str, default, changed: str = "") -> Property:
    """A property kept in Python; setting it calls `_on_<name>` where there is one and emits the signal `changed`."""

    def read(self):
        return self.__dict__.get(f"_held_{name}", default)

    def write(self, value):
        if read(self) == value:
            return
        self.__dict__[f"_held_{name}"] = value
        getattr(self, f"_on_{name}", lambda value: None)(value)
        if changed:
            getattr(self, changed).emit(value)

    return Property(kind, read, write)


def nodes_of(scene, kind: str) -> list:
    """The nodes of a class in a scene."""
    found = scene.GetNodesByClass(kind)
    found.UnRegister(scene)
    return [found.GetItemAsObject(n) for n in range(found.GetNumberOfItems())]


class ctkCollapsibleButton(PythonQtRules, QtWidgets.QAbstractButton):
    contentsCollapsed = Signal(bool)
    collapsed = held(bool, "collapsed", False, "contentsCollapsed")

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setContentsMargins(0, _HEADER, 0, 0)
        self.setMinimumHeight(_HEADER)
        self.setSizePolicy(QtWidgets.QSizePolicy.Preferred, QtWidgets.QSizePolicy.Preferred)
        self._had: list[QtWidgets.QWidget] = []
        QtWidgets.QAbstractButton.clicked.__get__(self).connect(lambda: setattr(self, "collapsed", not self.collapsed))

    def _on_collapsed(self, collapsed: bool) -> None:
        self._apply()

    def _apply(self) -> None:
        """Like the real one, hides its direct children when collapsed and brings back those that it hid."""
        collapsed = self.collapsed
        self.setMaximumHeight(_HEADER if collapsed else 16777215)
        children = [child for child in self.children() if isinstance(child, QtWidgets.QWidget)]
        if collapsed:
            self._had = [child for child in children if not child.isHidden()]
        for child in self._had:
            if shiboken6.isValid(child):
                child.setVisible(not collapsed)

    def hitButton(self, position) -> bool:
        return position.y() <= _HEADER

    def sizeHint(self):
        head = QtCore.QSize(200, _HEADER)
        if self.collapsed or not self.layout():
            return head
        return (self.layout().sizeHint() + QtCore.QSize(0, _HEADER)).expandedTo(head)

    def paintEvent(self, event) -> None:
        painter = QtGui.QPainter(self)
        palette = QtWidgets.QWidget.palette(self)
        head = QtCore.QRect(0, 0, QtWidgets.QWidget.width(self), _HEADER - 2)
        painter.setPen(palette.mid().color())
        painter.setBrush(palette.button())
        painter.drawRect(head.adjusted(0, 0, -1, -1))
        painter.setPen(palette.buttonText().color())
        arrow = "▸" if self.collapsed else "▾"
        painter.drawText(head.adjusted(8, 0, 0, 0), QtCore.Qt.AlignVCenter, f"{arrow}  {self.text}")
        painter.end()


class ctkPathLineEdit(PythonQtRules, QtWidgets.QWidget):
    currentPathChanged = Signal(str)
    currentPath = held(str, "currentPath", "", "currentPathChanged")
    label = held(str, "label", "")
    nameFilters = held("QStringList", "nameFilters", [])
    settingKey = held(str, "settingKey", "")
    showHistoryButton = held(bool, "showHistoryButton", True)
    Dirs, Files, Readable, Writable, Executable, Drives, NoDot, NoDotDot = 1, 2, 0x10, 0x20, 0x40, 4, 0x2000, 0x4000
    filters = held(int, "filters", 7)

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._line = QtWidgets.QLineEdit()
        self._line.setPlaceholderText("")
        self._line.editingFinished.connect(lambda: self.setCurrentPath(self._line.text()))
        browse = QtWidgets.QToolButton()
        browse.setText("…")
        layout.addWidget(self._line)
        layout.addWidget(browse)

    def _on_currentPath(self, path: str) -> None:
        self._line.setText(path)

    def setCurrentPath(self, path: str) -> None:
        self.currentPath = path

    def addCurrentPathToHistory(self) -> None:
        """The stand-in keeps no history."""


class qMRMLWidget(PythonQtRules, QtWidgets.QWidget):
    mrmlSceneChanged = Signal(object)
    _scene = None

    def setMRMLScene(self, scene) -> None:
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self):
        return self._scene


class qMRMLNodeComboBox(qMRMLWidget):
    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeAddedByUser = Signal(object)
    nodeTypes = held("QStringList", "nodeTypes", [])
    baseName = held(str, "baseName", "")
    noneEnabled = held(bool, "noneEnabled", False)
    noneDisplay = held(str, "noneDisplay", "None")
    addEnabled = held(bool, "addEnabled", True)
    removeEnabled = held(bool, "removeEnabled", True)
    renameEnabled = held(bool, "renameEnabled", False)
    editEnabled = held(bool, "editEnabled", False)
    showHidden = held(bool, "showHidden", False)
    showChildNodeTypes = held(bool, "showChildNodeTypes", True)
    selectNodeUponCreation = held(bool, "selectNodeUponCreation", True)
    currentNodeID = Property(
        str, lambda self: self._current.GetID() if self._current else "", lambda s, v: s.setCurrentNodeID(v)
    )

    def __init__(self, parent=None):
        super().__init__(parent)
        self._current = None
        self._tags: list[tuple] = []
        self._combo = QtWidgets.QComboBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self._combo.activated.connect(lambda index: self.setCurrentNode(self._nodes()[index]))

    def _nodes(self) -> list:
        if not self._scene:
            return []
        found = {
            node
            for kind in self.nodeTypes
            for node in nodes_of(self._scene, kind)
            if (self.showChildNodeTypes or node.GetClassName() == kind)
            and (self.showHidden or not node.GetHideFromEditors())
        }
        return ([None] if self.noneEnabled else []) + sorted(found, key=lambda node: node.GetName() or "")

    def setMRMLScene(self, scene) -> None:
        for observed, tag in self._tags:
            observed.RemoveObserver(tag)
        super().setMRMLScene(scene)
        kinds = slicer.vtkMRMLScene
        events = (kinds.NodeAddedEvent, kinds.NodeRemovedEvent, kinds.EndCloseEvent, kinds.EndImportEvent)
        self._tags = (
            [(scene, scene.AddObserver(event, lambda *_: self._refresh())) for event in events] if scene else []
        )
        self._refresh()

    def _refresh(self) -> None:
        if not shiboken6.isValid(self):  # observers outlive a deleted widget
            return
        nodes = self._nodes()
        self._combo.clear()
        self._combo.addItems([node.GetName() if node else self.noneDisplay for node in nodes])
        if self._current in nodes:
            self._combo.setCurrentIndex(nodes.index(self._current))
        else:
            self.setCurrentNode(nodes[0] if nodes and not self.noneEnabled else None)

    def _on_nodeTypes(self, _value) -> None:
        self._refresh()

    _on_noneEnabled = _on_nodeTypes

    def currentNode(self):
        return self._current

    def setCurrentNode(self, node) -> None:
        if node is not None and not any(node.IsA(kind) for kind in self.nodeTypes):
            node = None
        changed, self._current = node is not self._current, node
        nodes = self._nodes()
        self._combo.setCurrentIndex(nodes.index(node) if node in nodes else -1)
        if changed:
            self.currentNodeChanged.emit(node)
            self.currentNodeIDChanged.emit(node.GetID() if node else "")

    def setCurrentNodeID(self, node_id: str) -> None:
        self.setCurrentNode(self._scene.GetNodeByID(node_id) if node_id and self._scene else None)

    def nodeCount(self) -> int:
        return len([node for node in self._nodes() if node])


class qMRMLSegmentEditorWidget(qMRMLWidget):
    """Shows the names of the effects that it gets; it edits nothing."""

    currentSegmentIDChanged = Signal(str)
    segmentationNodeSelectorVisible = held(bool, "segmentationNodeSelectorVisible", True)
    sourceVolumeNodeSelectorVisible = held(bool, "sourceVolumeNodeSelectorVisible", True)
    switchToSegmentationsButtonVisible = held(bool, "switchToSegmentationsButtonVisible", True)
    unorderedEffectsVisible = held(bool, "unorderedEffectsVisible", True)
    maximumNumberOfUndoStates = held(int, "maximumNumberOfUndoStates", 10)
    undoEnabled = held(bool, "undoEnabled", True)
    effectColumnCount = held(int, "effectColumnCount", 0)
    jumpToSelectedSegmentEnabled = held(bool, "jumpToSelectedSegmentEnabled", False)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._editor = self._watched = None
        self._effects: list[str] = []
        self._active = ""
        self.observing = False
        self.shortcuts_installed = False
        layout = QtWidgets.QVBoxLayout(self)
        self._label = QtWidgets.QLabel("Segment Editor of 3D Slicer")
        self._label.setFrameShape(QtWidgets.QFrame.StyledPanel)
        self._label.setAlignment(QtCore.Qt.AlignCenter)
        self._label.setWordWrap(True)
        self._label.setMinimumHeight(90)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._label)

    def setMRMLSegmentEditorNode(self, node) -> None:
        self._editor = node
        if node is not None:
            node.AddObserver("ModifiedEvent", self._watch)

    def _watch(self, *_event) -> None:
        """As in Slicer, an effect ends when the segment that it works on leaves the segmentation."""
        node = self.segmentationNode()
        if node is not self._watched:
            self._watched = node
            if node is not None:
                node.AddObserver(slicer.vtkSegmentation.SegmentRemoved, self._on_removed)

    def _on_removed(self, node, _event) -> None:
        if node is self._watched and node.GetSegmentation().GetSegment(self.currentSegmentID()) is None:
            self._active = ""

    def mrmlSegmentEditorNode(self):
        return self._editor

    def segmentationNode(self):
        return self._editor.GetSegmentationNode() if self._editor else None

    def setSegmentationNode(self, node) -> None:
        self._editor.SetAndObserveSegmentationNode(node)

    def currentSegmentID(self) -> str:
        return (self._editor.GetSelectedSegmentID() or "") if self._editor else ""

    def setCurrentSegmentID(self, segment_id: str) -> None:
        self._editor.SetSelectedSegmentID(segment_id)
        self.currentSegmentIDChanged.emit(segment_id)

    def setEffectNameOrder(self, names) -> None:
        self._effects = list(names)
        self._label.setText("Segment Editor of 3D Slicer\n" + " · ".join(self._effects))

    def effectNameOrder(self) -> list[str]:
        return self._effects

    def setActiveEffectByName(self, name: str) -> None:
        if name and name not in self._effects:
            raise ValueError(f"no effect {name}")
        self._active = name

    def activeEffect(self):
        return types.SimpleNamespace(name=self._active) if self._active else None

    def setupViewObservations(self) -> None:
        self.observing = True

    def removeViewObservations(self) -> None:
        self.observing = False

    def installKeyboardShortcuts(self, parent=None) -> None:
        self.shortcuts_installed = True

    def uninstallKeyboardShortcuts(self) -> None:
        self.shortcuts_installed = False


CTK = (ctkCollapsibleButton, ctkPathLineEdit)
QMRML = (qMRMLWidget, qMRMLNodeComboBox, qMRMLSegmentEditorWidget)
