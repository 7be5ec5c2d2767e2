"""Receives Pneumo's messages over a WebSocket."""

from __future__ import annotations

import json
import urllib.parse
from types import TracebackType
from typing import Any

from stream_scorer.errors import SettingsError, Unavailable
from stream_scorer.modelop.client.fleet_client import CONNECT, PREFIX, Fleet

try:
    from websockets.exceptions import ConnectionClosed, InvalidHandshake
    from websockets.sync.client import connect
except ModuleNotFoundError as error:
    raise SettingsError("this needs websockets: pip install 'stream-scorer[engine]'.") from error


class PneumoListener:
    """Connected by its constructor. Not safe from several threads. Raises Unavailable."""

    def __init__(self, fleet: Fleet, **filters: str) -> None:
        """`filters`: src, type."""
        server = fleet.server
        query = "?" + urllib.parse.urlencode(filters) if filters else ""
        url = f"ws{server.url.removeprefix('http')}{PREFIX}/{CONNECT}/2/pneumo{query}"
        try:
            self._socket = connect(url, ssl=server.tls, additional_headers=dict(server.headers), proxy=None)
        except (OSError, InvalidHandshake) as error:
            raise Unavailable(f"{url}: no WebSocket there ({error}).") from error

    def __enter__(self) -> PneumoListener:
        self._socket.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.__exit__(kind, error, trace)

    def next(self, timeout_s: float | None = None) -> dict[str, Any] | None:
        """Return the next message, None if none comes within `timeout_s` (None: wait for ever).

        Raises Unavailable: the server has closed the connection.
        """
        try:
            message: dict[str, Any] = json.loads(self._socket.recv(timeout_s))
        except TimeoutError:
            return None
        except ConnectionClosed as error:
            raise Unavailable("Pneumo: the server has closed the connection.") from error
        return message
