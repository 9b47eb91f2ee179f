"""`Context`: the panel's workspace with its widgets, dialogs and timers, which all sections share."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any

import qt

from ..application.background_tasks import BackgroundTask, TaskProcess, TaskRunner
from ..application.correction_tools import CorrectionTools
from ..application.failures import Kind, guarded
from ..application.packages import worker_python
from ..application.placed_points import YELLOW, PlacedPoints
from ..application.workspace import Workspace
from .option_widgets import remember, remembered

log = logging.getLogger("teethseg.panel")
POLL = 100  # milliseconds between two looks at another process
REST = 200  # milliseconds after which a user who scrolls has paused


def start_task(task: BackgroundTask) -> TaskProcess:
    """Start the process of a task."""
    return TaskProcess(task, worker_python())


class Context(Workspace):
    """See module.

    Parameters
    ----------
    ui : namespace of widgets
    scene : vtkMRMLScene
    dialogs : Dialogs
    prepare : callable
        Makes sure that all packages are there; returns whether to go on.

    Attributes
    ----------
    parameters : Parameters or None
        The panel's state in the scene as it is now; None while a scene is closing.
    """

    def __init__(self, ui, scene, dialogs, prepare: Callable[[], bool]):
        self.ui, self.dialogs, self.prepare = ui, dialogs, prepare
        self.parameters: Any = None
        self._timers: list = []
        super().__init__(scene, self.ask, self.later, at_rest=functools.partial(self.later, pause=REST))
        self.seeds = PlacedPoints(scene, "seed", YELLOW, self.later)
        self.tools = CorrectionTools(self.case, self.seeds)
        self.tasks = TaskRunner(start_task)
        self._task_timer = self.every(POLL, self.tasks.poll)
        self.tasks.changed.connect(self._on_task)

    def _on_task(self) -> None:
        if self.tasks.working != self._task_timer.active:
            (self._task_timer.start if self.tasks.working else self._task_timer.stop)()

    def tell(self, text: str, kind: Kind, details: str = "") -> None:
        """Tell the user; an error that nobody expected gets a window with its details, and a line in Slicer's log."""
        if details:
            log.error(details)
            self.dialogs.error(text, details)
        else:
            self.case.message.emit(text, kind, "")

    def keep(self, name: str, value: str) -> None:
        """Keep a choice with the scene."""
        setattr(self.parameters, name, value)

    def ask(self, text: str, options: Sequence[str], answer: Callable[[int | None], None]) -> None:
        """Ask the user, and wait for the answer."""
        answer(self.dialogs.choose(text, options))

    def choose_folder(self, title: str, key: str) -> str:
        """A folder that the user chooses, the next time from there; empty if none."""
        folder = self.dialogs.folder(title, remembered(key))
        if folder:
            remember(key, folder)
        return folder

    def remember_path(self, path, key: str) -> None:
        """Show the setting of this computer in a path widget, and store what the user chooses there."""
        path.currentPath = remembered(key)
        self.connect(path, "currentPathChanged(QString)", lambda text: remember(key, text))

    def guarded(self, handler: Callable) -> Callable:
        """A handler whose errors are told to the user; outside of Slicer's own calls they would be lost."""
        return guarded(handler, self.tell)

    def later(self, handler: Callable[[], Any], pause: int = 0) -> Callable:
        """Make a function that has a handler called once, after the current event, however often the function is called.

        For events of the scene, during which nodes must not be removed. With a pause, the handler is called once the function
        was not called for so many milliseconds.
        """
        timer = self.every(pause, handler)
        timer.setSingleShot(True)
        return lambda *_event: timer.start(pause)

    def every(self, milliseconds: int, handler: Callable[[], Any]):
        """Make a timer that calls a handler repeatedly after its start."""
        timer = qt.QTimer()
        timer.setInterval(milliseconds)
        timer.connect("timeout()", self.guarded(handler))
        self._timers.append(timer)
        return timer

    def close(self) -> None:
        """Stop all timers and the task."""
        self.tasks.cancel()
        for timer in self._timers:
            timer.stop()

    def clicked(self, name: str, handler: Callable[[], Any]) -> None:
        """Call a handler when the button of that name is clicked."""
        handler = self.guarded(handler)
        getattr(self.ui, name).connect("clicked(bool)", lambda _checked=False: handler())

    def add_action(self, menu, text: str, act: Callable[[], Any], enabled: bool = True) -> None:
        """Add an entry to a menu."""
        action, act = qt.QAction(text, menu), self.guarded(act)
        action.enabled = enabled
        action.connect("triggered(bool)", lambda _checked=False: act())
        menu.addAction(action)

    def connect(self, widget, signal: str, handler: Callable) -> None:
        """Call a handler with the arguments of a widget's signal."""
        widget.connect(signal, self.guarded(handler))
