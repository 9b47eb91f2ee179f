"""Whether the surfaces of a scene are made at once or in the background; its window decides. Imports no other module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Tell = Callable[[Any], None]


def in_background(scene, tell: Tell | None) -> None:
    """From now on `tell` is called with each segmentation whose surfaces are to be made; None has them made at once again."""
    scene.teethseg_background = tell


def background_of(scene) -> Tell | None:
    """The function that is called with work for later; None if surfaces are made at once."""
    return getattr(scene, "teethseg_background", None) if scene is not None else None
