"""`Part`: one concern of the page, with its state, its controls and what they do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from trame_server import Server
from trame_server.utils.typed_state import TypedState
from trame_slicer.core import SlicerApp

from ..application.failures import catching
from ..errors import TeethSegError
from .case import Case

T = TypeVar("T")
log = logging.getLogger("teethseg.browser")


class Host(Protocol):
    """What joins the parts (`app.App`), as they see it."""

    server: Server
    slicer: SlicerApp
    case: Case
    local: bool

    def tell(self, text: str, error: bool = True) -> None: ...
    def told(self, handler: Callable) -> Callable: ...
    def on(self, handler: Callable) -> Callable: ...
    def trigger(self, handler: Callable) -> str: ...
    def __getattr__(self, part: str) -> Any: ...


class Part(Generic[T]):
    """Base of all parts.

    Attributes
    ----------
    app : Host
        Through which parts reach each other.
    data : T
        The state shared with the page: what is set here shows there, and the other way round.
    name : T
        The same fields as names for templates.
    """

    def __init__(self, app: Host, state_type: type[T]):
        self.app = app
        self._typed = TypedState(app.server.state, state_type)
        self.data: T = self._typed.data
        self.name: T = self._typed.name

    def on_change(self, field, handler: Callable) -> None:
        """Call `handler` with the new value when the page or the program changes a field (given by its name)."""
        self._typed.bind_changes({field: self.app.on(handler)})


def telling_errors(tell: Callable[[str], None], handler: Callable) -> Callable:
    """`handler`, with every error told to the user instead of lost in the web server."""

    def explain(error: Exception) -> None:
        if not isinstance(error, TeethSegError):
            log.exception("A control of the page failed")
        tell(
            str(error)
            if isinstance(error, TeethSegError)
            else f"An error that TeethSeg does not know ({type(error).__name__}: {error}): report it if it comes back."
        )

    return catching(handler, explain)


def test_id(name: str) -> list[str]:
    """The mark by which tests find a control; `name` is text, or a JavaScript expression in a `${...}`."""
    return [f':data-testid="`{name}`"']
