"""Observers of nodes and views, to be taken off all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


class Observers:
    """See module."""

    def __init__(self):
        self._added: list[tuple[Any, int]] = []

    def add(self, watched, event, handler: Callable, priority: float = 0.0) -> None:
        """Have `handler` called at an event of an object."""
        self._added.append((watched, watched.AddObserver(event, handler, priority)))

    def keep(self, watched, tags: Iterable[int]) -> None:
        """Take over observers that were added elsewhere, by their tags."""
        self._added += [(watched, tag) for tag in tags]

    def clear(self) -> None:
        """Call nothing any more."""
        for watched, tag in self._added:
            watched.RemoveObserver(tag)
        self._added = []
