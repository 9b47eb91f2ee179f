"""`App`: the parts of the page, joined to one Slicer scene and one web server."""

from __future__ import annotations

import asyncio

from aiohttp import web

from .annotation import Annotating
from .brushes import Brushes
from .chart import Chart
from .correction import Correcting
from .export import Exporting
from .host import Host
from .layout import Page
from .loading import Loading
from .panorama import Panorama
from .recovery import Recovery
from .segmentation import Segmenting
from .tabs import Tabs
from .view_clicks import ViewClicks
from .views import Views

TICK = 1.0  # seconds between two looks at whether work is to be kept


class App(Host):
    """The browser app. One object serves one user; it owns the scene. Parameters are those of `Host`."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.page = Page(self)
        self.views = Views(self)
        self.clicks = ViewClicks(self)
        self.loading = Loading(self)
        self.chart = Chart(self)
        self.segmenting = Segmenting(self)
        self.correcting = Correcting(self)
        self.brushes = Brushes(self)
        self.recovery = Recovery(self)
        self.exporting = Exporting(self)
        self.annotating = Annotating(self)
        self.panorama = Panorama(self)
        self.tabs = Tabs(self)
        self.page.build()

    def close(self) -> None:
        """End what runs and remove temporary files."""
        self.loading.close()
        self.segmenting.close()
        self.exporting.tasks.cancel()
        self.work.close()

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
                self.guarded(self.work.autosave.tick)()
                self.annotating.show_time()
