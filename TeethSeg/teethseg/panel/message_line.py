"""The line below a button that tells the outcome, also of work in another process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..application.background_tasks import BackgroundTask
from ..application.failures import Kind, failure_text
from ..application.i18n import _
from .context import Context
from .option_widgets import say


class MessageLine:
    """See module.

    Attributes
    ----------
    working : bool
        Whether a task that was ordered here is under way.
    """

    def __init__(self, context: Context, label):
        self._context, self._label = context, label
        self.working = False
        self.say("")

    def say(self, text: str, kind: Kind = "info", details: str = "") -> None:
        """Show a text; an error that nobody expected also gets a window with its details."""
        say(self._label, text, kind)
        if details:
            self._context.tell(text, kind, details)

    def telling(self, act: Callable, *arguments) -> Any:
        """Do something; an error ends in the line, and the result is None then."""
        try:
            return act(*arguments)
        except Exception as error:
            self.say(*failure_text(error))
            return None

    def order(
        self, task: BackgroundTask, name: str, done: Callable[[dict], None], ended: Callable[[], None] = lambda: None
    ) -> None:
        """Have something made by another process.

        Parameters
        ----------
        task : BackgroundTask
        name : str
            The product, in words for the user.
        done : callable
            Called with the result; shows the outcome.
        ended : callable, optional
            Called at the end, also after a failure.
        """

        def end(act: Callable, *arguments) -> None:
            self.working = False
            self.telling(act, *arguments)
            ended()

        tasks = self._context.tasks
        self.say(_("{name} is being made …").format(name=name))
        tasks.start(task, name, functools.partial(end, done), functools.partial(end, self.say))
        self.working = tasks.working
