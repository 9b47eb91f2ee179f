"""`Downloads`: files for the browser to fetch, each under an unguessable key."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from ..errors import TeethSegError
from .i18n import _


class Downloads:
    """See module; files lie below a folder that is removed when the session ends."""

    def __init__(self, root: Path):
        self._root = root
        self._files: dict[str, Path] = {}

    def new_folder(self) -> Path:
        """An empty folder to make a file in.

        Raises
        ------
        TeethSegError
            If it cannot be made.
        """
        folder = self._root / secrets.token_urlsafe(12)
        try:
            folder.mkdir()
        except OSError as error:
            text = _("The file cannot be made ({reason}): free some space.")
            raise TeethSegError(text.format(reason=error.strerror)) from error
        return folder

    def offer(self, path: Path) -> str:
        """Offer a file that lies in a folder of `new_folder`; returns the key that it is fetched by."""
        self._files[path.parent.name] = path
        return path.parent.name

    def find(self, key: str) -> Path | None:
        """The file of a key; None if it is no longer offered."""
        return self._files.get(key)

    def clear(self) -> None:
        """Remove all files that are offered."""
        for path in self._files.values():
            shutil.rmtree(path.parent, ignore_errors=True)
        self._files.clear()
