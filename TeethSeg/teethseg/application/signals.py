"""Signals between parts of a window that need no Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Signal:
    """Calls its listeners, in the order in which they came."""

    def __init__(self):
        self._listeners: list[Callable[..., Any]] = []

    def connect(self, listener: Callable[..., Any]) -> None:
        """Call `listener` at each `emit`, after those connected before."""
        self._listeners.append(listener)

    def emit(self, *values: Any) -> None:
        """Call all listeners with these values."""
        for listener in list(self._listeners):
            listener(*values)
