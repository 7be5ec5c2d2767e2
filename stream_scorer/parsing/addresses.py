"""Where servers are: HOST:PORT and URLs as people write them, and the socket that ours listen on."""

from __future__ import annotations

import ipaddress
import socket
import urllib.parse
from typing import NamedTuple

from stream_scorer.errors import SettingsError

LOOPBACK = "127.0.0.1"
MOST = 65_535


class Address(NamedTuple):
    """host: a name or an IP address, without brackets. port: 0 for any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def plus(self, number: int) -> Address:
        """The address of worker `number` of several. Port 0 stays: each takes one that is free."""
        return self if self.port == 0 else Address(self.host, self.port + number)


def read_address(text: str, flag: str, ports: int = 1) -> Address:
    """HOST:PORT, [IPV6]:PORT, or PORT alone, which is of loopback. Raises SettingsError.

    Args:
        flag: the setting it is of, for the text of the error.
        ports: how many ports from this one on must exist.
    """
    host, _, port = text.rpartition(":")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise SettingsError(
            f"{flag} {text}: an IPv6 address stands in brackets. Write [::1]:9000, or [::]:9000 for all."
        )
    if not (port.isascii() and port.isdecimal()) or len(port) > 5 or int(port) + ports - 1 > MOST:
        raise SettingsError(
            f"{flag} {text}: no port from 0 to {MOST}{', with one for each worker' if ports > 1 else ''}. "
            "Give HOST:PORT, [IPV6]:PORT or PORT."
        )
    if host.startswith("["):
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise SettingsError(f"{flag} {text}: [{host}] is no IPv6 address. Only such a one has brackets.") from None
    return Address(host or LOOPBACK, int(port))


def is_url(text: str) -> bool:
    """Whether it is an http or https URL with a host."""
    try:
        parts = urllib.parse.urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def listen(address: Address, flag: str) -> socket.socket:
    """A socket that listens there: clients wait from now on, rather than be refused. Raises SettingsError."""
    listener = None
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # [::] is every address, those of IPv4 too
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(place)
        listener.listen(2048)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that no name server may be asked for
        if listener is not None:
            listener.close()
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"{flag} {address}: cannot listen there ({reason}). Give HOST:PORT that is free."
        ) from error
    return listener
