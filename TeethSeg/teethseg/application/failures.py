"""Errors for the user: one line, its severity, and details for a report."""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable
from typing import Literal

from ..errors import TeethSegError
from .i18n import _

Kind = Literal["info", "warning", "error"]
Tell = Callable[[str, Kind, str], None]


def missing_text(error: ImportError) -> str:
    """The remedy for a missing package."""
    text = _("The package {name} is missing: press 'Install missing packages' under 'My computer'.")
    return text.format(name=error.name or error)


def failure_text(error: Exception) -> tuple[str, Kind, str]:
    """Line, kind and details of an error; only one that TeethSeg does not know has details."""
    if isinstance(error, TeethSegError):
        return str(error), "error", ""
    if isinstance(error, ImportError):
        return missing_text(error), "error", ""
    if isinstance(error, OSError) and error.filename and error.strerror:  # what the system says is plain enough
        text = _("{name} cannot be used ({reason}): check the path, its permissions and the disk.")
        return text.format(name=error.filename, reason=error.strerror), "error", ""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    text = _("An error that TeethSeg does not know ({reason}): report it, with the details, if it comes back.")
    details = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return text.format(reason=reason), "error", details


def guarded(handler: Callable, tell: Tell) -> Callable:
    """`handler`, with every error told to the user instead of lost in the window's event loop."""
    return catching(handler, lambda error: tell(*failure_text(error)))


def catching(handler: Callable, explain: Callable[[Exception], None]) -> Callable:
    """`handler`, plain or asynchronous, whose errors go to `explain` instead of to its caller."""
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
