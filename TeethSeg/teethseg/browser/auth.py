"""Access to the page: for browsers with the token only, and on this computer only unless the user allows others."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

# Vue compiles the page's templates in the browser ('unsafe-eval') and sets styles on elements; nothing comes from elsewhere,
# nothing goes elsewhere, and no other page may frame this one.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws: data: blob:; worker-src 'self' blob:; "
        "media-src 'self' blob:; form-action 'self'; base-uri 'self'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_DENIED = (
    "This page belongs to a running TeethSeg. Open the whole address that 'teethseg serve' printed, "
    "with everything behind the question mark."
)


def new_token() -> str:
    """A token that nobody guesses, fit for an address."""
    return secrets.token_urlsafe(24)


class Access:
    """Tokens and cookies of the browsers that have access.

    The whole address, which only the user's terminal shows, holds a token and works as often as one likes. The address that
    the browser is started with stands in its command line, which other users of the computer can read: that one works once.
    Either is exchanged for a cookie at once, so that no address bar or history entry keeps it.

    Attributes
    ----------
    token : str
        Of the address for the terminal.
    """

    def __init__(self, token: str | None = None):
        self.token = token or new_token()
        self._entries: set[str] = set()  # addresses that still work once
        self._cookies: set[str] = set()

    def entry(self) -> str:
        """The query of an address that works once."""
        code = new_token()
        self._entries.add(code)
        return f"once={code}"

    @web.middleware
    async def guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """An aiohttp middleware that lets nothing through, pages, files or web sockets, without a cookie of this server."""
        # Cookies do not tell ports apart, and another TeethSeg may run on the next one.
        if request.transport is None:  # the browser has gone
            return web.Response(status=403, headers=HEADERS)
        name = f"teethseg-{request.transport.get_extra_info('sockname')[1]}"
        if self._is_entry(request):
            cookie = new_token()
            self._cookies.add(cookie)
            entry = web.HTTPSeeOther(request.path, headers=HEADERS)
            entry.set_cookie(name, cookie, httponly=True, samesite="Strict")
            raise entry
        if not _any_same(request.cookies.get(name, ""), self._cookies):
            return web.Response(status=403, text=_DENIED, headers=HEADERS)
        # The cookie travels with a page of another port of this computer too; its origin tells.
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.host:
            return web.Response(status=403, text=_DENIED, headers=HEADERS)
        return await handler(request)

    def _is_entry(self, request: web.Request) -> bool:
        if _any_same(request.query.get("token", ""), {self.token}):
            return True
        once = request.query.get("once", "")
        if _any_same(once, self._entries):
            self._entries.discard(once)
            return True
        return False


def _any_same(given: str, wanted: set[str]) -> bool:
    """Whether a text is one of some secrets; takes the same time wherever it differs."""
    return any([hmac.compare_digest(given.encode("utf-8", "replace"), one.encode()) for one in wanted])


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """A signal handler of aiohttp: tells browsers what they may do with the answers of this server."""
    response.headers.update(HEADERS)
