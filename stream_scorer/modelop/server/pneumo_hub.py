"""Pneumo: sends events of the fleet to listeners as messages, and keeps the last of them (rule `h.pneumo`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from starlette.websockets import WebSocket, WebSocketDisconnect

HISTORY = 60
REPORTS = 20
"""Most sensor reports in the history: eight reports every two seconds would displace all other messages."""
MAX_MESSAGE = 1 << 20
"""Characters of a message. The texts of a longer one are cut."""
MAX_HISTORY = 4 << 20
"""Characters of the history: older messages go."""
_WAITING, _WAITING_CHARACTERS = 1000, 4 << 20
"""Messages kept for a slow listener; the oldest are dropped."""
_MOST_PARTS = 100


class _Message(NamedTuple):
    fields: Mapping[str, Any]
    text: str


class PneumoHub:
    """Takes messages from any thread; listeners run on the event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._history: list[_Message] = []
        self._listeners: set[_Listener] = set()

    def publish(self, src: str, event: Mapping[str, Any]) -> None:
        """Send an event, a dict with `type` and the fields of that type. `src`: name of the instance. Does not block."""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        message = _bounded({"src": src, "timestamp": now, **event})
        with self._lock:
            self._history.append(message)
            reports = [kept for kept in self._history if kept.fields.get("type") == "sensor-report"]
            if len(reports) > REPORTS:
                self._history.remove(reports[0])
            del self._history[:-HISTORY]
            while sum(len(kept.text) for kept in self._history) > MAX_HISTORY:
                del self._history[0]
            listeners = [*self._listeners]
        for listener in listeners:
            listener.offer(message)

    def history(self, filters: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """Return the last messages, the oldest first. `filters` may have `src` and `type`."""
        with self._lock:
            return [message.fields for message in self._history if _passes(message.fields, filters)]

    async def serve(self, socket: WebSocket) -> None:
        """Serve one listener until it disconnects. `src` and `type` of the query filter its messages."""
        await socket.accept()
        listener = _Listener(dict(socket.query_params), asyncio.get_running_loop())
        with self._lock:
            self._listeners.add(listener)
        reader = asyncio.create_task(_wait_for_disconnect(socket))
        try:
            while not reader.done():
                some = asyncio.create_task(listener.some.wait())
                await asyncio.wait({some, reader}, return_when=asyncio.FIRST_COMPLETED)
                if not some.done():
                    some.cancel()
                    break
                for text in listener.take():
                    await socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError):
            pass  # disconnected while we sent
        finally:
            with self._lock:
                self._listeners.discard(listener)
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader


class _Listener:
    """some: set while messages wait, on the event loop."""

    def __init__(self, filters: Mapping[str, str], loop: asyncio.AbstractEventLoop) -> None:
        self._filters = filters
        self._loop = loop
        self._lock = threading.Lock()
        self._texts: deque[str] = deque()
        self._characters = 0
        self.some = asyncio.Event()

    def offer(self, message: _Message) -> None:
        """Queue a message if it passes the filters. Safe from any thread."""
        if not _passes(message.fields, self._filters):
            return
        with self._lock:
            first = not self._texts
            self._texts.append(message.text)
            self._characters += len(message.text)
            while len(self._texts) > _WAITING or self._characters > _WAITING_CHARACTERS:
                self._characters -= len(self._texts.popleft())
        if first:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the listener with it
                self._loop.call_soon_threadsafe(self.some.set)

    def take(self) -> list[str]:
        """Return what waits. On the event loop."""
        with self._lock:
            texts = [*self._texts]
            self._texts.clear()
            self._characters = 0
            self.some.clear()
            return texts


def _bounded(message: Mapping[str, Any]) -> _Message:
    """Return a message with its JSON; one that is longer than MAX_MESSAGE with its texts cut."""
    text = json.dumps(message, default=str)
    if len(text) <= MAX_MESSAGE:
        return _Message(message, text)
    cut = {name: _cut(value, MAX_MESSAGE // (8 * len(message))) for name, value in message.items()}
    return _Message(cut, json.dumps(cut, default=str))


def _cut(value: Any, most: int) -> Any:
    """Return a value of which no more than about `most` characters are left: a character may take six in JSON."""
    if isinstance(value, str):
        return value if len(value) <= most else f"{value[:most]} ... [{len(value) - most:,} characters were cut]"
    if isinstance(value, Mapping):
        return {str(name)[:100]: _cut(item, most // _parts(value)) for name, item in [*value.items()][:_MOST_PARTS]}
    if isinstance(value, list | tuple):
        return [_cut(item, most // _parts(value)) for item in value[:_MOST_PARTS]]
    return value


def _parts(value: Any) -> int:
    return max(1, min(len(value), _MOST_PARTS))


def _passes(message: Mapping[str, Any], filters: Mapping[str, str]) -> bool:
    return all(message.get(name) == filters[name] for name in ("src", "type") if filters.get(name))


async def _wait_for_disconnect(socket: WebSocket) -> None:
    """Read and drop what a listener sends, text or bytes."""
    with contextlib.suppress(RuntimeError):
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass
