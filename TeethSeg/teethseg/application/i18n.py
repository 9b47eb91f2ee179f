"""`_`: a text in the user's language.

Slicer finds a translation by the file that a text stands in (its package and name, e.g. 'application.texts'), so `_` is
called in that file. Each window hands in the function that translates: 3D Slicer its own `translate`, the page
`read_translation` of the file that Slicer's translations are made from, so that each language is written once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

Translate = Callable[[str, str], str]  # (context, text) to the text in the user's language


def _english(_context: str, text: str) -> str:
    return text


_translate: Translate = _english


def use(translate: Translate | None) -> None:
    """From now on texts are translated by this; None leaves them in English."""
    global _translate
    _translate = translate or _english


def _(text: str) -> str:
    """The text in the user's language; a whole literal, or no translation is found."""
    name = sys._getframe(1).f_globals.get("__name__", "")
    return _translate(".".join(name.split(".")[-2:]), text)


def read_translation(file: Path) -> Translate:
    """The translations in a file of Qt Linguist (.ts); a text without one stays as it is.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    from xml.etree import ElementTree

    from ..errors import InputError

    try:
        root = ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise InputError(f"{file.name} cannot be read: give a translation of Qt Linguist (.ts).") from error
    known = {}
    for context in root.iter("context"):
        for message in context.iter("message"):
            translation = message.find("translation")
            if translation is not None and translation.get("type") is None and translation.text:
                known[context.findtext("name", ""), message.findtext("source", "")] = translation.text
    return lambda context, text: known.get((context, text), text)


__all__ = ["_", "read_translation", "use"]
