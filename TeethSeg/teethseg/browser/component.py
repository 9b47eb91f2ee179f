"""`Part`: one concern of the page, with its state, its controls and what they do; and the controls that several parts have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any, Generic, Protocol, TypeVar

from trame.widgets import html
from trame.widgets import vuetify3 as v3
from trame_server import Server
from trame_server.utils.typed_state import DefaultEncoderDecoder, TypedState
from trame_slicer.core import SlicerApp

from ..application.case import Case
from ..application.look import Look
from ..application.opened_scan import OpenedScan
from ..application.tooth_menu import Entry

T = TypeVar("T")
DENSE = {"density": "compact", "variant": "outlined", "hide_details": True}


class Host(Protocol):
    """What joins the parts (`app.App`), as they see it."""

    server: Server
    slicer: SlicerApp
    case: Case
    look: Look
    opened: OpenedScan
    local: bool

    def tell(self, text: str, kind: str = "info", details: str = "") -> None: ...
    def ask(self, text: str, options: Sequence[str], answer: Callable[[int | None], None]) -> None: ...
    def told(self, handler: Callable) -> Callable: ...
    def on(self, handler: Callable) -> Callable: ...
    def trigger(self, handler: Callable) -> str: ...
    def __getattr__(self, part: str) -> Any: ...


class _ShownText(DefaultEncoderDecoder):
    """Names of files need not be UTF-8, but all that is sent to the page must be."""

    def encode(self, obj):
        if isinstance(obj, str) and not obj.isascii():
            return obj.encode("utf-8", "replace").decode("utf-8")
        return super().encode(obj)


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
        self._typed = TypedState(app.server.state, state_type, encoders=[_ShownText()])
        self.data: T = self._typed.data
        self.name: T = self._typed.name

    def on_change(self, field, handler: Callable) -> None:
        """Call `handler` with the new value when the page or the program changes a field (given by its name)."""
        self._typed.bind_changes({field: self.app.on(handler)})

    def follow(self, *signals) -> None:
        """Show how things stand now, and whenever one of these signals is emitted."""
        for signal in signals:
            signal.connect(lambda *_values: self.show())
        self.show()

    def show(self) -> None:
        """Show how things stand."""


def test_id(name: str) -> list[str]:
    """The mark by which tests find a control; `name` is text, or a JavaScript expression in a `${...}`."""
    return [f':data-testid="`{name}`"']


def button(text: str | tuple, icon: str, click, mark: str, title: str = "", **options) -> v3.VBtn:
    """A button with a text, or an expression for one."""
    more = {"size": "small", "variant": "tonal", **options}
    if isinstance(text, str):
        more["children"] = [text]
    else:
        more["text"] = text
    return v3.VBtn(prepend_icon=icon or None, click=click, raw_attrs=[*_title(title), *test_id(mark)], **more)


def icon_button(icon: str, title: str, click, mark: str, **options) -> v3.VBtn:
    """A button that is a picture, with a text where the mouse rests on it."""
    raw = [*_title(title), *options.pop("raw_attrs", ()), *test_id(mark)]
    return v3.VBtn(**{"icon": icon, "size": "x-small", "variant": "text", "click": click, **options}, raw_attrs=raw)


def toggle(name: str, icon: str, title: str, mark: str) -> None:
    """A button that is on or off, as the state says."""
    colour, pressed = f"{name} ? 'primary' : undefined", [f':aria-pressed="{name}"']
    icon_button(icon, title, f"{name} = !{name}", mark, size="small", color=(colour,), raw_attrs=pressed)


def notice(text: str, shown: str, mark: str, kind: str = "warning", **options) -> v3.VAlert:
    """A line that stands in the page as long as an expression is true; text and kind are expressions too, or words."""
    return v3.VAlert(
        **{"v_if": (shown,), "text": (text,), "type": kind, "variant": "tonal", "density": "compact", **options},
        raw_attrs=["style='white-space: pre-line'", *test_id(mark)],
    )


def buttons(name: str, click: Callable, **options) -> None:
    """A grid of buttons, one for each of the rows that `actions` makes; `click` is given the key."""
    with html.Div(classes="ts-grid"):
        v3.VBtn(
            text=("one.label",),
            v_for=f"one in {name}",
            key="one.key",
            prepend_icon=("one.icon",),
            disabled=("one.off",),
            color=("one.on ? 'primary' : undefined",),
            click=(click, "[one.key]"),
            raw_attrs=[':title="one.tip"', ':aria-pressed="one.on"', *test_id("${one.key}")],
            **{"size": "small", "variant": "tonal", **options},
        )


def action(key: str, label: str, icon: str = "", tip: str = "", off: bool = False, on: bool = False) -> dict:
    """A button of `buttons`."""
    return {"key": key, "label": label, "icon": icon, "tip": tip, "off": off, "on": on}


def choices(name: str, chosen: Callable) -> None:
    """Something to choose for each of the rows that `choice` makes; `chosen` is given the key and the value."""
    v3.VSelect(
        v_for=f"one in {name}",
        key="one.key",
        model_value=("one.value",),
        items=("one.items",),
        label=("one.label",),
        disabled=("one.off",),
        update_modelValue=(chosen, "[one.key, $event]"),
        classes="mt-2",
        raw_attrs=test_id("field-${one.key}"),
        **DENSE,
    )


def choice(key: str, label: str, options: Iterable[tuple[Any, str]], value: Any, off: bool = False) -> dict:
    """A row of `choices`."""
    items = [{"value": one, "title": text} for one, text in options]
    return {"key": key, "label": label, "items": items, "value": value, "off": off}


def menu(name: str, act: Callable) -> None:
    """The entries that `entries` makes, with those within them; `act` is given the key."""
    item = {"click": (act, "[e.key]"), "raw_attrs": test_id("${e.key}")}
    with v3.VList(density="compact"), v3.Template(v_for=f"e in {name}", key="e.key"):
        with v3.VListGroup(v_if=("e.entries.length",), value=("e.key",)):
            with v3.Template(v_slot_activator="{ props }"):
                v3.VListItem(v_bind="props", title=("e.text",), disabled=("e.off",), raw_attrs=test_id("menu-${e.key}"))
            inner = {"click": (act, "[i.key]"), "raw_attrs": test_id("${i.key}")}
            v3.VListItem(v_for="i in e.entries", key="i.key", title=("i.text",), **inner)
        v3.VListItem(v_else=True, title=("e.text",), disabled=("e.off",), **item)


def entries(rows: Sequence[Entry]) -> list[dict]:
    """The entries of `menu`, as the page takes them."""
    return [{"key": one.key, "text": one.text, "off": not one.enabled, "entries": entries(one.entries)} for one in rows]


def _title(text: str) -> list[str]:
    return [f'title="{escape(text)}"'] if text else []
