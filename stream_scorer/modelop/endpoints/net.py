"""TCP and UDP streams. The engine connects to a TCP peer; it listens for UDP, where a datagram is a record."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence

from stream_scorer.errors import EndOfInput, TransportError, Unavailable
from stream_scorer.modelop.endpoints.base import NothingToSettle
from stream_scorer.system.polling import wait_readable

CONNECT_TIMEOUT_S = 10.0
_CHUNK = 1 << 16
_DATAGRAM = 1 << 16
_AT_ONCE = 1000


def _connect(host: str, port: int) -> socket.socket:
    try:
        connection = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
    except OSError as error:
        raise Unavailable(
            f"tcp {host}:{port}: {error}. Does anything listen there? The engine is the client."
        ) from error
    connection.settimeout(None)
    return connection


class TcpFeed(NothingToSettle):
    """Raises Unavailable when nothing listens."""

    def __init__(self, host: str, port: int) -> None:
        self._where = f"tcp {host}:{port}"
        self._socket = _connect(host, port)

    def read(self, timeout_s: float) -> list[bytes]:
        if not wait_readable(self._socket, timeout_s):
            return []
        try:
            data = self._socket.recv(_CHUNK)
        except OSError as error:
            raise TransportError(f"{self._where}: {error}") from error
        if not data:
            raise EndOfInput
        return [data]

    def close(self) -> None:
        self._socket.close()


class TcpDrain:
    """Raises Unavailable when nothing listens."""

    def __init__(self, host: str, port: int) -> None:
        self._where = f"tcp {host}:{port}"
        self._socket = _connect(host, port)

    def write(self, pieces: Sequence[bytes]) -> None:
        try:
            self._socket.sendall(b"".join(pieces))
        except OSError as error:
            raise TransportError(
                f"{self._where}: {error}. The peer has gone, and what it had not read is lost."
            ) from error

    def finish(self, linger_s: float) -> None:
        """Wait until the peer closes its side, which it does when it has read all."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(max(linger_s, 1e-3))
            while linger_s and self._socket.recv(_CHUNK):
                pass
        self._socket.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class UdpFeed(NothingToSettle):
    """Never at its end. Raises TransportError when the port is taken."""

    def __init__(self, bind_to: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in bind_to else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.bind((bind_to, port))
        except OSError as error:
            self._socket.close()
            raise TransportError(f"udp {bind_to}:{port} cannot be listened on: {error}. Is the port taken?") from error
        self._socket.setblocking(False)

    def read(self, timeout_s: float) -> list[bytes]:
        if not wait_readable(self._socket, timeout_s):
            return []
        datagrams: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while len(datagrams) < _AT_ONCE:
                datagrams.append(self._socket.recv(_DATAGRAM))
        return datagrams

    def close(self) -> None:
        self._socket.close()
