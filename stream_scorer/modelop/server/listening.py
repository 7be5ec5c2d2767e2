"""uvicorn's server with an accept loop of its own.

That of asyncio accepts whatever comes. Without a free file descriptor it tries 2,048 times a second, and logs each time.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import logging
import resource
import socket
import ssl
from typing import Any

import uvicorn

from stream_scorer.modelop.server.connections import HEAD_S, Connection, Connections
from stream_scorer.modelop.server.http_protocol import HttpProtocol

log = logging.getLogger(__name__)
_AT_ONCE = 64
"""Connections that are accepted before the others get their turn."""
_RETRY_S = 0.2
asyncio.sslproto.SSLProtocol.max_size = 64 << 10
"""asyncio gives every TLS connection a buffer of 256 KiB at once: 100 MB for 400 clients that say nothing."""
_KEPT_FREE = 256
"""File descriptors for all else: jets, streams, the store."""


class Server(uvicorn.Server):
    """Serves on one listening socket. `connections` decides who is let in."""

    def __init__(self, config: uvicorn.Config, connections: Connections) -> None:
        super().__init__(config)
        self._table = connections

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        assert sockets is not None
        await self.lifespan.startup()
        self.servers = [_Accepting(self, sockets[0], self._table)]  # type: ignore[list-item]
        self.started = True

    def protocol(self, connection: Connection) -> HttpProtocol:
        return HttpProtocol(
            connection, self._table, config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


class _Accepting:
    """Accepts from now on. Its methods are those of asyncio.Server that uvicorn calls."""

    def __init__(self, server: Server, listener: socket.socket, connections: Connections) -> None:
        self._server = server
        self._listener = listener
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[Any]] = {self._loop.create_task(connections.watch())}
        self._retry: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._loop.add_reader(listener.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                client, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no file descriptor is free, or no memory
                log.warning("a client must wait: %s", error.strerror)
                freed = [self._connections.make_room() for _ in range(_AT_ONCE // 4)]
                self._loop.remove_reader(self._listener.fileno())
                self._retry = self._loop.call_later(_RETRY_S / 10 if any(freed) else _RETRY_S, self._again)
                return
            self._take(client, str(address[0]))

    def _again(self) -> None:
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def _take(self, client: socket.socket, peer: str) -> None:
        connection = Connection(peer, client)
        if not self._connections.add(connection):
            log.warning(
                "a client was turned away: all of %d connections have a request in hand", len(self._connections)
            )
            client.close()
            return
        client.setblocking(False)
        task = self._loop.create_task(self._serve(client, connection))
        connection.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket, connection: Connection) -> None:
        """Make the connection; a handshake of TLS comes first."""
        connection.waiting = None
        context: ssl.SSLContext | None = self._server.config.ssl
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._server.protocol(connection),
                client,
                ssl=context,
                ssl_handshake_timeout=HEAD_S if context else None,
            )
        except (OSError, asyncio.CancelledError) as error:  # OSError: ssl.SSLError, a time limit, the client left
            log.debug("%s: no connection (%s)", connection.peer, error)
            self._connections.remove(connection)

    def close(self) -> None:
        self._loop.remove_reader(self._listener.fileno())
        if self._retry is not None:
            self._retry.cancel()
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)


def most_connections(wanted: int) -> int:
    """Return `wanted`, or less if the process may not open so many files. Raises its soft limit as far as is needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + 4 * _KEPT_FREE
    if soft != resource.RLIM_INFINITY and soft < needed:
        limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        soft = limit
    room = wanted if soft == resource.RLIM_INFINITY else max(soft - _KEPT_FREE, soft // 2)
    if room < wanted:
        log.warning("%d connections at a time, not %d: the limit of open files (ulimit -n) is %d", room, wanted, soft)
    return min(room, wanted)
