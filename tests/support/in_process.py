"""The engine's ASGI application with a real fleet behind it, in this process, without a socket.

Requests go in as a server hands them on: any bytes, in the path too, and nothing between the test and the application.
"""

from __future__ import annotations

import asyncio
import json
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from stream_scorer.modelop.server.app import make_app
from stream_scorer.modelop.server.bodies import Bodies
from stream_scorer.modelop.server.connections import Connections
from stream_scorer.modelop.server.hosted_fleet import HostedFleet
from stream_scorer.modelop.server.probes import Traffic
from stream_scorer.modelop.server.settings import EngineSettings, baked_from
from stream_scorer.modelop.server.store import Store

MAX_BODY = 4 << 20


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class InProcess:
    """Connect, Model Manage and one engine, for the time of the block."""

    def __init__(self, folder: Path) -> None:
        self._store = Store(folder / "store.sqlite")
        self.fleet = HostedFleet(EngineSettings(), baked_from({}), self._store, ("127.0.0.1", 8003))
        bodies = Bodies(MAX_BODY, MAX_BODY)
        self.app = make_app(self.fleet, bodies, Traffic(Connections(4), bodies))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.fleet.close()
        self._store.close()

    def ask(
        self,
        method: str,
        path: str | bytes,
        body: Any = b"",
        headers: Mapping[str, str | bytes] | None = None,
        query: str = "",
    ) -> Answer:
        """A request. A path of bytes is percent-encoded already; a `body` that is not bytes is sent as JSON."""
        raw = path if isinstance(path, bytes) else urllib.parse.quote(path).encode()
        given = {"host": "localhost"} | dict(headers or {})
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": urllib.parse.unquote(raw.decode("ascii")),
            "raw_path": raw,
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), _bytes(value)) for name, value in given.items()],
        }
        return asyncio.run(self._call(scope, body if isinstance(body, bytes) else json.dumps(body).encode()))

    async def _call(self, scope: dict[str, Any], body: bytes) -> Answer:
        sent: list[Mapping[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)  # type: ignore[arg-type]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
