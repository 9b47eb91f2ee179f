"""The web server: it listens, prints its address, and stops on request."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from .auth import Access, add_headers

if TYPE_CHECKING:
    from .app import App


def serve(app: App, host: str, port: int, open_browser: bool, tell: Callable[[str], None]) -> None:
    """Serve the page until the user ends it (Ctrl-C, SIGTERM).

    Parameters
    ----------
    app : App
    host, port :
        Where to listen; port 0 takes a free one.
    open_browser : bool
        Whether the user's browser opens with the page.
    tell : callable
        Is given the lines for the user, the first of them once the page answers.
    """
    access = Access()
    server = app.server

    @server.controller.add("on_server_bind")
    def bind(web_server) -> None:
        web_server.app.middlewares.append(access.guard)
        web_server.app.on_response_prepare.append(add_headers)
        app.join(web_server.app)

    @server.controller.add("on_server_ready")
    def ready(**_) -> None:
        shown = f"[{host}]" if ":" in host else "127.0.0.1" if host in ("0.0.0.0", "localhost") else host
        address = f"http://{shown}:{server.port}/"
        tell(f"TeethSeg is at {address}?token={access.token}")
        tell("Ctrl-C ends it. Research use, not a medical device.")
        app.begin(app.keep_time())
        if open_browser:
            webbrowser.open(f"{address}?{access.entry()}")

    # The web server speaks to standard output and reads the command line unless kept from it.
    os.environ["WSLINK_READY_MSG"] = ""
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    arguments, sys.argv = sys.argv, sys.argv[:1]
    try:
        running = server.start(
            host=host,
            port=port,
            timeout=0,  # a reload of the page must not end the session
            open_browser=False,
            show_connection_info=False,
            exec_mode="coroutine",
        )
        with suppress(KeyboardInterrupt, SystemExit, asyncio.CancelledError):
            asyncio.get_event_loop().run_until_complete(running)
    finally:
        sys.argv = arguments
        app.close()
