"""`App`: joins the parts of the page to one Slicer scene and one web server."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from trame.app import TrameApp
from trame_server.utils.asynchronous import create_task
from trame_slicer import module as trame_slicer_module
from trame_slicer.core import SlicerApp
from vtkmodules.vtkCommonCore import vtkLogger, vtkOutputWindow

from ..mrml.chart import chart
from .case import Case
from .chart import Chart
from .click_tools import Pointing
from .component import telling_errors
from .correction import Correcting
from .export import Exporting
from .layout import Page
from .loading import Loading
from .panorama import Panorama
from .recovery import Recovery
from .segmentation import Segmenting
from .tabs import Tabs
from .views import Views
from .worklist import Worklist


class App(TrameApp):
    """The browser app. One object serves one user; it owns the scene.

    Parameters
    ----------
    server : str or trame Server, optional
        The server to use, or its name; the process's own unless given.
    local : bool
        Whether only browsers of this computer can connect. Others may not open paths of this computer.
    state_folder : Path, optional
        Where work is kept for recovery; a folder of the user's own unless given.
    """

    def __init__(self, server=None, local: bool = True, state_folder: Path | None = None):
        super().__init__(server, client_type="vue3")
        self.local = local
        self._tasks: set[asyncio.Task] = set()
        self.server.enable_module(trame_slicer_module)
        self.server.enable_module(_Static())
        self.slicer = _quiet_slicer()
        self.case = Case(self.slicer)
        self.views = Views(self)
        self.loading = Loading(self)
        self.chart = Chart(self)
        self.segmenting = Segmenting(self)
        self.correcting = Correcting(self)
        self.pointing = Pointing(self)
        self.exporting = Exporting(self)
        self.recovery = Recovery(self, state_folder)
        self.panorama = Panorama(self)
        self.worklist = Worklist(self)
        self.tabs = Tabs(self)
        self.page = Page(self)
        self.views.follow(_Numbered(self))
        self.case.scan_changed.connect(self._on_scan_changed)
        self.case.teeth_changed.connect(self._on_teeth_changed)
        self.page.build()

    def close(self) -> None:
        """End what runs and remove temporary files."""
        self.segmenting.close()
        self.recovery.close()

    def join(self, site: web.Application) -> None:
        """Add what the page needs beside what trame serves."""
        site.middlewares.append(self.tabs.count)
        router = site.router
        self.loading.add_routes(router)
        self.exporting.add_routes(router)

    def tell(self, text: str, error: bool = True) -> None:
        """Show the user one line."""
        self.page.tell(text, error)

    def told(self, handler: Callable) -> Callable:
        """A handler whose errors are told to the user."""
        return telling_errors(self.tell, handler)

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

        def begin(*arguments) -> None:
            task = create_task(to_its_end(*arguments))
            self._tasks.add(task)  # the loop itself keeps no hold of tasks
            task.add_done_callback(self._tasks.discard)

        return begin

    def trigger(self, handler: Callable) -> str:
        """The name by which a template calls a handler."""
        return self.server.controller.trigger_name(self.on(handler))

    def _on_scan_changed(self) -> None:
        self.views.show_scan()
        self.page.data.has_scan = True
        self.page.data.opening = self.page.data.has_teeth = False

    def _on_teeth_changed(self) -> None:
        first = not self.page.data.has_teeth
        self.page.data.has_teeth = self.case.teeth_node is not None
        self.views.show_outlines(self.views.data.outlines_only)
        if first and self.case.teeth_node is not None:
            self.views.fit_teeth(self.case.teeth_node)


def _quiet_slicer() -> SlicerApp:
    """Slicer's core, which speaks to standard error of errors only."""
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)
    app = SlicerApp()
    vtkOutputWindow.GetInstance().SetDisplayModeToNever()  # it would say again what the logger says
    return app


class _Numbered:
    """The case as `ToothNumbers` sees it."""

    def __init__(self, app: App):
        self._app = app
        self.scene, self.changed, self.number = app.slicer.scene, app.chart.selection.changed, app.chart.number

    @property
    def teeth_node(self):
        return self._app.case.teeth_node

    def present(self) -> list[int]:
        return [one.fdi for one in chart(self.teeth_node) if one.present]


class _Static:
    """The page's own script and style, as trame takes them."""

    def __init__(self):
        self.serve = {"teethseg": str(Path(__file__).with_name("static"))}
        self.scripts = ["teethseg/page.js"]
        self.styles = ["teethseg/page.css"]
