"""Who may use the page: only a browser that was given the token, and only on this computer unless told otherwise."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from ..errors import UsageError

CONSENT = "--i-know-that-others-can-connect"
_DENIED = (
    "This page belongs to a running TeethSeg. Open the whole address that 'teethseg serve' printed, "
    "with everything behind the question mark."
)


def new_token() -> str:
    """A token that nobody guesses, fit for an address."""
    return secrets.token_urlsafe(24)


def check_host(host: str, consent: bool) -> None:
    """Refuse to serve other computers unless the user said that they know what it means.

    Raises
    ------
    UsageError
        If so.
    """
    if not consent and not is_loopback(host):
        raise UsageError(
            f"With --host {host} other computers can connect: whoever gets the address sees and changes the scan, and "
            f"the connection is not encrypted. Leave --host away, or add {CONSENT} if that is what you want."
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def guard(token: str) -> Callable:
    """An aiohttp middleware that lets nothing through, pages, files or web sockets, without the token.

    The token comes in the address once and then in a cookie, so that no address bar or history entry keeps it for long.
    """

    @web.middleware
    async def guarded(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        # Cookies do not tell ports apart, and another TeethSeg may run on the next one.
        cookie = f"teethseg-{request.transport.get_extra_info('sockname')[1]}"
        given = request.query.get("token", "")
        if given and hmac.compare_digest(given.encode(), token.encode()):
            entry = web.HTTPSeeOther(request.path)
            entry.set_cookie(cookie, token, httponly=True, samesite="Lax")
            raise entry
        if not hmac.compare_digest(request.cookies.get(cookie, "").encode(), token.encode()):
            return web.Response(status=403, text=_DENIED)
        # The cookie travels with a page of another port of this computer too; its origin tells.
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.host:
            return web.Response(status=403, text=_DENIED)
        return await handler(request)

    return guarded
