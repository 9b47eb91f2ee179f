"""`Part`: one concern of the page, with its state, its controls and what they do."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from trame_server.utils.typed_state import TypedState

from ..errors import TeethSegError

if TYPE_CHECKING:
    from .app import App

T = TypeVar("T")
log = logging.getLogger("teethseg.browser")


class Part(Generic[T]):
    """Base of all parts.

    Attributes
    ----------
    app : App
        Through which parts reach each other.
    data : T
        The state shared with the page: what is set here shows there, and the other way round.
    name : T
        The same fields as names for templates.
    """

    def __init__(self, app: App, state_type: type[T]):
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

    if inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def asynchronous(*arguments, **options):
            try:
                return await handler(*arguments, **options)
            except Exception as error:
                explain(error)

        return asynchronous

    @functools.wraps(handler)
    def synchronous(*arguments, **options):
        try:
            return handler(*arguments, **options)
        except Exception as error:
            explain(error)

    return synchronous


def test_id(name: str) -> list[str]:
    """The mark by which tests find a control; `name` is text, or a JavaScript expression in a `${...}`."""
    return [f':data-testid="`{name}`"']
