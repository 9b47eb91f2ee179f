"""`Component`: one concern of the page, with its state, its controls and their handlers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from trame_server.utils.typed_state import DefaultEncoderDecoder, TypedState

from .host import Host

if TYPE_CHECKING:  # components reach each other through the app, which imports them
    from .app import App
else:
    App = Host

T = TypeVar("T")


class _ShownText(DefaultEncoderDecoder):
    """Names of files need not be UTF-8, but all that is sent to the page must be."""

    def encode(self, obj):
        if isinstance(obj, str) and not obj.isascii():
            return obj.encode("utf-8", "replace").decode("utf-8")
        return super().encode(obj)


class Component(Generic[T]):
    """Base of all components.

    Attributes
    ----------
    app : App
        Through which components reach each other.
    data : T
        The state shared with the page: a value set here shows there, and the other way round.
    name : object
        The same fields, as names for templates.
    """

    def __init__(self, app: App, state_type: type[T]):
        self.app = app
        self._typed = TypedState(app.server.state, state_type, encoders=[_ShownText()])
        self.data: T = self._typed.data
        self.name: Any = self._typed.name

    def on_change(self, field, handler: Callable) -> None:
        """Call `handler` with the new value when the page or the program changes a field (given by its name)."""
        self._typed.bind_changes({field: self.app.on(handler)})

    def follow(self, *signals) -> None:
        """Show the present state now, and whenever one of these signals is emitted."""
        for signal in signals:
            signal.connect(lambda *_values: self.show())
        self.show()

    def show(self) -> None:
        """Show the present state."""
