"""The controls that several parts of the page have, each built by one function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from ..application.i18n import _
from ..application.tooth_menu import Entry

DENSE: dict[str, Any] = {"density": "compact", "variant": "outlined", "hide_details": True}  # a field
PRIMARY: dict[str, Any] = {"variant": "flat", "color": "primary"}  # the main button of a group of controls


def test_id(name: str) -> list[str]:
    """The mark by which tests find a control; `name` is text, or a JavaScript expression in a `${...}`."""
    return [f':data-testid="`{name}`"']


def button(text: str | tuple, icon: str, click, mark: str, **options: Any) -> v3.VBtn:
    """A button with a text, or an expression for one; the option `title` is shown where the mouse rests on it."""
    title = options.pop("title", "")
    more: dict[str, Any] = {"size": "small", "variant": "tonal", **options}
    if isinstance(text, str):
        more["children"] = [text]
    else:
        more["text"] = text
    return v3.VBtn(prepend_icon=icon or None, click=click, raw_attrs=[*_title(title), *test_id(mark)], **more)


def icon_button(icon: str | tuple, title: str, click, mark: str, **options) -> v3.VBtn:
    """A button that is a picture, with a text where the mouse rests on it."""
    raw = [*_title(title), *options.pop("raw_attrs", ()), *test_id(mark)]
    return v3.VBtn(**{"icon": icon, "size": "x-small", "variant": "text", "click": click, **options}, raw_attrs=raw)


def toggle(name: str, icon: str, title: str, mark: str) -> None:
    """A button that is on or off, as the state says."""
    colour, pressed = f"{name} ? 'primary' : undefined", [f':aria-pressed="{name}"']
    icon_button(icon, title, f"{name} = !{name}", mark, size="small", color=(colour,), raw_attrs=pressed)


def line(text: str, mark: str, **options) -> html.Div:
    """A line of text that an expression gives; it takes no room while there is none."""
    options = {"v_if": (text,), "classes": "ts-line text-body-2 mt-2", **options}
    return html.Div("{{ " + text + " }}", raw_attrs=test_id(mark), **options)


def section(title: str) -> html.Div:
    """The title of a group of controls."""
    return html.Div(title, classes="ts-section")


def progress(percent: str = "", **options) -> v3.VProgressLinear:
    """A bar that shows how far something is (an expression), or only that it goes on."""
    far = {"model_value": (percent,)} if percent else {"indeterminate": True}
    return v3.VProgressLinear(**{**far, "color": "primary", "height": 4, **options})


def details(text: str) -> None:
    """Details (an expression) that the user can unfold; nothing while there are none."""
    with html.Details(v_if=(text,), classes="mt-2"):
        html.Summary(_("Details"))
        html.Pre("{{ " + text + " }}", classes="ts-details")


def offer(shown: str, mark: str, **options) -> v3.VAlert:
    """A frame for something that the user can choose, as long as an expression is true."""
    options = {"v_if": (shown,), "variant": "tonal", "color": "primary", "classes": "mb-4", **options}
    return v3.VAlert(raw_attrs=test_id(mark), **options)


def text_field(text: str, label: str, mark: str, *attributes: str, **options) -> v3.VTextField:
    """A field for a text of the state."""
    return v3.VTextField(v_model=(text,), label=label, raw_attrs=[*attributes, *test_id(mark)], **{**DENSE, **options})


def checkbox(name: str, label: str, mark: str, **options) -> v3.VCheckbox:
    """Something that is on or off, as the state says."""
    return v3.VCheckbox(v_model=(name,), label=label, raw_attrs=test_id(mark), **DENSE, **options)


def one_of(options: Iterable[tuple[Any, str]], mark: str, **more) -> None:
    """Small buttons beside each other, of which one is pressed: values with their texts."""
    style = {"density": "compact", "variant": "outlined", "divided": True, "mandatory": True}
    with v3.VBtnToggle(**style, **more):
        for value, text in options:
            v3.VBtn(text, value=value, size="x-small", height=24, raw_attrs=test_id(f"{mark}-{value}"))


def notice(text: str, shown: str, mark: str, kind: str | tuple = "warning", **options) -> v3.VAlert:
    """A line that stands in the page as long as an expression is true; text and kind are expressions too, or words."""
    return v3.VAlert(
        **{"v_if": (shown,), "text": (text,), "type": kind, "variant": "tonal", "density": "compact", **options},
        raw_attrs=["style='white-space: pre-line; font-size: 14px; line-height: 19px'", *test_id(mark)],
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
