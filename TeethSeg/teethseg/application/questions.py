"""Questions that must be answered before anything goes on, asked by the window in its own way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol


class Ask(Protocol):
    """Asks the user for one of several ways to go on; Cancel is always one of them, and Enter chooses it.

    Parameters
    ----------
    text : str
    options : sequence of str
        Texts of the buttons.
    answer : callable
        Called with the index of the option, or None for Cancel; at once, or when the user has made up their mind.
    """

    def __call__(self, text: str, options: Sequence[str], answer: Callable[[int | None], None]) -> None:
        """Show the question; `answer` gets the index of the chosen option, None if the user closed it."""
