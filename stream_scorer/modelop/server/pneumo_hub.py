"""Pneumo: sends events of the fleet to listeners as messages, and keeps the last of them (rule `h.pneumo`)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

HISTORY = 60
REPORTS = 20
"""Most sensor reports in the history: eight reports every two seconds would displace all other messages."""
_WAITING = 1000
"""Messages kept for a slow listener; the oldest are dropped."""


class PneumoHub:
    """Takes messages from any thread; listeners run on the event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._history: list[dict[str, Any]] = []
        self._listeners: set[_Listener] = set()

    def publish(self, src: str, event: Mapping[str, Any]) -> None:
        """Send an event, a dict with `type` and the fields of that type. `src`: name of the instance. Does not block."""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        message = {"src": src, "timestamp": now, **event}
        with self._lock:
            self._history.append(message)
            reports = [kept for kept in self._history if kept.get("type") == "sensor-report"]
            if len(reports) > REPORTS:
                self._history.remove(reports[0])
            del self._history[:-HISTORY]
            listeners = [*self._listeners]
        for listener in listeners:
            listener.offer(message)

    def history(self, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the last messages, the oldest first. `filters` may have `src` and `type`."""
        with self._lock:
            return [message for message in self._history if _passes(message, filters)]

    async def serve(self, socket: WebSocket) -> None:
        """Serve one listener until it disconnects. `src` and `type` of the query filter its messages."""
        await socket.accept()
        listener = _Listener(dict(socket.query_params), asyncio.get_running_loop())
        with self._lock:
            self._listeners.add(listener)
        reader = asyncio.create_task(_wait_for_disconnect(socket))
        try:
            while not reader.done():
                message = asyncio.create_task(listener.queue.get())
                await asyncio.wait({message, reader}, return_when=asyncio.FIRST_COMPLETED)
                if not message.done():
                    message.cancel()
                    break
                await socket.send_text(json.dumps(message.result(), default=str))
        except (WebSocketDisconnect, RuntimeError):
            pass  # disconnected while we sent
        finally:
            with self._lock:
                self._listeners.discard(listener)
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader


class _Listener:
    def __init__(self, filters: Mapping[str, str], loop: asyncio.AbstractEventLoop) -> None:
        self._filters = filters
        self._loop = loop
        self.queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_WAITING)

    def offer(self, message: dict[str, Any]) -> None:
        """Queue a message if it passes the filters. Safe from any thread."""
        if _passes(message, self._filters):
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the listener with it
                self._loop.call_soon_threadsafe(self._put, message)

    def _put(self, message: dict[str, Any]) -> None:
        if self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(message)


def _passes(message: Mapping[str, Any], filters: Mapping[str, str]) -> bool:
    return all(message.get(name) == filters[name] for name in ("src", "type") if filters.get(name))


async def _wait_for_disconnect(socket: WebSocket) -> None:
    """Read and drop what a listener sends, text or bytes."""
    with contextlib.suppress(RuntimeError):
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass
