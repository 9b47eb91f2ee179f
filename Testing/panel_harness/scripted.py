"""Own small versions of Slicer's Python modules that slicer-core leaves out: module base classes, parameter node, i18n."""

from __future__ import annotations

import functools
import sys
import types
import typing
import unittest
from pathlib import Path

import slicer
import slicer.util
import vtk

_TEXT = {str: str, int: int, float: float, bool: lambda text: text == "True"}


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__


class ScriptedLoadableModuleWidget:
    def __init__(self, parent):
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        self.parent = parent
        self.layout = parent.layout()

    def resourcePath(self, name: str) -> str:
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / name)

    def setup(self) -> None:
        """Slicer adds its reload section here in developer mode."""

    def cleanup(self) -> None:
        """As in Slicer: nothing."""


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetModuleName(self.moduleName)
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def delayDisplay(self, message: str, *_args, **_named) -> None:
        print(message)


def parameterNodeWrapper(kind: type) -> type:
    """Typed attributes kept in a scripted module's node, and widgets bound to them by `SlicerParameterName`.

    Supports str, int, float, bool and nodes; check boxes and node combo boxes.
    """
    members = typing.get_type_hints(kind)
    defaults = {name: getattr(kind, name, None) for name in members}
    observers: dict[tuple[int, int], int] = {}
    reserved = ("AddObserver", "RemoveObserver", "Modified", "StartModify", "EndModify", "connectGui", "disconnectGui")
    for name, member in members.items():
        if name in (*reserved, "parameterNode", "default", "dataType", "getValue", "setValue", "isCached"):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
        if member not in _TEXT and not issubclass(member, slicer.vtkMRMLNode):
            raise TypeError(f"no serializer for {member} of {name}")

    def value_of(self, name: str):
        member = members[name]
        if member in _TEXT:
            return _TEXT[member](self.parameterNode.GetParameter(name))
        return self.parameterNode.GetNodeReference(name)

    def write(self, value, name: str) -> None:
        member = members[name]
        if member in _TEXT:
            if not isinstance(value, member):
                raise TypeError(f"{name} takes {member.__name__}, not {value!r}")
            self.parameterNode.SetParameter(name, str(value))
        else:
            if value is not None and not isinstance(value, member):
                raise TypeError(f"{name} takes {member.__name__}, not {value!r}")
            self.parameterNode.SetNodeReferenceID(name, value.GetID() if value else None)

    def start(self, node) -> None:
        self.parameterNode = node
        self._bound: dict[int, dict] = {}
        for name, member in members.items():
            if member in _TEXT and name not in node.GetParameterNames():
                default = member() if defaults[name] is None else defaults[name]
                node.SetParameter(name, str(default))

    def connect_gui(self, gui) -> int:
        widgets = {}
        for widget in vars(gui).values():
            name = widget.property("SlicerParameterName")
            if name:
                if name not in members:
                    raise ValueError(f"Cannot find a param with the given name: {name}")
                widgets[name] = _connector(widget)
        tag = len(self._bound)
        self._bound[tag] = widgets
        updating = []

        def update(*_):
            if updating or tag not in self._bound:
                return
            updating.append(True)
            for name, (_read, show, _changed) in widgets.items():
                show(value_of(self, name))
            updating.clear()

        def changed(*_, name, read):
            if not updating and tag in self._bound:
                write(self, read(), name)

        update()
        for name, (read, _show, signal) in widgets.items():
            signal.connect(functools.partial(changed, name=name, read=read))
        # Removed when disconnected: Python may collect a forgotten observer that VTK would still call.
        observers[id(self), tag] = self.parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, update)
        return tag

    def disconnect_gui(self, tag: int) -> None:
        self._bound.pop(tag, None)
        self.parameterNode.RemoveObserver(observers.pop((id(self), tag)))

    for name in members:
        setattr(kind, name, property(functools.partial(value_of, name=name), functools.partial(write, name=name)))
    kind.__init__ = start
    kind.connectGui = connect_gui
    kind.disconnectGui = disconnect_gui
    kind.AddObserver = lambda self, event, callback, priority=0.0: self.parameterNode.AddObserver(
        event, callback, priority
    )
    kind.RemoveObserver = lambda self, tag: self.parameterNode.RemoveObserver(tag)
    kind.Modified = lambda self: self.parameterNode.Modified()
    kind.StartModify = lambda self: self.parameterNode.StartModify()
    kind.EndModify = lambda self, before: self.parameterNode.EndModify(before)
    return kind


def _connector(widget) -> tuple:
    """Functions that read a widget and show a value in it, and the signal that it changed."""
    if hasattr(widget, "currentNode"):
        return widget.currentNode, widget.setCurrentNode, widget.currentNodeChanged
    if widget.className() == "QCheckBox":
        return lambda: widget.checked, lambda value: setattr(widget, "checked", value), widget.toggled
    raise RuntimeError(f"Unable to create GUI connector to widget type {widget.className()}")


def modules() -> dict[str, types.ModuleType]:
    """The modules by the names that Slicer code imports them under."""
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr = lambda text: text
    i18n.translate = lambda context, text: text
    base = types.ModuleType("slicer.ScriptedLoadableModule")
    classes = (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    )
    for one in classes:
        setattr(base, one.__name__, one)
    base.__all__ = [one.__name__ for one in classes]
    wrapper = types.ModuleType("slicer.parameterNodeWrapper")
    wrapper.parameterNodeWrapper = parameterNodeWrapper
    return {module.__name__: module for module in (i18n, base, wrapper)}


def publish() -> list[str]:
    """Put them where `import` finds them; returns the names, to take them away again."""
    found = modules()
    for name, module in found.items():
        sys.modules[name] = module
        setattr(slicer, name.partition(".")[2], module)
    return list(found)
