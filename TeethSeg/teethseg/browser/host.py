"""`Host`: the open case, Slicer's core, the web server, and how handlers run; the page's components build on it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from trame.app import get_server
from trame_server.utils.asynchronous import create_task
from trame_slicer import module as trame_slicer_module
from trame_slicer.core import SlicerApp
from vtkmodules.vtkCommonCore import vtkLogger, vtkOutputWindow

from ..application.compute import Compute
from ..application.failures import guarded
from ..application.opened_scan import OpenedScan
from ..application.session_work import SessionWork
from ..application.workspace import Workspace

log = logging.getLogger("teethseg.browser")
POLL = 0.1  # seconds between two looks at another process
REST = 0.2  # seconds after which a user who scrolls has paused
BREATH = 0.05  # seconds between slices of work in the background: a message of the page takes several turns of the loop


class Host(Workspace):
    """Base of `app.App`, which adds the components.

    Parameters
    ----------
    server : str or trame Server, optional
        The server to use, or its name; the process's own unless given.
    local : bool
        Whether only browsers of this computer can connect. Others may not open paths of this computer.
    state_folder : Path, optional
        Where work is kept for recovery; a folder of the user's own unless given.
    compute : Compute, optional
        How longer work is done; in the background unless given.
    """

    def __init__(
        self, server=None, local: bool = True, state_folder: Path | None = None, compute: Compute | None = None
    ):
        self.page: Any = None  # `layout.Page`, which `App` adds
        self.server = get_server(server, client_type="vue3")
        self.server.enable_module(trame_slicer_module)
        self.server.enable_module(_Static())
        self.local = local
        self._tasks: set[asyncio.Task] = set()
        self.slicer = _quiet_slicer()
        between, at_rest = (partial(self.later, pause=seconds) for seconds in (BREATH, REST))
        super().__init__(self.slicer.scene, self.ask, self.later, compute or self.compute, between, at_rest)
        self.opened = OpenedScan(self.case)
        self.work = SessionWork(self.case, self.opened, state_folder)

    async def while_it_works(self, working: Callable[[], bool], poll: Callable[[], None]) -> None:
        """Take in the messages of another process, until it ends."""
        while working():
            await asyncio.sleep(POLL)
            with self.server.state:
                self.guarded(poll)()

    def tell(self, text: str, kind: str = "info", details: str = "") -> None:
        """Show the user one line."""
        if details:
            log.error(details)
        self.page.tell(text, kind, details)

    def ask(self, text: str, options, answer: Callable[[int | None], None]) -> None:
        """Ask the user (`application.questions.Ask`)."""
        self.page.ask(text, options, self.guarded(answer))

    def guarded(self, handler: Callable) -> Callable:
        """A handler whose errors are told to the user."""
        return guarded(handler, self.tell)

    def on(self, handler: Callable) -> Callable:
        """A handler for a control of the page. One that is asynchronous goes on in the background.

        The web server takes a page's messages one after the other: waiting for a handler would keep Cancel waiting too.
        """
        guarded_handler = self.guarded(handler)
        if not inspect.iscoroutinefunction(handler):
            return guarded_handler

        async def to_its_end(*arguments) -> None:
            await guarded_handler(*arguments)
            self.server.state.flush()

        return lambda *arguments: self.begin(to_its_end(*arguments))

    def trigger(self, handler: Callable) -> str:
        """The name by which a template calls a handler."""
        return self.server.controller.trigger_name(self.on(handler))

    def later(self, handler: Callable[[], Any], pause: float = 0.0) -> Callable:
        """A function that has a handler called once the events of the scene are over, however often it is called.

        With a pause, the handler is called once the function was not called for so many seconds.
        """
        guarded_handler = self.guarded(handler)
        due: list[asyncio.TimerHandle] = []

        def run() -> None:
            due.clear()
            with self.server.state:
                guarded_handler()

        def call(*_event) -> None:
            while due:
                due.pop().cancel()
            due.append(asyncio.get_event_loop().call_later(pause, run))

        return call

    def compute(
        self, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        """Do `work` in the background (`application.compute.Compute`)."""

        async def run() -> None:
            try:
                result = await asyncio.to_thread(work)
            except Exception as error:
                with self.server.state:
                    self.guarded(failed)(error)
                return
            with self.server.state:
                self.guarded(done)(result)

        self.begin(run())

    def begin(self, work: Coroutine) -> None:
        """Begin something in the background."""
        task = create_task(work)
        self._tasks.add(task)  # the loop itself keeps no hold of tasks
        task.add_done_callback(self._tasks.discard)


def _quiet_slicer() -> SlicerApp:
    """Slicer's core, which speaks to standard error of errors only."""
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)
    app = SlicerApp()
    vtkOutputWindow.GetInstance().SetDisplayModeToNever()  # it would repeat the logger
    return app


class _Static:
    """The page's own script and style, as trame takes them."""

    def __init__(self):
        self.serve = {"teethseg": str(Path(__file__).with_name("static"))}
        self.scripts = ["teethseg/page.js"]
        self.styles = ["teethseg/page.css"]
