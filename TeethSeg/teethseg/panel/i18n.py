"""`_`: the user's language in Slicer, plain English outside.

Slicer's function is handed on as it is, for it finds the translation by the file that calls it.
"""

from __future__ import annotations

try:
    from slicer.i18n import tr as _
except ImportError:  # outside 3D Slicer there is nothing to translate with

    def _(text: str) -> str:
        return text


__all__ = ["_"]
