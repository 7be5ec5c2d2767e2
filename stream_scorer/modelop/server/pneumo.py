"""Pneumo: what happens on the fleet, as messages to whoever listens, and the last of them [h]."""

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
"""Most sensor reports in the history: eight of them every two seconds would leave room for nothing else."""
_WAITING = 1000
"""Messages kept for a listener that is slow; the oldest go."""


class Pneumo:
    """Messages come from any thread; listeners live on the event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._history: list[dict[str, Any]] = []
        self._listeners: set[_Listener] = set()

    def publish(self, src: str, event: Mapping[str, Any]) -> None:
        """`event` has `type` and what belongs to it; `src` is the instance's name."""
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
        with self._lock:
            return [message for message in self._history if _passes(message, filters)]

    async def serve(self, socket: WebSocket) -> None:
        """One listener, until it goes; `src` and `type` of the query filter."""
        await socket.accept()
        listener = _Listener(dict(socket.query_params), asyncio.get_running_loop())
        with self._lock:
            self._listeners.add(listener)
        reader = asyncio.create_task(_until_gone(socket))
        try:
            while not reader.done():
                message = asyncio.create_task(listener.queue.get())
                await asyncio.wait({message, reader}, return_when=asyncio.FIRST_COMPLETED)
                if not message.done():
                    message.cancel()
                    break
                await socket.send_text(json.dumps(message.result(), default=str))
        except (WebSocketDisconnect, RuntimeError):
            pass  # gone while we sent
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
        """From any thread."""
        if _passes(message, self._filters):
            with contextlib.suppress(RuntimeError):  # the loop has ended: so has the listener
                self._loop.call_soon_threadsafe(self._put, message)

    def _put(self, message: dict[str, Any]) -> None:
        if self.queue.full():
            self.queue.get_nowait()
        self.queue.put_nowait(message)


def _passes(message: Mapping[str, Any], filters: Mapping[str, str]) -> bool:
    return all(message.get(name) == filters[name] for name in ("src", "type") if filters.get(name))


async def _until_gone(socket: WebSocket) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.receive_text()
