"""An HTTP server for probes and metrics: GET and HEAD, one request a connection, all connections in one thread.

It has no credentials, so whoever reaches the port may try to hold it: connections, bytes and times are bounded. A client
that says nothing, reads nothing or sends without end loses its connection, first to time and under load to newer clients.
"""

from __future__ import annotations

import contextlib
import email.utils
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 100
"""Connections at once. One more, and the oldest that is least likely to be an honest client's is closed."""
MAX_HEAD = 16 << 10
"""Bytes of request line and headers."""
REQUEST_S, ANSWER_S, LAST_S = 10.0, 10.0, 2.0
"""How long a client may take to send its request, to take the answer, and to close the connection after it."""
CLOSE_S = 1.0
"""How long `close` waits for answers under way."""
_PAUSE_S = 0.5
"""Between two tries to accept, if the process may open no more files."""
_PIECE = 64 << 10
_METHODS = ("GET", "HEAD")
_HEADERS = {
    "Connection": "close",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""With every answer: no page of another origin may load, embed or keep it."""


class Answer(NamedTuple):
    """code: of HTTP. content_type: with its charset, if it has one."""

    code: int
    body: bytes
    content_type: str


class HttpServer:
    """Serves from now on, until `close`, in a thread of its own.

    Args:
        listener: a listening socket, which `close` closes.
        answer: gives the answer to a path, without query, and without a slash at its end. It must not block.
        name: of the thread.
    """

    def __init__(self, listener: socket.socket, answer: Callable[[str], Answer], name: str) -> None:
        self._listener, self._answer = listener, answer
        self._connections: set[_Connection] = set()
        self._accepts_at: float | None = None  # when accepting is tried again; None: it accepts
        self._selector = selectors.DefaultSelector()
        self._wake, woken = socket.socketpair()
        self._woken = woken
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Accept no more, give the answers that are under way, for CLOSE_S at most, and close all. May be called again."""
        with contextlib.suppress(OSError):
            self._wake.close()
        self._thread.join(CLOSE_S + 1.0)

    def _serve(self) -> None:
        until: float | None = None  # when it closes; None: it has not been asked to
        while until is None or (time.monotonic() < until and any(one.answering for one in self._connections)):
            for key, _ in self._selector.select(self._pause_s(until)):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._woken:
                    until = time.monotonic() + CLOSE_S
                    self._selector.unregister(self._woken)
                    self._stop_accepting()
                elif key.data in self._connections:  # it may have been closed for a newer one
                    self._step(key.data)
            self._expire(time.monotonic())
        for connection in list(self._connections):
            self._drop(connection)
        self._selector.close()
        self._woken.close()

    def _pause_s(self, until: float | None) -> float | None:
        times = [one.until for one in self._connections] + [at for at in (until, self._accepts_at) if at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _accept(self) -> None:
        try:
            channel, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return
        except OSError as error:  # too many open files: the listener would be ready again at once, for ever
            log.debug("no connection can be accepted (%s)", error)
            self._selector.unregister(self._listener)
            self._accepts_at = time.monotonic() + _PAUSE_S
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            self._drop(min(self._connections, key=lambda one: (one.answering, one.until)))
        channel.setblocking(False)
        connection = _Connection(channel, self._answer)
        self._connections.add(connection)
        self._selector.register(channel, selectors.EVENT_READ, connection)

    def _step(self, connection: _Connection) -> None:
        try:
            going_on = connection.step()
        except OSError:  # BlockingIOError does not come out of it
            going_on = False
        if not going_on:
            self._drop(connection)
        else:
            self._selector.modify(connection.channel, connection.waits_for, connection)

    def _expire(self, now: float) -> None:
        for connection in [one for one in self._connections if one.until <= now]:
            self._drop(connection)
        if self._accepts_at is not None and self._accepts_at <= now:
            self._accepts_at = None
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _stop_accepting(self) -> None:
        if self._accepts_at is None:
            self._selector.unregister(self._listener)
        self._accepts_at = None
        self._listener.close()

    def _drop(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        self._selector.unregister(connection.channel)
        connection.channel.close()


class _Connection:
    """Reads a head, writes an answer, and reads on until the client closes: an earlier close would cut the answer off.

    waits_for: the event at which `step` is to be called. until: when it is to be closed, whatever has come.
    answering: the request is there, and the answer is not yet sent.
    """

    def __init__(self, channel: socket.socket, answer: Callable[[str], Answer]) -> None:
        self.channel, self._answer = channel, answer
        self.waits_for, self.answering = selectors.EVENT_READ, False
        self.until = time.monotonic() + REQUEST_S
        self._head, self._left, self._answered = bytearray(), memoryview(b""), False

    def step(self) -> bool:
        """Go on as far as possible without blocking. Returns False at the end. Raises OSError."""
        try:
            if self.answering:
                return self._write()
            piece = self.channel.recv(_PIECE)
        except (BlockingIOError, InterruptedError):
            return True
        if not piece:
            return False
        if self._answered:
            return True
        self._head += piece[: MAX_HEAD + 1 - len(self._head)]
        end = min((at for mark in (b"\r\n\r\n", b"\n\n") if (at := self._head.find(mark)) >= 0), default=-1)
        if end < 0 and len(self._head) <= MAX_HEAD:
            return True
        self._left = memoryview(_respond(bytes(self._head) if end >= 0 else None, self._answer))
        self._head.clear()
        self.answering, self.waits_for, self.until = True, selectors.EVENT_WRITE, time.monotonic() + ANSWER_S
        return self.step()

    def _write(self) -> bool:
        self._left = self._left[self.channel.send(self._left) :]
        if not self._left:
            self.channel.shutdown(socket.SHUT_WR)
            self.answering, self._answered = False, True
            self.waits_for, self.until = selectors.EVENT_READ, time.monotonic() + LAST_S
        return True


def _respond(head: bytes | None, answer: Callable[[str], Answer]) -> bytes:
    """The bytes of the answer to a request. head: with what follows it; None if it is too long."""
    method, more = "", {}
    if head is None:
        given = Answer(431, b"request line and headers are too long\n", "text/plain")
    else:
        method, target, version = (*head.decode("latin-1").splitlines()[0].split(" "), "", "")[:3]
        if not (version.startswith("HTTP/1.") and method.isalpha() and target):
            given = Answer(400, b"not a request of HTTP/1.1\n", "text/plain")
        elif method not in _METHODS:
            given, more = Answer(405, b"GET or HEAD\n", "text/plain"), {"Allow": ", ".join(_METHODS)}
        else:
            given = _answered(_path(target), answer)
    fields = {
        "Date": email.utils.formatdate(usegmt=True),
        "Content-Type": given.content_type,
        "Content-Length": str(len(given.body)),
        **more,
        **_HEADERS,
    }
    lines = [f"HTTP/1.1 {given.code} {HTTPStatus(given.code).phrase}", *(f"{name}: {fields[name]}" for name in fields)]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else given.body)


def _path(target: str) -> str:
    """The path of a request's target, which may be a whole URL, with a query."""
    if not target.startswith("/"):
        target = "/" + target.partition("://")[2].partition("/")[2]
    return target.partition("?")[0].partition("#")[0].rstrip("/") or "/"


def _answered(path: str, answer: Callable[[str], Answer]) -> Answer:
    try:
        return answer(path)
    except Exception:  # one bad figure must not take the probes with it
        log.exception("GET %s failed", path)
        return Answer(500, b"failed, see the log\n", "text/plain")
