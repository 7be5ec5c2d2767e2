"""WebSockets as uvicorn and websockets speak them, with a limit on what a client sends: listeners have nothing to say."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from stream_scorer.modelop.server.connections import Connection, Connections, Phase

MAX_MESSAGE = 16 << 10
"""Most bytes of a message from a client."""
_ALLOWED = 64 << 10
_REFILL_A_S = 1024
"""Bytes that a client may send, and how many of them come back each second. Each ping of a client is answered, whether it
reads the answers or not."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One connection that has become a WebSocket. `scope["connection"]` is the Connection."""

    def __init__(self, connection: Connection, connections: Connections, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._connection = connection
        self._connections = connections
        self._allowed, self._counted = float(_ALLOWED), time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.enter(Phase.BUSY)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._connections.remove(self._connection)

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["connection"] = self._connection  # type: ignore[typeddict-unknown-key]

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._allowed = min(_ALLOWED, self._allowed + _REFILL_A_S * (now - self._counted)) - len(data)
        self._counted = now
        if self._allowed < 0:
            self._connections.malformed += 1
            self._connection.drop()
            return
        super().data_received(data)

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True  # or uvicorn logs that a refusal was not complete

    def pause_writing(self) -> None:
        self._connection.blocked(True)
        super().pause_writing()

    def resume_writing(self) -> None:
        self._connection.blocked(False)
        super().resume_writing()
