"""A strict loader of `.ui` files: every class and property that the file names must exist."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

from .pythonqt import PythonQtRules, adapt, meta_property, signal_of
from .widgets import CTK, QMRML

_STAND_INS = {kind.__name__: kind for kind in (*CTK, *QMRML)}


class StrictUiLoader(QtUiTools.QUiLoader):
    """Makes widgets under PythonQt's rules, and stand-ins for CTK's and Slicer's own.

    Raises
    ------
    RuntimeError
        From `load`, if the file uses a widget class, property, signal or slot that does not exist.
    """

    def createWidget(self, kind: str, parent=None, name: str = ""):
        found = _STAND_INS.get(kind) or (adapt(getattr(QtWidgets, kind)) if hasattr(QtWidgets, kind) else None)
        if found is None:
            raise RuntimeError(f"no stand-in for the widget class {kind}")
        widget = found(parent) if parent is not None else found()
        QtCore.QObject.setObjectName(widget, name)
        return widget

    def load(self, file: QtCore.QFile, parent=None):
        path = file.fileName()
        tree = ElementTree.parse(path).getroot()
        known = {*_STAND_INS, *dir(QtWidgets)}
        for entry in tree.iter("widget"):
            if entry.get("class") not in known:
                raise RuntimeError(f"{path}: no stand-in for the widget class {entry.get('class')}")
        root = super().load(file, parent)
        if root is None:
            raise RuntimeError(f"{path} cannot be loaded: {self.errorString()}")
        by_name = {QtCore.QObject.objectName(child): child for child in PythonQtRules.findChildren(root)}
        by_name[root.objectName] = root
        _check_properties(path, tree, by_name)
        _connect(path, tree, by_name)
        for child in by_name.values():
            getattr(child, "_apply", lambda: None)()
        return root


def _check_properties(path: str, tree: ElementTree.Element, by_name: dict) -> None:
    for entry in tree.iter("widget"):
        for item in entry.findall("property"):
            dynamic = item.get("stdset") == "0"
            if not dynamic and meta_property(by_name[entry.get("name")], item.get("name")) is None:
                raise RuntimeError(
                    f"{path}: {entry.get('class')} {entry.get('name')} has no property {item.get('name')}"
                )


def _connect(path: str, tree: ElementTree.Element, by_name: dict) -> None:
    """Signals with Slicer's own types, which QUiLoader leaves out."""
    for entry in tree.iter("connection"):
        place = {part.tag: part.text for part in entry}
        slot = getattr(by_name.get(place["receiver"]), place["slot"].partition("(")[0], None)
        if slot is None:
            raise RuntimeError(f"{path}: {place['receiver']} has no slot {place['slot']}")
        signal_of(by_name[place["sender"]], place["signal"].partition("(")[0]).connect(slot)
