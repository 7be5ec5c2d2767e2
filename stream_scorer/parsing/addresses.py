"""HOST:PORT and URLs as people write them, and sockets that listen on an address."""

from __future__ import annotations

import ipaddress
import socket
import urllib.parse
from typing import NamedTuple

from stream_scorer.errors import SettingsError

LOOPBACK = "127.0.0.1"
MAX_PORT = 65_535


class Address(NamedTuple):
    """host: a name or an IP address, without brackets. port: 0 stands for any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def plus(self, number: int) -> Address:
        """The same host with the port of worker `number`: port + number. Port 0 stays 0."""
        return self if self.port == 0 else Address(self.host, self.port + number)


def read_address(text: str, flag: str, ports: int = 1) -> Address:
    """Parse HOST:PORT, [IPV6]:PORT, or PORT alone, which means loopback. Raises SettingsError.

    Args:
        flag: name of the setting, for the error text.
        ports: how many consecutive ports are needed, this one first.
    """
    host, _, port = text.rpartition(":")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise SettingsError(
            f"{flag} {text}: an IPv6 address needs brackets. Write [::1]:9000, or [::]:9000 for all addresses."
        )
    if not (port.isascii() and port.isdecimal()) or len(port) > 5 or int(port) + ports - 1 > MAX_PORT:
        raise SettingsError(
            f"{flag} {text}: expected a port from 0 to {MAX_PORT}{', with one for each worker' if ports > 1 else ''}. "
            "Give HOST:PORT, [IPV6]:PORT or PORT."
        )
    if host.startswith("["):
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise SettingsError(
                f"{flag} {text}: [{host}] is not an IPv6 address. Only IPv6 addresses have brackets."
            ) from None
    return Address(host or LOOPBACK, int(port))


def is_url(text: str) -> bool:
    """Whether `text` is an http or https URL with a host."""
    try:
        parts = urllib.parse.urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def listen(address: Address, flag: str) -> socket.socket:
    """A listening TCP socket: from now on clients are queued, not refused. Raises SettingsError if it cannot listen."""
    listener = None
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # [::] then takes IPv4, too
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(place)
        listener.listen(2048)
    except (OSError, UnicodeError) as error:  # UnicodeError: not a valid host name
        if listener is not None:
            listener.close()
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{flag} {address}: cannot listen on it ({reason}). Give a free HOST:PORT.") from error
    return listener
