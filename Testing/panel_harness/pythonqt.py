"""PySide6 under the attribute rules of PythonQt, which 3D Slicer wraps Qt with, so that tests meet Slicer's errors.

In PythonQt a Qt property is an attribute (`button.text`, never `button.text()`), `name` is the object's name, a misspelt
attribute or a value of a wrong type raises, and `widget.connect("clicked(bool)", slot)` connects. The rules follow
PythonQt's attribute access (PythonQtInstanceWrapper) as read in its sources in November 2026.
"""

from __future__ import annotations

import types
from functools import cache
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

# Names that are never looked up as Qt properties.
_PLAIN = {
    "connect",
    "disconnect",
    "findChildren",
    "metaObject",
    "property",
    "setProperty",
    "objectNameChanged",
    "style",
}
_INTERCEPTED = {"connect", "disconnect", "findChildren"}  # which shiboken resolves before it looks at subclasses
_ADAPTED: dict[type, type] = {}
_READING: set[tuple[int, str]] = set()  # properties whose getters are virtual: for these shiboken asks Python once more


def meta_property(item: QtCore.QObject, name: str) -> QtCore.QMetaProperty | None:
    """The Qt property of that name, if the object's class has one."""
    meta = QtCore.QObject.metaObject(item)
    index = meta.indexOfProperty(name)
    return meta.property(index) if index >= 0 else None


def signal_of(item: QtCore.QObject, signature: str) -> Any:
    """The signal that a text like 'currentIndexChanged(int)' names.

    Raises
    ------
    ValueError
        If the object has no such signal.
    """
    base, _, arguments = signature.partition("(")
    signal = getattr(item, base, None)
    if signal is None or not hasattr(signal, "emit"):
        raise ValueError(f"signal {signature} not found on {type(item).__name__}")
    try:
        return signal[tuple(part for part in arguments.rstrip(")").split(",") if part)] if arguments else signal
    except (KeyError, IndexError, TypeError):
        return signal


class PythonQtRules:
    """Put first among the bases of a Qt class to give it PythonQt's attribute access."""

    def __getattribute__(self, name: str):
        if name in _INTERCEPTED:
            return types.MethodType(PythonQtRules.__dict__[name], self)
        if name.startswith("_") or name in _PLAIN:
            return super().__getattribute__(name)
        if name == "name":
            return QtCore.QObject.objectName(self)
        if not _overridden(object.__getattribute__(self, "__class__"), name):
            found = meta_property(self, name)
            asked = (id(self), name)
            if found is not None and found.isReadable() and asked not in _READING:
                _READING.add(asked)
                try:
                    return _plain_value(QtCore.QObject.property(self, name))
                finally:
                    _READING.discard(asked)
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value) -> None:
        found = None if name.startswith("_") else meta_property(self, "objectName" if name == "name" else name)
        if found is not None:
            _set_property(self, found, value)
        elif not name.startswith("_") and type(self).__dict__.get("_adapted"):
            raise AttributeError(
                f"'{name}' does not exist on {type(self).__name__} and creating new attributes on C++ objects is not allowed"
            )
        else:
            super().__setattr__(name, value)

    def connect(self, signature: str, *slot) -> bool:
        target = slot[-1] if len(slot) == 1 else getattr(slot[0], slot[1].partition("(")[0])
        signal_of(self, signature).connect(target)
        return True

    def disconnect(self, signature: str, slot) -> bool:
        return signal_of(self, signature).disconnect(slot)

    def findChildren(self, kind=QtCore.QObject, name: str = "") -> list:
        kind = getattr(kind, "_qt_class", kind)
        children = QtCore.QObject.findChildren(self, QtCore.QObject)
        return [
            child for child in children if isinstance(child, kind) and name in ("", QtCore.QObject.objectName(child))
        ]

    def className(self) -> str:
        return getattr(type(self), "_qt_class", type(self)).__name__


@cache
def _overridden(kind: type, name: str) -> bool:
    """Whether a stand-in's own Python code gives that name a meaning other than a Qt property."""
    return any(
        name in base.__dict__
        and not base.__module__.startswith("PySide6")
        and not isinstance(base.__dict__[name], QtCore.Property)
        for base in kind.__mro__
    )


def _plain_value(value):
    """PythonQt hands out enumerations as numbers."""
    number = getattr(value, "value", None)
    return number if type(value).__module__.startswith("PySide6") and isinstance(number, int) else value


def _set_property(item: QtCore.QObject, found: QtCore.QMetaProperty, value) -> None:
    if not found.isWritable():
        raise AttributeError(f"Property '{found.name()}' of {type(item).__name__} object is not writable")
    if not _fits(found.typeName(), value) or not QtCore.QObject.setProperty(item, found.name(), value):
        raise AttributeError(f"Property '{found.name()}' of type '{found.typeName()}' does not accept {value!r}")


def _fits(kind: str, value) -> bool:
    """PythonQt converts less than Qt does: no text to numbers, nothing but text to text, nothing from None."""
    if kind in ("int", "bool", "double"):
        return isinstance(value, int | float)
    return isinstance(value, str) if kind == "QString" else value is not None


def adapt(kind: type) -> type:
    """A Qt class under PythonQt's rules; the same one for every call."""
    if kind not in _ADAPTED:
        members = {"_adapted": True, "_qt_class": kind, "__module__": "qt"}
        _ADAPTED[kind] = type(kind.__name__, (PythonQtRules, kind), members)
    return _ADAPTED[kind]


class QtModule(types.ModuleType):
    """Stands in for Slicer's module `qt`: all of Qt's classes in one module."""

    def __getattr__(self, name: str):
        for module in (QtWidgets, QtGui, QtCore):
            found = getattr(module, name, None)
            if isinstance(found, type) and issubclass(found, QtCore.QObject) and found is not QtCore.QObject:
                return adapt(found)
            if found is not None:
                return found
        raise AttributeError(f"module 'qt' has no attribute '{name}'")
