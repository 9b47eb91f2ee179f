"""`_`: a text in the user's language.

Slicer finds a translation by the file that a text stands in (its package and name, e.g. 'application.texts'), so `_` is
called in that file. Each window hands in what translates: 3D Slicer its own `translate`, the page a file of translations.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

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


__all__ = ["_", "use"]
