"""When work runs: longer work at once or while the user goes on, and handlers once the events of the scene are over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Later = Callable[[Callable[[], Any]], Callable]  # makes a function that has a handler called later, and once


class Compute(Protocol):
    """Does `work`, which touches no scene and no window, and hands its result or its error back to the window."""

    def __call__(
        self, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        """Run `work`, then call `done` with its value or `failed` with its exception, in the caller's thread."""


def at_once(work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]) -> None:
    """In the caller's own time; the next line runs once all is done."""
    try:
        result = work()
    except Exception as error:
        failed(error)
        return
    done(result)
