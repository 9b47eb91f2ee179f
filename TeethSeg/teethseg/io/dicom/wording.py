"""Counts and lists of names in messages to the user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

_MOST_NAMES = 3


class Named(Protocol):
    """Anything with a name for messages."""

    @property
    def name(self) -> str:
        """The name for messages."""


def counted(count: int, noun: str) -> str:
    """A count with its noun: '1 slice', '4 slices'."""
    return f"{count} {noun if count == 1 else f'{noun[:-1]}ies' if noun.endswith('y') else f'{noun}s'}"


def names_of(items: Sequence[Named]) -> str:
    """The first names, and the number of further ones."""
    names = [item.name for item in items]
    shown = ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES} more"
