"""`App`: joins what both windows do (`application`) and the parts of the page to one Slicer scene and one web server."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from aiohttp import web
from trame.app import TrameApp
from trame_server.utils.asynchronous import create_task
from trame_slicer import module as trame_slicer_module
from trame_slicer.core import SlicerApp
from vtkmodules.vtkCommonCore import vtkLogger, vtkOutputWindow

from ..application.compute import Compute
from ..application.failures import guarded
from ..application.opened_scan import OpenedScan
from ..application.workspace import Workspace
from .annotation import Annotating
from .chart import Chart
from .click_tools import Pointing
from .correction import Correcting
from .export import Exporting
from .layout import Page
from .loading import Loading
from .panorama import Panorama
from .recovery import Recovery
from .segmentation import Segmenting
from .tabs import Tabs
from .views import Views, later

log = logging.getLogger("teethseg.browser")
POLL = 0.1  # seconds between two looks at another process
TICK = 1.0  # seconds between two looks at whether work is to be kept


class App(Workspace, TrameApp):
    """The browser app. One object serves one user; it owns the scene.

    Parameters
    ----------
    server : str or trame Server, optional
        The server to use, or its name; the process's own unless given.
    local : bool
        Whether only browsers of this computer can connect. Others may not open paths of this computer.
    state_folder : Path, optional
        Where work is kept for recovery; a folder of the user's own unless given.
    compute : Compute, optional
        How what takes its time is done; beside what the user does next unless given.
    """

    def __init__(
        self, server=None, local: bool = True, state_folder: Path | None = None, compute: Compute | None = None
    ):
        TrameApp.__init__(self, server, client_type="vue3")
        self.local = local
        self._tasks: set[asyncio.Task] = set()
        self.server.enable_module(trame_slicer_module)
        self.server.enable_module(_Static())
        self.slicer = _quiet_slicer()
        Workspace.__init__(self, self.slicer.scene, self.ask, later, compute or self.compute)
        self.opened = OpenedScan(self.case)
        self.page = Page(self)
        self.views = Views(self)
        self.pointing = Pointing(self)
        self.loading = Loading(self)
        self.chart = Chart(self)
        self.segmenting = Segmenting(self)
        self.correcting = Correcting(self)
        self.recovery = Recovery(self, state_folder)
        self.exporting = Exporting(self)
        self.annotating = Annotating(self)
        self.panorama = Panorama(self)
        self.tabs = Tabs(self)
        self.page.build()

    def close(self) -> None:
        """End what runs and remove temporary files."""
        self.loading.close()
        self.segmenting.close()
        self.exporting.errands.cancel()
        self.recovery.close()

    def join(self, site: web.Application) -> None:
        """Add what the page needs beside what trame serves."""
        site.middlewares.append(self.tabs.count)
        self.loading.add_routes(site.router)
        self.exporting.add_routes(site.router)

    async def keep_time(self) -> None:
        """Do what is due each second."""
        while True:
            await asyncio.sleep(TICK)
            with self.server.state:
                self.told(self.recovery.autosave.tick)()
                self.annotating.show_time()

    async def while_it_works(self, working: Callable[[], bool], poll: Callable[[], None]) -> None:
        """Take in what another process says, until it ends."""
        while working():
            await asyncio.sleep(POLL)
            with self.server.state:
                self.told(poll)()

    def tell(self, text: str, kind: str = "info", details: str = "") -> None:
        """Show the user one line."""
        if details:
            log.error(details)
        self.page.tell(text, kind, details)

    def ask(self, text: str, options, answer: Callable[[int | None], None]) -> None:
        """Ask the user (`application.questions.Ask`)."""
        self.page.ask(text, options, self.told(answer))

    def told(self, handler: Callable) -> Callable:
        """A handler whose errors are told to the user."""
        return guarded(handler, self.tell)

    def on(self, handler: Callable) -> Callable:
        """A handler for a control of the page. One that takes its time goes on beside what the user does next.

        The web server takes a page's messages one after the other: waiting for a handler would keep Cancel waiting too.
        """
        told = self.told(handler)
        if not inspect.iscoroutinefunction(handler):
            return told

        async def to_its_end(*arguments) -> None:
            await told(*arguments)
            self.server.state.flush()

        return lambda *arguments: self.begin(to_its_end(*arguments))

    def trigger(self, handler: Callable) -> str:
        """The name by which a template calls a handler."""
        return self.server.controller.trigger_name(self.on(handler))

    def compute(
        self, work: Callable[[], Any], done: Callable[[Any], None], failed: Callable[[Exception], None]
    ) -> None:
        """Do `work` beside what the user does next (`application.compute.Compute`)."""

        async def run() -> None:
            try:
                result = await asyncio.to_thread(work)
            except Exception as error:
                with self.server.state:
                    self.told(failed)(error)
                return
            with self.server.state:
                self.told(done)(result)

        self.begin(run())

    def begin(self, work: Coroutine) -> None:
        """Do something beside what the user does next."""
        task = create_task(work)
        self._tasks.add(task)  # the loop itself keeps no hold of tasks
        task.add_done_callback(self._tasks.discard)


def _quiet_slicer() -> SlicerApp:
    """Slicer's core, which speaks to standard error of errors only."""
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)
    app = SlicerApp()
    vtkOutputWindow.GetInstance().SetDisplayModeToNever()  # it would say again what the logger says
    return app


class _Static:
    """The page's own script and style, as trame takes them."""

    def __init__(self):
        self.serve = {"teethseg": str(Path(__file__).with_name("static"))}
        self.scripts = ["teethseg/page.js"]
        self.styles = ["teethseg/page.css"]
