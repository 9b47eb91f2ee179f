"""Checks the address and port of `teethseg serve` before heavy packages are loaded."""

from __future__ import annotations

import ipaddress
import os
import socket

from ..errors import UsageError

CONSENT = "--i-know-that-others-can-connect"


def check_host(host: str, consent: bool) -> None:
    """Refuse to listen on an address that other computers can reach, without the user's consent.

    Raises
    ------
    UsageError
        If consent is needed and was not given.
    """
    if not consent and not is_loopback(host):
        raise UsageError(
            f"With --host {host} other computers can connect: whoever gets the address sees and changes the scan, and "
            f"the connection is not encrypted. Leave --host away, or add {CONSENT} if that is what you want."
        )


def is_loopback(host: str) -> bool:
    """Whether only this computer can connect to an address or host name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_port(host: str, port: int) -> None:
    """Refuse a port that is in use; 0 means any free port.

    Raises
    ------
    UsageError
        If the server cannot listen there.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UsageError(f"{host} is no address of this computer: leave --host away.") from error
    with socket.socket(family, kind, protocol) as probe:
        if os.name == "posix":  # as the server itself does; on Windows this would allow a port in use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise UsageError(
                f"Port {port} of {host} cannot be used ({error.strerror}): choose another --port, or leave it away."
            ) from error
